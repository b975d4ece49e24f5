package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"mediad/configs"
	"mediad/internal/testx"
)

// found runs the checks and returns what they say of a matter.
func found(t *testing.T, c *configs.Config, fix bool, about string) []finding {
	t.Helper()
	d := &doctor{config: c, fix: fix}
	d.examine(t.Context())
	var out []finding
	for _, f := range d.findings {
		if f.name == about {
			out = append(out, f)
		}
	}
	return out
}

func sick(t *testing.T) *configs.Config {
	c := configs.Default()
	c.DataDir = filepath.Join(t.TempDir(), "data")
	c.HTTP.Addr, c.RTMP.Addr, c.Admin.Addr = testx.FreeAddr(t), testx.FreeAddr(t), testx.FreeAddr(t)
	c.RTSP.Addr, c.SRT.Addr, c.WebRTC.Addr = testx.FreeAddr(t), testx.FreeAddr(t), testx.FreeAddr(t)
	return c
}

// TestDoctorLooksAtEveryDoor: also those by UDP.
func TestDoctorLooksAtEveryDoor(t *testing.T) {
	c := sick(t)
	c.RTSP.UDPAddr = "127.0.0.1:0"
	free := map[string]int{}
	for _, f := range found(t, c, false, "port") {
		require.False(t, f.fails, f.text)
		key, _, _ := strings.Cut(f.text, " ")
		free[key]++
	}
	require.Equal(t, map[string]int{"http.addr": 1, "rtmp.addr": 1, "admin.addr": 1, "rtsp.addr": 1, "srt.addr": 1, "webrtc.addr": 2}, free)

	taken, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	addr := taken.LocalAddr().String()
	for key, to := range map[string]*string{"srt.addr": &c.SRT.Addr, "webrtc.addr": &c.WebRTC.Addr, "rtsp.udp_addr": &c.RTSP.UDPAddr} {
		was := *to
		*to = addr
		var failed []string
		for _, f := range found(t, c, false, "port") {
			if f.fails {
				failed = append(failed, f.text)
				require.Contains(t, f.advice, key)
			}
		}
		require.NotEmpty(t, failed, key)
		require.Contains(t, failed[0], key+" "+addr)
		*to = was
	}
}

func TestDoctorLooksForHooksAndSources(t *testing.T) {
	c := sick(t)
	require.Empty(t, found(t, c, false, "hooks"))
	require.Empty(t, found(t, c, false, "sources"))
	there := httptest.NewServer(http.NotFoundHandler())
	defer there.Close()
	nobody := testx.FreeAddr(t)
	c.Hooks.OnPublish, c.Hooks.OnPlay = there.URL+"/secret", "http://user:secret@"+nobody+"/x"
	addr := there.Listener.Addr().String()
	own, err := net.Listen("tcp", c.RTSP.Addr)
	require.NoError(t, err)
	defer own.Close()
	c.Sources = []string{"door=rtsp://admin:secret@" + addr + "/1", "yard=rtsp+tcp://admin:secret@" + nobody + "/1", "loop=rtsp://admin:secret@" + c.RTSP.Addr + "/live/main"}

	hooks := found(t, c, false, "hooks")
	require.Len(t, hooks, 2)
	require.False(t, hooks[0].fails, hooks[0].text)
	require.True(t, hooks[1].fails)
	sources := found(t, c, false, "sources")
	require.Len(t, sources, 3)
	require.Empty(t, sources[0].advice, sources[0].text)
	require.NotEmpty(t, sources[1].advice)
	require.Contains(t, sources[2].text, "this server itself")
	for _, f := range append(hooks, sources...) {
		require.NotContains(t, f.text+f.advice, "secret")
	}
}

func TestDoctorLooksForForwards(t *testing.T) {
	c := sick(t)
	require.Empty(t, found(t, c, false, "forwards"))
	there, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer there.Close()
	addr, nobody := there.Addr().String(), testx.FreeAddr(t)
	c.Forwards = []string{
		"a=rtmp://" + addr + "/live/secret", "b=rtmps://" + nobody + "/live/secret", "c=srt://" + nobody + "?streamid=publish:secret",
		"d=rtmp://" + c.RTMP.Addr + "/live/secret", "e=http://" + addr + "/secret",
	}
	got := found(t, c, false, "forwards")
	require.Len(t, got, 5)
	require.Equal(t, "a: "+addr+" takes connections", got[0].text)
	require.Empty(t, got[0].advice)
	require.NotEmpty(t, got[1].advice)
	require.False(t, got[1].fails, "it may come")
	require.Contains(t, got[2].text, "is not asked")
	require.Contains(t, got[3].text, "this server itself")
	require.True(t, got[3].fails)
	require.True(t, got[4].fails)
	for _, f := range got {
		require.NotContains(t, f.text+f.advice, "secret")
	}
}

