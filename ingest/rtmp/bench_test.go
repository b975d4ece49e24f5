package rtmp

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"mediad/live"
	"mediad/media"
	"mediad/media/chunk"
	"mediad/media/mediatest"
)

// loop gives the same bytes over and over.
type loop struct {
	b  []byte
	at int
}

func (l *loop) Read(p []byte) (int, error) {
	if l.at == len(l.b) {
		l.at = 0
	}
	n := copy(p, l.b[l.at:])
	l.at += n
	return n, nil
}

// BenchmarkNormaliser reads the messages of a stream of 2.5 Mbit/s at 30 pictures a second off its chunks.
func BenchmarkNormaliser(b *testing.B) {
	for _, size := range []int{128, 4096, 65536} {
		b.Run(fmt.Sprintf("chunks=%d", size), func(b *testing.B) {
			var stream []byte
			stream = chunk.Append(stream, 2, chunk.Message{Type: chunk.TypeSetChunkSize, Payload: be32(uint32(size))}, size)
			bytesOf, n := 0, 0
			for i := range 30 {
				for _, m := range []chunk.Message{
					{Type: chunk.TypeVideo, Stream: 1, Timestamp: 1<<24 + uint32(i*33), Payload: make([]byte, 9800)},
					{Type: chunk.TypeAudio, Stream: 1, Timestamp: 1<<24 + uint32(i*33), Payload: make([]byte, 500)},
				} {
					stream = chunk.Append(stream, m.Type, m, size)
					bytesOf += len(m.Payload)
					n++
				}
			}
			c := chunk.NewReader(bufio.NewReaderSize(&loop{b: stream}, inputBuffer), func(uint8) uint32 { return chunk.MaxSize }, chunk.MaxSize)
			b.SetBytes(int64(bytesOf / n))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Next(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// discard is a hub that takes everything and keeps nothing.
type discard struct{}

func (discard) Done() <-chan struct{}                { return nil }
func (discard) Err() error                           { return nil }
func (discard) Close(live.Reason)                    {}
func (discard) Stream() string                       { return "" }
func (discard) Session() *live.Session               { return nil }
func (discard) Track(media.Kind, *media.Track) error { return nil }
func (discard) NoTrack(media.Kind)                   {}
func (discard) Hint(media.Rational)                  {}
func (discard) Write(media.AccessUnit) error         { return nil }
func (discard) Flush()                               {}

// mediaMessages is half a second of picture and sound as messages, behind their configurations.
func mediaMessages() (configs, frames []chunk.Message) {
	track, sound := mediatest.H264Track(1280, 720, 30, 1), mediatest.AACTrack(48000, 2)
	configs = []chunk.Message{video(0, 0x17, 0, 0, 0, 0, track.Config), audio(0, 0xAF, 0, sound.Config)}
	for i, au := range mediatest.Video(mediatest.VideoPattern{Frames: 15, Size: 9800, KeySize: 30000}) {
		head := 0x27
		if au.RandomAccess {
			head = 0x17
		}
		frames = append(frames, video(uint32(i*33), head, 1, 0, 0, 0, au.Data), audio(uint32(i*33), 0xAF, 1, make([]byte, 340)))
	}
	return configs, frames
}

// BenchmarkMessage is the whole way of a media message: chunks, header, classification, access unit.
func BenchmarkMessage(b *testing.B) {
	configs, frames := mediaMessages()
	stream := chunk.Append(nil, 2, chunk.Message{Type: chunk.TypeSetChunkSize, Payload: be32(4096)}, chunk.DefaultSize)
	total := 0
	for _, m := range frames {
		stream = chunk.Append(stream, m.Type, m, 4096)
		total += len(m.Payload)
	}
	p := newPublication(discard{}, discard{}, 1, "", time.Time{})
	for _, m := range configs {
		if err := p.media(m); err != nil {
			b.Fatal(err)
		}
	}
	c := chunk.NewReader(bufio.NewReaderSize(&loop{b: stream}, inputBuffer), func(uint8) uint32 { return chunk.MaxSize }, chunk.MaxSize)
	b.SetBytes(int64(total / len(frames)))
	b.ReportAllocs()
	for b.Loop() {
		m, err := c.Next()
		if err == nil {
			err = p.media(m)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

func TestMediaMessageCostsOneAllocation(t *testing.T) {
	configs, frames := mediaMessages()
	stream := chunk.Append(nil, 2, chunk.Message{Type: chunk.TypeSetChunkSize, Payload: be32(4096)}, chunk.DefaultSize)
	for _, m := range append(configs, frames...) {
		stream = chunk.Append(stream, m.Type, m, 4096)
	}
	p := newPublication(discard{}, discard{}, 1, "", time.Time{})
	c := chunk.NewReader(bufio.NewReaderSize(bytes.NewReader(stream), inputBuffer), func(uint8) uint32 { return chunk.MaxSize }, chunk.MaxSize)
	next := func() {
		m, err := c.Next()
		if err == nil {
			err = p.media(m)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	}
	for range len(configs) + 2 {
		next()
	}
	if got := testing.AllocsPerRun(len(frames)-4, next); got > 1 {
		t.Errorf("%v allocations a message", got)
	}
}
