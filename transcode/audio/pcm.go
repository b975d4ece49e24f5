package audio

import (
	"fmt"
	"math"
	"sync"

	"mediad/media"
)

// none is before all times.
const none media.Ticks = math.MinInt64

// PCM is linear sound: 16 bits a sample, little-endian, channels interleaved.
type PCM struct{ Rate, Channels int }

// Sound is one publisher's linear sound on its way to AAC, at 48 kHz.
type Sound struct {
	width int
	e     *Encoder
	give  sync.WaitGroup
}

// EncodePCM begins to make AAC of linear sound. out is given each unit with its track, on the line of what went in, by one
// goroutine of the Sound's own; it does not block.
func EncodePCM(f PCM, o Options, out func(t *media.Track, au media.AccessUnit)) (*Sound, error) {
	if f.Rate < 8000 || f.Rate > 192_000 || f.Channels < 1 || f.Channels > 2 {
		return nil, fmt.Errorf("sound: PCM with %d channels at %d Hz", f.Channels, f.Rate)
	}
	t, err := newTrack()
	if err != nil {
		return nil, err
	}
	opts := o.withDefaults()
	s := &Sound{width: 2 * f.Channels, e: newEncoder(opts, pcmToAAC(f, opts.Bitrate), none)}
	s.give.Go(func() {
		for au := range s.e.Units() {
			out(t, au)
		}
	})
	return s, nil
}

// Write takes sound; pts is that of its first sample, counted in samples. It never waits: what there is no room for is dropped,
// the oldest first. The bytes are not changed after.
func (s *Sound) Write(pts media.Ticks, pcm []byte) error {
	if len(pcm) == 0 || len(pcm)%s.width != 0 || len(pcm) > maxUnit {
		return fmt.Errorf("sound: %d bytes of PCM with %d a sample", len(pcm), s.width)
	}
	s.e.Write(media.AccessUnit{Kind: media.Audio, DTS: pts, PTS: pts, RandomAccess: true, Data: pcm})
	return nil
}

// Close ends it and waits; out is not called after.
func (s *Sound) Close() {
	s.e.Close()
	s.give.Wait()
}
