package bench

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// Landings are when each part landed at each of its viewers. The zero value has none.
type Landings struct {
	mu sync.Mutex // guards at
	at map[string][]time.Time
}

// Note is for Counts.Saw: it keeps when a part landed.
func (l *Landings) Note(a Answer) {
	if !strings.Contains(a.Path, "/part_") {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at == nil {
		l.at = map[string][]time.Time{}
	}
	l.at[a.Path] = append(l.at[a.Path], a.Landed)
}

// Later lists in ascending order, part by part, by how much it landed later here than there: the middle viewer beside the middle one.
// Nothing may be noted any more.
func (l *Landings) Later(there *Landings) []time.Duration {
	var out []time.Duration
	for path, theirs := range there.at {
		if ours := l.at[path]; len(ours) > 0 {
			out = append(out, middle(ours).Sub(middle(theirs)))
		}
	}
	slices.Sort(out)
	return out
}

func middle(at []time.Time) time.Time {
	slices.SortFunc(at, time.Time.Compare)
	return at[len(at)/2]
}
