package hlslint

import (
	"compress/gzip"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What FFmpeg's own HLS muxer writes is judged, so that the linter is known to take the real world. Each MUST
// that is found there has been looked at and is right.

// fileOrigin serves a folder as a good origin does.
func fileOrigin(dir string) http.Handler {
	types := map[string]string{".m3u8": "application/vnd.apple.mpegurl", ".ts": "video/mp2t", ".m4s": "video/mp4", ".mp4": "video/mp4", ".vtt": "text/vtt"}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		kind := path.Ext(r.URL.Path)
		if t := types[kind]; t != "" {
			w.Header().Set("Content-Type", t)
		}
		if kind == ".m3u8" {
			b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(path.Clean(r.URL.Path))))
			if err != nil {
				http.NotFound(w, r)
				return
			}
			w.Header().Set("Cache-Control", "max-age=1")
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			defer z.Close()
			if r.Method != http.MethodHead {
				_, _ = z.Write(b)
			}
			return
		}
		http.ServeFile(w, r, filepath.Join(dir, filepath.FromSlash(path.Clean(r.URL.Path))))
	})
}

// pattern is nine seconds of a moving picture at 29.97 fps with a tone.
func pattern(seconds string) []string {
	return []string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30000/1001",
		"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100", "-t", seconds}
}

func ffmpeg(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "ffmpeg", args...)
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	return cmd
}

func levelRules(r Report, l Level) string {
	found := map[string]bool{}
	for _, f := range r.Findings {
		if f.Level == l {
			found[f.Rule] = true
		}
	}
	return strings.Join(sortedKeys(found), " ")
}

func TestFFmpegOnDemand(t *testing.T) {
	x264 := []string{"-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "60", "-b:v", "300k", "-c:a", "aac", "-b:a", "64k"}
	hls := []string{"-f", "hls", "-hls_time", "2", "-hls_playlist_type", "vod"}
	fmp4 := append(append([]string(nil), hls...), "-hls_segment_type", "fmp4")
	single := []string{"-var_stream_map", "v:0,a:0", "-master_pl_name", "index.m3u8", "s_%v.m3u8"}
	for _, c := range []struct {
		name         string
		args         [][]string
		must, should string
	}{
		{"classic", [][]string{x264, hls, {"index.m3u8"}}, "", ""},
		{"fmp4 in one file by byte ranges", [][]string{x264, fmp4, {"-hls_flags", "single_file", "index.m3u8"}}, "", ""},
		{"fmp4 with the sound apart", [][]string{x264, fmp4,
			{"-hls_fmp4_init_filename", "init_%v.mp4", "-var_stream_map", "a:0,agroup:aud,default:yes v:0,agroup:aud", "-master_pl_name", "index.m3u8", "s_%v.m3u8"}},
			"", "average-bandwidth-missing frame-rate-missing media-channels-missing"},
		// The first segment has 57 pictures (1.902 s) where FFmpeg writes 2.002 s. The open GOPs of x265 begin
		// with a CRA picture, and FFmpeg writes a fixed level and flags.
		{"HEVC with open GOPs", [][]string{{"-c:v", "libx265", "-preset", "ultrafast", "-tag:v", "hvc1", "-x265-params", "log-level=none:keyint=60", "-b:v", "300k", "-c:a", "aac"}, fmp4, single},
			"extinf-wrong", "average-bandwidth-missing codecs-inexact frame-rate-missing segment-not-idr"},
		// FFmpeg takes the nominal rate for BANDWIDTH, which is a third too little here.
		{"AV1", [][]string{{"-c:v", "libsvtav1", "-preset", "12", "-g", "60", "-b:v", "200k", "-svtav1-params", "rc=1", "-c:a", "aac"}, fmp4, single},
			"bandwidth-under-peak", "average-bandwidth-missing codecs-missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			args := pattern("9")
			for _, a := range c.args {
				args = append(args, a...)
			}
			if strings.Contains(c.name, "AV1") {
				t.Setenv("SVT_LOG", "0")
			}
			if err := ffmpeg(t.Context(), dir, args...).Run(); err != nil {
				t.Fatalf("ffmpeg: %v", err)
			}
			srv := httptest.NewServer(fileOrigin(dir))
			defer srv.Close()
			r, err := Run(t.Context(), Options{URL: srv.URL + "/index.m3u8", Duration: 5 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			if r.Segments < 4 || r.Kind != "on demand" {
				t.Errorf("%d segments, %s", r.Segments, r.Kind)
			}
			if levelRules(r, Must) != c.must || levelRules(r, Should) != c.should {
				t.Errorf("want MUST %q and SHOULD %q, found:%s", c.must, c.should, brief(r))
			}
		})
	}
}

// TestFFmpegLive polls what FFmpeg publishes at the pace of real time.
func TestFFmpegLive(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	args := []string{"-v", "error", "-re", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-re", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000",
		"-t", "60", "-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-c:a", "aac", "-f", "hls", "-hls_time", "1", "-hls_list_size", "6",
		"-hls_segment_type", "fmp4", "-hls_delete_threshold", "8", "-hls_flags", "delete_segments+program_date_time+independent_segments+temp_file", "index.m3u8"}
	cmd := ffmpeg(ctx, dir, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		_ = cmd.Wait() // killed: its status tells nothing
	}()
	deadline := time.Now().Add(20 * time.Second)
	for !ready(filepath.Join(dir, "index.m3u8"), 6) {
		if time.Now().After(deadline) {
			t.Fatal("no live playlist of six segments in 20 s")
		}
		<-time.After(50 * time.Millisecond)
	}
	srv := httptest.NewServer(fileOrigin(dir))
	defer srv.Close()
	r, err := Run(t.Context(), Options{URL: srv.URL + "/index.m3u8", Duration: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if r.Kind != "live" || r.Playlists < 4 || r.Segments < 6 {
		t.Errorf("%s, %d playlists, %d segments", r.Kind, r.Playlists, r.Segments)
	}
	// On a busy machine FFmpeg is really late: that is the one thing which it is not asked here.
	if must := levelRules(r, Must); must != "" && must != "update-late" {
		t.Errorf("found:%s", brief(r))
	}
}

// ready says whether a playlist lists n segments.
func ready(file string, n int) bool {
	b, err := os.ReadFile(file)
	return err == nil && strings.Count(string(b), "#EXTINF") >= n
}
