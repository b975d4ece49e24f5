package media_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"mediad/media"
	"mediad/media/mediatest"
)

// Records as encoders write them.
const (
	avcC = "0164001effe100196764001eacd940a02ff9701100000303e90000ea600f162d9601000668ebe3cb22c0fdf8f800"
	hvcC = "0102200000009000000000003ff000fcfdfafa00000f03" +
		"a00001001840010c01ffff02200000030090000003000003003f959809" +
		"a10001002942010102200000030090000003000003003fa005020169365959a4932bc05a02000007d20000ea6010" +
		"a2000100074401c172b46240"
	av1C    = "81010c000a0b0000000cc4ff6736be4010"
	vpcC    = "010000000015820202020000"
	dOps    = "000101380000bb80000000"
	aacLC   = "121056e500"
	aac71   = "11b856e500"
	aacQuad = "118004c4040021100d4c61766335392e33372e31303056e500" // a program config element
	aacSBR  = "2b920800"
)

func raw(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err)
	return b
}

func TestRecordsOfEncoders(t *testing.T) {
	ntsc := media.Rational{Num: 30000, Den: 1001}
	tests := []struct {
		name   string
		record string
		make   func([]byte) (*media.Track, error)
		want   media.Track
		codecs string
	}{
		{"h264", avcC, media.NewH264, media.Track{Codec: media.H264, Width: 640, Height: 360, FrameRate: ntsc, Timescale: 90000}, "avc1.64001e"},
		{"h265", hvcC, media.NewH265, media.Track{Codec: media.H265, Width: 640, Height: 360, FrameRate: ntsc, Timescale: 90000}, "hvc1.2.4.L63.90"},
		{"av1", av1C, media.NewAV1, media.Track{Codec: media.AV1, Width: 640, Height: 360, Timescale: 90000}, "av01.0.01M.08"},
		{"vp9", vpcC, media.NewVP9, media.Track{Codec: media.VP9, Timescale: 90000}, "vp09.00.21.08"},
		{"vp9 without version", vpcC[8:], media.NewVP9, media.Track{Codec: media.VP9, Timescale: 90000}, "vp09.00.21.08"},
		{"vp8", vpcC, media.NewVP8, media.Track{Codec: media.VP8, Timescale: 90000}, "vp08.00.21.08"},
		{"opus", dOps, media.NewOpus, media.Track{Kind: media.Audio, Codec: media.Opus, SampleRate: 48000, Channels: 1, FrameSamples: 960, Timescale: 48000}, "opus"},
		{"aac", aacLC, media.NewAAC, media.Track{Kind: media.Audio, Codec: media.AAC, SampleRate: 44100, Channels: 2, FrameSamples: 1024, Timescale: 44100}, "mp4a.40.2"},
		{"aac 7.1", aac71, media.NewAAC, media.Track{Kind: media.Audio, Codec: media.AAC, SampleRate: 48000, Channels: 8, FrameSamples: 1024, Timescale: 48000}, "mp4a.40.2"},
		{"aac quad", aacQuad, media.NewAAC, media.Track{Kind: media.Audio, Codec: media.AAC, SampleRate: 48000, Channels: 4, FrameSamples: 1024, Timescale: 48000}, "mp4a.40.2"},
		{"he-aac", aacSBR, media.NewAAC, media.Track{Kind: media.Audio, Codec: media.AAC, SampleRate: 22050, Channels: 2, FrameSamples: 1024, Timescale: 22050}, "mp4a.40.5"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			record := raw(t, tt.record)
			got, err := tt.make(record)
			require.NoError(t, err)
			require.Equal(t, tt.codecs, got.RFC6381())
			require.True(t, strings.HasSuffix(hex.EncodeToString(got.Config), tt.record))
			clear(record)
			require.True(t, strings.HasSuffix(hex.EncodeToString(got.Config), tt.record), "Config is not a copy")
			again, err := tt.make(got.Config)
			require.NoError(t, err)
			require.True(t, got.Same(again))

			tt.want.Config = got.Config
			want := tt.want
			require.Equal(t, [...]any{want.Kind, want.Codec, want.Timescale, want.Width, want.Height, want.FrameRate, want.SampleRate, want.Channels, want.FrameSamples},
				[...]any{got.Kind, got.Codec, got.Timescale, got.Width, got.Height, got.FrameRate, got.SampleRate, got.Channels, got.FrameSamples})
			// Cut anywhere it is refused, or makes a track; it never reads past the end.
			for n := range len(got.Config) {
				_, _ = tt.make(got.Config[:n:n])
			}
		})
	}
}

