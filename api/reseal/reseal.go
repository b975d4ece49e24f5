// Package reseal seals anew what was sealed with an older master key, so that a key which was given up can be dropped.
//
//	NEW,OLD in front ─► every column, a page of rows at a time ─► open with OLD, seal with NEW ─► row, unless it changed meanwhile
package reseal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"mediad/store/db"
	"mediad/store/seal"
)

// Column is one that has sealed values.
type Column struct {
	db.SealedColumn
	// Purpose names the value of a row to the seal.
	Purpose func(v db.SealedValue) string
	// Beside are other columns that follow from the value and the key. nil: none.
	Beside func(plain string) map[string]any
}

// Options of New.
type Options struct {
	DB      *db.DB
	Secrets *seal.Ring
	Columns []Column
	// Page is how many rows are read at a time. 0: 200.
	Page int
	// Log; nil: none.
	Log *slog.Logger
}

// Service seals anew.
type Service struct{ o Options }

// New makes the service.
func New(o Options) *Service {
	if o.Page == 0 {
		o.Page = 200
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{o}
}

// every is how often Run looks. Values that are read and written meanwhile may still be sealed with the old key by a node that was
// not restarted yet.
const every = time.Hour

// Done is what a look found.
type Done struct {
	// Sealed were sealed anew; Lost cannot be read, as their key is gone.
	Sealed, Lost int
}

// Run looks at once and each hour until ctx ends. A ring of one key has nothing to open what is older with.
func (s *Service) Run(ctx context.Context) error {
	if s.o.Secrets.Keys() == 1 {
		return nil
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	told := false
	for {
		done, err := s.Once(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			s.o.Log.Warn("values not sealed anew", "error", err)
		case done.Sealed > 0 || done.Lost > 0:
			s.o.Log.Info("values sealed anew with the newest master key", "values", done.Sealed, "unreadable", done.Lost)
		case !told:
			told = true
			s.o.Log.Info("everything is sealed with the newest master key: former ones can be dropped once every node has it, and a day has passed")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Once looks at every column.
func (s *Service) Once(ctx context.Context) (Done, error) {
	var done Done
	for _, c := range s.o.Columns {
		if err := s.column(ctx, c, &done); err != nil {
			return done, fmt.Errorf("reseal: %s.%s: %w", c.Table, c.Column, err)
		}
	}
	return done, nil
}

// Check counts what of the values can be opened, and what cannot. It changes nothing.
func (s *Service) Check(ctx context.Context) (opened, lost int, err error) {
	for _, c := range s.o.Columns {
		err := s.each(ctx, c, func(v db.SealedValue) error {
			_, err := s.o.Secrets.Open(c.Purpose(v), v.Value)
			switch {
			case err == nil:
				opened++
			case errors.Is(err, seal.ErrKey) || errors.Is(err, seal.ErrSealed):
				lost++
				err = nil
			}
			return err
		})
		if err != nil {
			return opened, lost, fmt.Errorf("reseal: %s.%s: %w", c.Table, c.Column, err)
		}
	}
	return opened, lost, nil
}

func (s *Service) column(ctx context.Context, c Column, done *Done) error {
	return s.each(ctx, c, func(v db.SealedValue) error {
		if s.o.Secrets.Newest(v.Value) {
			return nil
		}
		return s.value(ctx, c, v, done)
	})
}

// each reads the sealed values of a column, a page of rows at a time.
func (s *Service) each(ctx context.Context, c Column, do func(v db.SealedValue) error) error {
	var last db.SealedValue
	for {
		found, err := s.o.DB.Read(ctx).ListSealed(c.SealedColumn, last, s.o.Page)
		if err != nil {
			return err
		}
		for _, v := range found {
			if v.Value == "" {
				continue
			}
			if err := do(v); err != nil {
				return err
			}
		}
		if len(found) < s.o.Page {
			return nil
		}
		last = found[len(found)-1]
	}
}

func (s *Service) value(ctx context.Context, c Column, v db.SealedValue, done *Done) error {
	plain, err := s.o.Secrets.Open(c.Purpose(v), v.Value)
	if errors.Is(err, seal.ErrKey) || errors.Is(err, seal.ErrSealed) {
		done.Lost++
		return nil
	}
	if err != nil {
		return err
	}
	values := map[string]any{c.Column: s.o.Secrets.Seal(c.Purpose(v), plain)}
	if c.Beside != nil {
		for name, value := range c.Beside(plain) {
			values[name] = value
		}
	}
	err = s.o.DB.Tx(ctx, func(q db.Queries) error { return q.SaveSealed(c.SealedColumn, v, values) })
	if errors.Is(err, db.ErrNotFound) { // changed meanwhile: the next look sees what it is now
		return nil
	}
	if err == nil {
		done.Sealed++
	}
	return err
}
