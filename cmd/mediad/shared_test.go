package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/playback"
	"mediad/api/playback/token"
	"mediad/api/stream"
	"mediad/configs"
	"mediad/internal/testx"
	"mediad/store/db"
	"mediad/store/redis/redistest"
)

// TestAKeyRevokedOnOneNodeIsForgottenOnTheOther although its database is away: first while the server runs, and again after
// it had been gone.
func TestAKeyRevokedOnOneNodeIsForgottenOnTheOther(t *testing.T) {
	server := redistest.Start(t)
	c := configs.Default()
	c.DataDir, c.Redis.URL = t.TempDir(), server.URL
	node := func() *site {
		s, err := openSite(t.Context(), c, time.Now, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 2)
		go func() { done <- s.shared.events.Run(ctx) }()
		go func() { done <- s.forgetChanged(ctx) }()
		t.Cleanup(func() {
			cancel()
			assert.NoError(t, <-done)
			assert.NoError(t, <-done)
			s.close()
		})
		return s
	}
	a := node()
	first, err := a.firstRun(t.Context(), c)
	require.NoError(t, err)
	secret := first.key
	for _, outage := range []bool{false, true} {
		if outage {
			server.Stop(t)
			server.Run(t)
		}
		b := node()
		_, err = b.streams.AuthorizePublish(t.Context(), secret, "")
		require.NoError(t, err)
		require.NoError(t, b.db.Close())
		_, err = b.streams.AuthorizePublish(t.Context(), secret, "")
		require.NoError(t, err, "known keys are good while the database is away")
		began := time.Now()
		// Until both hear each other a change may be told by nobody.
		testx.WaitFor(t, "the other node to forget the key", func() bool {
			_, secret, err = a.streams.RotateKey(t.Context(), mainStream, stream.Rotate{})
			require.NoError(t, err)
			_, err := b.streams.AuthorizePublish(t.Context(), first.key, "")
			return err != nil
		})
		t.Logf("forgotten after %s", time.Since(began))
		first.key = secret
	}
}

// TestRightsTakenOnOneNodeAreGoneOnTheOther: by a change of visibility, and by blocking somebody. The clock stands, so it is the news alone.
func TestRightsTakenOnOneNodeAreGoneOnTheOther(t *testing.T) {
	server := redistest.Start(t)
	c := configs.Default()
	c.DataDir, c.Redis.URL = t.TempDir(), server.URL
	now := time.Now()
	node := func() *site {
		s, err := openSite(t.Context(), c, func() time.Time { return now }, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 2)
		go func() { done <- s.shared.events.Run(ctx) }()
		go func() { done <- s.forgetChanged(ctx) }()
		t.Cleanup(func() {
			cancel()
			assert.NoError(t, <-done)
			assert.NoError(t, <-done)
			s.close()
		})
		return s
	}
	a, b := node(), node()
	_, err := a.firstRun(t.Context(), c)
	require.NoError(t, err)
	rights := playback.NewRights(playback.RightsOptions{Policies: b.policies, Keys: b.tokens, Now: func() time.Time { return now }})
	plays := func(tok string) error {
		_, err := rights.Media(t.Context(), playback.Ask{Kind: token.Live, Name: mainStream, Token: tok})
		return err
	}
	edit := func(visibility string) db.Stream {
		t.Helper()
		row, err := a.streams.Find(t.Context(), mainStream)
		require.NoError(t, err)
		row, err = a.streams.Edit(t.Context(), row.ID, stream.Edit{Change: func(row *db.Stream) { row.Visibility = visibility }})
		require.NoError(t, err)
		return row
	}
	// Until both hear each other a change may be told by nobody.
	require.NoError(t, plays(""))
	testx.WaitFor(t, "the first change to be heard of", func() bool {
		edit("public")
		edit("followers")
		return plays("") != nil
	})
	row := edit("private")
	held := playback.NewIssuer(a.tokens, func() time.Time { return now }).Stream(row).Token
	testx.WaitFor(t, "the token to be good on the other node", func() bool { return plays(held) == nil })
	require.NoError(t, a.db.Tx(t.Context(), func(q db.Queries) error { return q.BumpPolicies(row.OwnerID) }))
	a.shared.changed(t.Context(), slog.New(slog.DiscardHandler), ownerTopic, row.OwnerID)
	testx.WaitFor(t, "the token to be good no more", func() bool { return errors.Is(plays(held), playback.ErrExpired) })
}

