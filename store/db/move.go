package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// ErrMoving is returned, wrapped, for a database into which rows are being moved, or were until somebody stopped it: it has a part
// of a site.
var ErrMoving = errors.New("db: rows are being moved into the database, and not all of them have come")

// moving is the table that stands in a database while rows are moved into it. It is in no migration.
const moving = "mediad_moving"

// Move is what is noted of a move of rows into the database.
type Move struct {
	// Source says what is moved, so that another source is not taken for the same.
	Source string
	// Stage is how far it has come, in words of whoever moves.
	Stage string
}

// Moving tells of a move that has begun and not ended; false: there is none.
func (d *DB) Moving(ctx context.Context) (Move, bool, error) {
	var m Move
	if there, err := d.hasTable(ctx, moving); err != nil || !there {
		return m, false, err
	}
	err := d.writes.QueryRowContext(ctx, "SELECT source, stage FROM "+moving).Scan(&m.Source, &m.Stage)
	if errors.Is(err, sql.ErrNoRows) {
		return m, false, nil
	}
	if err != nil {
		return m, false, fmt.Errorf("db: moving: %w", err)
	}
	return m, true, nil
}

// SetMoving notes that a move has begun, or how far it has come. Until EndMoving no server starts on the database: MigrateUp
// returns ErrMoving.
func (d *DB) SetMoving(ctx context.Context, m Move) error {
	return d.inTx(ctx, "set moving",
		statement{"CREATE TABLE IF NOT EXISTS " + moving + " (source TEXT NOT NULL, stage TEXT NOT NULL)", nil},
		statement{"DELETE FROM " + moving, nil},
		statement{"INSERT INTO " + moving + " (source, stage) VALUES ($1, $2)", []any{m.Source, m.Stage}})
}

// EndMoving notes that the move has ended, and all of it has come.
func (d *DB) EndMoving(ctx context.Context) error {
	return d.inTx(ctx, "end moving", statement{"DROP TABLE IF EXISTS " + moving, nil})
}

type statement struct {
	text string
	args []any
}

func (d *DB) inTx(ctx context.Context, op string, statements ...statement) error {
	tx, err := d.writes.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("db: %s: %w", op, err)
	}
	for _, s := range statements {
		if _, err := tx.ExecContext(ctx, s.text, s.args...); err != nil {
			return errors.Join(fmt.Errorf("db: %s: %w", op, err), tx.Rollback())
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("db: %s: %w", op, err)
	}
	return nil
}

func (d *DB) hasTable(ctx context.Context, name string) (bool, error) {
	question := "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = $1"
	if d.engine == PostgreSQL {
		question = "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace AND relname = $1"
	}
	var n int
	if err := d.writes.QueryRowContext(ctx, question, name).Scan(&n); err != nil {
		return false, fmt.Errorf("db: look for table %s: %w", name, err)
	}
	return n > 0, nil
}

// Schema is the number of the newest migration that the database has; 0: none.
func (d *DB) Schema(ctx context.Context) (int64, error) {
	const versions = "goose_db_version"
	if there, err := d.hasTable(ctx, versions); err != nil || !there {
		return 0, err
	}
	var version int64
	if err := d.writes.QueryRowContext(ctx, "SELECT COALESCE(MAX(version_id), 0) FROM "+versions).Scan(&version); err != nil {
		return 0, fmt.Errorf("db: schema: %w", err)
	}
	return version, nil
}

// KnownSchema is the number of the newest migration that this program has.
func (d *DB) KnownSchema() (int64, error) {
	p, err := d.provider(d.writes)
	if err != nil {
		return 0, err
	}
	all := p.ListSources()
	return all[len(all)-1].Version, nil
}

// MigrateTo applies what is pending up to a number, also while rows are being moved in.
func (d *DB) MigrateTo(ctx context.Context, version int64) error {
	pool, unlock, err := d.migrationPool(ctx)
	if err != nil {
		return fmt.Errorf("db: migrate: %w", err)
	}
	defer unlock()
	p, err := d.provider(pool)
	if err == nil {
		_, err = p.UpTo(ctx, version)
	}
	if err != nil {
		return fmt.Errorf("db: migrate to %d: %w", version, err)
	}
	return nil
}

// Bulk is a pool of two connections for whoever moves whole tables: no statement has a deadline but the caller's. SQLite gives its writer.
func (d *DB) Bulk() (pool *sql.DB, done func() error) {
	if d.engine == SQLite {
		return d.writes, func() error { return nil }
	}
	c := d.url.primary()
	c.RuntimeParams["statement_timeout"] = "0"
	c.RuntimeParams["idle_in_transaction_session_timeout"] = "0" // between two pages of a table media may be read
	pool = openPool(c, 2)
	return pool, pool.Close
}

// Snapshot begins a transaction that sees the database as it is now, for as long as it lasts, while others go on writing. It cannot
// write. done ends it.
func (d *DB) Snapshot(ctx context.Context) (tx *sql.Tx, done func() error, err error) {
	if d.engine == SQLite {
		tx, err = d.reads.BeginTx(ctx, nil) // its connections only read
		if err != nil {
			return nil, nil, fmt.Errorf("db: snapshot: %w", err)
		}
		var n int
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master").Scan(&n); err != nil { // it begins with the first read
			return nil, nil, errors.Join(fmt.Errorf("db: snapshot: %w", err), tx.Rollback())
		}
		return tx, func() error { return ended(tx) }, nil
	}
	pool, closePool := d.Bulk()
	tx, err = pool.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err == nil {
		_, err = tx.ExecContext(ctx, "SELECT 1")
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("db: snapshot: %w", err), closePool())
	}
	return tx, func() error { return errors.Join(ended(tx), closePool()) }, nil
}

// ended ends a transaction that only read. Where its context or its connection has ended before, it has ended too.
func ended(tx *sql.Tx) error {
	if err := tx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) && !Unavailable(err) && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("db: end of a snapshot: %w", err)
	}
	return nil
}

// Others is how many connections the database has of mediads that serve. Of SQLite nobody knows. Who asks opens it as another
// Options.Application.
func (d *DB) Others(ctx context.Context) (int, error) {
	if d.engine == SQLite {
		return 0, nil
	}
	var n int
	const question = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1"
	if err := d.writes.QueryRowContext(ctx, question, application).Scan(&n); err != nil {
		return 0, fmt.Errorf("db: others: %w", err)
	}
	return n, nil
}
