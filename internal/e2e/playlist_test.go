//go:build e2e

package e2e

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// listing is what a test wants to know of a media playlist.
type listing struct {
	text            string
	first, last     int // MSN of the first and the last complete segment
	parts           int // of the open segment
	segments        []string
	discontinuities []int // MSN of the segments that a discontinuity stands before
	gaps            int
	ended           bool
	maps            []string
	duration        time.Duration
}

var (
	sequenceTag = regexp.MustCompile(`(?m)^#EXT-X-MEDIA-SEQUENCE:(\d+)`)
	mapTag      = regexp.MustCompile(`^#EXT-X-MAP:URI="([^"]+)"`)
)

func readPlaylist(t testing.TB, text string) listing {
	t.Helper()
	m := sequenceTag.FindStringSubmatch(text)
	require.NotNil(t, m, "no media sequence in:\n%s", text)
	first, err := strconv.Atoi(m[1])
	require.NoError(t, err)
	l := listing{text: text, first: first, last: first - 1}
	for line := range strings.SplitSeq(text, "\n") {
		switch {
		case line == "#EXT-X-DISCONTINUITY":
			l.discontinuities = append(l.discontinuities, l.last+1)
		case line == "#EXT-X-GAP":
			l.gaps++
		case line == "#EXT-X-ENDLIST":
			l.ended = true
		case strings.HasPrefix(line, "#EXT-X-PART:"):
			l.parts++
		case strings.HasPrefix(line, "#EXTINF:"):
			seconds, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimPrefix(line, "#EXTINF:"), ","), 64)
			require.NoError(t, err)
			l.duration += time.Duration(seconds * float64(time.Second))
		case mapTag.MatchString(line):
			l.maps = append(l.maps, mapTag.FindStringSubmatch(line)[1])
		case line != "" && line[0] != '#':
			l.segments = append(l.segments, line)
			l.last++
			l.parts = 0
		}
	}
	return l
}

// media fetches a rendition's playlist.
func (s *server) media(stream, rendition string) listing {
	s.t.Helper()
	r, body := s.get("/live/" + stream + "/" + rendition + "/index.m3u8")
	require.Equal(s.t, 200, r.StatusCode, body)
	return readPlaylist(s.t, body)
}
