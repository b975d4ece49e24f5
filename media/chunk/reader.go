package chunk

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	// DefaultSize is what both sides begin with (5.4.1).
	DefaultSize = 128
	// MaxSize is the largest that matters, as no message is longer.
	MaxSize = 0xFFFFFF
	// extended in a 24-bit timestamp field says that 32 bits follow (5.3.1.3).
	extended = 0xFFFFFF
	// maxChunkStreams bounds what a peer can make us remember. Encoders use three to six.
	maxChunkStreams = 64
	// eagerAlloc is up to which length a message's buffer is made at once. Above it the buffer grows with what
	// has arrived, so that a header alone cannot make us allocate megabytes.
	eagerAlloc = 1 << 20
	// maxImpliedDelta is up to which value, in milliseconds, the timestamp of a type-0 chunk is taken as the delta
	// of a message that begins with a type-3 chunk right after it; see Reader.begin.
	maxImpliedDelta = 1000
)

// ErrProtocol is wrapped by the errors of a Reader that are the peer's fault, but for TooLargeError.
var ErrProtocol = errors.New("rtmp: protocol error")

// TooLargeError is a message longer than its limit. It is found at the header, before a byte is stored.
type TooLargeError struct {
	Type          uint8
	Length, Limit uint32
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("rtmp: message of type %d has %d bytes, limit is %d", e.Type, e.Length, e.Limit)
}

// chunkStream is what one chunk stream id remembers between chunks (5.3.1.2).
type chunkStream struct {
	field     uint32 // last timestamp field: absolute after a type-0 chunk, else a delta; 32 bits
	absolute  bool   // field came with a type-0 chunk
	extended  bool   // field did not fit in 24 bits
	timestamp uint32 // of the message at hand or the last one
	length    uint32
	typ       uint8
	stream    uint32

	// A type-3 chunk repeats an extended timestamp by the specification, and some encoders leave it out. Which
	// it is shows at the first one.
	repeats repetition

	open    bool // a message is under way
	payload []byte
}

type repetition uint8

const (
	repeatUnknown repetition = iota
	repeatPresent
	repeatAbsent
)

// Reader puts messages together from a chunk stream. It applies and swallows Set Chunk Size and Abort.
type Reader struct {
	// MaxPending is how many bytes unfinished messages may hold together. It may be raised between messages.
	MaxPending int

	r *bufio.Reader

	// limit is the longest message accepted of a type. It is asked at each message header.
	limit   func(typ uint8) uint32
	pending int // bytes that unfinished messages hold together

	chunkSize uint32
	streams   map[uint32]*chunkStream
}

// NewReader returns a Reader of r. limit is the longest message accepted of a type, asked at each message header; for
// maxPending see Reader.MaxPending.
func NewReader(r *bufio.Reader, limit func(uint8) uint32, maxPending int) *Reader {
	return &Reader{r: r, limit: limit, MaxPending: maxPending, chunkSize: DefaultSize, streams: make(map[uint32]*chunkStream, 8)}
}

// Next returns the next message with a payload. io.EOF means that the stream ended between two chunks.
func (c *Reader) Next() (Message, error) {
	for {
		s, done, err := c.chunk()
		if err != nil {
			return Message{}, err
		}
		if !done {
			continue
		}
		m := Message{Type: s.typ, Stream: s.stream, Timestamp: s.timestamp, Payload: s.payload}
		c.drop(s)
		switch {
		case len(m.Payload) == 0:
			// Some encoders send empty media messages; they say nothing but the time.
		case m.Type == TypeSetChunkSize:
			if err := c.setChunkSize(m.Payload); err != nil {
				return Message{}, err
			}
		case m.Type == TypeAbort:
			if len(m.Payload) >= 4 {
				if s := c.streams[binary.BigEndian.Uint32(m.Payload)]; s != nil {
					c.drop(s)
				}
			}
		default:
			return m, nil
		}
	}
}

func (c *Reader) setChunkSize(b []byte) error {
	if len(b) < 4 {
		return fmt.Errorf("%w: set chunk size has %d bytes", ErrProtocol, len(b))
	}
	n := binary.BigEndian.Uint32(b)
	if n == 0 || n > 0x7FFFFFFF {
		return fmt.Errorf("%w: chunk size %d", ErrProtocol, n)
	}
	c.chunkSize = min(n, MaxSize)
	return nil
}

// drop forgets the message under way on s, but not what its header said.
func (c *Reader) drop(s *chunkStream) {
	c.pending -= cap(s.payload)
	s.payload, s.open = nil, false
}

