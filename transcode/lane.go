package transcode

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"mediad/media"
)

// lane is the way of one rung to the sink. Whoever has something to send takes a turn, and sends when those before are through.
type lane struct {
	e     *encoder
	index int
	rung  media.Rung
	last  chan struct{} // closed when the newest turn is over; the encoder's goroutine has it

	// What follows belongs to whose turn it is.
	epoch  int64 // that track was told in
	track  *media.Track
	newest media.Ticks // DTS of what was sent last
	end    media.Ticks // and where it ends

	// shed says that viewers do not have the rung. It changes in whose turn it is; anybody may look.
	shed atomic.Bool
}

// backWithin is how late the key frame may be that a shed rung comes back with. A child that has only begun, or cannot keep up, is later: its
// viewers would be behind from the start, until it catches up or goes again.
const backWithin = 500 * time.Millisecond

func newLane(e *encoder, index int, r media.Rung) *lane {
	l := &lane{e: e, index: index, rung: r, last: make(chan struct{})}
	close(l.last)
	return l
}

// turn queues one more: it may send when before is closed, and closes done when it is through.
func (l *lane) turn() (before <-chan struct{}, done chan struct{}) {
	before, done = l.last, make(chan struct{})
	l.last = done
	return before, done
}

// goes tells that the rung is shed, at the latest behind all that was queued before.
func (l *lane) goes(ctx context.Context) {
	before, done := l.turn()
	l.e.owned.Go(func() {
		defer close(done)
		select {
		case <-before:
		case <-ctx.Done():
			return
		}
		l.leave(ctx)
	})
}

// leave tells that the rung is shed behind what was sent.
func (l *lane) leave(ctx context.Context) {
	if l.shed.Swap(true) {
		return
	}
	l.e.l.o.Observer.Shed(l.e.stream, l.rung.Name, true)
	l.e.log.Warn("ladder: rung shed: this server is too busy to encode it in time; more cores, a GPU or a smaller transcode.ladder help", slog.String("rung", l.rung.Name))
	// The source may have come to another epoch meanwhile, where nobody takes word of the one before.
	_ = l.send(ctx, media.Encoded{Kind: media.EncodedShed, Epoch: l.e.now.Load(), At: media.VideoTimescale.Duration(l.end)})
}

// after is by how much a run that begins at is to be moved so that it comes behind the one before. At a constant rate the last picture of
// the one may have been rounded to the very place of the first of the other.
func (l *lane) after(epoch int64, at, step media.Ticks, p pace) media.Ticks {
	switch {
	case l.epoch != epoch || at > l.newest:
		return 0
	case p == paceConstant:
		return (l.newest-at)/step*step + step
	default:
		return l.newest + 1 - at
	}
}

// unit sends a picture that is so late, and in front of it what must be known. What comes of a shed rung until it may be back goes nowhere.
func (l *lane) unit(ctx context.Context, epoch int64, track *media.Track, u media.AccessUnit, late media.Ticks) error {
	if l.shed.Load() && (!u.RandomAccess || late > media.VideoTimescale.Ticks(backWithin)) {
		return nil
	}
	if l.epoch == epoch && u.DTS <= l.newest {
		return nil // only a run's first picture may come out so, and that is placed by after
	}
	if l.epoch != epoch || !l.track.Same(track) {
		if l.epoch == epoch {
			l.e.log.Warn("ladder: other parameter sets within an epoch", slog.String("rung", l.rung.Name))
		}
		l.epoch, l.track = epoch, track
		if err := l.send(ctx, media.Encoded{Kind: media.EncodedTrack, Epoch: epoch, Track: track}); err != nil {
			return err
		}
	}
	if l.shed.Swap(false) {
		l.e.l.o.Observer.Shed(l.e.stream, l.rung.Name, false)
		l.e.log.Info("ladder: rung back: there is time to encode it again", slog.String("rung", l.rung.Name))
		if err := l.send(ctx, media.Encoded{Kind: media.EncodedRestore, Epoch: epoch}); err != nil {
			return err
		}
	}
	l.newest, l.end = u.DTS, u.DTS+max(u.Duration, 1)
	l.e.s.health.picture(l.index, l.e.l.o.Now())
	return l.send(ctx, media.Encoded{Kind: media.EncodedUnit, Epoch: epoch, Unit: u})
}

func (l *lane) send(ctx context.Context, m media.Encoded) error {
	m.Rung = l.rung.Name
	l.e.s.follow.publish(l.index, m)
	err := l.e.l.o.Sink.Encoded(ctx, l.e.id, m)
	if err != nil && ctx.Err() == nil {
		l.e.log.Debug("ladder: the session is over", slog.Any("error", err))
		l.e.over.Store(true)
		l.e.stop()
	}
	return err
}

// errNoTrack says that an encoder's stream cannot be decoded by what it said in front.
var errNoTrack = errors.New("no track")

// rungTrack makes a track of the parameter sets in an encoder's extradata, which is a byte stream (ISO/IEC 14496-10 annex B).
func rungTrack(extra []byte, rate media.Rational) (*media.Track, error) {
	var sps, pps []byte
	for nal := range nals(extra) {
		switch nal[0] & 0x1f {
		case 7:
			sps = nal
		case 8:
			pps = nal
		}
	}
	record, err := media.AVCC(sps, pps)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoTrack, err)
	}
	t, err := media.NewH264(record)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoTrack, err)
	}
	t.FrameRate = rate
	return t, nil
}

// nals walks a byte stream's NAL units, without the zeros behind them.
func nals(b []byte) func(yield func([]byte) bool) {
	code := []byte{0, 0, 1}
	return func(yield func([]byte) bool) {
		at := bytes.Index(b, code)
		for at >= 0 {
			b = b[at+len(code):]
			at = bytes.Index(b, code)
			nal := b
			if at >= 0 {
				nal = b[:at]
			}
			if nal = bytes.TrimRight(nal, "\x00"); len(nal) > 0 && !yield(nal) {
				return
			}
		}
	}
}

// lengthPrefixed is a picture as MP4 has it: lengths before the NAL units, and neither delimiters nor parameter sets, which the track
// has.
func lengthPrefixed(b []byte) ([]byte, error) {
	out := make([]byte, 0, len(b)+16)
	for nal := range nals(b) {
		switch nal[0] & 0x1f {
		case 7, 8, 9, 12:
			continue
		}
		out = binary.BigEndian.AppendUint32(out, uint32(len(nal)))
		out = append(out, nal...)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: a picture without slices", errNoTrack)
	}
	return out, nil
}
