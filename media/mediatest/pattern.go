package mediatest

import (
	"slices"

	"mediad/media"
)

// VideoPattern describes a run of H.264 pictures. The zero value is one second at 30 fps with one IDR.
type VideoPattern struct {
	FPS    media.Rational // default 30/1
	Frames int            // pictures before any is dropped; default one second's
	Start  media.Ticks    // PTS of the first picture, 90 kHz

	GOP     int   // pictures from one key frame to the next; default: only the first is one
	KeyAt   []int // further key frames, by display index
	OpenGOP bool  // key frames after the first are I pictures with a recovery point, preceded in display by B-frames
	BFrames int   // consecutive B-frames between references; none refers to another B
	Delay   int   // pictures by which DTS is earlier than needed, as encoders with a B pyramid do

	Drop      []int         // pictures left out, by decode index: holes on the grid
	Intervals []media.Ticks // variable rate: display intervals, used in turn; Duration is then 0

	// What a source does before the firewall has seen it; Duration is 0 with any of them.
	Milliseconds bool                    // DTS and PTS rounded to whole milliseconds, as in RTMP
	Jitter       func(i int) media.Ticks // added to DTS and PTS of the picture with decode index i

	KeySize, Size int // bytes of key frames (default 4000) and others (default 800)
}

type pictureKind int

const (
	reference pictureKind = iota
	idr
	openI
	disposable
)

// picture is one entry in decode order.
type picture struct {
	kind    pictureKind
	display int
}

// Video returns the pictures of p in decode order, in the form that they have behind the firewall unless p says
// otherwise.
func Video(p VideoPattern) []media.AccessUnit {
	if p.FPS.Num == 0 || p.FPS.Den == 0 {
		p.FPS = media.Rational{Num: 30, Den: 1}
	}
	if p.Frames == 0 {
		p.Frames = int((p.FPS.Num + p.FPS.Den - 1) / p.FPS.Den)
	}
	if p.KeySize == 0 {
		p.KeySize = 4000
	}
	if p.Size == 0 {
		p.Size = 800
	}
	delay := p.Delay
	if p.BFrames > 0 {
		delay++
	}
	constant := len(p.Intervals) == 0 && !p.Milliseconds && p.Jitter == nil

	var units []media.AccessUnit
	for i, pic := range p.decodeOrder() {
		if slices.Contains(p.Drop, i) {
			continue
		}
		dts, pts := p.at(i-delay), p.at(pic.display)
		if p.Jitter != nil {
			j := p.Jitter(i)
			dts, pts = dts+j, pts+j
		}
		if p.Milliseconds {
			dts, pts = roundToMilliseconds(dts), roundToMilliseconds(pts)
		}
		size := p.Size
		if pic.kind == idr || pic.kind == openI {
			size = p.KeySize
		}
		au := media.AccessUnit{
			Kind: media.Video, DTS: dts, PTS: pts,
			RandomAccess: pic.kind == idr || pic.kind == openI,
			OpenGOP:      pic.kind == openI,
			Disposable:   pic.kind == disposable,
			Data:         slice(pic.kind, i, size),
		}
		if constant {
			au.Duration = p.at(i-delay+1) - dts
		}
		units = append(units, au)
	}
	return units
}

// decodeOrder lays the pictures out as an encoder with p.BFrames would.
func (p VideoPattern) decodeOrder() []picture {
	key := func(d int) bool {
		return d == 0 || p.GOP > 0 && d%p.GOP == 0 || slices.Contains(p.KeyAt, d)
	}
	var order []picture
	for d := 0; d < p.Frames; {
		// The next reference: a key frame, or what closes a run of B-frames. Before a key frame of a closed GOP, and
		// at the end, the run is shorter.
		ref := d
		if d > 0 {
			for ref < d+p.BFrames && ref+1 < p.Frames && !key(ref) && (p.OpenGOP || !key(ref+1)) {
				ref++
			}
		}
		kind := reference
		switch {
		case ref == 0, key(ref) && !p.OpenGOP:
			kind = idr
		case key(ref):
			kind = openI
		}
		order = append(order, picture{kind, ref})
		for b := d; b < ref; b++ {
			order = append(order, picture{disposable, b})
		}
		d = ref + 1
	}
	return order
}

// at is the time of position i on the display grid; i may be negative.
func (p VideoPattern) at(i int) media.Ticks {
	if n := len(p.Intervals); n > 0 {
		t := p.Start
		for k := 0; k < i; k++ {
			t += p.Intervals[k%n]
		}
		for k := 0; k > i; k-- {
			t -= p.Intervals[0]
		}
		return t
	}
	return p.Start + media.Rescale(media.Ticks(i)*media.Ticks(p.FPS.Den), media.Timescale(p.FPS.Num), media.VideoTimescale)
}

func roundToMilliseconds(t media.Ticks) media.Ticks {
	return media.Rescale(media.Rescale(t, media.VideoTimescale, media.Milliseconds), media.Milliseconds, media.VideoTimescale)
}

// AudioPattern describes a run of audio frames. The zero value is about one second of AAC at 48 kHz.
type AudioPattern struct {
	Track  *media.Track // default AACTrack(48000, 2)
	Frames int          // before any is dropped; default one second's
	Start  media.Ticks  // of the first frame, in the track's timescale
	Drop   []int        // frames left out

	Milliseconds bool                    // timestamps rounded to whole milliseconds
	Jitter       func(i int) media.Ticks // added to the timestamp of frame i, in the track's timescale

	Size int // bytes a frame; default 200
}

// Audio returns the frames of p.
func Audio(p AudioPattern) []media.AccessUnit {
	if p.Track == nil {
		p.Track = AACTrack(48000, 2)
	}
	step := media.Ticks(p.Track.FrameSamples)
	if p.Frames == 0 {
		p.Frames = int((media.Ticks(p.Track.Timescale) + step - 1) / step)
	}
	if p.Size == 0 {
		p.Size = 200
	}
	var units []media.AccessUnit
	for i := range p.Frames {
		if slices.Contains(p.Drop, i) {
			continue
		}
		t := p.Start + media.Ticks(i)*step
		if p.Jitter != nil {
			t += p.Jitter(i)
		}
		if p.Milliseconds {
			ms := media.Rescale(t, p.Track.Timescale, media.Milliseconds)
			t = media.Rescale(ms, media.Milliseconds, p.Track.Timescale)
		}
		units = append(units, media.AccessUnit{
			Kind: media.Audio, DTS: t, PTS: t, Duration: step, RandomAccess: true,
			Data: audioFrame(p.Track, i, p.Size),
		})
	}
	return units
}

// audioFrame fills a frame; an Opus one begins with the byte that says 20 ms of CELT fullband stereo.
func audioFrame(t *media.Track, number, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(number>>(8*(i%4))) | 0x11
	}
	if t.Codec == media.Opus && size > 0 {
		b[0] = 31<<3 | 4
	}
	return b
}

// Interleave merges video units of vt and audio units of at by DTS, as a publisher sends them. Either may be empty.
func Interleave(vt, at *media.Track, video, audio []media.AccessUnit) []media.AccessUnit {
	out := make([]media.AccessUnit, 0, len(video)+len(audio))
	for len(video) > 0 && len(audio) > 0 {
		if vt.Timescale.Duration(video[0].DTS) <= at.Timescale.Duration(audio[0].DTS) {
			out, video = append(out, video[0]), video[1:]
		} else {
			out, audio = append(out, audio[0]), audio[1:]
		}
	}
	return append(append(out, video...), audio...)
}
