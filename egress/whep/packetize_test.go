package whep

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/pion/rtp/codecs"
	"github.com/stretchr/testify/require"

	"mediad/media"
	"mediad/media/mediatest"
)

// unit makes an access unit of NAL units.
func unit(key bool, nals ...[]byte) *media.AccessUnit {
	var b []byte
	for _, n := range nals {
		b = binary.BigEndian.AppendUint32(b, uint32(len(n)))
		b = append(b, n...)
	}
	return &media.AccessUnit{Kind: media.Video, RandomAccess: key, Data: b}
}

// nal is a NAL unit of one type and size.
func nal(typ byte, size int) []byte {
	b := bytes.Repeat([]byte{0x55}, size)
	b[0] = 0x60 | typ
	for i := 1; i < size; i++ {
		b[i] = byte(i%251) + 1
	}
	return b
}

func depacketize(t testing.TB, payloads [][]byte) (nals [][]byte) {
	t.Helper()
	d := &codecs.H264Packet{}
	var all []byte
	for _, p := range payloads {
		require.LessOrEqual(t, len(p), maxPayload)
		b, err := d.Unmarshal(p)
		require.NoError(t, err)
		all = append(all, b...)
	}
	for rest := all; len(rest) > 0; {
		require.True(t, bytes.HasPrefix(rest, []byte{0, 0, 0, 1}))
		rest = rest[4:]
		n := bytes.Index(rest, []byte{0, 0, 0, 1})
		if n < 0 {
			n = len(rest)
		}
		nals, rest = append(nals, rest[:n]), rest[n:]
	}
	return nals
}

func TestPacketizer(t *testing.T) {
	track := mediatest.H264Track(640, 360, 30, 1)
	sps, pps := track.H264ParameterSets()
	sps2, pps2 := nal(nalSPS, 20), nal(nalPPS, 5)
	small, large, sei := nal(1, 300), nal(nalIDR, 50000), nal(6, 40)
	sei0 := []byte{6, 0, 5, 0, 0, 3, 1, 9, 9, 0x80} // with a byte of emulation prevention
	sei01 := []byte{6, 0, 2, 7, 7, 1, 3, 8, 8, 8, 0x80}
	sei05 := []byte{6, 1, 2, 7, 7, 5, 3, 8, 8, 8, 0x80}
	for _, c := range []struct {
		name    string
		au      *media.AccessUnit
		want    [][]byte
		packets int
	}{
		{"a slice goes as it is", unit(false, small), [][]byte{small}, 1},
		{"a key frame gets the track's parameter sets", unit(true, nal(nalIDR, 500)), [][]byte{sps[0], pps[0], nal(nalIDR, 500)}, 2},
		{"or keeps its own", unit(true, sps2, pps2, sei, nal(nalIDR, 500)), [][]byte{sps2, pps2, sei, nal(nalIDR, 500)}, 2},
		{"half of them is not enough", unit(true, sps2, nal(nalIDR, 500)), [][]byte{sps[0], pps[0], sps2, nal(nalIDR, 500)}, 2},
		{"what no decoder needs is left out", unit(false, nal(9, 2), small, nal(12, 99), nal(10, 1)), [][]byte{small}, 1},
		{"nor is timing sent", unit(false, sei0, sei01, small), [][]byte{small}, 1},
		{"but what stands beside it", unit(false, sei05, small), [][]byte{sei05, small}, 2},
		{"slices stay apart", unit(false, small, small), [][]byte{small, small}, 2},
		{"a large one is cut", unit(false, large), [][]byte{large}, (50000-1+maxPayload-3)/(maxPayload-2) + 0},
		{"exactly full", unit(false, nal(1, maxPayload)), [][]byte{nal(1, maxPayload)}, 1},
		{"one byte more", unit(false, nal(1, maxPayload+1)), [][]byte{nal(1, maxPayload+1)}, 2},
		{"a large SEI is cut as well", unit(false, nal(6, 3000), small), [][]byte{nal(6, 3000), small}, 4},
		{"SEI that overflow one packet", unit(false, nal(6, 700), nal(6, 700), small), [][]byte{nal(6, 700), nal(6, 700), small}, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPacketizer(track)
			payloads, err := p.payloads(c.au)
			require.NoError(t, err)
			require.Len(t, payloads, c.packets)
			require.Equal(t, c.want, depacketize(t, payloads))
		})
	}
	p := newPacketizer(track)
	for _, bad := range [][]byte{nil, {0, 0, 0}, {0, 0, 0, 9, 1}, {0xff, 0xff, 0xff, 0xff, 1}, {0, 0, 0, 1, 9}} {
		_, err := p.payloads(&media.AccessUnit{Data: bad})
		require.ErrorIs(t, err, errNAL)
	}
}

