package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
)

// output is what several goroutines write.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// serving is a server that runs inside the test.
type serving struct {
	t                        *testing.T
	environ                  []string
	http, https, rtmp, admin string
	stdout, stderr           *output
	stop                     context.CancelFunc
	code                     chan int
	client                   *http.Client
}

// serve runs the server on free ports until stop. env comes last and so wins.
func serve(t *testing.T, dir string, env ...string) *serving {
	t.Helper()
	s := &serving{t: t, http: testx.FreeAddr(t), https: testx.FreeAddr(t), rtmp: testx.FreeAddr(t), admin: testx.FreeAddr(t), code: make(chan int, 1)}
	s.environ = append([]string{
		"PATH=" + os.Getenv("PATH"), "MEDIAD_DATA_DIR=" + dir, "MEDIAD_HTTP_ADDR=" + s.http, "MEDIAD_HTTPS_ADDR=" + s.https,
		"MEDIAD_RTMP_ADDR=" + s.rtmp, "MEDIAD_RTMPS_ADDR=" + testx.FreeAddr(t), "MEDIAD_ADMIN_ADDR=" + s.admin,
		"MEDIAD_RTSP_ADDR=" + testx.FreeAddr(t), "MEDIAD_SRT_ADDR=" + testx.FreeAddr(t), "MEDIAD_WEBRTC_ADDR=" + testx.FreeAddr(t),
	}, env...)
	s.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}}
	t.Cleanup(s.client.CloseIdleConnections)
	s.start("mediad", "serve")
	return s
}

func (s *serving) start(args ...string) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s.stdout, s.stderr, s.stop = &output{}, &output{}, cancel
	s.t.Cleanup(cancel)
	stdout, stderr := s.stdout, s.stderr
	go func() { s.code <- run(ctx, args, s.environ, stdout, stderr) }()
	testx.WaitFor(s.t, "the server to be ready", func() bool {
		select {
		case code := <-s.code:
			s.t.Fatalf("ended with %d: %s", code, stderr)
		default:
		}
		r, err := s.client.Get("http://" + s.admin + "/readyz")
		if err != nil {
			return false
		}
		return r.Body.Close() == nil && r.StatusCode == http.StatusOK
	})
}

// ask answers with status, headers and body.
func (s *serving) ask(method, url string) (*http.Response, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, url, http.NoBody)
	require.NoError(s.t, err)
	answer, err := s.client.Do(r)
	require.NoError(s.t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.NoError(s.t, err)
	return answer, string(body)
}

// end stops the server as SIGTERM does and returns its exit code.
func (s *serving) end() int {
	s.t.Helper()
	s.stop()
	s.client.CloseIdleConnections()
	return <-s.code
}

var (
	keyInText      = regexp.MustCompile(`mds_[a-z2-7]{32}`)
	passwordInText = regexp.MustCompile(`one-time password ([A-Z2-7]{26})`)
)

