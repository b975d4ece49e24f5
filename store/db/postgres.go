package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
)

const (
	// statementLimit bounds a statement whose caller set no nearer deadline; the server is told the same, for when the
	// client is gone. Ours take milliseconds.
	statementLimit = 30 * time.Second
	// connectLimit bounds the opening of one connection, unless the URL has connect_timeout.
	connectLimit = 5 * time.Second
	// idleInTx is how long a transaction may hold its locks and do nothing: the node that began it hangs, or is gone.
	idleInTx = 60 * time.Second
	// cancelPatience is how long after a cancel request the server's answer is awaited before the connection is given up.
	cancelPatience = time.Second
	// connLife and connIdle let pools find out about a moved primary and shrink again.
	connLife, connIdle = 30 * time.Minute, 5 * time.Minute
)

func (d *DB) openPostgres(_ context.Context, o Options) error {
	u, err := parseURL(o.URL)
	if err != nil {
		return fmt.Errorf("db: the URL %w", err)
	}
	d.engine, d.url, d.where = PostgreSQL, u, u.where()
	if o.Application != "" {
		u.config.RuntimeParams["application_name"] = o.Application
	}
	d.turn = make(chan struct{}, 1)
	// Two pools, so that no crowd of readers keeps transactions waiting, and the other way round.
	d.writes, d.reads = openPool(u.primary(), u.conns), openPool(readOnly(u.primary()), u.conns)
	d.write, err = handleOf(o, d.writes)
	if err == nil {
		d.read, err = handleOf(o, readPool{d.reads})
	}
	if err == nil && len(o.Replicas) > 0 {
		d.replicas, err = openReplicas(o, readPool{d.reads})
	}
	if err != nil {
		return errors.Join(err, d.reads.Close(), d.writes.Close())
	}
	return nil
}

func readOnly(c *pgx.ConnConfig) *pgx.ConnConfig {
	c.RuntimeParams["default_transaction_read_only"] = "on"
	return c
}

// primary is a configuration for connections to the server that takes writes.
func (u *postgresURL) primary() *pgx.ConnConfig {
	c := u.config.Copy()
	if c.ValidateConnect == nil { // the URL has no target_session_attrs
		c.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsPrimary
	}
	return c
}

// application is what connections call themselves on the server, unless Options or the URL say otherwise.
const application = "mediad"

// settle sets what holds for every connection.
func settle(c *pgx.ConnConfig) {
	set := func(name string, limit time.Duration) {
		if _, ok := c.RuntimeParams[name]; !ok {
			c.RuntimeParams[name] = fmt.Sprint(limit.Milliseconds())
		}
	}
	set("statement_timeout", statementLimit)
	set("idle_in_transaction_session_timeout", idleInTx)
	if _, ok := c.RuntimeParams["application_name"]; !ok {
		c.RuntimeParams["application_name"] = application
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = connectLimit
	}
	c.DialFunc = (&net.Dialer{KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3,
	}}).DialContext
	// A caller who leaves has his statement cancelled and the connection kept; one that does not answer is closed.
	c.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: cancelPatience}
	}
}

func openPool(c *pgx.ConnConfig, conns int) *sql.DB {
	pool := stdlib.OpenDB(*c)
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	pool.SetConnMaxLifetime(connLife)
	pool.SetConnMaxIdleTime(connIdle)
	return pool
}

// handleOf gives a pool gorm's face, with a deadline on every statement.
func handleOf(o Options, pool gorm.ConnPool) (*gorm.DB, error) {
	g, err := gorm.Open(postgres.New(postgres.Config{Conn: pool}), o.handle())
	if err == nil {
		err = errors.Join(boundStatements(g), measureStatements(g, o.Measure))
	}
	if err != nil {
		return nil, fmt.Errorf("db: open: %w", err)
	}
	return g, nil
}

// readPool runs a read once more where the first went down with its connection, as when the server is restarted, or met
// a statement that a migration has made stale.
type readPool struct{ *sql.DB }

func (p readPool) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	rows, err := p.DB.QueryContext(ctx, query, args...)
	var pg *pgconn.PgError
	if err != nil && (lost(err) || errors.As(err, &pg) && stale(pg)) {
		return p.DB.QueryContext(ctx, query, args...)
	}
	return rows, err
}
