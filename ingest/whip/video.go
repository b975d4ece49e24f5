package whip

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"mediad/live"
	"mediad/media"
)

// maxFreeze is how long pictures are dropped for want of a key frame. A peer that cannot be asked for one goes on in pieces.
const maxFreeze = 2 * time.Second

// videoTrack makes pictures of one stream of packets: the only one there is, or a layer of simulcast.
type videoTrack struct {
	codec media.Codec
	rid   string
	ssrc  uint32
	jit   jitter
	asm   assembler
	clock clock

	sps, pps []byte
	track    *media.Track // nil until a key frame told

	torn    bool // a packet was lost: pictures are dropped until a key frame comes whole
	tornAt  time.Duration
	partial bool // packets of timestamp skip belong to a picture whose beginning is missing
	skip    uint32
	keyAt   time.Duration // arrival of the newest key frame, and
	seenAt  time.Duration // of the newest picture; 0: none yet

	layer // what it is beside the source
}

// picture is a unit with what its bytes say.
type picture struct {
	unit
	class media.Class
}

// learn takes over what a picture says about the track.
func (v *videoTrack) learn(data []byte) error {
	var t *media.Track
	var err error
	switch v.codec {
	case media.H264:
		t, err = v.parameterSets(data)
	case media.AV1:
		t, err = media.AV1TrackOf(data)
	case media.VP9:
		t, err = vp9Track(data)
	case media.VP8:
		t, err = vp8Track(data)
	default:
		return live.Refuse(live.ReasonCodecUnsupported, fmt.Errorf("whip: %v", v.codec))
	}
	if err != nil {
		return live.Refuse(live.ReasonMediaInvalid, err)
	}
	if t != nil && (!t.Same(v.track) || t.Width != v.track.Width || t.Height != v.track.Height) {
		v.track = t
	}
	return nil
}

// parameterSets looks for SPS and PPS; the track is nil where they are those that are known. Encoders for WebRTC have one of
// each.
func (v *videoTrack) parameterSets(data []byte) (*media.Track, error) {
	changed := false
	for len(data) >= 4 {
		n := int(binary.BigEndian.Uint32(data))
		if n > len(data)-4 {
			return nil, media.ErrTruncated
		}
		nal := data[4 : 4+n]
		data = data[4+n:]
		if n == 0 {
			continue
		}
		set := &v.sps
		switch nal[0] & 0x1F {
		case nalSPS:
		case nalPPS:
			set = &v.pps
		default:
			continue
		}
		if !bytes.Equal(*set, nal) {
			*set = bytes.Clone(nal)
			changed = true
		}
	}
	if !changed || v.sps == nil || v.pps == nil {
		return nil, nil
	}
	record, err := media.AVCC(v.sps, v.pps)
	if err != nil {
		return nil, err
	}
	return media.NewH264(record)
}

// tear marks that packets are missing before the one with this timestamp and payload.
func (v *videoTrack) tear(timestamp uint32, payload []byte, now time.Duration) {
	v.asm.reset()
	if !v.torn {
		v.torn, v.tornAt = true, now
	}
	if v.partial = !v.asm.begins(payload); v.partial {
		v.skip = timestamp
	}
}

// take returns the pictures that a packet in order completes. lost says how many are missing before it.
func (v *videoTrack) take(a arrived, lost int) (out []picture, err error) {
	if len(a.pkt.Payload) == 0 {
		if lost > 0 {
			v.tear(a.pkt.Timestamp, nil, a.at)
		}
		return nil, nil // padding, which keeps the sender's estimate of the network going
	}
	if lost > 0 || v.track == nil && v.seenAt == 0 && !v.torn {
		v.tear(a.pkt.Timestamp, a.pkt.Payload, a.at)
	}
	if v.partial {
		if a.pkt.Timestamp == v.skip {
			return nil, nil
		}
		v.partial = false
	}
	units, err := v.asm.push(a.pkt)
	if err != nil {
		v.tear(a.pkt.Timestamp, nil, a.at)
	}
	for _, u := range units {
		v.seenAt = a.at
		if fault := v.learn(u.data); fault != nil {
			err = fault
			continue
		}
		if v.track == nil {
			continue // in the middle of a stream: the first key frame has it all
		}
		c, fault := media.ClassifyUnit(v.track, u.data)
		if fault != nil {
			v.tear(a.pkt.Timestamp, nil, a.at)
			err = live.Refuse(live.ReasonMediaInvalid, fault)
			continue
		}
		switch {
		case c.Empty:
			continue
		case c.RandomAccess:
			v.torn, v.keyAt = false, a.at
		case v.torn && (v.keyAt == 0 || a.at-v.tornAt < maxFreeze):
			continue
		}
		v.torn = false
		out = append(out, picture{u, c})
	}
	return out, err
}
