package rtmp

import (
	"bytes"
	"errors"
	"fmt"

	"mediad/ingest"
	"mediad/live"
	"mediad/media"
)

// How a multitrack message tells its tracks apart (E-RTMP v2, AvMultitrackType).
const (
	oneTrack             = 0
	manyTracks           = 1
	manyTracksManyCodecs = 2
)

var errTracks = live.Refuse(live.ReasonMediaInvalid, errors.New("rtmp: multitrack message that is none"))

// multitrack reads what stands between the header of a multitrack message and its first track. itself is the packet type that brought us here,
// which a track may not have again.
func (t tag) multitrack(b []byte, itself byte, known map[string]media.Codec, unknown, use string) (tag, error) {
	if len(b) < 1 {
		return tag{}, errShort
	}
	t.Kind, t.multi, t.packet = tagTracks, b[0]>>4, b[0]&0x0F
	b = b[1:]
	if t.multi > manyTracksManyCodecs || t.packet == itself || t.packet == exModEx {
		return tag{}, errTracks
	}
	if t.multi != manyTracksManyCodecs {
		if len(b) < 4 {
			return tag{}, errShort
		}
		t.Codec, b, t.unknown = codecOf(b, known, unknown, use)
	}
	t.Payload = b
	return t, nil
}

// next takes the first track off a tag of tagTracks: one is that track's message, and t is left with the rest. The caller calls it while Payload is
// not empty. Every call takes a byte at least.
func (t *tag) next(kind media.Kind) (one tag, err error) {
	b := t.Payload
	one = *t
	one.Kind = tagNothing
	if t.multi == manyTracksManyCodecs {
		if len(b) < 4 {
			t.Payload = nil
			return tag{}, errShort
		}
		if kind == media.Audio {
			one.Codec, b, one.unknown = codecOf(b, exAudioCodecs, "audio of an unknown codec", useAudio)
		} else {
			one.Codec, b, one.unknown = codecOf(b, exVideoCodecs, "video of an unknown codec", useVideo)
		}
	}
	if len(b) < 1 {
		t.Payload = nil
		return tag{}, errShort
	}
	one.Track, b = b[0], b[1:]
	rest := []byte(nil)
	if t.multi != oneTrack {
		if len(b) < 3 {
			t.Payload = nil
			return tag{}, errShort
		}
		n := int(uint24(b))
		if b = b[3:]; n > len(b) {
			t.Payload = nil
			return tag{}, live.Refuse(live.ReasonMediaInvalid, fmt.Errorf("rtmp: track of %d bytes with %d left", n, len(b)))
		}
		b, rest = b[:n:n], b[n:]
	}
	t.Payload = rest
	inner := one
	switch err = one.unknown; {
	case err != nil:
	case kind == media.Audio:
		inner, err = one.exAudio(b, t.packet)
	default:
		inner, err = one.exVideo(b, t.packet)
	}
	if one.Track != 0 && err != nil && live.ReasonOf(err) != live.ReasonMediaInvalid {
		return one, nil // a codec that is not carried is not the end of the tracks beside it
	}
	return inner, err
}

// codecOf takes the codec's name off b, also where it is not carried.
func codecOf(b []byte, known map[string]media.Codec, unknown, use string) (c media.Codec, rest []byte, err error) {
	c, _, err = fourCC(b, known, unknown, use)
	return c, b[4:], err
}

// layerFeed is a Feed that takes layers; *ingest.Feed is one. Others get the source alone.
type layerFeed interface {
	Layer(n uint8, t *media.Track)
	WriteLayer(au media.AccessUnit) error
}

// layer is a track of video beside the default one.
type layer struct {
	id         uint8
	track      *media.Track // nil: it has no configuration yet that can be read
	config     []byte
	lengthSize int
}

// several takes a message of several tracks. What is wrong with one costs that one.
func (p *publication) several(kind media.Kind, t tag, at int64) (first error) {
	for {
		one, err := t.next(kind)
		if err == nil {
			err = p.one(kind, one, at)
		}
		switch {
		case err != nil && live.ReasonOf(err) != live.ReasonMediaInvalid:
			return err
		case first == nil:
			first = err
		}
		if len(t.Payload) == 0 {
			return first
		}
	}
}

// beside takes what is of another track than the default one. Nothing that is wrong with it harms the default one.
func (p *publication) beside(kind media.Kind, t tag, at int64) error {
	feed, ok := p.feed.(layerFeed)
	n := 0
	if ok && kind == media.Video {
		n = p.layerOf(t)
	}
	switch {
	case n == 0:
		p.ignored[kind] = true
	case t.Kind == tagConfig:
		p.layers[n-1].configure(feed, uint8(n), t)
	case t.Kind == tagFrame:
		au, err := p.layers[n-1].unit(t, at)
		if err != nil {
			p.bad++
			return nil //nolint:nilerr // counted; see above
		}
		au.Layer = uint8(n)
		p.units++
		return feed.WriteLayer(au)
	}
	return nil
}

// layerOf is the layer of a track, which counts from 1 in the order in which tracks begin; 0: there is no room for another.
func (p *publication) layerOf(t tag) int {
	for i := range p.layers {
		if p.layers[i].id == t.Track {
			return i + 1
		}
	}
	if t.Kind != tagConfig || len(p.layers) == ingest.MaxLayers {
		return 0
	}
	p.layers = append(p.layers, layer{id: t.Track})
	return len(p.layers)
}

func (l *layer) configure(feed layerFeed, n uint8, t tag) {
	if len(t.Payload) == 0 || l.track != nil && l.track.Codec == t.Codec && bytes.Equal(l.config, t.Payload) {
		return
	}
	track, err := newTrack(t.Codec, t.Payload)
	if err != nil || t.Codec == media.VP9 { // whose size is not in its configuration
		l.track = nil
		return
	}
	l.track, l.config, l.lengthSize = track, t.Payload, media.NALLengthSize(t.Codec, t.Payload)
	feed.Layer(n, track)
}

// unit makes an access unit of a frame; at is the message's time in milliseconds.
func (l *layer) unit(t tag, at int64) (media.AccessUnit, error) {
	if l.track == nil || l.track.Codec != t.Codec {
		return media.AccessUnit{}, errNoConfig
	}
	data := t.Payload
	if t.Codec == media.H264 || t.Codec == media.H265 {
		var err error
		if data, err = media.LengthPrefix4(data, l.lengthSize); err != nil {
			return media.AccessUnit{}, err
		}
	}
	class, err := media.ClassifyUnit(l.track, data)
	if err != nil {
		return media.AccessUnit{}, err
	}
	if class.Empty || len(data) == 0 {
		return media.AccessUnit{}, errTracks
	}
	return accessUnit(media.Video, l.track, t, at, class, data), nil
}
