package transfer

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"mediad/store/db"
)

const (
	// pageRows is how many rows are read with one statement.
	pageRows = 1000
	// batchRows and batchBytes bound what is stored in one transaction. Parameters of a statement are bounded too: see maxValues.
	batchRows  = 500
	batchBytes = 4 << 20
	// maxValues is below SQLite's 32 766 and PostgreSQL's 65 535 values of a statement.
	maxValues = 30000
)

// Source has the rows of a site: a database, or a backup.
type Source interface {
	// Schema describes what there is.
	Schema() *Schema
	// Rows calls fn with the rows of a table in the order of its key, from behind a key on (nil: from the first), until fn fails.
	Rows(ctx context.Context, t *Table, after Row, fn func(Row) error) error
	// Counter is the highest number that the table's counter has given.
	Counter(ctx context.Context, t *Table) (int64, error)
}

// Snapshot is a database as it was at one moment.
type Snapshot struct {
	schema *Schema
	q      querier
	done   func() error
}

var _ Source = (*Snapshot)(nil)

// Open takes a snapshot of a database. Writers are not kept waiting by it.
func Open(ctx context.Context, d *db.DB) (*Snapshot, error) {
	tx, done, err := d.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	s, err := Describe(ctx, tx, d.Engine())
	if err != nil {
		return nil, errors.Join(err, done())
	}
	return &Snapshot{schema: s, q: tx, done: done}, nil
}

// Close lets go of it.
func (s *Snapshot) Close() error { return s.done() }

// Schema implements Source.
func (s *Snapshot) Schema() *Schema { return s.schema }

// Rows implements Source: a page at a time.
func (s *Snapshot) Rows(ctx context.Context, t *Table, after Row, fn func(Row) error) error {
	engine := s.schema.engine
	for {
		var args []any
		for i, at := range t.Key {
			if after != nil {
				args = append(args, t.Columns[at].toEngine(engine, after[i]))
			}
		}
		n := 0
		rows, err := s.q.QueryContext(ctx, t.selectPage(after != nil), args...)
		if err != nil {
			return fmt.Errorf("transfer: read %s: %w", t.Name, err)
		}
		for rows.Next() && err == nil {
			var r Row
			if r, err = t.scan(rows); err == nil {
				n++
				after = t.KeyOf(r)
				err = fn(r)
			}
		}
		if err = errors.Join(err, rows.Err(), rows.Close()); err != nil {
			return fmt.Errorf("transfer: read %s: %w", t.Name, err)
		}
		if n < pageRows {
			return nil
		}
	}
}

// selectPage is the statement for a page: all rows, or those behind a key.
func (t *Table) selectPage(behind bool) string {
	var columns, key, places []string
	for _, c := range t.Columns {
		columns = append(columns, fmt.Sprintf(c.read, quote(c.Name)))
	}
	for i, at := range t.Key {
		c := t.Columns[at]
		key = append(key, quote(c.Name)+c.collate)
		places = append(places, fmt.Sprintf(c.write, fmt.Sprintf("$%d", i+1)))
	}
	where := ""
	if behind {
		where = fmt.Sprintf(" WHERE (%s) > (%s)", strings.Join(key, ", "), strings.Join(places, ", "))
	}
	return fmt.Sprintf("SELECT %s FROM %s%s ORDER BY %s LIMIT %d", strings.Join(columns, ", "), quote(t.Name), where, strings.Join(key, ", "), pageRows)
}

func (t *Table) scan(rows *sql.Rows) (Row, error) {
	r, into := make(Row, len(t.Columns)), make([]any, len(t.Columns))
	for i := range r {
		into[i] = &r[i]
	}
	if err := rows.Scan(into...); err != nil {
		return nil, err
	}
	for i := range r {
		var err error
		if r[i], err = t.Columns[i].fromEngine(r[i]); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// KeyOf is the part of a row that tells it from all others.
func (t *Table) KeyOf(r Row) Row {
	key := make(Row, len(t.Key))
	for i, at := range t.Key {
		key[i] = r[at]
	}
	return key
}

// Counter implements Source.
func (s *Snapshot) Counter(ctx context.Context, t *Table) (int64, error) {
	return counter(ctx, s.q, s.schema.engine, t)
}

func counter(ctx context.Context, q querier, engine db.Engine, t *Table) (int64, error) {
	if t.Counter == "" {
		return 0, nil
	}
	question, args := "SELECT seq FROM sqlite_sequence WHERE name = $1", []any{t.Name}
	if engine == db.PostgreSQL {
		var sequence string
		err := ask(ctx, q, "SELECT pg_get_serial_sequence(quote_ident($1), $2)", []any{t.Name, t.Counter}, func(scan func(...any) error) error { return scan(&sequence) })
		if err != nil {
			return 0, fmt.Errorf("transfer: counter of %s: %w", t.Name, err)
		}
		question, args = "SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM "+sequence, nil
	}
	var n int64
	if err := ask(ctx, q, question, args, func(scan func(...any) error) error { return scan(&n) }); err != nil {
		return 0, fmt.Errorf("transfer: counter of %s: %w", t.Name, err)
	}
	return n, nil
}
