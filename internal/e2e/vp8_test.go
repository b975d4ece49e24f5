//go:build e2e

package e2e

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/viewer"
)

// TestBrowserPublishesVP8: which no player by HLS knows, so that viewers are offered what is encoded of it, and nothing else.
func TestBrowserPublishesVP8(t *testing.T) {
	long(t)
	s := startLadder(t)
	s.publishByWHIP(t, "old", "--codec", "video/VP8", "--size", "640x384", "--bitrate", "800")
	s.waitLive("old")
	_, master := s.get("/live/old/index.m3u8")
	require.NotContains(t, master, "vp08")
	require.NotContains(t, master, "source/index.m3u8")
	require.Contains(t, master, "RESOLUTION=640x384")
	require.Contains(t, master, "avc1.")
	c := s.watch(t, "hlsjs", "old", faults...)
	c.awaitPlaying(40 * time.Second)
	c.awaitMore(5)
	c.finish()
	viewing := s.playByWHEP(t, "old")
	require.NoError(t, viewing.Await(30*time.Second, "pictures", func(told viewer.Told) bool { return told.Decoded > 30 }))
}

// TestVP8IsRefusedWithoutALadder, and the publisher is told why.
func TestVP8IsRefusedWithoutALadder(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	offer, err := os.ReadFile("testdata/offer.sdp")
	require.NoError(t, err)
	sends := strings.NewReplacer("a=recvonly", "a=sendonly", "H264/90000", "red/90000").Replace(string(offer))
	r, err := s.client.Post(s.url("/whip/old"), "application/sdp", bytes.NewReader([]byte(sends)))
	require.NoError(t, err)
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusUnprocessableEntity, r.StatusCode, string(body))
	require.Contains(t, string(body), "transcode.ladder")
}
