package cmaf_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/Eyevinn/mp4ff/mp4"
	"github.com/stretchr/testify/require"

	"mediad/media"
	"mediad/packager/cmaf"
)

// TestFFmpegDecodesWhatWeWrite takes pictures and sound that FFmpeg encoded, writes them with this package, and has FFmpeg
// decode every sample again. It does nothing where FFmpeg is not installed.
func TestFFmpegDecodesWhatWeWrite(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Log("ffmpeg is not installed")
		return
	}
	for _, c := range []struct {
		name   string
		args   []string
		track  func(*mp4.TrakBox) (*media.Track, error)
		frames string
	}{
		{
			"h264", []string{"-f", "lavfi", "-i", "testsrc=s=320x180:r=30:d=2", "-c:v", "libx264", "-g", "30", "-bf", "2"},
			func(trak *mp4.TrakBox) (*media.Track, error) {
				avcC := trak.Mdia.Minf.Stbl.Stsd.AvcX.AvcC
				return media.NewH264(body(t, avcC))
			}, "60",
		},
		{
			"aac", []string{"-f", "lavfi", "-i", "sine=r=48000:d=2", "-c:a", "aac"},
			func(trak *mp4.TrakBox) (*media.Track, error) {
				return media.NewAAC(trak.Mdia.Minf.Stbl.Stsd.Mp4a.Esds.DecConfigDescriptor.DecSpecificInfo.DecConfig)
			}, "95",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			theirs, ours := filepath.Join(dir, "theirs.mp4"), filepath.Join(dir, "ours.mp4")
			args := append([]string{"-v", "error"}, c.args...)
			run(t, "ffmpeg", append(args, "-video_track_timescale", "90000", "-movflags", "frag_keyframe+empty_moov+default_base_moof", theirs)...)
			require.NoError(t, os.WriteFile(ours, rewrite(t, theirs, c.track), 0o600))

			require.Empty(t, run(t, "ffmpeg", "-v", "warning", "-i", ours, "-f", "null", "-"))
			frames := run(t, "ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0", ours)
			require.Equal(t, c.frames, strings.TrimSpace(frames))
		})
	}
}

// rewrite reads a fragmented file of one track and writes its samples anew in fragments of six.
func rewrite(t *testing.T, file string, trackOf func(*mp4.TrakBox) (*media.Track, error)) []byte {
	t.Helper()
	f, err := mp4.ReadMP4File(file)
	require.NoError(t, err)
	track, err := trackOf(f.Init.Moov.Trak)
	require.NoError(t, err)
	out, err := cmaf.Init(track)
	require.NoError(t, err)

	// 1, unless that FFmpeg writes audio in another timescale than its sample rate.
	scale := uint32(track.Timescale) / f.Init.Moov.Trak.Mdia.Mdhd.Timescale
	var all []cmaf.Sample
	for _, seg := range f.Segments {
		for _, frag := range seg.Fragments {
			full, err := frag.GetFullSamples(f.Init.Moov.Mvex.Trex)
			require.NoError(t, err)
			for _, s := range full {
				all = append(all, cmaf.Sample{
					Data: s.Data, Duration: s.Dur * scale, CompOffset: s.CompositionTimeOffset * int32(scale), Sync: s.IsSync(),
				})
			}
		}
	}
	var seq uint32
	var decodeTime uint64
	for len(all) > 0 {
		n := min(6, len(all))
		seq++
		out = cmaf.AppendFragment(out, seq, decodeTime, track.Kind, all[:n])
		for _, s := range all[:n] {
			decodeTime += uint64(s.Duration)
		}
		all = all[n:]
	}
	return out
}

// body is a box without its head.
func body(t *testing.T, b mp4.Box) []byte {
	t.Helper()
	var w bytes.Buffer
	require.NoError(t, b.Encode(&w))
	return w.Bytes()[8:]
}

// run returns what the program printed.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}
