package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/configs"
)

func behindProxies(networks ...string) *node {
	n := &node{config: configs.Default()}
	for _, one := range networks {
		n.config.HTTP.TrustedProxies = append(n.config.HTTP.TrustedProxies, netip.MustParsePrefix(one))
	}
	return n
}

func TestClientIP(t *testing.T) {
	trusting := behindProxies("10.0.0.0/8", "fd00::/8")
	for _, c := range []struct {
		name, peer string
		forwarded  []string
		want       string
	}{
		{"nobody between", "203.0.113.7:1000", nil, "203.0.113.7"},
		{"a claim of a stranger", "203.0.113.7:1000", []string{"198.51.100.1"}, "203.0.113.7"},
		{"a proxy", "10.1.1.1:1000", []string{"203.0.113.7"}, "203.0.113.7"},
		{"a proxy that says nothing", "10.1.1.1:1000", nil, "10.1.1.1"},
		{"two proxies", "10.1.1.1:1000", []string{"203.0.113.7, 10.2.2.2"}, "203.0.113.7"},
		{"two header lines", "10.1.1.1:1000", []string{"203.0.113.7", "10.2.2.2"}, "203.0.113.7"},
		{"a claim in front of what the proxy saw", "10.1.1.1:1000", []string{"1.2.3.4, 203.0.113.7"}, "203.0.113.7"},
		{"only proxies", "10.1.1.1:1000", []string{"10.3.3.3, 10.2.2.2"}, "10.3.3.3"},
		{"junk", "10.1.1.1:1000", []string{"203.0.113.7, unknown"}, "10.1.1.1"},
		{"with a port", "10.1.1.1:1000", []string{"203.0.113.7:4711"}, "203.0.113.7"},
		{"IPv6", "[2001:db8::1]:1000", nil, "2001:db8::1"},
		{"an IPv6 proxy", "[fd00::1]:1000", []string{"[2001:db8::7]:4711"}, "2001:db8::7"},
		{"IPv4 in IPv6", "[::ffff:10.1.1.1]:1000", []string{"::ffff:203.0.113.7"}, "203.0.113.7"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = c.peer
			r.Header["X-Forwarded-For"] = c.forwarded
			require.Equal(t, c.want, trusting.clientIP(r))
		})
	}
}

// from is a connection of that peer.
type from struct {
	net.Conn
	peer   string
	closed bool
}

func (f *from) Close() error         { f.closed = true; return nil }
func (f *from) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(f.peer)) }

func TestConnectionsOfOneAddressAreBounded(t *testing.T) {
	n := behindProxies("10.0.0.0/8")
	n.config.Limits.Connections = 2
	limit := n.connLimit()
	open := func(peer string) *from {
		c := &from{peer: peer}
		limit(c, http.StateNew)
		return c
	}
	first := open("203.0.113.7:1")
	require.False(t, open("203.0.113.7:2").closed)
	require.True(t, open("203.0.113.7:3").closed)
	require.False(t, open("203.0.113.8:1").closed, "another address")
	limit(first, http.StateClosed)
	require.False(t, open("203.0.113.7:4").closed, "one has gone")
	for range 5 {
		require.False(t, open("127.0.0.1:1").closed)
		require.False(t, open("[::1]:1").closed)
		require.False(t, open("10.1.2.3:1").closed)
		require.False(t, open("[::ffff:10.1.2.3]:1").closed)
	}

	n.config.Limits.Scale = 0
	require.Nil(t, n.connLimit(), "limits.scale 0 turns it off")
	n.config.Limits.Scale, n.config.Limits.Connections = 1, 0
	require.Nil(t, n.connLimit())
	n.config.Limits.Scale, n.config.Limits.Connections = 1e-9, 512
	limit = n.connLimit()
	require.False(t, open("203.0.113.7:1").closed, "at least one")
	require.True(t, open("203.0.113.7:1").closed)
}

// TestBodiesThatNeverCome: a request whose body does not follow is not waited for without end, on media routes as well.
func TestBodiesThatNeverCome(t *testing.T) {
	read := make(chan time.Time, 1)
	media := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		deadlines, ok := w.(*noted)
		require.True(t, ok)
		read <- deadlines.read
	})
	h := publicHandler(media, http.NotFoundHandler(), http.NotFoundHandler(), nil, &health{})
	ask := func(length int64) time.Time {
		r := httptest.NewRequest(http.MethodGet, "/live/a/index.m3u8", nil)
		r.ContentLength = length
		h.ServeHTTP(&noted{ResponseRecorder: httptest.NewRecorder()}, r)
		return <-read
	}
	require.Zero(t, ask(0), "a parked request without a body waits as long as it likes")
	require.NotZero(t, ask(10))
	require.NotZero(t, ask(-1), "chunked")
}

type noted struct {
	*httptest.ResponseRecorder
	read time.Time
}

func (n *noted) SetReadDeadline(t time.Time) error { n.read = t; return nil }
