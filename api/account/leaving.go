package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mediad/api/audit"
	"mediad/api/picture"
	"mediad/store/db"
)

// LeavingFor is how long who has left may come back.
const LeavingFor = 14 * 24 * time.Hour

// beyondRestoring is for how long a deleted video's media is kept: those of an account that is erased were deleted before that.
const beyondRestoring = 7*24*time.Hour + time.Second

// Leave closes the account of a user: every login ends, what they have made is hidden, nobody follows them or is followed. It is erased after
// LeavingFor. version is what the caller has read, 0: whatever it is; ErrVersion if it is another. ErrLastAdmin if no admin would be left. It
// returns when, and the streams, whose broadcasts are to end.
func (s *Service) Leave(ctx context.Context, id string, version int64) (erased time.Time, streams []db.Stream, err error) {
	now := s.now()
	erased = now.Add(LeavingFor)
	err = s.db.Tx(ctx, func(q db.Queries) error {
		u, err := q.FindOpenUser(id)
		if err != nil {
			return err
		}
		if version != 0 && version != u.Version {
			return fmt.Errorf("account: %w", ErrVersion)
		}
		if err := notLast(q, u); err != nil {
			return err
		}
		for _, do := range []func() error{
			func() error { return q.LeaveUser(id, db.At(erased), db.At(now)) },
			func() error { return q.HideWorks(id, db.At(now)) },
			func() error { return q.ParkFollows(id) },
		} {
			if err := do(); err != nil {
				return err
			}
		}
		if streams, err = q.FindStreamIDsOf(id); err != nil {
			return err
		}
		return s.Record(ctx, q, audit.Entry{Action: "user.leave", TargetType: "user", TargetID: id})
	})
	if err != nil {
		return time.Time{}, nil, err
	}
	s.changed(id)
	s.log.InfoContext(ctx, "account closed", "user_id", id, "erased", erased)
	return erased, streams, nil
}

// Restore undoes Leave within a transaction that has found out that it is asked for by who left. ErrNotFound if the time for it is over.
func (s *Service) Restore(q db.Queries, id string) error {
	now := db.At(s.now())
	if err := q.RestoreUser(id, now); err != nil {
		return found(err)
	}
	if err := q.ShowWorks(id, now); err != nil {
		return err
	}
	return q.UnparkFollows(id)
}

// Restored is called when the transaction of Restore is committed.
func (s *Service) Restored(id string) { s.changed(id) }

// eraseBatch bounds what EraseDue looks up at a time.
const eraseBatch = 100

// EraseDue erases the accounts whose time is over, and tells how many. drop lets an object of the blob store go. However many cannot be erased, they keep no other
// from it: all are tried once, and those again when it is called next.
func (s *Service) EraseDue(ctx context.Context, drop func(q db.Queries, key string) error) (erased int64, err error) {
	var failed int
	var first error
	now, last := db.At(s.now()), db.DueErasure{}
	for {
		due, err := s.db.Read(ctx).DueErasures(now, last, eraseBatch)
		if err != nil {
			return erased, err
		}
		for _, one := range due {
			err := s.erase(ctx, one.ID, drop)
			if err == nil {
				erased++
				continue
			}
			if ctx.Err() != nil {
				return erased, err
			}
			s.log.ErrorContext(ctx, "account not erased", "user_id", one.ID, "error", err)
			if failed++; first == nil {
				first = err
			}
		}
		if len(due) < eraseBatch {
			break
		}
		last = due[len(due)-1]
	}
	if failed > 0 {
		return erased, fmt.Errorf("account: %d could not be erased: %w", failed, first)
	}
	return erased, nil
}

func (s *Service) erase(ctx context.Context, id string, drop func(q db.Queries, key string) error) error {
	now := s.now()
	err := s.db.Tx(ctx, func(q db.Queries) error {
		u, err := q.FindUser(id)
		if err != nil {
			return err
		}
		keys, err := q.DeleteExports(id)
		if err != nil {
			return err
		}
		for _, name := range []string{u.Avatar, u.Banner} {
			if name != "" {
				keys = append(keys, picture.Key(name))
			}
		}
		for _, key := range keys {
			if err := drop(q, key); err != nil {
				return err
			}
		}
		if err := q.EraseUser(id, db.At(now.Add(-beyondRestoring)), db.At(now)); err != nil {
			return err
		}
		return s.Record(ctx, q, audit.Entry{Action: "user.erase", TargetType: "user", TargetID: id})
	})
	if errors.Is(err, db.ErrNotFound) { // another node was quicker, or they came back
		return nil
	}
	if err == nil {
		s.changed(id)
		s.log.InfoContext(ctx, "account erased", "user_id", id)
	}
	return err
}
