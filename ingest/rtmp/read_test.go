package rtmp

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/ingest/ingesttest"
	"mediad/internal/testx"
	"mediad/live"
	"mediad/media"
	"mediad/media/amf0"
	"mediad/media/chunk"
	"mediad/media/mediatest"
)

// published is a publication into a fresh hub.
func published(t *testing.T) (*publication, *ingesttest.Publication) {
	t.Helper()
	hub := ingesttest.NewHub("k")
	p, err := hub.Admit(t.Context(), "k", live.Peer{})
	require.NoError(t, err)
	return newPublication(p, p, 1, "", time.Now()), p
}

func video(ms uint32, parts ...any) chunk.Message {
	return chunk.Message{Type: chunk.TypeVideo, Timestamp: ms, Payload: testx.Cat(parts...)}
}

func audio(ms uint32, parts ...any) chunk.Message {
	return chunk.Message{Type: chunk.TypeAudio, Timestamp: ms, Payload: testx.Cat(parts...)}
}

// nals puts NAL units behind lengths of size bytes.
func nals(size int, units ...[]byte) (b []byte) {
	for _, u := range units {
		n := binary.BigEndian.AppendUint32(nil, uint32(len(u)))
		b = append(append(b, n[4-size:]...), u...)
	}
	return b
}

var (
	idrNAL   = []byte{0x65, 0x88, 0x84, 0, 1}
	otherNAL = []byte{0x41, 0x9A, 2, 3}
)

func TestUnitHasTheMessagesOwnBytes(t *testing.T) {
	p, got := published(t)
	track := mediatest.H264Track(640, 360, 30, 1)
	require.NoError(t, p.media(video(0, 0x17, 0, 0, 0, 0, track.Config)))
	m := video(40, 0x17, 1, 0, 0, 80, nals(4, idrNAL))
	require.NoError(t, p.media(m))
	au := got.Units(media.Video)[0]
	require.Same(t, &m.Payload[5], &au.Data[0], "copied")
	require.Equal(t, media.Ticks(40*90), au.DTS)
	require.Equal(t, media.Ticks(120*90), au.PTS)
	require.True(t, au.RandomAccess)
}

func TestNanosecondsReachTheTrackTimescale(t *testing.T) {
	p, got := published(t)
	track := mediatest.H264Track(640, 360, 30, 1)
	require.NoError(t, p.media(video(0, 0x90, "avc1", track.Config)))
	// 33 ms and 333 333 ns: a 30th of a second is 3000 ticks.
	require.NoError(t, p.media(video(33, 0x97, 2, 0x05, 0x16, 0x15, 0x03, "avc1", nals(4, idrNAL))))
	require.Equal(t, media.Ticks(3000), got.Units(media.Video)[0].DTS)
}

func TestTimesGoOnBeyond32Bits(t *testing.T) {
	p, got := published(t)
	require.NoError(t, p.media(video(0, 0x17, 0, 0, 0, 0, mediatest.H264Track(640, 360, 30, 1).Config)))
	require.NoError(t, p.media(audio(0, 0xAF, 0, mediatest.AACTrack(48000, 2).Config)))
	for _, ms := range []uint32{1 << 31, 1<<32 - 20, 13, 46} {
		require.NoError(t, p.media(video(ms, 0x17, 1, 0, 0, 0, nals(4, idrNAL))))
		require.NoError(t, p.media(audio(ms, 0xAF, 1, "sound")))
	}
	v := got.Units(media.Video)
	require.Equal(t, media.Ticks(33*90), v[2].DTS-v[1].DTS)
	require.Equal(t, media.Ticks(33*90), v[3].DTS-v[2].DTS)
	a := got.Units(media.Audio)
	require.Equal(t, media.Ticks(33*48), a[2].DTS-a[1].DTS)
}

func TestShortNALLengthsBecomeFourBytes(t *testing.T) {
	for _, size := range []int{1, 2, 4} {
		p, got := published(t)
		config := append([]byte(nil), mediatest.H264Track(640, 360, 30, 1).Config...)
		config[4] = 0xFC | byte(size-1)
		require.NoError(t, p.media(video(0, 0x17, 0, 0, 0, 0, config)))
		require.NoError(t, p.media(video(0, 0x17, 1, 0, 0, 0, nals(size, []byte{6, 1}, idrNAL))))
		require.Equal(t, nals(4, []byte{6, 1}, idrNAL), got.Units(media.Video)[0].Data)
		require.Equal(t, byte(3), got.Tracks(media.Video)[0].Config[4]&3)
	}
}

