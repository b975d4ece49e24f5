//go:build bench

package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/media"
	"mediad/transcode/nut"
)

// ladderOf720 are the rungs of the reference stream.
var ladderOf720 = []string{"480p", "360p", "240p"}

func startLadder(t *testing.T) *Peer {
	t.Helper()
	p, err := StartMediad(binary, t.TempDir(), "MEDIAD_TRANSCODE_LADDER=auto")
	require.NoError(t, err)
	t.Cleanup(p.Stop)
	waitHTTP(t, p)
	return p
}

// seen is when a playlist's end was seen to have come somewhere.
type seen struct {
	msn, part int
	at        time.Time
}

// follow notes each new part of a playlist until ctx ends.
func follow(ctx context.Context, p *Peer, path string) (all []seen, err error) {
	k := &conn{host: p.HTTP}
	defer k.close()
	var c Counts
	body, err := k.get(ctx, path, true, &c)
	for err == nil {
		e := readEdge(body)
		all = append(all, seen{e.msn, e.part, time.Now()})
		body, err = k.get(ctx, fmt.Sprintf("%s?_HLS_msn=%d&_HLS_part=%d", path, e.msn, e.part), true, &c)
		if ctx.Err() != nil {
			return all, nil
		}
	}
	return all, err
}

// behind is how much later each part of a rung was seen than the source's, in milliseconds.
func behind(source, rung []seen) (ms []float64) {
	n := 0
	for _, s := range source[1:] {
		for n < len(rung) && (rung[n].msn < s.msn || rung[n].msn == s.msn && rung[n].part < s.part) {
			n++
		}
		if n > 0 && n < len(rung) {
			ms = append(ms, rung[n].at.Sub(s.at).Seconds()*1000)
		}
	}
	return ms
}

// TestLadderLag: how long after the source's a part of a rung can be fetched, beside how long a bare FFmpeg with the same command line
// has a picture.
func TestLadderLag(t *testing.T) {
	const window = 20 * time.Second
	p := startLadder(t)
	publisher := publish(t, p, "bench")
	waitRungs(t, p, "bench")
	pass(5 * time.Second)
	command := childOf(t, p)

	before, began := p.CPU(), time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), window)
	defer cancel()
	names := append([]string{"source"}, ladderOf720...)
	parts, failed := make([][]seen, len(names)), make([]error, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() { parts[i], failed[i] = follow(ctx, p, "/live/bench/"+name+"/index.m3u8") })
	}
	wg.Wait()
	require.NoError(t, errors.Join(failed...))
	minute := (p.CPU() - before).Seconds() / time.Since(began).Seconds() * 60
	var ours []float64
	for _, rung := range parts[1:] {
		ours = append(ours, behind(parts[0], rung)...)
	}
	publisher.Stop()
	p.Stop()

	theirs, used := bareLadder(t, command, window)
	bare := &Peer{Process: &Process{Name: "bare FFmpeg"}}
	for _, q := range []float64{0.5, 0.95} {
		what := fmt.Sprintf("rung behind source p%.0f", 100*q)
		row(what, p, quantile(ours, q), "ms", 0)
		row(what, bare, quantile(theirs, q), "ms", quantile(ours, q))
	}
	row("CPU a minute of three rungs", p, minute, "s", 0)
	row("CPU a minute of three rungs", bare, used, "s", minute)
}

func waitRungs(t *testing.T, p *Peer, stream string) {
	t.Helper()
	waitPlaylist(t, p, stream)
	eventually(t, 30*time.Second, "the rungs", func() bool { return rungsOf(t, p, stream) == len(ladderOf720) })
}

// rungsOf is how many rungs a newcomer is offered: those that are shed are not.
func rungsOf(t *testing.T, p *Peer, stream string) (n int) {
	t.Helper()
	var c Counts
	k := &conn{host: p.HTTP}
	defer k.close()
	body, err := k.get(context.Background(), p.Playlist(stream), true, &c)
	require.NoError(t, err)
	for _, name := range ladderOf720 {
		if bytes.Contains(body, []byte("\n"+name+"/index.m3u8")) {
			n++
		}
	}
	return n
}

// childOf is the command line of the server's encoder.
func childOf(t *testing.T, p *Peer) []string {
	t.Helper()
	for _, pid := range p.family()[1:] {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil && bytes.Contains(text, []byte("pipe:3")) {
			return strings.Split(strings.TrimRight(string(text), "\x00"), "\x00")
		}
	}
	t.Fatal("the server has no encoder")
	return nil
}