func TestServe(t *testing.T) {
	testx.NoLeaks(t)
	dir := t.TempDir()
	s := serve(t, dir, "MEDIAD_TLS_SELF_SIGNED=true", "MEDIAD_LOG_LEVEL=debug")

	banner := s.stdout.String()
	key, password := keyInText.FindString(banner), passwordInText.FindStringSubmatch(banner)
	require.NotEmpty(t, key, banner)
	require.Len(t, password, 2, banner)
	require.Contains(t, banner, "/watch/main")

	t.Run("HTTP", func(t *testing.T) {
		for _, c := range []struct {
			method, path string
			status       int
			contains     string
		}{
			{"GET", "/healthz", 200, "ok\n"},
			{"HEAD", "/readyz", 200, ""},
			{"DELETE", "/healthz", 405, "not allowed"},
			{"GET", "/api/v1/config", 200, `"site_name":"mediad"`},
			{"GET", "/api/v1/streams/main/playback", 200, `"hls_url":"/live/main/index.m3u8"`},
			{"GET", "/api/v1/streams/main/playback", 200, `"whep_url":"/whep/main"`},
			{"GET", "/api", 404, `"code":"route_not_found"`},
			{"POST", "/api/v1/auth/login", 400, `"code":"malformed_json"`},
			{"GET", "/live/main/index.m3u8", 404, `"code":"not_found"`},
			{"POST", "/whip", 415, `"code":"unsupported_media_type"`},
			{"POST", "/whep/main", 415, `"code":"unsupported_media_type"`},
			{"GET", "/socket.io/?EIO=4&transport=polling", 404, `"code":"route_not_found"`},
			{"GET", "/vod/x/index.m3u8", 404, `"code":"not_found"`},
			{"GET", "/.well-known/jwks.json", 200, `"crv":"Ed25519"`},
			{"GET", "/api/v1/me", 401, `"code":"unauthenticated"`},
			{"GET", "/metrics", 404, "not found"},
			{"GET", "/debug/pprof/", 404, "not found"},
		} {
			answer, body := s.ask(c.method, "http://"+s.http+c.path)
			require.Equal(t, c.status, answer.StatusCode, "%s %s: %s", c.method, c.path, body)
			require.Contains(t, body, c.contains, "%s %s", c.method, c.path)
			require.Equal(t, 1, answer.ProtoMajor)
		}
	})
	t.Run("HTTP/2 with TLS", func(t *testing.T) {
		answer, body := s.ask("GET", "https://"+s.https+"/api/v1/streams")
		require.Equal(t, 2, answer.ProtoMajor)
		require.Equal(t, 200, answer.StatusCode, body)
		require.Empty(t, answer.Header.Get("Strict-Transport-Security"), "by a self-signed certificate browsers would be locked out")
	})
	t.Run("HTTP/2 without TLS", func(t *testing.T) {
		var protocols http.Protocols
		protocols.SetUnencryptedHTTP2(true)
		transport := &http.Transport{Protocols: &protocols}
		defer transport.CloseIdleConnections()
		answer, err := (&http.Client{Transport: transport}).Get("http://" + s.http + "/healthz")
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, 2, answer.ProtoMajor)
	})
	t.Run("admin port", func(t *testing.T) {
		answer, body := s.ask("GET", "http://"+s.admin+"/readyz")
		require.Equal(t, 200, answer.StatusCode, body)
		var details map[string]any
		require.NoError(t, json.Unmarshal([]byte(body), &details))
		require.Equal(t, "ok", details["status"])
		for _, name := range []string{"db", "cache", "blob", "ffmpeg", "disk", "migrations"} {
			check, _ := details[name].(map[string]any)
			require.Contains(t, check, "ok", name)
			require.Contains(t, check, "latency_ms", name)
		}
		_, body = s.ask("GET", "http://"+s.admin+"/metrics")
		for _, name := range []string{"mediad_build_info", "mediad_http_request_duration_seconds_count", "mediad_disk_free_bytes", "go_goroutines", "process_open_fds"} {
			require.Contains(t, body, name)
		}
		// What the rules for Prometheus look at, but for what a site without bucket and replicas has not.
		rules, err := os.ReadFile("../../configs/alerts.yml")
		require.NoError(t, err)
		for _, expr := range regexp.MustCompile(`(?m)^ +expr: (.*)$`).FindAllStringSubmatch(string(rules), -1) {
			for _, name := range regexp.MustCompile(`\b(?:mediad|process)_[a-z0-9_]+`).FindAllString(expr[1], -1) {
				if name != "mediad_archive_waiting" && name != "mediad_db_replica_lag_seconds" {
					require.Contains(t, body, "\n"+name, "of %s", expr[1])
				}
			}
		}
		answer, _ = s.ask("GET", "http://"+s.admin+"/debug/pprof/goroutine?debug=1")
		require.Equal(t, 200, answer.StatusCode)
	})
	t.Run("doctor", func(t *testing.T) {
		var out bytes.Buffer
		require.Zero(t, run(t.Context(), []string{"mediad", "doctor", "--ready"}, s.environ, &out, &out), out.String())
		run(t.Context(), []string{"mediad", "doctor"}, s.environ, &out, &out)
		require.Contains(t, out.String(), "is running and ready")
	})
	t.Run("health of what is not on air", func(t *testing.T) {
		for name, want := range map[string]string{"main": "mediad: main is not on air\n", "nobody": "there is no stream nobody"} {
			var out bytes.Buffer
			require.Equal(t, exitFailure, run(t.Context(), []string{"mediad", "stream", "health", name}, s.environ, &out, &out))
			require.Contains(t, out.String(), want)
		}
	})
	t.Run("a second server on the data folder", func(t *testing.T) {
		var out bytes.Buffer
		require.Equal(t, exitFailure, run(t.Context(), []string{"mediad"}, s.environ, &out, &out))
		require.Contains(t, out.String(), "is in use by another mediad")
	})
	t.Run("a second server on the port", func(t *testing.T) {
		var out bytes.Buffer
		environ := slices.Concat(s.environ, []string{"MEDIAD_DATA_DIR=" + t.TempDir(), "MEDIAD_ADMIN_ADDR=", "MEDIAD_RTMP_ADDR="})
		require.Equal(t, exitFailure, run(t.Context(), []string{"mediad"}, environ, &out, &out))
		require.Contains(t, out.String(), "http.addr: "+s.http+" is in use by another program; stop it, or choose another port with http.addr")
	})

	s.stop()
	testx.WaitFor(t, "probes to be told", func() bool {
		r, err := s.client.Get("http://" + s.http + "/readyz")
		if err != nil {
			return false
		}
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		return err == nil && r.StatusCode == http.StatusServiceUnavailable && string(body) == "shutting_down\n"
	})
	require.Zero(t, s.end(), s.stderr)
	for _, secret := range []string{key, password[1]} {
		require.NotContains(t, s.stderr.String(), secret, "a secret in the log")
	}

	s.start("mediad") // the same without its name
	require.NotContains(t, s.stdout.String(), key)
	require.Contains(t, s.stdout.String(), "…"+key[len(key)-4:])
	require.NotContains(t, s.stdout.String(), "one-time password")
	require.Zero(t, s.end(), s.stderr)
}

