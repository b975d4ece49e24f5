package rtmp

import (
	"bytes"
	"encoding/binary"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/Eyevinn/mp4ff/mp4"
	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/media"
)

// TestEnhancedMediaOfRealEncoders takes pictures and sound from the encoders of FFmpeg, as MP4 has them, and publishes
// them by Enhanced RTMP, which no program at hand speaks.
func TestEnhancedMediaOfRealEncoders(t *testing.T) {
	for _, c := range []struct {
		encoder, box, fourCC string
		codec                media.Codec
		rfc6381              string
	}{
		{"-c:v libx265 -preset ultrafast -x265-params log-level=error:keyint=5:bframes=2 -tag:v hvc1", "hvcC", "hvc1", media.H265, "hvc1."},
		{"-c:v libx264 -preset ultrafast -bf 2 -g 5", "avcC", "avc1", media.H264, "avc1."},
		{"-c:v libsvtav1 -preset 12 -g 5", "av1C", "av01", media.AV1, "av01."},
		{"-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 5", "vpcC", "vp09", media.VP9, "vp09."},
	} {
		t.Run(c.fourCC, func(t *testing.T) {
			config, samples := encode(t, "-f lavfi -i testsrc2=size=320x180:rate=25:duration=0.6 -pix_fmt yuv420p "+c.encoder, c.box)
			p, got := published(t)
			require.NoError(t, p.media(video(0, 0x90, c.fourCC, config)))
			for i, s := range samples {
				head := testx.Cat(0x91, c.fourCC)
				if c.codec == media.H264 || c.codec == media.H265 {
					head = append(head, byte(s.offset>>16), byte(s.offset>>8), byte(s.offset))
				}
				require.NoError(t, p.media(video(uint32(i*40), head, s.data)))
			}
			require.Zero(t, p.bad)
			tracks := got.Tracks(media.Video)
			require.Len(t, tracks, 1)
			require.Equal(t, c.codec, tracks[0].Codec)
			require.Equal(t, [2]int{320, 180}, [2]int{tracks[0].Width, tracks[0].Height})
			require.True(t, strings.HasPrefix(tracks[0].RFC6381(), c.rfc6381), tracks[0].RFC6381())
			units := got.Units(media.Video)
			require.Len(t, units, len(samples))
			keys := 0
			for i, u := range units {
				require.Equal(t, samples[i].data, u.Data)
				require.GreaterOrEqual(t, u.PTS, u.DTS)
				if u.RandomAccess {
					keys++
				}
			}
			require.True(t, units[0].RandomAccess)
			require.Greater(t, keys, 1)
			require.Less(t, keys, len(units))
		})
	}
}

func TestOpusOfARealEncoder(t *testing.T) {
	config, samples := encode(t, "-f lavfi -i sine=sample_rate=48000:duration=0.5 -ac 2 -c:a libopus", "dOps")
	// OpusHead is the box in the other byte order, with its magic in front.
	le16 := func(b []byte) []byte { return []byte{b[1], b[0]} }
	head := testx.Cat("OpusHead", 1, config[1:2], le16(config[2:]), config[7], config[6], config[5], config[4], le16(config[8:]), config[10:])
	p, got := published(t)
	require.NoError(t, p.media(audio(0, 0x90, "Opus", head)))
	for i, s := range samples {
		require.NoError(t, p.media(audio(uint32(i*20), 0x91, "Opus", s.data)))
	}
	require.Equal(t, config, got.Tracks(media.Audio)[0].Config)
	require.Len(t, got.Units(media.Audio), len(samples))
}

type sample struct {
	data   []byte
	offset int64 // composition, milliseconds
}

// encode runs FFmpeg and returns the body of a decoder configuration box, and the samples.
func encode(t *testing.T, args, box string) (config []byte, samples []sample) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "out.mp4")
	cmd := exec.Command("ffmpeg", append(strings.Fields("-v error -threads 1 "+args+" -movflags +frag_keyframe+empty_moov+default_base_moof"), file)...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	f, err := mp4.ReadMP4File(file)
	require.NoError(t, err)
	var stsd bytes.Buffer
	require.NoError(t, f.Moov.Trak.Mdia.Minf.Stbl.Stsd.Encode(&stsd))
	at := bytes.Index(stsd.Bytes(), []byte(box))
	require.Greater(t, at, 0, box)
	size := binary.BigEndian.Uint32(stsd.Bytes()[at-4:])
	config = stsd.Bytes()[at+4 : at-4+int(size)]
	scale := int64(f.Moov.Trak.Mdia.Mdhd.Timescale)
	for _, seg := range f.Segments {
		for _, fr := range seg.Fragments {
			full, err := fr.GetFullSamples(f.Moov.Mvex.Trex)
			require.NoError(t, err)
			for _, s := range full {
				samples = append(samples, sample{s.Data, int64(s.CompositionTimeOffset) * 1000 / scale})
			}
		}
	}
	require.NotEmpty(t, samples)
	return config, samples
}
