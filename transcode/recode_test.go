package transcode

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/media"
	"mediad/transcode/nut"
)

// encoded is a source of 60 pictures in 2 s with a key frame each second, by FFmpeg.
func encoded(t *testing.T, codec media.Codec, encoder string) (*media.Track, []media.AccessUnit) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	args := append([]string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30:duration=2"}, strings.Fields(encoder)...)
	var out, words bytes.Buffer
	cmd := exec.CommandContext(ctx, "ffmpeg", append(args, "-g", "30", "-f", "nut", "pipe:1")...)
	cmd.Stdout, cmd.Stderr = &out, &words
	require.NoError(t, cmd.Run(), words.String())
	d, err := nut.NewReader(&out)
	require.NoError(t, err)
	stream := d.Streams()[0]
	var track *media.Track
	var units []media.AccessUnit
	for {
		f, err := d.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if track == nil {
			switch codec {
			case media.H265:
				var sets [3][]byte
				for nal := range nals(stream.Extra) {
					if k := h265Type(nal) - h265VPS; k >= 0 && k < 3 {
						sets[k] = nal
					}
				}
				record, err := media.HVCC(sets[0], sets[1], sets[2])
				require.NoError(t, err)
				track, err = media.NewH265(record)
				require.NoError(t, err)
			case media.AV1:
				track, err = media.AV1TrackOf(f.Data)
				require.NoError(t, err)
			default:
				profile, bits := byte(0), byte(0x82)
				if strings.Contains(encoder, "p10") {
					profile, bits = 2, 0xa2
				}
				track, err = media.NewVP9([]byte{profile, 41, bits, 2, 2, 2, 0, 0})
				require.NoError(t, err)
				track = track.WithSize(320, 180)
			}
			track.FrameRate = media.Rational{Num: 30, Den: 1}
		}
		data := f.Data
		if codec == media.H265 {
			data = nil
			for nal := range nals(f.Data) {
				if k := h265Type(nal); k < h265VPS {
					data = appendNAL(data, nal)
				}
			}
		}
		at := media.Rescale(media.Ticks(f.PTS)*media.Ticks(stream.TimeBase.Num), media.Timescale(stream.TimeBase.Den), media.VideoTimescale)
		units = append(units, media.AccessUnit{Kind: media.Video, PTS: at, DTS: at, RandomAccess: f.Key, Data: data})
	}
	require.Len(t, units, 60)
	return track, units
}

// decode decodes pictures by the configuration of a track and returns how many came out; FFmpeg must not complain.
func decode(t *testing.T, of *media.Track, units []media.AccessUnit) int {
	t.Helper()
	b, err := nutHeader(of)
	require.NoError(t, err)
	for i := range units {
		u := &units[i]
		b = append(nut.AppendFrameHeader(b, int64(u.PTS)*marks, u.RandomAccess, len(u.Data)), u.Data...)
	}
	var out, words bytes.Buffer
	cmd := exec.Command("ffmpeg", "-v", "error", "-copyts", "-f", "nut", "-i", "pipe:0", "-fps_mode", "passthrough", "-vf", "scale=32:18,format=gray", "-f", "rawvideo", "-")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(b), &out, &words
	require.NoError(t, cmd.Run(), words.String())
	require.Empty(t, words.String(), "it decodes without a word")
	return out.Len() / (32 * 18)
}

