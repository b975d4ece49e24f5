package transfer

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"mediad/store/db"
)

// excluded are the tables whose rows stay where they are, and why. All others are moved.
var excluded = map[string]string{
	"goose_db_version":   "each database counts its own migrations",
	"mediad_moving":      "it tells of the move itself",
	"river_migration":    "the migrations of the job queue's tables, which come with ours",
	"river_leader":       "who leads the job queue at the moment",
	"river_notification": "calls to nodes that run, which look by themselves when they start",
	"node_heartbeats":    "nodes that run at the moment",
	"nodes":              "the nodes of a site are those that run on it",
	"stream_owners":      "what nodes have on air at the moment",
	"sqlite_sequence":    "the counters come with their tables",
}

// Excluded says why the rows of a table are not moved; "": they are.
func Excluded(table string) string { return excluded[table] }

// Kind is what a column holds, the same word on both engines.
type Kind string

// The kinds there are. Yes and no are numbers; times are microseconds since 1970.
const (
	Int   Kind = "int"
	Text  Kind = "text"
	Bytes Kind = "bytes"
	Float Kind = "float"
	JSON  Kind = "json"
	Time  Kind = "time"
)

// Column of a table.
type Column struct {
	Name string `json:"name"`
	Kind Kind   `json:"kind"`

	boolean bool   // the engine wants true and false
	read    string // how it is read in a SELECT; %s is the quoted column
	write   string // how a value is given; %s is its placeholder
	collate string // what orders it by bytes
}

// Table is what is moved of one.
type Table struct {
	Name string `json:"name"`
	// Columns by name.
	Columns []Column `json:"columns"`
	// Key has the columns of the primary key, in its order, as places in Columns.
	Key []int `json:"key"`
	// Counter is the column that the database numbers by itself; "": none does.
	Counter string `json:"counter,omitempty"`

	refers []string // tables that rows refer to
}

// Schema are the tables of a database in the order in which rows can be stored: what is referred to comes first.
type Schema struct {
	Tables []Table

	engine db.Engine
}

// querier is *sql.Tx, *sql.Conn or *sql.DB.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Describe reads the schema.
func Describe(ctx context.Context, q querier, engine db.Engine) (*Schema, error) {
	describe := describeSQLite
	if engine == db.PostgreSQL {
		describe = describePostgres
	}
	found, err := describe(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("transfer: schema: %w", err)
	}
	s := &Schema{engine: engine}
	if s.Tables, err = inOrder(found); err != nil {
		return nil, fmt.Errorf("transfer: schema: %w", err)
	}
	return s, nil
}

// Table finds by name.
func (s *Schema) Table(name string) (*Table, bool) {
	for i := range s.Tables {
		if s.Tables[i].Name == name {
			return &s.Tables[i], true
		}
	}
	return nil, false
}

// inOrder puts what is referred to first, and else sorts by name, so that the order is the same on both engines.
func inOrder(found map[string]*Table) ([]Table, error) {
	var out []Table
	done := make(map[string]bool)
	left := slices.Sorted(maps.Keys(found))
	for len(left) > 0 {
		var later []string
		for _, name := range left {
			t := found[name]
			if slices.ContainsFunc(t.refers, func(to string) bool { return to != name && !done[to] && found[to] != nil }) {
				later = append(later, name)
				continue
			}
			if len(t.Key) == 0 {
				return nil, fmt.Errorf("table %s has no primary key, and is not among those that are left out", name)
			}
			done[name] = true
			out = append(out, *t)
		}
		if len(later) == len(left) {
			return nil, fmt.Errorf("tables refer to each other in a circle: %s", strings.Join(left, ", "))
		}
		left = later
	}
	return out, nil
}

// arrange sorts the columns by name; key has the names of the primary key's.
func (t *Table) arrange(key []string) error {
	slices.SortFunc(t.Columns, func(a, b Column) int { return strings.Compare(a.Name, b.Name) })
	for _, name := range key {
		i := slices.IndexFunc(t.Columns, func(c Column) bool { return c.Name == name })
		if i < 0 {
			return fmt.Errorf("table %s: its key has a column %s that it has not", t.Name, name)
		}
		t.Key = append(t.Key, i)
	}
	return nil
}

// Fits says whether rows of from can be stored in t: the same columns of the same kinds, and the same key.
func (t *Table) Fits(from *Table) error {
	for _, c := range from.Columns {
		i := slices.IndexFunc(t.Columns, func(to Column) bool { return to.Name == c.Name })
		switch {
		case i < 0:
			return fmt.Errorf("transfer: %s.%s is not there at the target", t.Name, c.Name)
		case t.Columns[i].Kind != c.Kind:
			return fmt.Errorf("transfer: %s.%s is %s at the source and %s at the target", t.Name, c.Name, c.Kind, t.Columns[i].Kind)
		}
	}
	if len(t.Columns) != len(from.Columns) || !slices.Equal(t.Key, from.Key) {
		return fmt.Errorf("transfer: table %s has other columns or another key at the target", t.Name)
	}
	return nil
}

// ask reads all rows of a question that has few.
func ask(ctx context.Context, q querier, question string, args []any, each func(scan func(into ...any) error) error) error {
	rows, err := q.QueryContext(ctx, question, args...)
	if err != nil {
		return err
	}
	for rows.Next() && err == nil {
		err = each(rows.Scan)
	}
	return errors.Join(err, rows.Err(), rows.Close())
}

// quote makes an identifier of a name.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
