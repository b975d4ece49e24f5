package srt

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"

	"mediad/ingest/srt"
	"mediad/live"
	"mediad/media"
)

// Source knows what is live; *live.Hub is one.
type Source interface {
	Session(stream string) (*live.Session, bool)
}

// Options configure Players. Source is required.
type Options struct {
	Source Source
	// Authorize refuses who may not play, by an error with the reason to be told. It may take a while, but not longer than ctx.
	// lost is closed when they no longer may, nil where that never ends. Nil: everybody may play everything.
	Authorize func(ctx context.Context, stream, token string, peer live.Peer) (lost <-chan struct{}, err error)
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
	var lost <-chan struct{}
	if p.o.Authorize != nil {
		var err error
		if lost, err = p.o.Authorize(ctx, r.Stream, r.Token, r.Peer); err != nil {
			return nil, err
		}
	}
	s, ok := p.o.Source.Session(r.Stream)
	if !ok {
		return nil, live.Refuse(live.ReasonNotLive, nil)
	}
	return &play{sub: s.Subscribe(live.PlayerPolicy), lost: lost, log: p.o.Log.With("stream", r.Stream, "peer", r.Peer.Remote)}, nil
}

// play is one player.
type play struct {
	sub  *live.Subscriber
	lost <-chan struct{} // closed when it may no longer play; nil: never
	log  *slog.Logger
}

// Close implements srt.Play.
func (p *play) Close() { p.sub.Close() }

// Run implements srt.Play.
func (p *play) Run(ctx context.Context, w io.Writer) error {
	ctx, stop := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer stop(nil)
	watching.Go(func() {
		select {
		case <-p.lost:
			stop(live.Refuse(live.ReasonRightsChanged, nil))
		case <-ctx.Done():
		}
	})
	err := p.run(ctx, w)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func (p *play) run(ctx context.Context, w io.Writer) error {
	program := NewProgram(Paced(ctx, w))
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
			err = p.begin(program, ev.Epoch)
		case live.EventUnit:
			err = program.Write(&ev.Unit)
		default: // away: the next epoch is awaited; the end is told by Next
		}
		if err != nil {
			return err
		}
	}
}

func (p *play) begin(program *Program, e *live.Epoch) error {
	left, err := program.Begin(e)
	for k, why := range left {
		if why != nil {
			p.log.Warn("srt: a track is left out", "track", media.Kind(k).String(), "error", why)
		}
	}
	return err
}
