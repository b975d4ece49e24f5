package transfer

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"mediad/store/db"
)

// ErrNotEmpty is returned, wrapped, where rows would be moved into a database that has some already, and not of a move that was begun.
var ErrNotEmpty = errors.New("transfer: the target is not empty")

// ErrDiffers is returned, wrapped, where not the same rows are on both sides.
var ErrDiffers = errors.New("transfer: source and target differ")

// Options of Load.
type Options struct {
	// Name says what the source is, in words that stay the same when the move is begun again: another name is another source.
	Name string
	// Schema is the source's: the number of its newest migration. The target gets the same tables, and the newer ones once it has all rows.
	Schema int64
	// Progress is told after each batch how many rows of a table this call has stored. nil: nobody.
	Progress func(table string, rows int64)
	// AfterRows is called once all rows are there and found equal, and the target's schema is the newest; again where the move goes on after
	// that. nil: there is nothing to do.
	AfterRows func(ctx context.Context) error
}

// The stages of a move.
const (
	stageRows   = "rows"   // rows are coming
	stageStored = "stored" // all are there and were found equal
)

// Result of a Load.
type Result struct {
	Tables []TableResult
	// Resumed: a move that was begun before went on.
	Resumed bool
}

// TableResult tells of one table.
type TableResult struct {
	Name   string
	Stored int64 // by this call
	Sum    Sum   // of the source and of the target
}

// Load moves all rows into a database without any, and verifies them. Where it is stopped, be it by a kill, the next call goes on. Until it has
// returned nil no server starts on the target.
func Load(ctx context.Context, from Source, to *db.DB, o Options) (Result, error) {
	var out Result
	stage, resumed, err := begin(ctx, from, to, o)
	if err != nil {
		return out, err
	}
	out.Resumed = resumed
	pool, done := to.Bulk()
	defer func() { _ = done() }()
	l := loader{from: from, pool: pool, o: o, engine: to.Engine()}
	if stage == stageRows {
		if l.schema, err = Describe(ctx, pool, to.Engine()); err != nil {
			return out, err
		}
		if out.Tables, err = l.tables(ctx); err != nil {
			return out, err
		}
		if err := to.SetMoving(ctx, db.Move{Source: o.Name, Stage: stageStored}); err != nil {
			return out, err
		}
	}
	newest, err := to.KnownSchema()
	if err == nil {
		err = to.MigrateTo(ctx, newest)
	}
	if err == nil && o.AfterRows != nil {
		err = o.AfterRows(ctx)
	}
	if err != nil {
		return out, err
	}
	return out, to.EndMoving(ctx)
}

// Check says whether Load would begin: nil, or why not. It changes nothing.
func Check(ctx context.Context, to *db.DB, o Options) error {
	_, _, err := look(ctx, to, o)
	return err
}

// look says how far a move into the database has come; "": there is none, and the database is empty.
func look(ctx context.Context, to *db.DB, o Options) (stage string, schema int64, err error) {
	newest, err := to.KnownSchema()
	if err != nil {
		return "", 0, err
	}
	if schema, err = to.Schema(ctx); err != nil {
		return "", 0, err
	}
	if o.Schema > newest || schema > newest {
		return "", 0, fmt.Errorf("%w: schema %d of the source, %d of the target, known up to %d", db.ErrNewer, o.Schema, schema, newest)
	}
	m, there, err := to.Moving(ctx)
	switch {
	case err != nil:
		return "", 0, err
	case there && m.Source != o.Name:
		return "", 0, fmt.Errorf("%w: a move of another source was begun into it: %s", ErrNotEmpty, m.Source)
	case there:
		return m.Stage, schema, nil
	case schema > o.Schema:
		return "", 0, fmt.Errorf("%w: it has schema %d, newer than the source's, %d", ErrNotEmpty, schema, o.Schema)
	}
	pool, done := to.Bulk()
	defer func() { _ = done() }()
	s, err := Describe(ctx, pool, to.Engine())
	if err != nil {
		return "", 0, err
	}
	for i := range s.Tables {
		t := &s.Tables[i]
		some := false
		err := ask(ctx, pool, "SELECT 1 FROM "+quote(t.Name)+" LIMIT 1", nil, func(func(...any) error) error {
			some = true
			return nil
		})
		if err != nil {
			return "", 0, fmt.Errorf("transfer: %w", err)
		}
		if some {
			return "", 0, fmt.Errorf("%w: there are rows in %s", ErrNotEmpty, t.Name)
		}
	}
	return "", schema, nil
}

