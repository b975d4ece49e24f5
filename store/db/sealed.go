package db

import (
	"fmt"
	"strings"
)

// SealedColumn is a column of sealed values. Its parts are names from the program, never from outside.
type SealedColumn struct {
	Table, Column string
	// Keys are the columns of the table's primary key: one or two.
	Keys []string
}

// SealedValue is one of them; Keys are those of its row.
type SealedValue struct {
	Key1, Key2, Value string
}

// ListSealed lists values behind a row, in the order of the table's key; the zero SealedValue is in front of all. Those that are ” are
// listed too.
func (q Queries) ListSealed(c SealedColumn, behind SealedValue, limit int) ([]SealedValue, error) {
	keys, places, names := strings.Join(c.Keys, ", "), "?", c.Keys[0]+" AS key1"
	after := []any{behind.Key1}
	if len(c.Keys) == 2 {
		places, names = "?, ?", names+", "+c.Keys[1]+" AS key2"
		after = append(after, behind.Key2)
	}
	statement := fmt.Sprintf("SELECT %s, %s AS value FROM %s WHERE (%s) > (%s) ORDER BY %s LIMIT ?", names, c.Column, c.Table, keys, places, keys)
	var found []SealedValue
	err := q.g.Raw(statement, append(after, limit)...).Scan(&found).Error
	return found, wrap("list sealed", err)
}

// SaveSealed puts values in the place of a sealed one, unless that was changed meanwhile; else ErrNotFound.
func (q Queries) SaveSealed(c SealedColumn, old SealedValue, values map[string]any) error {
	g := q.g.Table(c.Table).Where(c.Keys[0]+" = ?", old.Key1)
	if len(c.Keys) == 2 {
		g = g.Where(c.Keys[1]+" = ?", old.Key2)
	}
	return one("save sealed", g.Where(c.Column+" = ?", old.Value).UpdateColumns(values))
}
