package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"
	"slices"
)

// Sum tells whether two tables have the same rows, in whatever order: their number, and the sum of their SHA-256, as numbers of 256
// bits that wrap around. Each row's is of the table's name, the columns' names and the values.
type Sum struct {
	Rows int64  `json:"rows"`
	Hash string `json:"hash"` // hex
}

// Tally makes a Sum.
type Tally struct {
	prefix []byte
	rows   int64
	words  [4]uint64
	buf    []byte
	except []bool // columns that do not count
}

// NewTally is of no row yet. Columns may be excepted from it.
func NewTally(t *Table, except ...string) *Tally {
	s := &Tally{except: make([]bool, len(t.Columns))}
	s.prefix = append(append(s.prefix, t.Name...), 0)
	for i, c := range t.Columns {
		s.prefix = append(append(s.prefix, c.Name...), 0)
		s.except[i] = slices.Contains(except, c.Name)
	}
	return s
}

// Add counts a row.
func (s *Tally) Add(r Row) {
	if slices.Contains(s.except, true) {
		r = slices.Clone(r)
		for i := range r {
			if s.except[i] {
				r[i] = nil
			}
		}
	}
	s.buf = r.Append(append(s.buf[:0], s.prefix...))
	sum := sha256.Sum256(s.buf)
	var carry uint64
	for i := range s.words {
		s.words[i], carry = bits.Add64(s.words[i], binary.BigEndian.Uint64(sum[8*i:]), carry)
	}
	s.rows++
}

// Sum is of the rows that were added.
func (s *Tally) Sum() Sum {
	var b []byte
	for _, w := range s.words {
		b = binary.BigEndian.AppendUint64(b, w)
	}
	return Sum{Rows: s.rows, Hash: hex.EncodeToString(b)}
}

// Ignored are columns that do not count in a comparison, by table.
type Ignored map[string][]string

// SumOf reads a table.
func SumOf(ctx context.Context, from Source, t *Table, ignored Ignored) (Sum, error) {
	s := NewTally(t, ignored[t.Name]...)
	err := from.Rows(ctx, t, nil, func(r Row) error {
		s.Add(r)
		return nil
	})
	return s.Sum(), err
}

// Difference is a table of which not the same rows are on both sides.
type Difference struct {
	Table    string
	From, To Sum
}

func (d Difference) String() string {
	if d.From.Rows != d.To.Rows {
		return fmt.Sprintf("%s has %d rows at the source and %d at the target", d.Table, d.From.Rows, d.To.Rows)
	}
	return fmt.Sprintf("%s has as many rows on both sides, %d, and not the same ones", d.Table, d.From.Rows)
}
