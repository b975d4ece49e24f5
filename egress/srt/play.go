package srt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts/codecs"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts/substructs"

	"mediad/ingest/srt"
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
	// burst is how much goes out at once before pace is kept: less than the caller's queue of 1024 datagrams.
	burst = 256
	pace  = 200 * time.Microsecond // a datagram; 50 Mbit/s
)

// Source knows what is live; *live.Hub is one.
type Source interface {
	Session(stream string) (*live.Session, bool)
}

// Options configure Players. Source is required.
type Options struct {
	Source Source
	// Authorize refuses who may not play, by an error with the reason to be told. It may take a while, but not longer than ctx.
	// Nil: everybody may play everything.
	Authorize func(ctx context.Context, stream, token string, peer live.Peer) error
	// Log; nil: nothing is logged.
	Log *slog.Logger
}

// Players is the Player of an ingest/srt Server.
type Players struct{ o Options }

var _ srt.Player = (*Players)(nil)

// New returns Players.
func New(o Options) (*Players, error) {
	if o.Source == nil {
		return nil, errors.New("srt: Options.Source is required")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Players{o}, nil
}

// Open lets a player have a stream that is live.
func (p *Players) Open(ctx context.Context, r srt.PlayRequest) (srt.Play, error) {
	if p.o.Authorize != nil {
		if err := p.o.Authorize(ctx, r.Stream, r.Token, r.Peer); err != nil {
			return nil, err
		}
	}
	s, ok := p.o.Source.Session(r.Stream)
	if !ok {
		return nil, live.Refuse(live.ReasonNotLive, nil)
	}
	return &play{sub: s.Subscribe(live.PlayerPolicy), log: p.o.Log.With("stream", r.Stream, "peer", r.Peer.Remote)}, nil
}

// play is one player.
type play struct {
	sub *live.Subscriber
	log *slog.Logger

	w      *mpegts.Writer // of the epoch; nil: it has nothing that is carried
	out    *bufio.Writer
	tracks [media.Kinds]*mpegts.Track
	epoch  *live.Epoch
	sets   [][]byte
}

// Close implements srt.Play.
func (p *play) Close() { p.sub.Close() }

// Run implements srt.Play.
func (p *play) Run(ctx context.Context, w io.Writer) error {
	p.out = bufio.NewWriterSize(&paced{ctx: ctx, w: w}, datagram)
	for {
		ev, err := p.sub.Next(ctx)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		switch ev.Kind {
		case live.EventEpoch:
			err = p.begin(ev.Epoch)
		case live.EventUnit:
			err = p.write(&ev.Unit)
		default: // away: the next epoch is awaited; the end is told by Next
		}
		if err != nil {
			return err
		}
	}
}

// begin makes a program of an epoch's tracks.
func (p *play) begin(e *live.Epoch) error {
	p.epoch, p.w, p.tracks, p.sets = e, nil, [media.Kinds]*mpegts.Track{}, nil
	var tracks []*mpegts.Track
	for k, t := range e.Tracks {
		codec, err := p.codec(t)
		if err != nil {
			p.log.Warn("srt: a track is left out", "track", media.Kind(k).String(), "error", err)
		}
		if codec == nil {
			continue
		}
		p.tracks[k] = &mpegts.Track{Codec: codec}
		tracks = append(tracks, p.tracks[k])
	}
	if len(tracks) == 0 {
		return nil
	}
	w := &mpegts.Writer{W: p.out, Tracks: tracks}
	if err := w.Initialize(); err != nil {
		return fmt.Errorf("srt: %w", err)
	}
	p.w = w
	return nil
}

// codec is a track as a transport stream has it, nil if it does not carry it.
func (p *play) codec(t *media.Track) (codecs.Codec, error) {
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
		return nil, fmt.Errorf("%s is not carried", t.Codec)
	}
}

// write sends one unit.
func (p *play) write(au *media.AccessUnit) error {
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

// paced writes datagrams, a few at once and the rest no faster than pace.
type paced struct {
	ctx   context.Context //nolint:containedctx // of Run, whose writer this is
	w     io.Writer
	ahead int
	from  time.Time
}

func (p *paced) Write(b []byte) (n int, err error) {
	for len(b) > 0 {
		piece := b[:min(len(b), datagram)]
		if err := p.wait(); err != nil {
			return n, err
		}
		if _, err := p.w.Write(piece); err != nil {
			return n, err
		}
		n += len(piece)
		b = b[len(piece):]
	}
	return n, nil
}

// wait lets time pass where more than burst datagrams went out faster than pace.
func (p *paced) wait() error {
	now := time.Now()
	if p.from.IsZero() || now.Sub(p.from) > time.Duration(p.ahead)*pace {
		p.from, p.ahead = now, 0
	}
	p.ahead++
	if p.ahead <= burst {
		return nil
	}
	t := time.NewTimer(time.Until(p.from.Add(time.Duration(p.ahead-burst) * pace)))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-p.ctx.Done():
		return p.ctx.Err()
	}
}
