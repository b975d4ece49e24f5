package media

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// maxNALs bounds the NAL units or OBUs that one access unit may have: 8192x4320 in slices of one macroblock
// row is 270, and SEI comes on top.
const maxNALs = 1024

// maxConfig bounds a decoder configuration record: those of real encoders have tens of bytes, HEVC with SEI
// arrays a few hundred.
const maxConfig = 64 << 10

// ErrTruncated says that a length field names more bytes than there are.
var ErrTruncated = errors.New("truncated")

// eachNAL calls f with every NAL unit of data, which has them behind 4-byte lengths, until f returns false.
func eachNAL(data []byte, f func(nal []byte) bool) error {
	for n := 0; len(data) > 0; n++ {
		if n == maxNALs {
			return fmt.Errorf("more than %d NAL units in one access unit", maxNALs)
		}
		if len(data) < 4 {
			return fmt.Errorf("NAL unit length: %w", ErrTruncated)
		}
		size := binary.BigEndian.Uint32(data)
		if uint64(size) > uint64(len(data)-4) {
			return fmt.Errorf("NAL unit of %d bytes with %d left: %w", size, len(data)-4, ErrTruncated)
		}
		nal := data[4 : 4+size]
		data = data[4+size:]
		if len(nal) > 0 && !f(nal) {
			return nil
		}
	}
	return nil
}

// NALLengthSize is how many bytes the length before each NAL unit has, 1 to 4, according to an avcC or hvcC
// record as the publisher sent it. The Track made from it always says 4; see LengthPrefix4.
func NALLengthSize(codec Codec, record []byte) int {
	at := 4
	if codec == H265 {
		at = 21
	}
	if len(record) <= at {
		return 4
	}
	return int(record[at]&3) + 1
}

// LengthPrefix4 returns data, whose NAL units stand behind lengths of size bytes, with 4-byte lengths. Where size is 4
// already, data itself is returned.
func LengthPrefix4(data []byte, size int) ([]byte, error) {
	if size == 4 {
		return data, nil
	}
	if size < 1 || size > 4 {
		return nil, fmt.Errorf("NAL unit length of %d bytes", size)
	}
	nals, total := 0, 0
	walk := func(f func(nal []byte)) error {
		for rest := data; len(rest) > 0; {
			if len(rest) < size {
				return fmt.Errorf("NAL unit length: %w", ErrTruncated)
			}
			n := 0
			for _, b := range rest[:size] {
				n = n<<8 | int(b)
			}
			if n > len(rest)-size {
				return fmt.Errorf("NAL unit of %d bytes with %d left: %w", n, len(rest)-size, ErrTruncated)
			}
			f(rest[size : size+n])
			rest = rest[size+n:]
		}
		return nil
	}
	if err := walk(func(nal []byte) { nals++; total += len(nal) }); err != nil {
		return nil, err
	}
	if nals > maxNALs {
		return nil, fmt.Errorf("more than %d NAL units in one access unit", maxNALs)
	}
	out := make([]byte, 0, total+4*nals)
	err := walk(func(nal []byte) {
		out = binary.BigEndian.AppendUint32(out, uint32(len(nal)))
		out = append(out, nal...)
	})
	return out, err
}

// frameRate reduces num/den and keeps it only where it can be the rate of a picture: 1 to 240 per second. Encoders
// with a variable rate write their timescale here, such as 1000 or 90000.
func frameRate(num, den uint64) Rational {
	if num == 0 || den == 0 || num < den || num > 240*den {
		return Rational{}
	}
	a, b := num, den
	for b != 0 {
		a, b = b, a%b
	}
	num, den = num/a, den/a
	if num > 1<<31 || den > 1<<31 {
		return Rational{}
	}
	return Rational{Num: uint32(num), Den: uint32(den)}
}
