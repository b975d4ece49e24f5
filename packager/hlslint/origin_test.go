package hlslint

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"net"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// scripted is a small but whole low-latency origin that runs on the bubble's clock and can be told to be wrong
// in one way. It serves the same presentation as the corpus: hi, lo and audio, parts of half a second.
type scripted struct {
	fault string
	start time.Time
}

const scriptedParts = 8*partsInSeg + 2 // parts at the start

// edge is how many parts there are.
func (o *scripted) parts() int {
	return scriptedParts + int(time.Since(o.start)/(500*time.Millisecond))
}

// available is when a part is there.
func (o *scripted) available(msn, part int) time.Time {
	n := (msn-liveFirst)*partsInSeg + part + 1
	return o.start.Add(time.Duration(n-scriptedParts) * 500 * time.Millisecond)
}

func (o *scripted) wait(r *http.Request, until time.Time) bool {
	t := time.NewTimer(time.Until(until))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

func (o *scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if o.fault != "no-cors" {
		w.Header().Set("Access-Control-Allow-Origin", "*")
	}
	name := path.Base(path.Dir(r.URL.Path))
	file := path.Base(r.URL.Path)
	if r.Method == http.MethodHead && o.fault == "head-405" {
		o.fail(w, 405)
		return
	}
	switch {
	case strings.HasSuffix(r.URL.Path, "/live/index.m3u8"):
		_, text, _ := strings.Cut(string(splitSections(baseLive())[0]), "\n")
		o.playlist(w, r, text, 1)
	case file == "index.m3u8":
		o.media(w, r, name)
	case file == "init_1.mp4":
		o.bytes(w, r, buildMP4(liveInit(name)))
	default:
		o.file(w, r, name, file)
	}
}

func (o *scripted) fail(w http.ResponseWriter, status int) {
	w.Header().Set("Cache-Control", "max-age=1")
	http.Error(w, http.StatusText(status), status)
}

func (o *scripted) playlist(w http.ResponseWriter, r *http.Request, text string, age int) {
	w.Header().Set("Content-Type", "application/vnd.apple.mpegurl")
	if o.fault == "no-cache-headers" {
		age = 0
	}
	w.Header().Set("Cache-Control", fmt.Sprintf("max-age=%d", age))
	if o.fault == "no-gzip" || !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		_, _ = w.Write([]byte(text))
		return
	}
	w.Header().Set("Content-Encoding", "gzip")
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(text))
	_ = z.Close()
	_, _ = w.Write(b.Bytes())
}

// media answers a media playlist with its directives.
func (o *scripted) media(w http.ResponseWriter, r *http.Request, name string) {
	q := r.URL.Query()
	msn, hasMSN := q.Get("_HLS_msn"), q.Has("_HLS_msn")
	part, hasPart := q.Get("_HLS_part"), q.Has("_HLS_part")
	if q.Has("hlslint") && o.fault == "unknown-parameter-400" {
		o.fail(w, 400)
		return
	}
	if hasPart && !hasMSN && o.fault != "part-without-msn-200" {
		o.fail(w, 400)
		return
	}
	age := 1
	if hasMSN {
		age = 12
		if !o.block(w, r, msn, part, hasPart) {
			return
		}
	}
	n := o.parts()
	m, p := liveFirst+n/partsInSeg, n%partsInSeg
	first := m - 8
	skip := 0
	if q.Has("_HLS_skip") && o.fault != "delta-ignored" {
		skip = 2
		if p > 0 && o.fault == "delta-too-much" {
			skip = 4
		}
	}
	text := livePlaylist(name, first, m, p, skip)
	text = o.spoil(name, text, skip, first, m, p)
	o.playlist(w, r, text, age)
}

