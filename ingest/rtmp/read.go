package rtmp

import (
	"bytes"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"mediad/live"
	"mediad/media"
	"mediad/media/chunk"
)

// maxBadInRow is how many messages may be unreadable one after the other. A single one costs itself; so many mean that
// nothing will come of it.
const maxBadInRow = 250

// publication turns the messages of one publisher into access units.
type publication struct {
	Publisher
	feed Feed

	stream  uint32 // message stream id
	began   time.Time
	encoder string

	clock  media.Unwrapper // of the 32-bit milliseconds that audio, video and data share
	tracks [media.Kinds]*media.Track
	// configs are the last decoder configurations as they came. Some encoders repeat theirs before every key frame
	// and have other parameter sets in that: taking both at their word would begin two epochs each time.
	configs [media.Kinds][]byte
	// lengthSize is that of the NAL unit lengths in what comes, 1 to 4.
	lengthSize int

	layers  []layer           // of the picture, beside its default track; ingest.MaxLayers at most
	ignored [media.Kinds]bool // there are further tracks that are not taken

	units, bad, badInRow int
}

func newPublication(p Publisher, f Feed, stream uint32, encoder string, now time.Time) *publication {
	return &publication{Publisher: p, feed: f, stream: stream, began: now, encoder: encoder, clock: media.NewUnwrapper(32), lengthSize: 4}
}

// finish gives the publication up. The hub hears of it whatever the feed does at its end.
func (p *publication) finish(r live.Reason) (err error) {
	defer p.Close(r)
	defer func() {
		if v := recover(); v != nil {
			err = panicked(v)
		}
	}()
	p.feed.Flush()
	return nil
}

// panicked is the error for a panic, to be made where it is recovered.
func panicked(v any) error {
	return live.Refuse(live.ReasonIngestError, fmt.Errorf("panic: %v\n%s", v, debug.Stack()))
}

// media takes an audio or video message. An error ends the publication; a message that cannot be read does not.
func (p *publication) media(m chunk.Message) error {
	kind, parse := media.Video, parseVideo
	if m.Type == chunk.TypeAudio {
		kind, parse = media.Audio, parseAudio
	}
	at := p.clock.Unwrap(uint64(m.Timestamp))
	t, err := parse(m.Payload)
	if err == nil {
		if t.Kind == tagTracks {
			err = p.several(kind, t, at)
		} else {
			err = p.one(kind, t, at)
		}
	}
	if live.ReasonOf(err) != live.ReasonMediaInvalid {
		if err == nil {
			p.badInRow = 0
		}
		return err
	}
	p.bad++
	if p.badInRow++; p.badInRow > maxBadInRow {
		return fmt.Errorf("%d messages in a row: %w", p.badInRow, err)
	}
	return nil
}

// one takes what is of one track.
func (p *publication) one(kind media.Kind, t tag, at int64) error {
	switch {
	case t.Track != 0:
		return p.beside(kind, t, at)
	case t.Kind == tagConfig:
		return p.configure(kind, t)
	case t.Kind == tagFrame:
		return p.frame(kind, t, at)
	default:
		return nil
	}
}

// configure takes a decoder configuration.
func (p *publication) configure(kind media.Kind, t tag) error {
	if len(t.Payload) == 0 {
		return nil // sent by some encoders before they know better
	}
	if old := p.tracks[kind]; old != nil && old.Codec == t.Codec && bytes.Equal(p.configs[kind], t.Payload) {
		return nil
	}
	track, err := newTrack(t.Codec, t.Payload)
	if err != nil {
		return live.Refuse(live.ReasonMediaInvalid, err)
	}
	p.configs[kind] = t.Payload
	if t.Codec == media.H264 || t.Codec == media.H265 {
		p.lengthSize = media.NALLengthSize(t.Codec, t.Payload)
	}
	if t.Codec == media.VP9 {
		// The size comes with the first key frame; until then the track is only remembered.
		p.tracks[kind] = track
		return nil
	}
	return p.setTrack(kind, track)
}