// bareLadder gives an encoder the sample at its own pace and returns how long each picture takes, in milliseconds, and the processor
// time that it uses in a minute.
func bareLadder(t *testing.T, command []string, window time.Duration) (ms []float64, minute float64) {
	t.Helper()
	header, units := samplePictures(t)
	cmd := exec.Command(command[0], command[1:]...)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	outs := make([]*os.File, len(ladderOf720))
	for i := range outs {
		r, w, err := os.Pipe()
		require.NoError(t, err)
		defer r.Close()
		defer w.Close()
		outs[i], cmd.ExtraFiles = r, append(cmd.ExtraFiles, w)
	}
	require.NoError(t, cmd.Start())
	defer func() { _ = cmd.Process.Kill() }()
	for _, w := range cmd.ExtraFiles {
		require.NoError(t, w.Close())
	}

	var mu sync.Mutex // guards fed, ms
	fed := map[int64]time.Time{}
	var wg sync.WaitGroup
	for _, r := range outs {
		wg.Go(func() {
			d, err := nut.NewReader(r)
			for err == nil {
				var f nut.Frame
				if f, err = d.Next(); err == nil {
					base := d.Streams()[0].TimeBase
					at := f.PTS * 1000 * int64(base.Num) / int64(base.Den)
					mu.Lock()
					ms = append(ms, time.Since(fed[at]).Seconds()*1000)
					mu.Unlock()
				}
			}
		})
	}
	_, err = in.Write(header)
	began := time.Now()
	for _, u := range units {
		at := time.Duration(u.PTS) * time.Millisecond
		if at > window || err != nil {
			break
		}
		pass(time.Until(began.Add(at)))
		mu.Lock()
		fed[u.PTS] = time.Now()
		mu.Unlock()
		_, err = in.Write(append(nut.AppendFrameHeader(nil, u.PTS, u.Key, len(u.Data)), u.Data...))
	}
	require.NoError(t, err)
	require.NoError(t, in.Close())
	wg.Wait()
	took := time.Since(began).Seconds()
	require.NoError(t, cmd.Wait())
	require.NotEmpty(t, ms)
	used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return ms, used.Seconds() / took * 60
}

// samplePictures are the sample's pictures in milliseconds, and what an encoder's input begins with.
func samplePictures(t *testing.T) (header []byte, units []nut.Frame) {
	t.Helper()
	file, err := sample()
	require.NoError(t, err)
	name := filepath.Join(t.TempDir(), "sample.nut")
	out, err := exec.Command("ffmpeg", "-v", "error", "-i", file, "-an", "-c", "copy", name).CombinedOutput()
	require.NoError(t, err, string(out))
	f, err := os.Open(name)
	require.NoError(t, err)
	defer f.Close()
	d, err := nut.NewReader(f)
	require.NoError(t, err)
	s := d.Streams()[0]
	base := s.TimeBase
	s.TimeBase = media.Rational{Num: 1, Den: 1000}
	for {
		u, err := d.Next()
		if errors.Is(err, io.EOF) {
			return nut.AppendHeader(nil, s), units
		}
		require.NoError(t, err)
		u.PTS = u.PTS * 1000 * int64(base.Num) / int64(base.Den)
		units = append(units, u)
	}
}

// TestRungsCarried: one stream more each time, until a rung is shed.
func TestRungsCarried(t *testing.T) {
	const each, most = 12 * time.Second, 5
	p := startLadder(t)
	carried := 0
	for n := 1; n <= most; n++ {
		publish(t, p, fmt.Sprintf("bench%d", n))
		waitPlaylist(t, p, fmt.Sprintf("bench%d", n))
		pass(each)
		rungs := 0
		for i := 1; i <= n; i++ {
			rungs += rungsOf(t, p, fmt.Sprintf("bench%d", i))
		}
		fmt.Printf("BENCH    %d streams of 720p30: %d of %d rungs\n", n, rungs, n*len(ladderOf720))
		if rungs < n*len(ladderOf720) {
			break
		}
		carried = rungs
	}
	row(fmt.Sprintf("rungs carried by %d cores", runtime.NumCPU()), p, float64(carried), "", float64(carried))
}
