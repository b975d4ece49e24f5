package ffmpeg

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
)

func TestMain(m *testing.M) { testx.Main(m) }

// start starts a child that a test ends.
func start(t *testing.T, o Options) *Child {
	t.Helper()
	c, err := Start(o)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// shell is a child that is no FFmpeg.
func shell(script string) Options { return Options{Path: "sh", Args: []string{"-c", script}} }

// script is one that may be given any arguments.
func script(t *testing.T, text string) Options {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ffmpeg")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700)) //nolint:gosec // a program
	return Options{Path: path}
}

// readAll reads all pipes of c to their ends.
func readAll(c *Child, n int) (wait func() []string) {
	var g sync.WaitGroup
	out := make([]string, n)
	for i := range n {
		g.Go(func() {
			b, _ := io.ReadAll(c.Pipe(i))
			out[i] = string(b)
		})
	}
	return func() []string { g.Wait(); return out }
}

func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(list)
}

func TestPicturesGoInAndComeOutOfEachPipe(t *testing.T) {
	const size = 16 * 16 * 3 / 2
	args := append(Protect(), "-f", "rawvideo", "-s", "16x16", "-pix_fmt", "yuv420p")
	args = append(append(args, ProtectInput()...), "-i", "pipe:0",
		"-map", "0:v", "-f", "rawvideo", "pipe:3", "-map", "0:v", "-f", "rawvideo", "pipe:4")
	c := start(t, Options{Args: args, Pipes: 2, Progress: true})
	wait := readAll(c, 2)
	in := bytes.Repeat([]byte{1, 2, 3}, 10*size/3)
	_, err := c.Write(in)
	require.NoError(t, err)
	c.CloseInput()
	<-c.Done()
	require.NoError(t, c.Err())
	for _, out := range wait() {
		require.Equal(t, string(in), out)
	}
	c.Close()
	require.True(t, c.Progress().Ended)
	require.EqualValues(t, 10, c.Progress().Frames)
}

func TestInputIsPipesAlone(t *testing.T) {
	for _, input := range []string{"/etc/passwd", "http://127.0.0.1:1/", "file:/etc/passwd"} {
		args := append(append(Protect(), ProtectInput()...), "-f", "rawvideo", "-s", "16x16", "-i", input, "-f", "null", "-")
		c := start(t, Options{Args: args})
		<-c.Done()
		require.ErrorContains(t, c.Err(), "whitelist")
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	start(t, shell("exit 0")).Close() // whatever the runtime opens once
	before := openFiles(t)
	for _, text := range []string{"exit 3", "cat", "trap '' TERM; while :; do read x || sleep 1000; done", "sleep 1000 & sleep 1000"} {
		o := script(t, text)
		o.Pipes, o.Progress, o.StopTimeout = 2, true, 50*time.Millisecond
		c, err := Start(o)
		require.NoError(t, err)
		wait := readAll(c, 2)
		c.Close()
		c.Close()
		wait()
		testx.WaitFor(t, "the process group's end", func() bool { return errors.Is(syscall.Kill(-c.Pid(), 0), syscall.ESRCH) })
	}
	_, err := Start(Options{Path: "/nonexistent/ffmpeg", Pipes: 3})
	require.Error(t, err)
	_, err = Start(Options{Path: "/proc/self/fd", Pipes: 3, Progress: true}) // found, and does not start
	require.Error(t, err)
	_, err = Start(Options{Pipes: 1000})
	require.Error(t, err)
	require.Equal(t, before, openFiles(t))
}

// TestWhoeverHoldsThePipesHoldsNobodyUp: what a child started and let go of, in a group of its own, keeps all its files open.
func TestWhoeverHoldsThePipesHoldsNobodyUp(t *testing.T) {
	o := script(t, "setsid sh -c 'echo $$ >&3; exec sleep 1000' & read x")
	o.Pipes, o.Progress = 2, true
	c, err := Start(o)
	require.NoError(t, err)
	first := bufio.NewReader(c.Pipe(0))
	line, err := first.ReadString('\n')
	require.NoError(t, err)
	stray, err := strconv.Atoi(strings.TrimSpace(line))
	require.NoError(t, err)
	defer func() { require.NoError(t, syscall.Kill(stray, syscall.SIGKILL)) }()
	wait := readAll(c, 2)
	c.CloseInput()
	<-c.Done()
	wait() // without Close: whoever reads to the end before may not wait for ever
	c.Close()
}

func TestEndsAreToldApart(t *testing.T) {
	end := func(o Options, do func(c *Child)) error {
		o.WriteTimeout, o.StopTimeout = 50*time.Millisecond, 50*time.Millisecond
		c := start(t, o)
		do(c)
		c.Close()
		<-c.Done()
		return c.Err()
	}
	require.NoError(t, end(shell("cat >/dev/null"), (*Child).CloseInput))
	require.ErrorIs(t, end(shell("exec sleep 1000"), (*Child).CloseInput), ErrStopTimeout)
	require.ErrorIs(t, end(shell("exec sleep 1000"), (*Child).Kill), ErrKilled)
	err := end(shell("echo first >&2; echo last words >&2; exit 7"), func(c *Child) { <-c.Done() })
	require.ErrorIs(t, err, ErrExited)
	require.ErrorContains(t, err, "exit status 7")
	require.ErrorContains(t, err, "first | last words")
}

func TestChildThatTakesNoInputIsKilled(t *testing.T) {
	o := shell("cat >/dev/null")
	o.WriteTimeout = 50 * time.Millisecond
	c := start(t, o)
	require.NoError(t, syscall.Kill(-c.Pid(), syscall.SIGSTOP))
	var err error
	for err == nil {
		_, err = c.Write(make([]byte, 32<<10))
	}
	require.ErrorIs(t, err, ErrWriteTimeout)
	<-c.Done()
	require.ErrorIs(t, c.Err(), ErrWriteTimeout)
}

func TestLogFloodEndsTheChild(t *testing.T) {
	for name, script := range map[string]string{
		"lines":    "yes 'Error while decoding' >&2",
		"one line": "cat /dev/zero >&2",
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, shell(script))
			<-c.Done()
			require.ErrorIs(t, c.Err(), ErrLogFlood)
		})
	}
}