func newTrack(c media.Codec, config []byte) (*media.Track, error) {
	switch c {
	case media.H264:
		return media.NewH264(config)
	case media.H265:
		return media.NewH265(config)
	case media.AV1:
		return media.NewAV1(config)
	case media.VP9:
		return media.NewVP9(config)
	case media.AAC:
		return media.NewAAC(config)
	case media.Opus:
		dOps, err := media.DOps(config)
		if err != nil {
			return nil, err
		}
		return media.NewOpus(dOps)
	default:
		return nil, fmt.Errorf("rtmp: %v is not carried", c)
	}
}

// setTrack tells the feed where the track is a new one.
func (p *publication) setTrack(kind media.Kind, t *media.Track) error {
	if old := p.tracks[kind]; old != nil && old.Same(t) && old.Width == t.Width && old.Height == t.Height {
		return nil
	}
	p.tracks[kind] = t
	return p.feed.Track(kind, t)
}

// frame takes coded media; at is the message's time in milliseconds.
func (p *publication) frame(kind media.Kind, t tag, at int64) error {
	data := t.Payload
	if len(data) == 0 {
		return nil
	}
	if t.Codec == media.H264 || t.Codec == media.H265 {
		var err error
		if data, err = media.LengthPrefix4(data, p.lengthSize); err != nil {
			return live.Refuse(live.ReasonMediaInvalid, err)
		}
	}
	if err := p.inBand(kind, t.Codec, data); err != nil {
		return err
	}
	track := p.tracks[kind]
	if track == nil || track.Codec != t.Codec {
		return live.Refuse(live.ReasonMediaInvalid, errNoConfig)
	}
	class, err := media.ClassifyUnit(track, data)
	if err != nil {
		return live.Refuse(live.ReasonMediaInvalid, err)
	}
	if class.Empty {
		return nil
	}
	p.units++
	return p.feed.Write(accessUnit(kind, track, t, at, class, data))
}

// accessUnit is a frame of track; at is its message's time in milliseconds.
func accessUnit(kind media.Kind, track *media.Track, t tag, at int64, class media.Class, data []byte) media.AccessUnit {
	ns := media.Ticks(at)*nanosPerMilli + media.Ticks(t.Nanos)
	return media.AccessUnit{
		Kind:         kind,
		DTS:          media.Rescale(ns, media.Nanoseconds, track.Timescale),
		PTS:          media.Rescale(ns+media.Ticks(t.Composition)*nanosPerMilli, media.Nanoseconds, track.Timescale),
		RandomAccess: class.RandomAccess,
		OpenGOP:      class.OpenGOP,
		Disposable:   class.Disposable,
		Data:         data,
	}
}

const nanosPerMilli = 1_000_000

var errNoConfig = errors.New("rtmp: media before its decoder configuration")

// inBand takes over what an access unit says about the track itself: parameter sets that differ from the configuration,
// the size of a VP9 picture. An Opus stream may come without configuration: then it is plain stereo.
func (p *publication) inBand(kind media.Kind, c media.Codec, data []byte) error {
	track := p.tracks[kind]
	if track != nil && track.Codec != c {
		track = nil
	}
	switch c {
	case media.H264, media.H265:
		record, err := parameterSets(c, track, data)
		if err != nil {
			return live.Refuse(live.ReasonMediaInvalid, err)
		}
		if record == nil {
			return nil
		}
		t, err := newTrack(c, record)
		if err != nil {
			return live.Refuse(live.ReasonMediaInvalid, err)
		}
		return p.setTrack(kind, t)
	case media.VP9:
		w, h, ok := media.VP9Size(data)
		if !ok || track == nil {
			return nil
		}
		return p.setTrack(kind, track.WithSize(w, h))
	case media.Opus:
		if track != nil {
			return nil
		}
		t, err := media.NewOpus(plainOpus)
		if err != nil {
			return live.Refuse(live.ReasonMediaInvalid, err)
		}
		return p.setTrack(kind, t)
	default:
		return nil
	}
}

// plainOpus is a dOps record: version 0, two channels, 312 samples of pre-skip, 48 kHz, no gain, mapping family 0.
var plainOpus = []byte{0, 2, 0x01, 0x38, 0, 0, 0xBB, 0x80, 0, 0, 0}
