//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
)

// binary is what `make build` leaves.
const binary = "../../bin/mediad"

// server is one running mediad on ports and a data folder of its own.
type server struct {
	t      testing.TB
	dir    string
	env    []string
	http   string // host:port
	https  string
	rtmp   string
	rtmps  string
	rtsp   string
	srt    string
	webrtc string
	admin  string
	mu     sync.Mutex // guards cmd, exited
	cmd    *exec.Cmd
	exited chan struct{}
	log    *logFile
	client *http.Client
}

// logFile collects a process's output and is printed when the test fails.
type logFile struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.buf.Len() > 4<<20 {
		return len(p), nil
	}
	return l.buf.Write(p)
}

func (l *logFile) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// startServer runs mediad until the test ends. env holds MEDIAD_… settings besides the ports.
func startServer(t testing.TB, env ...string) *server {
	t.Helper()
	if _, err := os.Stat(binary); err != nil {
		t.Fatalf("%s is missing: run make build", binary)
	}
	p := testx.FreePorts(t, 8)
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", p[i]) }
	s := &server{t: t, dir: t.TempDir(), http: at(0), https: at(1), rtmp: at(2), rtmps: at(3), admin: at(4), rtsp: at(5), srt: at(6), webrtc: at(7),
		log: &logFile{}, client: &http.Client{Timeout: 20 * time.Second}}
	s.env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"),
		"MEDIAD_DATA_DIR=" + s.dir,
		"MEDIAD_HTTP_ADDR=" + s.http, "MEDIAD_HTTPS_ADDR=" + s.https, "MEDIAD_RTMP_ADDR=" + s.rtmp,
		"MEDIAD_RTMPS_ADDR=" + s.rtmps, "MEDIAD_ADMIN_ADDR=" + s.admin,
		"MEDIAD_RTSP_ADDR=" + s.rtsp, "MEDIAD_SRT_ADDR=" + s.srt, "MEDIAD_WEBRTC_ADDR=" + s.webrtc,
		"MEDIAD_LIMITS_SCALE=0", "MEDIAD_INGEST_OPEN=true", "MEDIAD_LOG_LEVEL=debug",
		"MEDIAD_TRANSCODE_LADDER=off", // most tests judge by the clock on two cores; those of the ladder turn it on
	}, env...)
	t.Cleanup(func() {
		s.stop(syscall.SIGTERM)
		if t.Failed() {
			t.Logf("server log:\n%s", tail(s.log.String(), 20000))
		}
	})
	s.start()
	return s
}

func tail(s string, n int) string {
	if len(s) > n {
		return "…" + s[len(s)-n:]
	}
	return s
}

// start runs the server's process and waits until it is ready.
func (s *server) start() {
	s.t.Helper()
	cmd := exec.Command(binary, "serve")
	cmd.Env, cmd.Stdout, cmd.Stderr = s.env, s.log, s.log
	require.NoError(s.t, cmd.Start())
	exited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exited) }()
	s.mu.Lock()
	s.cmd, s.exited = cmd, exited
	s.mu.Unlock()
	waitFor(s.t, 20*time.Second, "the server to be ready", func() bool {
		select {
		case <-exited:
			s.t.Fatalf("the server ended at its start:\n%s", s.log.String())
		default:
		}
		r, err := s.client.Get(s.url("/readyz"))
		if err != nil {
			return false
		}
		r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
}

// stop ends the process with a signal and waits for it.
func (s *server) stop(sig syscall.Signal) {
	s.mu.Lock()
	cmd, exited := s.cmd, s.exited
	s.mu.Unlock()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Signal(sig)
	select {
	case <-exited:
	case <-time.After(20 * time.Second):
		_ = cmd.Process.Kill()
		<-exited
		s.t.Errorf("the server did not end within 20 s of %v", sig)
	}
}

func (s *server) pid() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cmd.Process.Pid
}

func (s *server) url(path string) string { return "http://" + s.http + path }

