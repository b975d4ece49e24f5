package media_test

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/media"
)

func TestRescale(t *testing.T) {
	tests := []struct {
		in       media.Ticks
		from, to media.Timescale
		want     media.Ticks
	}{
		{0, 1000, 90000, 0},
		{33, 1000, 90000, 2970},
		{3003, 90000, 1000, 33},
		{45, 90000, 1000, 1}, // halves away from zero
		{-45, 90000, 1000, -1},
		{44, 90000, 1000, 0},
		{1024, 48000, 90000, 1920},
		{1 << 33, 90000, 48000, 4581298449},
		{7, 48000, 48000, 7},
		{7, 0, 48000, 7},
		{math.MaxInt64, 1, 90000, math.MaxInt64},
		{math.MinInt64, 1, 90000, -math.MaxInt64},
		{math.MaxInt64, 90000, 90000, math.MaxInt64},
		{math.MinInt64, 90000, 1, -102481911520609},
	}
	for _, tt := range tests {
		require.Equal(t, tt.want, media.Rescale(tt.in, tt.from, tt.to), "%v", tt)
	}
}

func TestRescaleAgreesWithExactArithmetic(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	scales := []media.Timescale{1, 1000, 8000, 44100, 48000, 90000, 1_000_000_000, math.MaxUint32}
	for range 20000 {
		in := media.Ticks(r.Uint64()) >> r.IntN(63)
		from, to := scales[r.IntN(len(scales))], scales[r.IntN(len(scales))]
		// floor((2·|in|·to + from) / (2·from)) with the sign of in
		abs := new(big.Int).Abs(big.NewInt(int64(in)))
		n := abs.Mul(abs, big.NewInt(int64(to))).Lsh(abs, 1)
		n.Add(n, big.NewInt(int64(from))).Quo(n, big.NewInt(2*int64(from)))
		if n.Cmp(big.NewInt(math.MaxInt64)) > 0 {
			n.SetInt64(math.MaxInt64)
		}
		if in < 0 {
			n.Neg(n)
		}
		if from == to {
			n.SetInt64(int64(in))
		}
		require.Equal(t, n.Int64(), int64(media.Rescale(in, from, to)), "%d from %d to %d", in, from, to)
	}
}

func TestDurations(t *testing.T) {
	require.Equal(t, 33366667*time.Nanosecond, media.VideoTimescale.Duration(3003))
	require.Equal(t, media.Ticks(3003), media.VideoTimescale.Ticks(33366667*time.Nanosecond))
	require.Equal(t, -time.Second, media.Milliseconds.Duration(-1000))
	for i := media.Ticks(-100000); i < 100000; i += 7 {
		require.Equal(t, i, media.VideoTimescale.Ticks(media.VideoTimescale.Duration(i)), "there and back")
	}
}

func TestUnwrapper(t *testing.T) {
	for _, width := range []uint{8, 16, 32, 33} {
		mod := int64(1) << width
		u := media.NewUnwrapper(width)
		// Over three wraps, in steps up to just under half of the range, and back a little now and then.
		at := mod - 5
		require.Equal(t, at, u.Unwrap(uint64(at)))
		for i := range 40 {
			step := mod/2 - 1
			if i%3 == 2 {
				step = -mod / 3
			}
			at += step
			require.Equal(t, at, u.Unwrap(uint64(at)%uint64(mod)), "width %d step %d", width, i)
		}
	}
}

func TestUnwrapperGoesBelowItsStart(t *testing.T) {
	u := media.NewUnwrapper(32)
	require.EqualValues(t, 5, u.Unwrap(5))
	require.EqualValues(t, -3, u.Unwrap(1<<32-3))
	require.EqualValues(t, 8, u.Unwrap(8))
}
