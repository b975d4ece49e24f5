// Package auth lets people in and keeps others out: logins, the two kinds of tokens that come of them, API tokens, the second factor, what
// happens when a password is forgotten.
//
//	password (+ TOTP) ──login──► session (a row) ──► access token  JWT, EdDSA, 15 min: signature, then the session's standing
//	                                    └──────────► refresh token mdr_…, replaced at each use, one family a session
//
//	request ──Authenticate──► signature ─► standing of session and user, read at most 4 s ago ─► caller.Caller
//
// Files: login.go throttle.go refresh.go sessions.go (living logins) keys.go (signing) authenticate.go standings.go (who asks) password.go totp.go
// tokens.go, and what they have on the wire in http*.go. Run is the one goroutine: it sends mail, turns keys and sweeps.
package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"mediad/api/account"
	"mediad/api/audit"
	"mediad/store/db"
	"mediad/store/seal"
)

// Mailer sends one message to one address.
type Mailer interface {
	Send(ctx context.Context, to, subject, body string) error
}

// Options of New.
type Options struct {
	DB       *db.DB
	Accounts *account.Service
	Secrets  *seal.Ring
	Audit    *audit.Log
	// Standings is shared with the accounts' service, which tells it what changed.
	Standings *Standings
	// Registration tells who may register: open, invite or closed. nil: open.
	Registration func() (string, error)
	// Issuer is the iss of tokens, and PublicURL what links begin with. "": mediad, and as the site was called; Mail is nil then.
	Issuer, PublicURL string
	// SiteName stands in mails and authenticator apps. "": mediad.
	SiteName string
	// AccessTTL is the life of access tokens. 0: 15 min. Longer saves refreshes; what ends a session still takes effect within seconds.
	AccessTTL time.Duration
	// Mail; nil: there is none, and links are made by the command line.
	Mail Mailer
	// Security is told what speaks of an attack: login_failed, refresh_reused. nil: nobody.
	Security func(kind string)
	// Now is the clock. nil: time.Now.
	Now func() time.Time
	// Log gets what went wrong. nil: none. No secret is ever given to it.
	Log *slog.Logger
}

// Service holds the rules. Its methods may be called from any goroutine.
type Service struct {
	db           *db.DB
	accounts     *account.Service
	secrets      *seal.Ring
	audit        *audit.Log
	standings    *Standings
	registration func() (string, error)
	issuer       string
	publicURL    string
	siteName     string
	accessTTL    time.Duration
	mail         Mailer
	letters      chan letter
	security     func(string)
	now          func() time.Time
	log          *slog.Logger
	keys         keyring
	verified     verified
}

// Lives of what is given out.
const (
	refreshIdle     = 30 * 24 * time.Hour
	refreshAbsolute = 90 * 24 * time.Hour
	// mercy is how long an answer that was lost on the way may be asked for again.
	mercy = 10 * time.Second
	// resetLife and verifyLife are those of links in mails.
	resetLife  = 30 * time.Minute
	verifyLife = 48 * time.Hour
	// tracesLife is how long addresses and agents are kept.
	tracesLife = 30 * 24 * time.Hour
	// maxLetters wait to be sent; more are dropped, and asked for again by who waits for them.
	maxLetters = 64
)

// New makes the service. Signing keys are read or made at once, so that a wrong master key is told at the start.
func New(ctx context.Context, o Options) (*Service, error) {
	if o.DB == nil || o.Accounts == nil || o.Secrets == nil || o.Audit == nil || o.Standings == nil {
		return nil, errors.New("auth: database, accounts, secrets, audit and standings are needed")
	}
	if o.Registration == nil {
		o.Registration = func() (string, error) { return "open", nil }
	}
	if o.SiteName == "" {
		o.SiteName = "mediad"
	}
	if o.Issuer == "" {
		o.Issuer = "mediad"
	}
	if o.AccessTTL == 0 {
		o.AccessTTL = 15 * time.Minute
	}
	if o.Security == nil {
		o.Security = func(string) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Service{
		db: o.DB, accounts: o.Accounts, secrets: o.Secrets, audit: o.Audit, standings: o.Standings, registration: o.Registration, issuer: o.Issuer,
		publicURL: o.PublicURL, siteName: o.SiteName, accessTTL: o.AccessTTL, mail: o.Mail,
		letters: make(chan letter, maxLetters), security: o.Security, now: o.Now, log: o.Log,
	}
	if err := s.turnKeys(ctx); err != nil {
		return nil, fmt.Errorf("auth: signing keys: %w", err)
	}
	return s, nil
}

// sweepInterval is how often Run looks at what has to be renewed or deleted.
const sweepInterval = time.Minute

// Run sends mail, turns signing keys and deletes what has expired, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case l := <-s.letters:
			s.post(ctx, l)
		case <-tick.C:
			if _, err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn("what has expired was not deleted", "error", err)
			}
		}
	}
}

// sweepBatch bounds one transaction of Sweep.
const sweepBatch = 500

// Sweep does once what Run does each minute, and tells how many rows had expired.
func (s *Service) Sweep(ctx context.Context) (gone int64, err error) {
	now := s.now()
	if err := s.turnKeys(ctx); err != nil {
		return 0, err
	}
	err = s.db.Tx(ctx, func(q db.Queries) error {
		// A session is remembered for a week behind its end, so that a stolen token is still known for one.
		logins, err := q.DeleteLogins(db.At(now.Add(-7*24*time.Hour)), sweepBatch)
		gone = int64(logins)
		for _, step := range []struct {
			delete func(db.Millis) (int64, error)
			before time.Time
		}{
			{q.EraseLoginTraces, now.Add(-tracesLife)}, {q.DeleteOneTimeCodes, now.Add(-24 * time.Hour)},
			{q.DeleteLoginFailures, now}, {q.DeleteSigningKeys, now},
		} {
			if err == nil {
				var n int64
				n, err = step.delete(db.At(step.before))
				gone += n
			}
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	return gone, s.audit.SealDays(ctx)
}
