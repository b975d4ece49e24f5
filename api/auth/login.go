package auth

import (
	"context"
	"errors"
	"time"

	"mediad/api/account"
	"mediad/api/audit"
	"mediad/api/caller"
	"mediad/api/problem"
	"mediad/api/text"
	"mediad/store/db"
)

// Transports of refresh tokens.
const (
	InBody   = "body"
	InCookie = "cookie"
)

// Device is where a session is.
type Device struct {
	Transport string // InBody, InCookie
	Name      string // what its user calls it
}

// MaxDeviceName in characters.
const MaxDeviceName = 60

// Session is what a login or a refresh gives. The tokens are nowhere else.
type Session struct {
	AccessToken  string
	ExpiresIn    time.Duration
	RefreshToken string
	Transport    string
	ID           string
	User         db.User
}

// Newcomer is what a new account needs.
type Newcomer struct {
	Username, Password string
	DisplayName        *string // nil: the username
	Email, InviteCode  string
	Device             Device
}

// Register makes an account and signs it in.
func (s *Service) Register(ctx context.Context, r Newcomer) (Session, error) {
	mode, err := s.registration()
	if err != nil {
		return Session{}, err
	}
	if mode == "closed" || mode == "invite" && r.InviteCode == "" {
		return Session{}, problem.New(problem.Forbidden, "This site takes no new accounts without an invitation.")
	}
	var made begun
	_, err = s.accounts.Create(ctx, account.Create{
		Username: r.Username, Password: r.Password, DisplayName: r.DisplayName, Email: r.Email, Role: account.Viewer, PasswordNeeded: true,
		Then: func(q db.Queries, u db.User) error {
			if mode == "invite" {
				err := q.UseInvite(hash(r.InviteCode), db.At(s.now()))
				if errors.Is(err, db.ErrNotFound) {
					return problem.New(problem.Forbidden, "The invitation is not valid any more.")
				}
				if err != nil {
					return err
				}
			}
			var err error
			if made, err = s.begin(ctx, q, u, r.Device); err != nil {
				return err
			}
			return s.audit.Add(ctx, q, audit.Entry{Action: "user.register", Actor: actor(u), TargetType: "user", TargetID: u.ID})
		},
	})
	if err != nil {
		return Session{}, err
	}
	if made.user.EmailEnc != "" {
		s.enqueue(ctx, letter{kind: db.CodeEmailVerify, userID: made.user.ID})
	}
	return s.session(made)
}

// Login is a try to sign in.
type Login struct {
	Login    string // username or address
	Password string
	TOTP     string // or a recovery code
	Device   Device
}

// maxLogin is above any username and address; longer ones are nobody's.
const maxLogin = 320

// unlock finds whom name and password belong to. The try stays counted until the guess is said to be right, or neither.
func (s *Service) unlock(ctx context.Context, l Login) (db.User, guess, error) {
	typed := account.LoginName(l.Login)
	typed = typed[:min(len(typed), maxLogin)]
	u, err := s.accounts.FindLogin(ctx, typed)
	if err != nil && !errors.Is(err, account.ErrNotFound) {
		return db.User{}, guess{}, err
	}
	subject := u.ID
	if subject == "" {
		subject = "nobody " + typed
	}
	g, err := s.guessing(ctx, subject, typed)
	if err != nil {
		s.failed(ctx, u, "throttled", err)
		return db.User{}, guess{}, err
	}
	match, err := s.accounts.Matches(ctx, u, l.Password)
	if err != nil {
		return db.User{}, guess{}, err
	}
	if !match {
		refusal := problem.New(problem.BadCredentials, "Name and password do not belong together.")
		s.failed(ctx, u, "password", refusal)
		return db.User{}, guess{}, refusal
	}
	return u, g, nil
}

