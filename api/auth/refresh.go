package auth

import (
	"context"
	"errors"
	"strings"

	"mediad/api/audit"
	"mediad/api/caller"
	"mediad/api/problem"
	"mediad/store/db"
)

// verdict is what a refresh token turned out to be.
type verdict int

const (
	good verdict = iota
	unknown
	reused
	kept // its user is kept out
)

// Refresh replaces a refresh token and gives a new access token.
//
//	unused                                        the next generation
//	replaced ≤ 10 s ago, and the next is unused   the next generation once more: the answer was lost on the way
//	replaced                                      somebody has a copy: the session ends, whoever they are
func (s *Service) Refresh(ctx context.Context, token, transport string) (Session, error) {
	refused := problem.New(problem.RefreshInvalid, "The refresh token is not valid. Sign in again.")
	if !strings.HasPrefix(token, refreshPrefix) || len(token) > 128 {
		return Session{}, refused
	}
	var b begun
	var v verdict
	err := s.db.Tx(ctx, func(q db.Queries) error {
		var err error
		b, v, err = s.replace(ctx, q, hash(token), transport)
		return err
	})
	switch {
	case err != nil:
		return Session{}, err
	case v == unknown:
		return Session{}, refused
	case v == kept:
		return Session{}, s.barred(b.user)
	case v == reused:
		s.standings.Forget(b.login.ID)
		return Session{}, problem.New(problem.RefreshReused, "The refresh token was used before. The session has ended: sign in again.")
	}
	return s.session(b)
}

// replace judges a token and makes its successor.
func (s *Service) replace(ctx context.Context, q db.Queries, hashed, transport string) (begun, verdict, error) {
	now := s.now()
	t, err := q.FindRefreshToken(hashed)
	if errors.Is(err, db.ErrNotFound) {
		return begun{}, unknown, nil
	}
	if err != nil {
		return begun{}, unknown, err
	}
	l, err := q.FindLogin(t.Family)
	if err != nil {
		return begun{}, unknown, err
	}
	u, err := q.FindUser(l.UserID)
	if err != nil {
		return begun{}, unknown, err
	}
	b := begun{user: u, login: l}
	switch {
	case l.EndReason == endReused && t.UsedAt != nil:
		return b, reused, nil
	case u.SuspendedAt(db.At(now)) || closed(u):
		return b, kept, nil
	case !l.AliveAt(db.At(now), u) || l.Transport != transport:
		return b, unknown, nil
	}
	if t.UsedAt == nil {
		if t.ExpiresAt <= db.At(now) {
			return b, unknown, nil
		}
		won, err := q.UseRefreshToken(t.ID, db.At(now))
		if err != nil {
			return b, unknown, err
		}
		if won {
			if b.token, err = s.issue(q, l, t.Generation+1); err != nil {
				return b, unknown, err
			}
			ip, agent := s.traces(ctx, l.ID)
			return b, good, q.SeeLogin(l.ID, ip, agent, db.At(now))
		}
	}
	next, err := q.FindGeneration(l.ID, t.Generation+1)
	if err != nil && !errors.Is(err, db.ErrNotFound) {
		return b, unknown, err
	}
	if err == nil && next.UsedAt == nil && now.Sub(next.CreatedAt.Time()) <= mercy {
		if b.token = s.again(l.ID, next.Generation, next.Hash); b.token != "" {
			return b, good, nil
		}
	}
	return b, reused, s.stolen(ctx, q, b)
}

// stolen ends the session of a token that was used twice.
func (s *Service) stolen(ctx context.Context, q db.Queries, b begun) error {
	if err := q.EndLogin(b.login.ID, endReused, db.At(s.now())); err != nil && !errors.Is(err, db.ErrNotFound) {
		return err
	}
	s.security("refresh_reused")
	return s.audit.Add(ctx, q, audit.Entry{
		Action: "refresh.reused", Actor: &caller.Caller{UserID: b.user.ID, Role: caller.Role(b.user.Role), Via: caller.Session},
		TargetType: "session", TargetID: b.login.ID, Outcome: audit.Denied,
	})
}
