package auth

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"mediad/api/audit"
	"mediad/api/caller"
	"mediad/api/problem"
	"mediad/store/db"
)

const (
	totpPeriod = 30 * time.Second
	// totpSkew is how many steps a clock may be off.
	totpSkew      = 1
	recoveryCodes = 10
)

func totpPurpose(userID string) string { return "totp.secret " + userID }

// SecondFactor is a new one, before it is confirmed. Its secrets are nowhere else.
type SecondFactor struct {
	Secret        string // base32
	URI           string // otpauth://, what a QR code for an app holds
	RecoveryCodes []string
}

// NewTOTP makes a second factor for the caller. It is asked for once ConfirmTOTP has seen a code.
func (s *Service) NewTOTP(ctx context.Context) (SecondFactor, error) {
	who := caller.Of(ctx)
	key, err := totp.Generate(totp.GenerateOpts{
		Issuer: s.siteName, AccountName: who.Username, Period: uint(totpPeriod / time.Second), SecretSize: 20, Algorithm: otp.AlgorithmSHA1, Digits: otp.DigitsSix,
	})
	if err != nil {
		return SecondFactor{}, err
	}
	now := db.At(s.now())
	made := SecondFactor{Secret: key.Secret(), URI: key.URL()}
	rows := make([]db.RecoveryCode, 0, recoveryCodes)
	for range recoveryCodes {
		code := newRecoveryCode()
		id, err := db.NewID()
		if err != nil {
			return SecondFactor{}, err
		}
		made.RecoveryCodes = append(made.RecoveryCodes, code)
		rows = append(rows, db.RecoveryCode{ID: id, UserID: who.UserID, Hash: recoveryHash(who.UserID, code), CreatedAt: now})
	}
	err = s.db.Tx(ctx, func(q db.Queries) error {
		err := q.SaveTOTP(db.TOTP{UserID: who.UserID, SecretEnc: s.secrets.Seal(totpPurpose(who.UserID), key.Secret()), CreatedAt: now})
		if err != nil {
			return err
		}
		return q.ReplaceRecoveryCodes(who.UserID, rows)
	})
	if errors.Is(err, db.ErrDuplicate) {
		p := problem.New(problem.InvalidState, "The account has a second factor. Remove it first.")
		p.State = "enabled"
		return SecondFactor{}, p
	}
	return made, err
}

// ConfirmTOTP turns the second factor on.
func (s *Service) ConfirmTOTP(ctx context.Context, code string) error {
	who := caller.Of(ctx)
	g, err := s.guessing(ctx, who.UserID, who.Username)
	if err != nil {
		return err
	}
	var refusal *problem.Problem
	err = s.db.Tx(ctx, func(q db.Queries) error {
		refusal = nil
		t, err := q.FindTOTP(who.UserID)
		if errors.Is(err, db.ErrNotFound) || err == nil && t.ConfirmedAt != nil {
			refusal = problem.New(problem.InvalidState, "There is no second factor that waits to be confirmed.")
			refusal.State = "none"
			if err == nil {
				refusal.State = "enabled"
			}
			return g.neither(q, s.now())
		}
		if err != nil {
			return err
		}
		ok, err := s.codeFits(q, t, code)
		if err != nil {
			return err
		}
		if !ok {
			refusal = problem.New(problem.TwoFactorInvalid, "The code is wrong. Is the clock of the device right?")
			return nil
		}
		if err := q.ConfirmTOTP(who.UserID, db.At(s.now())); err != nil {
			return err
		}
		if err := g.neither(q, s.now()); err != nil {
			return err
		}
		return s.audit.Add(ctx, q, audit.Entry{Action: "totp.enable", TargetType: "user", TargetID: who.UserID})
	})
	if err == nil && refusal != nil {
		return refusal
	}
	return err
}

// RemoveTOTP turns the second factor off.
func (s *Service) RemoveTOTP(ctx context.Context) error {
	who := caller.Of(ctx)
	err := s.db.Tx(ctx, func(q db.Queries) error {
		if err := q.DeleteTOTP(who.UserID); err != nil {
			return err
		}
		return s.audit.Add(ctx, q, audit.Entry{Action: "totp.disable", TargetType: "user", TargetID: who.UserID})
	})
	if errors.Is(err, db.ErrNotFound) {
		return problem.New(problem.NotFound, "The account has no second factor.")
	}
	return err
}

// ErrNoSecondFactor is returned where a second factor is to be taken off an account that has none.
var ErrNoSecondFactor = errors.New("the account has no second factor")

// ResetTOTP takes the second factor, with its recovery codes, off the account of a user who has lost it. All sessions end: whoever has one may
// be why it is reset.
func (s *Service) ResetTOTP(ctx context.Context, nameOrID string) error {
	u, err := s.accounts.Find(ctx, nameOrID)
	if err != nil {
		return err
	}
	err = s.db.Tx(ctx, func(q db.Queries) error {
		if err := q.DeleteTOTP(u.ID); err != nil {
			return err
		}
		if err := q.EndSessions(u.ID); err != nil {
			return err
		}
		return s.audit.Add(ctx, q, audit.Entry{Action: "totp.reset", TargetType: "user", TargetID: u.ID})
	})
	s.standings.ForgetUser(u.ID)
	if errors.Is(err, db.ErrNotFound) {
		return fmt.Errorf("auth: %s: %w", u.Username, ErrNoSecondFactor)
	}
	return err
}

// secondFactor judges the code that came with a right password; nil if it is right or none is needed.
func (s *Service) secondFactor(q db.Queries, userID, code string) (*problem.Problem, error) {
	t, err := q.FindTOTP(userID)
	if errors.Is(err, db.ErrNotFound) || err == nil && t.ConfirmedAt == nil {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if code == "" {
		return problem.New(problem.TwoFactorRequired, "Send a code of the second factor as totp."), nil
	}
	ok, err := s.codeFits(q, t, code)
	if err == nil && !ok {
		ok, err = q.UseRecoveryCode(userID, recoveryHash(userID, code), db.At(s.now()))
	}
	if err != nil || ok {
		return nil, err
	}
	return problem.New(problem.TwoFactorInvalid, "The code of the second factor is wrong."), nil
}

// codeFits says whether the code is that of a step around now, and uses the step up.
func (s *Service) codeFits(q db.Queries, t db.TOTP, code string) (bool, error) {
	if len(code) != int(otp.DigitsSix) {
		return false, nil
	}
	secret, err := s.secrets.Open(totpPurpose(t.UserID), t.SecretEnc)
	if err != nil {
		return false, err
	}
	now := s.now().Unix() / int64(totpPeriod/time.Second)
	for step := now - totpSkew; step <= now+totpSkew; step++ {
		want, err := totp.GenerateCodeCustom(secret, time.Unix(step*int64(totpPeriod/time.Second), 0), totp.ValidateOpts{
			Period: uint(totpPeriod / time.Second), Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1,
		})
		if err != nil {
			return false, err
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			return q.UseTOTPStep(t.UserID, step)
		}
	}
	return false, nil
}
