//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/media"
	"mediad/media/amf0"
	"mediad/media/chunk"
	"mediad/media/mediatest"
)

// clip is one picture in several sizes, with sound.
type clip struct {
	video []*media.Track // by layer; 0 is the source
	sound *media.Track
	units []media.AccessUnit // of all tracks, in the order to send them in
}

// encodedSizes makes a clip without B-frames whose key frames stand in the same places in all sizes.
func encodedSizes(t testing.TB, frames int, sizes ...[2]int) clip {
	t.Helper()
	var c clip
	var source []media.AccessUnit
	layers := make([][]media.AccessUnit, len(sizes))
	for i, size := range sizes {
		v, a, units := mediatest.Encoded(t, mediatest.EncodedPattern{
			Width: size[0], Height: size[1], FPS: media.Rational{Num: 30000, Den: 1001}, GOP: 60, Frames: frames, NoAudio: i > 0,
		})
		c.video = append(c.video, v)
		if i == 0 {
			c.sound, source = a, units
		} else {
			layers[i] = units
		}
	}
	n := 0
	for _, u := range source {
		c.units = append(c.units, u)
		if u.Kind != media.Video {
			continue
		}
		for i := 1; i < len(layers); i++ {
			u := layers[i][n]
			u.Layer = uint8(i)
			c.units = append(c.units, u)
		}
		n++
	}
	return c
}

func (c clip) time(u media.AccessUnit) time.Duration {
	if u.Kind == media.Audio {
		return c.sound.Timescale.Duration(u.DTS)
	}
	return media.VideoTimescale.Duration(u.DTS)
}

// rtmpSender is a publisher of what FFmpeg cannot send.
type rtmpSender struct {
	nc     net.Conn
	in     *chunk.Reader
	size   int // of our chunks
	calls  int
	stream uint32
	out    []byte
}

// publishMultitrack sends a clip in real time until the test ends, as OBS does with Enhanced Broadcasting: the source in the
// form that RTMP always had, and each other size as track 1, 2, … in multitrack messages with one track each (E-RTMP v2). At
// the clip's end it falls silent.
func (s *server) publishMultitrack(t testing.TB, stream string, c clip) {
	t.Helper()
	nc, err := net.DialTimeout("tcp", s.rtmp, 10*time.Second)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	p := &rtmpSender{nc: nc, size: chunk.DefaultSize}
	if err := p.open("live", stream); err != nil {
		nc.Close()
		require.NoError(t, err)
	}
	running.Go(func() { // answers that nobody asks for must not fill the socket
		for {
			if _, err := p.in.Next(); err != nil {
				return
			}
		}
	})
	running.Go(func() {
		defer nc.Close()
		if err := p.play(ctx, c); err != nil {
			t.Errorf("the multitrack publisher: %v", err)
		}
	})
}

// open shakes hands and asks to publish.
func (p *rtmpSender) open(app, stream string) error {
	if err := p.nc.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return err
	}
	const greeting = 1536
	hello := make([]byte, 1+greeting)
	hello[0] = 3
	if err := p.write(hello); err != nil {
		return err
	}
	answer := make([]byte, 1+greeting+greeting)
	if _, err := io.ReadFull(p.nc, answer); err != nil {
		return err
	}
	if err := p.write(answer[1 : 1+greeting]); err != nil {
		return err
	}
	p.in = chunk.NewReader(bufio.NewReader(p.nc), func(uint8) uint32 { return 64 << 10 }, 256<<10)

	const size = 4096
	if err := p.send(2, chunk.TypeSetChunkSize, 0, []byte{0, 0, size >> 8, size & 0xFF}); err != nil {
		return err
	}
	p.size = size
	if _, err := p.call("_result", "connect", amf0.Object{
		{"app", app}, {"type", "nonprivate"}, {"flashVer", "FMLE/3.0 (compatible; FMSc/1.0)"},
		{"tcUrl", "rtmp://" + p.nc.RemoteAddr().String() + "/" + app},
	}); err != nil {
		return err
	}
	id, err := p.call("_result", "createStream", nil)
	if err != nil {
		return err
	}
	n, _ := id.(float64)
	p.stream = uint32(n)
	said, err := p.call("onStatus", "publish", nil, stream, app)
	if err != nil {
		return err
	}
	if info, _ := said.(map[string]any); info["level"] != "status" {
		return fmt.Errorf("publish: %v", said)
	}
	return p.nc.SetReadDeadline(time.Time{})
}

