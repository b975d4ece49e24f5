package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/glebarez/sqlite"
	"gorm.io/gorm"
)

// Options of Open.
type Options struct {
	// Path of the SQLite file. Its folder is made. Beside it lie -wal, -shm and .lock.
	Path string
	// Readers is how many reads may run at the same time. 0: 4. More than cores gains nothing; fewer than 2 lets one
	// slow list hold up every other read.
	Readers int
	// Log gets slow statements at warn and failed ones at debug (whoever called logs the error itself). nil: none.
	Log *slog.Logger
	// Observe is told of every statement, with placeholders instead of values. nil: nobody.
	Observe func(statement string, took time.Duration, err error)
}

func (o Options) withDefaults() Options {
	if o.Readers == 0 {
		o.Readers = 4
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

func (o Options) validate() error {
	switch {
	case o.Path == "":
		return errors.New("db: no path")
	case o.Readers < 1 || o.Readers > 64:
		return fmt.Errorf("db: %d readers, want 1 to 64", o.Readers)
	}
	return nil
}

// DB is the database. Its methods may be called from any goroutine.
type DB struct {
	path         string
	write, read  *gorm.DB
	writes       *sql.DB
	reads        *sql.DB
	migrationLog *slog.Logger
}

// Open opens the file, making it if need be. It does not touch the schema: MigrateUp does.
func Open(ctx context.Context, o Options) (*DB, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	if err := touch(o.Path); err != nil {
		return nil, fmt.Errorf("db: %w", err)
	}
	unlock, err := lock(ctx, o.Path)
	if err != nil {
		return nil, fmt.Errorf("db: lock %s: %w", o.Path, err)
	}
	defer unlock()
	d := &DB{path: o.Path, migrationLog: o.Log}
	// Taking the write lock at BEGIN makes a second process wait for it, where a later upgrade could only fail.
	if d.write, d.writes, err = connect(o, "&_txlock=immediate", 1); err != nil {
		return nil, err
	}
	if d.read, d.reads, err = connect(o, "&_pragma=query_only(1)", o.Readers); err != nil {
		return nil, errors.Join(err, d.writes.Close())
	}
	if err := d.Ping(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
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

func connect(o Options, extra string, conns int) (*gorm.DB, *sql.DB, error) {
	file := url.URL{Scheme: "file", Opaque: (&url.URL{Path: o.Path}).EscapedPath(), RawQuery: pragmas + extra}
	g, err := gorm.Open(sqlite.Open(file.String()), &gorm.Config{
		SkipDefaultTransaction: true,
		TranslateError:         true,
		Logger:                 statementLog{log: o.Log, observe: o.Observe},
	})
	if err != nil {
		return nil, nil, fmt.Errorf("db: open %s: %w", o.Path, err)
	}
	pool, err := g.DB()
	if err != nil {
		return nil, nil, fmt.Errorf("db: open: %w", err)
	}
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	return g, pool, nil
}

// Ping says whether the database answers reads.
func (d *DB) Ping(ctx context.Context) error {
	if err := errors.Join(d.writes.PingContext(ctx), d.reads.PingContext(ctx)); err != nil {
		return fmt.Errorf("db: ping: %w", err)
	}
	return nil
}

// Path is the file.
func (d *DB) Path() string { return d.path }

// Close waits for running statements and folds the write-ahead log into the file.
func (d *DB) Close() error {
	if err := errors.Join(d.reads.Close(), d.writes.Close()); err != nil {
		return fmt.Errorf("db: close: %w", err)
	}
	return nil
}
