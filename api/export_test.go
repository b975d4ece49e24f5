package api_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/apitest"
	"mediad/api/caller"
	"mediad/internal/testx"
	"mediad/store/db"
	"mediad/store/job"
	"mediad/store/river"
)

// testJobs are jobs that nobody works on, until there is a queue.
type testJobs struct {
	mu    sync.Mutex // guards queue
	queue *river.Queue
}

func (j *testJobs) Insert(ctx context.Context, tx job.Tx, args job.Args, o job.Options) (int64, bool, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.queue == nil {
		return 1, true, nil
	}
	return j.queue.Insert(ctx, tx, args, o)
}

func (j *testJobs) Cancel(context.Context, job.Tx, int64) error { return job.ErrNotFound }

// work runs jobs until the end of the test.
func (s *site) work(t *testing.T) {
	t.Helper()
	queue, err := river.New(river.Options{DB: s.db, Kinds: s.exports.Jobs()})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(t, queue.Run(ctx)) })
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	s.jobs.mu.Lock()
	defer s.jobs.mu.Unlock()
	s.jobs.queue = queue
}

// download gets what a link leads to.
func (s *site) download(t testing.TB, url string) *apitest.Answer {
	t.Helper()
	return apitest.Do(t, s.exports, apitest.Scenario{Path: url})
}

func TestExport(t *testing.T) {
	s := newSite(t, db.Options{})
	s.work(t)
	c := s.client(t)
	a := c.want(201, "", "POST", "/api/v1/auth/register", "", `{"username":"bert","password":"`+goodPassword+`","email":"bert@example.com"}`)
	bert, carl := c.session(a), c.register("carl")
	c.want(200, "", "POST", "/api/v1/me/streamer", bert.Access, "")
	c.want(200, "", "PATCH", "/api/v1/me", bert.Access, `{"bio":"<b>mine</b>","settings":{"locale":"de"}}`)
	key := field(t, c.want(201, "", "POST", "/api/v1/streams", bert.Access, `{"title":"Main","slug":"mine"}`), "stream_key")
	token := field(t, c.want(201, "", "POST", "/api/v1/me/api-tokens", bert.Access, `{"label":"robot","scopes":["profile"]}`), "token")
	c.put("/api/v1/me/avatar", bert.Access, square(t, 100, aRed))
	c.want(200, "", "PUT", "/api/v1/users/@carl/follow", bert.Access, "")
	c.want(200, "", "PUT", "/api/v1/users/@bert/follow", carl.Access, "")
	c.want(204, "", "PUT", "/api/v1/users/@anna/block", bert.Access, "")
	row, err := s.streams.Find(t.Context(), "mine")
	require.NoError(t, err)
	v := s.replay(t, row, "0198f2a0-0000-7000-8000-000000000304")

	c.want(403, "scope_missing", "POST", "/api/v1/me/exports", token, "")
	c.want(401, "unauthenticated", "POST", "/api/v1/me/exports", "", "")
	made := c.want(202, "", "POST", "/api/v1/me/exports", bert.Access, "")
	at := made.Header().Get("Location")
	require.Equal(t, "/api/v1/me/exports/"+field(t, made, "id"), at)
	again := c.want(429, "rate_limited", "POST", "/api/v1/me/exports", bert.Access, "")
	assert.Equal(t, "86400", again.Header().Get("Retry-After"))
	testx.WaitFor(t, "the export", func() bool { return field(t, c.want(200, "", "GET", at, bert.Access, ""), "state") == "ready" })
	ready := c.want(200, "", "GET", at, bert.Access, "")
	assert.Contains(t, ready.Body.String(), `"expires_at":"2026-03-08T12:00:00.000Z"`)
	assert.Contains(t, c.want(200, "", "GET", "/api/v1/me/exports", bert.Access, "").Body.String(), field(t, made, "id"))
	c.want(404, "not_found", "GET", at, carl.Access, "")
	assert.Contains(t, c.want(200, "", "GET", "/api/v1/me/exports", carl.Access, "").Body.String(), `"items":[]`)

	url := field(t, ready, "download_url")
	got := s.download(t, url)
	require.Equal(t, 200, got.Code, got.Body.String())
	for name, want := range map[string]string{
		"Content-Type": "application/zip", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
		"Content-Disposition": `attachment; filename="mediad-export-2026-03-01.zip"`,
	} {
		assert.Equal(t, want, got.Header().Get(name), name)
	}
	for _, wrong := range []string{url[:len(url)-1], strings.Split(url, "?")[0], url + "x", "/exports/", "/exports/../secret", strings.Replace(url, "sig=", "sig=0", 1)} {
		assert.Equal(t, 404, s.download(t, wrong).Code, wrong)
	}
	files := unzip(t, got.Body.Bytes())
	for name, want := range map[string][]string{
		"profile.json": {`"username":"bert"`, `"email":"bert@example.com"`, `\u003cb\u003emine`}, "settings.json": {`"locale":"de"`},
		"sessions.json": {`"ip":"192.0.2.x"`}, "following.json": {`"username":"carl"`}, "followers.json": {`"username":"carl"`}, "blocks.json": {`"username":"anna"`},
		"channel_moderators.json": {"[]"}, "streams.json": {`"slug":"mine"`, `"hint":"` + key[len(key)-4:] + `"`}, "broadcasts.json": {`"stream_id":"` + row.ID},
		"videos.json": {v.ID}, "api_tokens.json": {`"label":"robot"`}, "audit.json": {`"action":"stream.create"`}, "history.json": {"[]"}, "watch_later.json": {"[]"},
		"avatar.jpg": {"\xff\xd8"},
	} {
		for _, text := range want {
			assert.Contains(t, files[name], text, name)
		}
		if strings.HasSuffix(name, ".json") {
			assert.True(t, json.Valid([]byte(files[name])), name)
		}
	}
	for name, text := range files {
		for _, secret := range []string{key, token, bert.Access, bert.Refresh, goodPassword, "argon2id", "hash", secretPlace, "192.0.2.1"} {
			assert.NotContains(t, text, secret, name)
		}
	}

	s.clock.pass(7*24*time.Hour - time.Second)
	require.NoError(t, swept(s.keeper.Sweep(t.Context())))
	assert.Equal(t, 200, s.download(t, url).Code)
	s.clock.pass(time.Second)
	assert.Equal(t, 404, s.download(t, url).Code)
	require.NoError(t, swept(s.keeper.Sweep(t.Context())))
	for key := range s.objects.snapshot() {
		assert.False(t, strings.HasPrefix(key, "export/"), key)
	}
	bert = c.login("bert", goodPassword)
	assert.Contains(t, c.want(200, "", "GET", at, bert.Access, "").Body.String(), `"state":"expired"`)
	c.want(202, "", "POST", "/api/v1/me/exports", bert.Access, "")
}

