//go:build e2e

package e2e

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/Eyevinn/mp4ff/avc"
	"github.com/Eyevinn/mp4ff/mp4"
	"github.com/stretchr/testify/require"
)

// picture is a sample of a rendition.
type picture struct {
	at  int64 // presentation time, 90 kHz
	key bool
}

// pictures reads a rendition's segments, in order of presentation. FFmpeg is not asked: it moves all times where pictures are
// presented before they are decoded, as those between B-frames are.
func (s *server) pictures(t *testing.T, stream, rendition string, l listing, segments []string) (all []picture) {
	t.Helper()
	var file bytes.Buffer
	for _, part := range append([]string{l.maps[len(l.maps)-1]}, segments...) {
		r, body := s.get("/live/" + stream + "/" + rendition + "/" + part)
		require.Equal(t, 200, r.StatusCode, part)
		file.WriteString(body)
	}
	f, err := mp4.DecodeFile(&file)
	require.NoError(t, err)
	require.Equal(t, uint32(90000), f.Init.Moov.Trak.Mdia.Mdhd.Timescale)
	for _, segment := range f.Segments {
		for _, fragment := range segment.Fragments {
			samples, err := fragment.GetFullSamples(f.Init.Moov.Mvex.Trex)
			require.NoError(t, err)
			for _, one := range samples {
				all = append(all, picture{one.PresentationTime(), avc.IsIDRSample(one.Data)})
				require.Equal(t, one.IsSync(), all[len(all)-1].key, "what is marked as a key frame is one")
			}
		}
	}
	slices.SortFunc(all, func(a, b picture) int { return cmp.Compare(a.at, b.at) })
	return all
}

func keyTimes(all []picture) (at []int64) {
	for _, p := range all {
		if p.key {
			at = append(at, p.at)
		}
	}
	return at
}

// irregular are key frames at no regular distance, none further than two seconds from the next, as an option of FFmpeg's
// encoders.
func irregular() string {
	steps := []float64{0.5, 1.7, 0.31, 1.9, 1.1, 0.77, 1.43}
	var at []string
	for n, sum := 0, 0.0; sum < 600; n++ {
		at = append(at, fmt.Sprintf("%.2f", sum))
		sum += steps[n%len(steps)]
	}
	return "-force_key_frames " + strings.Join(at, ",")
}

// variable makes FFmpeg's encoders take a picture each 33 to 58 ms.
const variable = `-vf settb=1/1000,setpts=PTS+25*random(7)*lt(mod(N\,7)\,4)+N*4 -fps_mode passthrough -enc_time_base 1:1000`

// TestRungsHaveTheSourcesPictures: the pictures of a rung have the times of the source's, its key frames are where the
// source's are; where the source's rate varies they are within a frame of it.
func TestRungsHaveTheSourcesPictures(t *testing.T) {
	long(t)
	s := startLadder(t)
	for _, c := range []struct {
		name   string
		source source
		exact  bool
	}{
		{"29.97", source{size: "854x480", rate: "30000/1001", gop: 300, bf: 2, video: irregular()}, true},
		{"variable", source{size: "854x480", rate: "30", gop: 300, video: irregular() + " " + variable}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !c.exact {
				long(t)
			}
			p := s.publish(t, c.name, c.source)
			defer p.kill(syscall.SIGKILL) // two encoders at a time are one too many for a small machine
			s.waitLive(c.name)
			waitFor(t, 60*time.Second, "eight segments", func() bool { l := s.media(c.name, "source"); return l.last-l.first >= 7 })
			want := s.media(c.name, "source")
			require.Zero(t, want.gaps)
			for _, rung := range []string{"360p", "240p"} {
				waitFor(t, 10*time.Second, "the same segments of "+rung, func() bool { return s.media(c.name, rung).last >= want.last })
				have := s.media(c.name, rung)
				require.Zero(t, have.gaps)
				n := max(want.first, have.first) + 1 // the first may be of the source's first pictures, whose rate nobody knows
				source := s.pictures(t, c.name, "source", want, want.segments[n-want.first:])
				made := s.pictures(t, c.name, rung, have, have.segments[n-have.first:want.last+1-have.first])
				keys, madeKeys := keyTimes(source), keyTimes(made)
				t.Logf("%s: %d pictures, %d key frames; source: %d, %d", rung, len(made), len(madeKeys), len(source), len(keys))
				require.Greater(t, len(keys), 6)
				if c.exact {
					require.Equal(t, source, made)
					continue
				}
				requireNear(t, keys, madeKeys, 3000)
				for i, p := range made[1:] {
					require.InDelta(t, 3000, p.at-made[i].at, 1, "the rung's rate is constant")
				}
			}
		})
	}
}

// requireNear fails where one of want has none of have within so many ticks.
func requireNear(t *testing.T, want, have []int64, within int64) {
	t.Helper()
	for _, w := range want {
		near := func(h int64) bool { return max(w-h, h-w) <= within }
		require.True(t, slices.ContainsFunc(have, near), "%d is not near any of %v", w, have)
	}
}
