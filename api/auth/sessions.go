package auth

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"mediad/api/audit"
	"mediad/api/caller"
	"mediad/api/problem"
	"mediad/store/db"
)

// Reasons for the end of a session.
const (
	endLogout  = "logged_out"
	endRevoked = "revoked"
	endReused  = "refresh_reused"
)

// Living is a session as its user sees it.
type Living struct {
	ID, DeviceName, Agent string
	IP                    string // masked; "" once it is erased
	CreatedAt, LastSeenAt time.Time
}

// Sessions lists the user's living sessions, newest first, with ids smaller than before.
func (s *Service) Sessions(ctx context.Context, userID, before string, limit int) ([]Living, error) {
	q := s.db.Read(ctx)
	u, err := q.FindUser(userID)
	if err != nil {
		return nil, err
	}
	rows, err := q.ListLogins(u.ID, u.SessionVersion, before, db.At(s.now()), limit)
	if err != nil {
		return nil, err
	}
	all := make([]Living, 0, len(rows))
	for _, row := range rows {
		one := Living{ID: row.ID, DeviceName: row.DeviceName, CreatedAt: row.CreatedAt.Time(), LastSeenAt: row.LastSeenAt.Time()}
		if row.IPEnc != "" {
			ip, err := s.secrets.Open(ipPurpose(row.ID), row.IPEnc)
			if err != nil {
				return nil, err
			}
			if addr, err := netip.ParseAddr(ip); err == nil {
				one.IP = caller.Mask(addr)
			}
			if one.Agent, err = s.secrets.Open(agentPurpose(row.ID), row.AgentEnc); err != nil {
				return nil, err
			}
		}
		all = append(all, one)
	}
	return all, nil
}

// Logout ends the caller's own session.
func (s *Service) Logout(ctx context.Context) error {
	return s.end(ctx, caller.Of(ctx).SessionID, endLogout, "logout")
}

// EndSession ends one session of the caller.
func (s *Service) EndSession(ctx context.Context, id string) error {
	return s.end(ctx, id, endRevoked, "session.revoke")
}

func (s *Service) end(ctx context.Context, id, reason, action string) error {
	who := caller.Of(ctx)
	err := s.db.Tx(ctx, func(q db.Queries) error {
		l, err := q.FindLogin(id)
		if err != nil {
			return err
		}
		u, err := q.FindUser(who.UserID)
		if err != nil {
			return err
		}
		if l.UserID != u.ID || !l.AliveAt(db.At(s.now()), u) {
			return db.ErrNotFound
		}
		if err := q.EndLogin(id, reason, db.At(s.now())); err != nil {
			return err
		}
		return s.audit.Add(ctx, q, audit.Entry{Action: action, TargetType: "session", TargetID: id})
	})
	s.standings.Forget(id)
	if errors.Is(err, db.ErrNotFound) {
		return problem.New(problem.NotFound, "There is no such session.")
	}
	return err
}

// EndOtherSessions ends all sessions of the caller but the one that asks.
func (s *Service) EndOtherSessions(ctx context.Context) error {
	who := caller.Of(ctx)
	err := s.db.Tx(ctx, func(q db.Queries) error {
		if err := q.EndSessions(who.UserID); err != nil {
			return err
		}
		if err := s.outlive(q, who); err != nil {
			return err
		}
		return s.audit.Add(ctx, q, audit.Entry{Action: "session.revoke_others", TargetType: "user", TargetID: who.UserID})
	})
	s.standings.ForgetUser(who.UserID)
	return err
}

// outlive keeps the caller's session alive behind what ended all of its user.
func (s *Service) outlive(q db.Queries, who caller.Caller) error {
	u, err := q.FindUser(who.UserID)
	if err != nil {
		return err
	}
	return q.RenewLogin(who.SessionID, u.SessionVersion)
}
