package webhook

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/outbound"
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

// TestWhatANameLeadsToIsLookedAt: an address is refused when it is connected to, not by how it is written.
func TestWhatANameLeadsToIsLookedAt(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer server.Close()
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]"} {
		_, err := guarded(outbound.Guard{}, time.Second).Get("http://" + host + ":" + port)
		require.ErrorIs(t, err, outbound.ErrAddress, host)
	}
	assert.Zero(t, asked)
	answer, err := guarded(outbound.Guard{Loopback: true}, time.Second).Get("http://localhost:" + port)
	require.NoError(t, err)
	answer.Body.Close()
	assert.Equal(t, 1, asked)
	number, err := strconv.ParseUint(port, 10, 16)
	require.NoError(t, err)
	_, err = guarded(outbound.Guard{Loopback: true, Barred: []uint16{uint16(number)}}, time.Second).Get("http://localhost:" + port)
	require.ErrorIs(t, err, outbound.ErrAddress, "a port at which the server believes who comes")
	assert.Equal(t, 1, asked)
}
