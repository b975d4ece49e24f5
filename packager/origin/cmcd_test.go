package origin_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"mediad/packager/origin"
)

func TestCMCDIsReadAndChangesNothing(t *testing.T) {
	var log bytes.Buffer
	s := newSite(t, func(o *origin.Options) {
		o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	plain := s.get(sourceList)
	for name, c := range map[string]struct {
		query   string
		headers []string
		want    origin.CMCD
	}{
		"nothing":          {"", nil, origin.CMCDNone},
		"another case":     {"?cmcd=bs", nil, origin.CMCDNone},
		"empty":            {"?CMCD=", nil, origin.CMCDNone},
		"query":            {"?CMCD=bl%3D2100%2Cmtp%3D5000%2Csid%3D%22x%22", nil, origin.CMCDFine},
		"starved":          {"?a=b&CMCD=bl%3D0%2Cbs%2Csid%3D%22x%22&c=d", nil, origin.CMCDStarved},
		"malformed":        {"?CMCD=%zz,bs", nil, origin.CMCDStarved},
		"in a string":      {"?CMCD=sid%3D%22a%5C%22%2Cbs%2C%22%2Cbl%3D1", nil, origin.CMCDFine},
		"headers":          {"", []string{"CMCD-Request: bl=900", `CMCD-Session: sid="x"`}, origin.CMCDFine},
		"starved, headers": {"", []string{"CMCD-Request: bl=0", "CMCD-Status: bs,rtp=100"}, origin.CMCDStarved},
		"huge":             {"?CMCD=" + strings.Repeat("x", 1<<20) + ",bs", nil, origin.CMCDFine},
	} {
		t.Run(name, func(t *testing.T) {
			log.Reset()
			w := s.get(sourceList+c.query, c.headers...)
			require.Equal(t, plain.Body.String(), w.Body.String())
			require.Equal(t, plain.Header(), w.Header())
			require.Equal(t, c.want, s.seen.last().CMCD)
			require.Equal(t, c.want != origin.CMCDNone, strings.Contains(log.String(), "msg=cmcd"))
			require.Less(t, log.Len(), 4<<10)
		})
	}
}

// Whoever spells a request in another way gets the same answer: a cache may give it one spelling.
func TestSpellingOfAQueryChangesNothing(t *testing.T) {
	s := newSite(t)
	for canonical, spellings := range map[string][]string{
		"": {"?", "?&&", "?x=_HLS_msn=1003", "?_hls_msn=1", "?_HLS_msnx=1", "?_HLS_=1", "?_HLS%5Fmsn=1", "?_HLS_skip=v9", "?_HLS_skip"},
		"?_HLS_msn=1003&_HLS_part=1&_HLS_skip=YES": {
			"?_HLS_skip=YES&_HLS_part=1&_HLS_msn=1003", "?x&_HLS_part=1&y=%zz&_HLS_msn=1003&&_HLS_skip=YES&_HLS_push=0",
		},
		"?_HLS_msn=x": {"?_HLS_msn", "?_HLS_msn=01", "?_HLS_part=0", "?_HLS_msn=1&_HLS_msn=1", "?_HLS_skip=YES&_HLS_skip=YES", "?_HLS_part=x&_HLS_msn=1"},
	} {
		want := s.get(sourceList + canonical)
		for _, spelling := range spellings {
			got := s.get(sourceList + spelling)
			require.Equal(t, want.Code, got.Code, spelling)
			require.Equal(t, want.Header().Get("Cache-Control"), got.Header().Get("Cache-Control"), spelling)
			require.Equal(t, want.Header().Get("Etag"), got.Header().Get("Etag"), spelling)
			if want.Code == 200 {
				require.Equal(t, want.Body.String(), got.Body.String(), spelling)
			}
		}
	}
}