func TestChangedParameterSetsMakeANewTrack(t *testing.T) {
	small, large := mediatest.H264Track(640, 360, 30, 1), mediatest.H264Track(1920, 1080, 30, 1)
	sets := func(tr *media.Track) [][]byte {
		sps, pps := tr.H264ParameterSets()
		return append(sps, pps...)
	}
	p, got := published(t)
	require.NoError(t, p.media(video(0, 0x17, 0, 0, 0, 0, small.Config)))
	require.NoError(t, p.media(video(0, 0x17, 0, 0, 0, 0, small.Config)), "repeated")
	require.NoError(t, p.media(video(0, 0x17, 1, 0, 0, 0, nals(4, append(sets(small), idrNAL)...))))
	require.Len(t, got.Tracks(media.Video), 1)
	// In band, then by a configuration.
	require.NoError(t, p.media(video(33, 0x17, 1, 0, 0, 0, nals(4, append(sets(large), idrNAL)...))))
	require.Len(t, got.Tracks(media.Video), 2)
	require.Equal(t, 1920, got.Tracks(media.Video)[1].Width)
	require.NoError(t, p.media(video(66, 0x27, 1, 0, 0, 0, nals(4, otherNAL))))
	require.NoError(t, p.media(video(99, 0x17, 0, 0, 0, 0, mediatest.H264Track(1280, 720, 30, 1).Config)))
	require.Len(t, got.Tracks(media.Video), 3)
	require.Len(t, got.Units(media.Video), 3)
}

func TestRepeatedConfigurationDoesNotUndoWhatIsInBand(t *testing.T) {
	said, meant := mediatest.H264Track(640, 360, 30, 1), mediatest.H264Track(640, 368, 30, 1)
	sps, pps := meant.H264ParameterSets()
	p, got := published(t)
	for i := range uint32(4) {
		require.NoError(t, p.media(video(i*1000, 0x17, 0, 0, 0, 0, said.Config)))
		require.NoError(t, p.media(video(i*1000, 0x17, 1, 0, 0, 0, nals(4, sps[0], pps[0], idrNAL))))
	}
	require.Len(t, got.Tracks(media.Video), 2)
	require.Equal(t, 368, got.Tracks(media.Video)[1].Height)
}

func TestHEVCParameterSetsInBand(t *testing.T) {
	const x265 = "-c:v libx265 -preset ultrafast -x265-params log-level=error:keyint=5 -tag:v hvc1"
	small, _ := encode(t, "-f lavfi -i testsrc2=size=320x180:rate=25:duration=0.2 -pix_fmt yuv420p "+x265, "hvcC")
	large, samples := encode(t, "-f lavfi -i testsrc2=size=640x360:rate=25:duration=0.2 -pix_fmt yuv420p "+x265, "hvcC")
	var sets [][]byte
	for rest, n := large[23:], int(large[22]); n > 0; n-- {
		size := int(binary.BigEndian.Uint16(rest[3:]))
		if typ := rest[0] & 0x3F; typ >= h265VPS && typ <= h265PPS {
			sets = append(sets, rest[5:5+size])
		}
		rest = rest[5+size:]
	}
	require.Len(t, sets, 3)
	p, got := published(t)
	require.NoError(t, p.media(video(0, 0x90, "hvc1", small)))
	require.NoError(t, p.media(video(0, 0x93, "hvc1", nals(4, sets...), samples[0].data)))
	tracks := got.Tracks(media.Video)
	require.Len(t, tracks, 2)
	require.Equal(t, 640, tracks[1].Width)
	require.Len(t, got.Units(media.Video), 1)
	require.Zero(t, p.bad)
}

func TestParameterSetsAloneMakeATrack(t *testing.T) {
	p, got := published(t)
	sps, pps := mediatest.H264Track(1280, 720, 30, 1).H264ParameterSets()
	require.NoError(t, p.media(video(0, 0x17, 1, 0, 0, 0, nals(4, sps[0], pps[0], idrNAL))))
	require.Equal(t, 1280, got.Tracks(media.Video)[0].Width)
	require.Len(t, got.Units(media.Video), 1)
}

