package hlslint

import "math/bits"

// sum is a hash of bytes that can be joined: the hash of a file follows from those of its pieces, so parts are
// compared with their segment without either being kept. A polynomial over the field of 2^61-1.
type sum struct {
	hash  uint64
	power uint64 // base^length
	size  int64
}

const (
	sumPrime = 1<<61 - 1
	sumBase  = 0x0b4a1f36c5d8e927
)

func mulSum(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	r := lo&sumPrime + (lo>>61 | hi<<3)
	r = r&sumPrime + r>>61
	if r >= sumPrime {
		r -= sumPrime
	}
	return r
}

func newSum(b []byte) sum {
	s := sum{power: 1, size: int64(len(b))}
	for _, c := range b {
		s.hash = mulSum(s.hash, sumBase) + uint64(c) + 1
		if s.hash >= sumPrime {
			s.hash -= sumPrime
		}
	}
	base := uint64(sumBase)
	for n := len(b); n > 0; n >>= 1 {
		if n&1 == 1 {
			s.power = mulSum(s.power, base)
		}
		base = mulSum(base, base)
	}
	return s
}

// join is the sum of the bytes of s followed by those of o.
func (s sum) join(o sum) sum {
	h := mulSum(s.hash, o.power) + o.hash
	if h >= sumPrime {
		h -= sumPrime
	}
	return sum{hash: h, power: mulSum(s.power, o.power), size: s.size + o.size}
}
