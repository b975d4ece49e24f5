package chunk

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
)

func reader(b []byte) *Reader {
	return NewReader(bufio.NewReader(bytes.NewReader(b)), func(uint8) uint32 { return 1 << 20 }, 4<<20)
}

// script is a chunk stream in the making.
type script struct {
	c testx.Chunks
	b []byte
}

func (s *script) chunks(format, id byte, field uint32, typ byte, payload []byte) *script {
	if s.c.Size == 0 {
		s.c.Size = 128
	}
	s.b = append(s.b, s.c.Encode(format, id, field, typ, 1, payload)...)
	return s
}

func (s *script) control(typ byte, payload []byte) *script { return s.chunks(0, 2, 0, typ, payload) }

func be32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

func fill(n int, seed byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = seed + byte(i*13)
	}
	return b
}

// all reads every message and renders it as "type@timestamp:length:first byte".
func all(t *testing.T, c *Reader) (out []string, err error) {
	t.Helper()
	for {
		m, err := c.Next()
		if err != nil {
			return out, err
		}
		out = append(out, fmt.Sprintf("%d@%d:%d:%d", m.Type, m.Timestamp, len(m.Payload), m.Payload[0]))
	}
}

func TestChunkStreamsAreReadAsEncodersMeanThem(t *testing.T) {
	a, b := fill(300, 1), fill(300, 2)
	const high = 0xFFFFFF + 5
	for _, c := range []struct {
		name string
		s    func(s *script)
		want []string
	}{
		{"absolute, delta, delta again, repeated", func(s *script) {
			s.chunks(0, 4, 1000, 8, a).chunks(1, 4, 23, 8, b).chunks(2, 4, 21, 8, b).chunks(3, 4, 0, 8, b)
		}, []string{"8@1000:300:1", "8@1023:300:2", "8@1044:300:2", "8@1065:300:2"}},
		{"type 3 after type 0 repeats a small time as delta, as FFmpeg means it", func(s *script) {
			s.chunks(0, 4, 23, 8, a).chunks(3, 4, 0, 8, a)
		}, []string{"8@23:300:1", "8@46:300:1"}},
		{"type 3 after type 0 with a large time is the same time again, as librtmp means it", func(s *script) {
			s.chunks(0, 4, 5000, 8, a).chunks(3, 4, 0, 8, a)
		}, []string{"8@5000:300:1", "8@5000:300:1"}},
		{"type 1 may open a chunk stream", func(s *script) {
			s.chunks(1, 4, 40, 9, a)
		}, []string{"9@40:300:1"}},
		{"a header in the middle of a message gives it up", func(s *script) {
			cut := s.chunks(0, 6, 10, 9, a).b
			s.b = cut[:12+128+1+128]
			s.chunks(0, 6, 20, 9, b)
		}, []string{"9@20:300:2"}},
		{"abort gives up the message of its chunk stream only", func(s *script) {
			var video, audio script
			video.chunks(0, 6, 10, 9, a)
			audio.chunks(0, 4, 11, 8, b)
			s.b = append(s.b, video.b[:12+128]...)
			s.b = append(s.b, audio.b[:12+128]...)
			s.control(TypeAbort, be32(6))
			s.b = append(s.b, audio.b[12+128:]...)
			s.chunks(3, 6, 0, 9, a)
		}, []string{"8@11:300:2", "9@20:300:1"}},
		{"empty messages are dropped and keep the time", func(s *script) {
			s.chunks(0, 6, 100, 9, a).chunks(1, 6, 33, 9, nil).chunks(1, 6, 33, 9, b)
		}, []string{"9@100:300:1", "9@166:300:2"}},
		{"the chunk size applies from the next chunk", func(s *script) {
			s.chunks(0, 6, 1, 9, a).control(TypeSetChunkSize, be32(4096))
			s.c.Size = 4096
			s.chunks(0, 6, 2, 9, b)
		}, []string{"9@1:300:1", "9@2:300:2"}},
		{"times beyond 24 bits, repeated in type 3", func(s *script) {
			s.chunks(0, 6, 0xFFFFFE, 9, a).chunks(0, 6, 0xFFFFFF, 9, a).chunks(0, 6, high, 9, b).chunks(1, 6, 33, 9, a).chunks(0, 6, 0xFFFFFFFF, 9, b)
		}, []string{"9@16777214:300:1", "9@16777215:300:1", "9@16777220:300:2", "9@16777253:300:1", "9@4294967295:300:2"}},
		{"times beyond 24 bits, left out in type 3", func(s *script) {
			s.c.NoRepeat = true
			s.chunks(0, 6, 0xFFFFFE, 9, a).chunks(0, 6, 0xFFFFFF, 9, a).chunks(0, 6, high, 9, b).chunks(1, 6, 33, 9, a).chunks(0, 6, 0xFFFFFFFF, 9, b)
		}, []string{"9@16777214:300:1", "9@16777215:300:1", "9@16777220:300:2", "9@16777253:300:1", "9@4294967295:300:2"}},
		{"a delta beyond 24 bits", func(s *script) {
			s.chunks(0, 6, 7, 9, a).chunks(1, 6, high, 9, b).chunks(3, 6, 0, 9, nil)
			s.b = append(s.b, be32(high)...)
			for p := fill(300, 3); len(p) > 0; {
				n := min(128, len(p))
				s.b = append(s.b, p[:n]...)
				if p = p[n:]; len(p) > 0 {
					s.b = append(append(s.b, 3<<6|6), be32(high)...)
				}
			}
		}, []string{"9@7:300:1", "9@16777227:300:2", "9@33554447:300:3"}},
		{"chunk stream ids of two and three bytes", func(s *script) {
			head := []byte{0, 0, 9, 0, 0, 2, 8, 1, 0, 0, 0}
			s.b = append(append(append(s.b, 0, 10), head...), 1, 1)
			s.b = append(append(append(s.b, 1, 10, 1), head...), 2, 2)
			s.b = append(s.b, 3<<6, 10, 3, 3)
		}, []string{"8@9:2:1", "8@9:2:2", "8@18:2:3"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s script
			c.s(&s)
			got, err := all(t, reader(s.b))
			require.ErrorIs(t, err, io.EOF)
			require.NotErrorIs(t, err, io.ErrUnexpectedEOF)
			require.Equal(t, c.want, got)
			// The same one byte at a time.
			slow := NewReader(bufio.NewReader(iotest.OneByteReader(bytes.NewReader(s.b))), func(uint8) uint32 { return 1 << 20 }, 4<<20)
			got, _ = all(t, slow)
			require.Equal(t, c.want, got)
		})
	}
}

