package move

import (
	"context"
	"fmt"

	"mediad/store/blob"
	"mediad/store/db"
)

// Names are what a bucket calls what it has, and what is stored with it.
type Names struct {
	Segment func(stream, rendition string, epoch, msn int64) string
	Init    func(stream, rendition string, epoch int64) string
	Meta    func(rendition string) blob.Meta // of a segment
	Other   func(key string) blob.Meta       // of what belongs to no broadcast and no video
}

const (
	// pageSize is how many rows are read at a time.
	pageSize = 500
	// markAtOnce is how many rows are noted in one transaction.
	markAtOnce = 100
)

// recorded is a session with rows, or a clip, which stands in the rows as one.
type recorded struct {
	id   string
	slug string // of its stream
	clip bool
}

// sessions calls fn for every session with rows, and every clip.
func sessions(ctx context.Context, d *db.DB, fn func(recorded) error) error {
	q := d.Read(ctx)
	for before := ""; ; {
		streams, err := q.ListStreams(db.StreamFilter{Before: before}, pageSize)
		if err != nil {
			return fmt.Errorf("move: %w", err)
		}
		for i := range streams {
			before = streams[i].ID
			if err := sessionsOf(q, &streams[i], fn); err != nil {
				return err
			}
		}
		if len(streams) < pageSize {
			break
		}
	}
	for after := ""; ; {
		clips, err := q.ListReadyClips(after, pageSize)
		if err != nil {
			return fmt.Errorf("move: %w", err)
		}
		for i := range clips {
			after = clips[i].ID
			if err := fn(recorded{id: after, clip: true}); err != nil {
				return err
			}
		}
		if len(clips) < pageSize {
			return nil
		}
	}
}

func sessionsOf(q db.Queries, of *db.Stream, fn func(recorded) error) error {
	for after := ""; ; {
		ids, err := q.ListRecordedSessions(of.ID, after, pageSize)
		if err != nil {
			return fmt.Errorf("move: %w", err)
		}
		for _, id := range ids {
			after = id
			if err := fn(recorded{id: id, slug: of.Slug}); err != nil {
				return err
			}
		}
		if len(ids) < pageSize {
			return nil
		}
	}
}

// segments calls fn with the rows of a session, of one rendition at a time, some at a time.
func segments(ctx context.Context, d *db.DB, of recorded, fn func(rows []db.Segment) error) error {
	q := d.Read(ctx)
	renditions, err := q.ListRenditions(of.id)
	if err != nil {
		return fmt.Errorf("move: %w", err)
	}
	for _, r := range renditions {
		for from := int64(0); ; {
			rows, err := q.ListSegments(of.id, r.Rendition, from, pageSize)
			if err != nil {
				return fmt.Errorf("move: %w", err)
			}
			if len(rows) > 0 {
				from = rows[len(rows)-1].MSN + 1
				if err := fn(rows); err != nil {
					return err
				}
			}
			if len(rows) < pageSize {
				break
			}
		}
	}
	return nil
}
