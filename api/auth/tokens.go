package auth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"mediad/api/account"
	"mediad/api/audit"
	"mediad/api/caller"
	"mediad/api/problem"
	"mediad/api/text"
	"mediad/store/db"
)

// MaxTokenLabel in characters.
const MaxTokenLabel = 60

// NewToken is what an API token needs.
type NewToken struct {
	Label     string
	Scopes    []string
	ExpiresAt *time.Time // nil: never
}

// CreateToken makes an API token for the caller. The secret is nowhere else.
func (s *Service) CreateToken(ctx context.Context, n NewToken) (row db.APIToken, secret string, err error) {
	who, now := caller.Of(ctx), s.now()
	if n, err = checkToken(n, now); err != nil {
		return db.APIToken{}, "", err
	}
	id, err := db.NewID()
	if err != nil {
		return db.APIToken{}, "", err
	}
	secret = newToken()
	row = db.APIToken{
		ID: id, UserID: who.UserID, Label: n.Label, Hash: hash(secret), Hint: hint(secret), Scopes: n.Scopes, CreatedAt: db.At(now),
	}
	if n.ExpiresAt != nil {
		row.ExpiresAt = db.AtPtr(*n.ExpiresAt)
	}
	err = s.db.Tx(ctx, func(q db.Queries) error {
		u, err := q.FindOpenUser(who.UserID)
		if err != nil {
			return err
		}
		have, err := q.CountAPITokens(who.UserID)
		if err != nil {
			return err
		}
		if most := s.accounts.LimitsOf(u).APITokens; have >= most {
			p := problem.New(problem.LimitReached, fmt.Sprintf("There are %d API tokens already. Delete one first.", have))
			p.Max = most
			return p
		}
		if err := q.CreateAPIToken(row); err != nil {
			return err
		}
		return s.audit.Add(ctx, q, audit.Entry{
			Action: "api_token.create", TargetType: "api_token", TargetID: id, After: map[string]any{"scopes": row.Scopes}, // not what its user wrote: the log outlives the account
		})
	})
	if err != nil {
		return db.APIToken{}, "", err
	}
	s.security("token_created")
	return row, secret, nil
}

func checkToken(n NewToken, now time.Time) (NewToken, error) {
	var bad account.Invalid
	if n.Label = text.Line(n.Label); n.Label == "" {
		bad.Add("label", "too_short", "1 to 60 characters", MaxTokenLabel)
	}
	if text.Len(n.Label) > MaxTokenLabel {
		bad.Add("label", "too_long", "1 to 60 characters", MaxTokenLabel)
	}
	if len(n.Scopes) == 0 {
		bad.Add("scopes", "too_short", "one or more", 0)
	}
	for i, scope := range n.Scopes {
		if !slices.Contains(caller.Scopes(), caller.Scope(scope)) {
			bad.Add(fmt.Sprintf("scopes/%d", i), "invalid_enum", "there is no such scope", 0)
		}
	}
	if n.ExpiresAt != nil && !n.ExpiresAt.After(now) {
		bad.Add("expires_at", "out_of_range", "it lies in the past", 0)
	}
	slices.Sort(n.Scopes)
	n.Scopes = slices.Compact(n.Scopes)
	if len(bad.Fields) > 0 {
		return n, &bad
	}
	return n, nil
}

// Tokens lists the caller's API tokens, newest first, with ids smaller than before.
func (s *Service) Tokens(ctx context.Context, before string, limit int) ([]db.APIToken, error) {
	return s.db.Read(ctx).ListAPITokens(caller.Of(ctx).UserID, before, limit)
}

// Token finds one of the caller's API tokens.
func (s *Service) Token(ctx context.Context, id string) (db.APIToken, error) {
	row, err := s.db.Read(ctx).FindAPITokenOf(caller.Of(ctx).UserID, id)
	if errors.Is(err, db.ErrNotFound) {
		return row, noToken()
	}
	return row, err
}

func noToken() error { return problem.New(problem.NotFound, "There is no such API token.") }

// DeleteToken ends one of the caller's API tokens.
func (s *Service) DeleteToken(ctx context.Context, id string) error {
	who := caller.Of(ctx)
	err := s.db.Tx(ctx, func(q db.Queries) error {
		if err := q.DeleteAPIToken(who.UserID, id); err != nil {
			return err
		}
		return s.audit.Add(ctx, q, audit.Entry{Action: "api_token.delete", TargetType: "api_token", TargetID: id})
	})
	s.standings.ForgetUser(who.UserID)
	if errors.Is(err, db.ErrNotFound) {
		return noToken()
	}
	return err
}

// Invite makes a code with which as many people may register as uses says; expires nil: for good. The code is shown once.
func (s *Service) Invite(ctx context.Context, uses int64, expires *time.Time) (row db.Invite, code string, err error) {
	id, err := db.NewID()
	if err != nil {
		return db.Invite{}, "", err
	}
	code = random(invitePrefix)
	row = db.Invite{ID: id, Hash: hash(code), Hint: hint(code), UsesLeft: uses, CreatedAt: db.At(s.now())}
	if who := caller.Of(ctx); who.SignedIn() {
		row.CreatedBy = &who.UserID
	}
	if expires != nil {
		row.ExpiresAt = db.AtPtr(*expires)
	}
	err = s.db.Tx(ctx, func(q db.Queries) error {
		if err := q.CreateInvite(row); err != nil {
			return err
		}
		return s.audit.Add(ctx, q, audit.Entry{Action: "invite.create", TargetType: "invite", TargetID: id, After: map[string]any{"uses": uses}})
	})
	return row, code, err
}

// Invites lists them, newest first, with ids smaller than before.
func (s *Service) Invites(ctx context.Context, before string, limit int) ([]db.Invite, error) {
	return s.db.Read(ctx).ListInvites(before, limit)
}

// FindInvite finds one.
func (s *Service) FindInvite(ctx context.Context, id string) (db.Invite, error) {
	row, err := s.db.Read(ctx).FindInvite(id)
	if errors.Is(err, db.ErrNotFound) {
		return row, noInvite()
	}
	return row, err
}

func noInvite() error { return problem.New(problem.NotFound, "There is no such invitation.") }

// DeleteInvite ends one.
func (s *Service) DeleteInvite(ctx context.Context, id string) error {
	err := s.db.Tx(ctx, func(q db.Queries) error {
		if err := q.DeleteInvite(id); err != nil {
			return err
		}
		return s.audit.Add(ctx, q, audit.Entry{Action: "invite.delete", TargetType: "invite", TargetID: id})
	})
	if errors.Is(err, db.ErrNotFound) {
		return noInvite()
	}
	return err
}

// LastAddress is the whole address that a user came from last, until it is erased: also where all sessions were ended, as by a suspension,
// which is when it is asked for. "": it is not known.
func (s *Service) LastAddress(ctx context.Context, u db.User) (string, error) {
	l, err := s.db.Read(ctx).LastTraced(u.ID)
	if errors.Is(err, db.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return s.secrets.Open(ipPurpose(l.ID), l.IPEnc)
}
