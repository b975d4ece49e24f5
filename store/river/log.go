package river

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// logEach is how often the same message may be logged: with the database gone every queue would tell each time it polls.
const logEach = 30 * time.Second

// logger is for River: warnings and errors, each message once in half a minute.
func (q *Queue) logger() *slog.Logger {
	return slog.New(&calm{inner: q.o.Log.Handler(), last: &lastSaid{at: map[string]time.Time{}}})
}

type lastSaid struct {
	mu sync.Mutex // guards at
	at map[string]time.Time
}

type calm struct {
	inner slog.Handler
	last  *lastSaid // shared by what comes of With
}

func (c *calm) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && c.inner.Enabled(ctx, level)
}

func (c *calm) Handle(ctx context.Context, r slog.Record) error {
	c.last.mu.Lock()
	said, again := c.last.at[r.Message]
	if again && r.Time.Sub(said) < logEach {
		c.last.mu.Unlock()
		return nil
	}
	c.last.at[r.Message] = r.Time // there are as many as River has messages
	c.last.mu.Unlock()
	return c.inner.Handle(ctx, r)
}

func (c *calm) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &calm{c.inner.WithAttrs(attrs), c.last}
}

func (c *calm) WithGroup(name string) slog.Handler { return &calm{c.inner.WithGroup(name), c.last} }
