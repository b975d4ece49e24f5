package cmaf_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"mediad/media"
	"mediad/packager/cmaf"
)

// someSamples are up to a dozen, with fields that vary or do not.
func someSamples(rnd *rand.Rand, kind media.Kind) []cmaf.Sample {
	s := make([]cmaf.Sample, 1+rnd.IntN(12))
	sizes, durations, offsets := rnd.IntN(2) == 0, rnd.IntN(2) == 0, rnd.IntN(2) == 0
	for i := range s {
		n := 40
		if sizes {
			n += rnd.IntN(100)
		}
		s[i] = cmaf.Sample{Data: make([]byte, n), Duration: 3000, Sync: kind == media.Audio || i == 0 || rnd.IntN(5) == 0}
		for j := range s[i].Data {
			s[i].Data[j] = byte(rnd.Uint32())
		}
		if durations {
			s[i].Duration += uint32(rnd.IntN(5))
		}
		if offsets {
			s[i].CompOffset = int32(rnd.IntN(9000) - 3000)
		}
		s[i].Disposable = !s[i].Sync && rnd.IntN(3) == 0
	}
	return s
}

// TestReadFragments: what is written is read, whatever fields it has.
func TestReadFragments(t *testing.T) {
	for seed := range uint64(500) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		kind := media.Kind(rnd.IntN(media.Kinds))
		var want []cmaf.Fragment
		var file []byte
		for i := range 1 + rnd.IntN(4) {
			f := cmaf.Fragment{BaseDecodeTime: rnd.Uint64() >> 1, Samples: someSamples(rnd, kind)}
			want = append(want, f)
			file = cmaf.AppendFragment(file, uint32(i+1), f.BaseDecodeTime, kind, f.Samples)
		}
		got, err := cmaf.ReadFragments(file)
		require.NoError(t, err)
		require.Equal(t, want, got, "seed %d", seed)
		for range 20 {
			cut := rnd.IntN(len(file))
			if some, err := cmaf.ReadFragments(file[:cut]); err == nil {
				require.Less(t, len(some), len(want))
			} else {
				require.ErrorIs(t, err, cmaf.ErrMalformed)
			}
		}
	}
}

func FuzzReadFragments(f *testing.F) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, kind := range []media.Kind{media.Video, media.Audio} {
		f.Add(cmaf.AppendFragment(nil, 1, 90000, kind, someSamples(rnd, kind)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := cmaf.ReadFragments(b)
		if err != nil {
			require.ErrorIs(t, err, cmaf.ErrMalformed)
			return
		}
		n := 0
		for _, one := range got {
			for _, s := range one.Samples {
				n += len(s.Data)
			}
		}
		require.LessOrEqual(t, n, len(b))
	})
}