func unzip(t testing.TB, data []byte) map[string]string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	require.NoError(t, err)
	files := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		require.NoError(t, err)
		text, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NoError(t, r.Close())
		files[f.Name] = string(text)
	}
	return files
}

// TestExportsAskedForAtOnce: there is one.
func TestExportsAskedForAtOnce(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	bert := c.register("bert")
	ctx := caller.With(t.Context(), caller.Caller{UserID: bert.User.ID, Via: caller.Session})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			_, err := s.exports.Request(ctx, bert.User.ID)
			if err != nil {
				assert.ErrorContains(t, err, "rate_limited")
			}
		})
	}
	wg.Wait()
	all, err := s.exports.List(t.Context(), bert.User.ID, "", 10)
	require.NoError(t, err)
	assert.Len(t, all, 1)
}

// TestExportOfWhoIsErased goes with the account, made or not.
func TestExportOfWhoIsErased(t *testing.T) {
	s := newSite(t, db.Options{})
	s.work(t)
	c := s.client(t)
	bert := c.register("bert")
	at := c.want(202, "", "POST", "/api/v1/me/exports", bert.Access, "").Header().Get("Location")
	testx.WaitFor(t, "the export", func() bool { return field(t, c.want(200, "", "GET", at, bert.Access, ""), "state") == "ready" })
	c.want(202, "", "DELETE", "/api/v1/me", bert.Access, myPassword)
	s.clock.pass(14 * 24 * time.Hour)
	s.erase(t)
	assert.Empty(t, s.objects.snapshot())
	all, err := s.exports.List(t.Context(), bert.User.ID, "", 10)
	require.NoError(t, err)
	assert.Empty(t, all)
}
