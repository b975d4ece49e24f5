package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/glebarez/sqlite"
	"gorm.io/gorm"
)

func (d *DB) openSQLite(ctx context.Context, o Options) error {
	if err := touch(o.Path); err != nil {
		return fmt.Errorf("db: %w", err)
	}
	unlock, err := lock(ctx, o.Path)
	if err != nil {
		return fmt.Errorf("db: lock %s: %w", o.Path, err)
	}
	defer unlock()
	d.engine, d.where = SQLite, o.Path
	// Taking the write lock at BEGIN makes a second process wait for it, where a later upgrade could only fail.
	if d.write, d.writes, err = connectSQLite(ctx, o, "&_txlock=immediate", 1); err != nil {
		return err
	}
	if d.read, d.reads, err = connectSQLite(ctx, o, "&_pragma=query_only(1)", o.Readers); err != nil {
		return errors.Join(err, d.writes.Close())
	}
	return nil
}

// touch makes the file for the owner alone before SQLite would with the usual mode; -wal and -shm inherit it.
func touch(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// pragmas: wait up to 5 s for another process; readers beside a writer; foreign keys as declared; a commit survives a
// crash of the process at once and one of the machine up to the last checkpoint, never corrupt.
const pragmas = "_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=foreign_keys(1)&_pragma=synchronous(NORMAL)"

func connectSQLite(ctx context.Context, o Options, extra string, conns int) (*gorm.DB, *sql.DB, error) {
	file := url.URL{Scheme: "file", Opaque: (&url.URL{Path: o.Path}).EscapedPath(), RawQuery: pragmas + extra}
	g, err := gorm.Open(sqlite.Open(file.String()), o.handle())
	if err != nil {
		return nil, nil, fmt.Errorf("db: open %s: %w", o.Path, err)
	}
	if err := measureStatements(g, o.Measure); err != nil {
		return nil, nil, fmt.Errorf("db: open %s: %w", o.Path, err)
	}
	pool, err := g.DB()
	if err != nil {
		return nil, nil, fmt.Errorf("db: open: %w", err)
	}
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	if err := pool.PingContext(ctx); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("db: open %s: %w", o.Path, err), pool.Close())
	}
	return g, pool, nil
}
