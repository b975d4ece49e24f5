package mpegts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"mediad/media"
)

// kept is a Sink that keeps everything.
type kept struct {
	tracks      [media.Kinds][]*media.Track
	units       [media.Kinds][]media.AccessUnit
	none        [media.Kinds]bool
	unsupported []string
}

func (k *kept) Track(kind media.Kind, t *media.Track) error {
	k.tracks[kind] = append(k.tracks[kind], t)
	return nil
}
func (k *kept) NoTrack(kind media.Kind) { k.none[kind] = true }
func (k *kept) Write(au media.AccessUnit) error {
	k.units[au.Kind] = append(k.units[au.Kind], au)
	return nil
}

func (k *kept) Unsupported(_ media.Kind, codec string) error {
	k.unsupported = append(k.unsupported, codec)
	return nil
}

// film makes a transport stream with FFmpeg.
func film(t testing.TB, args ...string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "film.ts")
	all := append([]string{
		"-v", "error", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=30", "-f", "lavfi", "-i", "sine=f=440:r=48000", "-t", "3",
	}, args...)
	out, err := exec.Command("ffmpeg", append(all, "-f", "mpegts", file)...).CombinedOutput()
	require.NoError(t, err, string(out))
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	return b
}

var (
	h264 = []string{"-c:v", "libx264", "-preset", "ultrafast", "-g", "30", "-bf", "2", "-pix_fmt", "yuv420p"}
	hevc = []string{"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:keyint=30", "-pix_fmt", "yuv420p"}
	aac  = []string{"-c:a", "aac", "-b:a", "96k"}
	opus = []string{"-c:a", "libopus", "-b:a", "64k", "-ac", "2"}
)

func join(parts ...[]string) (out []string) {
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// demux reads b in pieces of n bytes.
func demux(t testing.TB, b []byte, n int) (*kept, *Demuxer) {
	t.Helper()
	k := &kept{}
	d := New(Options{Sink: k})
	for len(b) > 0 {
		piece := min(n, len(b))
		require.NoError(t, d.Write(b[:piece]))
		b = b[piece:]
	}
	require.NoError(t, d.Flush())
	return k, d
}

// probed are the packets that ffprobe finds, by kind.
func probed(t testing.TB, b []byte) (out [media.Kinds][][2]int64) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "probe.ts")
	require.NoError(t, os.WriteFile(file, b, 0o600))
	text, err := exec.Command("ffprobe", "-v", "error", "-show_entries", "packet=codec_type,pts,dts", "-of", "json", file).Output()
	require.NoError(t, err)
	var found struct {
		Packets []struct {
			CodecType string `json:"codec_type"`
			PTS       int64  `json:"pts"`
			DTS       int64  `json:"dts"`
		} `json:"packets"`
	}
	require.NoError(t, json.Unmarshal(text, &found))
	for _, p := range found.Packets {
		kind := media.Video
		if p.CodecType == "audio" {
			kind = media.Audio
		}
		out[kind] = append(out[kind], [2]int64{p.DTS, p.PTS})
	}
	return out
}

func TestEveryPacketOfFFmpegIsFound(t *testing.T) {
	for name, args := range map[string][]string{
		"h264 aac": join(h264, aac), "hevc aac": join(hevc, aac), "h264 opus": join(h264, opus), "video alone": append(join(h264), "-an"),
		"audio alone": append(join(aac), "-vn"), "packets of one picture": join(h264, aac, []string{"-omit_video_pes_length", "0"}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := film(t, args...)
			want := probed(t, b)
			got, d := demux(t, b, 1316)
			require.Zero(t, d.Stats())
			for k := range media.Kind(media.Kinds) {
				require.Len(t, got.units[k], len(want[k]), k.String())
				if len(want[k]) == 0 {
					require.True(t, got.none[k])
					continue
				}
				require.Len(t, got.tracks[k], 1)
				scale := got.tracks[k][0].Timescale
				for i, u := range got.units[k] {
					require.InDelta(t, int64(media.Rescale(media.Ticks(want[k][i][0]), 90000, scale)), int64(u.DTS), 1, "%v %d", k, i)
					require.InDelta(t, int64(media.Rescale(media.Ticks(want[k][i][1]), 90000, scale)), int64(u.PTS), 1, "%v %d", k, i)
				}
			}
			if v := got.units[media.Video]; len(v) > 0 {
				require.Equal(t, 320, got.tracks[media.Video][0].Width)
				require.True(t, v[0].RandomAccess)
				keys := 0
				for _, u := range v {
					if u.RandomAccess {
						keys++
					}
				}
				require.Equal(t, 3, keys)
			}
		})
	}
}

