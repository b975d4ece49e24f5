package firewall_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/ingest/firewall"
	"mediad/media"
	"mediad/media/mediatest"
)

const hour = time.Hour

// stream is a sound source: video at 30 fps in milliseconds with two B-frames, and AAC.
type stream struct {
	vt, at *media.Track
	units  []media.AccessUnit
}

func sound(seconds int, start time.Duration) stream {
	vt, at := mediatest.H264Track(640, 360, 30, 1), mediatest.AACTrack(48000, 2)
	v := mediatest.Video(mediatest.VideoPattern{Frames: 30 * seconds, GOP: 60, BFrames: 2, Milliseconds: true, Start: vt.Timescale.Ticks(start)})
	a := mediatest.Audio(mediatest.AudioPattern{Frames: 47 * seconds, Milliseconds: true, Start: at.Timescale.Ticks(start)})
	return stream{vt, at, mediatest.Interleave(vt, at, v, a)}
}

func (s *stream) scale(k media.Kind) media.Timescale {
	return [...]*media.Track{s.vt, s.at}[k].Timescale
}

// nth is the index in units of the i-th unit of a kind.
func (s *stream) nth(k media.Kind, i int) int {
	for j, au := range s.units {
		if au.Kind == k {
			if i == 0 {
				return j
			}
			i--
		}
	}
	panic("no such unit")
}

// shift moves the timestamps of units[from:to] of the given kinds.
func (s *stream) shift(from, to int, d time.Duration, kinds ...media.Kind) {
	for i := from; i < min(to, len(s.units)); i++ {
		if au := &s.units[i]; slices.Contains(kinds, au.Kind) {
			t := s.scale(au.Kind).Ticks(d)
			au.DTS, au.PTS = au.DTS+t, au.PTS+t
		}
	}
}

func (s *stream) remove(from, to int, kinds ...media.Kind) {
	s.units = append(slices.Clone(s.units[:from]), append(slices.DeleteFunc(slices.Clone(s.units[from:to]), func(au media.AccessUnit) bool {
		return slices.Contains(kinds, au.Kind)
	}), s.units[to:]...)...)
}

// outcome is what a fault may cost.
type outcome struct {
	epochs  int // new ones
	lost    int // units that never come out, at most
	repairs []firewall.Repair
	not     []firewall.Repair
}

var bothKinds = []media.Kind{media.Video, media.Audio}

