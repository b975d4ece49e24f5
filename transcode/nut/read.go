package nut

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"mediad/media"
)

// ErrInvalid says that the bytes are no NUT, or none that FFmpeg writes.
var ErrInvalid = errors.New("nut: invalid")

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
}

// Reader reads a file from a pipe. It has one user.
type Reader struct {
	r       *bufio.Reader
	version uint64
	flags   uint64
	bases   []media.Rational
	codes   [256]code
	elision [][]byte
	streams []stream
	seen    int // streams whose header came
	header  []byte
}

// code is one entry of the main header's table: what a frame that begins with it has.
type code struct {
	flags     uint64
	stream    uint64
	mul, lsb  uint64
	pts       int64
	reserved  uint64
	headerIdx uint64
}

type stream struct {
	Stream
	base    int
	shift   uint64
	last    int64
	present bool
}

// NewReader reads the file's headers. It returns once all streams are known, and that is before the first frame.
func NewReader(r io.Reader) (*Reader, error) {
	d := &Reader{r: bufio.NewReaderSize(r, 64<<10)}
	id := make([]byte, len(fileID))
	if _, err := io.ReadFull(d.r, id); err != nil {
		return nil, err
	}
	if string(id) != fileID {
		return nil, invalid("no file id")
	}
	for d.streams == nil || d.seen < len(d.streams) {
		c, err := d.r.ReadByte()
		if err != nil {
			return nil, unexpected(err)
		}
		if c != 'N' {
			return nil, invalid("a frame before the headers")
		}
		if err := d.packet(); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// Streams are the file's streams.
func (d *Reader) Streams() []Stream {
	out := make([]Stream, len(d.streams))
	for i := range d.streams {
		out[i] = d.streams[i].Stream
	}
	return out
}

// Next returns the next frame: io.EOF at the end, io.ErrUnexpectedEOF in the middle of something.
func (d *Reader) Next() (Frame, error) {
	for {
		c, err := d.r.ReadByte()
		if err != nil {
			return Frame{}, err
		}
		if c == 'N' {
			if err := d.packet(); err != nil {
				return Frame{}, err
			}
			continue
		}
		f, ok, err := d.frame(c)
		if err != nil || ok {
			return f, err
		}
	}
}

// packet reads a packet whose first byte was taken.
func (d *Reader) packet() error {
	var rest [7]byte
	if _, err := io.ReadFull(d.r, rest[:]); err != nil {
		return unexpected(err)
	}
	name := uint64('N') << 56
	for i, b := range rest {
		name |= uint64(b) << (48 - 8*i)
	}
	size, err := d.v()
	if err != nil {
		return err
	}
	if size < 4 || size > maxPacket {
		return invalid("packet of %d bytes", size)
	}
	if size > 4096 {
		if _, err := d.r.Discard(4); err != nil {
			return unexpected(err)
		}
	}
	if uint64(cap(d.header)) < size {
		d.header = make([]byte, size)
	}
	b := d.header[:size]
	if _, err := io.ReadFull(d.r, b); err != nil {
		return unexpected(err)
	}
	payload, sum := b[:size-4], binary.BigEndian.Uint32(b[size-4:])
	if crc(0, payload) != sum {
		return invalid("checksum of a packet")
	}
	p := &fields{b: payload}
	switch name {
	case mainCode:
		return d.main(p)
	case streamCode:
		return d.stream(p)
	case syncpointCode:
		return d.syncpoint(p)
	}
	return nil // index and info tell nothing that we need
}

func (d *Reader) main(p *fields) error {
	if d.streams != nil {
		return nil // repeated, as FFmpeg does now and then
	}
	if d.version = p.v(); d.version < 2 || d.version > 4 {
		return invalid("version %d", d.version)
	}
	if d.version > 3 {
		p.v() // minor version
	}
	streams := p.v()
	p.v() // max_distance
	bases := p.v()
	if streams < 1 || streams > maxStreams || bases < 1 || bases > maxBases {
		return invalid("%d streams, %d time bases", streams, bases)
	}
	for range bases {
		num, den := p.v(), p.v()
		if num < 1 || num > math.MaxInt32 || den < 1 || den > math.MaxInt32 {
			return invalid("time base %d/%d", num, den)
		}
		d.bases = append(d.bases, media.Rational{Num: uint32(num), Den: uint32(den)})
	}
	if err := d.table(p); err != nil {
		return err
	}
	d.elision = [][]byte{nil}
	for range min(p.v(), 128) {
		h := p.bytes()
		if len(h) > maxElision {
			return invalid("header of %d bytes", len(h))
		}
		d.elision = append(d.elision, append([]byte(nil), h...))
	}
	if d.version > 3 && len(p.b) > 0 {
		d.flags = p.v()
	}
	if p.short {
		return invalid("main header: %w", media.ErrTruncated)
	}
	d.streams = make([]stream, streams)
	return nil
}

// table reads the frame codes.
func (d *Reader) table(p *fields) error {
	now := code{mul: 1}
	for i := 0; i < len(d.codes); {
		now.flags = p.v()
		n := p.v()
		field := func(at uint64, to *uint64) {
			if n > at {
				*to = p.v()
			}
		}
		if n > 0 {
			now.pts = p.s()
		}
		field(1, &now.mul)
		field(2, &now.stream)
		var size uint64
		now.reserved = 0
		field(3, &size)
		field(4, &now.reserved)
		count := now.mul - size
		field(5, &count)
		if n > 6 {
			p.s() // match_time_delta
		}
		field(7, &now.headerIdx)
		for range min(n-min(n, 8), uint64(len(p.b))+1) {
			p.v()
		}
		if p.short || count < 1 || count > 256 || now.mul > MaxFrame || size > MaxFrame {
			return invalid("table of frame codes")
		}
		for j := uint64(0); j < count && i < len(d.codes); i++ {
			if i == 'N' {
				d.codes[i].flags = flagInvalid
				continue
			}
			d.codes[i] = now
			d.codes[i].lsb = size + j
			j++
		}
	}
	return nil
}

func (d *Reader) stream(p *fields) error {
	id := p.v()
	if id >= uint64(len(d.streams)) {
		return invalid("stream %d of %d", id, len(d.streams))
	}
	if d.streams[id].present {
		return nil // repeated
	}
	class := p.v()
	s := stream{present: true}
	s.Class = Class(min(class, uint64(Other)))
	s.FourCC = string(p.bytes())
	base := p.v()
	if base >= uint64(len(d.bases)) {
		return invalid("time base %d of %d", base, len(d.bases))
	}
	s.base, s.TimeBase = int(base), d.bases[base]
	if s.shift = p.v(); s.shift >= 16 {
		return invalid("timestamps of %d bits", s.shift)
	}
	p.v() // max_pts_distance
	delay := p.v()
	p.v() // flags
	s.Extra = append([]byte(nil), p.bytes()...)
	a, b := p.v(), p.v() // width and height, or the sample rate as a fraction
	switch s.Class {
	case Audio:
		s.Channels = int(min(p.v(), 255))
		if b == 0 || a/b > 1<<24 {
			return invalid("sample rate %d/%d", a, b)
		}
		s.SampleRate = int(a / b)
	case Video:
		s.Width, s.Height = int(min(a, 1<<16)), int(min(b, 1<<16))
	case Other:
	}
	if p.short || len(s.FourCC) > 4 || delay > 1000 {
		return invalid("stream header")
	}
	s.DecodeDelay = int(delay)
	d.streams[id] = s
	d.seen++
	return nil
}

// syncpoint sets the timestamp that the next short one of each stream is near to.
func (d *Reader) syncpoint(p *fields) error {
	v := p.v()
	p.v() // back_ptr
	if p.short || len(d.bases) == 0 {
		return invalid("syncpoint")
	}
	from := d.bases[v%uint64(len(d.bases))]
	at := v / uint64(len(d.bases))
	if at > math.MaxInt64 {
		return invalid("syncpoint's time")
	}
	for i := range d.streams {
		d.streams[i].last = rescaleDown(int64(at), from, d.streams[i].TimeBase)
	}
	return nil
}

// frame reads a frame whose frame code was taken. It returns false for one that only says that a stream pauses.
func (d *Reader) frame(c byte) (f Frame, ok bool, err error) {
	e := d.codes[c]
	h := header{d: d}
	flags := e.flags
	if flags&flagCoded != 0 {
		flags ^= h.v()
	}
	if flags&(flagInvalid|flagSideData) != 0 {
		return f, false, invalid("frame code %d with flags %x", c, flags)
	}
	id := e.stream
	if flags&flagStreamID != 0 {
		id = h.v()
	}
	var coded uint64
	if flags&flagCodedPTS != 0 {
		coded = h.v()
	}
	size := e.lsb
	if flags&flagSizeMSB != 0 {
		msb := h.v()
		if msb > MaxFrame {
			return f, false, invalid("frame of over %d bytes", MaxFrame)
		}
		size += e.mul * msb
	}
	if flags&flagMatchTime != 0 {
		h.v()
	}
	idx := e.headerIdx
	if flags&flagHeaderIdx != 0 {
		idx = h.v()
	}
	reserved := e.reserved
	if flags&flagReserved != 0 {
		reserved = h.v()
	}
	for range min(reserved, 64) {
		h.v()
	}
	if h.err != nil {
		return f, false, h.err
	}
	if flags&flagChecksum != 0 {
		if _, err := d.r.Discard(4); err != nil {
			return f, false, unexpected(err)
		}
	}
	if id >= uint64(len(d.streams)) || idx >= uint64(len(d.elision)) || reserved > 64 || size > MaxFrame {
		return f, false, invalid("frame of stream %d, header %d, %d bytes", id, idx, size)
	}
	s := &d.streams[id]
	pts := s.last + e.pts
	if flags&flagCodedPTS != 0 {
		if pts, err = s.full(coded); err != nil {
			return f, false, err
		}
	}
	if pts < 0 { // NUT has no such times: a sum beyond all bounds
		return f, false, invalid("timestamp")
	}
	s.last = pts
	left := d.elision[idx]
	if size > 4096 {
		left = nil // only short frames leave their header out
	}
	if uint64(len(left)) > size {
		return f, false, invalid("frame shorter than its header")
	}
	if flags&flagEOR != 0 && size == 0 {
		return f, false, nil
	}
	f = Frame{Stream: int(id), PTS: pts, Key: flags&flagKey != 0}
	f.Data, err = d.data(left, int(size))
	return f, true, err
}

// data reads a frame's bytes. Memory is taken as they come, not as they are declared.
func (d *Reader) data(left []byte, size int) ([]byte, error) {
	const atOnce = 256 << 10
	b := make([]byte, len(left), min(size, atOnce))
	copy(b, left)
	for len(b) < size {
		n := min(size-len(b), atOnce)
		at := len(b)
		b = append(b, make([]byte, n)...)
		if _, err := io.ReadFull(d.r, b[at:]); err != nil {
			return nil, unexpected(err)
		}
	}
	return b, nil
}

// full is the timestamp that a coded one stands for.
func (s *stream) full(v uint64) (int64, error) {
	short := uint64(1) << s.shift
	if v >= short {
		if v -= short; v > math.MaxInt64 {
			return 0, invalid("timestamp")
		}
		return int64(v), nil
	}
	mask := int64(short - 1)
	delta := s.last - mask/2
	return (int64(v)-delta)&mask + delta, nil
}

// rescaleDown converts a timestamp between time bases and rounds towards the past, as the specification asks.
func rescaleDown(t int64, from, to media.Rational) int64 {
	return mulDiv(t, uint64(from.Num)*uint64(to.Den), uint64(from.Den)*uint64(to.Num))
}
