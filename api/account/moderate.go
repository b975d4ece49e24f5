package account

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mediad/api/audit"
	"mediad/api/caller"
	"mediad/api/problem"
	"mediad/api/text"
	"mediad/store/db"
)

// MaxReason is how long the reason of an act may be.
const MaxReason = 500

// Moderation is what an admin changes of an account; nil stays.
type Moderation struct {
	// Version is what the caller has read, 0: whatever it is.
	Version    int64
	Role       *Role
	Verified   *bool
	MustChange *bool
	Limits     *LimitsPatch
}

// Moderate makes the change; ErrLastAdmin if no admin would be left who may sign in.
func (s *Service) Moderate(ctx context.Context, id string, m Moderation) (db.User, error) {
	if m.Role != nil && !slices.Contains(Roles(), *m.Role) {
		return db.User{}, fmt.Errorf("account: role %q: %w", *m.Role, ErrRole)
	}
	var u db.User
	err := s.db.Tx(ctx, func(q db.Queries) (err error) {
		if u, err = q.FindOpenUser(id); err != nil {
			return err
		}
		if m.Version != 0 && m.Version != u.Version {
			return fmt.Errorf("account: %w", ErrVersion)
		}
		var acts []audit.Entry
		if m.Role != nil {
			act, err := s.setRole(q, u, *m.Role)
			if err != nil {
				return err
			}
			if act.Action != "" {
				acts = append(acts, act)
			}
		}
		if m.Verified != nil || m.MustChange != nil {
			act, err := s.setMarks(q, u, m)
			if err != nil {
				return err
			}
			acts = append(acts, act)
		}
		if m.Limits != nil {
			act, err := s.setLimits(q, u, *m.Limits)
			if err != nil {
				return err
			}
			acts = append(acts, act)
		}
		if u, err = q.FindUser(id); err != nil {
			return err
		}
		for _, act := range acts {
			act.TargetType, act.TargetID = "user", id
			if err := s.Record(ctx, q, act); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return db.User{}, found(err)
	}
	s.changed(id)
	s.log.InfoContext(ctx, "account changed", "username", u.Username, "role", u.Role)
	return u, nil
}

// setRole changes the role, which ends the wait for it. Who gets the role that they have already waits in vain, or nothing happens: there is
// no entry then.
func (s *Service) setRole(q db.Queries, u db.User, role Role) (audit.Entry, error) {
	same := Role(u.Role) == role
	if same && u.StreamerRequestedAt == nil {
		return audit.Entry{}, nil
	}
	if role != Admin {
		if err := notLast(q, u); err != nil {
			return audit.Entry{}, err
		}
	}
	if err := q.SetRole(u.ID, string(role), db.At(s.now())); err != nil {
		return audit.Entry{}, err
	}
	if same {
		return audit.Entry{Action: "streamer.decline", Before: map[string]bool{"streamer_requested": true}, After: map[string]bool{"streamer_requested": false}}, nil
	}
	return audit.Entry{Action: "role.change", Before: map[string]string{"role": u.Role}, After: map[string]string{"role": string(role)}}, nil
}

// notLast refuses what would leave no admin who may sign in.
func notLast(q db.Queries, u db.User) error {
	if u.Role != string(Admin) {
		return nil
	}
	others, err := q.CountOtherActiveUsersOfRole(string(Admin), u.ID)
	if err == nil && others == 0 {
		return fmt.Errorf("account: %s: %w", u.Username, ErrLastAdmin)
	}
	return err
}

func (s *Service) setMarks(q db.Queries, u db.User, m Moderation) (audit.Entry, error) {
	now := db.At(s.now())
	marks := func(verified *db.Millis, must bool) map[string]bool {
		return map[string]bool{"verified": verified != nil, "must_change_password": must}
	}
	verified, must := u.VerifiedAt, u.MustChangePassword
	switch {
	case m.Verified == nil:
	case !*m.Verified:
		verified = nil
	case verified == nil:
		verified = &now
	}
	if m.MustChange != nil {
		must = *m.MustChange
	}
	if err := q.SetUserMarks(u.ID, verified, must, now); err != nil {
		return audit.Entry{}, err
	}
	return audit.Entry{Action: "user.change", Before: marks(u.VerifiedAt, u.MustChangePassword), After: marks(verified, must)}, nil
}

func (s *Service) setLimits(q db.Queries, u db.User, p LimitsPatch) (audit.Entry, error) {
	after := u.Limits
	if err := p.apply(&after); err != nil {
		return audit.Entry{}, err
	}
	return audit.Entry{Action: "user.quota", Before: u.Limits, After: after}, q.SetLimits(u.ID, after, db.At(s.now()))
}

// Suspend keeps a user out until a moment, nil: for good. Moderators keep out who is less than they are, admins everyone but the last admin.
func (s *Service) Suspend(ctx context.Context, id string, until *time.Time, reason string) error {
	reason = text.Clean(reason)
	var bad Invalid
	if reason == "" {
		bad.Add("reason", "too_short", "1 to 500 characters", MaxReason)
	}
	if text.Len(reason) > MaxReason {
		bad.tooLong("reason", MaxReason)
	}
	var end *db.Millis
	if until != nil {
		if end = db.AtPtr(*until); !until.After(s.now()) {
			bad.Add("until", "out_of_range", "it lies in the past", 0)
		}
	}
	if len(bad.Fields) > 0 {
		return &bad
	}
	return s.act(ctx, id, audit.Entry{Action: "user.suspend", Reason: reason, After: map[string]any{"until": until}}, func(q db.Queries, u db.User) error {
		if err := notLast(q, u); err != nil {
			return err
		}
		return q.SuspendUser(id, end, reason, db.At(s.now()))
	})
}

// Suspended says whether a user is kept out now: one whose time is over is not, though the row still says why it was.
func (s *Service) Suspended(u db.User) bool { return u.SuspendedAt(db.At(s.now())) }

// Release lets a user in again.
func (s *Service) Release(ctx context.Context, id string) error {
	return s.act(ctx, id, audit.Entry{Action: "user.release"}, func(q db.Queries, u db.User) error {
		if u.State != db.UserSuspended {
			return nil
		}
		return q.ReleaseUser(id, db.At(s.now()))
	})
}

// SignOut ends every session of a user.
func (s *Service) SignOut(ctx context.Context, id string) error {
	return s.act(ctx, id, audit.Entry{Action: "session.revoke_all"}, func(q db.Queries, _ db.User) error { return q.EndSessions(id) })
}

// act does something to a user whom the caller may do it to.
func (s *Service) act(ctx context.Context, id string, e audit.Entry, do func(q db.Queries, u db.User) error) error {
	e.TargetType, e.TargetID = "user", id
	err := s.db.Tx(ctx, func(q db.Queries) error {
		u, err := q.FindOpenUser(id)
		if err != nil {
			return err
		}
		if who := caller.Of(ctx); who.SignedIn() && !who.Role.AtLeast(Admin) && Role(u.Role).AtLeast(Moderator) {
			p := problem.New(problem.RoleRequired, "Only admins act on moderators and admins.")
			p.Role = string(Admin)
			return p
		}
		if err := do(q, u); err != nil {
			return err
		}
		return s.Record(ctx, q, e)
	})
	s.changed(id)
	return found(err)
}

// Denied records that a caller was refused something for want of a role.
func (s *Service) Denied(ctx context.Context, operation string) error {
	if s.audit == nil {
		return nil
	}
	return s.audit.Write(ctx, audit.Entry{Action: "denied", TargetType: "operation", TargetID: operation, Outcome: audit.Denied})
}

// Note records an act that has a transaction of its own.
func (s *Service) Note(ctx context.Context, e audit.Entry) error {
	return s.db.Tx(ctx, func(q db.Queries) error { return s.Record(ctx, q, e) })
}

// Search is what an admin looks for: the begin of a username, a whole address, or an id.
func (s *Service) Search(ctx context.Context, word string, f db.UserFilter, limit int) ([]db.User, error) {
	word = strings.ToLower(strings.TrimPrefix(strings.TrimSpace(word), "@"))
	q := s.db.Read(ctx)
	switch {
	case word == "": // everybody
	case strings.Contains(word, "@") && s.secrets != nil:
		f.Emails = s.secrets.Indexes(emailPurpose, word)
	case len(word) == 36:
		u, err := q.FindUser(word)
		if errors.Is(err, db.ErrNotFound) || err == nil && (f.After != "" || f.Role != "" && f.Role != u.Role || f.State != "" && f.State != u.State || u.State == db.UserErased) {
			return nil, nil
		}
		return []db.User{u}, err
	case !usernamePart.MatchString(word):
		return nil, nil
	default:
		f.Prefix = word
	}
	return q.SearchUsers(f, limit)
}

// ByName says whether Search goes on by username, rather than by id, after that word.
func (s *Service) ByName(word string) bool {
	word = strings.ToLower(strings.TrimPrefix(strings.TrimSpace(word), "@"))
	return usernamePart.MatchString(word)
}
