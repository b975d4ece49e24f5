//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/store/db/pgtest"
	"mediad/store/redis/redistest"
)

// siteKey is a master key that the nodes of a test share.
const siteKey = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

// TestTwoNodes: two servers on one database, with a Redis and without. What changes at one is seen at the other within a second, a stream is on
// air at one of them, and of one that is killed the other goes on with what it had.
func TestTwoNodes(t *testing.T) {
	t.Parallel()
	for name, env := range map[string]func() []string{
		"with Redis":    func() []string { return []string{"MEDIAD_REDIS_URL=" + redistest.Start(t).URL} },
		"without Redis": func() []string { return nil },
	} {
		t.Run(name, func(t *testing.T) { twoNodes(t, env()) })
	}
}

func twoNodes(t *testing.T, env []string) {
	database := pgtest.Start(t, "synchronous_commit = on")
	env = append(env, "MEDIAD_DATABASE_URL="+database.Database(t, "site"), "MEDIAD_SECRET_KEY="+siteKey, "MEDIAD_AUTH_REGISTRATION=open",
		"MEDIAD_ADMIN_USERNAME=boss", "MEDIAD_ADMIN_PASSWORD="+adminPassword, "MEDIAD_INGEST_RESUME_WINDOW=60s", "MEDIAD_LOG_LEVEL=info")
	a, b := startServer(t, env...), startServer(t, env...)
	boss := a.call(200, "POST", "/api/v1/auth/login", "", `{"login":"boss","password":"`+adminPassword+`"}`)["access_token"].(string)
	within := func(what string, limit time.Duration, cond func() bool) {
		t.Helper()
		began := time.Now()
		waitFor(t, limit, what, cond)
		t.Logf("%s: %d ms", what, time.Since(began).Milliseconds())
	}
	sessionAt := func(s *server, stream string) string {
		t.Helper()
		one, _ := s.json("/api/v1/streams/" + stream)["session"].(map[string]any)
		id, _ := one["id"].(string)
		return id
	}
	status := func(s *server, path, token string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url(path), nil)
		require.NoError(t, err)
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		answer, err := s.client.Do(r)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		return answer.StatusCode
	}

	// What is on air at one is shown by the other, which does not play it.
	first := a.publish(t, "tower", source{})
	waitFor(t, 20*time.Second, "a session", func() bool { return status(a, "/api/v1/streams/tower", "") == 200 && sessionAt(a, "tower") != "" })
	id := sessionAt(a, "tower")
	within("a session seen by the other node", time.Second, func() bool { return sessionAt(b, "tower") == id })
	require.Equal(t, "live", b.json("/api/v1/streams/tower")["state"])
	_, listed := b.get("/api/v1/streams?live=true")
	require.Contains(t, listed, `"slug":"tower"`)
	a.waitLive("tower")
	require.Equal(t, 404, status(b, "/live/tower/index.m3u8", ""))

	// Changes: who may see a stream, who is signed in, what admins set.
	user := a.call(201, "POST", "/api/v1/auth/register", "", `{"username":"bert","password":"correct horse battery"}`)
	token, userID := user["access_token"].(string), user["user"].(map[string]any)["id"].(string)
	require.Equal(t, 200, status(b, "/api/v1/me", token))
	require.Equal(t, 200, status(b, "/api/v1/streams/tower/playback", ""))
	a.call(201, "POST", "/api/v1/streams", boss, `{"slug":"quiet","title":"Quiet"}`)
	waitFor(t, 5*time.Second, "the other stream", func() bool { return status(b, "/api/v1/streams/quiet", "") == 200 })
	a.call(200, "PATCH", "/api/v1/streams/quiet", boss, `{"visibility":"private"}`)
	a.call(200, "PATCH", "/api/v1/streams/tower", boss, `{"visibility":"private"}`)
	within("a stream hidden from the other node's callers", time.Second, func() bool { return status(b, "/api/v1/streams/tower", "") == 404 })
	// Nor does what the other node has answered before come up again, where the database is not there to be asked.
	require.NoError(t, database.Stop())
	waitFor(t, 10*time.Second, "the database to be missed", func() bool { return status(b, "/api/v1/streams?away=1", "") == 503 })
	within("the other node to forget what it answered", time.Second, func() bool { return status(b, "/api/v1/streams/tower/playback", "") != 200 })
	require.NotEqual(t, 200, status(b, "/api/v1/streams/quiet", ""), "nor a row that it has not read since")
	require.NoError(t, database.Run())
	for _, s := range []*server{a, b} {
		waitFor(t, 20*time.Second, "the nodes to hear each other again", func() bool {
			log := s.log.String()
			return strings.Count(log, "changes by other nodes are not heard of") == strings.Count(log, "changes by other nodes are heard of again")
		})
		waitFor(t, 20*time.Second, "the database to be back", func() bool { return status(s, "/readyz", "") == 200 && status(s, "/api/v1/streams/tower", boss) == 200 })
	}
	a.call(200, "PATCH", "/api/v1/streams/tower", boss, `{"visibility":"public"}`)
	within("and shown again", time.Second, func() bool { return status(b, "/api/v1/streams/tower", "") == 200 })
	a.call(204, "PUT", "/api/v1/users/"+userID+"/suspension", boss, `{"reason":"test"}`)
	within("a suspended user's session", time.Second, func() bool { return status(b, "/api/v1/me", token) != 200 })

	// A later publisher at the other node takes the stream, and goes on behind its numbers.
	last := a.media("tower", "source").last
	began := time.Now()
	second := b.publish(t, "tower", source{})
	require.Error(t, first.wait(t, 20*time.Second), "the first publisher was replaced")
	t.Logf("taken over after %d ms, with the start of the encoder", time.Since(began).Milliseconds())
	b.waitLive("tower")
	require.Greater(t, b.media("tower", "source").last, last)
	next := sessionAt(b, "tower")
	require.NotEqual(t, id, next)
	within("the new session seen by the former node", time.Second, func() bool { return sessionAt(a, "tower") == next })
	_, history := b.get("/api/v1/streams/tower/sessions")
	require.Equal(t, 1, strings.Count(history, `"end_reason":"publisher_stopped"`), history)

	// An admin who asks any node ends it.
	a.call(202, "POST", "/api/v1/streams/tower/end", boss, "")
	require.Error(t, second.wait(t, 10*time.Second))
	within("the end seen by both", 2*time.Second, func() bool { return sessionAt(a, "tower") == "" && sessionAt(b, "tower") == "" })

	// A node is killed. Its encoder goes to the other one, after the lease; what nobody returns to is ended by it.
	a.publish(t, "kept", source{})
	a.publish(t, "lost", source{})
	for _, stream := range []string{"kept", "lost"} {
		a.waitLive(stream)
		waitFor(t, 5*time.Second, stream+" to be seen", func() bool { return status(b, "/api/v1/streams/"+stream, "") == 200 && sessionAt(b, stream) != "" })
	}
	kept, lost := sessionAt(b, "kept"), sessionAt(b, "lost")
	a.stop(syscall.SIGKILL)
	killed := time.Now()
	waitFor(t, 20*time.Second, "the encoder to be let in", func() bool {
		p := b.publish(t, "kept", source{})
		select {
		case <-p.exited:
			return false
		case <-time.After(4 * time.Second): // it would have been refused by then
			return true
		}
	})
	t.Logf("its stream is on air again %s after a kill", time.Since(killed).Round(time.Second))
	b.waitLive("kept")
	require.NotEqual(t, kept, sessionAt(b, "kept"))
	waitFor(t, 45*time.Second, "the session that nobody returned to to be ended", func() bool { return sessionAt(b, "lost") == "" })
	t.Logf("ended %s after the kill", time.Since(killed).Round(time.Second))
	require.Greater(t, time.Since(killed), 25*time.Second)
	ended := b.json(fmt.Sprintf("/api/v1/streams/lost/sessions/%s", lost))
	require.Equal(t, "server_shutdown", ended["end_reason"])

	// It comes back, ends nothing of the other's, and makes the replay that it alone has.
	on := sessionAt(b, "kept")
	a.start()
	require.Equal(t, on, sessionAt(a, "kept"))
	require.Equal(t, on, sessionAt(b, "kept"))
	a.replay(t, "lost", 20*time.Second)
	require.NotContains(t, a.log.String(), "panic")
	require.NotContains(t, b.log.String(), "panic")
}
