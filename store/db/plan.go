package db

import (
	"context"
	"fmt"
	"strings"
)

// Plan tells how the database would run a statement, step by step. Values do not matter: placeholders stay unbound.
func (d *DB) Plan(ctx context.Context, statement string) ([]string, error) {
	unbound := make([]any, strings.Count(statement, "?"))
	rows, err := d.reads.QueryContext(ctx, "EXPLAIN QUERY PLAN "+statement, unbound...)
	if err != nil {
		return nil, fmt.Errorf("db: plan: %w", err)
	}
	defer rows.Close()
	var steps []string
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			return nil, fmt.Errorf("db: plan: %w", err)
		}
		steps = append(steps, step)
	}
	return steps, rows.Err()
}