func TestPiecesOfAnySizeMakeTheSame(t *testing.T) {
	b := film(t, join(h264, aac)...)
	want, _ := demux(t, b, len(b))
	for _, n := range []int{1, 7, 187, 188, 189, 1000} {
		got, _ := demux(t, b, n)
		require.Equal(t, want.units, got.units, "pieces of %d", n)
	}
}

// TestPictureComesWithItsLastPacket: not with the first of the next, which is a frame later.
func TestPictureComesWithItsLastPacket(t *testing.T) {
	b := film(t, append(join(h264), "-an")...)
	k := &kept{}
	d := New(Options{Sink: k})
	begun := 0
	late := 0
	for ; len(b) > 0; b = b[PacketSize:] {
		pid := uint16(b[1]&0x1f)<<8 | uint16(b[2])
		if s := d.streams[media.Video]; s != nil && pid == s.pid && b[1]&0x40 != 0 {
			if begun > len(k.units[media.Video]) {
				late++
			}
			begun++
		}
		require.NoError(t, d.Write(b[:PacketSize]))
	}
	require.Greater(t, begun, 80)
	require.Less(t, late, 5, "of %d, those whose last packet was full", begun)
}

func TestLostPacketsCostThemselves(t *testing.T) {
	b := film(t, join(h264, aac)...)
	whole, _ := demux(t, b, 1316)
	rng := rand.New(rand.NewPCG(1, 2))
	var lossy []byte
	lost := 0
	for p := b; len(p) >= PacketSize; p = p[PacketSize:] {
		if rng.IntN(50) == 0 {
			lost++
			continue
		}
		lossy = append(lossy, p[:PacketSize]...)
	}
	got, d := demux(t, lossy, 1316)
	require.Positive(t, d.Stats().Discontinuities)
	for k := range got.units {
		require.GreaterOrEqual(t, len(got.units[k]), len(whole.units[k])-lost-2*lost, "%d packets of %d lost", lost, len(b)/PacketSize)
		by := map[media.Ticks][]byte{}
		for _, u := range whole.units[k] {
			by[u.DTS] = u.Data
		}
		wrong := 0
		for _, u := range got.units[k] {
			if string(by[u.DTS]) != string(u.Data) {
				wrong++
			}
		}
		require.LessOrEqual(t, wrong, 2, "what is given away is whole")
	}
}

func TestBoundariesAreFoundAgain(t *testing.T) {
	b := film(t, join(h264, aac)...)
	whole, _ := demux(t, b, 1316)
	middle := len(b) / PacketSize / 2 * PacketSize
	torn := append(append(append([]byte{}, b[:middle]...), "\x00\x01garbage\x47 that is none"...), b[middle:]...)
	got, d := demux(t, torn, 1316)
	require.Positive(t, d.Stats().Resyncs)
	require.Greater(t, len(got.units[media.Video]), len(whole.units[media.Video])-10)
}

func TestWhatIsNoTransportStreamIsRefused(t *testing.T) {
	d := New(Options{Sink: &kept{}})
	var err error
	for range 100 {
		if err = d.Write(make([]byte, 1316)); err != nil {
			break
		}
	}
	require.ErrorIs(t, err, ErrNotTransportStream)
}

