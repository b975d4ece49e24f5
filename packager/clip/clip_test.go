package clip_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/media"
	"mediad/media/mediatest"
	"mediad/packager/clip"
	"mediad/packager/cmaf"
	"mediad/packager/replay"
)

var began = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// tower is a recording whose pictures and frames of sound have their number as data.
type tower struct {
	rec      replay.Recording
	bytes    map[string][]byte      // of segments, by key
	pictures []media.Ticks          // times by number; all epochs are on one line
	dates    []time.Time            // and dates
	sound    []time.Time            // of frames
	encoded  int                    // pictures that were made anew
	frame    map[media.Ticks]uint32 // numbers by time
}

const frameTicks = 3000

func picture(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }

// newTower makes n segments of the given frames each; those in plain do not begin with a key frame, those in fresh begin an epoch.
func newTower(t *testing.T, frames []int, plain, fresh map[int]bool, bframes bool) *tower {
	w := &tower{bytes: make(map[string][]byte), frame: make(map[media.Ticks]uint32)}
	video, sound := mediatest.H264Track(1280, 720, 30, 1), mediatest.AACTrack(48000, 2)
	source := replay.Rendition{Name: "source", Kind: media.Video}
	audio := replay.Rendition{Name: "audio", Kind: media.Audio}
	at, frame, soundAt := began, 0, began
	tick, soundTick := media.Ticks(1_000_000), media.Ticks(500_000)
	epoch := int64(1_700_000_000_000)
	for i, n := range frames {
		if i == 0 || fresh[i] {
			epoch++
			tick += 12345 // another clock
			soundTick += 54321
			source.Tracks = append(source.Tracks, replay.Track{Epoch: epoch, Track: video, Init: []byte("v")})
			audio.Tracks = append(audio.Tracks, replay.Track{Epoch: epoch, Track: sound, Init: []byte("a")})
			soundAt = at
		}
		var samples []cmaf.Sample
		for k := range n {
			samples = append(samples, cmaf.Sample{Data: picture(frame + k), Duration: frameTicks, Sync: k == 0 && !plain[i]})
			w.pictures = append(w.pictures, tick+media.Ticks(k*frameTicks))
			w.frame[tick+media.Ticks(k*frameTicks)] = uint32(frame + k)
			w.dates = append(w.dates, at.Add(media.VideoTimescale.Duration(media.Ticks(k*frameTicks))))
		}
		if bframes {
			// I P b b P b b: of each three pictures the last comes first, but for the first.
			for k := 1; k+2 < n; k += 3 {
				a, b, c := samples[k], samples[k+1], samples[k+2]
				a.CompOffset, b.CompOffset, c.CompOffset = -frameTicks, -frameTicks, 2*frameTicks
				samples[k], samples[k+1], samples[k+2] = c, a, b
			}
		}
		length := media.VideoTimescale.Duration(media.Ticks(n * frameTicks))
		w.add(&source, samples, tick, replay.Segment{
			MSN: uint64(100 + i), Epoch: epoch, Start: at, Duration: length, Independent: !plain[i], Discontinuity: i > 0 && fresh[i],
		})
		at, tick, frame = at.Add(length), tick+media.Ticks(n*frameTicks), frame+n

		var frames []cmaf.Sample
		from := soundAt
		for soundAt.Before(at) {
			frames = append(frames, cmaf.Sample{Data: picture(len(w.sound)), Duration: 1024, Sync: true})
			w.sound = append(w.sound, soundAt)
			soundAt = from.Add(media.Timescale(48000).Duration(media.Ticks(1024 * len(frames))))
		}
		w.add(&audio, frames, soundTick, replay.Segment{
			MSN: uint64(100 + i), Epoch: epoch, Start: from, Duration: soundAt.Sub(from), Independent: true, Discontinuity: i > 0 && fresh[i],
		})
		soundTick += media.Ticks(1024 * len(frames))
	}
	w.rec = replay.Recording{Renditions: []replay.Rendition{audio, source}}
	require.NotEmpty(t, w.pictures)
	return w
}

func (w *tower) add(r *replay.Rendition, samples []cmaf.Sample, at media.Ticks, s replay.Segment) {
	var b []byte
	for rest := samples; len(rest) > 0; { // parts of ten
		n := min(10, len(rest))
		b = cmaf.AppendFragment(b, 1, uint64(at), r.Kind, rest[:n])
		at, rest = at+media.Ticks(n)*media.Ticks(rest[0].Duration), rest[n:]
	}
	s.Key, s.Bytes = fmt.Sprintf("%s-%d", r.Name, s.MSN), int64(len(b))
	w.bytes[s.Key] = b
	r.Segments = append(r.Segments, s)
}

func (w *tower) options() clip.Options {
	return clip.Options{
		Read: func(_ context.Context, _ string, s *replay.Segment) ([]byte, error) { return w.bytes[s.Key], nil },
		Encode: func(_ context.Context, of *media.Track, units []media.AccessUnit, from, to media.Ticks, _ int64) (*media.Track, []media.AccessUnit, error) {
			var out []media.AccessUnit
			for _, u := range units {
				if u.PTS >= from && u.PTS < to {
					out = append(out, media.AccessUnit{PTS: u.PTS, RandomAccess: len(out) == 0, Data: picture(int(w.frame[u.PTS]))})
				}
			}
			slices.SortFunc(out, func(a, b media.AccessUnit) int { return int(a.PTS - b.PTS) })
			w.encoded += len(out)
			return of, out, nil
		},
	}
}

