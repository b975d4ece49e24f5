package audio

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/media"
)

// BenchmarkDelay gives sound as fast as it sounds and tells how long after a unit's first sample was made the unit is there. A frame
// can be given when its last sample is made, so the length of one is part of it; package doc has the figures.
func BenchmarkDelay(b *testing.B) {
	for name, codec := range map[string][]string{"AAC to Opus": {"-c:a", "aac"}, "Opus to AAC": {"-c:a", "libopus"}} {
		b.Run(name, func(b *testing.B) {
			f := shootWith(b, codec...)
			track := f.tracks[media.Audio]
			j := opusToAAC(track, 128_000)
			if track.Codec == media.AAC {
				var err error
				j, err = aacToOpus(track)
				require.NoError(b, err)
			}
			for b.Loop() {
				measure(b, newEncoder(Options{}.withDefaults(), j, none), track, f.sound(nil))
			}
		})
	}
}

func measure(b *testing.B, e *Encoder, track *media.Track, units []media.AccessUnit) {
	b.Helper()
	zero := track.Timescale.Duration(units[0].PTS)
	began := time.Now()
	var delays []float64
	var first time.Duration
	var reading sync.WaitGroup
	reading.Go(func() {
		for u := range e.Units() {
			now := time.Since(began)
			if first == 0 {
				first = now
			}
			if at := media.Timescale(rate).Duration(u.PTS) - zero; at > time.Second {
				delays = append(delays, (now-at).Seconds()*1000)
			}
		}
	})
	for _, u := range units {
		time.Sleep(time.Until(began.Add(track.Timescale.Duration(u.PTS+u.Duration) - zero)))
		e.Write(u)
	}
	e.finish()
	reading.Wait()
	e.Close()
	slices.Sort(delays)
	b.ReportMetric(delays[len(delays)/2], "ms-p50")
	b.ReportMetric(delays[len(delays)*95/100], "ms-p95")
	b.ReportMetric(first.Seconds()*1000, "ms-first")
}
