package thumb

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"mediad/media"
	"mediad/transcode/ffmpeg"
)

// maxJPEG is far above what a picture of a few hundred pixels has.
const maxJPEG = 1 << 20

var errNoPicture = errors.New("no picture came out")

// encode makes a JPEG of a key frame.
func (p *Pictures) encode(ctx context.Context, k keyFrame) ([]byte, error) {
	format, in, err := input(k)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, p.o.Timeout)
	defer cancel()
	c, err := ffmpeg.Start(ffmpeg.Options{Path: p.o.FFmpeg, Args: args(format, p.o.Width), Pipes: 1, Log: p.o.Log})
	if err != nil {
		return nil, err
	}
	quit := context.AfterFunc(ctx, c.Kill)
	defer quit()
	var jpeg []byte
	var readErr error
	var reading sync.WaitGroup
	reading.Go(func() {
		jpeg, readErr = io.ReadAll(io.LimitReader(c.Pipe(0), maxJPEG+1))
		_, _ = io.Copy(io.Discard, c.Pipe(0)) // a full pipe would stop the child
	})
	_, _ = c.Write(in) // a child that has its picture reads no further; that it made none is seen below
	c.CloseInput()
	select {
	case <-c.Done():
	case <-ctx.Done():
		c.Kill()
	}
	reading.Wait() // the child is gone, or about to be: the pipe ends
	c.Close()
	switch err := c.Err(); {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, err
	case readErr != nil:
		return nil, readErr
	case len(jpeg) == 0 || len(jpeg) > maxJPEG:
		return nil, fmt.Errorf("%w: %d bytes", errNoPicture, len(jpeg))
	}
	return jpeg, nil
}

// args are those of a child that makes one JPEG of one picture, with square pixels and no wider than width.
func args(format string, width int) []string {
	scale := fmt.Sprintf("scale=w='max(2,trunc(min(%d,iw*sar)/2)*2)':h='max(2,trunc(ow/dar/2)*2)':flags=bilinear,setsar=1", width)
	a := append(ffmpeg.Protect(), "-threads", "1")
	a = append(append(a, ffmpeg.ProtectInput()...), "-f", format, "-i", "pipe:0", "-an", "-frames:v", "1", "-vf", scale)
	return append(a, "-pix_fmt", "yuvj420p", "-c:v", "mjpeg", "-threads", "1", "-q:v", "5", "-f", "mjpeg", "pipe:3")
}

// input is what a child reads: the key frame in the simplest thing that FFmpeg knows its codec in.
func input(k keyFrame) (format string, b []byte, err error) {
	switch t := k.track; t.Codec {
	case media.H264, media.H265:
		sets, err := t.ParameterSets()
		if err != nil {
			return "", nil, err
		}
		nals, err := t.NALs(k.unit.Data, true, sets)
		if err != nil {
			return "", nil, err
		}
		for _, nal := range nals {
			b = append(append(b, 0, 0, 0, 1), nal...)
		}
		if t.Codec == media.H265 {
			return "hevc", b, nil
		}
		return "h264", b, nil
	case media.AV1:
		// Each temporal unit begins with a delimiter (AV1 7.5); behind the four bytes of its head, the configuration has the
		// sequence header, which a key frame need not repeat.
		return "ivf", ivf(t, "AV01", []byte{0x12, 0}, t.Config[4:], k.unit.Data), nil
	case media.VP9:
		return "ivf", ivf(t, "VP90", k.unit.Data), nil
	case media.VP8:
		return "ivf", ivf(t, "VP80", k.unit.Data), nil
	default:
		return "", nil, errors.New("no picture is made of this codec")
	}
}

// ivf is a file of one frame, in pieces: a header of 32 bytes, and one of 12 in front of the frame.
func ivf(t *media.Track, fourCC string, frame ...[]byte) []byte {
	size := 0
	for _, f := range frame {
		size += len(f)
	}
	b := make([]byte, 44, 44+size)
	copy(b, "DKIF")
	binary.LittleEndian.PutUint16(b[6:], 32)
	copy(b[8:], fourCC)
	binary.LittleEndian.PutUint16(b[12:], uint16(t.Width))
	binary.LittleEndian.PutUint16(b[14:], uint16(t.Height))
	binary.LittleEndian.PutUint32(b[16:], 30) // frames in a second, of which there is one
	binary.LittleEndian.PutUint32(b[20:], 1)
	binary.LittleEndian.PutUint32(b[24:], 1)
	binary.LittleEndian.PutUint32(b[32:], uint32(size))
	for _, f := range frame {
		b = append(b, f...)
	}
	return b
}
