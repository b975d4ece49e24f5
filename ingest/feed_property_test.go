package ingest_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/ingest"
	"mediad/media"
	"mediad/media/mediatest"
)

// strictPublisher refuses what live.Publisher would drop or a packager could not bear.
type strictPublisher struct {
	tracks  [media.Kinds]*media.Track
	start   time.Duration
	arrival time.Time
	some    [media.Kinds]bool
	last    [media.Kinds]media.AccessUnit
	epochs  int
	units   [media.Kinds]int
}

func (p *strictPublisher) StartEpoch(tracks [media.Kinds]*media.Track, start time.Duration, arrival time.Time, reason string) error {
	if reason == "" || tracks == [media.Kinds]*media.Track{} {
		return fmt.Errorf("epoch without reason or tracks")
	}
	if arrival.Before(p.arrival) {
		return fmt.Errorf("epoch arrived before the last")
	}
	*p = strictPublisher{tracks: tracks, start: start, arrival: arrival, epochs: p.epochs + 1, units: p.units}
	return nil
}

func (p *strictPublisher) Write(au media.AccessUnit) error {
	t, last := p.tracks[au.Kind], p.last[au.Kind]
	switch {
	case t == nil:
		return fmt.Errorf("%v in an epoch without", au.Kind)
	case t.Timescale.Duration(au.PTS) < p.start:
		return fmt.Errorf("%v before the epoch", au.Kind)
	case au.PTS < au.DTS:
		return fmt.Errorf("PTS before DTS")
	case p.some[au.Kind] && au.DTS < last.DTS+max(last.Duration, 1):
		return fmt.Errorf("DTS %d after %d + %d", au.DTS, last.DTS, last.Duration)
	case au.Kind == media.Video && !p.some[media.Video] && (!au.RandomAccess || au.OpenGOP || t.Timescale.Duration(au.PTS) != p.start):
		return fmt.Errorf("the epoch does not begin with its key frame")
	}
	p.some[au.Kind], p.last[au.Kind] = true, au
	p.units[au.Kind]++
	return nil
}

func (p *strictPublisher) Repaired(string, int) {}

func TestWhateverIsPublishedEpochsKeepTheirRules(t *testing.T) {
	n := 600
	if testing.Short() {
		n = 200
	}
	for seed := range n {
		r := rand.New(rand.NewPCG(uint64(seed), 3))
		pub := &strictPublisher{}
		now := time.Unix(1000, 0)
		feed := ingest.NewFeed(ingest.FeedOptions{Publisher: pub, Now: func() time.Time { return now }})
		tracks := [media.Kinds]*media.Track{mediatest.H264Track(640, 360, 30, 1), mediatest.AACTrack(48000, 2)}

		p := mediatest.VideoPattern{Frames: 300 + r.IntN(300), GOP: 1 + r.IntN(90), BFrames: r.IntN(3), OpenGOP: r.IntN(3) == 0,
			Milliseconds: r.IntN(2) == 0, Size: 16, KeySize: 16, Start: 90000 * 3600 * 12}
		units := mediatest.Interleave(tracks[0], tracks[1], mediatest.Video(p),
			mediatest.Audio(mediatest.AudioPattern{Frames: 600 + r.IntN(300), Milliseconds: true, Size: 16, Start: 48000 * 3600 * 12}))
		units = units[r.IntN(60):]

		// What goes on in the stream, by index of the unit it happens at.
		late := [media.Kinds]int{}
		late[r.IntN(2)] = r.IntN(3) / 2 * r.IntN(len(units)) // one track's configuration may come late
		jumpAt, jump := r.IntN(2*len(units)), []time.Duration{10 * time.Hour, -10 * time.Hour, 2 * time.Second}[r.IntN(3)]
		changeAt, changed := r.IntN(2*len(units)), media.Kind(r.IntN(2))
		goneFrom, gone := r.IntN(2*len(units)), media.Kind(r.IntN(2))

		for i, au := range units {
			for k := range late {
				if i == late[k] {
					require.NoError(t, feed.Track(media.Kind(k), tracks[k]), "seed %d", seed)
				}
			}
			if i == changeAt {
				other := [media.Kinds]*media.Track{mediatest.H264Track(1280, 720, 30, 1), mediatest.AACTrack(48000, 1)}
				require.NoError(t, feed.Track(changed, other[changed]), "seed %d", seed)
			}
			if i >= jumpAt {
				d := tracks[au.Kind].Timescale.Ticks(jump)
				au.DTS, au.PTS = au.DTS+d, au.PTS+d
			}
			if au.Kind == gone && i >= goneFrom {
				continue
			}
			if err := feed.Write(au); err != nil {
				t.Fatalf("seed %d unit %d: %v", seed, i, err)
			}
			now = now.Add(13 * time.Millisecond)
		}
		feed.Flush()
		require.NotZero(t, pub.epochs, "seed %d", seed)
		require.LessOrEqual(t, pub.epochs, 6, "seed %d", seed)
	}
}