// TestWhatIsWrittenOnOneNodeIsReadOnTheOther at once, although it remembers what was before: where it has not heard of it, it does not answer from
// memory.
func TestWhatIsWrittenOnOneNodeIsReadOnTheOther(t *testing.T) {
	server := redistest.Start(t)
	c := configs.Default()
	c.DataDir, c.Redis.URL = t.TempDir(), server.URL
	var known atomic.Int64
	node := func() *site {
		told := watchers{cached: func(cache string, hit bool) {
			if hit && cache == "stream" {
				known.Add(1)
			}
		}}
		s, err := openWatchedSite(t.Context(), c, told, time.Now, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- s.shared.events.Run(ctx) }()
		t.Cleanup(func() {
			cancel()
			assert.NoError(t, <-done)
			s.close()
		})
		return s
	}
	a, b := node(), node()
	_, err := a.firstRun(t.Context(), c)
	require.NoError(t, err)
	// As the API's edge does for each request.
	read := func(s *site) db.Stream {
		t.Helper()
		ctx := t.Context()
		if s.shared.heard(ctx, s.db.Engine(), 0) {
			ctx = db.Heard(ctx)
		}
		row, err := s.streams.Find(ctx, mainStream)
		require.NoError(t, err)
		return row
	}
	edit := func(s *site, title string) {
		t.Helper()
		_, err := s.streams.Edit(t.Context(), read(s).ID, stream.Edit{Change: func(row *db.Stream) { row.Title = title }})
		require.NoError(t, err)
	}
	testx.WaitFor(t, "both to remember", func() bool {
		before := known.Load()
		read(a)
		read(b)
		return known.Load() == before+2
	})
	for i := range 50 {
		for n, at := range []*site{a, b} {
			title := fmt.Sprint(i, n)
			edit(at, title)
			require.Equal(t, title, read(a).Title)
			require.Equal(t, title, read(b).Title)
		}
	}
	assert.Positive(t, known.Load())

	// A node that ended before it could tell: the event that it wrote with its change does.
	silent, err := db.Open(t.Context(), db.Options{Path: a.db.Where()})
	require.NoError(t, err)
	defer silent.Close()
	row := read(b)
	row.Title = "untold"
	require.NoError(t, silent.Tx(t.Context(), func(q db.Queries) error { return q.SaveStream(row, row.Version, db.At(time.Now())) }))
	a.shared.changed(t.Context(), slog.New(slog.DiscardHandler), eventTopic, "stream.online stream:"+row.ID)
	testx.WaitFor(t, "the event to be heard", func() bool { return read(b).Title == "untold" })

	server.Stop(t) // nobody can tell anybody now
	edit(b, "alone")
	assert.Equal(t, "alone", read(a).Title)
	assert.Equal(t, "alone", read(b).Title, "slower, never wrong")
	server.Run(t)
	testx.WaitFor(t, "both to remember again", func() bool {
		before := known.Load()
		require.Equal(t, "alone", read(a).Title)
		require.Equal(t, "alone", read(b).Title)
		return known.Load() == before+2
	})
}

// TestNodesThatCannotTellEachOtherRememberNothing: several on one PostgreSQL without Redis. One file of SQLite has one node.
func TestNodesThatCannotTellEachOtherRememberNothing(t *testing.T) {
	assert.False(t, shared{}.heard(t.Context(), db.PostgreSQL, 0))
	assert.True(t, shared{}.heard(t.Context(), db.SQLite, 0))
}

// TestWithoutRedisANodeBegins, says so, and is ready.
func TestWithoutRedisANodeBegins(t *testing.T) {
	c := configs.Default()
	c.DataDir, c.Redis.URL = t.TempDir(), "redis://:hidden@"+testx.FreeAddr(t)+"/0"
	var out testx.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	s, err := openSite(t.Context(), c, time.Now, log)
	require.NoError(t, err)
	defer s.close()
	s.shared.warn(t.Context(), log)
	assert.Contains(t, out.String(), "level=WARN")
	assert.Contains(t, out.String(), "Redis does not answer")
	assert.NotContains(t, out.String(), "hidden")
	assert.Error(t, s.shared.check(t.Context()))
	_, err = s.firstRun(t.Context(), c)
	require.NoError(t, err, "nothing needs it")

	d := &doctor{config: c}
	d.examineRedis(t.Context())
	require.Len(t, d.findings, 1)
	assert.True(t, d.findings[0].fails)
	assert.NotContains(t, d.findings[0].text, "hidden")
	c.Redis.URL = redistest.Start(t).URL
	d = &doctor{config: c}
	d.examineRedis(t.Context())
	assert.False(t, d.findings[0].fails)
	assert.Regexp(t, `^Redis \d+\.\d+\.\d+ at 127\.0\.0\.1:\d+ answers within `, d.findings[0].text)
}