func TestClockWrapsAround(t *testing.T) {
	const before = (1<<33)/90000 - 1 // seconds
	b := film(t, join(h264, aac, []string{"-output_ts_offset", strconv.Itoa(before - 2)})...)
	got, _ := demux(t, b, 1316)
	for k := range got.units {
		require.NotEmpty(t, got.units[k])
		for i := 1; i < len(got.units[k]); i++ {
			step := got.units[k][i].DTS - got.units[k][i-1].DTS
			require.Positive(t, step)
			require.Less(t, step, got.tracks[k][0].Timescale.Ticks(1e9), "no jump")
			require.GreaterOrEqual(t, got.units[k][i].PTS, got.units[k][i].DTS)
		}
	}
}

func TestProgramMapThatChanges(t *testing.T) {
	first := film(t, join(h264, aac)...)
	second := film(t, join(hevc, opus, []string{"-s", "160x90", "-mpegts_start_pid", "0x200", "-mpegts_pmt_start_pid", "0x1100"})...)
	got, _ := demux(t, append(append([]byte{}, first...), second...), 1316)
	require.Len(t, got.tracks[media.Video], 2)
	require.Equal(t, media.H265, got.tracks[media.Video][1].Codec)
	require.Equal(t, 160, got.tracks[media.Video][1].Width)
	require.Equal(t, media.Opus, got.tracks[media.Audio][1].Codec)
}

func TestUnsupportedStreamsAreNamed(t *testing.T) {
	got, _ := demux(t, film(t, "-c:v", "mpeg2video", "-c:a", "ac3"), 1316)
	require.Equal(t, []string{"MPEG-2 video", media.AC3.String()}, got.unsupported)
	require.True(t, got.none[media.Video])
	require.True(t, got.none[media.Audio])
}

// TestParameterSetsThatCannotBeReadAreTold: nothing comes of them, and who sent them is to know why.
func TestParameterSetsThatCannotBeReadAreTold(t *testing.T) {
	b := film(t, join(h264, aac, []string{"-t", "6"})...)
	// A delimiter begins in the middle of each: what is left of the set says too little.
	for rest := b; ; {
		_, after, found := bytes.Cut(rest, []byte{0, 0, 1, 0x67})
		if !found {
			break
		}
		copy(after[2:], []byte{0, 0, 1, 9})
		rest = after
	}
	var k kept
	d := New(Options{Sink: &k})
	require.ErrorIs(t, d.Write(b), ErrParameterSets)
	require.Empty(t, k.units[media.Video])
	require.NotEmpty(t, k.units[media.Audio])
}

// pids takes a transport stream apart.
func pids(b []byte) (out map[int][][]byte) {
	out = map[int][][]byte{}
	for ; len(b) >= PacketSize; b = b[PacketSize:] {
		pid := int(b[1]&0x1f)<<8 | int(b[2])
		out[pid] = append(out[pid], b[:PacketSize])
	}
	return out
}

// element makes the packets of one element of stream 0x101, whose counter goes on.
func element(counter *byte, ts int64, payload []byte) (out []byte) {
	n := len(payload) + 8
	pes := append([]byte{
		0, 0, 1, 0xc0, byte(n >> 8), byte(n), 0x80, 0x80, 5,
		0x21 | byte(ts>>29)&0xe, byte(ts >> 22), byte(ts>>14) | 1, byte(ts >> 7), byte(ts<<1) | 1,
	}, payload...)
	for start := byte(0x40); len(pes) > 0; start = 0 {
		head := []byte{syncByte, start | 1, 1, 0x10 | *counter}
		*counter = (*counter + 1) & 0xf
		if fill := PacketSize - 4 - len(pes); fill > 0 {
			head[3] |= 0x20
			head = append(head, byte(fill-1))
			for i := range fill - 1 {
				head = append(head, map[bool]byte{true: 0, false: 0xff}[i == 0])
			}
		}
		take := PacketSize - len(head)
		out = append(append(out, head...), pes[:take]...)
		pes = pes[take:]
	}
	return out
}

