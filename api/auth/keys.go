package auth

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"mediad/api/caller"
	"mediad/store/db"
)

const (
	// audience of every access token.
	audience = "mediad"
	// keyLife is how long a key signs.
	keyLife = 30 * 24 * time.Hour
	// keyLead is how long a new key is shown before it signs, so that who keeps the list for a while knows it by then.
	keyLead = 10 * time.Minute
	// keyReload bounds how often tokens of unknown keys make the list be read again.
	keyReload = 5 * time.Second
)

// keyring holds the signing keys as they were read last.
type keyring struct {
	mu     sync.Mutex // guards the following
	keys   []signingKey
	loaded time.Time
}

type signingKey struct {
	id        string
	public    ed25519.PublicKey
	private   ed25519.PrivateKey
	signsFrom time.Time
}

// claims of an access token.
type claims struct {
	jwt.RegisteredClaims
	// Audience stands in the place of the library's, which writes a list even of one.
	Audience  audiences   `json:"aud"`
	SessionID string      `json:"sid"`
	Role      caller.Role `json:"role"`
}

// GetAudience implements jwt.Claims.
func (c claims) GetAudience() (jwt.ClaimStrings, error) { return jwt.ClaimStrings(c.Audience), nil }

// audiences is written as a text, where it is one, and read as a text or a list.
type audiences jwt.ClaimStrings

// MarshalJSON implements json.Marshaler.
func (a audiences) MarshalJSON() ([]byte, error) {
	if len(a) == 1 {
		return json.Marshal(a[0])
	}
	return json.Marshal([]string(a))
}

// UnmarshalJSON implements json.Unmarshaler.
func (a *audiences) UnmarshalJSON(b []byte) error { return (*jwt.ClaimStrings)(a).UnmarshalJSON(b) }

func keyPurpose(id string) string { return "signing_keys.private " + id }

// turnKeys makes the first key, and a new one when the newest is old, and reads them all.
func (s *Service) turnKeys(ctx context.Context) error {
	now := s.now()
	rows, err := s.db.Read(ctx).ListSigningKeys(db.At(now))
	if err != nil {
		return err
	}
	if len(rows) == 0 || now.Sub(rows[len(rows)-1].SignsFrom.Time()) >= keyLife-keyLead {
		if err := s.rotateKey(ctx, len(rows) > 0, true); err != nil {
			return err
		}
	}
	return s.loadKeys(ctx)
}

// RotateKey makes a new signing key. It signs in ten minutes; the former ones verify until the last token of theirs has expired.
func (s *Service) RotateKey(ctx context.Context) error {
	if err := s.rotateKey(ctx, true, false); err != nil {
		return err
	}
	return s.loadKeys(ctx)
}

// rotateKey makes a key. later: it signs after keyLead, as there is another until then. due: only if it still has to be made when its turn comes.
func (s *Service) rotateKey(ctx context.Context, later, due bool) error {
	now := s.now()
	id, err := db.NewID()
	if err != nil {
		return err
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	from := now
	if later {
		from = now.Add(keyLead)
	}
	row := db.SigningKey{
		ID: id, PublicKey: base64.RawURLEncoding.EncodeToString(public), CreatedAt: db.At(now), SignsFrom: db.At(from),
		PrivateEnc: s.secrets.Seal(keyPurpose(id), string(private.Seed())),
	}
	return s.db.Tx(ctx, func(q db.Queries) error {
		rows, err := q.ListSigningKeys(db.At(now))
		if err != nil {
			return err
		}
		if due && len(rows) > 0 && now.Sub(rows[len(rows)-1].SignsFrom.Time()) < keyLife-keyLead {
			return nil // another node was quicker
		}
		if err := q.RetireSigningKeys(db.At(from.Add(s.accessTTL + time.Minute))); err != nil {
			return err
		}
		return q.CreateSigningKey(row)
	})
}

func (s *Service) loadKeys(ctx context.Context) error {
	rows, err := s.db.Read(ctx).ListSigningKeys(db.At(s.now()))
	if err != nil {
		return err
	}
	keys := make([]signingKey, 0, len(rows))
	for _, row := range rows {
		seed, err := s.secrets.Open(keyPurpose(row.ID), row.PrivateEnc)
		if err != nil {
			return fmt.Errorf("key %s: %w", row.ID, err)
		}
		if len(seed) != ed25519.SeedSize {
			return fmt.Errorf("key %s: %d bytes", row.ID, len(seed))
		}
		private := ed25519.NewKeyFromSeed([]byte(seed))
		keys = append(keys, signingKey{id: row.ID, private: private, public: private.Public().(ed25519.PublicKey), signsFrom: row.SignsFrom.Time()})
	}
	s.keys.mu.Lock()
	defer s.keys.mu.Unlock()
	s.keys.keys, s.keys.loaded = keys, s.now()
	return nil
}

// signer is the newest key whose time has come.
func (k *keyring) signer(now time.Time) (signingKey, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var best signingKey
	for _, one := range k.keys {
		if !one.signsFrom.After(now) && (best.id == "" || one.signsFrom.After(best.signsFrom)) {
			best = one
		}
	}
	return best, best.id != ""
}

func (k *keyring) find(id string) (signingKey, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, one := range k.keys {
		if one.id == id {
			return one, true
		}
	}
	return signingKey{}, false
}

func (k *keyring) stale(now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return now.Sub(k.loaded) >= keyReload
}

// all lists the keys that verify.
func (k *keyring) all() []signingKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]signingKey(nil), k.keys...)
}

// sign makes an access token.
func (s *Service) sign(u db.User, sessionID string) (string, error) {
	now := s.now()
	key, ok := s.keys.signer(now)
	if !ok {
		return "", errors.New("auth: no key signs")
	}
	id, err := db.NewID()
	if err != nil {
		return "", err
	}
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: s.issuer, Subject: u.ID, ID: id,
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(s.accessTTL)),
		},
		Audience: audiences{audience}, SessionID: sessionID, Role: caller.Role(u.Role),
	})
	token.Header["kid"] = key.id
	return token.SignedString(key.private)
}

// verify reads an access token; jwt.ErrTokenExpired for one that was good.
func (s *Service) verify(ctx context.Context, text string) (claims, error) {
	if c, ok := s.verified.get(text, s.now(), s.keys.find); ok {
		return c, nil
	}
	c, key, err := s.check(ctx, text)
	if err == nil && c.IssuedAt != nil {
		s.verified.put(text, c, key)
	}
	return c, err
}

// check looks at the signature and all that a token claims.
func (s *Service) check(ctx context.Context, text string) (c claims, key signingKey, err error) {
	_, err = jwt.ParseWithClaims(text, &c, func(t *jwt.Token) (any, error) {
		kid, _ := t.Header["kid"].(string)
		var ok bool
		key, ok = s.keys.find(kid)
		if !ok && s.keys.stale(s.now()) {
			if err := s.loadKeys(ctx); err != nil {
				return nil, err
			}
			key, ok = s.keys.find(kid)
		}
		if !ok {
			return nil, errors.New("signed with an unknown key")
		}
		return key.public, nil
	}, jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}), jwt.WithAudience(audience), jwt.WithIssuer(s.issuer),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithStrictDecoding(), jwt.WithTimeFunc(s.now))
	return c, key, err
}