// shown are the numbers of the samples that a clip has of a rendition, in the order in which they are shown.
func (w *tower) shown(t *testing.T, r *clip.Rendition) (numbers []int) {
	for _, s := range r.Segments {
		data := s.Data
		if data == nil {
			data = w.bytes[s.Key]
		}
		fragments, err := cmaf.ReadFragments(data)
		require.NoError(t, err)
		var times []media.Ticks
		of := make(map[media.Ticks]int)
		for _, f := range fragments {
			at := media.Ticks(f.BaseDecodeTime)
			for _, x := range f.Samples {
				pts := at + media.Ticks(x.CompOffset)
				times, of[pts] = append(times, pts), int(binary.BigEndian.Uint32(x.Data))
				at += media.Ticks(x.Duration)
			}
		}
		slices.Sort(times)
		for _, at := range times {
			numbers = append(numbers, of[at])
		}
	}
	return numbers
}

// TestClips: whatever is cut out, its pictures are those between its ends, all and in order, and the sound is that beside them.
func TestClips(t *testing.T) {
	for seed := range uint64(400) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		frames := make([]int, 30)
		plain, fresh := map[int]bool{}, map[int]bool{}
		for i := range frames {
			frames[i] = 45 + rnd.IntN(30)
			if rnd.IntN(12) == 0 { // one that was closed early, at a loss of the publisher
				frames[i] = 1 + rnd.IntN(10)
			}
			if i > 0 && rnd.IntN(10) == 0 {
				fresh[i] = true
			} else if i > 0 && rnd.IntN(4) == 0 {
				plain[i] = true
			}
		}
		w := newTower(t, frames, plain, fresh, rnd.IntN(2) == 0)
		length := 5*time.Second + time.Duration(rnd.Int64N(int64(25*time.Second)))
		total := w.dates[len(w.dates)-1].Sub(began)
		from := began.Add(time.Duration(rnd.Int64N(int64(total - length))))
		if rnd.IntN(3) == 0 { // at a picture
			from = w.dates[rnd.IntN(len(w.dates)/2)]
		}
		to := from.Add(length)
		if rnd.IntN(4) == 0 {
			i, _ := slices.BinarySearchFunc(w.dates, to, time.Time.Compare)
			to = w.dates[min(i, len(w.dates)-1)]
		}
		plan, err := clip.NewPlan(&w.rec, from, to)
		require.NoError(t, err)
		m, err := plan.Make(t.Context(), w.options())
		require.NoError(t, err)
		require.Len(t, m.Renditions, 2)

		var want []int
		for i, at := range w.dates {
			// A tick is 11 µs: what lies nearer is at the very place.
			if at.Sub(from) > -6*time.Microsecond && to.Sub(at) > 6*time.Microsecond {
				want = append(want, i)
			}
		}
		require.Equal(t, want, w.shown(t, &m.Renditions[0]), "seed %d", seed)
		require.Less(t, w.dates[want[0]].Sub(m.From).Abs(), 2*time.Nanosecond, "seed %d", seed)

		var sound []int
		for i, at := range w.sound {
			middle := at.Add(512 * time.Second / 48000)
			if !middle.Before(from) && middle.Before(to) {
				sound = append(sound, i)
			}
		}
		got := w.shown(t, &m.Renditions[1])
		// A whole segment begins with a frame that begins with it, or up to a frame later.
		require.InDelta(t, sound[0], got[0], 1, "seed %d", seed)
		require.InDelta(t, sound[len(sound)-1], got[len(got)-1], 1, "seed %d", seed)
		for i := 1; i < len(got); i++ {
			require.Equal(t, got[i-1]+1, got[i], "seed %d: sound is lost or doubled", seed)
		}
		requirePlayable(t, m, seed)
		require.LessOrEqual(t, w.encoded, len(want))
	}
}

// requirePlayable checks what every clip must be, whatever it is made of.
func requirePlayable(t *testing.T, m *clip.Made, seed uint64) {
	t.Helper()
	rec := replay.Recording{}
	for i := range m.Renditions {
		r := &m.Renditions[i]
		one := replay.Rendition{Name: r.Name, Kind: r.Kind, Tracks: r.Tracks}
		for j, s := range r.Segments {
			if j > 0 {
				before := r.Segments[j-1]
				require.Equal(t, before.MSN+1, s.MSN, "seed %d", seed)
				if s.Epoch != before.Epoch {
					require.True(t, s.Discontinuity, "seed %d: segment %d of %s", seed, s.MSN, r.Name)
				}
				gap := s.Start.Sub(before.Start.Add(before.Duration)).Abs()
				require.Less(t, gap, 22*time.Millisecond, "seed %d: segment %d of %s", seed, s.MSN, r.Name)
			}
			s.Key = "x"
			one.Segments = append(one.Segments, s.Segment)
		}
		rec.Renditions = append(rec.Renditions, one)
	}
	v, err := replay.New(rec)
	require.NoError(t, err)
	require.Less(t, (v.Duration - m.To.Sub(m.From)).Abs(), time.Microsecond, "seed %d", seed)
	for i := range m.Renditions {
		require.Equal(t, len(m.Renditions[0].Segments), len(m.Renditions[i].Segments), "seed %d", seed)
	}
}

