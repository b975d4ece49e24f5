//go:build e2e

package e2e

import (
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// long leaves a test to -soak: something shorter holds the same in the short form.
func long(t *testing.T) {
	t.Helper()
	if !*soak {
		t.Skip("it runs with -soak")
	}
}

// soak runs the faults at full length.
var soak = flag.Bool("soak", false, "run the faults of design 3.1 at full length")

func times(short, full int) int {
	if *soak {
		return full
	}
	return short
}

// TestPublisherKilledAndBack: one session goes on, the numbers rise without a hole, one discontinuity each.
func TestPublisherKilledAndBack(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	p := s.publish(t, "back", source{gop: 30})
	s.waitLive("back")
	session := s.json("/api/v1/streams/back")["session"].(map[string]any)["id"]
	var before listing
	for i := range times(3, 20) {
		waitFor(t, 15*time.Second, "two more segments", func() bool { return s.media("back", "source").last >= before.last+2 })
		p.kill(syscall.SIGKILL)
		before = s.media("back", "source")
		p = s.publish(t, "back", source{gop: 30})
		waitFor(t, 15*time.Second, fmt.Sprintf("return %d", i), func() bool { return s.media("back", "source").last > before.last+1 })
		for _, rendition := range []string{"source", "audio"} {
			now := s.media("back", rendition)
			require.GreaterOrEqual(t, now.first, before.first)
			require.False(t, now.ended)
			fresh := 0
			for _, msn := range now.discontinuities {
				if msn > before.last {
					fresh++
				}
			}
			require.Equal(t, 1, fresh, "one discontinuity a return:\n%s", now.text)
		}
	}
	require.Equal(t, session, s.json("/api/v1/streams/back")["session"].(map[string]any)["id"])
	out, err := s.cli("hlslint", "--duration", "6s", s.url("/live/back/index.m3u8"))
	require.NoError(t, err, out)
}

// TestServerKilledAndRestarted: viewers are answered within a second, the publisher goes on in the same line of numbers.
func TestServerKilledAndRestarted(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	p := s.publish(t, "kill", source{gop: 30})
	s.waitLive("kill")
	waitFor(t, 20*time.Second, "four segments", func() bool { l := s.media("kill", "source"); return l.last-l.first >= 4 })
	for range times(2, 20) {
		before := s.media("kill", "source")
		s.stop(syscall.SIGKILL)
		p.kill(syscall.SIGKILL)
		began := time.Now()
		s.start()
		r, body := s.get("/live/kill/source/index.m3u8")
		took := time.Since(began)
		require.Equal(t, 200, r.StatusCode, body)
		require.Less(t, took, 2*time.Second, "start and first answer together")
		after := readPlaylist(t, body)
		require.GreaterOrEqual(t, after.last, before.last)
		require.LessOrEqual(t, after.last, before.last+2)
		for _, segment := range after.segments {
			r, media := s.get("/live/kill/source/" + segment)
			require.Equal(t, 200, r.StatusCode, "listed but not served: %s", segment)
			require.NotEmpty(t, media)
		}
		p = s.publish(t, "kill", source{gop: 30})
		waitFor(t, 15*time.Second, "the return", func() bool { return s.media("kill", "source").last > after.last+2 })
		now := s.media("kill", "source")
		require.Contains(t, now.discontinuities, after.last+1, "the next epoch follows without a skipped number:\n%s", now.text)
		out, err := output(t, 30*time.Second, "ffmpeg", "-v", "error", "-i", s.url("/live/kill/index.m3u8"), "-t", "3", "-f", "null", "-")
		require.NoError(t, err, out)
	}
}

func TestCleanStopEndsThePlaylist(t *testing.T) {
	t.Parallel()
	s := startServer(t, "MEDIAD_INGEST_RESUME_WINDOW=2s")
	p := s.publish(t, "stop", source{gop: 30})
	s.waitLive("stop")
	p.kill(syscall.SIGINT) // FFmpeg sends FCUnpublish and deleteStream
	waitFor(t, 15*time.Second, "ENDLIST", func() bool { return s.media("stop", "source").ended })
	r, _ := s.get("/live/stop/index.m3u8")
	require.Equal(t, 404, r.StatusCode, "the multivariant playlist of an ended stream")
	require.Equal(t, "idle", s.json("/api/v1/streams/stop")["state"])
	last := s.media("stop", "source")

	s.publish(t, "stop", source{gop: 30})
	waitFor(t, 20*time.Second, "the next session", func() bool {
		l := s.media("stop", "source")
		return !l.ended && l.last > last.last
	})
	require.Greater(t, s.media("stop", "source").first, last.last, "the next session's window starts after the last number")
}

func TestWrongKeyIsRefused(t *testing.T) {
	t.Parallel()
	s := startServer(t, "MEDIAD_INGEST_OPEN=false")
	p := s.publish(t, "mds_thisisnotakeythisisnotakey123456", source{})
	require.Error(t, p.wait(t, 15*time.Second))
	require.Contains(t, p.log.String(), "rror")
	waitFor(t, 5*time.Second, "the log line", func() bool { return strings.Contains(s.log.String(), "stream_key_invalid") })
	require.NotContains(t, s.log.String(), "mds_thisisnotakey")
}

func TestSecondPublisherTakesOver(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	first := s.publish(t, "take", source{gop: 30})
	s.waitLive("take")
	second := s.publish(t, "take", source{gop: 30, size: "320x180"})
	require.Error(t, first.wait(t, 10*time.Second), "the first publisher is closed")
	waitFor(t, 15*time.Second, "the second's picture", func() bool {
		return s.media("take", "source").discontinuities != nil
	})
	select {
	case <-second.exited:
		t.Fatalf("the second publisher was closed:\n%s", second.log.String())
	default:
	}
}

func TestCodecParametersChangeMidStream(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	p := s.publish(t, "change", source{gop: 30})
	s.waitLive("change")
	p.kill(syscall.SIGKILL)
	s.publish(t, "change", source{gop: 25, rate: "25", size: "320x240"})
	waitFor(t, 15*time.Second, "two epochs", func() bool { return len(unique(s.media("change", "source").maps)) >= 2 })
	waitFor(t, 10*time.Second, "three segments of the second", func() bool {
		l := s.media("change", "source")
		return len(l.discontinuities) > 0 && l.last >= l.discontinuities[0]+3
	})
	out, err := s.cli("hlslint", "--duration", "6s", s.url("/live/change/index.m3u8"))
	require.NoError(t, err, out)
}

// TestStalledViewersAreBounded: a crowd that asks and never reads costs the stream nothing.
func TestStalledViewersAreBounded(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.publish(t, "slow", source{gop: 30})
	s.waitLive("slow")
	l := s.media("slow", "source")
	for range times(200, 1000) {
		c, err := net.Dial("tcp", s.http)
		require.NoError(t, err)
		defer c.Close()
		for _, segment := range l.segments {
			_, err = fmt.Fprintf(c, "GET /live/slow/source/%s HTTP/1.1\r\nHost: x\r\n\r\n", segment)
			require.NoError(t, err)
		}
	}
	for range 5 {
		before := s.media("slow", "source")
		waitFor(t, 5*time.Second, "the next segment", func() bool { return s.media("slow", "source").last > before.last })
	}
}

// TestDiskFull: live goes on from memory, and from disk again when there is room. The replay has what was stored.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	disk := filepath.Join(t.TempDir(), "small")
	if out, err := exec.Command("sh", "-c", "mkdir -p "+disk+" && mount -t tmpfs -o size=24m tmpfs "+disk).CombinedOutput(); err != nil {
		t.Fatalf("a small file system needs root: %s", out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", disk).Run() })
	s := startServer(t, "MEDIAD_DATA_DIR="+disk, "MEDIAD_INGEST_RESUME_WINDOW=3s", "MEDIAD_RECORD_MIN_FREE=0%")
	p := s.publish(t, "full", source{gop: 30})
	s.waitLive("full")
	early := s.media("full", "source").segments
	require.NoError(t, exec.Command("sh", "-c", "dd if=/dev/zero of="+disk+"/fill bs=64k 2>/dev/null; true").Run())
	for range 4 {
		before := s.media("full", "source")
		waitFor(t, 8*time.Second, "the next segment on a full disk", func() bool { return s.media("full", "source").last > before.last })
	}
	now := s.media("full", "source")
	r, body := s.get("/live/full/source/" + now.segments[len(now.segments)-1])
	require.Equal(t, 200, r.StatusCode)
	require.NotEmpty(t, body)
	waitFor(t, 10*time.Second, "a word in the log", func() bool {
		return strings.Contains(s.log.String(), "no space") || strings.Contains(s.log.String(), "disk")
	})
	require.NoError(t, exec.Command("rm", disk+"/fill").Run())
	before := s.media("full", "source")
	waitFor(t, 20*time.Second, "segments after", func() bool { return s.media("full", "source").last > before.last+3 })
	require.Equal(t, 200, func() int { r, _ := s.get("/readyz"); return r.StatusCode }())

	late := s.media("full", "source").segments
	late = late[len(late)-2:]
	p.kill(syscall.SIGTERM)
	id := s.replay(t, "full", 20*time.Second)
	_, text := s.get("/vod/" + id + "/source/index.m3u8")
	for _, name := range append(early, late...) {
		require.Contains(t, text, name, "it was stored")
	}
	s.checkRecordings(t)
	out, err := output(t, time.Minute, binary, "hlslint", s.url("/vod/"+id+"/index.m3u8"))
	require.NoError(t, err, out)
}

// TestManyPublishersLeaveNothing: connections, goroutines and files are given back.
func TestManyPublishersLeaveNothing(t *testing.T) {
	t.Parallel()
	s := startServer(t, "MEDIAD_INGEST_RESUME_WINDOW=0s")
	handles := func() int {
		out, err := exec.Command("sh", "-c", fmt.Sprintf("ls /proc/%d/fd | wc -l", s.pid())).Output()
		require.NoError(t, err)
		n := 0
		_, err = fmt.Sscan(string(out), &n)
		require.NoError(t, err)
		return n
	}
	goroutines := func() int {
		r, err := s.client.Get("http://" + s.admin + "/debug/pprof/goroutine?debug=1")
		require.NoError(t, err)
		defer r.Body.Close()
		text, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		n := 0
		_, err = fmt.Sscanf(string(text), "goroutine profile: total %d", &n)
		require.NoError(t, err)
		return n
	}
	one := func() {
		args := source{noA: true, gop: 10}.args("rtmp://" + s.rtmp + "/live/many")
		at := slices.Index(args, "-i")
		out, err := output(t, 30*time.Second, "ffmpeg", slices.Insert(args, at, "-t", "1")...)
		require.NoError(t, err, out)
	}
	// The job queue's own goroutines begin some seconds after the start, once it is known that no other node leads. Where each broadcast
	// left something, the number would go on rising.
	published, calm, grs := 0, 0, 0
	for calm < 3 {
		require.Less(t, published, 20, "the number of goroutines does not settle")
		one()
		published++
		s.client.CloseIdleConnections()
		calm++
		if n := goroutines(); n > grs {
			calm, grs = 0, n
		}
	}
	fds := handles()
	for range times(5, 200) {
		one()
		published++
	}
	require.Equal(t, published, strings.Count(s.log.String(), "session started"), "each of them was on air")
	s.client.CloseIdleConnections()
	waitFor(t, 30*time.Second, "handles and goroutines to be given back", func() bool {
		s.client.CloseIdleConnections()
		return handles() <= fds+3 && goroutines() <= grs+5
	})
}

func TestTwoTabsAndTheAPIShareHTTP1(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.publish(t, "tabs", source{gop: 30})
	s.waitLive("tabs")
	// A browser has six connections for a host over HTTP/1.1; two watching tabs hold four blocked reloads at once.
	client := &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{MaxConnsPerHost: 6}}
	stop := make(chan struct{})
	failed := make(chan error, 8)
	for range 2 {
		for _, rendition := range []string{"source", "audio"} {
			go func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					l, err := fetchListing(t, client, s.url("/live/tabs/"+rendition+"/index.m3u8"))
					if err == nil {
						_, err = fetchListing(t, client, s.url(fmt.Sprintf("/live/tabs/%s/index.m3u8?_HLS_msn=%d&_HLS_part=%d", rendition, l.last+1, l.parts)))
					}
					if err != nil {
						select {
						case failed <- err:
						default:
						}
						return
					}
				}
			}()
		}
	}
	var worst time.Duration
	for range 50 {
		began := time.Now()
		r, err := client.Get(s.url("/api/v1/streams/tabs"))
		require.NoError(t, err)
		r.Body.Close()
		worst = max(worst, time.Since(began))
	}
	close(stop)
	select {
	case err := <-failed:
		t.Fatal(err)
	default:
	}
	require.Less(t, worst, time.Second, "the API waited behind parked reloads")
}

func fetchListing(t testing.TB, c *http.Client, url string) (listing, error) {
	r, err := c.Get(url)
	if err != nil {
		return listing{}, err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return listing{}, err
	}
	if r.StatusCode != http.StatusOK {
		return listing{}, fmt.Errorf("GET %s: %s", url, r.Status)
	}
	return readPlaylist(t, string(body)), nil
}
