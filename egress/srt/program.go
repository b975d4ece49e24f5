package srt

import (
	"bufio"
	"fmt"
	"io"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts/codecs"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts/substructs"

	"mediad/live"
	"mediad/media"
)

const (
	// datagram is seven transport packets, what SRT carries in one.
	datagram = 7 * 188
	// begins is where session time 0 is on the clock of the transport stream, so that the clock reference in front of the first
	// picture is not before 0.
	begins = 10 * 90000
	// clockBits is how wide that clock is.
	clockBits = 33
)

// Program is a session as an MPEG transport stream. It is used by one goroutine.
type Program struct {
	w      *mpegts.Writer // of the epoch; nil: it has nothing that is carried
	out    *bufio.Writer
	tracks [media.Kinds]*mpegts.Track
	epoch  *live.Epoch
	sets   [][]byte
}

// NewProgram returns a Program that writes datagrams to w, of at most seven transport packets each.
func NewProgram(w io.Writer) *Program { return &Program{out: bufio.NewWriterSize(w, datagram)} }

// NotCarriedError is about a track that a transport stream does not carry.
type NotCarriedError struct{ Codec media.Codec }

func (e *NotCarriedError) Error() string {
	return fmt.Sprintf("%s is not carried by MPEG-TS", e.Codec)
}

// Begin makes a program of an epoch's tracks. left tells of each track why it is left out, nil if it is not.
func (p *Program) Begin(e *live.Epoch) (left [media.Kinds]error, err error) {
	p.epoch, p.w, p.tracks, p.sets = e, nil, [media.Kinds]*mpegts.Track{}, nil
	var tracks []*mpegts.Track
	for k, t := range e.Tracks {
		codec, err := p.codec(t)
		left[k] = err
		if codec == nil || err != nil {
			continue
		}
		p.tracks[k] = &mpegts.Track{Codec: codec}
		tracks = append(tracks, p.tracks[k])
	}
	if len(tracks) == 0 {
		return left, nil
	}
	w := &mpegts.Writer{W: p.out, Tracks: tracks}
	if err := w.Initialize(); err != nil {
		return left, fmt.Errorf("srt: %w", err)
	}
	p.w = w
	return left, nil
}

// codec is a track as a transport stream has it, nil if there is none.
func (p *Program) codec(t *media.Track) (codecs.Codec, error) {
	if t == nil {
		return nil, nil //nolint:nilnil // no track, and nothing wrong with that
	}
	var err error
	switch t.Codec {
	case media.H264:
		p.sets, err = t.ParameterSets()
		return &codecs.H264{}, err
	case media.H265:
		p.sets, err = t.ParameterSets()
		return &codecs.H265{}, err
	case media.AAC:
		c := &codecs.MPEG4Audio{}
		err = c.Unmarshal(t.Config)
		c.ExtensionType = mpeg4audio.ObjectType(0) // ADTS tells the core alone; the rest is found in the frames
		return c, err
	case media.Opus:
		return &codecs.Opus{Desc: &substructs.OpusAudioDescriptor{ChannelConfigCode: uint8(t.Channels)}}, nil
	default:
		return nil, &NotCarriedError{t.Codec}
	}
}

// Write sends one unit of the epoch; what is not carried is passed over.
func (p *Program) Write(au *media.AccessUnit) error {
	to := p.tracks[au.Kind]
	if p.w == nil || to == nil {
		return nil
	}
	t := p.epoch.Tracks[au.Kind]
	clock := func(at media.Ticks) int64 {
		return int64(media.Rescale(at, t.Timescale, media.VideoTimescale)+begins) & (1<<clockBits - 1)
	}
	pts, dts := clock(au.PTS), clock(au.DTS)
	var err error
	switch t.Codec {
	case media.AAC:
		err = p.w.WriteMPEG4Audio(to, pts, [][]byte{au.Data})
	case media.Opus:
		err = p.w.WriteOpus(to, pts, [][]byte{au.Data})
	default:
		var nals [][]byte
		if nals, err = t.NALs(au.Data, au.RandomAccess, p.sets); err != nil {
			break
		}
		switch {
		case len(nals) == 0:
		case t.Codec == media.H264:
			err = p.w.WriteH264(to, pts, dts, nals)
		default:
			err = p.w.WriteH265(to, pts, dts, nals)
		}
	}
	if err != nil {
		return err
	}
	return p.out.Flush()
}
