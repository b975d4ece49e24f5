package cmaf_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/Eyevinn/mp4ff/mp4"
	"github.com/stretchr/testify/require"

	"mediad/media"
	"mediad/media/mediatest"
	"mediad/packager/cmaf"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares text with testdata/{name}.txt.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".txt")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

// dump is every box of an MP4 file as text, as an independent reader sees it.
func dump(t *testing.T, file []byte) string {
	t.Helper()
	f, err := mp4.DecodeFile(bytes.NewReader(file))
	require.NoError(t, err)
	var out strings.Builder
	require.NoError(t, f.Info(&out, "all:1", "", "  "))
	return out.String()
}

func tracks(t *testing.T) map[string]*media.Track {
	t.Helper()
	must := func(tr *media.Track, err error) *media.Track {
		require.NoError(t, err)
		return tr
	}
	return map[string]*media.Track{
		"h264":                   mediatest.H264Track(1280, 720, 30, 1),
		"h264_shape_and_colours": must(media.NewH264(unhex(t, avcC))),
		"h265":                   must(media.NewH265(unhex(t, hvcC))),
		"av1":                    must(media.NewAV1(unhex(t, av1C))),
		"vp9":                    must(media.NewVP9([]byte{0, 31, 0x82, 1, 1, 1, 0, 0})).WithSize(640, 360),
		"aac":                    mediatest.AACTrack(48000, 2),
		"aac96":                  mediatest.AACTrack(96000, 6),
		"opus":                   mediatest.OpusTrack(),
	}
}

func TestInitIsWhatAnIndependentReaderUnderstands(t *testing.T) {
	for name, track := range tracks(t) {
		t.Run(name, func(t *testing.T) {
			file, err := cmaf.Init(track)
			require.NoError(t, err)
			golden(t, "init_"+name, dump(t, file))

			f, err := mp4.DecodeFile(bytes.NewReader(file))
			require.NoError(t, err)
			require.Equal(t, uint32(track.Timescale), f.Moov.Trak.Mdia.Mdhd.Timescale)
			require.Contains(t, f.Ftyp.CompatibleBrands(), "cmfc")
			require.NotNil(t, f.Moov.Mvex.Trex)

			var again bytes.Buffer
			require.NoError(t, f.Encode(&again))
			require.Equal(t, file, again.Bytes(), "the reader writes the same bytes")
		})
	}
}

func TestInitRefusesWhatItCannotDescribe(t *testing.T) {
	for name, track := range map[string]*media.Track{
		"nil":           nil,
		"no config":     {Kind: media.Video, Codec: media.H264, Timescale: media.VideoTimescale},
		"no timescale":  {Kind: media.Video, Codec: media.H264, Config: []byte{1}},
		"unknown codec": {Kind: media.Audio, Codec: media.MP3, Timescale: 48000, Config: []byte{1}},
	} {
		_, err := cmaf.Init(track)
		require.Error(t, err, name)
	}
}

func TestInitMarksParameterSetsOfHvc1Complete(t *testing.T) {
	raw := unhex(t, hvcC)
	incomplete := bytes.Clone(raw)
	for _, at := range hvcCArrays(raw) {
		incomplete[at] &^= 0x80
	}
	track, err := media.NewH265(incomplete)
	require.NoError(t, err)
	before := bytes.Clone(track.Config)
	file, err := cmaf.Init(track)
	require.NoError(t, err)
	require.Equal(t, before, track.Config, "the track's own bytes stay as they were")

	i := bytes.Index(file, []byte("hvcC")) + 4
	written := file[i : i+len(raw)]
	for _, at := range hvcCArrays(raw) {
		require.NotZero(t, written[at]&0x80, "array at %d", at)
	}
}

// hvcCArrays is where the arrays of a valid record begin.
func hvcCArrays(c []byte) (at []int) {
	p := 23
	for range int(c[22]) {
		at = append(at, p)
		n := int(c[p+1])<<8 | int(c[p+2])
		p += 3
		for range n {
			p += 2 + int(c[p])<<8 + int(c[p+1])
		}
	}
	return at
}

func samples(n int, f func(i int, s *cmaf.Sample)) []cmaf.Sample {
	out := make([]cmaf.Sample, n)
	for i := range out {
		out[i] = cmaf.Sample{Data: bytes.Repeat([]byte{byte(i + 1)}, 10), Duration: 3000}
		f(i, &out[i])
	}
	return out
}