// cli runs a subcommand with the server's configuration.
func (s *server) cli(args ...string) (string, error) {
	cmd := exec.Command(binary, args...)
	cmd.Env = s.env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// get fetches a path and returns the answer with its body.
func (s *server) get(path string) (*http.Response, string) {
	s.t.Helper()
	r, err := s.client.Get(s.url(path))
	require.NoError(s.t, err)
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	require.NoError(s.t, err)
	return r, string(body)
}

// json fetches a path and decodes its body.
func (s *server) json(path string) map[string]any {
	s.t.Helper()
	r, body := s.get(path)
	require.Equal(s.t, 200, r.StatusCode, body)
	var v map[string]any
	require.NoError(s.t, json.Unmarshal([]byte(body), &v))
	return v
}

// waitLive waits until the stream's multivariant playlist answers.
func (s *server) waitLive(stream string) {
	s.t.Helper()
	waitFor(s.t, 20*time.Second, stream+" to be live", func() bool {
		r, err := s.client.Get(s.url("/live/" + stream + "/index.m3u8"))
		if err != nil {
			return false
		}
		r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
}

// waitFor polls a condition until it holds.
func waitFor(t testing.TB, within time.Duration, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(within)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s for %s", within, what)
		}
		<-tick.C
	}
}

// process is a child that the test ends.
type process struct {
	cmd    *exec.Cmd
	log    *logFile
	exited chan struct{}
	err    error // set before exited is closed
}

// spawn runs a program in a process group of its own until the test ends.
func spawn(t testing.TB, name string, args ...string) *process {
	t.Helper()
	return spawnCmd(t, exec.Command(name, args...))
}

func spawnCmd(t testing.TB, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, log: &logFile{}, exited: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.log, p.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = 5 * time.Second
	require.NoError(t, cmd.Start())
	go func() { p.err = cmd.Wait(); close(p.exited) }()
	t.Cleanup(func() {
		p.kill(syscall.SIGKILL)
		if t.Failed() {
			t.Logf("%s:\n%s", filepath.Base(cmd.Path), tail(p.log.String(), 4000))
		}
	})
	return p
}

// kill sends the signal to the whole group and waits for its end.
func (p *process) kill(sig syscall.Signal) {
	_ = syscall.Kill(-p.cmd.Process.Pid, sig)
	<-p.exited
}

// wait waits for the process to end by itself.
func (p *process) wait(t testing.TB, within time.Duration) error {
	t.Helper()
	select {
	case <-p.exited:
		return p.err
	case <-time.After(within):
		t.Fatalf("%s did not end within %s:\n%s", p.cmd.Path, within, tail(p.log.String(), 4000))
		return nil
	}
}

// output runs a program to its end.
func output(t testing.TB, within time.Duration, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	return string(out), err
}

// source describes what FFmpeg publishes.
type source struct {
	size  string // 640x360
	rate  string // 30, 30000/1001
	gop   int    // frames
	bf    int
	video string // extra video encoder arguments, space separated
	noV   bool
	noA   bool
}

func (c source) args(target string) []string {
	return append(c.encode(), "-f", "flv", target)
}

// encode is everything but where it goes.
func (c source) encode() []string {
	def := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	def(&c.size, "640x360")
	def(&c.rate, "30")
	if c.gop == 0 {
		c.gop = 60
	}
	args := []string{"-hide_banner", "-loglevel", "warning", "-re"}
	if !c.noV {
		args = append(args, "-f", "lavfi", "-i", fmt.Sprintf("testsrc2=size=%s:rate=%s", c.size, c.rate))
	}
	if !c.noA {
		args = append(args, "-f", "lavfi", "-i", "sine=frequency=440:beep_factor=4:sample_rate=48000")
	}
	if !c.noV {
		args = append(args, "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-b:v", "800k",
			"-g", fmt.Sprint(c.gop), "-keyint_min", fmt.Sprint(c.gop), "-sc_threshold", "0", "-bf", fmt.Sprint(c.bf))
		if c.bf == 0 {
			args = append(args, "-tune", "zerolatency")
		}
		if c.video != "" {
			args = append(args, strings.Fields(c.video)...)
		}
	}
	if !c.noA {
		args = append(args, "-c:a", "aac", "-b:a", "96k", "-ac", "2")
	}
	return args
}

// publish runs FFmpeg against the server until the test ends.
func (s *server) publish(t testing.TB, stream string, c source) *process {
	t.Helper()
	return spawn(t, "ffmpeg", c.args("rtmp://"+s.rtmp+"/live/"+stream)...)
}
