package main

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/stream"
	"mediad/configs"
	"mediad/internal/testx"
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

// TestWithoutRedisANodeBegins, says so, and is ready.
func TestWithoutRedisANodeBegins(t *testing.T) {
	c := configs.Default()
	c.DataDir, c.Redis.URL = t.TempDir(), "redis://:hidden@"+testx.FreeTCP(t)+"/0"
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
