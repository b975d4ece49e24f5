package dbtest

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"mediad/store/db"
)

// Statements collects what a database is asked, each statement once.
type Statements struct {
	mu   sync.Mutex // guards seen
	seen map[string]struct{}
}

// Observe is for db.Options.
func (s *Statements) Observe(statement string, _ time.Duration, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil {
		s.seen = map[string]struct{}{}
	}
	s.seen[statement] = struct{}{}
}

// Count says how many different statements were seen.
func (s *Statements) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen)
}

// BadPlans lists what is wrong with the plans of the statements: a table read from end to end, or sorted by hand. PostgreSQL
// plans by what is in the tables, so there it says something of full and analysed ones alone.
func (s *Statements) BadPlans(ctx context.Context, d *db.DB) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	bad := badSQLite
	if d.Engine() == db.PostgreSQL {
		bad = badPostgres
	}
	var problems []string
	for statement := range s.seen {
		verb, _, _ := strings.Cut(strings.TrimSpace(statement), " ")
		if !slices.Contains([]string{"SELECT", "UPDATE", "DELETE"}, strings.ToUpper(verb)) {
			continue
		}
		steps, err := d.Plan(ctx, statement)
		if err != nil {
			problems = append(problems, fmt.Sprintf("no plan of %s: %v", statement, err))
		}
		for _, step := range steps {
			if bad(step) {
				problems = append(problems, fmt.Sprintf("%s in %s, plan %q", step, statement, steps))
			}
		}
	}
	return problems
}

// badSQLite says whether a step of a plan grows with the whole table: SCAN reads all of it, be it along an index, and a
// temporary B-tree sorts what an index should have ordered.
func badSQLite(step string) bool {
	return strings.HasPrefix(step, "SCAN") && !strings.HasPrefix(step, "SCAN CONSTANT") ||
		strings.HasPrefix(step, "USE TEMP B-TREE")
}

// smallSort is how many rows PostgreSQL may sort: less than reading them costs.
const smallSort = 1000

// badPostgres is badSQLite in PostgreSQL's words.
func badPostgres(step string) bool {
	_, rows, sorted := strings.Cut(step, "Sort of ")
	if sorted {
		n, err := strconv.Atoi(strings.TrimSuffix(rows, " rows"))
		return err != nil || n > smallSort
	}
	return strings.HasPrefix(step, "Seq Scan") || strings.HasSuffix(step, " without a condition")
}
