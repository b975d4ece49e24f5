package account

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"strings"

	"mediad/store/db"
)

// maxEmail is the longest address that can be delivered to (RFC 5321).
const maxEmail = 254

// emailPurpose names the column to the seal.
const emailPurpose = "users.email"

// Email checks an address and lower-cases its domain; "" is none.
func Email(address string) (string, error) {
	address = strings.TrimSpace(address)
	if address == "" {
		return "", nil
	}
	parsed, err := mail.ParseAddress(address)
	at := strings.LastIndexByte(address, '@')
	if err != nil || parsed.Address != address || parsed.Name != "" || len(address) > maxEmail || at < 1 || strings.ContainsAny(address, " \t\r\n\"\\") ||
		!strings.Contains(address[at+1:], ".") {
		return "", fmt.Errorf("account: %w", ErrEmail)
	}
	return address[:at+1] + strings.ToLower(address[at+1:]), nil
}

// setEmail seals the address into u, or clears it; it is not verified then.
func (s *Service) setEmail(u *db.User, email string) error {
	if email == "" {
		u.EmailEnc, u.EmailBidx, u.EmailVerifiedAt = "", nil, nil
		return nil
	}
	if s.secrets == nil {
		return errors.New("account: addresses need a key to seal them")
	}
	index := s.secrets.Index(emailPurpose, strings.ToLower(email))
	u.EmailEnc, u.EmailBidx, u.EmailVerifiedAt = s.secrets.Seal(emailPurpose+" "+u.ID, email), &index, nil
	return nil
}

// emailFree gives an address that another account has its error.
func (s *Service) emailFree(q db.Queries, email, userID string) error {
	if email == "" {
		return nil
	}
	other, err := q.FindUserByEmail(s.secrets.Indexes(emailPurpose, strings.ToLower(strings.TrimSpace(email))))
	switch {
	case errors.Is(err, db.ErrNotFound), err == nil && other.ID == userID:
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("account: %w", ErrEmailTaken)
}

// EmailOf opens the user's address; "" if there is none.
func (s *Service) EmailOf(u db.User) (string, error) {
	if u.EmailEnc == "" {
		return "", nil
	}
	email, err := s.secrets.Open(emailPurpose+" "+u.ID, u.EmailEnc)
	if err != nil {
		return "", fmt.Errorf("account: address of %s: %w", u.ID, err)
	}
	return email, nil
}

// LoginName is the one spelling of what somebody types to sign in: FindLogin finds the same by both.
func LoginName(typed string) string { return strings.ToLower(strings.TrimSpace(typed)) }

// FindLogin finds by username or by address, both in any case.
func (s *Service) FindLogin(ctx context.Context, login string) (db.User, error) {
	login = LoginName(login)
	if !strings.Contains(login, "@") || s.secrets == nil {
		if !usernameRule.MatchString(login) {
			return db.User{}, fmt.Errorf("account: %w", ErrNotFound)
		}
		u, err := s.db.Read(ctx).FindUserByName(login)
		return u, found(err)
	}
	u, err := s.db.Read(ctx).FindUserByEmail(s.secrets.Indexes(emailPurpose, login))
	return u, found(err)
}

// MaskEmail shows enough of an address for its owner to know it: a***e@e***.com.
func MaskEmail(email string) string {
	name, domain, ok := strings.Cut(email, "@")
	if !ok {
		return ""
	}
	dot := strings.LastIndexByte(domain, '.')
	if dot < 0 {
		dot = len(domain)
	}
	return ends(name) + "@" + firstOf(domain[:dot]) + domain[dot:]
}

func ends(s string) string {
	r := []rune(s)
	if len(r) < 2 {
		return "***"
	}
	return string(r[0]) + "***" + string(r[len(r)-1])
}

func firstOf(s string) string {
	for _, r := range s {
		return string(r) + "***"
	}
	return "***"
}
