package stream

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"mediad/api/audit"
	"mediad/api/text"
	"mediad/store/db"
)

// Defaults of Options: how many streams a user may have, and how many keys a stream.
const (
	DefaultMaxStreams = 3
	DefaultMaxKeys    = 5
)

// LimitError says that there are as many of something as are allowed.
type LimitError struct {
	What string
	Max  int
}

// Error implements error.
func (e *LimitError) Error() string { return fmt.Sprintf("stream: at most %d %s", e.Max, e.What) }

// Edit is a change of what an owner may change.
type Edit struct {
	// Version is what the caller has read; 0: whatever it is.
	Version int64
	// Change gets the row as it is; what it leaves there is cleaned, checked and stored. It may run several times.
	Change func(row *db.Stream)
}

// Defaults are the values that a new stream has where its maker says nothing.
func (s *Service) Defaults() db.Stream { return s.row("") }

// Edit makes the change; where nothing would be another, the row stays as it is, and nobody is told. A slug stays once there was a session:
// ErrSlugFixed.
func (s *Service) Edit(ctx context.Context, id string, e Edit) (db.Stream, error) {
	var before, after db.Stream
	err := s.db.Tx(ctx, func(q db.Queries) error {
		var err error
		if before, err = existing(q.FindStream(id)); err != nil {
			return err
		}
		if e.Version != 0 && e.Version != before.Version {
			return ErrVersion
		}
		row := before
		row.Tags = slices.Clone(before.Tags)
		e.Change(&row)
		if before.HiddenAt != nil { // its owner is leaving: what it was is kept for their return
			row.Visibility, row.ReplayVisibility = before.Visibility, before.ReplayVisibility
		}
		if err := s.tidy(&row, before); err != nil {
			return err
		}
		if err := checkCategory(q, row.Category, before.Category); err != nil {
			return err
		}
		if after = row; reflect.DeepEqual(row, before) {
			return nil
		}
		if row.Slug != before.Slug {
			if _, err := q.LastSession(id); !errors.Is(err, db.ErrNotFound) {
				return errors.Join(ErrSlugFixed, err)
			}
		}
		if err := q.SaveStream(row, before.Version, db.At(s.now())); err != nil {
			return err
		}
		if after, err = q.FindStream(id); err != nil {
			return err
		}
		return s.note(ctx, q, audit.Entry{
			Action: "stream.update", TargetType: "stream", TargetID: id, Before: changeable(before), After: changeable(after),
		})
	})
	switch {
	case errors.Is(err, db.ErrDuplicate):
		return db.Stream{}, fmt.Errorf("stream: %w", ErrSlugTaken)
	case err != nil:
		return db.Stream{}, found(err)
	}
	if after.Version != before.Version {
		s.keys.edited(after)
		s.changed(ctx, id)
	}
	return after, nil
}

// tidy brings what was written into its stored form, and says what is wrong with it.
func (s *Service) tidy(row *db.Stream, before db.Stream) error {
	var bad Invalid
	if row.Slug != before.Slug && !validSlug(row.Slug) {
		bad.add("slug", "invalid_format", slugHelp)
	}
	if row.Title = text.Line(row.Title); row.Title == "" {
		bad.add("title", "too_short", "1 to 120 characters")
	}
	row.Description, row.Tags = text.Clean(row.Description), cleanTags(row.Tags)
	checkText(&bad, *row, "")
	checkChoices(&bad, *row)
	if len(bad.Fields) > 0 {
		return &bad
	}
	return nil
}

// changeable is what the record says of a stream: what decides who may watch, and how it may be published to.
func changeable(row db.Stream) map[string]any {
	return map[string]any{
		"slug": row.Slug, "visibility": row.Visibility, "replay_visibility": row.ReplayVisibility, "record": row.Record,
		"publish": publishBody(row),
	}
}

// Delete takes a stream away. What was recorded of it stays as long as its videos do.
func (s *Service) Delete(ctx context.Context, id string, version int64) error {
	err := s.db.Tx(ctx, func(q db.Queries) error {
		row, err := existing(q.FindStream(id))
		if err != nil {
			return err
		}
		if version != 0 && version != row.Version {
			return ErrVersion
		}
		if err := q.DeleteStream(id, db.At(s.now())); err != nil {
			return err
		}
		return s.note(ctx, q, audit.Entry{Action: "stream.delete", TargetType: "stream", TargetID: id, Before: changeable(row)})
	})
	if err != nil {
		return found(err)
	}
	s.keys.forgetStream(id)
	s.changed(ctx, id)
	s.log.InfoContext(ctx, "stream deleted", "stream_id", id)
	return nil
}

// OwnedBy lists the streams of a user, the newest first, from a smaller id than before on.
func (s *Service) OwnedBy(ctx context.Context, owner, before string, limit int) ([]db.Stream, error) {
	return s.db.Read(ctx).ListStreamsOf(owner, before, limit)
}

// existing is a row that is not deleted.
func existing(row db.Stream, err error) (db.Stream, error) {
	if err == nil && row.DeletedAt != nil {
		err = fmt.Errorf("deleted: %w", db.ErrNotFound)
	}
	return row, err
}

// note writes into the audit log, where there is one, as the last statement of a transaction.
func (s *Service) note(ctx context.Context, q db.Queries, e audit.Entry) error {
	if s.audit == nil {
		return nil
	}
	return s.audit.Add(ctx, q, e)
}
