package nut

import (
	"errors"
	"io"
	"math"
	"math/bits"
)

// fields takes a packet's payload apart. Past its end everything is 0 and short is set.
type fields struct {
	b     []byte
	short bool
}

// v is a number of variable length; of one that has over 64 bits, the lower ones.
func (p *fields) v() (v uint64) {
	for {
		if len(p.b) == 0 {
			p.short = true
			return 0
		}
		c := p.b[0]
		p.b = p.b[1:]
		v = v<<7 | uint64(c&0x7f)
		if c < 0x80 {
			return v
		}
	}
}

// s is a signed number: 0, 1, -1, 2, -2, …
func (p *fields) s() int64 {
	v := p.v() + 1
	if v&1 != 0 {
		return -int64(v >> 1)
	}
	return int64(v >> 1)
}

// bytes is a string behind its length; it shares the payload's memory.
func (p *fields) bytes() []byte {
	n := p.v()
	if n > uint64(len(p.b)) {
		p.short, p.b = true, nil
		return nil
	}
	out := p.b[:n]
	p.b = p.b[n:]
	return out
}

// maxV bounds the bytes of one number on the pipe: ten hold 64 bits.
const maxV = 10

// v reads a number of variable length.
func (d *Reader) v() (v uint64, err error) {
	for range maxV {
		c, err := d.r.ReadByte()
		if err != nil {
			return 0, unexpected(err)
		}
		v = v<<7 | uint64(c&0x7f)
		if c < 0x80 {
			return v, nil
		}
	}
	return 0, invalid("number without end")
}

// header reads the numbers of a frame's header; after an error they are 0.
type header struct {
	d   *Reader
	err error
}

func (h *header) v() uint64 {
	if h.err != nil {
		return 0
	}
	v, err := h.d.v()
	h.err = err
	return v
}

// unexpected is err for one who was in the middle of something.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// mulDiv is t·mul/div, rounded down and clamped.
func mulDiv(t int64, mul, div uint64) int64 {
	hi, lo := bits.Mul64(uint64(t), mul) // t ≥ 0
	if hi >= div {
		return math.MaxInt64
	}
	q, _ := bits.Div64(hi, lo, div)
	return int64(min(q, math.MaxInt64))
}
