package mediatest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os/exec"
	"testing"
	"time"

	"mediad/media"
)

// EncodedPattern describes a short clip that FFmpeg makes; zero means default.
type EncodedPattern struct {
	Width, Height int            // default 320x180
	FPS           media.Rational // default 30/1
	Frames        int            // default two seconds'
	GOP           int            // default one second's
	BFrames       int
	Start         media.Ticks // PTS of the first picture, 90 kHz; audio begins with it
	NoAudio       bool
}

// Encoded makes a clip of a moving test picture and a tone that really decode, on a constant rate, with units interleaved. It
// needs FFmpeg, which `make test` installs.
func Encoded(t testing.TB, p EncodedPattern) (video, audio *media.Track, units []media.AccessUnit) {
	t.Helper()
	if p.Width == 0 {
		p.Width, p.Height = 320, 180
	}
	if p.FPS.Num == 0 {
		p.FPS = media.Rational{Num: 30, Den: 1}
	}
	second := int((p.FPS.Num + p.FPS.Den - 1) / p.FPS.Den)
	if p.Frames == 0 {
		p.Frames = 2 * second
	}
	if p.GOP == 0 {
		p.GOP = second
	}
	// Half a frame less: inputs end before the first frame that begins at or after it.
	length := fmt.Sprintf("%.6f", (float64(p.Frames)-0.5)/p.FPS.Float())
	args := []string{"-v", "error", "-t", length, "-f", "lavfi", "-i",
		fmt.Sprintf("testsrc2=size=%dx%d:rate=%d/%d", p.Width, p.Height, p.FPS.Num, p.FPS.Den)}
	if !p.NoAudio {
		args = append(args, "-t", length, "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-c:a", "aac", "-ac", "2", "-b:a", "96k")
	}
	args = append(args, "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", fmt.Sprint(p.GOP), "-keyint_min", fmt.Sprint(p.GOP),
		"-sc_threshold", "0", "-bf", fmt.Sprint(p.BFrames), "-b_strategy", "0", "-f", "flv", "pipe:1")

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var out, msg bytes.Buffer
	cmd := exec.CommandContext(ctx, "ffmpeg", args...)
	cmd.Stdout, cmd.Stderr = &out, &msg
	if err := cmd.Run(); err != nil {
		t.Fatalf("ffmpeg: %v: %s", err, msg.Bytes())
	}
	c := clip{pattern: p}
	if err := c.read(out.Bytes()); err != nil {
		t.Fatalf("FLV: %v", err)
	}
	if len(c.v) != p.Frames {
		t.Fatalf("%d pictures of %d", len(c.v), p.Frames)
	}
	if p.NoAudio {
		return c.video, nil, c.v
	}
	return c.video, c.audio, Interleave(c.video, c.audio, c.v, c.a)
}

// clip is what is read from an FLV file.
type clip struct {
	pattern      EncodedPattern
	video, audio *media.Track
	v, a         []media.AccessUnit
	delay        int // pictures from the first DTS to the first PTS
}

func (c *clip) read(b []byte) error {
	const header, tagHeader, trailer = 9 + 4, 11, 4
	if len(b) < header {
		return media.ErrTruncated
	}
	for b = b[header:]; len(b) > tagHeader; {
		size := int(binary.BigEndian.Uint32(b) & 0xffffff)
		if len(b) < tagHeader+size+trailer {
			return media.ErrTruncated
		}
		var err error
		if body := b[tagHeader : tagHeader+size]; size > 5 {
			switch b[0] {
			case 8:
				err = c.audioTag(body)
			case 9:
				err = c.videoTag(body)
			}
		}
		if err != nil {
			return err
		}
		b = b[tagHeader+size+trailer:]
	}
	return nil
}

func (c *clip) videoTag(b []byte) (err error) {
	data := b[5:]
	switch b[1] {
	case 0:
		c.video, err = media.NewH264(data)
		return err
	case 1:
	default:
		return nil
	}
	if c.video == nil {
		return errors.New("picture before its configuration")
	}
	class, err := media.ClassifyUnit(c.video, data)
	if err != nil {
		return err
	}
	// Whole pictures again of what FLV has in milliseconds.
	p := VideoPattern{FPS: c.pattern.FPS, Start: c.pattern.Start}
	offset := int(float64(binary.BigEndian.Uint32(b[1:])&0xffffff)*p.FPS.Float()/1000 + 0.5)
	i := len(c.v)
	if i == 0 {
		c.delay = offset
	}
	dts := p.at(i - c.delay)
	c.v = append(c.v, media.AccessUnit{
		Kind: media.Video, DTS: dts, PTS: p.at(i - c.delay + offset), Duration: p.at(i-c.delay+1) - dts,
		RandomAccess: class.RandomAccess, OpenGOP: class.OpenGOP, Disposable: class.Disposable, Data: data,
	})
	return nil
}

func (c *clip) audioTag(b []byte) (err error) {
	if b[1] == 0 {
		c.audio, err = media.NewAAC(b[2:])
		return err
	}
	if c.audio == nil {
		return errors.New("sound before its configuration")
	}
	step := media.Ticks(c.audio.FrameSamples)
	at := media.Rescale(c.pattern.Start, media.VideoTimescale, c.audio.Timescale) + media.Ticks(len(c.a))*step
	c.a = append(c.a, media.AccessUnit{Kind: media.Audio, DTS: at, PTS: at, Duration: step, RandomAccess: true, Data: b[2:]})
	return nil
}
