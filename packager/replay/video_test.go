package replay_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/media"
	"mediad/media/mediatest"
	"mediad/packager/replay"
)

var began = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// rendition has n segments of 2 s from MSN 100 on, a new epoch each ten.
func rendition(t *testing.T, name string, n int) replay.Rendition {
	t.Helper()
	track := mediatest.H264Track(1280, 720, 30, 1)
	kind := media.Video
	if name == "audio" {
		track, kind = mediatest.AACTrack(48000, 2), media.Audio
	}
	r := replay.Rendition{Name: name, Kind: kind}
	for i := range n {
		epoch := int64(1 + i/10)
		if i%10 == 0 {
			r.Tracks = append(r.Tracks, replay.Track{Epoch: epoch, Track: track, Init: []byte(name + strconv.FormatInt(epoch, 10))})
		}
		r.Segments = append(r.Segments, replay.Segment{
			MSN: uint64(100 + i), Epoch: epoch, Start: began.Add(time.Duration(i) * 2 * time.Second), Duration: 2 * time.Second,
			Bytes: 500_000, Key: name + "-0.m4s", Offset: int64(i) * 500_000, Independent: true, Discontinuity: i > 0 && i%10 == 0,
		})
	}
	return r
}

// listed are the lines of a playlist that begin so, without that.
func listed(text []byte, prefix string) (lines []string) {
	for line := range strings.SplitSeq(string(text), "\n") {
		if rest, ok := strings.CutPrefix(line, prefix); ok {
			lines = append(lines, rest)
		}
	}
	return lines
}

func TestAWholeBroadcast(t *testing.T) {
	v, err := replay.New(replay.Recording{Renditions: []replay.Rendition{rendition(t, "audio", 25), rendition(t, "480p", 25), rendition(t, "source", 25)}})
	require.NoError(t, err)
	assert.Equal(t, 50*time.Second, v.Duration)
	assert.Equal(t, int64(75*500_000), v.Bytes)
	main := string(v.Multivariant().Plain)
	for _, want := range []string{"source/index.m3u8", "480p/index.m3u8", "audio/index.m3u8", "AVERAGE-BANDWIDTH=4000000"} {
		assert.Contains(t, main, want)
	}
	r, ok := v.Rendition("source")
	require.True(t, ok)
	text := r.Playlist().Plain
	assert.Contains(t, string(text), "#EXT-X-TARGETDURATION:2\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-INDEPENDENT-SEGMENTS\n")
	assert.True(t, strings.HasSuffix(string(text), "#EXT-X-ENDLIST\n"))
	assert.Len(t, listed(text, "seg_"), 25)
	assert.Equal(t, []string{`URI="init_1.mp4"`, `URI="init_2.mp4"`, `URI="init_3.mp4"`}, listed(text, "#EXT-X-MAP:"))
	assert.Equal(t, 2, strings.Count(string(text), "#EXT-X-DISCONTINUITY\n"))
	init, ok := r.Init(2)
	require.True(t, ok)
	assert.Equal(t, "source2", string(init))
	m, ok := r.Media(2, 113)
	require.True(t, ok)
	assert.Equal(t, int64(13*500_000), m.Offset)
	for _, c := range []struct {
		epoch int64
		msn   uint64
	}{{1, 113}, {2, 99}, {3, 125}, {9, 113}} {
		_, ok = r.Media(c.epoch, c.msn)
		assert.False(t, ok, "%+v", c)
	}
	_, ok = v.Rendition("720p")
	assert.False(t, ok)
}

// TestWhatIsMissing: a rung that lacks anything is not shown; what the source lacks is a gap while there is sound; what both lack is
// left out.
func TestWhatIsMissing(t *testing.T) {
	source, audio, rung := rendition(t, "source", 20), rendition(t, "audio", 20), rendition(t, "480p", 20)
	for i := range 4 {
		rung.Segments[4+i].Gap = true
	}
	source.Segments[7].Gap = true
	source.Segments[12].Key, audio.Segments[12].Key = "", "" // they were in memory alone, on a full disk
	source.Segments = append(source.Segments[:15], source.Segments[16:]...)
	audio.Segments = append(audio.Segments[:15], audio.Segments[16:]...)
	v, err := replay.New(replay.Recording{Renditions: []replay.Rendition{source, audio, rung}})
	require.NoError(t, err)
	assert.NotContains(t, string(v.Multivariant().Plain), "480p")
	picture, _ := v.Rendition("source")
	sound, _ := v.Rendition("audio")
	assert.Equal(t, listed(picture.Playlist().Plain, "seg_"), listed(sound.Playlist().Plain, "seg_"))
	assert.Len(t, listed(picture.Playlist().Plain, "seg_"), 18)
	assert.Equal(t, 1, strings.Count(string(picture.Playlist().Plain), "#EXT-X-GAP\n"))
	assert.Zero(t, strings.Count(string(sound.Playlist().Plain), "#EXT-X-GAP\n"))
	for _, r := range []*replay.VideoRendition{picture, sound} {
		// One of the epochs, and one where each of the two segments was.
		assert.Equal(t, 3, strings.Count(string(r.Playlist().Plain), "#EXT-X-DISCONTINUITY\n"))
	}
	assert.Equal(t, 36*time.Second, v.Duration)
}