func TestNamedFaults(t *testing.T) {
	all := func(s *stream) int { return len(s.units) }
	tests := []struct {
		name  string
		start time.Duration
		fault func(s *stream)
		want  outcome
	}{
		{"nothing", 0, func(*stream) {}, outcome{}},
		{"starts below zero", -hour, func(*stream) {}, outcome{}},
		{"all jump 10 h forward", 0, func(s *stream) { s.shift(800, all(s), 10*hour, bothKinds...) }, outcome{epochs: 1}},
		{"all jump 10 h back", 11 * hour, func(s *stream) { s.shift(800, all(s), -10*hour, bothKinds...) }, outcome{epochs: 1}},
		{"all jump 1.5 s forward", 0, func(s *stream) { s.shift(800, all(s), 1500*time.Millisecond, bothKinds...) }, outcome{epochs: 1}},
		{"all jump 1.5 s back", hour, func(s *stream) { s.shift(800, all(s), -1500*time.Millisecond, bothKinds...) }, outcome{epochs: 1}},
		{"all jump 0.6 s forward", 0, func(s *stream) { s.shift(800, all(s), 600*time.Millisecond, bothKinds...) },
			outcome{repairs: []firewall.Repair{firewall.Hole}}},
		{"all jump, audio half a second behind video", 0, func(s *stream) {
			s.shift(800, all(s), hour, media.Video)
			s.shift(830, all(s), hour, media.Audio)
		}, outcome{epochs: 1}},
		{"all jump there and back", 0, func(s *stream) { s.shift(800, 1200, hour, bothKinds...) }, outcome{epochs: 2}},
		{"video alone jumps 10 h", 0, func(s *stream) { s.shift(800, all(s), 10*hour, media.Video) },
			outcome{repairs: []firewall.Repair{firewall.Realigned}}},
		{"video alone jumps 10 h back", 11 * hour, func(s *stream) { s.shift(800, all(s), -10*hour, media.Video) },
			outcome{repairs: []firewall.Repair{firewall.Realigned}}},
		{"audio alone jumps 10 h", 0, func(s *stream) { s.shift(800, all(s), 10*hour, media.Audio) },
			outcome{lost: 1, repairs: []firewall.Repair{firewall.Realigned}}},
		{"audio alone jumps 5 s", 0, func(s *stream) { s.shift(800, all(s), 5*time.Second, media.Audio) },
			outcome{lost: 1, repairs: []firewall.Repair{firewall.Realigned}}},
		{"video silent for 5 s", 0, func(s *stream) { s.remove(500, 900, media.Video) },
			outcome{repairs: []firewall.Repair{firewall.Hole}, not: []firewall.Repair{firewall.Realigned}}},
		{"audio silent for 5 s", 0, func(s *stream) { s.remove(500, 900, media.Audio) },
			outcome{repairs: []firewall.Repair{firewall.Hole}, not: []firewall.Repair{firewall.Realigned}}},
		{"audio silent for ever", 0, func(s *stream) { s.remove(500, all(s), media.Audio) },
			outcome{not: []firewall.Repair{firewall.Realigned}}},
		{"audio silent, then video jumps", 0, func(s *stream) {
			s.remove(500, all(s), media.Audio)
			s.shift(700, all(s), hour, media.Video)
		}, outcome{epochs: 1}},
		{"nothing from either for 3 s", 0, func(s *stream) { s.remove(700, 931, bothKinds...) }, outcome{epochs: 1}},
		{"one picture lost", 0, func(s *stream) { s.remove(800, 803, media.Video) }, outcome{repairs: []firewall.Repair{firewall.Hole}}},
		{"one audio frame lost", 0, func(s *stream) { i := s.nth(media.Audio, 400); s.remove(i, i+1, media.Audio) },
			outcome{repairs: []firewall.Repair{firewall.Hole}, not: []firewall.Repair{firewall.AudioDropped, firewall.AudioSkipped}}},
		{"one picture 10 h ahead", 0, func(s *stream) { i := s.nth(media.Video, 300); s.shift(i, i+1, 10*hour, media.Video) },
			outcome{repairs: []firewall.Repair{firewall.PlacedInsane}}},
		{"one picture 10 h back", 11 * hour, func(s *stream) { i := s.nth(media.Video, 300); s.shift(i, i+1, -10*hour, media.Video) },
			outcome{repairs: []firewall.Repair{firewall.PlacedInsane}}},
		{"one picture 500 ms ahead", 0, func(s *stream) { i := s.nth(media.Video, 300); s.shift(i, i+1, 500*time.Millisecond, media.Video) },
			outcome{repairs: []firewall.Repair{firewall.PlacedInsane}, not: []firewall.Repair{firewall.CadenceLost, firewall.Hole}}},
		{"one picture 500 ms back", 0, func(s *stream) { i := s.nth(media.Video, 300); s.shift(i, i+1, -500*time.Millisecond, media.Video) },
			outcome{repairs: []firewall.Repair{firewall.Nudged}, not: []firewall.Repair{firewall.CadenceLost, firewall.Hole}}},
		{"one audio frame 10 h ahead", 0, func(s *stream) { i := s.nth(media.Audio, 300); s.shift(i, i+1, 10*hour, media.Audio) },
			outcome{repairs: []firewall.Repair{firewall.PlacedInsane}, not: []firewall.Repair{firewall.Hole}}},
		{"one audio frame 700 ms ahead", 0, func(s *stream) { i := s.nth(media.Audio, 300); s.shift(i, i+1, 700*time.Millisecond, media.Audio) },
			outcome{not: []firewall.Repair{firewall.Hole, firewall.AudioDropped}}},
		{"one audio frame 700 ms back", 0, func(s *stream) { i := s.nth(media.Audio, 300); s.shift(i, i+1, -700*time.Millisecond, media.Audio) },
			outcome{not: []firewall.Repair{firewall.Hole, firewall.AudioDropped}}},
		{"timestamp repeated", 0, func(s *stream) {
			i, j := s.nth(media.Video, 300), s.nth(media.Video, 301)
			s.units[j].DTS = s.units[i].DTS
		}, outcome{not: []firewall.Repair{firewall.CadenceLost}}},
		{"every tenth timestamp repeated", 0, func(s *stream) {
			for n := 10; n < 550; n += 10 {
				s.units[s.nth(media.Video, n+1)].DTS = s.units[s.nth(media.Video, n)].DTS
			}
		}, outcome{}},
		{"video stands still for a second", 0, func(s *stream) {
			at := s.units[s.nth(media.Video, 300)].DTS
			for n := 301; n < 330; n++ {
				s.units[s.nth(media.Video, n)].DTS = at
			}
		}, outcome{}},
		{"audio stands still for a second", 0, func(s *stream) {
			at := s.units[s.nth(media.Audio, 300)].DTS
			for n := 301; n < 345; n++ {
				s.units[s.nth(media.Audio, n)].DTS = at
			}
		}, outcome{lost: 1, not: []firewall.Repair{firewall.Hole}}},
		{"all step 300 ms back", 0, func(s *stream) { s.shift(800, all(s), -300*time.Millisecond, bothKinds...) },
			outcome{lost: 16, repairs: []firewall.Repair{firewall.AudioDropped}}},
		{"PTS before DTS, always", 0, func(s *stream) {
			for i := range s.units {
				if s.units[i].Kind == media.Video {
					s.units[i].PTS -= 3000
				}
			}
		}, outcome{repairs: []firewall.Repair{firewall.LiftedPTS}}},
		{"PTS before DTS, once", 0, func(s *stream) { s.units[s.nth(media.Video, 300)].PTS -= 90000 },
			outcome{repairs: []firewall.Repair{firewall.FixedPTS}, not: []firewall.Repair{firewall.LiftedPTS}}},
		{"PTS 10 s behind DTS, once", 0, func(s *stream) { s.units[s.nth(media.Video, 300)].PTS += 900000 },
			outcome{repairs: []firewall.Repair{firewall.FixedPTS}, not: []firewall.Repair{firewall.LiftedPTS}}},
		{"a number that is no time", 0, func(s *stream) { s.units[s.nth(media.Video, 300)].DTS = -1 << 62 },
			outcome{lost: 1, repairs: []firewall.Repair{firewall.DroppedInsane}}},
		{"audio begins 10 s off", 0, func(s *stream) { s.shift(0, all(s), 10*time.Second, media.Audio) },
			outcome{repairs: []firewall.Repair{firewall.Realigned}}},
		{"audio jitters by 15 ms", 0, func(s *stream) {
			for n := range 900 {
				j := s.nth(media.Audio, n)
				s.units[j].DTS += media.Ticks(n*7919%1440) - 720
			}
		}, outcome{not: []firewall.Repair{firewall.Hole, firewall.AudioDropped}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := sound(20, tt.start)
			tt.fault(&s)
			f := firewall.New(firewall.Options{})
			f.SetTrack(s.vt)
			f.SetTrack(s.at)
			c := newChecker(s.vt, s.at)
			// Units arrive when a sound stream would have sent them.
			for i, au := range s.units {
				require.NoError(t, c.check(f.Push(au, time.Duration(i)*20*time.Second/1540)), "push %d", i)
			}
			require.NoError(t, c.check(f.Flush()))
			st := f.Stats()
			require.Equal(t, tt.want.epochs, c.epochs, "%v", st)
			require.LessOrEqual(t, len(s.units)-c.total, tt.want.lost, "%v", st)
			for _, r := range tt.want.repairs {
				require.NotZero(t, st.Repairs[r], "%v: %v", r, st)
			}
			for _, r := range tt.want.not {
				require.Zero(t, st.Repairs[r], "%v: %v", r, st)
			}
			// At the end all is well again.
			if tt.want.epochs == 0 && len(c.units[media.Audio]) > 500 {
				skew := c.now(media.Video) - c.now(media.Audio)
				require.InDelta(t, 0, skew.Seconds(), 0.2, "%v", st)
			}
			v := c.units[media.Video]
			require.NotZero(t, v[len(v)-2].Duration, "%v", st)
		})
	}
}