// begin notes that rows are coming, and makes the tables for them.
func begin(ctx context.Context, from Source, to *db.DB, o Options) (stage string, resumed bool, err error) {
	stage, _, err = look(ctx, to, o)
	if err != nil || stage == stageStored {
		return stage, true, err
	}
	resumed = stage != ""
	if !resumed {
		if err := to.SetMoving(ctx, db.Move{Source: o.Name, Stage: stageRows}); err != nil {
			return "", false, err
		}
	}
	if err := to.MigrateTo(ctx, o.Schema); err != nil {
		return "", false, err
	}
	pool, done := to.Bulk()
	defer func() { _ = done() }()
	s, err := Describe(ctx, pool, to.Engine())
	if err != nil {
		return "", false, err
	}
	for _, t := range from.Schema().Tables {
		at, ok := s.Table(t.Name)
		if !ok {
			return "", false, fmt.Errorf("transfer: the target has no table %s", t.Name)
		}
		if err := at.Fits(&t); err != nil {
			return "", false, err
		}
	}
	if len(s.Tables) != len(from.Schema().Tables) {
		return "", false, fmt.Errorf("transfer: the target has %d tables, the source %d", len(s.Tables), len(from.Schema().Tables))
	}
	return stageRows, resumed, nil
}

type loader struct {
	from   Source
	schema *Schema
	pool   *sql.DB
	engine db.Engine
	o      Options
}

// tables moves and verifies one table after the other, in the target's order, which its foreign keys want.
func (l *loader) tables(ctx context.Context) (out []TableResult, err error) {
	var differ []error
	for i := range l.schema.Tables {
		t := &l.schema.Tables[i]
		source, _ := l.from.Schema().Table(t.Name)
		one, err := l.table(ctx, source, t)
		if err != nil {
			return out, err
		}
		there, err := SumOf(ctx, &Snapshot{schema: l.schema, q: l.pool}, t, nil)
		if err != nil {
			return out, err
		}
		out = append(out, one)
		if there != one.Sum {
			differ = append(differ, errors.New(Difference{t.Name, one.Sum, there}.String()))
		}
	}
	if len(differ) > 0 {
		return out, fmt.Errorf("%w: %w", ErrDiffers, errors.Join(differ...))
	}
	return out, nil
}

// table moves what the target does not have of a table. All rows of the source are read, for the sum.
func (l *loader) table(ctx context.Context, source, t *Table) (TableResult, error) {
	out := TableResult{Name: t.Name}
	last, err := l.last(ctx, t)
	if err != nil {
		return out, err
	}
	sum := NewTally(t)
	b := batch{table: t, loader: l}
	there := last != nil // the source's rows up to the last one of the target
	err = l.from.Rows(ctx, source, nil, func(r Row) error {
		sum.Add(r)
		if there {
			there = !t.KeyOf(r).Equal(last)
			return nil
		}
		stored, err := b.add(ctx, r)
		out.Stored += stored
		return err
	})
	if err == nil {
		var stored int64
		stored, err = b.store(ctx)
		out.Stored += stored
	}
	if err == nil && there {
		err = fmt.Errorf("%w: %s has rows at the target that the source has not", ErrDiffers, t.Name)
	}
	if err != nil {
		return out, err
	}
	out.Sum = sum.Sum()
	return out, l.count(ctx, source, t)
}

// last is the highest key at the target; nil: it has no row.
func (l *loader) last(ctx context.Context, t *Table) (Row, error) {
	var order []string
	for _, at := range t.Key {
		c := t.Columns[at]
		order = append(order, quote(c.Name)+c.collate+" DESC")
	}
	var columns []string
	for _, c := range t.Columns {
		columns = append(columns, fmt.Sprintf(c.read, quote(c.Name)))
	}
	question := fmt.Sprintf("SELECT %s FROM %s ORDER BY %s LIMIT 1", strings.Join(columns, ", "), quote(t.Name), strings.Join(order, ", "))
	rows, err := l.pool.QueryContext(ctx, question)
	if err != nil {
		return nil, fmt.Errorf("transfer: last of %s: %w", t.Name, err)
	}
	var key Row
	if rows.Next() {
		var r Row
		if r, err = t.scan(rows); err == nil {
			key = t.KeyOf(r)
		}
	}
	return key, errors.Join(err, rows.Err(), rows.Close())
}

// count lets the target's counter go on behind the source's.
func (l *loader) count(ctx context.Context, source, t *Table) error {
	if t.Counter == "" {
		return nil
	}
	n, err := l.from.Counter(ctx, source)
	if err != nil || n == 0 {
		return err
	}
	if l.engine == db.PostgreSQL {
		_, err = l.pool.ExecContext(ctx, "SELECT setval(pg_get_serial_sequence(quote_ident($1), $2), $3)", t.Name, t.Counter, n)
	} else if _, err = l.pool.ExecContext(ctx, "DELETE FROM sqlite_sequence WHERE name = $1", t.Name); err == nil {
		_, err = l.pool.ExecContext(ctx, "INSERT INTO sqlite_sequence (name, seq) VALUES ($1, $2)", t.Name, n)
	}
	if err != nil {
		return fmt.Errorf("transfer: counter of %s: %w", t.Name, err)
	}
	return nil
}

