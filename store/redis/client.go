// Package redis keeps what the nodes of a site share for a moment: events, answers, counts of calls.
//
//	bus.Bus, cache.Store, limit.Shared ──► Client: short timeouts, circuit breaker ──► one Redis server
//
// Nothing in it is the truth. Where the server is gone, slow or wrong each part does without: Client fails at once while its
// breaker is open, and one call in half a second tries again. Only Bus.Run and Cache.Run have goroutines, those of their caller.
package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const (
	// callTimeout bounds one answer of the server, and callPatience all of a call: somebody waits for it who could do without.
	callTimeout  = 250 * time.Millisecond
	callPatience = 500 * time.Millisecond
	// openAfter so many failures one after the other the server counts as gone, and is tried again every retryAfter.
	openAfter  = 3
	retryAfter = 500 * time.Millisecond
	// prefix stands before everything of ours, as people share servers.
	prefix = "mediad:"
)

// ErrUnavailable is returned, wrapped, where the server does not answer or is not asked since it lately did not.
var ErrUnavailable = errors.New("redis: unavailable")

// Client is one server. Its methods may be called from any goroutine.
type Client struct {
	rdb   *redis.Client
	where string
	log   *slog.Logger

	mu       sync.Mutex // guards the breaker
	failures int        // one after the other
	tryAt    time.Time  // while it is open: not before
}

// CheckURL says what is wrong with a redis:// or rediss:// URL, in words that repeat nothing of it.
func CheckURL(text string) error {
	_, err := parse(text)
	return err
}

func parse(text string) (*redis.Options, error) {
	scheme, _, ok := strings.Cut(text, "://")
	if !ok || scheme != "redis" && scheme != "rediss" && scheme != "unix" {
		return nil, errors.New("is no URL: redis://user:password@host:6379/0, rediss:// with TLS, unix:///file of its socket")
	}
	o, err := redis.ParseURL(text)
	if err != nil {
		return nil, errors.New("cannot be read: redis://user:password@host:6379/0; percent-encode what is special in user and password")
	}
	return o, nil
}

// Open prepares the client; the server is asked at the first call. log may be nil.
func Open(url string, log *slog.Logger) (*Client, error) {
	o, err := parse(url)
	if err != nil {
		return nil, fmt.Errorf("redis: URL %w", err)
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = callTimeout, callTimeout, callTimeout, callTimeout
	o.DialerRetries, o.MaxRetries = 1, 1 // a pooled connection that died meanwhile costs one
	o.ContextTimeoutEnabled, o.DisableIdentity = true, true
	o.Protocol = 2 // all that is needed, and known to every server
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	logging.Disable() // the library would write to standard error; what it says comes back as errors as well
	return &Client{rdb: redis.NewClient(o), where: o.Addr, log: log}, nil
}

// Close closes the connections.
func (c *Client) Close() error { return c.rdb.Close() }

// Where is the server's address, without anything secret.
func (c *Client) Where() string { return c.where }

// Server is what the server says of itself.
type Server struct {
	Version string
	Took    time.Duration // a ping
}

// Server asks the server, whatever the breaker says.
func (c *Client) Server(ctx context.Context) (Server, error) {
	if err := c.Ping(ctx); err != nil {
		return Server{}, err
	}
	began := time.Now()
	if err := c.Ping(ctx); err != nil { // now that there is a connection
		return Server{}, err
	}
	s := Server{Took: time.Since(began)}
	info, err := c.rdb.Info(ctx, "server").Result()
	if err != nil {
		return s, nil //nolint:nilerr // users may be forbidden to ask, and it is only shown
	}
	for line := range strings.Lines(info) {
		if version, ok := strings.CutPrefix(line, "redis_version:"); ok {
			s.Version = strings.TrimSpace(version)
		}
	}
	return s, nil
}

// Ping asks whether the server is there, whatever the breaker says; the breaker learns from it.
func (c *Client) Ping(ctx context.Context) error {
	return c.ask(ctx, func(ctx context.Context) error { return c.rdb.Ping(ctx).Err() })
}

// do asks the server unless the breaker is open. Its errors are ErrUnavailable, or those of a caller who left.
func (c *Client) do(ctx context.Context, f func(context.Context) error) error {
	if !c.admit() {
		return ErrUnavailable
	}
	return c.ask(ctx, f)
}

func (c *Client) ask(ctx context.Context, f func(context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	err := f(bounded)
	switch {
	case err == nil || errors.Is(err, redis.Nil):
		c.answered()
		return nil
	case ctx.Err() != nil: // the caller left, which says nothing about the server
		return ctx.Err()
	}
	c.failed(err)
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// admit lets everybody through while the server answers, and else one in retryAfter.
func (c *Client) admit() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failures < openAfter {
		return true
	}
	now := time.Now()
	if now.Before(c.tryAt) {
		return false
	}
	c.tryAt = now.Add(retryAfter)
	return true
}

func (c *Client) answered() {
	c.mu.Lock()
	back := c.failures >= openAfter
	c.failures = 0
	c.mu.Unlock()
	if back {
		c.log.Info("Redis is back", "server", c.where)
	}
}

func (c *Client) failed(err error) {
	c.mu.Lock()
	c.failures++
	gone := c.failures == openAfter
	c.tryAt = time.Now().Add(retryAfter)
	c.mu.Unlock()
	if gone {
		c.log.Warn("Redis does not answer: each node decides alone until it does", "server", c.where, "error", err)
	}
}

// timedOut says that nothing came in the time, which on a quiet connection is no failure.
func timedOut(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