// Login signs in.
func (s *Service) Login(ctx context.Context, l Login) (Session, error) {
	u, g, err := s.unlock(ctx, l)
	if err != nil {
		return Session{}, err
	}
	// Only who knows the password learns that the account is suspended or has a second factor.
	if closed(u) {
		return Session{}, problem.New(problem.BadCredentials, "Name and password do not belong together.")
	}
	if u.SuspendedAt(db.At(s.now())) {
		return Session{}, errors.Join(suspended(u), s.db.Tx(ctx, func(q db.Queries) error { return g.neither(q, s.now()) }))
	}
	var made begun
	var refusal *problem.Problem
	err = s.db.Tx(ctx, func(q db.Queries) error {
		made, refusal = begun{}, nil
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
		if made, err = s.begin(ctx, q, u, l.Device); err != nil {
			return err
		}
		return s.audit.Add(ctx, q, audit.Entry{Action: "login", Actor: actor(u), TargetType: "session", TargetID: made.login.ID})
	})
	switch {
	case err != nil:
		return Session{}, err
	case refusal != nil:
		if refusal.Code == string(problem.TwoFactorInvalid) {
			s.failed(ctx, u, "second factor", refusal)
		}
		return Session{}, refusal
	}
	if err := s.accounts.Rehash(ctx, u, l.Password); err != nil {
		s.log.WarnContext(ctx, "password not hashed anew", "user_id", u.ID, "error", err)
	}
	return s.session(made)
}

// failed records a login that was refused.
func (s *Service) failed(ctx context.Context, u db.User, why string, refusal error) {
	if p := new(problem.Problem); !errors.As(refusal, &p) {
		return // it did not come to a decision
	}
	s.security("login_failed")
	err := s.audit.Write(ctx, audit.Entry{Action: "login", Actor: &caller.Caller{Via: caller.Session}, TargetType: "user", TargetID: u.ID, Reason: why, Outcome: audit.Denied})
	if err != nil {
		s.log.WarnContext(ctx, "failed login not recorded", "error", err)
	}
}

// begun is a session whose rows are made, before it is signed.
type begun struct {
	user  db.User
	login db.Login
	token string
}

// begin makes the session's row and its first refresh token.
func (s *Service) begin(ctx context.Context, q db.Queries, u db.User, d Device) (begun, error) {
	// The password was looked at before the transaction: the account may have been closed since. If it was changed, the session is dead by
	// its version.
	if _, err := q.FindOpenUser(u.ID); err != nil {
		return begun{}, err
	}
	id, err := db.NewID()
	if err != nil {
		return begun{}, err
	}
	now := s.now()
	if d.Transport == "" {
		d.Transport = InBody
	}
	l := db.Login{
		ID: id, UserID: u.ID, Version: u.SessionVersion, Transport: d.Transport, DeviceName: text.Line(d.Name),
		CreatedAt: db.At(now), LastSeenAt: db.At(now), ExpiresAt: db.At(now.Add(refreshAbsolute)),
	}
	l.IPEnc, l.AgentEnc = s.traces(ctx, id)
	if err := q.CreateLogin(l); err != nil {
		return begun{}, err
	}
	token, err := s.issue(q, l, 0)
	return begun{u, l, token}, err
}

// traces are address and agent of the caller, sealed.
func (s *Service) traces(ctx context.Context, sessionID string) (ip, agent string) {
	const maxAgent = 300
	p := caller.PeerOf(ctx)
	name := text.Line(p.Agent)
	if text.Len(name) > maxAgent {
		name = string([]rune(name)[:maxAgent])
	}
	return s.secrets.Seal(ipPurpose(sessionID), p.Addr.String()), s.secrets.Seal(agentPurpose(sessionID), name)
}

// issue makes the refresh token of a generation and returns it; only its hash is stored.
func (s *Service) issue(q db.Queries, l db.Login, generation int64) (string, error) {
	id, err := db.NewID()
	if err != nil {
		return "", err
	}
	now := s.now()
	token := s.refreshTokens(l.ID, generation)[0]
	return token, q.CreateRefreshToken(db.RefreshToken{
		ID: id, UserID: l.UserID, Family: l.ID, Generation: generation, Hash: hash(token), CreatedAt: db.At(now),
		ExpiresAt: min(db.At(now.Add(refreshIdle)), l.ExpiresAt),
	})
}

// session signs what was begun.
func (s *Service) session(m begun) (Session, error) {
	access, err := s.sign(m.user, m.login.ID)
	if err != nil {
		return Session{}, err
	}
	return Session{
		AccessToken: access, ExpiresIn: s.accessTTL, RefreshToken: m.token, Transport: m.login.Transport, ID: m.login.ID, User: m.user,
	}, nil
}

func actor(u db.User) *caller.Caller {
	return &caller.Caller{UserID: u.ID, Username: u.Username, Role: caller.Role(u.Role), Via: caller.Session}
}
