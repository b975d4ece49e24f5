package webhook

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
)

func TestMain(m *testing.M) { testx.Main(m) }

// TestSignatureVector is the one of api.md 4.14.
func TestSignatureVector(t *testing.T) {
	signature, err := sign("whsec_bWVkaWFkLXdlYmhvb2stdGVzdC1zZWNyZXQtMzJieXQ=", "0198f2a0-0000-7000-8000-0000000000aa", time.Unix(1767225600, 0),
		`{"type":"video.ready"}`)
	require.NoError(t, err)
	assert.Equal(t, "v1,B1Q6LlyDeasQIwGz0/2GdU5x2GwWI7Z7GrvlSUDybtM=", signature)
	_, err = sign("whsec_%", "", time.Time{}, "")
	require.Error(t, err)
}

func TestOnlyPublicAddressesAreDeliveredTo(t *testing.T) {
	for text, want := range map[string]bool{
		"1.1.1.1": true, "8.8.8.8": true, "93.184.216.34": true, "2606:4700::1111": true, "2a00:1450:4001::1": true, "::ffff:8.8.8.8": true,
		"0.0.0.0": false, "0.1.2.3": false, "10.0.0.1": false, "100.64.0.1": false, "100.100.100.200": false, "127.0.0.1": false, "127.1.2.3": false,
		"169.254.0.1": false, "169.254.169.254": false, "172.16.0.1": false, "172.31.255.255": false, "172.32.0.1": true, "192.0.0.192": false,
		"192.0.2.1": false, "192.168.1.1": false, "198.18.0.1": false, "198.51.100.1": false, "203.0.113.1": false, "224.0.0.1": false,
		"239.255.255.250": false, "240.0.0.1": false, "255.255.255.255": false, "168.63.129.16": false,
		"::": false, "::1": false, "::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::ffff:169.254.169.254": false, "::ffff:0.0.0.0": false,
		"::127.0.0.1": false, "64:ff9b::7f00:1": false, "64:ff9b::a9fe:a9fe": false, "64:ff9b:1::1": false, "64:ff9b::808:808": false, "100::1": false,
		"2001::1": false, "2001:db8::1": false, "2002:7f00:1::1": false, "2002:a9fe:a9fe::1": false, "3fff::1": false,
		"fc00::1": false, "fd00:ec2::254": false, "fe80::1": false, "fe80::1%eth0": false, "fec0::1": false, "ff02::1": false, "4000::1": false,
	} {
		addr := netip.MustParseAddr(text)
		assert.Equal(t, want, allowed(addr, false), text)
		assert.Equal(t, want || addr.Unmap().IsLoopback(), allowed(addr, true), "%s where one develops", text)
	}
	assert.False(t, allowed(netip.Addr{}, true))
}

// TestWhatANameLeadsToIsLookedAt: an address is refused when it is connected to, not by how it is written.
func TestWhatANameLeadsToIsLookedAt(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer server.Close()
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]"} {
		_, err := guarded(false, nil, time.Second).Get("http://" + host + ":" + port)
		require.ErrorIs(t, err, ErrTarget, host)
	}
	assert.Zero(t, asked)
	answer, err := guarded(true, nil, time.Second).Get("http://localhost:" + port)
	require.NoError(t, err)
	answer.Body.Close()
	assert.Equal(t, 1, asked)
	number, err := strconv.ParseUint(port, 10, 16)
	require.NoError(t, err)
	_, err = guarded(true, []uint16{uint16(number)}, time.Second).Get("http://localhost:" + port)
	require.ErrorIs(t, err, ErrTarget, "a port at which the server believes who comes")
	assert.Equal(t, 1, asked)
}