func TestHVCCAndAVCCMakeWhatTheyParse(t *testing.T) {
	b := raw(t, hvcC)
	vps, sps, pps := b[28:28+0x18], b[57:57+0x29], b[103:]
	record, err := media.HVCC(vps, sps, pps)
	require.NoError(t, err)
	got, err := media.NewH265(record)
	require.NoError(t, err)
	require.Equal(t, "hvc1.2.4.L63.90", got.RFC6381())

	h, err := media.NewH264(raw(t, avcC))
	require.NoError(t, err)
	s, p := h.H264ParameterSets()
	require.Len(t, s, 1)
	record, err = media.AVCC(s[0], p[0])
	require.NoError(t, err)
	again, err := media.NewH264(record)
	require.NoError(t, err)
	require.Equal(t, h.Width, again.Width)
}

func TestFrameRatesThatAreNone(t *testing.T) {
	for _, fps := range []uint32{500, 90000} {
		require.Zero(t, mediatest.H264Track(640, 360, fps, 1).FrameRate)
	}
	require.Equal(t, media.Rational{Num: 25, Den: 2}, mediatest.H264Track(640, 360, 50, 4).FrameRate)
}

func TestLengthPrefix4(t *testing.T) {
	for size, in := range map[int]string{1: "026511 0141", 2: "0002 6511 0001 41", 3: "000002 6511 000001 41", 4: "00000002 6511 00000001 41"} {
		out, err := media.LengthPrefix4(raw(t, in), size)
		require.NoError(t, err)
		require.Equal(t, "0000000265110000000141", hex.EncodeToString(out))
	}
	_, err := media.LengthPrefix4(raw(t, "0565"), 1)
	require.ErrorIs(t, err, media.ErrTruncated)
	record := raw(t, avcC)
	record[4] = 0xfd
	require.Equal(t, 2, media.NALLengthSize(media.H264, record))
	track, err := media.NewH264(record)
	require.NoError(t, err)
	require.Equal(t, 4, media.NALLengthSize(media.H264, track.Config))
}

