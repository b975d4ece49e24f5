package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/media"
)

// judge is a pipeline that checks on every event what design 2.3 and 2.4 promise of a session.
type judge struct {
	t        *testing.T
	live     int // pipelines of the one stream that run
	lastID   int64
	sessions int
	units    int
}

func (j *judge) run(ctx context.Context, s *Session) error {
	j.live++
	j.sessions++
	require.Equal(j.t, 1, j.live, "one session at a time")
	defer func() { j.live-- }()
	q := s.Subscribe(PackagerPolicy)
	defer q.Close()
	var (
		epoch *Epoch
		index = -1
		away  bool
		ended bool
		last  [media.Kinds]media.Ticks
		some  [media.Kinds]bool
		end   time.Duration
		clock time.Duration
	)
	for {
		e, err := q.Next(ctx)
		if errors.Is(err, io.EOF) {
			require.True(j.t, ended)
			return nil
		}
		if err != nil {
			return err
		}
		require.False(j.t, ended, "nothing follows the end")
		require.GreaterOrEqual(j.t, e.ArrivedAt, clock)
		clock = e.ArrivedAt
		switch e.Kind {
		case EventEpoch:
			require.Greater(j.t, e.Epoch.ID, j.lastID, "epoch IDs rise over sessions")
			require.Greater(j.t, e.Epoch.Index, index)
			require.GreaterOrEqual(j.t, e.Epoch.Start, end, "an epoch starts behind everything written")
			require.Zero(j.t, e.Epoch.Start%time.Millisecond)
			epoch, index, away, some = e.Epoch, e.Epoch.Index, false, [media.Kinds]bool{}
			j.lastID = e.Epoch.ID
		case EventNudge:
			require.Fail(j.t, "nobody nudged")
		case EventUnit:
			require.False(j.t, away, "no unit while nobody publishes")
			require.Same(j.t, epoch, e.Epoch)
			u, k := e.Unit, e.Unit.Kind
			scale := epoch.Tracks[k].Timescale
			require.GreaterOrEqual(j.t, u.PTS, u.DTS)
			require.GreaterOrEqual(j.t, u.PTS, scale.Ticks(epoch.Start))
			if some[k] {
				require.Greater(j.t, u.DTS, last[k], "DTS rises")
			} else if k == media.Video {
				require.True(j.t, u.RandomAccess)
			}
			some[k], last[k] = true, u.DTS
			end = max(end, scale.Duration(u.PTS))
			j.units++
		case EventAway:
			away = true
		case EventEnd:
			require.NotEmpty(j.t, e.Reason)
			ended = true
		}
	}
}

// TestAnyInterleaving lets chance publish, take over, drop, stop, end, stall and lie about time, on one stream.
func TestAnyInterleaving(t *testing.T) {
	runs := 200
	if testing.Short() {
		runs = 30
	}
	var units, sessions int
	for seed := range runs {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			j := interleave(t, uint64(seed))
			units, sessions = units+j.units, sessions+j.sessions
		})
	}
	t.Logf("%d units in %d sessions", units, sessions)
	require.Greater(t, units, 100*runs, "chance wrote too little to show anything")
}

func interleave(t *testing.T, seed uint64) (j *judge) {
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(seed, 7))
		j = &judge{t: t}
		h := running(t, Options{Run: j.run, IdleTimeout: 30 * time.Second})
		var all []*Publisher
		peers := []Peer{obs, ffmpeg, {Protocol: "rtmp", Remote: "198.51.100.1:1", Encoder: "obs"}}
		reasons := Reasons()
		for range 150 {
			var p *Publisher
			if len(all) > 0 {
				p = all[len(all)-1]
				if r.IntN(5) == 0 { // one that may have lost the stream
					p = all[r.IntN(len(all))]
				}
			}
			switch n := r.IntN(20); {
			case n < 2 || p == nil || p.Err() != nil && n < 10:
				if p, err := h.Publish(t.Context(), "a", peers[r.IntN(len(peers))]); err == nil {
					all = append(all, p)
				} else {
					require.Equal(t, ReasonTwoPublishers, ReasonOf(err))
				}
			case n < 5:
				tracks := [][media.Kinds]*media.Track{both(), videoOnly(), audioOnly()}[r.IntN(3)]
				arrived := time.Now().Add(-time.Duration(r.IntN(1500)) * time.Millisecond)
				_ = p.StartEpoch(tracks, time.Duration(r.Int64N(int64(time.Hour))), arrived, "chance")
			case n < 16:
				burst(p, r)
			case n == 16:
				p.Close(reasons[r.IntN(len(reasons))])
			case n == 17 && r.IntN(4) == 0:
				_ = h.End("a", ReasonEndedByAdmin)
			default:
				time.Sleep([]time.Duration{time.Millisecond, time.Second, 15 * time.Second, 70 * time.Second}[r.IntN(4)])
			}
			holders := 0
			for _, p := range all {
				if p.Err() == nil {
					holders++
				}
			}
			require.LessOrEqual(t, holders, 1, "one slot")
		}
		for _, p := range all {
			p.Close(ReasonPublisherStopped)
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		require.Empty(t, h.streams)
		require.Zero(t, j.live)
	})
	return j
}

// burst writes up to 40 units, mostly good.
func burst(p *Publisher, r *rand.Rand) {
	s := p.Session()
	if s == nil {
		return
	}
	s.mu.Lock()
	line := s.line
	s.mu.Unlock()
	for range r.IntN(60) {
		k := media.Kind(r.IntN(2))
		l := &line.tracks[k]
		if !l.present {
			continue
		}
		dts := l.last - l.offset + media.Ticks(r.Int64N(int64(l.scale)/10)) - 50
		if !l.some {
			dts = l.start - l.offset
		}
		au := media.AccessUnit{Kind: k, DTS: dts, PTS: dts + media.Ticks(r.IntN(3)*1000), RandomAccess: k == media.Audio || r.IntN(5) == 0, Data: make([]byte, r.IntN(100))}
		if p.Write(au) != nil {
			return
		}
		l.some, l.last = true, max(l.last, dts+l.offset)
		if r.IntN(4) == 0 {
			time.Sleep(30 * time.Millisecond)
		}
	}
}
