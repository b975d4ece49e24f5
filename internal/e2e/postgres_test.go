//go:build e2e

package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/store/db/pgtest"
)

// TestPostgreSQL: a site whose rows are on a PostgreSQL that goes down under a broadcast, with a hot standby to read from. Viewers
// notice nothing, and the history is there after a restart.
func TestPostgreSQL(t *testing.T) {
	t.Parallel()
	database := pgtest.Start(t, "synchronous_commit = on")
	place := database.Database(t, "site")
	standby := database.Standby(t)
	s := startServer(t, "MEDIAD_DATABASE_URL="+place, "MEDIAD_DATABASE_REPLICAS="+standby.URL("site"), "MEDIAD_INGEST_RESUME_WINDOW=5s")
	_, err := os.Stat(filepath.Join(s.dir, "mediad.db"))
	require.ErrorIs(t, err, os.ErrNotExist)
	p := s.publish(t, "tower", source{})
	s.waitLive("tower")
	stop := s.named(t, "tower", "source", "audio")
	segments := func(n int) {
		t.Helper()
		before := s.media("tower", "source").last
		waitFor(t, 20*time.Second, "segments", func() bool { return s.media("tower", "source").last >= before+n })
	}
	segments(1)
	shown := func() int { r, _ := s.get("/api/v1/streams/tower"); return r.StatusCode }
	require.Equal(t, 200, shown())
	require.NoError(t, database.Stop())
	waitFor(t, 10*time.Second, "the server to be found not ready", func() bool { r, _ := s.get("/readyz"); return r.StatusCode == http.StatusServiceUnavailable })
	segments(2) // live goes on
	p.kill(syscall.SIGKILL)
	waitFor(t, 10*time.Second, "the publisher to be missed", func() bool { return s.json("/api/v1/streams/tower")["state"] == "reconnecting" })
	p = s.publish(t, "tower", source{})
	segments(1)
	require.Equal(t, "live", s.json("/api/v1/streams/tower")["state"], "its row is known, and how it is now")
	require.NoError(t, database.Run())
	waitFor(t, 10*time.Second, "the server to be ready again", func() bool { r, _ := s.get("/readyz"); return r.StatusCode == http.StatusOK })
	segments(1)
	p.kill(syscall.SIGTERM)
	id := s.replay(t, "tower", 30*time.Second)
	s.requireListed(t, id, stop())
	s.checkRecordings(t)

	s.stop(syscall.SIGTERM)
	s.start()
	require.Equal(t, id, s.replay(t, "tower", 10*time.Second))
	r, _ := s.get("/vod/" + id + "/index.m3u8")
	require.Equal(t, 200, r.StatusCode)
	out, err := s.cli("migrate", "status")
	require.NoError(t, err, out)
	require.NotContains(t, out, "pending")
	out, _ = s.cli("doctor") // it has other things to say of a test's server
	require.Contains(t, out, "PostgreSQL ")
	require.Contains(t, out, "schema up to date")
	require.Contains(t, out, "its clock differs by")
	require.Contains(t, out, "keeps up")
	for _, line := range strings.Split(out, "\n") {
		if strings.Contains(line, "  database ") || strings.Contains(line, "  replica ") {
			t.Log(strings.TrimSpace(line))
		}
	}
}
