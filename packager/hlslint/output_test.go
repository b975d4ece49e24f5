package hlslint

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTextAndJSONOfAReport(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	body := "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:4\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXTINF:5.0,\na.ts\n#EXTINF:6.0,\nb.ts\n"
	r := JudgePlaylist("https://example.test/a.m3u8", []byte(body), at, JudgeOptions{})
	var text bytes.Buffer
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	want := `https://example.test/a.m3u8: on demand, 1 playlists, 0 segments, 0 parts, 0.0 MB in 0s

MUST
  extinf-over-target [rfc8216bis 4.4.3.1], 2 times
    Each EXTINF, rounded to whole seconds, is at most the target duration.
    https://example.test/a.m3u8
      03:04:05.000  line 5: EXTINF:5.0 with a target duration of 4 s
      03:04:05.000  line 7: EXTINF:6.0 with a target duration of 4 s

SHOULD
  vod-without-endlist [rfc8216bis 4.4.3.5]
    A playlist of type VOD, which cannot change, has EXT-X-ENDLIST.
    https://example.test/a.m3u8
      03:04:05.000  no EXT-X-ENDLIST

failed: 1 MUST, 1 SHOULD
`
	if text.String() != want {
		t.Errorf("got:\n%s", text.String())
	}
	var out bytes.Buffer
	if err := r.WriteJSON(&out); err != nil {
		t.Fatal(err)
	}
	var back struct {
		OK       bool
		Findings []Finding
	}
	if err := json.Unmarshal(out.Bytes(), &back); err != nil || back.OK || len(back.Findings) != 2 || back.Findings[0].First.Line != 5 {
		t.Errorf("%v %+v", err, back)
	}
}

func TestExitCodes(t *testing.T) {
	good := "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXTINF:4,\na.ts\n"
	for _, c := range []struct {
		name, body string
		o          JudgeOptions
		want       int
	}{
		{"nothing found", good + "#EXT-X-ENDLIST\n", JudgeOptions{}, 0},
		{"a SHOULD", good, JudgeOptions{}, 0},
		{"a SHOULD, strictly", good, JudgeOptions{Strict: true}, 1},
		{"a MUST", "#EXTM3U\n#EXTINF:4,\na.ts\n#EXT-X-ENDLIST\n", JudgeOptions{}, 1},
		{"the MUST ignored", "#EXTM3U\n#EXTINF:4,\na.ts\n#EXT-X-ENDLIST\n", JudgeOptions{IgnoreRules: []string{"targetduration-missing"}}, 0},
		{"only another rule", "#EXTM3U\n#EXTINF:4,\na.ts\n", JudgeOptions{OnlyRules: []string{"not-utf8"}}, 0},
	} {
		if got := JudgePlaylist("a.m3u8", []byte(c.body), time.Time{}, c.o).ExitCode(); got != c.want {
			t.Errorf("%s: %d", c.name, got)
		}
	}
}

func TestRunRefusesWhatIsNoPlaylist(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/html":
			_, _ = w.Write([]byte("<!doctype html>"))
		case "/slow":
			<-r.Context().Done()
		default:
			http.NotFound(w, r)
		}
	})
	for _, c := range []struct {
		o     Options
		usage bool
		want  string
	}{
		{Options{URL: "ftp://origin.test/a"}, true, "not an http"},
		{Options{URL: "http://origin.test/a", OnlyRules: []string{"no-such-rule"}}, true, "no-such-rule"},
		{Options{URL: "http://origin.test/a", Duration: -1}, true, "negative"},
		{Options{URL: "http://origin.test/none"}, false, "status 404"},
		{Options{URL: "http://origin.test/html"}, false, "not a playlist"},
		{Options{URL: "http://origin.test/slow"}, false, "no answer in 10s"},
	} {
		synctest.Test(t, func(t *testing.T) {
			_, err := against(t, handler, c.o)
			if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, ErrUsage) != c.usage {
				t.Errorf("%s: %v", c.o.URL, err)
			}
		})
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start := time.Now()
		r, err := againstContext(ctx, t, &scripted{start: start}, Options{Duration: time.Hour})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 6*time.Second {
			t.Errorf("%v after %s", err, time.Since(start))
		}
		if len(r.Findings) > 0 || r.Parts == 0 {
			t.Errorf("found:%s", brief(r))
		}
	})
}

// TestLimitOfBytesIsTold: what was not fetched is not judged, and the report says so.
func TestLimitOfBytesIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := against(t, &scripted{start: time.Now()}, Options{Duration: 3 * time.Second, MaxBytes: 200_000})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(r.Limited, "limit of bytes") || r.Bytes > 500_000 {
			t.Errorf("limited %q, %d bytes, found:%s", r.Limited, r.Bytes, brief(r))
		}
	})
}

func TestSameFindingIsToldOnce(t *testing.T) {
	f := findings{rules: newRuleSet(nil, nil, false), list: map[string]*gathered{}}
	for i := range 3 {
		f.add("part-over-target", spot{url: "a", line: i, subject: "part 1"}, "line %d", i)
	}
	for i := range 5 {
		f.add("part-over-target", spot{url: "a", line: i, subject: "part " + itoa(2+i)}, "part %d", i)
	}
	got := f.sorted()
	if len(got) != 1 || got[0].Count != 6 || len(got[0].More) != maxExamples-1 || got[0].First.Evidence != "line 0" {
		t.Errorf("%+v", got)
	}
}