// block holds the request; false when it has been answered.
func (o *scripted) block(w http.ResponseWriter, r *http.Request, msn, part string, hasPart bool) bool {
	m, err := strconv.Atoi(msn)
	p, err2 := strconv.Atoi(part)
	if !hasPart {
		p, err2 = partsInSeg-1, nil
	}
	if err != nil || err2 != nil {
		o.fail(w, 400)
		return false
	}
	n := o.parts()
	edge := liveFirst + n/partsInSeg
	switch {
	case m > edge+2 && o.fault == "far-msn-held":
		o.wait(r, time.Now().Add(time.Hour))
		return false
	case m > edge+2:
		o.fail(w, 400)
		return false
	case m < edge-8 && o.fault == "old-msn-400":
		o.fail(w, 400)
		return false
	case o.fault == "block-404" && !time.Now().After(o.available(m, p)):
		o.fail(w, 404)
		return false
	case o.fault == "block-early":
		return true
	case o.fault == "block-forever" && time.Since(o.start) > 3*time.Second:
		o.wait(r, time.Now().Add(time.Hour))
		return false
	}
	until := o.available(m, p)
	if o.fault == "parts-late" && time.Since(o.start) > 3*time.Second {
		until = until.Add(1700 * time.Millisecond)
	}
	return o.wait(r, until)
}

// spoil makes the playlist wrong.
func (o *scripted) spoil(name, text string, skip, first, m, p int) string {
	late := time.Since(o.start) > 3*time.Second
	sub := func(from, to string) string { return strings.ReplaceAll(text, from, to) }
	switch o.fault {
	case "delta-count":
		if skip > 0 {
			return sub("SKIPPED-SEGMENTS=2", "SKIPPED-SEGMENTS=3")
		}
	case "target-changed":
		if late {
			return sub("#EXT-X-TARGETDURATION:2", "#EXT-X-TARGETDURATION:3")
		}
	case "control-changed":
		if late {
			return sub("PART-HOLD-BACK=1.5", "PART-HOLD-BACK=1.6")
		}
	case "segment-changed":
		if late {
			return sub("seg_106.m4s", "seg_0106.m4s")
		}
	case "part-changed":
		if late {
			return sub(`DURATION=0.50000,URI="part_108_1.m4s"`, `DURATION=0.49900,URI="part_108_1.m4s"`)
		}
	case "sequence-restarts":
		if late {
			return sub(fmt.Sprintf("#EXT-X-MEDIA-SEQUENCE:%d", first), fmt.Sprintf("#EXT-X-MEDIA-SEQUENCE:%d", first-liveFirst))
		}
	case "discontinuity-lost":
		if late {
			return sub("#EXT-X-DISCONTINUITY-SEQUENCE:3", "#EXT-X-DISCONTINUITY-SEQUENCE:2")
		}
	case "report-stale":
		if name == "hi" {
			return sub(fmt.Sprintf(`"../lo/index.m3u8",LAST-MSN=%d`, m), fmt.Sprintf(`"../lo/index.m3u8",LAST-MSN=%d`, m-1))
		}
	case "report-early":
		if name == "hi" {
			return sub(fmt.Sprintf(`"../lo/index.m3u8",LAST-MSN=%d`, m), fmt.Sprintf(`"../lo/index.m3u8",LAST-MSN=%d`, m+1))
		}
	case "hint-other":
		return sub("TYPE=PART,URI=\"part_", "TYPE=PART,URI=\"next_")
	}
	return text
}

// file answers a segment or part, held while it is hinted.
func (o *scripted) file(w http.ResponseWriter, r *http.Request, name, file string) {
	if o.fault == "redirect" && strings.HasPrefix(file, "seg_") {
		http.Redirect(w, r, "cdn_"+file, http.StatusFound)
		return
	}
	file = strings.TrimPrefix(file, "cdn_")
	var msn, part int
	if n, _ := fmt.Sscanf(file, "part_%d_%d.m4s", &msn, &part); n == 2 {
		until := o.available(msn, part)
		if time.Until(until) > 500*time.Millisecond || o.fault == "hint-404" && time.Until(until) > 0 {
			o.fail(w, 404)
			return
		}
		early := time.Until(until) > 0
		if !o.wait(r, until) {
			return
		}
		b := buildMP4(livePart(name, msn, part))
		if early && o.fault == "hint-bytes" {
			b = append(b, mkBox("free", []byte("more"))...)
		}
		o.bytes(w, r, b)
		return
	}
	if n, _ := fmt.Sscanf(file, "seg_%d.m4s", &msn); n == 1 && !time.Now().Before(o.available(msn, partsInSeg-1)) {
		if o.fault == "segment-404" && msn == 107 || o.fault == "removed-404" && msn < liveFirst+o.parts()/partsInSeg-8 {
			o.fail(w, 404)
			return
		}
		o.bytes(w, r, buildMP4(liveSegment(name, msn)))
		return
	}
	if o.fault == "html-for-missing" {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<!doctype html>"))
		return
	}
	o.fail(w, 404)
}

