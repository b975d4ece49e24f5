package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"
)

// ErrNotFound is returned, wrapped, where one row is asked for and there is none.
var ErrNotFound = errors.New("db: not found")

// ErrClosed is returned, wrapped together with ErrNotFound, where an account is asked for that nobody has any more.
var ErrClosed = errors.New("db: the account is closed")

// ErrDuplicate is returned, wrapped, where a unique value is taken.
var ErrDuplicate = errors.New("db: duplicate")

// ErrReference is returned, wrapped, where a row refers to one that is not there.
var ErrReference = errors.New("db: what a row refers to is not there")

// ErrInvalid is returned, wrapped, for text that PostgreSQL cannot hold: with a NUL in it, or not of UTF-8.
var ErrInvalid = errors.New("db: text that cannot be stored")

// ErrUnknownOutcome is returned, wrapped, where the connection was lost while a transaction was being committed: it is stored
// whole, or not at all, and only reading tells which. It is Unavailable.
var ErrUnknownOutcome = errors.New("db: connection lost at commit")

// Unavailable says whether err means that the database cannot be asked now, rather than that the answer is no.
func Unavailable(err error) bool {
	if err == nil {
		return false
	}
	if errors.Is(err, sql.ErrConnDone) || errors.Is(err, sql.ErrTxDone) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, ErrUnknownOutcome) ||
		strings.Contains(err.Error(), "sql: database is closed") { // that one has no name
		return true
	}
	var coded interface{ Code() int }
	if errors.As(err, &coded) {
		switch coded.Code() & 0xff { // the primary result code
		case 5, 6, 7, 8, 10, 13, 14, 26: // BUSY LOCKED NOMEM READONLY IOERR FULL CANTOPEN NOTADB
			return true
		}
		return false
	}
	return gone(err) || contended(err)
}

// awayCodes are the SQLSTATEs, or their classes, with which PostgreSQL says that it does not serve now: connection
// exceptions, insufficient resources, limits of the server, operator intervention (a shutdown, a start that is not over, a
// statement that took too long), system errors; a password or a role that is wrong while somebody changes it; and a server
// that takes no writes, because it is a primary no more.
var awayCodes = []string{"08", "53", "54", "57", "58", "28", "3D000", "25006", "55P03"}

// gone says whether err means that the connection is lost, could not be made, or leads to a server that does not serve.
func gone(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return slices.ContainsFunc(awayCodes, func(code string) bool { return strings.HasPrefix(pg.Code, code) })
	}
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) || errors.Is(err, driver.ErrBadConn) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		strings.Contains(err.Error(), "conn closed") // pgconn's, which has no name
}

// contended says whether a transaction lost against others and would succeed if it ran again: SQLSTATE 40001
// serialization_failure, 40P01 deadlock_detected; or a prepared statement that another node's migration has made stale.
func contended(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "40001" || pg.Code == "40P01" || stale(pg))
}

// stale says whether a table has changed under a prepared statement; the driver has forgotten that statement then.
func stale(pg *pgconn.PgError) bool {
	return pg.Code == "0A000" && strings.Contains(pg.Message, "cached plan")
}

// unstorable says whether PostgreSQL refused a value for what no text of it can hold: 22021 character_not_in_repertoire.
func unstorable(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "22021"
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
	case unstorable(err):
		return fmt.Errorf("db: %s: %w", op, ErrInvalid)
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

// lost says whether a connection that was there has ended, so that another one may do.
func lost(err error) bool {
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) {
		return false
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "57P01" || pg.Code == "57P02" // admin_shutdown, crash_shutdown
	}
	return !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) && gone(err)
}
