package packager

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/media"
	"mediad/media/mediatest"
	"mediad/packager/playlist"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestScenarios plays testdata/*.txt and compares what they show with the golden file beside. A line is a command:
//
//	tracks FPS RATE              what the next epochs have: 30/1 or -, 48000 or -
//	make SECONDS [gop=N] [b=N] [hole=FROM-TO] [silent=FROM-TO]
//	                             units of both tracks; holes of video, of audio in seconds
//	unit video DTS PTS key|-     one more unit; of audio: unit audio DTS
//	epoch AT                     an epoch begins, session seconds
//	play TO                      units up to that many seconds after the epoch's start arrive
//	away, end                    the publisher drops; the session ends
//	show RENDITION|multivariant|dvr
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) {
			in, err := os.ReadFile(f)
			require.NoError(t, err)
			p := play{air: newAir(t, Options{})}
			s := bufio.NewScanner(bytes.NewReader(in))
			for n := 1; s.Scan(); n++ {
				words := strings.Fields(s.Text())
				if len(words) == 0 || words[0] == "#" {
					continue
				}
				p.command(words)
			}
			p.together()
			golden := strings.TrimSuffix(f, ".txt") + ".golden"
			if *update {
				require.NoError(t, os.WriteFile(golden, p.out.Bytes(), 0o644))
				return
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), p.out.String())
		})
	}
}

type play struct {
	*air
	tracks [media.Kinds]*media.Track
	queue  []media.AccessUnit
	at     time.Duration
	played int
	out    bytes.Buffer
}

func (p *play) command(w []string) {
	switch w[0] {
	case "tracks":
		p.setTracks(w[1], w[2])
	case "make":
		p.make(w[1:])
	case "unit":
		p.unit(w[1:])
	case "epoch":
		p.at, p.played = p.seconds(w[1]), 0
		p.epoch(p.at, p.tracks)
	case "play":
		p.play(p.seconds(w[1]))
	case "away":
		p.away()
	case "end":
		p.end()
	case "show":
		p.show(w[1])
	default:
		require.Fail(p.t, "unknown command", w[0])
	}
}

func (p *play) seconds(s string) time.Duration {
	f, err := strconv.ParseFloat(s, 64)
	require.NoError(p.t, err)
	return time.Duration(f * float64(time.Second))
}

func (p *play) number(s string) int {
	n, err := strconv.Atoi(s)
	require.NoError(p.t, err)
	return n
}

func (p *play) setTracks(fps, rate string) {
	p.tracks = [media.Kinds]*media.Track{}
	p.queue = nil
	if num, den, ok := strings.Cut(fps, "/"); ok {
		p.tracks[media.Video] = mediatest.H264Track(1280, 720, uint32(p.number(num)), uint32(p.number(den)))
	}
	if rate != "-" {
		p.tracks[media.Audio] = mediatest.AACTrack(p.number(rate), 2)
	}
}

func (p *play) make(w []string) {
	v := mediatest.VideoPattern{GOP: 30, Size: 100, KeySize: 400}
	var without [media.Kinds][2]time.Duration
	for _, arg := range w[1:] {
		key, value, _ := strings.Cut(arg, "=")
		from, to, _ := strings.Cut(value, "-")
		switch key {
		case "gop":
			v.GOP = p.number(value)
		case "b":
			v.BFrames = p.number(value)
		case "hole":
			without[media.Video] = [2]time.Duration{p.seconds(from), p.seconds(to)}
		case "silent":
			without[media.Audio] = [2]time.Duration{p.seconds(from), p.seconds(to)}
		default:
			require.Fail(p.t, "unknown argument", arg)
		}
	}
	p.queue = nil
	both := p.tracks
	if both[media.Video] == nil {
		both[media.Video] = mediatest.H264Track(16, 16, 30, 1)
	}
	for _, u := range broadcast(both, p.number(w[0]), v) {
		if p.tracks[u.Kind] == nil {
			continue
		}
		at := p.tracks[u.Kind].Timescale.Duration(u.PTS)
		if hole := without[u.Kind]; at < hole[0] || at >= hole[1] {
			p.queue = append(p.queue, u)
		}
	}
}

func (p *play) unit(w []string) {
	u := media.AccessUnit{DTS: media.Ticks(p.number(w[1])), Data: []byte{0, 0, 0, 1, 0x41}}
	switch u.PTS = u.DTS; w[0] {
	case "video":
		u.PTS, u.RandomAccess = media.Ticks(p.number(w[2])), w[3] == "key"
	case "audio":
		u.Kind, u.RandomAccess, u.Duration = media.Audio, true, media.Ticks(p.tracks[media.Audio].FrameSamples)
	default:
		require.Fail(p.t, "unknown track", w[0])
	}
	p.queue = append(p.queue, u)
}

func (p *play) play(to time.Duration) {
	from := p.played
	for p.played < len(p.queue) {
		u := p.queue[p.played]
		if p.tracks[u.Kind].Timescale.Duration(u.DTS) >= to {
			break
		}
		p.played++
	}
	p.units(p.tracks, p.queue[from:p.played], p.at)
}

func (p *play) show(what string) {
	fmt.Fprintf(&p.out, "== %s at %s\n", what, p.now.Format("15:04:05.000"))
	switch what {
	case "multivariant":
		d, ok := p.stream.Multivariant(false)
		p.document(d, ok)
	case "dvr":
		if r, ok := p.stream.Rendition(sourceName); ok {
			d, ok := r.DVR()
			p.document(d, ok)
			return
		}
		p.document(playlist.Document{}, false)
	default:
		r, ok := p.stream.Rendition(what)
		if !ok {
			p.document(playlist.Document{}, false)
			return
		}
		p.out.Write(r.Window().Render(playlist.SkipNo, false))
	}
}

func (p *play) document(d playlist.Document, ok bool) {
	if !ok {
		p.out.WriteString("404\n")
		return
	}
	p.out.Write(d.Plain)
}
