package audio

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"mediad/media"
	"mediad/transcode/ffmpeg"
)

const (
	// queued is how many Opus packets wait for the child: a second of the usual ones. The oldest are dropped, which is a hole.
	queued = 50
	// ahead is how many AAC frames wait for the packager: a second and more.
	ahead = 64
	// hole is what may be missing of the sound until a new child counts anew; less is jitter of timestamps.
	hole = 60 * time.Millisecond
	// lost is how long a packet lasts that stands for a lost one.
	lost = 960
	// primed is what the AAC encoder puts in front, in samples at 48 kHz. An Opus packet's time is already that of the first sample
	// which a decoder makes of it.
	primed       = 1024
	rate         = 48000
	frameSamples = 1024
	// quickly is how soon a child that ends counts as failing; then it is not started again before failedWait.
	quickly    = 2 * time.Second
	failedWait = time.Second
)

// silence is an Opus packet of 20 ms (RFC 6716 3.1: CELT, full band, stereo) with nothing in it.
var silence = []byte{0xfc, 0xff, 0xfe}

// newTrack is the AAC-LC, 48 kHz, stereo that children make.
func newTrack() (*media.Track, error) { return media.NewAAC([]byte{0x11, 0x90}) }

// encoder turns the Opus of one epoch into AAC.
type encoder struct {
	o     *Options
	log   *slog.Logger
	track *media.Track // Opus
	in    chan media.AccessUnit
	out   chan media.AccessUnit // closed when everything is out
	stop  context.CancelFunc
	run   sync.WaitGroup

	last media.Ticks // DTS of the newest frame that was given away; the reader's
}

func newEncoder(o *Options, track *media.Track, start time.Duration) *encoder {
	ctx, stop := context.WithCancel(context.Background())
	e := &encoder{
		o: o, log: o.Log, track: track, stop: stop,
		in: make(chan media.AccessUnit, o.queue), // see queued
		// The reader must not wait for the packager while the packager waits for pictures: see ahead.
		out:  make(chan media.AccessUnit, ahead),
		last: media.Timescale(rate).Ticks(start) - 1,
	}
	e.run.Go(func() {
		defer close(e.out)
		e.loop(ctx)
	})
	return e
}

// write queues a packet. It never waits.
func (e *encoder) write(au media.AccessUnit) {
	for {
		select {
		case e.in <- au:
			return
		default:
		}
		select {
		case <-e.in: // the oldest: the hole that it leaves is seen by its timestamp
		default:
		}
	}
}

// finish ends the input: what the child still has comes, and then out is closed.
func (e *encoder) finish() { close(e.in) }

// close ends it at once and waits.
func (e *encoder) close() {
	e.stop()
	e.run.Wait()
}

// loop runs children until the input ends.
func (e *encoder) loop(ctx context.Context) {
	var next *media.AccessUnit
	for {
		if next == nil {
			au, ok := e.take(ctx)
			if !ok {
				return
			}
			next = &au
		}
		began := e.o.Now()
		var err error
		next, err = e.child(ctx, *next)
		if ctx.Err() != nil || err == nil && next == nil {
			return
		}
		if err == nil {
			continue // a hole
		}
		e.log.Warn("sound: the encoder ended and is started again", "error", err)
		if e.o.Now().Sub(began) > quickly {
			continue
		}
		wait := time.NewTimer(failedWait)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return
		}
	}
}

func (e *encoder) take(ctx context.Context) (media.AccessUnit, bool) {
	select {
	case au, ok := <-e.in:
		return au, ok
	case <-ctx.Done():
		return media.AccessUnit{}, false
	}
}

// child encodes from first on, until the input ends (nil, nil), there is a hole in it, of which the packet behind is returned, or
// the child fails.
func (e *encoder) child(ctx context.Context, first media.AccessUnit) (next *media.AccessUnit, err error) {
	args := append(ffmpeg.Protect(), "-flags", "low_delay", "-probesize", "32", "-analyzeduration", "0")
	args = append(append(args, ffmpeg.ProtectInput()...), "-f", "ogg", "-i", "pipe:0", "-vn", "-c:a", "aac", "-b:a",
		strconv.Itoa(e.o.Bitrate), "-ar", strconv.Itoa(rate), "-ac", "2", "-flush_packets", "1", "-f", "adts", "pipe:3")
	c, err := ffmpeg.Start(ffmpeg.Options{Path: e.o.FFmpeg, Args: args, Pipes: 1, Log: e.log})
	if err != nil {
		return nil, err
	}
	var reading sync.WaitGroup
	reading.Go(func() { e.read(ctx, c.Pipe(0), first.PTS) })
	quit := context.AfterFunc(ctx, c.Kill)
	next, err = e.feed(ctx, c, first)
	if err != nil {
		c.Kill()
	}
	c.Close() // ends the input first, and waits for what is made of it, though not for ever
	reading.Wait()
	quit()
	if childErr := c.Err(); err != nil && childErr != nil {
		err = childErr
	}
	return next, err
}

func (e *encoder) feed(ctx context.Context, c *ffmpeg.Child, au media.AccessUnit) (next *media.AccessUnit, err error) {
	var o ogg
	if _, err := c.Write(o.head(max(e.track.Channels, 1))); err != nil {
		return nil, err
	}
	due := au.PTS
	for {
		if off := e.track.Timescale.Duration(au.PTS - due); off > hole || off < -hole {
			return &au, nil
		}
		for ; au.PTS-due >= lost/2; due += lost {
			if _, err := c.Write(o.packet(silence)); err != nil {
				return nil, err
			}
		}
		if n := media.OpusSamples(au.Data); n > 0 && len(au.Data) <= maxPacket {
			due += n
			if _, err := c.Write(o.packet(au.Data)); err != nil {
				return nil, err
			}
		}
		select {
		case more, ok := <-e.in:
			if !ok {
				return nil, nil
			}
			au = more
		case <-c.Done():
			return nil, errors.New("it left")
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// read gives away what the child makes of the sound from start on.
func (e *encoder) read(ctx context.Context, r io.Reader, start media.Ticks) {
	b := bufio.NewReaderSize(r, 64<<10)
	at := media.Rescale(start, e.track.Timescale, rate) - primed
	for {
		data, err := readADTS(b)
		if err != nil {
			if !errors.Is(err, io.EOF) && ctx.Err() == nil {
				e.log.Debug("sound: reading the encoder", "error", err)
			}
			_, _ = io.Copy(io.Discard, r) // a full pipe would stop the child
			return
		}
		au := media.AccessUnit{Kind: media.Audio, DTS: at, PTS: at, Duration: frameSamples, RandomAccess: true, Data: data}
		at += frameSamples
		if au.DTS <= e.last {
			continue // before the epoch, or before what another child has made
		}
		e.last = au.DTS
		select {
		case e.out <- au:
		case <-ctx.Done():
		}
	}
}

// readADTS reads one frame without its header (ISO/IEC 14496-3 1.A.2).
func readADTS(r *bufio.Reader) ([]byte, error) {
	h, err := r.Peek(7)
	if err != nil {
		return nil, err
	}
	head := 9
	if h[1]&1 != 0 {
		head = 7
	}
	size := int(h[3]&3)<<11 | int(h[4])<<3 | int(h[5])>>5
	if h[0] != 0xff || h[1]&0xf6 != 0xf0 || h[6]&3 != 0 || size <= head {
		return nil, fmt.Errorf("no ADTS frame: %x", h)
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, err
	}
	return data[head:], nil
}