func TestClassify(t *testing.T) {
	key, open, drop := media.Class{RandomAccess: true}, media.Class{RandomAccess: true, OpenGOP: true}, media.Class{Disposable: true}
	tests := []struct {
		name  string
		codec media.Codec
		data  string
		want  media.Class
	}{
		{"h264 IDR behind parameter sets", media.H264, "00000002 6764 00000002 68ee 00000002 65b8", key},
		{"h264 P", media.H264, "00000002 41e0", media.Class{}},
		{"h264 B", media.H264, "00000002 01a8", drop},
		{"h264 two slices, one referred to", media.H264, "00000002 01a8 00000002 41e0", media.Class{}},
		{"h264 I behind recovery point", media.H264, "00000005 060601c480 00000002 61b8", open},
		{"h264 P behind recovery point", media.H264, "00000005 060601c480 00000002 61e0", media.Class{}},
		{"h264 I behind recovery point in 3 frames", media.H264, "00000005 0606012080 00000002 61b8", media.Class{}},
		{"h264 parameter sets alone", media.H264, "00000002 6764 00000002 68ee", media.Class{Empty: true}},
		{"h264 nothing", media.H264, "", media.Class{Empty: true}},
		{"h264 empty NAL units", media.H264, "00000000 00000000 00000002 65b8", key},
		{"h265 IDR", media.H265, "00000003 260180", key},
		{"h265 CRA", media.H265, "00000003 2a0180", open},
		{"h265 TRAIL_R", media.H265, "00000003 020180", media.Class{}},
		{"h265 TRAIL_N", media.H265, "00000003 000180", drop},
		{"h265 TSA_N of a lower sub-layer", media.H265, "00000003 040280", media.Class{}},
		{"h265 SEI alone", media.H265, "00000003 4e0180", media.Class{Empty: true}},
		{"av1 key", media.AV1, "1200 0a0b0000000cc4ff6736be4010 320310aabb", key},
		{"av1 key without sequence header", media.AV1, "1200 320310aabb", media.Class{}},
		{"av1 inter, last OBU without size", media.AV1, "1200 3030aabb", media.Class{}},
		{"av1 delimiter alone", media.AV1, "1200", media.Class{Empty: true}},
		{"vp9 key", media.VP9, "824983420000", key},
		{"vp9 inter", media.VP9, "8600", media.Class{}},
		{"vp9 shown again", media.VP9, "8800", media.Class{}},
		{"vp8 key", media.VP8, "100200 9d012a 8002 6801", key},
		{"vp8 key that is not shown", media.VP8, "000200 9d012a 8002 6801", media.Class{}},
		{"vp8 inter", media.VP8, "110200", media.Class{}},
		{"vp8 nothing", media.VP8, "", media.Class{Empty: true}},
		{"aac", media.AAC, "2110", key},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			data := raw(t, tt.data)
			got, err := media.ClassifyUnit(&media.Track{Codec: tt.codec}, data)
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
			track := &media.Track{Codec: tt.codec}
			require.Zero(t, testing.AllocsPerRun(10, func() { _, _ = media.ClassifyUnit(track, data) }))
		})
	}
	for codec, data := range map[media.Codec]string{
		media.H264: "00000009 65", media.H265: "ffffffff 2601", media.AV1: "0aff", media.VP9: "00", media.VP8: "00",
	} {
		_, err := media.ClassifyUnit(&media.Track{Codec: codec}, raw(t, data))
		require.Error(t, err, codec)
	}
	_, err := media.ClassifyH264(make([]byte, 4*2000))
	require.Error(t, err, "too many NAL units")
}

func TestVP9SizeComesFromTheKeyFrame(t *testing.T) {
	w, h, ok := media.VP9Size(raw(t, "8249834200 27f0 167000"))
	require.True(t, ok)
	require.Equal(t, [2]int{640, 360}, [2]int{w, h})
	track, err := media.NewVP9(raw(t, vpcC))
	require.NoError(t, err)
	require.Equal(t, 640, track.WithSize(w, h).Width)
	require.Zero(t, track.Width)
}

func TestVP8SizeComesFromTheKeyFrame(t *testing.T) {
	w, h, ok := media.VP8Size(raw(t, "100200 9d012a 8002 6841"))
	require.True(t, ok)
	require.Equal(t, [2]int{640, 360}, [2]int{w, h}, "without the scale above them")
	for _, none := range []string{"", "110200 9d012a 8002 6801", "100200 9d012b 8002 6801", "100200 9d012a 0000 6801", "100200 9d012a 8002 68"} {
		_, _, ok = media.VP8Size(raw(t, none))
		require.False(t, ok, none)
	}
}

func TestOpusPackets(t *testing.T) {
	require.EqualValues(t, 960, media.OpusSamples([]byte{31<<3 | 4}))
	require.EqualValues(t, 0, media.OpusSamples(nil))
	require.EqualValues(t, 0, media.OpusSamples([]byte{0x1b, 63}), "over 120 ms")
	b, err := media.DOps(append([]byte("OpusHead"), 1, 2, 0x38, 1, 0x80, 0xbb, 0, 0, 0, 0, 0))
	require.NoError(t, err)
	require.Equal(t, "000201380000bb80000000", hex.EncodeToString(b))
	_, err = media.DOps([]byte("OpusTags"))
	require.Error(t, err)
}

