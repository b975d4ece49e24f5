package auth

import (
	"context"
	"time"

	"mediad/api/audit"
	"mediad/api/caller"
	"mediad/api/problem"
	"mediad/store/db"
)

// Leave closes the caller's account, whose password it is. version is what the caller has read, 0: whatever it is. It returns when the account is
// erased, and its streams.
func (s *Service) Leave(ctx context.Context, version int64, password string) (erased time.Time, streams []db.Stream, err error) {
	u, err := s.prove(ctx, caller.Of(ctx).UserID, password)
	if err != nil {
		return time.Time{}, nil, err
	}
	erased, streams, err = s.accounts.Leave(ctx, u.ID, version)
	s.standings.ForgetUser(u.ID)
	return erased, streams, err
}

// Restore opens an account again that is not erased yet, for who could sign in to it.
func (s *Service) Restore(ctx context.Context, l Login) error {
	u, g, err := s.unlock(ctx, l)
	if err != nil {
		return err
	}
	var refusal *problem.Problem
	err = s.db.Tx(ctx, func(q db.Queries) error {
		refusal = nil
		u, err := q.FindUser(u.ID) // it may have changed while the password was looked at
		if err != nil {
			return err
		}
		switch {
		case !u.Closed():
			refusal = problem.New(problem.InvalidState, "The account is open. Sign in.")
			refusal.State = u.State
			return g.neither(q, s.now())
		case u.EraseAt == nil || *u.EraseAt <= db.At(s.now()):
			refusal = problem.New(problem.BadCredentials, "Name and password do not belong together.")
			return nil
		}
		if refusal, err = s.secondFactor(q, u.ID, l.TOTP); err != nil {
			return err
		}
		if refusal != nil {
			if refusal.Code == string(problem.TwoFactorRequired) {
				return g.neither(q, s.now())
			}
			return nil // the failure stays counted
		}
		if err := g.right(q, s.now()); err != nil {
			return err
		}
		if err := s.accounts.Restore(q, u.ID); err != nil {
			return err
		}
		return s.audit.Add(ctx, q, audit.Entry{Action: "user.restore", Actor: actor(u), TargetType: "user", TargetID: u.ID})
	})
	if err != nil {
		return err
	}
	if refusal != nil {
		return refusal
	}
	s.standings.ForgetUser(u.ID)
	s.accounts.Restored(u.ID)
	return nil
}