func TestUnreadableMediaCostsItselfOnly(t *testing.T) {
	p, got := published(t)
	require.NoError(t, p.media(video(0, 0x27, 1, 0, 0, 0, nals(4, otherNAL))), "before any configuration")
	require.NoError(t, p.media(video(0, 0x17, 0, 0, 0, 0, "nonsense")))
	require.NoError(t, p.media(video(0, 0x17, 0, 0, 0, 0)), "an empty configuration")
	require.NoError(t, p.media(audio(0, 0xAF, 0)))
	require.NoError(t, p.media(video(0, 0x17, 0, 0, 0, 0, mediatest.H264Track(640, 360, 30, 1).Config)))
	require.NoError(t, p.media(video(0, 0x17, 1, 0, 0, 0, "\x00\x00\xFF\xFFshort")))
	require.NoError(t, p.media(video(0, 0x17, 1, 0, 0, 0)))
	require.NoError(t, p.media(video(0, 0x17, 1, 0, 0, 0, nals(4, []byte{6, 1, 2}))), "no picture in it")
	require.Empty(t, got.Units(media.Video))
	require.NoError(t, p.media(video(0, 0x17, 1, 0, 0, 0, nals(4, idrNAL))))
	require.Len(t, got.Units(media.Video), 1)

	var err error
	for range maxBadInRow + 1 {
		require.NoError(t, err)
		err = p.media(video(0, 0x17))
	}
	require.Equal(t, live.ReasonMediaInvalid, live.ReasonOf(err))
}

func TestOpusComesWithAndWithoutItsHead(t *testing.T) {
	head := testx.Cat("OpusHead", 1, 1, 0x38, 0x01, 0x80, 0xBB, 0, 0, 0, 0, 0)
	p, got := published(t)
	require.NoError(t, p.media(audio(0, 0x90, "Opus", head)))
	require.NoError(t, p.media(audio(20, 0x91, "Opus", "\xFCdata")))
	require.Equal(t, 1, got.Tracks(media.Audio)[0].Channels)
	require.Equal(t, media.Ticks(960), got.Units(media.Audio)[0].DTS)

	p, got = published(t)
	require.NoError(t, p.media(audio(0, 0x91, "Opus", "\xFCdata")))
	require.Equal(t, 2, got.Tracks(media.Audio)[0].Channels)
	require.Equal(t, media.Opus, got.Tracks(media.Audio)[0].Codec)
}

func TestVP9TrackHasTheSizeOfItsPictures(t *testing.T) {
	p, got := published(t)
	require.NoError(t, p.media(video(0, 0x90, "vp09", 0, 10, 0x82, 1, 1, 1, 0, 0)))
	require.Empty(t, got.Tracks(media.Video))
	// Profile 0 key frame of 320x180: frame marker, sync code, colour, size.
	key := []byte{0x82, 0x49, 0x83, 0x42, 0x00, 0x13, 0xF0, 0x0B, 0x30, 0x00, 0, 0, 0, 0, 0, 0}
	require.NoError(t, p.media(video(0, 0x91, "vp09", key)))
	tracks := got.Tracks(media.Video)
	require.Len(t, tracks, 1)
	require.Equal(t, [2]int{320, 180}, [2]int{tracks[0].Width, tracks[0].Height})
	require.True(t, got.Units(media.Video)[0].RandomAccess)
}

func TestMetadataReachesTheFeed(t *testing.T) {
	p, got := published(t)
	named := &namedPublisher{Publisher: p.Publisher}
	p.Publisher = named
	p.data(amf0.Append(nil, "@setDataFrame", "onMetaData", amf0.Object{{"framerate", 23.976}, {"videocodecid", 7}, {"encoder", "x"}}))
	require.Equal(t, "x", named.encoder)
	require.Equal(t, media.Rational{Num: 24000, Den: 1001}, got.Hinted())
	require.True(t, got.Without(media.Audio))
	require.False(t, got.Without(media.Video))
	require.Equal(t, "x", p.encoder)
	p.data([]byte("nonsense"))
}

// namedPublisher wants to know its encoder.
type namedPublisher struct {
	Publisher
	encoder string
}

func (p *namedPublisher) SetEncoder(name string) { p.encoder = name }
