//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/stamp"
)

const scripts = "../../web/tests/e2e"

// installParsers installs what web/tests/e2e/package-lock.json names, once where it is missing.
var installParsers = sync.OnceValue(func() error {
	if _, err := os.Stat(scripts + "/node_modules/hls-parser/package.json"); err == nil {
		return nil
	}
	cmd := exec.Command("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error")
	cmd.Dir = scripts
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return cmd.Run()
})

// TestOtherParsersReadEveryReload: hls-parser in its strict mode and m3u8-parser find nothing in any reload of a live stream, over
// a return of the publisher too, and agree on what they read.
func TestOtherParsersReadEveryReload(t *testing.T) {
	t.Parallel()
	require.NoError(t, installParsers())
	s := startServer(t)
	cam := film(t, s.rtmp, "parse", stamp.Options{})
	s.waitLive("parse")
	seconds := times(20, 60)
	reader := spawn(t, "node", scripts+"/parse.mjs", s.url("/live/parse/index.m3u8"), strconv.Itoa(seconds))
	before := s.media("parse", "source")
	waitFor(t, 20*time.Second, "three segments", func() bool { return s.media("parse", "source").last >= before.last+3 })
	cam.kill()
	film(t, s.rtmp, "parse", stamp.Options{})
	require.NoError(t, reader.wait(t, time.Duration(seconds+20)*time.Second), tail(reader.log.String(), 8000))
	t.Log(reader.log.String())
}
