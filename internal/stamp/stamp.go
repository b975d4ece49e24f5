// Package stamp makes test pictures that carry the wall clock, so that a page can measure the delay from camera to screen: it
// reads the stamp back from the pixels that it shows.
//
// The first row of blocks holds 64 bits, each a block of width/64 pixels, black or white:
//
//	┌────────┬──────────────────────────┬──────────┐
//	│ 8: A5h │ 48: unix milliseconds    │ 8: sum   │   most significant bit first
//	└────────┴──────────────────────────┴──────────┘
//
// The sum is that of the six bytes of the time, modulo 256. Tests and benchmarks use it; the server does not.
package stamp

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"
)

// Options say what to publish.
type Options struct {
	Width, Height int    // multiples of 64 and 2; default 1280x720
	FPS           int    // default 30
	GOP           int    // frames; default FPS
	Bitrate       string // default 2500k
	NoAudio       bool
	Preset        string // x264 preset; default ultrafast
	// Output is what follows the encoders on FFmpeg's command line: -f flv rtmp://…
	Output []string
}

func (o Options) withDefaults() Options {
	if o.Width == 0 {
		o.Width, o.Height = 1280, 720
	}
	if o.FPS == 0 {
		o.FPS = 30
	}
	if o.GOP == 0 {
		o.GOP = o.FPS
	}
	if o.Bitrate == "" {
		o.Bitrate = "2500k"
	}
	if o.Preset == "" {
		o.Preset = "ultrafast"
	}
	return o
}

// Publish encodes stamped pictures with FFmpeg in real time until ctx ends. FFmpeg's messages go to log.
func Publish(ctx context.Context, o Options, log io.Writer) error {
	o = o.withDefaults()
	args := []string{"-hide_banner", "-loglevel", "warning",
		"-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", fmt.Sprintf("%dx%d", o.Width, o.Height), "-r", strconv.Itoa(o.FPS), "-i", "pipe:0"}
	if !o.NoAudio {
		// Sound comes from the same clock through a second pipe: with -re FFmpeg would have a clock of its own, started later, and
		// hold the pictures back in its input queue until the sound has caught up.
		args = append(args, "-f", "s16le", "-ar", strconv.Itoa(soundRate), "-ac", "1", "-i", "pipe:3")
	}
	args = append(args, "-c:v", "libx264", "-preset", o.Preset, "-tune", "zerolatency", "-b:v", o.Bitrate, "-maxrate", o.Bitrate,
		"-bufsize", o.Bitrate, "-g", strconv.Itoa(o.GOP), "-keyint_min", strconv.Itoa(o.GOP), "-sc_threshold", "0")
	if !o.NoAudio {
		args = append(args, "-c:a", "aac", "-b:a", "128k", "-ac", "2")
	}
	args = append(args, "-flush_packets", "1")
	cmd := exec.CommandContext(ctx, "ffmpeg", append(args, o.Output...)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.WaitDelay = 2 * time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	var sound io.WriteCloser
	if !o.NoAudio {
		r, w, err := os.Pipe()
		if err != nil {
			return err
		}
		defer r.Close()
		defer w.Close()
		cmd.ExtraFiles, sound = []*os.File{r}, w
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	began := time.Now()
	var playing sync.WaitGroup
	if sound != nil {
		playing.Go(func() { writeSound(ctx, sound, began) })
	}
	writeErr := writeFrames(ctx, in, o, began)
	_ = in.Close()
	if sound != nil {
		_ = sound.Close()
	}
	playing.Wait()
	waitErr := cmd.Wait()
	select {
	case <-ctx.Done(): // we ended it
		return nil
	default:
	}
	if waitErr != nil {
		return fmt.Errorf("ffmpeg: %w", waitErr)
	}
	return writeErr
}

const (
	soundRate  = 48000
	soundEvery = 10 * time.Millisecond
)

// writeSound writes a tone of 440 Hz with a beep each second, until ctx ends or nobody reads.
func writeSound(ctx context.Context, w io.Writer, began time.Time) {
	const n = int(soundRate * soundEvery / time.Second)
	chunk := make([]byte, 2*n)
	tick := time.NewTimer(0)
	defer tick.Stop()
	for i := 0; ; i++ {
		tick.Reset(time.Until(began.Add(time.Duration(i) * soundEvery)))
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for k := range n {
			at := i*n + k
			pitch := 440.0
			if at%soundRate < soundRate/20 {
				pitch = 1760
			}
			v := int16(4000 * math.Sin(2*math.Pi*pitch*float64(at%soundRate)/soundRate))
			binary.LittleEndian.PutUint16(chunk[2*k:], uint16(v))
		}
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

func writeFrames(ctx context.Context, w io.Writer, o Options, began time.Time) error {
	p := newPainter(o.Width, o.Height)
	wake := time.NewTimer(0)
	defer wake.Stop()
	for i := 0; ; i++ {
		due := began.Add(time.Duration(i) * time.Second / time.Duration(o.FPS))
		wake.Reset(time.Until(due))
		select {
		case <-ctx.Done():
			return nil
		case <-wake.C:
		}
		if _, err := w.Write(p.paint(i, time.Now())); err != nil {
			return err
		}
	}
}

// painter draws a moving texture with the stamp on top into one reused yuv420p picture.
type painter struct {
	width, height int
	texture       []byte // luma, twice as wide as the picture, so that it can move
	frame         []byte
}

func newPainter(width, height int) *painter {
	p := &painter{width: width, height: height, texture: make([]byte, 2*width*height), frame: make([]byte, width*height*3/2)}
	seed := uint32(1)
	for y := range height {
		for x := range 2 * width {
			seed = seed*1664525 + 1013904223
			noise := byte(seed>>24) / 32
			p.texture[y*2*width+x] = byte(48+(x*4/8+y*3/8)%128) + noise
		}
	}
	for i := width * height; i < len(p.frame); i++ {
		p.frame[i] = 128
	}
	return p
}

func (p *painter) paint(i int, now time.Time) []byte {
	shift := i * 4 % p.width
	for y := range p.height {
		copy(p.frame[y*p.width:(y+1)*p.width], p.texture[y*2*p.width+shift:])
	}
	block := p.width / 64
	for bit, v := 0, Bits(now); bit < 64; bit++ {
		luma := byte(16)
		if v>>(63-bit)&1 == 1 {
			luma = 235
		}
		for y := range block {
			row := p.frame[y*p.width+bit*block:][:block]
			for x := range row {
				row[x] = luma
			}
		}
	}
	return p.frame
}

// Bits are the 64 bits that stand for now.
func Bits(now time.Time) uint64 {
	ms := uint64(now.UnixMilli())
	var sum byte
	for i := range 6 {
		sum += byte(ms >> (8 * i))
	}
	return 0xA5<<56 | (ms&0xFFFFFFFFFFFF)<<8 | uint64(sum)
}

// Read is the moment that 64 blocks of luma stand for; false where they are no stamp.
func Read(luma []byte) (at time.Time, ok bool) {
	if len(luma) < 64 {
		return at, false
	}
	var v uint64
	for _, y := range luma[:64] {
		v <<= 1
		if y > 125 {
			v |= 1
		}
	}
	at = time.UnixMilli(int64(v >> 8 & 0xFFFFFFFFFFFF))
	return at, Bits(at) == v
}