var fragments = []struct {
	name    string
	kind    media.Kind
	samples []cmaf.Sample
}{
	{"one_key_frame", media.Video, samples(1, func(_ int, s *cmaf.Sample) { s.Sync = true })},
	{"key_frame_first", media.Video, samples(6, func(i int, s *cmaf.Sample) { s.Sync = i == 0 })},
	{"no_key_frame", media.Video, samples(6, func(int, *cmaf.Sample) {})},
	{"sizes_vary", media.Video, samples(4, func(i int, s *cmaf.Sample) { s.Data = make([]byte, i) })},
	{"b_frames", media.Video, samples(6, func(i int, s *cmaf.Sample) {
		s.Sync, s.Disposable = i == 0, i%3 == 2
		s.CompOffset = [...]int32{0, 6000, -3000}[i%3]
	})},
	{"variable_rate", media.Video, samples(3, func(i int, s *cmaf.Sample) { s.Duration = uint32(3000 + i) })},
	{"key_frame_in_the_middle", media.Video, samples(4, func(i int, s *cmaf.Sample) { s.Sync = i == 2 })},
	{"audio", media.Audio, samples(10, func(_ int, s *cmaf.Sample) { s.Sync, s.Duration = true, 1024 })},
	{"audio_not_marked", media.Audio, samples(2, func(_ int, s *cmaf.Sample) { s.Duration = 1024 })},
}

func TestFragmentRoundTrip(t *testing.T) {
	const base = uint64(1) << 40 // beyond 32 bits
	for _, c := range fragments {
		t.Run(c.name, func(t *testing.T) {
			got := cmaf.AppendFragment(nil, 7, base, c.kind, c.samples)
			require.Len(t, got, cmaf.FragmentSize(c.samples))

			f, err := mp4.DecodeFile(bytes.NewReader(got))
			require.NoError(t, err)
			frag := f.Segments[0].Fragments[0]
			require.Equal(t, uint32(7), frag.Moof.Mfhd.SequenceNumber)
			require.Equal(t, base, frag.Moof.Traf.Tfdt.BaseMediaDecodeTime())
			require.True(t, frag.Moof.Traf.Tfhd.DefaultBaseIfMoof())
			full, err := frag.GetFullSamples(nil)
			require.NoError(t, err)
			require.Len(t, full, len(c.samples))
			for i, s := range c.samples {
				require.Equal(t, len(s.Data), len(full[i].Data))
				require.True(t, bytes.Equal(s.Data, full[i].Data), "sample %d", i)
				require.Equal(t, s.Duration, full[i].Dur)
				require.Equal(t, s.CompOffset, full[i].CompositionTimeOffset)
				sync := s.Sync || c.kind == media.Audio
				require.Equal(t, sync, full[i].IsSync(), "sample %d", i)
				flags := mp4.DecodeSampleFlags(full[i].Flags)
				if sync {
					require.Equal(t, uint32(2), uint32(flags.SampleDependsOn))
				} else {
					require.Equal(t, uint32(1), uint32(flags.SampleDependsOn))
					require.Equal(t, s.Disposable, flags.SampleIsDependedOn == 2)
				}
			}
			golden(t, "fragment_"+c.name, dump(t, got))
		})
	}
}

func TestFragmentAppendsAndNeedsSamples(t *testing.T) {
	s := samples(2, func(int, *cmaf.Sample) {})
	got := cmaf.AppendFragment([]byte("before"), 1, 0, media.Video, s)
	require.Equal(t, "before", string(got[:6]))
	require.Len(t, got, 6+cmaf.FragmentSize(s))
	require.Equal(t, []byte("x"), cmaf.AppendFragment([]byte("x"), 1, 0, media.Video, nil))
	require.Zero(t, cmaf.FragmentSize(nil))
}

func TestFragmentAllocatesNothing(t *testing.T) {
	for _, c := range fragments {
		dst := make([]byte, 0, cmaf.FragmentSize(c.samples))
		require.Zero(t, testing.AllocsPerRun(100, func() {
			dst = cmaf.AppendFragment(dst[:0], 1, 90000, c.kind, c.samples)
		}), c.name)
	}
}

func BenchmarkAppendFragment(b *testing.B) {
	s := samples(6, func(i int, s *cmaf.Sample) { s.Sync, s.Data = i == 0, make([]byte, 10000+i) })
	dst := make([]byte, 0, cmaf.FragmentSize(s))
	b.SetBytes(int64(cap(dst)))
	b.ReportAllocs()
	for b.Loop() {
		dst = cmaf.AppendFragment(dst[:0], 1, 90000, media.Video, s)
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	var out []byte
	_, err := fmt.Sscanf(s, "%x", &out)
	require.NoError(t, err)
	return out
}