// TestFramesOfSoundMayStraddleElements: an element has 500 bytes here, wherever that cuts a frame.
func TestFramesOfSoundMayStraddleElements(t *testing.T) {
	b := film(t, join(h264, aac)...)
	parts := pids(b)
	var sound []byte
	var first int64
	for i, p := range parts[0x101] {
		payload := p[4:]
		if p[3]&0x20 != 0 {
			payload = payload[1+int(payload[0]):]
		}
		if p[1]&0x40 != 0 {
			if i == 0 {
				first = stampOf(payload[9:])
			}
			payload = payload[9+int(payload[8]):]
		}
		sound = append(sound, payload...)
	}
	frames := 0
	for rest := sound; len(rest) >= 7; frames++ {
		_, n, _, ok := adts(rest)
		require.True(t, ok)
		rest = rest[n:]
	}
	made := append(append([]byte{}, parts[0][0]...), parts[0x1000][0]...)
	counter := byte(0)
	for at := 0; at < len(sound); at += 500 {
		made = append(made, element(&counter, first, sound[at:min(at+500, len(sound))])...)
		first += 2000
	}
	got, _ := demux(t, made, 1316)
	require.Len(t, got.units[media.Audio], frames)
}

// TestLongLossesAreSeen: also those after which a counter looks like that of a packet sent twice.
func TestLongLossesAreSeen(t *testing.T) {
	b := film(t, append(join(h264, []string{"-b:v", "4M", "-bufsize", "8M"}), "-an")...)
	for _, lose := range []int{1, 14, 15, 17} {
		var lossy []byte
		n := 0
		for p := b; len(p) >= PacketSize; p = p[PacketSize:] {
			if int(p[1]&0x1f)<<8|int(p[2]) == 0x100 {
				if n++; n > 100 && n <= 100+lose {
					continue
				}
			}
			lossy = append(lossy, p[:PacketSize]...)
		}
		_, d := demux(t, lossy, 1316)
		require.EqualValues(t, 1, d.Stats().Discontinuities, "%d packets lost", lose)
	}
}

func TestPacketsMayComeTwice(t *testing.T) {
	b := film(t, join(h264, aac)...)
	want, _ := demux(t, b, 1316)
	var twice []byte
	for p := b; len(p) >= PacketSize; p = p[PacketSize:] {
		twice = append(append(twice, p[:PacketSize]...), p[:PacketSize]...)
	}
	got, d := demux(t, twice, 1316)
	require.Equal(t, want.units, got.units)
	require.Zero(t, d.Stats())
}

func TestNoiseIsRefused(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	b := make([]byte, 1<<20)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	require.ErrorIs(t, New(Options{Sink: &kept{}}).Write(b), ErrNotTransportStream)
}

type failing struct{ *kept }

var errSink = errors.New("full")

func (failing) Write(media.AccessUnit) error { return errSink }

func TestTheSinksErrorEndsIt(t *testing.T) {
	require.ErrorIs(t, New(Options{Sink: failing{&kept{}}}).Write(film(t, join(h264, aac)...)), errSink)
}

func TestAnElementIsBounded(t *testing.T) {
	d := New(Options{Sink: &kept{}, MaxPES: 2000})
	require.ErrorIs(t, d.Write(film(t, join(h264, aac, []string{"-b:v", "4M"})...)), ErrTooLarge)
}

func FuzzDemux(f *testing.F) {
	for _, args := range [][]string{join(h264, aac), join(hevc, opus)} {
		b := film(f, append(args, "-s", "64x64", "-t", "0.2")...)
		f.Add(b[:min(len(b), 12*PacketSize)], 188)
		f.Add(b[len(b)-10*PacketSize:], 1000)
	}
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		if n < 1 || n > 4096 {
			return
		}
		k := &kept{}
		d := New(Options{Sink: k, MaxPES: 64 << 10})
		for len(b) > 0 {
			piece := min(n, len(b))
			if d.Write(b[:piece]) != nil {
				return
			}
			b = b[piece:]
		}
		_ = d.Flush()
		for kind := range k.units {
			for _, u := range k.units[kind] {
				require.NotEmpty(t, k.tracks[kind], fmt.Sprint(kind))
				require.NotEmpty(t, u.Data)
			}
		}
	})
}