// call sends a command and returns the last value of the next command named answer.
func (p *rtmpSender) call(answer, name string, args ...any) (any, error) {
	if err := p.command(name, args...); err != nil {
		return nil, err
	}
	for {
		m, err := p.in.Next()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if m.Type != chunk.TypeCommandAMF0 {
			continue
		}
		r := amf0.NewReader(m.Payload)
		got, err := r.Text()
		if err != nil {
			return nil, err
		}
		var last any
		for r.More() {
			if last, err = r.Value(); err != nil {
				return nil, err
			}
		}
		switch got {
		case answer:
			return last, nil
		case "_error":
			return nil, fmt.Errorf("%s: %v", name, last)
		}
	}
}

func (p *rtmpSender) command(name string, args ...any) error {
	p.calls++
	return p.send(3, chunk.TypeCommandAMF0, 0, amf0.Append(nil, append([]any{name, p.calls}, args...)...))
}

// play sends the configurations and then every unit at its time, until the clip or ctx ends; with ctx it takes leave.
func (p *rtmpSender) play(ctx context.Context, c clip) error {
	for i, v := range c.video {
		if err := p.video(i, 0, sequenceStart, true, v.Config); err != nil {
			return err
		}
	}
	if err := p.send(4, chunk.TypeAudio, 0, append([]byte{0xAF, 0}, c.sound.Config...)); err != nil {
		return err
	}
	begun := time.Now()
	due := time.NewTimer(0)
	defer due.Stop()
	for _, u := range c.units {
		at := c.time(u)
		due.Reset(time.Until(begun.Add(at)))
		select {
		case <-ctx.Done():
			return p.command("deleteStream", nil, float64(p.stream))
		case <-due.C:
		}
		ms := uint32(at.Round(time.Millisecond).Milliseconds())
		var err error
		if u.Kind == media.Audio {
			err = p.send(4, chunk.TypeAudio, ms, append([]byte{0xAF, 1}, u.Data...))
		} else {
			err = p.video(int(u.Layer), ms, codedFrames, u.RandomAccess, u.Data)
		}
		if err != nil {
			return err
		}
	}
	<-ctx.Done()
	return p.command("deleteStream", nil, float64(p.stream))
}

// What a video message is of, in the old form (AVCPacketType).
const (
	sequenceStart = 0
	codedFrames   = 1
)

// video sends a message of H.264 that is shown at its own time.
func (p *rtmpSender) video(track int, ms uint32, packet byte, key bool, data []byte) error {
	frame := byte(2) // inter
	if key {
		frame = 1
	}
	if track == 0 {
		return p.send(6, chunk.TypeVideo, ms, append([]byte{frame<<4 | 7, packet, 0, 0, 0}, data...))
	}
	const (
		isEx         = 0x80
		multitrack   = 6
		oneTrack     = 0 << 4
		codedFramesX = 3 // no composition time
	)
	if packet == codedFrames {
		packet = codedFramesX
	}
	head := []byte{isEx | frame<<4 | multitrack, oneTrack | packet, 'a', 'v', 'c', '1', byte(track)}
	return p.send(6, chunk.TypeVideo, ms, append(head, data...))
}

func (p *rtmpSender) send(id, typ uint8, ms uint32, payload []byte) error {
	p.out = chunk.Append(p.out[:0], id, chunk.Message{Type: typ, Stream: p.stream, Timestamp: ms, Payload: payload}, p.size)
	return p.write(p.out)
}

func (p *rtmpSender) write(b []byte) error {
	if err := p.nc.SetWriteDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	_, err := p.nc.Write(b)
	return err
}
