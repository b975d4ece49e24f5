package hlslint

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The corpus is text. A case names the rule that it breaks, the base session that it starts from and what is
// changed in it (testdata/corpus/README.md describes the form).

const corpusRoot = "https://example.test/live/"

// section is one exchange of a session as text: a line "-- purpose url key=value …", header lines and the body.
type section string

func splitSections(text string) []section {
	var list []section
	for i, s := range strings.Split("\n"+text, "\n-- ") {
		if i > 0 {
			list = append(list, section("-- "+strings.TrimSuffix(s, "\n")+"\n"))
		}
	}
	return list
}

func (s section) head() string {
	h, _, _ := strings.Cut(string(s), "\n")
	return h
}

type corpusCase struct {
	name, rule string
	authoring  bool
	sections   []section
}

func readCase(t testing.TB, file string) corpusCase {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, body, _ := strings.Cut(string(raw), "\n--")
	c := corpusCase{name: strings.TrimSuffix(filepath.Base(file), ".txt")}
	if body != "" {
		c.sections = splitSections("--" + body)
	}
	for _, l := range strings.Split(head, "\n") {
		k, v, ok := strings.Cut(l, ": ")
		if !ok {
			continue
		}
		switch k {
		case "rule":
			c.rule = v
		case "authoring":
			c.authoring = v == "yes"
		case "base":
			base, err := os.ReadFile(filepath.Join("testdata", "corpus", "base", v+".txt"))
			if err != nil {
				t.Fatal(err)
			}
			c.sections = append(splitSections(string(base)), c.sections...)
		case "only":
			c.sections = filter(c.sections, func(s section) bool { return strings.Contains(s.head(), v) })
		case "drop":
			n := len(c.sections)
			c.sections = filter(c.sections, func(s section) bool { return !strings.Contains(s.head(), v) })
			if len(c.sections) == n {
				t.Fatalf("%s: nothing to drop: %s", c.name, v)
			}
		case "copy":
			sel, head, _ := strings.Cut(v, " :: ")
			for _, s := range filter(c.sections, func(s section) bool { return strings.Contains(s.head(), sel) }) {
				_, body, _ := strings.Cut(string(s), "\n")
				c.sections = append(c.sections, section("-- "+head+"\n"+body))
			}
		case "edit":
			c.edit(t, v)
		}
	}
	return c
}

func filter(l []section, keep func(section) bool) []section {
	var out []section
	for _, s := range l {
		if keep(s) {
			out = append(out, s)
		}
	}
	return out
}

// edit applies "SELECTOR :: OLD => NEW"; escapes as in Go.
func (c *corpusCase) edit(t testing.TB, v string) {
	sel, change, ok := strings.Cut(v, " :: ")
	from, to, ok2 := strings.Cut(change, " => ")
	if !ok || !ok2 {
		t.Fatalf("%s: not an edit: %s", c.name, v)
	}
	from, to = unescape(from), unescape(to)
	hit := false
	for i, s := range c.sections {
		if sel == "*" || strings.Contains(s.head(), sel) {
			n := strings.ReplaceAll(string(s), from, to)
			hit = hit || n != string(s)
			c.sections[i] = section(n)
		}
	}
	if !hit {
		t.Fatalf("%s: the edit changes nothing: %s", c.name, v)
	}
}

func unescape(s string) string {
	u, err := strconv.Unquote(`"` + strings.ReplaceAll(s, `"`, `\"`) + `"`)
	if err != nil {
		return s
	}
	return u
}

// exchange turns the text into what was exchanged, with the headers of a good origin where none are written.
func (s section) exchange() Exchange {
	lines := strings.Split(strings.TrimSuffix(string(s), "\n"), "\n")
	f := strings.Fields(lines[0])
	x := Exchange{Purpose: Purpose(f[1]), URL: corpusURL(f[2]), Status: 200, Proto: "HTTP/2.0", Request: http.Header{}, Header: http.Header{}}
	at, took := 0.0, 0.02
	recorded := true
	for _, kv := range f[3:] {
		k, v, _ := strings.Cut(kv, "=")
		switch k {
		case "at":
			at, _ = strconv.ParseFloat(v, 64)
		case "took":
			took, _ = strconv.ParseFloat(v, 64)
		case "status":
			x.Status, _ = strconv.Atoi(v)
		case "proto":
			x.Proto = v
		case "final":
			x.Final = corpusURL(v)
		case "err":
			x.Err = v
		case "method":
			x.Method = v
		case "headers":
			recorded = v != "no"
		}
	}
	start := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	x.Sent = start.Add(time.Duration(at * float64(time.Second)))
	x.Done = x.Sent.Add(time.Duration(took * float64(time.Second)))
	body := lines[1:]
	for len(body) > 0 && (strings.HasPrefix(body[0], "> ") || strings.HasPrefix(body[0], "< ")) {
		k, v, _ := strings.Cut(body[0][2:], ":")
		if body[0][0] == '>' {
			x.Request.Set(k, strings.TrimSpace(v))
		} else {
			x.Header.Set(k, strings.TrimSpace(v))
		}
		body = body[1:]
	}
	text := strings.Join(body, "\n")
	if len(body) > 0 {
		text += "\n"
	}
	switch {
	case strings.HasPrefix(text, "init") || strings.HasPrefix(text, "frag"):
		x.Body = buildMP4(text)
	case strings.HasPrefix(text, "ts"):
		x.Body = append([]byte{0x47}, make([]byte, 187)...)
	default:
		x.Body = []byte(text)
	}
	if recorded {
		x.defaultHeaders()
	} else {
		x.Header = nil
	}
	return x
}