func (o *scripted) bytes(w http.ResponseWriter, r *http.Request, b []byte) {
	w.Header().Set("Content-Type", "video/mp4")
	if o.fault == "octets" {
		w.Header().Set("Content-Type", "application/octet-stream")
	}
	w.Header().Set("Cache-Control", "max-age=3600, immutable")
	if o.fault == "no-cache-headers" {
		w.Header().Set("Cache-Control", "no-store")
	}
	w.Header().Set("ETag", `"1"`)
	if o.fault == "range-ignored" {
		r.Header.Del("Range")
	}
	if o.fault == "conditional-ignored" {
		r.Header.Del("If-None-Match")
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
}

// pipeListener lets a server and a client meet inside a bubble.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	a, b := net.Pipe()
	select {
	case l.conns <- b:
		return a, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// against runs the linter against a handler on the bubble's clock.
func against(t *testing.T, h http.Handler, o Options) (Report, error) {
	t.Helper()
	return againstContext(t.Context(), t, h, o)
}

func againstContext(ctx context.Context, t *testing.T, h http.Handler, o Options) (Report, error) {
	t.Helper()
	l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
	srv := &http.Server{Handler: h}
	served := make(chan struct{})
	go func() { defer close(served); _ = srv.Serve(l) }()
	o.Client = &http.Client{Transport: &http.Transport{DialContext: l.dial, DisableCompression: true}}
	if o.URL == "" {
		o.URL = "http://origin.test/live/index.m3u8"
	}
	r, err := Run(ctx, o)
	o.Client.CloseIdleConnections()
	srv.Close()
	<-served
	return r, err
}

func TestLiveOriginWithOneFault(t *testing.T) {
	for _, c := range []struct {
		fault string
		want  string // rules, by name, that are found; no other is
	}{
		{"", ""},
		{"block-early", "block-unsatisfied"},
		{"block-404", "block-refused"},
		{"block-forever", "block-too-long"},
		{"parts-late", "part-late"},
		{"part-without-msn-200", "part-without-msn"},
		{"far-msn-held", "msn-too-far"},
		{"old-msn-400", "msn-old-refused"},
		{"unknown-parameter-400", "unknown-parameter"},
		{"html-for-missing", "missing-is-html"},
		{"no-gzip", "gzip-missing"},
		{"no-cors", "cors-missing"},
		{"no-cache-headers", "cache-blocking cache-media"},
		{"octets", "media-content-type"},
		{"delta-ignored", "delta-refused"},
		{"delta-count", "delta-mismatch"},
		{"delta-too-much", "delta-skips-too-much"},
		{"hint-404", "preload-hint-refused"},
		{"hint-bytes", "preload-hint-bytes"},
		{"hint-other", "preload-hint-wrong"},
		{"segment-404", "media-unreachable"},
		{"removed-404", "removed-too-soon"},
		{"head-405", "head-differs"},
		{"range-ignored", "range-unsupported"},
		{"conditional-ignored", "conditional-ignored"},
		{"redirect", "redirect"},
		{"target-changed", "cache-blocking can-skip-until-small hold-back-small targetduration-changed"},
		{"control-changed", "server-control-changed"},
		{"segment-changed", "segment-changed"},
		{"part-changed", "part-changed"},
		{"sequence-restarts", "block-unsatisfied rendition-report-ahead renditions-apart sequence-backwards"},
		{"discontinuity-lost", "discontinuity-sequence-wrong"},
		{"report-stale", "rendition-report-behind"},
		{"report-early", "rendition-report-ahead"},
	} {
		name := c.fault
		if name == "" {
			name = "none"
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, err := against(t, &scripted{fault: c.fault, start: time.Now()}, Options{Duration: 12 * time.Second})
				if err != nil {
					t.Fatal(err)
				}
				found := map[string]bool{}
				for _, f := range r.Findings {
					found[f.Rule] = true
				}
				if got := strings.Join(sortedKeys(found), " "); got != c.want {
					t.Errorf("want %s, found:%s", c.want, brief(r))
				}
				if r.Parts < 20 || r.Segments < 10 {
					t.Errorf("only %d parts and %d segments were judged", r.Parts, r.Segments)
				}
			})
		})
	}
}