// TestAllRenditionsAgree: whatever is missing, all that are shown have the same segments, dates and discontinuities.
func TestAllRenditionsAgree(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		rec := replay.Recording{}
		for _, name := range []string{"source", "audio", "720p", "480p"} {
			r := rendition(t, name, 30)
			for range rnd.IntN(4) {
				r.Segments[rnd.IntN(len(r.Segments))].Gap = true
			}
			for range rnd.IntN(3) {
				i := rnd.IntN(len(r.Segments))
				r.Segments = append(r.Segments[:i], r.Segments[i+1:]...)
			}
			rec.Renditions = append(rec.Renditions, r)
		}
		v, err := replay.New(rec)
		require.NoError(t, err)
		var first []string
		for _, variant := range v.Variants() {
			r, ok := v.Rendition(variant.Name)
			require.True(t, ok)
			var shape []string
			for _, line := range strings.Split(string(r.Playlist().Plain), "\n") {
				if line != "#EXT-X-GAP" && line != "#EXT-X-INDEPENDENT-SEGMENTS" {
					shape = append(shape, line)
				}
			}
			if first == nil {
				first = shape
			}
			require.Equal(t, first, shape, "seed %d: %s", seed, variant.Name)
			for _, name := range listed(r.Playlist().Plain, "seg_") {
				var epoch int64
				var msn uint64
				_, err := fmt.Sscanf(name, "%d_%d.m4s", &epoch, &msn)
				require.NoError(t, err)
				_, there := r.Media(epoch, msn)
				gap := strings.Contains(string(r.Playlist().Plain), "#EXT-X-GAP\nseg_"+name) || strings.Contains(string(r.Playlist().Plain), "#EXT-X-GAP\n#EXTINF:2.000000200,\nseg_"+name)
				require.Equal(t, there, !gap, "seed %d: %s of %s", seed, name, variant.Name)
			}
		}
	}
}

func TestNothingToPlay(t *testing.T) {
	gone := rendition(t, "source", 3)
	for i := range gone.Segments {
		gone.Segments[i].Gap = true
	}
	for _, rec := range []replay.Recording{{}, {Renditions: []replay.Rendition{{Name: "source"}}}, {Renditions: []replay.Rendition{gone}}} {
		_, err := replay.New(rec)
		require.ErrorIs(t, err, replay.ErrEmpty)
	}
	alone, err := replay.New(replay.Recording{Renditions: []replay.Rendition{gone, rendition(t, "audio", 3)}})
	require.NoError(t, err)
	assert.Equal(t, 6*time.Second, alone.Duration, "sound alone")
}

// TestLibrary: a video is loaded once however many ask, is gone soon after it may not be seen any more, and what fails is tried again.
// TestFewVideosAreReadAtOnce: however many are asked for, as each may be of any size.
func TestFewVideosAreReadAtOnce(t *testing.T) { synctest.Test(t, fewVideosAreReadAtOnce) }

func fewVideosAreReadAtOnce(t *testing.T) {
	var reading, most atomic.Int32
	l := replay.NewLibrary(replay.LibraryOptions{
		Check: func(context.Context, string) error { return nil },
		Load: func(context.Context, string) (replay.Recording, error) {
			n := reading.Add(1)
			defer reading.Add(-1)
			most.Store(max(most.Load(), n))
			time.Sleep(time.Second)
			return replay.Recording{Renditions: []replay.Rendition{rendition(t, "source", 3)}}, nil
		},
	})
	var wait sync.WaitGroup
	for i := range 20 {
		wait.Go(func() {
			_, err := l.Video(t.Context(), strconv.Itoa(i))
			assert.NoError(t, err)
		})
	}
	wait.Wait()
	assert.LessOrEqual(t, most.Load(), int32(4))
}

func TestLibrary(t *testing.T) {
	now := began
	var mu sync.Mutex
	loads, refused := 0, error(nil)
	failing := errors.New("the database is away")
	load := func(context.Context, string) (replay.Recording, error) {
		mu.Lock()
		defer mu.Unlock()
		loads++
		if loads == 1 {
			return replay.Recording{}, failing
		}
		return replay.Recording{Renditions: []replay.Rendition{rendition(t, "source", 3)}}, nil
	}
	l := replay.NewLibrary(replay.LibraryOptions{
		Load: load, Now: func() time.Time { return now },
		Check: func(context.Context, string) error { mu.Lock(); defer mu.Unlock(); return refused },
	})
	_, err := l.Video(t.Context(), "a")
	require.ErrorIs(t, err, failing)
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() {
			_, err := l.Video(t.Context(), "a")
			assert.NoError(t, err)
		})
	}
	wait.Wait()
	assert.Equal(t, 2, loads)
	gone := errors.New("deleted")
	refused = gone
	_, err = l.Video(t.Context(), "a")
	require.NoError(t, err, "for 3 s nobody asks")
	now = now.Add(4 * time.Second)
	_, err = l.Video(t.Context(), "a")
	require.ErrorIs(t, err, gone)
	_, err = l.Video(t.Context(), "a")
	require.ErrorIs(t, err, gone)
	assert.Equal(t, 2, loads, "what may not be seen is not loaded")
	refused = nil
	_, err = l.Video(t.Context(), "a")
	require.NoError(t, err)
	assert.Equal(t, 3, loads)
}
