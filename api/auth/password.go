package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"mediad/api/account"
	"mediad/api/audit"
	"mediad/api/caller"
	"mediad/api/problem"
	"mediad/store/db"
)

// prove asks for the caller's own password again, counted as a login is: who found an open screen has as few tries as who has no session.
func (s *Service) prove(ctx context.Context, userID, password string) (db.User, error) {
	u, err := s.db.Read(ctx).FindUser(userID)
	if err != nil {
		return db.User{}, err
	}
	g, err := s.guessing(ctx, u.ID, u.Username)
	if err != nil {
		return db.User{}, err
	}
	match, err := s.accounts.Matches(ctx, u, password)
	if err != nil {
		return db.User{}, err
	}
	if !match {
		refusal := problem.New(problem.BadCredentials, "The password is wrong.")
		s.failed(ctx, u, "password asked again", refusal)
		return db.User{}, refusal
	}
	return u, s.db.Tx(ctx, func(q db.Queries) error { return g.right(q, s.now()) })
}

// Prove says whether the password is the caller's; a problem if it is not.
func (s *Service) Prove(ctx context.Context, password string) error {
	_, err := s.prove(ctx, caller.Of(ctx).UserID, password)
	return err
}

// ChangePassword gives the caller a new password. All sessions but this one end.
func (s *Service) ChangePassword(ctx context.Context, current, next string) error {
	who := caller.Of(ctx)
	u, err := s.prove(ctx, who.UserID, current)
	if err != nil {
		return err
	}
	if next == current { // above all not a one-time one, which others have seen
		return fmt.Errorf("auth: the same password again: %w", account.ErrWeakPassword)
	}
	hashed, err := s.accounts.HashFor(ctx, u, next)
	if err != nil {
		return err
	}
	err = s.db.Tx(ctx, func(q db.Queries) error {
		if err := q.SetPassword(u.ID, hashed, false, db.At(s.now())); err != nil {
			return err
		}
		if err := s.outlive(q, who); err != nil {
			return err
		}
		return s.audit.Add(ctx, q, audit.Entry{Action: "password.change", TargetType: "user", TargetID: u.ID})
	})
	s.standings.ForgetUser(u.ID)
	return err
}

// RequestReset has a link mailed to who forgot the password. It says nothing of whether there is such an account, and takes the same time:
// the account is looked for behind the answer.
func (s *Service) RequestReset(ctx context.Context, login string) {
	if len(login) <= maxLogin {
		s.enqueue(ctx, letter{kind: db.CodePasswordReset, login: login})
	}
}

// ResetLink makes a link to a new password for an account. It is shown once. Others of the account are dead.
func (s *Service) ResetLink(ctx context.Context, nameOrID string) (link string, expires time.Time, err error) {
	u, err := s.accounts.Find(ctx, nameOrID)
	if err != nil {
		return "", time.Time{}, err
	}
	code, expires, err := s.newCode(ctx, u.ID, db.CodePasswordReset, "", resetLife)
	if err != nil {
		return "", time.Time{}, err
	}
	return resetURL(cmp.Or(s.publicURL, caller.PeerOf(ctx).Site()), code), expires, nil
}

// resetURL has the code behind #, which browsers send to nobody.
func resetURL(site, code string) string { return site + "/reset-password#token=" + code }

func (s *Service) newCode(ctx context.Context, userID, kind, subject string, life time.Duration) (code string, expires time.Time, err error) {
	now := s.now()
	code, expires = random(codePrefix), now.Add(life)
	err = s.db.Tx(ctx, func(q db.Queries) error {
		err := q.ReplaceOneTimeCode(db.OneTimeCode{
			Hash: hash(code), UserID: userID, Kind: kind, Subject: subject, ExpiresAt: db.At(expires), CreatedAt: db.At(now),
		})
		if err != nil {
			return err
		}
		return s.audit.Add(ctx, q, audit.Entry{Action: kind + ".request", TargetType: "user", TargetID: userID})
	})
	return code, expires, err
}

