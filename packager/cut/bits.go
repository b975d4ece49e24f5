package cut

import "math/bits"

// bitWriter writes bits, most significant first.
type bitWriter struct {
	buf []byte
	n   int
}

func (w *bitWriter) put(v uint32, n int) {
	for i := n - 1; i >= 0; i-- {
		if w.n%8 == 0 {
			w.buf = append(w.buf, 0)
		}
		w.buf[w.n/8] |= byte(v>>i&1) << (7 - w.n%8)
		w.n++
	}
}

// ue writes an unsigned Exp-Golomb code (H.264, 9.1).
func (w *bitWriter) ue(v uint32) {
	n := bits.Len32(v+1) - 1
	w.put(0, n)
	w.put(v+1, n+1)
}

// se writes a signed one.
func (w *bitWriter) se(v int32) {
	if v > 0 {
		w.ue(uint32(2*v - 1))
		return
	}
	w.ue(uint32(-2 * v))
}

// align fills the last byte with v.
func (w *bitWriter) align(v uint32) {
	for w.n%8 != 0 {
		w.put(v, 1)
	}
}

// bitReader reads them. over is set by whoever reads beyond the end, and gets zeros.
type bitReader struct {
	buf  []byte
	n    int
	over bool
}

func (r *bitReader) get(n int) uint32 {
	var v uint32
	for range n {
		if r.n/8 >= len(r.buf) {
			r.over = true
			return 0
		}
		v = v<<1 | uint32(r.buf[r.n/8]>>(7-r.n%8)&1)
		r.n++
	}
	return v
}

func (r *bitReader) flag() bool { return r.get(1) == 1 }

// ue reads an unsigned Exp-Golomb code of up to 32 bits.
func (r *bitReader) ue() uint32 {
	n := 0
	for !r.over && r.get(1) == 0 {
		n++
	}
	if n > 31 {
		r.over = true
		return 0
	}
	return 1<<n - 1 + r.get(n)
}

// se reads a signed one.
func (r *bitReader) se() int32 {
	v := r.ue()
	if v%2 == 1 {
		return int32(v/2) + 1
	}
	return -int32(v / 2)
}