func TestPayloadsSurviveEveryChunkSize(t *testing.T) {
	for _, size := range []int{1, 2, 3, 4, 127, 128, 4096, 1 << 20} {
		for _, noRepeat := range []bool{false, true} {
			s := script{c: testx.Chunks{Size: size, NoRepeat: noRepeat}}
			s.b = (&testx.Chunks{Size: 128}).Encode(0, 2, 0, TypeSetChunkSize, 0, be32(uint32(size)))
			var want [][]byte
			for i := range 20 {
				p := fill(1+i*61, byte(i))
				want = append(want, p)
				s.chunks(0, 6, 16777200+uint32(i), 9, p)
			}
			r := reader(s.b)
			for i, p := range want {
				m, err := r.Next()
				require.NoError(t, err, "size %d", size)
				require.Equal(t, p, m.Payload, "size %d, message %d, repeats %v", size, i, !noRepeat)
				require.Equal(t, 16777200+uint32(i), m.Timestamp)
			}
		}
	}
}

func TestInterleavedMessagesAreKeptApart(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	pieces := make([][][]byte, 8)
	want := make([][]byte, 8)
	for i := range pieces {
		want[i] = fill(500+i*100, byte(i))
		whole := (&testx.Chunks{Size: 128}).Encode(0, byte(3+i), 16777216, 9, 1, want[i])
		head := 12 + 4 + 128
		pieces[i] = append(pieces[i], whole[:head])
		for whole = whole[head:]; len(whole) > 0; whole = whole[min(len(whole), 133):] {
			pieces[i] = append(pieces[i], whole[:min(len(whole), 133)])
		}
	}
	var b []byte
	for left := len(pieces); left > 0; {
		i := rnd.IntN(len(pieces))
		if len(pieces[i]) == 0 {
			continue
		}
		b = append(b, pieces[i][0]...)
		if pieces[i] = pieces[i][1:]; len(pieces[i]) == 0 {
			left--
		}
	}
	r := reader(b)
	got := 0
	for {
		m, err := r.Next()
		if err != nil {
			require.ErrorIs(t, err, io.EOF)
			break
		}
		require.Equal(t, want[m.Payload[0]], m.Payload)
		got++
	}
	require.Equal(t, len(want), got)
	require.Zero(t, r.pending)
}

func TestChunkStreamLimits(t *testing.T) {
	large := &TooLargeError{}
	for _, c := range []struct {
		name string
		s    func(s *script)
		want func(error) bool
	}{
		{"message over its limit", func(s *script) {
			s.b = append(s.b, 6, 0, 0, 0, 0x10, 0, 1, 9, 1, 0, 0, 0)
		}, func(err error) bool {
			return errors.As(err, &large) && large.Type == 9 && large.Length == 1<<20+1 && large.Limit == 1<<20
		}},
		{"chunk size 0", func(s *script) { s.control(TypeSetChunkSize, be32(0)) }, isProtocol},
		{"chunk size with the first bit set", func(s *script) { s.control(TypeSetChunkSize, be32(1<<31)) }, isProtocol},
		{"short set chunk size", func(s *script) { s.control(TypeSetChunkSize, []byte{1}) }, isProtocol},
		{"type 3 on a new chunk stream", func(s *script) { s.b = append(s.b, 3<<6|9) }, isProtocol},
		{"type 2 on a new chunk stream", func(s *script) { s.b = append(s.b, 2<<6|9, 0, 0, 1) }, isProtocol},
		{"too many chunk streams", func(s *script) {
			for i := range 65 {
				s.b = append(s.b, 0, byte(i), 0, 0, 0, 0, 0, 1, 8, 0, 0, 0, 0, 1)
			}
		}, isProtocol},
		{"too much unfinished", func(s *script) {
			for i := range 6 {
				s.b = append(s.b, byte(10+i), 0, 0, 0, 0x10, 0, 0, 9, 1, 0, 0, 0)
				s.b = append(s.b, make([]byte, 128)...)
			}
		}, isProtocol},
		{"end within a header", func(s *script) { s.b = []byte{6, 0, 0} }, func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		{"end within a payload", func(s *script) {
			s.chunks(0, 6, 0, 9, fill(100, 0))
			s.b = s.b[:50]
		}, func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s script
			c.s(&s)
			_, err := all(t, reader(s.b))
			require.True(t, c.want(err), "%v", err)
		})
	}
}