// TestPacketizerCopiesLittle: a slice that fits is not copied, and a picture costs a handful of allocations.
func TestPacketizerCopiesLittle(t *testing.T) {
	p := newPacketizer(mediatest.H264Track(640, 360, 30, 1))
	au := unit(false, nal(1, 900))
	payloads, err := p.payloads(au)
	require.NoError(t, err)
	require.Same(t, &au.Data[4], &payloads[0][0])
	large := unit(true, nal(nalIDR, 60000))
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() { _, _ = p.payloads(large) }), 4.0)
}

func TestTellsTiming(t *testing.T) {
	for _, c := range []struct {
		sei  []byte
		want bool
	}{
		{[]byte{6}, false}, {[]byte{6, 1}, false}, {[]byte{6, 1, 0x80}, false}, {[]byte{6, 1, 4, 0x80}, false}, {[]byte{6, 1, 0xff, 0xff}, false},
		{[]byte{6, 1, 1, 9, 0x80}, true}, {[]byte{6, 1, 1, 9}, false}, {[]byte{6, 0xff, 1, 1, 9, 0x80}, false}, {[]byte{6, 6, 1, 9, 0x80}, false},
	} {
		require.Equal(t, c.want, tellsTiming(c.sei), "%x", c.sei)
	}
}

func FuzzPacketizer(f *testing.F) {
	f.Add(unit(true, nal(nalIDR, 5000)).Data, true)
	f.Add(unit(false, nal(6, 100), nal(1, 3000), nal(1, 10)).Data, false)
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 1, 0x41}, false)
	track := mediatest.H264Track(640, 360, 30, 1)
	f.Fuzz(func(t *testing.T, data []byte, key bool) {
		p := newPacketizer(track)
		payloads, err := p.payloads(&media.AccessUnit{RandomAccess: key, Data: data})
		if err != nil {
			return
		}
		total := 0
		for _, b := range payloads {
			if len(b) == 0 || len(b) > maxPayload {
				t.Fatalf("payload of %d bytes", len(b))
			}
			total += len(b)
		}
		if total > 2*len(data)+200 {
			t.Fatalf("%d bytes of %d", total, len(data))
		}
	})
}

func TestReorder(t *testing.T) {
	judge := func(p mediatest.VideoPattern, delay media.Ticks) (order, int) {
		var r reorder
		o := orderUnknown
		for i, au := range mediatest.Video(p) {
			au.PTS += delay
			if o = r.add(&au); o == orderMixed {
				return o, i
			}
		}
		return o, 0
	}
	o, _ := judge(mediatest.VideoPattern{Frames: 2}, 0)
	require.Equal(t, orderPlain, o, "known at once")
	o, _ = judge(mediatest.VideoPattern{Frames: 10}, 3000)
	require.Equal(t, orderUnknown, o, "a delay may mean B-frames")
	o, _ = judge(mediatest.VideoPattern{Frames: 30}, 3000)
	require.Equal(t, orderPlain, o, "but need not")
	for _, b := range []int{1, 2, 3} {
		o, at := judge(mediatest.VideoPattern{Frames: 30, BFrames: b}, 0)
		require.Equal(t, orderMixed, o)
		require.LessOrEqual(t, at, 3)
	}
}