// TestWhatIsMadeAnew: the ends alone, and nothing where a clip begins and ends with segments.
func TestWhatIsMadeAnew(t *testing.T) {
	frames := slices.Repeat([]int{60}, 20)
	at := func(picture int) time.Time {
		return began.Add(media.VideoTimescale.Duration(media.Ticks(picture * frameTicks)))
	}
	for name, c := range map[string]struct {
		from, to      int // pictures
		plain         map[int]bool
		encoded       int
		first, last   uint64
		whole, pieces int
	}{
		"whole segments":                   {from: 120, to: 420, first: 102, last: 106},
		"both ends cut":                    {from: 150, to: 330, encoded: 60, first: 103, last: 104, pieces: 2},
		"too short a head takes the next":  {from: 170, to: 420, encoded: 70, first: 104, last: 106, pieces: 1},
		"too short a tail takes the last":  {from: 120, to: 424, encoded: 64, first: 102, last: 105, pieces: 1},
		"decoded from two segments before": {from: 190, to: 420, plain: map[int]bool{2: true, 3: true}, encoded: 50, first: 104, last: 106, pieces: 1},
		"no key frame within it": {
			from: 70, to: 410, plain: map[int]bool{1: true, 2: true, 3: true, 4: true, 5: true, 6: true}, encoded: 340, first: 1, last: 0, pieces: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newTower(t, frames, c.plain, nil, false)
			plan, err := clip.NewPlan(&w.rec, at(c.from), at(c.to))
			require.NoError(t, err)
			require.Equal(t, [2]uint64{c.first, c.last}, [2]uint64{plan.First, plan.Last})
			m, err := plan.Make(t.Context(), w.options())
			require.NoError(t, err)
			require.Equal(t, c.encoded, w.encoded)
			pieces := 0
			for _, s := range m.Renditions[0].Segments {
				if s.Data != nil {
					pieces++
				}
			}
			require.Equal(t, c.pieces, pieces)
			o := w.options()
			o.Copy = true
			copied, err := plan.Make(t.Context(), o)
			require.NoError(t, err)
			for _, r := range copied.Renditions {
				for _, s := range r.Segments {
					require.NotNil(t, s.Data, "nothing stays where it is")
				}
			}
		})
	}
}

// TestWhichRenditionIsCut: one in H.264 before others, unless something of it is missing.
func TestWhichRenditionIsCut(t *testing.T) {
	w := newTower(t, slices.Repeat([]int{60}, 20), nil, nil, false)
	rung := w.rec.Renditions[1]
	rung.Name, rung.Segments = "720p", slices.Clone(rung.Segments)
	source := &w.rec.Renditions[1]
	source.Tracks = []replay.Track{source.Tracks[0]}
	source.Tracks[0].Track = &media.Track{Kind: media.Video, Codec: media.AV1, Width: 1920, Height: 1080, Timescale: media.VideoTimescale}
	w.rec.Renditions = append(w.rec.Renditions, rung)
	lead := func() string {
		plan, err := clip.NewPlan(&w.rec, began.Add(3*time.Second), began.Add(9*time.Second))
		require.NoError(t, err)
		return plan.Lead.Name
	}
	require.Equal(t, "720p", lead())
	rung.Segments[2].Gap = true
	require.Equal(t, "source", lead())
	w.rec.Renditions = w.rec.Renditions[:2]
	require.Equal(t, "source", lead(), "there is no other")
}

func TestWhatCannotBeCut(t *testing.T) {
	w := newTower(t, slices.Repeat([]int{60}, 20), nil, nil, false)
	_, err := clip.NewPlan(&w.rec, began.Add(time.Hour), began.Add(time.Hour+10*time.Second))
	require.ErrorIs(t, err, clip.ErrOutside)

	plain := map[int]bool{}
	for i := range 20 {
		plain[i] = i > 0
	}
	w = newTower(t, slices.Repeat([]int{60}, 20), plain, nil, false)
	_, err = clip.NewPlan(&w.rec, began.Add(34*time.Second), began.Add(39*time.Second))
	require.ErrorIs(t, err, clip.ErrNoKeyFrame)

	w = newTower(t, slices.Repeat([]int{60}, 20), nil, nil, false)
	w.rec.Renditions = w.rec.Renditions[:1] // sound alone
	plan, err := clip.NewPlan(&w.rec, began.Add(3100*time.Millisecond), began.Add(9*time.Second))
	require.NoError(t, err)
	m, err := plan.Make(t.Context(), w.options())
	require.NoError(t, err)
	require.InDelta(t, 5.9, m.To.Sub(m.From).Seconds(), 0.022)
}
