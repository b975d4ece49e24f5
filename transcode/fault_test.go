package transcode

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/media"
	"mediad/media/mediatest"
	"mediad/transcode/governor"
)

// wrapper is an FFmpeg that notes its process number first; more is shell to run before.
func wrapper(t *testing.T, more string) (path string, pids func() []int) {
	t.Helper()
	dir := t.TempDir()
	path, list := filepath.Join(dir, "ffmpeg"), filepath.Join(dir, "pids")
	script := fmt.Sprintf("#!/bin/sh\necho $$ >> %s\n%s\nexec ffmpeg \"$@\"\n", list, more)
	require.NoError(t, os.WriteFile(path, []byte(script), 0o700)) //nolint:gosec // a program
	return path, func() (out []int) {
		b, _ := os.ReadFile(list)
		for _, f := range strings.Fields(string(b)) {
			n, err := strconv.Atoi(f)
			require.NoError(t, err)
			out = append(out, n)
		}
		return out
	}
}

func gone(pid int) bool { return syscall.Kill(pid, 0) != nil }

// endless repeats a clip for ever, as one line of time.
type endless struct {
	units []media.AccessUnit
	n     int
}

func (e *endless) next() media.AccessUnit {
	u := e.units[e.n%len(e.units)]
	last := e.units[len(e.units)-1]
	shift := media.Ticks(e.n/len(e.units)) * (last.DTS + last.Duration - e.units[0].DTS)
	u.DTS, u.PTS = u.DTS+shift, u.PTS+shift
	e.n++
	return u
}

// play feeds in real time until cond holds.
func (s *stage) play(t *testing.T, e *endless, what string, cond func() bool) {
	t.Helper()
	step := media.VideoTimescale.Duration(e.units[0].Duration)
	tick := time.NewTicker(step)
	defer tick.Stop()
	give := time.NewTimer(40 * time.Second)
	defer give.Stop()
	for !cond() {
		s.unit(e.next())
		select {
		case <-tick.C:
		case <-give.C:
			t.Fatalf("played in vain until %s", what)
		}
	}
}

// second is a clip with a key frame each half second.
func second(t testing.TB) (*media.Track, *endless) {
	t.Helper()
	track, units := clip(t, mediatest.EncodedPattern{Frames: 61, GOP: 15})
	return track, &endless{units: units[:60]}
}

func TestAKilledChildIsReplaced(t *testing.T) {
	t.Parallel()
	path, pids := wrapper(t, "")
	track, film := second(t)
	s := newStage(t, Options{FFmpeg: path})
	s.begin(1, track)
	for n := 1; n <= 3; n++ {
		before := len(s.sink.units("64p"))
		s.play(t, film, "pictures come", func() bool { return len(pids()) == n && len(s.sink.units("64p")) > before+5 })
		require.NoError(t, syscall.Kill(pids()[n-1], syscall.SIGKILL))
		s.play(t, film, "the child is gone and another there", func() bool { return len(pids()) > n })
	}
	before := len(s.sink.units("96p"))
	s.play(t, film, "pictures come", func() bool { return len(s.sink.units("96p")) > before+5 })
	h, ok := s.l.Health("session")
	require.True(t, ok)
	require.Equal(t, 3, h.Restarts)
	s.finish(t)
	for _, pid := range pids() {
		require.True(t, gone(pid))
	}
	require.Len(t, s.sink.of("96p", media.EncodedTrack), 1, "all children make the same parameter sets")
	check(t, s.sink.of("96p", media.EncodedTrack)[0].Track, s.sink.units("96p"))
	holes := 0
	units := s.sink.units("96p")
	for i := 1; i < len(units); i++ {
		if units[i].DTS-units[i-1].DTS > units[i].Duration {
			holes++
			require.True(t, units[i].RandomAccess, "goes on with a key frame")
		}
	}
	require.LessOrEqual(t, holes, 3)
}

func TestAChildThatHangsIsReplaced(t *testing.T) {
	t.Parallel()
	path, pids := wrapper(t, "")
	track, film := second(t)
	s := newStage(t, Options{FFmpeg: path, hang: time.Second})
	s.begin(1, track)
	s.play(t, film, "pictures come", func() bool { return len(s.sink.units("64p")) > 5 })
	had := pids() // more than one where the machine took long to start it
	stopped := had[len(had)-1]
	require.NoError(t, syscall.Kill(stopped, syscall.SIGSTOP))
	before := len(s.sink.units("64p"))
	s.play(t, film, "another child makes pictures", func() bool { return len(s.sink.units("64p")) > before+30 })
	require.Greater(t, len(pids()), len(had))
	s.finish(t)
	require.True(t, gone(stopped))
}

func TestAProgramThatFailsIsNotStartedInATightLoop(t *testing.T) {
	t.Parallel()
	path, pids := wrapper(t, "exit 1")
	track, film := second(t)
	s := newStage(t, Options{FFmpeg: path})
	s.begin(1, track)
	for range 600 {
		s.unit(film.next())
	}
	require.LessOrEqual(t, len(pids()), 4)
	s.finish(t)
}