func TestLastWordsAreFewAndShort(t *testing.T) {
	c := start(t, shell(`i=0; while [ $i -lt 300 ]; do echo "line $i" >&2; i=$((i+1)); done; printf '%05000d\n\377\n' 7 >&2; exit 1`))
	<-c.Done()
	require.ErrorIs(t, c.Err(), ErrExited)
	require.Contains(t, c.Err().Error(), "line 299 | ")
	require.NotContains(t, c.Err().Error(), "line 290")
	require.Less(t, len(c.Err().Error()), keptLines*maxLine)
}

func TestChildIsBounded(t *testing.T) {
	o := shell("cat >/dev/null")
	o.MaxMemory, o.Nice = 1<<30, 7
	c := start(t, o)
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", c.Pid()))
	require.NoError(t, err)
	require.Regexp(t, `Max address space +1073741824 +1073741824`, string(limits))
	require.Regexp(t, `Max core file size +0 +0`, string(limits))
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.Pid()))
	require.NoError(t, err)
	nice := strings.Fields(string(stat))[18]
	require.Equal(t, strconv.Itoa(7), nice)
	group, err := syscall.Getpgid(c.Pid())
	require.NoError(t, err)
	require.Equal(t, c.Pid(), group)
}

func TestChildKnowsNothingOfOurEnvironment(t *testing.T) {
	t.Setenv("MEDIAD_SECRET_KEY", "secret")
	o := shell("env >&3")
	o.Pipes = 1
	c := start(t, o)
	wait := readAll(c, 1)
	<-c.Done()
	require.NotContains(t, wait()[0], "secret")
}

func FuzzProgress(f *testing.F) {
	f.Add("frame=12\nout_time_us=400000\nspeed=1.01x\nprogress=continue\n")
	f.Add("out_time_us=N/A\nspeed=N/A\nprogress=end\n")
	f.Fuzz(func(t *testing.T, s string) {
		var p Progress
		for line := range strings.SplitSeq(s, "\n") {
			p.line(line)
		}
	})
}

func TestProgressIsRead(t *testing.T) {
	var p Progress
	for _, line := range []string{"frame=12", "drop_frames=1", "dup_frames=2", "out_time_us=400000", "speed= 1.5x", "bitrate=N/A", "nonsense"} {
		require.False(t, p.line(line))
	}
	require.True(t, p.line("progress=continue"))
	require.Equal(t, Progress{Frames: 12, Dropped: 1, Repeated: 2, OutTime: 400 * time.Millisecond, Speed: 1.5}, p)
	p.line("speed=N/A")
	require.Equal(t, 1.5, p.Speed)
}