// batch gathers rows for one transaction.
type batch struct {
	table  *Table
	loader *loader
	rows   []Row
	bytes  int
	stored int64
}

// add takes a row, and stores those that it has when they are enough.
func (b *batch) add(ctx context.Context, r Row) (stored int64, err error) {
	b.rows = append(b.rows, r)
	for _, v := range r {
		switch v := v.(type) {
		case string:
			b.bytes += len(v)
		case []byte:
			b.bytes += len(v)
		}
	}
	if len(b.rows) >= min(batchRows, maxValues/len(r)) || b.bytes >= batchBytes {
		return b.store(ctx)
	}
	return 0, nil
}

// store stores what is gathered in one transaction.
func (b *batch) store(ctx context.Context) (int64, error) {
	if len(b.rows) == 0 {
		return 0, nil
	}
	// PostgreSQL takes all rows with one statement, which saves it the ways there and back; SQLite's driver looks for each
	// parameter among all others, so there it is a statement a row.
	store := b.together
	if b.loader.engine == db.SQLite {
		store = b.single
	}
	if err := store(ctx); err != nil {
		return 0, fmt.Errorf("transfer: store rows of %s: %w", b.table.Name, err)
	}
	n := int64(len(b.rows))
	b.stored += n
	b.rows, b.bytes = b.rows[:0], 0
	if b.loader.o.Progress != nil {
		b.loader.o.Progress(b.table.Name, b.stored)
	}
	return n, nil
}

func (b *batch) together(ctx context.Context) error {
	args := make([]any, 0, len(b.rows)*len(b.table.Columns))
	for _, r := range b.rows {
		args = b.values(args, r)
	}
	_, err := b.loader.pool.ExecContext(ctx, b.insert(len(b.rows)), args...)
	return err
}

func (b *batch) single(ctx context.Context) (err error) {
	tx, err := b.loader.pool.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tx.Rollback())
		}
	}()
	insert, err := tx.PrepareContext(ctx, b.insert(1))
	if err != nil {
		return err
	}
	defer insert.Close()
	for _, r := range b.rows {
		if _, err := insert.ExecContext(ctx, b.values(nil, r)...); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func (b *batch) values(args []any, r Row) []any {
	for i, v := range r {
		args = append(args, b.table.Columns[i].toEngine(b.loader.engine, v))
	}
	return args
}

// insert is the statement for a number of rows.
func (b *batch) insert(rows int) string {
	t := b.table
	var text strings.Builder
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = quote(c.Name)
	}
	fmt.Fprintf(&text, "INSERT INTO %s (%s)%s VALUES ", quote(t.Name), strings.Join(names, ", "), b.loader.overriding())
	n := 0
	for i := range rows {
		if i > 0 {
			text.WriteString(", ")
		}
		text.WriteByte('(')
		for j, c := range t.Columns {
			if j > 0 {
				text.WriteString(", ")
			}
			n++
			fmt.Fprintf(&text, c.write, fmt.Sprintf("$%d", n))
		}
		text.WriteByte(')')
	}
	return text.String()
}

// overriding lets PostgreSQL take numbers for columns that it always numbers itself.
func (l *loader) overriding() string {
	if l.engine == db.PostgreSQL {
		return " OVERRIDING SYSTEM VALUE"
	}
	return ""
}

// Compare reads both sides, and returns the tables that differ.
func Compare(ctx context.Context, from, to Source, ignored Ignored) (sums []TableResult, differ []Difference, err error) {
	for i := range from.Schema().Tables {
		t := &from.Schema().Tables[i]
		at, ok := to.Schema().Table(t.Name)
		if !ok {
			return nil, nil, fmt.Errorf("transfer: the target has no table %s: has it another schema?", t.Name)
		}
		if err := at.Fits(t); err != nil {
			return nil, nil, err
		}
		a, err := SumOf(ctx, from, t, ignored)
		if err != nil {
			return nil, nil, err
		}
		b, err := SumOf(ctx, to, at, ignored)
		if err != nil {
			return nil, nil, err
		}
		sums = append(sums, TableResult{Name: t.Name, Sum: a})
		if a != b {
			differ = append(differ, Difference{t.Name, a, b})
		}
	}
	return sums, differ, nil
}
