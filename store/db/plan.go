package db

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Plan tells how the database would run a statement, step by step, in the database's words. Values do not matter:
// placeholders stay unbound, and PostgreSQL plans for any.
func (d *DB) Plan(ctx context.Context, statement string) ([]string, error) {
	plan := d.planSQLite
	if d.engine == PostgreSQL {
		plan = d.planPostgres
	}
	steps, err := plan(ctx, statement)
	if err != nil {
		return nil, fmt.Errorf("db: plan: %w", err)
	}
	return steps, nil
}

func (d *DB) planSQLite(ctx context.Context, statement string) ([]string, error) {
	unbound := make([]any, strings.Count(statement, "?"))
	rows, err := d.reads.QueryContext(ctx, "EXPLAIN QUERY PLAN "+statement, unbound...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var steps []string
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			return nil, err
		}
		steps = append(steps, step)
	}
	return steps, rows.Err()
}

var numbered = regexp.MustCompile(`\$(\d+)`)

// planPostgres prepares the statement on a connection of its own, since only of a prepared one PostgreSQL before 16 shows
// the plan for any values, which is what a statement that runs often gets.
func (d *DB) planPostgres(ctx context.Context, statement string) (steps []string, err error) {
	conn, err := pgx.ConnectConfig(ctx, d.url.primary())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	values := 0
	for _, m := range numbered.FindAllStringSubmatch(statement, -1) {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			return nil, err
		}
		values = max(values, n)
	}
	execute := "EXECUTE planned"
	if values > 0 {
		execute += "(" + strings.TrimSuffix(strings.Repeat("NULL,", values), ",") + ")"
	}
	for _, s := range []string{"SET plan_cache_mode = force_generic_plan", "PREPARE planned AS " + statement} {
		if _, err := conn.Exec(ctx, s); err != nil {
			return nil, err
		}
	}
	var text []byte
	if err := conn.QueryRow(ctx, "EXPLAIN (FORMAT JSON) "+execute).Scan(&text); err != nil {
		return nil, err
	}
	var plans []struct{ Plan planNode }
	if err := json.Unmarshal(text, &plans); err != nil {
		return nil, err
	}
	for _, p := range plans {
		steps = p.Plan.describe(steps)
	}
	return steps, nil
}

// planNode is a node of a plan in JSON.
type planNode struct {
	Type     string  `json:"Node Type"`
	Relation string  `json:"Relation Name"`
	Index    string  `json:"Index Name"`
	Cond     string  `json:"Index Cond"`
	Recheck  string  `json:"Recheck Cond"`
	Rows     float64 `json:"Plan Rows"`
	Plans    []planNode
}

func (n planNode) describe(steps []string) []string {
	step := n.Type
	if n.Relation != "" {
		step += " on " + n.Relation
	}
	if n.Index != "" {
		step += " using " + n.Index
		if n.Cond == "" {
			step += " without a condition"
		}
	}
	if n.Type == "Sort" || n.Type == "Incremental Sort" {
		step += fmt.Sprintf(" of %.0f rows", n.Rows)
	}
	steps = append(steps, step)
	for _, p := range n.Plans {
		steps = p.describe(steps)
	}
	return steps
}
