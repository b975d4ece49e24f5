package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"mediad/store/db"
	"mediad/store/event"
)

// SaveSession stores what is known of a running session: called at its start and at each new epoch. Saving one that has
// ended changes nothing.
func (s *Service) SaveSession(ctx context.Context, session db.Session) error {
	session.EndedAt, session.EndReason, session.UpdatedAt = nil, "", db.At(s.now())
	err := s.db.Tx(ctx, func(q db.Queries) error {
		_, err := q.FindSession(session.ID)
		begins := errors.Is(err, db.ErrNotFound)
		if err != nil && !begins {
			return err
		}
		if err := q.SaveSession(session); err != nil || !begins {
			return err
		}
		return s.tell(q, event.StreamOnline, session, session.StartedAt.Time(), map[string]any{})
	})
	if err != nil {
		return fmt.Errorf("stream: save session: %w", err)
	}
	return nil
}

// tell emits an event of a session. data is added to.
func (s *Service) tell(q db.Queries, kind string, session db.Session, at time.Time, data map[string]any) error {
	of, err := q.FindStream(session.StreamID)
	if err != nil {
		return err
	}
	data["stream_id"], data["slug"], data["owner_id"] = of.ID, of.Slug, of.OwnerID
	if session.ID != "" {
		data["session_id"] = session.ID
	}
	if n := len(session.Epochs); n > 0 {
		data["epoch"], data["protocol"] = session.Epochs[n-1].ID, session.Epochs[n-1].Protocol
	}
	return event.Emit(q, event.Event{Type: kind, Key: event.Stream(of.ID), OwnerID: of.OwnerID, Data: data}, at)
}

// NoteAway tells that the publisher of a session is away, or back, at a moment. ErrNotFound where there is no such session.
func (s *Service) NoteAway(ctx context.Context, session string, away bool, at time.Time) error {
	kind := event.StreamResumed
	if away {
		kind = event.StreamReconnecting
	}
	return found(s.db.Tx(ctx, func(q db.Queries) error {
		row, err := q.FindSession(session)
		if err != nil || row.EndedAt != nil {
			return err
		}
		var since *db.Millis
		if away {
			since = db.AtPtr(at)
		}
		if err := q.SetAway(session, since); err != nil {
			return err
		}
		return s.tell(q, kind, row, at, map[string]any{})
	}))
}

// Advice is an alert of a broadcast's health as events tell of it.
type Advice struct {
	Code     string `json:"code"`
	Severity string `json:"severity"`
}

// NoteHealth tells that the alerts of a broadcast's health have changed. ErrNotFound where there is no such session.
func (s *Service) NoteHealth(ctx context.Context, session string, alerts []Advice, at time.Time) error {
	return found(s.db.Tx(ctx, func(q db.Queries) error {
		row, err := q.FindSession(session)
		if err != nil || row.EndedAt != nil {
			return err
		}
		return s.tell(q, event.StreamHealth, row, at, map[string]any{"alerts": alerts})
	}))
}

// end ends a session and tells of it.
func (s *Service) end(q db.Queries, id string, at db.Millis, reason string) error {
	row, err := q.FindSession(id)
	if err != nil || row.EndedAt != nil {
		return err
	}
	if err := q.EndSession(id, at, reason); err != nil {
		return err
	}
	return s.tell(q, event.StreamOffline, row, at.Time(), map[string]any{"reason": reason})
}

// EndSession notes the end. A session that has one keeps it.
func (s *Service) EndSession(ctx context.Context, id string, at time.Time, reason string) error {
	err := s.db.Tx(ctx, func(q db.Queries) error { return s.end(q, id, db.At(at), reason) })
	if err != nil && !errors.Is(err, db.ErrNotFound) {
		return fmt.Errorf("stream: end session: %w", err)
	}
	return nil
}

// EndLostSessions ends, at the start of a process, the sessions of its node that an earlier one left open and that do not go on. It
// returns how many. Where node is "", no other has the database, and all sessions are its own.
func (s *Service) EndLostSessions(ctx context.Context, node string, goOn []string) (int, error) {
	ended := 0
	err := s.db.Tx(ctx, func(q db.Queries) error {
		ended = 0
		open, err := q.OpenSessions()
		if err != nil {
			return err
		}
		for _, session := range open {
			if slices.Contains(goOn, session.ID) || node != "" && session.Node != node {
				continue
			}
			// When it ended nobody saw; it was alive at its last save.
			if err := s.end(q, session.ID, session.UpdatedAt, "server_shutdown"); err != nil {
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

// EndElsewhere ends the session that another node has open on a stream, which node takes over.
func (s *Service) EndElsewhere(ctx context.Context, streamID, node string) error {
	err := s.db.Tx(ctx, func(q db.Queries) error {
		_, err := s.EndElsewhereIn(q, streamID, node, "server_shutdown")
		return err
	})
	if err != nil {
		return fmt.Errorf("stream: end session elsewhere: %w", err)
	}
	return nil
}

// EndElsewhereIn is EndElsewhere within a transaction, for a reason. False: there is no such session.
func (s *Service) EndElsewhereIn(q db.Queries, streamID, node, reason string) (bool, error) {
	open, err := q.OpenSessionOf(streamID)
	if errors.Is(err, db.ErrNotFound) || err == nil && open.Node == node {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, s.end(q, open.ID, max(open.UpdatedAt, db.At(s.now())), reason)
}

// lostAtOnce bounds one transaction: one of a hundred sessions never came through beside another node's.
const lostAtOnce = 10

// EndSilentSessions ends some sessions of nodes that have been silent for that long. Of nodes that do so at the same time one does. It
// returns what it ended; nothing: there are no more.
func (s *Service) EndSilentSessions(ctx context.Context, silent time.Duration) ([]db.Session, error) {
	var ended []db.Session
	err := s.db.Tx(ctx, func(q db.Queries) error {
		ended = nil
		lost, err := q.LostSessions(silent.Milliseconds(), lostAtOnce)
		if err != nil {
			return err
		}
		for _, one := range lost {
			// When it ended nobody saw; its node was there at its last beat.
			if err := s.end(q, one.ID, max(one.UpdatedAt, one.BeatAt), "server_shutdown"); err != nil {
				return err
			}
			ended = append(ended, one.Session)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("stream: end sessions of silent nodes: %w", err)
	}
	return ended, nil
}
