package audio

import (
	"context"
	"errors"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"mediad/media"
	"mediad/transcode/ffmpeg"
	"mediad/transcode/nut"
)

const (
	// hole is what may be missing of the sound until a new child counts anew; less is jitter of timestamps.
	hole = 60 * time.Millisecond
	// drift is how far a unit's time may be from its count until it is counted anew from there: the decoder has refused something.
	drift = 480

	// A child that was given owed of sound and has answered nothing for hung does not work. Its first answer may take longer.
	owed      = 500 * time.Millisecond
	hung      = 2 * time.Second
	hungFirst = 3 * time.Second

	// lead is what the child's clock begins with: an encoder's first units lie before what it is given, and NUT has no times below 0.
	lead = 1
)

var (
	errLeft = errors.New("it left")
	errHung = errors.New("it takes sound and gives none")
)

// answers is what the reader of a child tells its feeder.
type answers struct {
	at      atomic.Int64 // of the newest, and at first of the start, in nanoseconds since some moment
	some    atomic.Bool
	waiting atomic.Bool // for whoever takes what was made: the child is not to blame
}

// flushWithin is how long a child may take for what it still has once its input has ended.
const flushWithin = 1500 * time.Millisecond

// child encodes from first on, until the input ends (nil, nil), there is a hole in it, of which the unit behind is returned, or
// the child fails.
func (e *Encoder) child(ctx context.Context, first media.AccessUnit) (next *media.AccessUnit, err error) {
	args := append(ffmpeg.Protect(), "-flags", "low_delay", "-probesize", "32", "-analyzeduration", "0", "-copyts")
	args = append(append(args, ffmpeg.ProtectInput()...), "-f", "nut", "-i", "pipe:0", "-vn")
	args = append(append(args, e.job.to...), "-ar", strconv.Itoa(rate), "-ac", "2", "-flush_packets", "1",
		"-avoid_negative_ts", "disabled", "-f", "nut", "pipe:3")
	c, err := ffmpeg.Start(ffmpeg.Options{Path: e.o.FFmpeg, Args: args, Pipes: 1, WriteTimeout: hung, Log: e.log})
	if err != nil {
		return nil, err
	}
	var reading sync.WaitGroup
	a := &answers{}
	a.at.Store(e.clock())
	reading.Go(func() { e.read(ctx, c.Pipe(0), first.PTS, a) })
	quit := context.AfterFunc(ctx, c.Kill)
	next, err = e.feed(ctx, c, first, a)
	if err != nil {
		c.Kill()
	}
	c.CloseInput()
	patience := time.AfterFunc(flushWithin, c.Kill)
	reading.Wait() // for what is made of the rest: Close would take the pipe away from under it
	patience.Stop()
	c.Close()
	quit()
	if childErr := c.Err(); err != nil && childErr != nil && !errors.Is(err, errHung) {
		err = childErr
	}
	return next, err
}

// clock is monotonic, in nanoseconds.
func (e *Encoder) clock() int64 { return int64(e.o.Now().Sub(e.began)) }

// feed gives the child what comes.
func (e *Encoder) feed(ctx context.Context, c *ffmpeg.Child, au media.AccessUnit, a *answers) (next *media.AccessUnit, err error) {
	j := &e.job
	if _, err := c.Write(nut.AppendHeader(nil, j.from)); err != nil {
		return nil, err
	}
	var b []byte
	start, given := au.PTS, a.at.Load()
	var unanswered media.Ticks
	write := func(at media.Ticks, data []byte) error {
		b = nut.AppendFrameHeader(b[:0], int64(at-start)+lead*int64(j.scale), true, len(data))
		_, err := c.Write(append(b, data...))
		return err
	}
	for due := start; ; {
		off := j.scale.Duration(au.PTS - due)
		if off > hole || off < -hole {
			return &au, nil
		}
		for j.fill != nil && au.PTS > due {
			data, n := j.fill(au.PTS - due)
			if n == 0 {
				break
			}
			if err := write(due, data); err != nil {
				return nil, err
			}
			due += n
		}
		if n := j.samples(au.Data); n > 0 && len(au.Data) <= maxUnit {
			at := due
			if j.fill == nil {
				at = max(au.PTS, due) // what is missing stays so
			}
			if err := write(at, au.Data); err != nil {
				return nil, err
			}
			due = at + n
			if newest := a.at.Load(); newest != given {
				given, unanswered = newest, 0
			}
			unanswered += n
			if e.hangs(a, j.scale.Duration(unanswered)) {
				return nil, errHung
			}
		}
		select {
		case more, ok := <-e.in:
			if !ok {
				return nil, nil
			}
			au = more
		case <-c.Done():
			return nil, errLeft
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// hangs judges a child that was given so much since it answered last.
func (e *Encoder) hangs(a *answers, unanswered time.Duration) bool {
	patience := hung
	if !a.some.Load() {
		patience = hungFirst
	}
	return unanswered > owed && !a.waiting.Load() && time.Duration(e.clock()-a.at.Load()) > patience
}

// read gives away what the child makes of the sound from start on.
func (e *Encoder) read(ctx context.Context, r io.Reader, start media.Ticks, a *answers) {
	if err := e.units(ctx, r, start, a); !errors.Is(err, io.EOF) && ctx.Err() == nil {
		e.log.Debug("sound: reading the encoder", "error", err)
	}
	_, _ = io.Copy(io.Discard, r) // a full pipe would stop the child
}

func (e *Encoder) units(ctx context.Context, r io.Reader, start media.Ticks, a *answers) error {
	file, err := nut.NewReader(r)
	if err != nil {
		return err
	}
	if s := file.Streams(); len(s) != 1 || s[0].TimeBase.Num != 1 || s[0].TimeBase.Den != rate {
		return errors.New("not one track of 48 kHz")
	}
	zero := media.Rescale(start, e.job.scale, rate) - lead*rate
	var next media.Ticks
	for some := false; ; some = true {
		f, err := file.Next()
		if err != nil {
			return err
		}
		a.some.Store(true)
		a.at.Store(e.clock())
		// Units are counted: rounding at another rate would make their times uneven.
		if at := zero + media.Ticks(f.PTS); !some || at-next > drift || next-at > drift {
			next = at
		}
		au := media.AccessUnit{Kind: media.Audio, DTS: next, PTS: next, Duration: e.job.frame, RandomAccess: true, Data: f.Data}
		next += e.job.frame
		if au.DTS <= e.last || len(au.Data) == 0 {
			continue // before the epoch, or before what another child has made
		}
		e.last = au.DTS
		a.waiting.Store(true)
		select {
		case e.out <- au:
		case <-ctx.Done():
			return ctx.Err() // what lies behind one that nobody takes is not given either
		}
		a.at.Store(e.clock())
		a.waiting.Store(false)
	}
}
