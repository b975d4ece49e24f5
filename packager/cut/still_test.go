package cut

import (
	"bytes"
	"encoding/binary"
	"os/exec"
	"testing"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/stretchr/testify/require"

	"mediad/media"
	"mediad/media/mediatest"
)

// encoded is a short clip by x264, an access unit each, and its track.
func encoded(t *testing.T, params string) (*media.Track, [][]byte) {
	cmd := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=208x120:rate=30",
		"-frames:v", "24", "-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-x264-params", "aud=1:keyint=12:"+params,
		"-f", "h264", "pipe:1")
	out, err := cmd.Output()
	require.NoError(t, err)
	var units [][]byte
	var sps, pps []byte
	for _, nal := range bytes.Split(bytes.ReplaceAll(out, []byte{0, 0, 0, 1}, []byte{0, 0, 1}), []byte{0, 0, 1})[1:] {
		switch nal[0] & 0x1f {
		case 9:
			units = append(units, nil)
			continue
		case 7:
			sps = nal
		case 8:
			pps = nal
		default:
		}
		n := len(units) - 1
		units[n] = append(binary.BigEndian.AppendUint32(units[n], uint32(len(nal))), nal...)
	}
	avcC, err := media.AVCC(sps, pps)
	require.NoError(t, err)
	track, err := media.NewH264(avcC)
	require.NoError(t, err)
	return track, units
}

// decoded is every picture that FFmpeg shows, in the order of decoding times.
func decoded(t *testing.T, units [][]byte) [][]byte {
	var in bytes.Buffer
	for _, u := range units {
		in.Write([]byte{0, 0, 0, 1, 9, 0xf0})
		for len(u) > 4 {
			n := binary.BigEndian.Uint32(u)
			in.Write([]byte{0, 0, 0, 1})
			in.Write(u[4 : 4+n])
			u = u[4+n:]
		}
	}
	var complaints bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "ffmpeg", "-v", "warning", "-flags", "+output_corrupt", "-f", "h264", "-i", "pipe:0", "-fps_mode", "passthrough",
		"-f", "rawvideo", "pipe:1")
	cmd.Stdin, cmd.Stderr = &in, &complaints
	out, err := cmd.Output()
	require.NoError(t, err, complaints.String())
	require.Empty(t, complaints.String())
	const size = 208 * 120 * 3 / 2
	var pictures [][]byte
	for ; len(out) >= size; out = out[size:] {
		pictures = append(pictures, out[:size])
	}
	return pictures
}

func TestStillPictureIsACopyOfTheLast(t *testing.T) {
	for _, params := range []string{"bframes=0:cabac=1", "bframes=0:cabac=0", "bframes=0:cabac=1:weightp=2:ref=3", "bframes=0:slices=3", "bframes=2:b-adapt=0:cabac=1"} {
		t.Run(params, func(t *testing.T) {
			track, units := encoded(t, params)
			s := newStiller(track)
			require.NotNil(t, s)
			want := decoded(t, units)
			require.Len(t, want, len(units))
			// A reference picture in the middle of the second GOP, and an IDR.
			for _, at := range []int{12, 18} {
				au := s.picture(units[at])
				require.NotNil(t, au)
				require.Less(t, len(au), 64)
				got := decoded(t, append(append(append([][]byte{}, units[:at+1]...), au), units[at+1:]...))
				require.Len(t, got, len(want)+1)
				if params != "bframes=2:b-adapt=0:cabac=1" {
					require.Equal(t, want[at], got[at+1], "a copy of the last")
				}
				for i, p := range want {
					found := false
					for _, q := range got[i:min(i+2, len(got))] {
						found = found || bytes.Equal(p, q)
					}
					require.True(t, found, "picture %d is as it was", i)
				}
			}
		})
	}
}

func FuzzStill(f *testing.F) {
	f.Add([]byte{0x68, 0xee, 0x3c, 0x80}, []byte{0, 0, 0, 4, 0x41, 0x9a, 0x21, 0x6c})
	f.Fuzz(func(t *testing.T, pps, au []byte) {
		s := newStiller(simple(media.Rational{Num: 30, Den: 1}, 1, 30, 0).video)
		require.NotNil(t, s)
		if id, p, ok := parsePPS(pps); ok {
			s.pps[id] = p
		}
		_ = s.picture(au)
	})
}

func TestStillPictureIsNotMadeOfAnAbsurdSize(t *testing.T) {
	track := mediatest.H264Track(1280, 720, 30, 1)
	// A second set of parameters in the configuration: nobody looks at its size until a slice refers to it.
	var w bitWriter
	w.put(100<<16|31, 24)
	for _, v := range []uint32{1, 1, 0, 0} { // id, chroma format, bit depths
		w.ue(v)
	}
	w.put(0, 2)
	for _, v := range []uint32{0, 0, 4, 1} {
		w.ue(v)
	}
	w.put(0, 1)
	w.ue(1 << 14) // width in macroblocks: with the height 4 billion of them
	w.ue(1 << 17)
	w.put(0xc, 4) // frames only, 8x8 inference, no cropping, no VUI
	w.put(1, 1)
	w.align(0)
	sps := append([]byte{0x67}, escape(w.buf)...)
	var parsed h264.SPS
	require.NoError(t, parsed.Unmarshal(sps))

	s := newStiller(track)
	s.sps[parsed.ID] = &parsed
	for _, p := range s.pps {
		p.sps = parsed.ID
	}
	require.Nil(t, s.picture([]byte{0, 0, 0, 4, 0x41, 0x9a, 0x21, 0x6c}))
}
