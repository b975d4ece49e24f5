package db

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
)

// ErrNoChannels is returned where the engine is not PostgreSQL.
var ErrNoChannels = errors.New("db: the database has no channels")

// Listener is a connection on which notices of a channel come. Its methods are called from one goroutine.
type Listener struct{ conn *pgx.Conn }

// Listen opens one. The caller closes it.
func (d *DB) Listen(ctx context.Context, channel string) (*Listener, error) {
	if d.engine != PostgreSQL {
		return nil, ErrNoChannels
	}
	c := d.url.primary()
	// A wait that is over cancels nothing on the server, where a late cancel would hit what is asked next.
	c.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.DeadlineContextWatcherHandler{Conn: conn.Conn()}
	}
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("db: listen: %w", err)
	}
	l := &Listener{conn}
	if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{channel}.Sanitize()); err != nil {
		l.Close()
		return nil, fmt.Errorf("db: listen: %w", err)
	}
	return l, nil
}

// Next waits so long for a notice; false: none came.
func (l *Listener) Next(ctx context.Context, wait time.Duration) (payload string, ok bool, err error) {
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	got, err := l.conn.WaitForNotification(waiting)
	switch {
	case err == nil:
		return got.Payload, true, nil
	case ctx.Err() != nil:
		return "", false, ctx.Err()
	case waiting.Err() != nil && !l.conn.IsClosed():
		return "", false, nil
	}
	return "", false, fmt.Errorf("db: listen: %w", err)
}

// Ping says whether the connection is there still.
func (l *Listener) Ping(ctx context.Context) error { return l.conn.Ping(ctx) }

// Close closes the connection.
func (l *Listener) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), cancelPatience)
	defer cancel()
	_ = l.conn.Close(ctx)
}