// chunk reads one chunk and reports whether it completed the message of its chunk stream.
func (c *Reader) chunk() (s *chunkStream, done bool, err error) {
	format, id, err := c.basicHeader()
	if err != nil {
		return nil, false, err
	}
	s = c.streams[id]
	if s == nil {
		// A type-1 chunk may open a chunk stream: some encoders begin so. Type 2 and 3 name no length.
		if format > 1 {
			return nil, false, fmt.Errorf("%w: chunk stream %d begins with a type-%d chunk", ErrProtocol, id, format)
		}
		if len(c.streams) >= maxChunkStreams {
			return nil, false, fmt.Errorf("%w: more than %d chunk streams", ErrProtocol, maxChunkStreams)
		}
		s = &chunkStream{}
		c.streams[id] = s
	}
	if format < 3 {
		err = c.header(s, format)
	} else {
		err = c.continuation(s)
	}
	if err != nil {
		return nil, false, midway(err)
	}
	if err := c.body(s); err != nil {
		return nil, false, midway(err)
	}
	return s, len(s.payload) == int(s.length), nil
}

func (c *Reader) basicHeader() (format uint8, id uint32, err error) {
	b, err := c.r.ReadByte()
	if err != nil {
		return 0, 0, err
	}
	format, id = b>>6, uint32(b&0x3F)
	switch id {
	case 0:
		b, err := c.r.ReadByte()
		if err != nil {
			return 0, 0, midway(err)
		}
		id = 64 + uint32(b)
	case 1:
		var p []byte
		if p, err = c.take(2); err != nil {
			return 0, 0, midway(err)
		}
		id = 64 + uint32(p[0]) + uint32(p[1])<<8
	}
	return format, id, nil
}

// header reads the message header of a chunk of type 0, 1 or 2 and begins a message. A message that was under way
// on the chunk stream is given up: a sender that writes a header in the middle of one has done so too.
func (c *Reader) header(s *chunkStream, format uint8) error {
	p, err := c.take([3]int{11, 7, 3}[format])
	if err != nil {
		return err
	}
	s.field = uint24(p)
	if format < 2 {
		s.length, s.typ = uint24(p[3:]), p[6]
	}
	if format == 0 {
		s.stream = binary.LittleEndian.Uint32(p[7:])
	}
	s.absolute = format == 0
	if s.extended = s.field == extended; s.extended {
		if p, err = c.take(4); err != nil {
			return err
		}
		s.field = binary.BigEndian.Uint32(p)
	}
	if s.absolute {
		s.timestamp = s.field
	} else {
		s.timestamp += s.field
	}
	return c.begin(s)
}

// continuation reads what a type-3 chunk has for a header: nothing, or the extended timestamp once more. Where no
// message is under way it begins one with the header of the last.
func (c *Reader) continuation(s *chunkStream) error {
	if s.extended && s.repeats != repeatAbsent {
		p, err := c.r.Peek(4)
		if err != nil {
			return err
		}
		v := binary.BigEndian.Uint32(p)
		switch {
		case v == s.field || v == s.timestamp || !s.open && v == s.timestamp+s.field:
			s.repeats = repeatPresent
			_, _ = c.r.Discard(4)
		case s.repeats == repeatUnknown:
			s.repeats = repeatAbsent
		}
	}
	if s.open {
		return nil
	}
	// The delta is that of the last message. After a type-0 chunk it is, by 5.3.1.2.4, the timestamp itself; but
	// librtmp sends a type-3 chunk there for "the same time again". A delta of more than a second is no frame's
	// distance, so then it is read as librtmp means it.
	if !s.absolute {
		s.timestamp += s.field
	} else if s.field <= maxImpliedDelta {
		s.timestamp += s.field
		s.absolute = false
	}
	return c.begin(s)
}

func (c *Reader) begin(s *chunkStream) error {
	c.drop(s)
	if limit := c.limit(s.typ); s.length > limit {
		return &TooLargeError{Type: s.typ, Length: s.length, Limit: limit}
	}
	s.open = true
	return c.grow(s, min(int(s.length), eagerAlloc))
}

// grow gives s room for n bytes in all.
func (c *Reader) grow(s *chunkStream, n int) error {
	more := n - cap(s.payload)
	if more <= 0 {
		return nil
	}
	if c.pending+more > c.MaxPending {
		return fmt.Errorf("%w: unfinished messages hold more than %d bytes", ErrProtocol, c.MaxPending)
	}
	p := make([]byte, len(s.payload), n)
	copy(p, s.payload)
	s.payload = p
	c.pending += more
	return nil
}

// body reads the chunk's share of the payload.
func (c *Reader) body(s *chunkStream) error {
	have := len(s.payload)
	n := min(int(s.length)-have, int(c.chunkSize))
	for n > 0 {
		room := cap(s.payload) - have
		if room == 0 {
			if err := c.grow(s, min(2*cap(s.payload), int(s.length))); err != nil {
				return err
			}
			room = cap(s.payload) - have
		}
		m := min(n, room)
		if _, err := io.ReadFull(c.r, s.payload[have:have+m]); err != nil {
			return err
		}
		have += m
		n -= m
		s.payload = s.payload[:have]
	}
	return nil
}

// take returns the next n bytes, valid until the next read.
func (c *Reader) take(n int) ([]byte, error) {
	p, err := c.r.Peek(n)
	if err != nil {
		return nil, err
	}
	_, _ = c.r.Discard(n)
	return p, nil
}

// midway turns an end between chunks into one within a chunk.
func midway(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
