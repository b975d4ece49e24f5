package auth

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"mediad/api/caller"
	"mediad/api/problem"
	"mediad/store/db"
)

// maxBearer is far above any token of ours.
const maxBearer = 4096

// touchEvery is how exactly the last use of an API token is known.
const touchEvery = time.Minute

// Authenticate finds out who asks by the Authorization header; the zero Caller if there is none. What it refuses is a problem.
func (s *Service) Authenticate(ctx context.Context, header string) (caller.Caller, error) {
	if header == "" {
		return caller.Caller{}, nil
	}
	text, ok := bearer(header)
	if !ok {
		return caller.Caller{}, problem.New(problem.TokenInvalid, "The Authorization header has no Bearer token.")
	}
	if strings.HasPrefix(text, tokenPrefix) {
		return s.byToken(ctx, text)
	}
	c, err := s.verify(ctx, text)
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return caller.Caller{}, problem.New(problem.TokenExpired, "The access token has expired. Refresh it.")
	case err != nil && db.Unavailable(err):
		return caller.Caller{}, err
	case err != nil:
		return caller.Caller{}, problem.New(problem.TokenInvalid, "The access token is not valid.")
	}
	return s.bySession(ctx, c)
}

// Again finds out whether who was identified by a header may still ask, and as whom: for what takes longer than one answer. An access token that
// has expired meanwhile is as good as its session is.
func (s *Service) Again(ctx context.Context, header string, who caller.Caller) (caller.Caller, error) {
	if who.Via != caller.Session {
		return s.Authenticate(ctx, header)
	}
	return s.bySession(ctx, claims{RegisteredClaims: jwt.RegisteredClaims{Subject: who.UserID}, SessionID: who.SessionID})
}

// Stranger says whether a header has an API token that Authenticate would have to ask the database about, and that was not good before: anybody
// can make up as many as they like, checksum and all.
func (s *Service) Stranger(header string) bool {
	text, ok := bearer(header)
	return ok && wellFormed(text) && !s.standings.good(hash(text))
}

// bearer is the token of a header.
func bearer(header string) (string, bool) {
	scheme, text, _ := strings.Cut(header, " ")
	text = strings.TrimSpace(text)
	return text, strings.EqualFold(scheme, "Bearer") && text != "" && len(text) <= maxBearer
}

func (s *Service) bySession(ctx context.Context, c claims) (caller.Caller, error) {
	at, err := s.standings.get(ctx, c.SessionID, func(ctx context.Context) (standing, error) {
		login, err := s.db.Read(ctx).FindLogin(c.SessionID)
		if errors.Is(err, db.ErrNotFound) {
			return standing{absent: true}, nil
		}
		if err != nil {
			return standing{}, err
		}
		u, err := s.db.Read(ctx).FindUser(login.UserID)
		return standing{user: u, login: login}, err
	})
	if err != nil {
		return caller.Caller{}, err
	}
	if at.absent || at.user.ID != c.Subject {
		return caller.Caller{}, problem.New(problem.TokenInvalid, "The session has ended. Sign in again.")
	}
	if err := s.barred(at.user); err != nil {
		return caller.Caller{}, err
	}
	if !at.login.AliveAt(db.At(s.now()), at.user) {
		return caller.Caller{}, problem.New(problem.TokenInvalid, "The session has ended. Sign in again.")
	}
	return caller.Caller{
		UserID: at.user.ID, Username: at.user.Username, Role: caller.Role(at.user.Role), Via: caller.Session, SessionID: at.login.ID,
		MustChangePassword: at.user.MustChangePassword,
	}, nil
}

func (s *Service) byToken(ctx context.Context, text string) (caller.Caller, error) {
	invalid := problem.New(problem.TokenInvalid, "The API token is not valid.")
	if !wellFormed(text) {
		return caller.Caller{}, invalid
	}
	key := hash(text)
	at, err := s.standings.get(ctx, key, func(ctx context.Context) (standing, error) {
		token, err := s.db.Read(ctx).FindAPIToken(key)
		if errors.Is(err, db.ErrNotFound) {
			return standing{absent: true}, nil
		}
		if err != nil {
			return standing{}, err
		}
		s.touch(ctx, token)
		u, err := s.db.Read(ctx).FindUser(token.UserID)
		return standing{user: u, token: token}, err
	})
	switch {
	case err != nil:
		return caller.Caller{}, err
	case at.absent:
		return caller.Caller{}, invalid
	case at.token.ExpiresAt != nil && *at.token.ExpiresAt <= db.At(s.now()):
		return caller.Caller{}, problem.New(problem.TokenExpired, "The API token has expired.")
	}
	if err := s.barred(at.user); err != nil {
		return caller.Caller{}, err
	}
	scopes := make([]caller.Scope, len(at.token.Scopes))
	for i, scope := range at.token.Scopes {
		scopes[i] = caller.Scope(scope)
	}
	return caller.Caller{
		UserID: at.user.ID, Username: at.user.Username, Role: caller.Role(at.user.Role), Via: caller.Token, TokenID: at.token.ID, Scopes: scopes,
		MustChangePassword: at.user.MustChangePassword,
	}, nil
}

// touch notes the use of a token. That it was used is worth less than its use.
func (s *Service) touch(ctx context.Context, t db.APIToken) {
	now := s.now()
	if t.LastUsedAt != nil && now.Sub(t.LastUsedAt.Time()) < touchEvery {
		return
	}
	err := s.db.Tx(ctx, func(q db.Queries) error { return q.TouchAPIToken(t.ID, db.At(now)) })
	if err != nil && !errors.Is(err, db.ErrNotFound) {
		s.log.DebugContext(ctx, "use of an API token not noted", "token_id", t.ID, "error", err)
	}
}

// barred refuses who is kept out.
func (s *Service) barred(u db.User) error {
	if u.SuspendedAt(db.At(s.now())) {
		return suspended(u)
	}
	if closed(u) {
		return problem.New(problem.TokenInvalid, "The account is closed.")
	}
	return nil
}

// closed says whether the account is none any more.
func closed(u db.User) bool { return u.State != db.UserActive && u.State != db.UserSuspended }

func suspended(u db.User) *problem.Problem {
	p := problem.New(problem.AccountSuspended, "The account is suspended.")
	p.Reason = u.SuspendedReason
	if u.SuspendedUntil != nil {
		p.Until = problem.Stamp(u.SuspendedUntil.Time())
	}
	return p
}