// Reset sets a new password by the code of a link. All sessions end.
func (s *Service) Reset(ctx context.Context, code, password string) error {
	refused := problem.New(problem.TokenInvalid, "The link is not valid any more. Ask for a new one.")
	row, err := s.db.Read(ctx).FindOneTimeCode(hash(code), db.CodePasswordReset)
	if errors.Is(err, db.ErrNotFound) || err == nil && (row.UsedAt != nil || row.ExpiresAt <= db.At(s.now())) {
		return refused
	}
	if err != nil {
		return err
	}
	u, err := s.db.Read(ctx).FindUser(row.UserID)
	if err != nil {
		return err
	}
	hashed, err := s.accounts.HashFor(ctx, u, password) // a weak one leaves the code good
	if err != nil {
		return err
	}
	err = s.db.Tx(ctx, func(q db.Queries) error {
		if _, err := q.UseOneTimeCode(row.Hash, row.Kind, db.At(s.now())); err != nil {
			return err
		}
		if err := q.SetPassword(u.ID, hashed, false, db.At(s.now())); err != nil {
			return err
		}
		return s.audit.Add(ctx, q, audit.Entry{Action: "password.reset", Actor: actor(u), TargetType: "user", TargetID: u.ID})
	})
	if errors.Is(err, db.ErrNotFound) {
		return refused
	}
	s.standings.ForgetUser(u.ID)
	return err
}

// VerifyEmail takes the code that was mailed to the caller's address.
func (s *Service) VerifyEmail(ctx context.Context, code string) error {
	who := caller.Of(ctx)
	err := s.db.Tx(ctx, func(q db.Queries) error {
		row, err := q.UseOneTimeCode(hash(code), db.CodeEmailVerify, db.At(s.now()))
		if err != nil {
			return err
		}
		if row.UserID != who.UserID {
			return db.ErrNotFound
		}
		if err := q.VerifyEmail(row.UserID, row.Subject, db.At(s.now())); err != nil {
			return err
		}
		return s.audit.Add(ctx, q, audit.Entry{Action: "email.verify", TargetType: "user", TargetID: row.UserID})
	})
	if errors.Is(err, db.ErrNotFound) {
		return problem.New(problem.TokenInvalid, "The code is not valid any more, or is of another account or address.")
	}
	return err
}

// EmailChanged has the new address of a user verified.
func (s *Service) EmailChanged(ctx context.Context, userID string) {
	s.enqueue(ctx, letter{kind: db.CodeEmailVerify, userID: userID})
}

// letter waits to be written and sent.
type letter struct {
	kind   string
	userID string
	login  string // where userID is not known yet
}

func (s *Service) enqueue(ctx context.Context, l letter) {
	if s.mail == nil {
		return
	}
	select {
	case s.letters <- l:
	default:
		s.log.WarnContext(ctx, "mail not sent: too many wait", "kind", l.kind)
	}
}

// mailTimeout bounds what one letter may take.
const mailTimeout = 30 * time.Second

// post writes a letter and sends it. Whoever asked for it has been answered.
func (s *Service) post(ctx context.Context, l letter) {
	ctx, cancel := context.WithTimeout(ctx, mailTimeout)
	defer cancel()
	if err := s.write(ctx, l); err != nil && !errors.Is(err, account.ErrNotFound) {
		s.log.WarnContext(ctx, "mail not sent", "kind", l.kind, "error", err)
	}
}

func (s *Service) write(ctx context.Context, l letter) error {
	var u db.User
	var err error
	if l.userID != "" {
		u, err = s.accounts.Find(ctx, l.userID)
	} else {
		u, err = s.accounts.FindLogin(ctx, l.login)
	}
	if err != nil || u.EmailEnc == "" {
		return err
	}
	to, err := s.accounts.EmailOf(u)
	if err != nil {
		return err
	}
	if l.kind == db.CodePasswordReset {
		code, _, err := s.newCode(ctx, u.ID, l.kind, "", resetLife)
		if err != nil {
			return err
		}
		return s.mail.Send(ctx, to, s.siteName+": a new password", fmt.Sprintf("Somebody asked for a new password for the account %s.\n\n"+
			"Choose one here within half an hour:\n%s\n\nIf it was not you, do nothing: the password stays.\n", u.Username, resetURL(s.publicURL, code)))
	}
	code, _, err := s.newCode(ctx, u.ID, l.kind, *u.EmailBidx, verifyLife)
	if err != nil {
		return err
	}
	return s.mail.Send(ctx, to, s.siteName+": is this address yours?", fmt.Sprintf("The account %s names this address as its own.\n\n"+
		"If that is so, open this page while signed in:\n%s\n", u.Username, s.publicURL+"/verify-email#token="+code))
}