func TestDoctorFindsWhatIsWrong(t *testing.T) {
	c := sick(t)
	one := func(fs []finding) finding {
		require.Len(t, fs, 1)
		return fs[0]
	}
	require.Contains(t, one(found(t, c, false, "data")).advice, "--fix")
	require.NoDirExists(t, c.DataDir, "looking changes nothing")
	require.Contains(t, one(found(t, c, true, "database")).text, "schema up to date")
	require.Empty(t, one(found(t, c, false, "data")).advice)

	c.HLS.DVR = 1 << 62
	require.Contains(t, one(found(t, c, false, "disk")).advice, "hls.dvr")

	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	c.RTMP.Addr = server.Listener.Addr().String()
	for _, f := range found(t, c, false, "port") {
		require.Equal(t, f.fails, f.advice != "")
		require.Equal(t, f.fails, f.text[:len("rtmp.addr")] == "rtmp.addr", f.text)
	}

	c.TLS.Cert, c.TLS.Key = "none.pem", "none.pem"
	require.True(t, one(found(t, c, false, "tls")).fails)
	files, _ := pair(t)
	c.TLS.Cert, c.TLS.Key = files.cert, files.key
	require.Empty(t, one(found(t, c, false, "tls")).advice)

	require.NoError(t, os.WriteFile(filepath.Join(c.DataDir, "mediad.db"), []byte("this is no database, and long enough to be seen as none"), 0o600))
	require.True(t, one(found(t, c, false, "database")).fails)
}

func TestDoctorAsksTheRunningServer(t *testing.T) {
	testx.NoLeaks(t)
	c := sick(t)
	s := serve(t, c.DataDir)
	defer func() { require.Zero(t, s.end()) }()
	c.HTTP.Addr, c.RTMP.Addr = s.http, s.rtmp
	c.Site.PublicURL, c.Site.IngestHost = "http://"+s.http+"/", "127.0.0.1"
	for _, about := range []string{"port", "url", "ingest"} {
		fs := found(t, c, false, about)
		require.Len(t, fs, 1, about)
		require.Empty(t, fs[0].advice, "%v", fs[0])
	}
	c.Site.PublicURL, c.Site.IngestHost = "http://"+s.admin, "host.invalid"
	require.Empty(t, found(t, c, false, "url")[0].advice)
	require.True(t, found(t, c, false, "ingest")[0].fails)
	c.Site.PublicURL = "http://" + testx.FreeAddr(t)
	require.True(t, found(t, c, false, "url")[0].fails)
	http.DefaultClient.CloseIdleConnections()
}

// TestDoctorOnAnEdge looks at the origin and the cache, and at nothing that an edge does not have.
func TestDoctorOnAnEdge(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer origin.Close()
	c := sick(t)
	said := func(fix bool) map[string]finding {
		d := &doctor{config: c, fix: fix}
		d.examineEdge(t.Context())
		all := make(map[string]finding)
		for _, f := range d.findings {
			all[f.name] = f
		}
		return all
	}
	all := said(false)
	require.True(t, all["origin"].fails)
	require.Contains(t, all["origin"].advice, "MEDIAD_EDGE_ORIGIN")
	require.Contains(t, all["cache"].text, "does not exist yet")
	for _, not := range []string{"database", "ffmpeg", "bucket", "ingest"} {
		require.NotContains(t, all, not)
	}
	c.Edge.Origin = origin.URL
	all = said(true)
	require.Contains(t, all["data"].text, " was made and is writable")
	require.Contains(t, all["cache"].text, filepath.Join(c.DataDir, "edge")+" is writable")
	require.False(t, all["origin"].fails, all["origin"].text)
	c.Edge.Origin = "http://" + testx.FreeAddr(t)
	require.True(t, said(false)["origin"].fails)
	http.DefaultClient.CloseIdleConnections()
}
