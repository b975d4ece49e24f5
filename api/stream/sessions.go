package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"mediad/store/db"
)

// SaveSession stores what is known of a running session: called at its start and at each new epoch. Saving one that has
// ended changes nothing.
func (s *Service) SaveSession(ctx context.Context, session db.Session) error {
	session.EndedAt, session.EndReason, session.UpdatedAt = nil, "", db.At(s.now())
	if err := s.db.Tx(ctx, func(q db.Queries) error { return q.SaveSession(session) }); err != nil {
		return fmt.Errorf("stream: save session: %w", err)
	}
	return nil
}

// EndSession notes the end. A session that has one keeps it.
func (s *Service) EndSession(ctx context.Context, id string, at time.Time, reason string) error {
	err := s.db.Tx(ctx, func(q db.Queries) error { return q.EndSession(id, db.At(at), reason) })
	if err != nil && !errors.Is(err, db.ErrNotFound) {
		return fmt.Errorf("stream: end session: %w", err)
	}
	return nil
}

// EndLostSessions ends, at the start of a process, the sessions that an earlier one left open and that do not go on. It
// returns how many.
func (s *Service) EndLostSessions(ctx context.Context, goOn []string) (int, error) {
	ended := 0
	err := s.db.Tx(ctx, func(q db.Queries) error {
		ended = 0
		open, err := q.OpenSessions()
		if err != nil {
			return err
		}
		for _, session := range open {
			if slices.Contains(goOn, session.ID) {
				continue
			}
			// When it ended nobody saw; it was alive at its last save.
			if err := q.EndSession(session.ID, session.UpdatedAt, "server_shutdown"); err != nil {
				return err
			}
			ended++
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("stream: end lost sessions: %w", err)
	}
	return ended, nil
}
