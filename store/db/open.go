package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"gorm.io/gorm"
)

// Engine is the program that keeps the rows.
type Engine string

// The engines there are; each names its folder of migrations.
const (
	SQLite     Engine = "sqlite"
	PostgreSQL Engine = "postgres"
)

// Options of Open.
type Options struct {
	// URL of a PostgreSQL database, postgres://user:password@host:5432/name?sslmode=verify-full. Parameters are those of libpq,
	// settings of the server (statement_timeout, …), and pool_max_conns: the connections that a node may hold, 4 to 1000,
	// half of them for transactions; 20. Empty: SQLite at Path.
	URL string
	// Application is what connections to PostgreSQL call themselves there. Empty: mediad, or application_name of the URL.
	Application string
	// Replicas are URLs of its hot standbys. ReadReplica reads from them while Watch runs and they are near the primary.
	Replicas []string
	// Path of the SQLite file. Its folder is made. Beside it lie -wal, -shm and .lock.
	Path string
	// Readers is how many reads of SQLite may run at the same time. 0: 4. More than cores gains nothing; fewer than 2 lets one
	// slow list hold up every other read. For PostgreSQL the URL says it.
	Readers int
	// Log gets slow statements at warn and failed ones at debug (whoever called logs the error itself). nil: none.
	Log *slog.Logger
	// Observe is told of every statement, with placeholders instead of values. nil: nobody.
	Observe func(statement string, took time.Duration, err error)
	// Measure is told how long each statement took: op is select, insert, update, delete or raw. nil: nobody.
	Measure func(op, table string, took time.Duration)
	// Changed is told of rows of users and streams that were changed, once that is stored and before whoever changed them is told so. It must
	// be quick. nil: nobody.
	Changed func(ctx context.Context, rows []Change)
	// Cached is told of each question to what is remembered ("user", "stream"), and whether the answer was known. nil: nobody.
	Cached func(cache string, hit bool)
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
	case o.URL != "" && o.Path != "":
		return errors.New("db: a URL and a path")
	case o.URL == "" && len(o.Replicas) > 0:
		return errors.New("db: replicas of what is no PostgreSQL database")
	case o.URL == "" && o.Path == "":
		return errors.New("db: neither a URL nor a path")
	case o.Readers < 1 || o.Readers > 64:
		return fmt.Errorf("db: %d readers, want 1 to 64", o.Readers)
	}
	return nil
}

// DB is the database. Its methods may be called from any goroutine.
type DB struct {
	engine      Engine
	where       string // the file, or host:port/name
	write, read *gorm.DB
	writes      *sql.DB
	reads       *sql.DB
	log         *slog.Logger
	emitted     chan struct{} // see Emitted
	memory      memory
	tell        func(context.Context, []Change) // may be nil

	// Of PostgreSQL alone.
	url      *postgresURL
	replicas *replicas     // nil without
	turn     chan struct{} // one token; see Tx
}

// Open opens the database; a SQLite file is made if need be. It does not touch the schema: MigrateUp does. The error of a
// database that does not answer is Unavailable.
func Open(ctx context.Context, o Options) (*DB, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	d := &DB{log: o.Log, emitted: make(chan struct{}, 1), memory: newMemory(o.Cached), tell: o.Changed}
	open := d.openSQLite
	if o.URL != "" {
		open = d.openPostgres
	}
	if err := open(ctx, o); err != nil {
		return nil, err
	}
	if err := errors.Join(d.noteChanges(), d.Ping(ctx)); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// handle is gorm's configuration on both engines.
func (o Options) handle() *gorm.Config {
	return &gorm.Config{
		SkipDefaultTransaction: true,
		TranslateError:         true,
		DisableAutomaticPing:   true, // Open asks, within its context
		Logger:                 statementLog{log: o.Log, observe: o.Observe},
	}
}

// Engine is which database it is.
func (d *DB) Engine() Engine { return d.engine }

// Where names the database without its secrets: the path of the file, or host:port/name.
func (d *DB) Where() string { return d.where }

// Ping says whether the database answers; replicas are not asked.
func (d *DB) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, statementLimit)
	defer cancel()
	if err := errors.Join(d.writes.PingContext(ctx), d.reads.PingContext(ctx)); err != nil {
		return fmt.Errorf("db: ping: %w", err)
	}
	return nil
}

// Close waits for running statements; SQLite folds its write-ahead log into the file.
func (d *DB) Close() error {
	var errs []error
	if d.replicas != nil {
		errs = append(errs, d.replicas.close())
	}
	if err := errors.Join(append(errs, d.reads.Close(), d.writes.Close())...); err != nil {
		return fmt.Errorf("db: close: %w", err)
	}
	return nil
}