func isProtocol(err error) bool { return errors.Is(err, ErrProtocol) }

func TestDeclaredLengthAllocatesLittle(t *testing.T) {
	b := []byte{6, 0, 0, 0, 0xFF, 0xFF, 0xFF, 9, 1, 0, 0, 0, 1, 2, 3}
	c := NewReader(bufio.NewReader(bytes.NewReader(b)), func(uint8) uint32 { return MaxSize }, 32<<20)
	_, err := c.Next()
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.LessOrEqual(t, c.pending, eagerAlloc)
}

func TestLargeMessageIsWhole(t *testing.T) {
	want := fill(9<<20+77, 5)
	b := Append(nil, 2, Message{Type: TypeSetChunkSize, Payload: be32(60000)}, 128)
	b = Append(b, 6, Message{Type: 9, Stream: 1, Timestamp: 1 << 24, Payload: want}, 60000)
	c := NewReader(bufio.NewReader(bytes.NewReader(b)), func(uint8) uint32 { return MaxSize }, 32<<20)
	m, err := c.Next()
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, m.Payload))
	require.Equal(t, len(want), cap(m.Payload))
	require.Zero(t, c.pending)
}

func TestMessagesComeBackAsWritten(t *testing.T) {
	for _, size := range []int{1, 128, 4096, 65536} {
		for _, ts := range []uint32{0, 1, 0xFFFFFE, 0xFFFFFF, 0x1000000, 0xFFFFFFFF} {
			want := Message{Type: 20, Stream: 7, Timestamp: ts, Payload: fill(700, 9)}
			b := Append(nil, 2, Message{Type: TypeSetChunkSize, Payload: be32(uint32(size))}, 128)
			got, err := reader(Append(b, 5, want, size)).Next()
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
	}
}

// FuzzChunkStream feeds any bytes as a chunk stream: it must end in an error, keep its bounds, and give every message
// that it gives in one form only, however the bytes arrive.
func FuzzChunkStream(f *testing.F) {
	a := fill(300, 1)
	var s script
	f.Add(s.chunks(0, 4, 1000, 8, a).chunks(1, 4, 23, 8, a).chunks(2, 4, 21, 8, a).chunks(3, 4, 0, 8, a).b)
	s = script{}
	f.Add(s.chunks(0, 6, 0xFFFFFF, 9, a).chunks(1, 6, 0xFFFFFF, 9, a).chunks(3, 6, 0, 9, nil).b)
	s = script{}
	f.Add(s.control(TypeSetChunkSize, be32(1)).control(TypeAbort, be32(6)).b)
	f.Fuzz(func(t *testing.T, b []byte) {
		const limit, pending = 4096, 8192
		run := func(r io.Reader) (out []Message) {
			c := NewReader(bufio.NewReaderSize(r, 16), func(uint8) uint32 { return limit }, pending)
			for {
				m, err := c.Next()
				if err != nil {
					return out
				}
				if len(m.Payload) == 0 || len(m.Payload) > limit || len(c.streams) > maxChunkStreams || c.pending < 0 || c.pending > pending {
					t.Fatalf("message of %d bytes, %d chunk streams, %d pending", len(m.Payload), len(c.streams), c.pending)
				}
				out = append(out, m)
			}
		}
		one, two := run(bytes.NewReader(b)), run(&dribble{b})
		if len(one) != len(two) {
			t.Fatalf("%d messages at once, %d in pieces", len(one), len(two))
		}
		for i, m := range one {
			if m.Type != two[i].Type || m.Timestamp != two[i].Timestamp || !bytes.Equal(m.Payload, two[i].Payload) {
				t.Fatalf("message %d differs", i)
			}
			// What we write of it reads back.
			if m.Type == TypeSetChunkSize || m.Type == TypeAbort {
				continue
			}
			back, err := reader(Append(nil, 3, m, DefaultSize)).Next()
			if err != nil || !bytes.Equal(back.Payload, m.Payload) || back.Timestamp != m.Timestamp {
				t.Fatalf("message %d does not read back: %v", i, err)
			}
		}
	})
}

// dribble gives its bytes in pieces of 1, 2, 3 …
type dribble struct{ b []byte }

func (d *dribble) Read(p []byte) (int, error) {
	if len(d.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), 1+len(d.b)%5)], d.b)
	d.b = d.b[n:]
	return n, nil
}
