package transcode

import (
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/media"
	"mediad/transcode/ffmpeg"
	"mediad/transcode/governor"
)

// TestASlowChildShedsItsHeaviestRung: FFmpeg is held to four fifths of real time while it makes both rungs. The one that goes leaves a
// running child.
func TestASlowChildShedsItsHeaviestRung(t *testing.T) {
	t.Parallel()
	path, pids := wrapper(t, `for a; do
		case "$a" in "select=lte(mod(pts\,32)\,0)"*) a="$a,realtime=speed=0.8";; esac
		set -- "$@" "$a"; shift
	done`)
	track, film := second(t)
	o, log := &lags{}, &testx.Buffer{}
	s := newStage(t, Options{FFmpeg: path, Observer: o, Log: slog.New(slog.NewTextHandler(log, nil)), Governor: governor.Options{Floor: 250 * time.Millisecond, Hopeless: time.Hour}})
	s.begin(1, track)
	s.unit(film.next())
	s.l.mu.Lock()
	s.l.gov.Join("session", governor.Costs{Rungs: []float64{2, 1}}, 1, time.Now()) // the light one stays, however busy the machine is
	s.l.mu.Unlock()
	s.play(t, film, "the heavy rung goes", func() bool { return len(s.sink.of("96p", media.EncodedShed)) == 1 })
	n := len(s.sink.units("64p"))
	s.play(t, film, "the light one goes on", func() bool { return len(s.sink.units("64p")) > n+60 })
	h, ok := s.l.Health("session")
	require.True(t, ok)
	require.Equal(t, StateShed, h.Rungs[0].State)
	require.Equal(t, StateRunning, h.Rungs[1].State)
	require.Positive(t, h.Rungs[1].FPS)
	s.finish(t)
	light := s.sink.units("64p")
	for i := 1; i < len(light); i++ {
		require.Equal(t, light[i-1].DTS+light[i-1].Duration, light[i].DTS, "the light rung lost nothing")
	}
	require.Len(t, pids(), 1)
	require.Contains(t, log.String(), "level=WARN msg=\"ladder: rung shed: this server is too busy")
	require.NotContains(t, log.String(), "governor", "its orders are no news to who runs the server")
	t.Log("highest lag", o.highest())
}

// lags keeps the highest lag that it is told.
type lags struct {
	nobody
	mu  sync.Mutex
	max time.Duration
}

func (l *lags) Lag(_, _ string, lag time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.max = max(l.max, lag)
}

func (l *lags) highest() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.max
}

// TestAnEncoderIsChosenByWhatItDoes: what is not there is not taken, whatever FFmpeg was built with.
func TestAnEncoderIsChosenByWhatItDoes(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	require.Equal(t, ffmpeg.Software, ffmpeg.Choose(t.Context(), "/nonexistent", "auto", log))
	// One that answers for VAAPI alone.
	path, _ := wrapper(t, `case "$*" in *vaapi*) echo picture >&3; exit 0;; *) exit 1;; esac`)
	l := NewLive(Options{FFmpeg: path, HWAccel: "auto"})
	require.Equal(t, "vaapi", l.Choose(t.Context()))
	l = NewLive(Options{FFmpeg: path, HWAccel: "qsv"})
	require.Equal(t, "none", l.Choose(t.Context()))
}
