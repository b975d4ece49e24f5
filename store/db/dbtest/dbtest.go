// Package dbtest opens databases for tests: real files, migrated, closed and removed with the test.
package dbtest

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mediad/store/db"
)

// Open makes a migrated database of its own for the test.
func Open(t testing.TB) *db.DB {
	t.Helper()
	return OpenWith(t, db.Options{})
}

// OpenWith is Open with options; without a path it takes a temporary one.
func OpenWith(t testing.TB, o db.Options) *db.DB {
	t.Helper()
	if o.Path == "" {
		o.Path = filepath.Join(t.TempDir(), "mediad.db")
	}
	d, err := db.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := d.MigrateUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d
}

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

// BadPlans lists what is wrong with the plans of the statements: a table read from end to end, or sorted by hand.
func (s *Statements) BadPlans(ctx context.Context, d *db.DB) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
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

// bad says whether a step of a plan grows with the whole table: SCAN reads all of it, be it along an index, and a
// temporary B-tree sorts what an index should have ordered.
func bad(step string) bool {
	return strings.HasPrefix(step, "SCAN") && !strings.HasPrefix(step, "SCAN CONSTANT") ||
		strings.HasPrefix(step, "USE TEMP B-TREE")
}