// TestNothingIsMadeByAStartThatFails: what is shown once is made where it will be shown.
func TestNothingIsMadeByAStartThatFails(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	environ := []string{"MEDIAD_DATA_DIR=" + t.TempDir(), "MEDIAD_ADMIN_ADDR=" + taken.Addr().String()}
	for _, name := range []string{"HTTP", "RTMP", "RTSP", "SRT", "WEBRTC"} {
		environ = append(environ, "MEDIAD_"+name+"_ADDR=")
	}
	said, code := mediadWith(t, environ, "serve")
	require.Equal(t, exitFailure, code, said)
	require.Contains(t, said, "in use by another program")
	require.NotContains(t, said, "first admin created")
}

func TestServeWithoutHTTP(t *testing.T) {
	testx.NoLeaks(t)
	s := serve(t, t.TempDir(), "MEDIAD_HTTP_ADDR=", "MEDIAD_RTMP_ADDR=")
	var out bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"mediad", "doctor", "--ready"}, s.environ, &out, &out), out.String())
	require.NotContains(t, s.stdout.String(), "rtmp://")
	require.Zero(t, s.end(), s.stderr)
}

func TestASourceThatIsThisServerIsRefused(t *testing.T) {
	testx.NoLeaks(t)
	addr := testx.FreeAddr(t)
	s := serve(t, t.TempDir(), "MEDIAD_RTSP_ADDR="+addr, "MEDIAD_SOURCES=loop=rtsp://"+addr+"/live/loop")
	testx.WaitFor(t, "the refusal", func() bool { return strings.Contains(s.stderr.String(), "the source is this server itself") })
	require.Zero(t, s.end(), s.stderr)
}

// TestServeWithoutFFmpeg: what there is not is said once.
func TestServeWithoutFFmpeg(t *testing.T) {
	testx.NoLeaks(t)
	t.Setenv("PATH", t.TempDir())
	s := serve(t, t.TempDir())
	require.Zero(t, s.end(), s.stderr)
	require.Equal(t, 1, strings.Count(s.stderr.String(), "FFmpeg is not installed"), s.stderr)
}

func TestReload(t *testing.T) {
	testx.NoLeaks(t)
	guard := make(chan os.Signal, 16) // else the signal would end the test where the server does not listen yet
	signal.Notify(guard, syscall.SIGHUP)
	defer signal.Stop(guard)
	dir := t.TempDir()
	file := filepath.Join(dir, "c.yaml")
	write := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	write("log.level: error\n")
	s := serve(t, filepath.Join(dir, "data"))
	require.Zero(t, s.end())
	s.start("mediad", "--config", file)
	reload := func(word string) {
		testx.WaitFor(t, word, func() bool {
			require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGHUP))
			return strings.Contains(s.stderr.String(), word)
		})
	}
	write("log.level: eror\n")
	reload("configuration not reloaded")
	write("log.level: info\nhls.window: 40s\n")
	reload(`"keys":"hls.window"`)
	reload("configuration reloaded")
	require.Zero(t, s.end(), s.stderr)
}