func corpusURL(s string) string {
	if strings.Contains(s, "://") {
		return s
	}
	return corpusRoot + s
}

func (x *Exchange) defaultHeaders() {
	set := func(h http.Header, k, v string) {
		if _, ok := h[http.CanonicalHeaderKey(k)]; !ok {
			h.Set(k, v)
		}
	}
	set(x.Request, "Origin", probeOrigin)
	set(x.Header, "Access-Control-Allow-Origin", "*")
	_, d := splitDirectives(x.URL)
	switch {
	case x.Status >= 400:
		set(x.Header, "Cache-Control", "max-age=1")
	case strings.Contains(x.URL, ".m3u8"):
		set(x.Request, "Accept-Encoding", "gzip")
		set(x.Header, "Content-Encoding", "gzip")
		set(x.Header, "Content-Type", "application/vnd.apple.mpegurl")
		age := "max-age=1"
		if d.hasMSN {
			age = "max-age=12"
		}
		set(x.Header, "Cache-Control", age)
	default:
		kind := "video/mp4"
		if strings.HasSuffix(x.URL, ".ts") {
			kind = "video/mp2t"
		} else if strings.HasSuffix(x.URL, ".vtt") {
			kind = "text/vtt"
		}
		set(x.Header, "Content-Type", kind)
		set(x.Header, "Cache-Control", "max-age=31536000, immutable")
	}
}

func (c corpusCase) judge() Report {
	s := Session{}
	for _, x := range c.sections {
		s.Exchanges = append(s.Exchanges, x.exchange())
	}
	sort.SliceStable(s.Exchanges, func(i, k int) bool { return s.Exchanges[i].Done.Before(s.Exchanges[k].Done) })
	return JudgeSession(s, JudgeOptions{Authoring: c.authoring})
}

func corpusFiles(t testing.TB, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "corpus", dir, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no corpus in %s: %v", dir, err)
	}
	return files
}

func brief(r Report) string {
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "\n  %s %s: line %d: %s (%d)", f.Rule, f.URL, f.First.Line, f.First.Evidence, f.Count)
	}
	return b.String()
}

func TestGoodSessionsYieldNothing(t *testing.T) {
	for _, dir := range []string{"base", "good"} {
		for _, file := range corpusFiles(t, dir) {
			c := readCase(t, file)
			if dir == "base" {
				raw, _ := os.ReadFile(file)
				c.sections = splitSections(string(raw))
			}
			t.Run(dir+"/"+c.name, func(t *testing.T) {
				if r := c.judge(); len(r.Findings) > 0 {
					t.Errorf("found:%s", brief(r))
				}
			})
		}
	}
}

func TestBrokenSessionsYieldExactlyTheirRule(t *testing.T) {
	for _, file := range corpusFiles(t, "broken") {
		c := readCase(t, file)
		t.Run(c.name, func(t *testing.T) {
			r := c.judge()
			only := len(r.Findings) > 0
			for _, f := range r.Findings {
				only = only && f.Rule == c.rule
			}
			if !only {
				t.Errorf("want %s, found:%s", c.rule, brief(r))
			}
		})
	}
}

func TestEveryRuleHasACorpusEntry(t *testing.T) {
	have := map[string]int{}
	for _, file := range corpusFiles(t, "broken") {
		have[readCase(t, file).rule]++
	}
	for _, r := range Rules() {
		if have[r.ID] == 0 {
			t.Errorf("%s is not proven", r.ID)
		}
		delete(have, r.ID)
	}
	for id := range have {
		t.Errorf("no rule is called %q", id)
	}
}
