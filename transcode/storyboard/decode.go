package storyboard

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"mediad/media"
	"mediad/transcode/ffmpeg"
	"mediad/transcode/nut"
)

// KeyFrame is a picture that can be decoded alone, as MP4 has it.
type KeyFrame struct {
	Track *media.Track
	Data  []byte
}

// ErrNoKeyFrame is what who gives key frames answers, wrapped or not, for one that is lost: it costs its tile, and no more.
var ErrNoKeyFrame = errors.New("storyboard: no key frame")

// decoder makes small pictures of key frames.
type decoder struct {
	ffmpeg  string
	timeout time.Duration // of a child
	log     *slog.Logger
}

// errDecode says that FFmpeg failed, and not whoever gives key frames.
var errDecode = errors.New("storyboard: no pictures")

// pictures decodes count key frames in pictures of the given size, and gives each to show with its number. Of those that cannot be
// decoded show is not called. One child decodes all that have the same configuration.
func (d *decoder) pictures(ctx context.Context, count, w, h int, get func(i int) (KeyFrame, error), show func(i int, p *image.YCbCr)) error {
	var failed error
	for i := 0; i < count; {
		if err := ctx.Err(); err != nil {
			return err
		}
		first, err := get(i)
		if errors.Is(err, ErrNoKeyFrame) {
			i++
			continue
		}
		if err != nil {
			return err
		}
		next, err := d.child(ctx, i, count, w, h, first, get, show)
		if err != nil && !errors.Is(err, errDecode) {
			return err
		}
		failed = errors.Join(failed, err)
		i = max(next, i+1)
	}
	return failed
}

// child decodes from a key frame on while the track stays the same, and returns the number of the first that it was not given.
func (d *decoder) child(ctx context.Context, from, count, w, h int, first KeyFrame, get func(int) (KeyFrame, error),
	show func(int, *image.YCbCr),
) (next int, err error) {
	name, err := nut.FourCC(first.Track.Codec)
	if err != nil {
		return count, fmt.Errorf("%w: %w", errDecode, err)
	}
	bounded, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	c, err := ffmpeg.Start(ffmpeg.Options{Path: d.ffmpeg, Args: args(w, h), Pipes: 1, Nice: 19, WriteTimeout: d.timeout, StopTimeout: d.timeout, Log: d.log})
	if err != nil {
		return from, err
	}
	defer context.AfterFunc(bounded, c.Kill)()
	var feeding sync.WaitGroup
	var fed error
	feeding.Go(func() {
		defer c.CloseInput()
		defer func() {
			if r := recover(); r != nil {
				fed = fmt.Errorf("%w: panic: %v", errDecode, r)
				d.log.Error("storyboard: panic", "panic", r, "stack", string(debug.Stack()))
			}
		}()
		s := nut.Stream{
			Class: nut.Video, FourCC: name, TimeBase: media.Rational{Num: 1, Den: 1}, Width: first.Track.Width, Height: first.Track.Height,
		}
		if first.Track.Codec != media.VP9 {
			s.Extra = first.Track.Config
		}
		b := nut.AppendHeader(nil, s)
		k := first
		for next = from; ; {
			b = append(nut.AppendFrameHeader(b, int64(next-from), true, len(k.Data)), k.Data...)
			if _, err := c.Write(b); err != nil {
				return // what has become of the child is seen below
			}
			for next++; ; next++ {
				if next == count {
					return
				}
				if k, fed = get(next); !errors.Is(fed, ErrNoKeyFrame) {
					break
				}
				fed = nil
			}
			if fed != nil || !k.Track.Same(first.Track) {
				return
			}
			b = b[:0]
		}
	})
	read := read(c.Pipe(0), w, h, func(i int, p *image.YCbCr) {
		if i += from; i < count {
			show(i, p)
		}
	})
	_, _ = io.Copy(io.Discard, c.Pipe(0)) // a full pipe would stop the child
	feeding.Wait()
	c.Close()
	switch err := c.Err(); {
	case ctx.Err() != nil:
		return next, ctx.Err()
	case fed != nil:
		return next, fed
	case err != nil:
		return next, fmt.Errorf("%w: %v: %w", errDecode, first.Track.Codec, err)
	case read != nil:
		return next, fmt.Errorf("%w: %v: %w", errDecode, first.Track.Codec, read)
	}
	return next, nil
}

// args are those of a child that scales pictures to one size, with bars where their shape is another, in the colours of JPEG.
func args(w, h int) []string {
	size := fmt.Sprintf("%d:%d", w, h)
	filter := "scale=w='max(2,trunc(iw*sar/2)*2)':h=ih:flags=fast_bilinear,setsar=1," +
		"scale=" + size + ":force_original_aspect_ratio=decrease:flags=area:out_color_matrix=bt601:out_range=full,format=yuvj420p," +
		"pad=" + size + ":(ow-iw)/2:(oh-ih)/2"
	a := append(ffmpeg.Protect(), "-probesize", "32", "-analyzeduration", "0", "-threads", "1", "-skip_frame", "nokey", "-copyts")
	a = append(append(a, ffmpeg.ProtectInput()...), "-f", "nut", "-i", "pipe:0", "-an", "-vf", filter, "-fps_mode", "passthrough")
	return append(a, "-enc_time_base", "1:1", "-c:v", "rawvideo", "-threads", "1", "-f", "nut", "pipe:3")
}

// read gives away the pictures that a child makes, by the number that is their time.
func read(r io.Reader, w, h int, show func(i int, p *image.YCbCr)) error {
	file, err := nut.NewReader(r)
	if errors.Is(err, io.EOF) {
		return nil // no picture at all
	}
	if err != nil {
		return err
	}
	base := file.Streams()[0].TimeBase
	for {
		f, err := file.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(f.Data) != w*h*3/2 {
			return fmt.Errorf("a picture of %d bytes, not %dx%d", len(f.Data), w, h)
		}
		p := &image.YCbCr{
			Y: f.Data[:w*h], Cb: f.Data[w*h : w*h*5/4], Cr: f.Data[w*h*5/4:], YStride: w, CStride: w / 2,
			SubsampleRatio: image.YCbCrSubsampleRatio420, Rect: image.Rect(0, 0, w, h),
		}
		if i := (f.PTS*int64(base.Num) + int64(base.Den)/2) / int64(base.Den); i >= 0 {
			show(int(i), p)
		}
	}
}
