package transfer

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
)

// sqliteJSON are the columns in which the job queue keeps SQLite's binary JSON, which SQLite itself calls a BLOB.
var sqliteJSON = map[string][]string{
	"river_job":   {"args", "attempted_by", "errors", "metadata", "tags"},
	"river_queue": {"metadata"},
}

func describeSQLite(ctx context.Context, q querier) (map[string]*Table, error) {
	found := make(map[string]*Table)
	counts := make(map[string]bool)
	err := ask(ctx, q, "SELECT name, sql FROM sqlite_master WHERE type = 'table'", nil, func(scan func(...any) error) error {
		var name string
		var text sql.NullString
		if err := scan(&name, &text); err != nil {
			return err
		}
		if excluded[name] == "" {
			found[name] = &Table{Name: name}
			counts[name] = strings.Contains(strings.ToUpper(text.String), "AUTOINCREMENT")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, t := range found {
		if err := t.fillSQLite(ctx, q, counts[t.Name]); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (t *Table) fillSQLite(ctx context.Context, q querier, counts bool) error {
	key := make(map[int]string)
	err := ask(ctx, q, "SELECT name, type, pk FROM pragma_table_xinfo($1) WHERE hidden = 0", []any{t.Name}, func(scan func(...any) error) error {
		var name, declared string
		var place int
		if err := scan(&name, &declared, &place); err != nil {
			return err
		}
		c := Column{Name: name, read: "%s", write: "%s"}
		switch strings.ToUpper(declared) {
		case "INTEGER", "INT", "BIGINT", "SMALLINT":
			c.Kind = Int
		case "BOOLEAN":
			c.Kind, c.read = Int, "CAST(%s AS INTEGER)" // the driver makes true and false of the word
		case "TEXT":
			c.Kind = Text
		case "REAL":
			c.Kind = Float
		case "TIMESTAMP", "DATETIME":
			c.Kind, c.read = Time, "CAST(%s AS TEXT)" // likewise a time
		case "BLOB":
			c.Kind = Bytes
			if slices.Contains(sqliteJSON[t.Name], name) {
				c.Kind, c.read, c.write = JSON, "json(%s)", "jsonb(%s)"
			}
		default:
			return fmt.Errorf("%s.%s is %q, which this program cannot move", t.Name, name, declared)
		}
		if place > 0 {
			key[place] = name
			if counts && c.Kind == Int {
				t.Counter = name
			}
		}
		t.Columns = append(t.Columns, c)
		return nil
	})
	if err != nil {
		return err
	}
	names := make([]string, len(key))
	for place, name := range key {
		names[place-1] = name
	}
	err = ask(ctx, q, `SELECT "table" FROM pragma_foreign_key_list($1)`, []any{t.Name}, func(scan func(...any) error) error {
		var to string
		err := scan(&to)
		t.refers = append(t.refers, to)
		return err
	})
	if err != nil {
		return err
	}
	return t.arrange(names)
}
