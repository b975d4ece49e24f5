package rtmp

import (
	"errors"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/live"
	"mediad/media"
	"mediad/media/amf0"
)

func TestVideoHeaders(t *testing.T) {
	for _, c := range []struct {
		name string
		body []byte
		want tag
	}{
		{"AVC configuration", testx.Cat(0x17, 0, 0, 0, 0, "conf"), tag{Kind: tagConfig, Codec: media.H264, Payload: []byte("conf")}},
		{"AVC picture", testx.Cat(0x27, 1, 0, 0, 80, "data"), tag{Kind: tagFrame, Codec: media.H264, Composition: 80, Payload: []byte("data")}},
		{"AVC picture shown before it is decoded", testx.Cat(0x27, 1, 0xFF, 0xFF, 0xDF, "data"), tag{Kind: tagFrame, Codec: media.H264, Composition: -33, Payload: []byte("data")}},
		{"AVC end of sequence", testx.Cat(0x17, 2, 0, 0, 0), tag{Codec: media.H264, Payload: []byte{}}},
		{"AVC command", testx.Cat(0x57, 0), tag{}},
		{"HEVC by its unofficial number", testx.Cat(0x1C, 1, 0, 0, 40, "data"), tag{Kind: tagFrame, Codec: media.H265, Composition: 40, Payload: []byte("data")}},
		{"hvc1 start", testx.Cat(0x90, "hvc1", "conf"), tag{Kind: tagConfig, Codec: media.H265, Payload: []byte("conf")}},
		{"hvc1 frames", testx.Cat(0x91, "hvc1", 0, 0, 66, "data"), tag{Kind: tagFrame, Codec: media.H265, Composition: 66, Payload: []byte("data")}},
		{"hvc1 frames X", testx.Cat(0xA3, "hvc1", "data"), tag{Kind: tagFrame, Codec: media.H265, Payload: []byte("data")}},
		{"avc1 frames", testx.Cat(0x91, "avc1", 0, 0, 1, "data"), tag{Kind: tagFrame, Codec: media.H264, Composition: 1, Payload: []byte("data")}},
		{"av01 start", testx.Cat(0x90, "av01", "conf"), tag{Kind: tagConfig, Codec: media.AV1, Payload: []byte("conf")}},
		{"av01 frames have no composition time", testx.Cat(0x91, "av01", "data"), tag{Kind: tagFrame, Codec: media.AV1, Payload: []byte("data")}},
		{"vp09 frames", testx.Cat(0xA1, "vp09", "data"), tag{Kind: tagFrame, Codec: media.VP9, Payload: []byte("data")}},
		{"end of sequence", testx.Cat(0x92, "av01"), tag{Codec: media.AV1, Payload: []byte{}}},
		{"metadata", testx.Cat(0x94, "av01", "colorInfo"), tag{Codec: media.AV1, Payload: []byte("colorInfo")}},
		{"command", testx.Cat(0xD1, 0), tag{}},
		{"ModEx with nanoseconds", testx.Cat(0x97, 2, 0x01, 0x86, 0xA0, 0x01, "hvc1", 0, 0, 0, "data"), tag{Kind: tagFrame, Codec: media.H265, Nanos: 100_000, Payload: []byte("data")}},
		{"ModEx of another kind is skipped", testx.Cat(0x97, 0, 9, 0x13, "av01", "data"), tag{Kind: tagFrame, Codec: media.AV1, Payload: []byte("data")}},
		{"two ModEx", testx.Cat(0x97, 0, 9, 0x17, 2, 0, 0, 7, 0x01, "av01", "data"), tag{Kind: tagFrame, Codec: media.AV1, Nanos: 7, Payload: []byte("data")}},
		{"long ModEx", testx.Cat(0x97, 255, 0x01, 0x2B, make([]byte, 300), 0x13, "av01", "data"), tag{Kind: tagFrame, Codec: media.AV1, Payload: []byte("data")}},
		{"nanoseconds beyond a millisecond", testx.Cat(0x97, 2, 0xFF, 0xFF, 0xFF, 0x01, "av01", "data"), tag{Kind: tagFrame, Codec: media.AV1, Nanos: maxNanos, Payload: []byte("data")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseVideo(c.body)
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestAudioHeaders(t *testing.T) {
	for _, c := range []struct {
		name string
		body []byte
		want tag
	}{
		{"AAC configuration", testx.Cat(0xAF, 0, "conf"), tag{Kind: tagConfig, Codec: media.AAC, Payload: []byte("conf")}},
		{"AAC frame", testx.Cat(0xAF, 1, "data"), tag{Kind: tagFrame, Codec: media.AAC, Payload: []byte("data")}},
		{"Opus start", testx.Cat(0x90, "Opus", "head"), tag{Kind: tagConfig, Codec: media.Opus, Payload: []byte("head")}},
		{"Opus frame", testx.Cat(0x91, "Opus", "data"), tag{Kind: tagFrame, Codec: media.Opus, Payload: []byte("data")}},
		{"mp4a frame", testx.Cat(0x91, "mp4a", "data"), tag{Kind: tagFrame, Codec: media.AAC, Payload: []byte("data")}},
		{"channel order", testx.Cat(0x94, "mp4a", 1, 2), tag{Codec: media.AAC, Payload: []byte{1, 2}}},
		{"end of sequence", testx.Cat(0x92, "Opus"), tag{Codec: media.Opus, Payload: []byte{}}},
		{"ModEx", testx.Cat(0x97, 2, 0, 0, 9, 0x01, "Opus", "data"), tag{Kind: tagFrame, Codec: media.Opus, Nanos: 9, Payload: []byte("data")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseAudio(c.body)
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestForeignCodecsAreRefusedByName(t *testing.T) {
	for _, c := range []struct {
		parse func([]byte) (tag, error)
		body  []byte
		name  string
	}{
		{parseVideo, testx.Cat(0x12), "Sorenson H.263 video"},
		{parseVideo, testx.Cat(0x14), "VP6 video"},
		{parseVideo, testx.Cat(0x1F), "video of FLV codec 15"},
		{parseVideo, testx.Cat(0x90, "vp08"), "VP8 video"},
		{parseVideo, testx.Cat(0x90, "vvc1"), "VVC video"},
		{parseVideo, testx.Cat(0x90, "xxxx"), "video of an unknown codec"},
		{parseVideo, testx.Cat(0x95, "av01"), "video described in MPEG-2 TS form"},
		{parseAudio, testx.Cat(0x2F), "MP3 audio"},
		{parseAudio, testx.Cat(0xBF), "Speex audio"},
		{parseAudio, testx.Cat(0x7F), "G.711 audio"},
		{parseAudio, testx.Cat(0xCF), "audio of FLV format 12"},
		{parseAudio, testx.Cat(0x90, "ac-3"), "AC-3 audio"},
		{parseAudio, testx.Cat(0x91, "ec-3"), "E-AC-3 audio"},
		{parseAudio, testx.Cat(0x91, "fLaC"), "FLAC audio"},
		{parseAudio, testx.Cat(0x91, ".mp3"), "MP3 audio"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := c.parse(c.body)
			require.Equal(t, live.ReasonCodecUnsupported, live.ReasonOf(err))
			var codec *codecError
			require.True(t, errors.As(err, &codec))
			require.Equal(t, c.name, codec.Name)
			require.Contains(t, endOf(err).Description, c.name)
		})
	}
}

func TestShortHeadersCostTheMessageOnly(t *testing.T) {
	for _, full := range [][]byte{
		testx.Cat(0x17, 1, 0, 0, 0), testx.Cat(0x91, "hvc1", 0, 0, 0), testx.Cat(0x97, 2, 0, 0, 9, 0x01, "hvc1", 0, 0, 0), testx.Cat(0x97, 255, 0, 2, 1, 2, 3, 0x01, "av01"),
	} {
		for n := range len(full) {
			_, err := parseVideo(full[:n])
			require.Equal(t, live.ReasonMediaInvalid, live.ReasonOf(err), "%x", full[:n])
		}
	}
	for _, full := range [][]byte{testx.Cat(0xAF, 1), testx.Cat(0x91, "Opus")} {
		for n := range len(full) {
			_, err := parseAudio(full[:n])
			require.Equal(t, live.ReasonMediaInvalid, live.ReasonOf(err), "%x", full[:n])
		}
	}
}

func TestFrameRateIsTheOneThatIsMeant(t *testing.T) {
	for fps, want := range map[float64]media.Rational{
		30: {Num: 30, Den: 1}, 29.97: {Num: 30000, Den: 1001}, 29.97002997: {Num: 30000, Den: 1001}, 23.976: {Num: 24000, Den: 1001},
		23.98: {Num: 24000, Den: 1001}, 24: {Num: 24, Den: 1}, 59.94: {Num: 60000, Den: 1001}, 60.00024: {Num: 60, Den: 1}, 25: {Num: 25, Den: 1},
		12.5: {Num: 12500, Den: 1000}, 0: {}, -5: {}, 1000: {}, 90000: {}, math.NaN(): {}, math.Inf(1): {},
	} {
		require.Equal(t, want, frameRate(fps), "%v", fps)
	}
}

func TestMetadata(t *testing.T) {
	obs := amf0.Append(nil, "@setDataFrame", "onMetaData", amf0.Object{
		{"duration", 0}, {"width", 1280}, {"height", 720}, {"videocodecid", 7}, {"framerate", 29.97},
		{"audiocodecid", 10}, {"audiosamplerate", 48000}, {"stereo", true}, {"encoder", "obs-output module\n(libobs version 29.0.2)"},
	})
	md, ok, err := parseData(obs)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, metadata{Encoder: "obs-output module(libobs version 29.0.2)", FrameRate: media.Rational{Num: 30000, Den: 1001}, Video: true, Audio: true}, md)

	for _, c := range []struct {
		name         string
		fields       amf0.Object
		video, audio bool
	}{
		{"says nothing", amf0.Object{{"title", "x"}}, true, true},
		{"sound only", amf0.Object{{"audiocodecid", 10}, {"audiosamplerate", 44100}}, false, true},
		{"picture only, with codecs as words", amf0.Object{{"videocodecid", "avc1"}}, true, false},
		{"flags", amf0.Object{{"hasVideo", true}, {"hasAudio", false}, {"audiocodecid", 10}}, true, false},
		{"zero is no codec", amf0.Object{{"width", 640}, {"audiocodecid", 0}}, true, false},
	} {
		md, ok, err := parseData(amf0.Append(nil, "onMetaData", c.fields))
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, [2]bool{c.video, c.audio}, [2]bool{md.Video, md.Audio}, c.name)
	}
	_, ok, err = parseData(amf0.Append(nil, "onTextData", amf0.Object{}))
	require.NoError(t, err)
	require.False(t, ok)
}