func TestSame(t *testing.T) {
	a, b := mediatest.H264Track(640, 360, 30, 1), mediatest.H264Track(640, 360, 30, 1)
	require.True(t, a.Same(b))
	require.False(t, a.Same(mediatest.H264Track(640, 360, 25, 1)))
	require.False(t, a.Same(nil))
	require.True(t, (*media.Track)(nil).Same(nil))
}

func FuzzConfig(f *testing.F) {
	for i, s := range []string{avcC, hvcC, av1C, vpcC, dOps, aacLC, aacQuad, aacSBR} {
		f.Add(byte(min(i, 5)), raw(f, s))
	}
	makers := [...]func([]byte) (*media.Track, error){media.NewH264, media.NewH265, media.NewAV1, media.NewVP9, media.NewOpus, media.NewAAC, media.NewVP8}
	f.Fuzz(func(t *testing.T, which byte, record []byte) {
		track, err := makers[int(which)%len(makers)](record)
		if err != nil {
			return
		}
		if track.Timescale == 0 || track.RFC6381() == "" {
			t.Fatalf("half a track: %+v", track)
		}
		if track.Kind == media.Audio && (track.FrameSamples < 1 || track.Channels < 1) {
			t.Fatalf("half an audio track: %+v", track)
		}
		again, err := makers[int(which)%len(makers)](track.Config)
		if err != nil || !track.Same(again) {
			t.Fatalf("%v: its own Config makes another track: %v", track.Codec, err)
		}
	})
}

func FuzzClassify(f *testing.F) {
	f.Add(byte(media.H264), raw(f, "00000005060601c4800000000261b8"))
	f.Add(byte(media.H265), raw(f, "00000003260180"))
	f.Add(byte(media.AV1), raw(f, "12000a0b0000000cc4ff6736be4010320310aabb"))
	f.Add(byte(media.VP9), raw(f, "824983420027f0167000"))
	f.Add(byte(media.VP8), raw(f, "1002009d012a80026801"))
	f.Fuzz(func(t *testing.T, codec byte, data []byte) {
		c, err := media.ClassifyUnit(&media.Track{Codec: media.Codec(codec)}, data)
		if err == nil && c.Empty && (c.Disposable || c.OpenGOP) {
			t.Fatalf("%+v", c)
		}
		media.VP9Size(data)
		if w, h, ok := media.VP8Size(data); ok && (w < 1 || h < 1 || w > 16383 || h > 16383) {
			t.Fatalf("%d x %d", w, h)
		}
		media.OpusSamples(data)
		if out, err := media.LengthPrefix4(data, int(codec%5)); err == nil && codec%5 != 4 && len(out) > 4*len(data)+4 {
			t.Fatalf("%d bytes of %d", len(out), len(data))
		}
	})
}

func TestVideoRangeIsWhatTheBitstreamSays(t *testing.T) {
	// By x264 and x265, the latter without its SEI array.
	const (
		hlg = "0164001effe1001e6764001eacd940a02ff97016a1224128000003000800000301e078b16cb001000668ebe3cb22c0fdf8f800"
		pq  = "0101600000009000000000003ff000fcfdf8f800000f03200001001840010c01ffff01600000030090000003000003003f959809" +
			"210001002d42010101600000030090000003000003003fa00502016965959a4932bc05a848804820000003002000000303c1" +
			"22000100074401c172b46240"
	)
	vp9HLG := raw(t, vpcC)
	vp9HLG[8] = 18
	for _, tt := range []struct {
		name   string
		record []byte
		make   func([]byte) (*media.Track, error)
		want   string
	}{
		{"h264 hlg", raw(t, hlg), media.NewH264, "HLG"},
		{"h264", raw(t, avcC), media.NewH264, "SDR"},
		{"h265 pq", raw(t, pq), media.NewH265, "PQ"},
		{"av1", raw(t, av1C), media.NewAV1, "SDR"},
		{"vp9 hlg", vp9HLG, media.NewVP9, "HLG"},
	} {
		track, err := tt.make(tt.record)
		require.NoError(t, err, tt.name)
		require.Equal(t, tt.want, track.VideoRange(), tt.name)
	}
}
