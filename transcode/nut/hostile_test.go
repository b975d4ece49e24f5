package nut

import (
	"bytes"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"mediad/media"
)

// TestTimesDoNotWrap: a frame may come a tick after the last moment that there is.
func TestTimesDoNotWrap(t *testing.T) {
	var p []byte
	for _, v := range []uint64{4, 0, 1, maxDistance, 1, 1, 90000, flagKey, 6, 1, 1, 0, 0, 0, 255, 0, mainPipe} { // pts delta: 1, as a signed number
		p = appendV(p, v)
	}
	b := appendPacket([]byte(fileID), mainCode, p)
	whole := AppendHeader(nil, Stream{Class: Video, FourCC: "H264", TimeBase: media.Rational{Num: 1, Den: 90000}})
	_, rest, _ := bytes.Cut(whole, []byte("NS"))
	b = append(append(b, "NS"...), rest...)
	p = appendV(nil, math.MaxInt64)
	b = appendPacket(b, syncpointCode, append(p, 0))
	b = append(b, 0, 0)
	d, err := NewReader(bytes.NewReader(b))
	require.NoError(t, err)
	_, err = d.Next()
	require.ErrorIs(t, err, ErrInvalid)
}
