package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"gorm.io/gorm"
)

// ErrNotFound is returned, wrapped, where one row is asked for and there is none.
var ErrNotFound = errors.New("db: not found")

// ErrReference is returned, wrapped, where a row refers to one that is not there.
var ErrReference = errors.New("db: what a row refers to is not there")

// ErrDuplicate is returned, wrapped, where a unique value is taken.
var ErrDuplicate = errors.New("db: duplicate")

// Queries has every statement as a method. It lives no longer than the Read or Tx that gave it out.
type Queries struct{ g *gorm.DB }

// Read gives queries that see what is committed; each statement is on its own. They cannot write.
func (d *DB) Read(ctx context.Context) Queries { return Queries{d.read.WithContext(ctx)} }

// Tx runs fn in one transaction: what it wrote is stored when Tx returns nil, and nothing of it otherwise. Transactions
// run one after the other, so what fn reads through q stays true until the end of fn.
func (d *DB) Tx(ctx context.Context, fn func(q Queries) error) error {
	err := d.write.WithContext(ctx).Transaction(func(g *gorm.DB) error { return fn(Queries{g}) })
	if err != nil && ctx.Err() != nil {
		// A transaction cut short by its context often reports only that it was rolled back.
		err = errors.Join(ctx.Err(), err)
	}
	return err
}

// Unavailable says whether err means that the database cannot be asked now, rather than that the answer is no.
func Unavailable(err error) bool {
	if err == nil {
		return false
	}
	if errors.Is(err, sql.ErrConnDone) || errors.Is(err, sql.ErrTxDone) || errors.Is(err, context.DeadlineExceeded) ||
		strings.Contains(err.Error(), "sql: database is closed") { // that one has no name
		return true
	}
	var coded interface{ Code() int }
	if !errors.As(err, &coded) {
		return false
	}
	switch coded.Code() & 0xff { // the primary result code
	case 5, 6, 7, 8, 10, 13, 14, 26: // BUSY LOCKED NOMEM READONLY IOERR FULL CANTOPEN NOTADB
		return true
	}
	return false
}

// wrap adds what was attempted, and says in the words of this package what gorm found.
func wrap(op string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, gorm.ErrRecordNotFound):
		return fmt.Errorf("db: %s: %w", op, ErrNotFound)
	case errors.Is(err, gorm.ErrDuplicatedKey):
		return fmt.Errorf("db: %s: %w", op, ErrDuplicate)
	case errors.Is(err, gorm.ErrForeignKeyViolated):
		return fmt.Errorf("db: %s: %w", op, ErrReference)
	}
	return fmt.Errorf("db: %s: %w", op, err)
}

// one turns "no row was changed" into ErrNotFound.
func one(op string, result *gorm.DB) error {
	if result.Error == nil && result.RowsAffected == 0 {
		return fmt.Errorf("db: %s: %w", op, ErrNotFound)
	}
	return wrap(op, result.Error)
}
