package srt

import (
	"context"
	"io"
	"time"
)

const (
	// burst is how much goes out at once before pace is kept: less than the queue of 1024 datagrams that gosrt has.
	burst = 256
	pace  = 200 * time.Microsecond // a datagram; 50 Mbit/s
)

// Paced returns a writer that hands datagrams to w no faster than a line would take them, after a few at once. A Write waits no longer
// than ctx.
func Paced(ctx context.Context, w io.Writer) io.Writer { return &paced{ctx: ctx, w: w} }

// paced writes datagrams, a few at once and the rest no faster than pace.
type paced struct {
	ctx   context.Context //nolint:containedctx // of whoever sends, whose writer this is
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