func TestAChildThatFloodsItsLogIsReplaced(t *testing.T) {
	t.Parallel()
	path, pids := wrapper(t, `if [ $(wc -l < $(dirname $0)/pids) = 1 ]; then yes "no no no no no no no no no no" >&2; fi`)
	track, film := second(t)
	s := newStage(t, Options{FFmpeg: path})
	s.begin(1, track)
	s.play(t, film, "another child makes pictures", func() bool { return len(s.sink.units("64p")) > 5 })
	require.GreaterOrEqual(t, len(pids()), 2)
	s.finish(t)
}

func TestTheSinksRefusalEndsTheSession(t *testing.T) {
	t.Parallel()
	track, film := second(t)
	s := newStage(t, Options{})
	s.sink.gone = true
	s.begin(1, track)
	for {
		select {
		case err := <-s.done:
			require.NoError(t, err)
			return
		case s.events <- event(s, film.next()):
		}
	}
}

// TestRungsGoAndComeBack with a governor that is never content, then always.
func TestRungsGoAndComeBack(t *testing.T) {
	t.Parallel()
	track, film := second(t)
	s := newStage(t, Options{Governor: governor.Options{Calm: time.Second, Full: 2}})
	s.begin(1, track)
	s.play(t, film, "pictures come", func() bool { return len(s.sink.units("96p")) > 20 })
	s.l.mu.Lock()
	s.l.gov.Report("session", time.Now(), governor.Report{Overflow: true})
	s.l.mu.Unlock()
	s.play(t, film, "a rung goes", func() bool { return len(s.sink.of("96p", media.EncodedShed)) == 1 })
	h, _ := s.l.Health("session")
	require.Equal(t, 0, h.Restarts)
	last := s.sink.units("96p")
	end := last[len(last)-1]
	require.Equal(t, media.VideoTimescale.Duration(end.DTS+end.Duration), s.sink.of("96p", media.EncodedShed)[0].At)
	s.play(t, film, "it is back", func() bool { return len(s.sink.of("96p", media.EncodedRestore)) == 1 })
	n := len(last)
	s.play(t, film, "pictures come", func() bool { return len(s.sink.units("96p")) > n+20 })
	s.finish(t)
	require.True(t, s.sink.units("96p")[n].RandomAccess)
	require.Len(t, s.sink.of("96p", media.EncodedTrack), 1)
	light := s.sink.units("64p")
	for i := 1; i < len(light); i++ {
		require.Equal(t, light[i-1].DTS+light[i-1].Duration, light[i].DTS, "the other rung lost nothing")
	}
	require.Len(t, light, film.n)
}

func TestReadersBeginWithTheNewestKeyFrame(t *testing.T) {
	t.Parallel()
	track, film := second(t)
	s := newStage(t, Options{})
	_, err := s.l.followID("session")
	require.ErrorIs(t, err, ErrNoRungs)
	s.begin(1, track)
	s.play(t, film, "pictures come", func() bool { return len(s.sink.units("96p")) > 20 && len(s.sink.units("64p")) > 20 })
	r, err := s.l.followID("session")
	require.NoError(t, err)
	idle, err := s.l.followID("session")
	require.NoError(t, err)
	for range 150 { // more than anyone who does not read gets
		s.unit(film.next())
	}
	n := len(s.sink.units("64p"))
	s.play(t, film, "they are out", func() bool { return len(s.sink.units("64p")) > n+20 })
	s.finish(t)
	seen := map[string]bool{}
	begun := map[string]bool{}
	for {
		m, err := r.Next(t.Context())
		if err != nil {
			break
		}
		switch m.Kind {
		case media.EncodedTrack:
			seen[m.Rung] = true
		case media.EncodedUnit:
			require.True(t, seen[m.Rung])
			require.True(t, begun[m.Rung] || m.Unit.RandomAccess)
			begun[m.Rung] = true
		case media.EncodedShed, media.EncodedRestore:
			t.Fatal("no rung went")
		}
	}
	require.Len(t, begun, 2)
	r.Close()
	require.LessOrEqual(t, len(idle.queue), 2+2*62)
	idle.Close()
	_, err = s.l.followID("session")
	require.ErrorIs(t, err, ErrNoRungs)
	testx.WaitFor(t, "nothing is known of it", func() bool { _, ok := s.l.Health("session"); return !ok })
}

// TestAChildAheadOfItsInputIsReplaced: what it makes would be taken for all that comes for a long time.
func TestAChildAheadOfItsInputIsReplaced(t *testing.T) {
	t.Parallel()
	path, pids := wrapper(t, `if [ $(wc -l < $(dirname $0)/pids) = 1 ]; then for a; do
		case "$a" in pipe:4) set -- "$@" -output_ts_offset 100;; esac
		set -- "$@" "$a"; shift
	done; fi`)
	track, film := second(t)
	s := newStage(t, Options{FFmpeg: path})
	s.begin(1, track)
	s.play(t, film, "pictures of another child", func() bool { return len(s.sink.units("64p")) > 5 })
	require.Len(t, pids(), 2)
	s.finish(t)
}