// TestEncodeStretchOfOtherCodecs: as TestEncodeStretch, and what is made and what the source has next are decoded as one, by one configuration.
func TestEncodeStretchOfOtherCodecs(t *testing.T) {
	for _, c := range []struct {
		name, encoder string
		codec         media.Codec
	}{
		{"H.265", "-c:v libx265 -preset ultrafast -x265-params log-level=error:bframes=0", media.H265},
		{"H.265, reordered", "-c:v libx265 -preset ultrafast -x265-params log-level=error:bframes=2:open-gop=0", media.H265},
		{"H.265, ten bits", "-c:v libx265 -preset ultrafast -pix_fmt yuv420p10le -x265-params log-level=error:bframes=0", media.H265},
		{"AV1", "-c:v libaom-av1 -usage realtime -cpu-used 8 -lag-in-frames 0 -bsf:v av1_metadata=td=remove", media.AV1},
		{"VP9", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -lag-in-frames 0 -auto-alt-ref 0", media.VP9},
		{"VP9, ten bits", "-c:v libvpx-vp9 -pix_fmt yuv420p10le -deadline realtime -cpu-used 8 -lag-in-frames 0 -auto-alt-ref 0", media.VP9},
	} {
		t.Run(c.name, func(t *testing.T) {
			track, units := encoded(t, c.codec, c.encoder)
			at := func(n int) media.Ticks { return media.Ticks(n*3000 - 900) }
			got, made, err := EncodeStretch(t.Context(), Stretch{Track: track, Units: units, From: at(17), To: at(30)})
			require.NoError(t, err)
			require.Len(t, made, 13)
			require.True(t, made[0].RandomAccess)
			require.Equal(t, media.Ticks(17*3000), made[0].PTS)
			require.Equal(t, [3]any{c.codec, track.Width, track.Height}, [3]any{got.Codec, got.Width, got.Height})
			for i := range made {
				require.Equal(t, i == 0, made[i].RandomAccess)
			}
			second := slices.IndexFunc(units, func(u media.AccessUnit) bool { return u.RandomAccess && u.PTS >= at(30) })
			require.Positive(t, second)
			rest := units[second:]
			require.Len(t, rest, 30)
			require.Equal(t, 43, decode(t, got, append(made[:13:13], rest...)), "a cut end in front")
			// Behind the source's pictures with the source's configuration alone, as players have it that read one init segment.
			later := made
			for i := range later {
				later[i].PTS += 90000 * 10
			}
			require.Equal(t, 43, decode(t, track, append(rest[:30:30], later...)), "a cut end behind")
		})
	}
}

func TestWhatCannotBeEncoded(t *testing.T) {
	vp9, err := media.NewVP9([]byte{1, 41, 0x86, 2, 2, 2, 0, 0}) // 4:4:4
	require.NoError(t, err)
	units := []media.AccessUnit{{RandomAccess: true, Data: []byte{1}}}
	for _, of := range []*media.Track{vp9.WithSize(64, 64), {Codec: media.VP8}} {
		_, _, err := EncodeStretch(t.Context(), Stretch{Track: of, Units: units, To: 1})
		require.ErrorIs(t, err, ErrNoEncoder)
	}
	_, _, err = EncodeStretch(t.Context(), Stretch{Track: &media.Track{Codec: media.H265, Config: []byte{1, 2}}, Units: units, To: 1})
	require.ErrorIs(t, err, errH265)
}

// TestMoveID: one bit becomes nine, and all others stay, wherever it is.
func TestMoveID(t *testing.T) {
	for bit := range 40 {
		b := make([]byte, 6)
		for i := range b {
			b[i] = byte(rand.Uint32())
		}
		b[bit/8] |= 1 << (7 - bit%8)
		text := func(b []byte) (s string) {
			for _, x := range b {
				s += fmt.Sprintf("%08b", x)
			}
			return s
		}
		got, err := moveID(b, bit)
		require.NoError(t, err)
		require.Equal(t, text(b)[:bit]+"000010000"+text(b)[bit+1:], text(got))
		b[bit/8] &^= 1 << (7 - bit%8)
		_, err = moveID(b, bit)
		require.ErrorIs(t, err, errH265)
	}
	_, err := moveID([]byte{255}, 8)
	require.ErrorIs(t, err, errH265)
}

func FuzzMoveIDs(f *testing.F) {
	f.Add([]byte{0x02, 0x01, 0xd0, 0, 0, 3, 1, 0, 0, 3})
	f.Add([]byte{0x40, 0x01, 0x0c, 0x01})
	f.Add([]byte{0x42, 0x01, 0x01, 0x01, 0x60, 0, 0, 3, 0, 0xb0, 0, 0, 3, 0, 0, 3, 0, 0x5d, 0xa0})
	f.Fuzz(func(t *testing.T, nal []byte) {
		if len(nal) == 0 {
			return
		}
		if plain := unescaped(nal); !bytes.Equal(unescaped(escaped(plain)), plain) {
			t.Fatalf("%x is not what it was", plain)
		}
		if bytes.Contains(escaped(nal), []byte{0, 0, 1}) {
			t.Fatal("a start code")
		}
		_, _ = moveSet(nal)
		_, _ = moveIDs(nal, 17)
		_, _ = h265SetID(nal)
		record := append(make([]byte, 22, 64), 1, 0x80|nal[0]>>1&0x3f, 0, 1)
		record = append(binary.BigEndian.AppendUint16(record, uint16(len(nal))), nal...)
		_ = eachH265Set(record, func(set []byte) error { _, err := h265SetID(set); return err })
	})
}
