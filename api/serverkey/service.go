// Package serverkey lets other servers call: an admin makes a key and a secret, and each request is signed with it.
//
//	Authorization: MEDIAD-HMAC-SHA256-V1 key=…,ts=…,nonce=…,sig=…
//	       └► form ─► ts within 300 s ─► key, signature in constant time ─► nonce new for 600 s, on all nodes ─► caller.Caller
//
// Files: service.go (keys, Verify), known.go (those looked up lately), signature.go (header and the string that is signed), http.go (routes of admins).
package serverkey

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"log/slog"
	"strings"
	"time"

	"mediad/api/account"
	"mediad/api/audit"
	"mediad/api/caller"
	"mediad/api/problem"
	"mediad/api/text"
	"mediad/store/db"
	"mediad/store/seal"
	"mediad/store/sweep"
)

const (
	idPrefix     = "mdk_"
	secretPrefix = "mdh_"
	// skew is how far a request's time may lie from ours.
	skew = 300 * time.Second
	// nonceLife is as long as a signature can be good: sent skew too early, used skew too late.
	nonceLife = 600 * time.Second
	// touchEvery is how exactly the last use is known.
	touchEvery = time.Minute
	// MaxLabel in characters.
	MaxLabel = 60
)

// Options of New.
type Options struct {
	DB      *db.DB
	Secrets *seal.Ring
	Audit   *audit.Log
	// Security is told what speaks of an attack: signature_invalid, nonce_reused. nil: nobody.
	Security func(kind string)
	// Now is the clock. nil: time.Now.
	Now func() time.Time
	// Log; nil: none.
	Log *slog.Logger
}

// Service holds the rules. Its methods may be called from any goroutine.
type Service struct {
	o     Options
	known known
}

// New makes the service.
func New(o Options) *Service {
	if o.Security == nil {
		o.Security = func(string) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{o: o, known: known{now: o.Now, keys: map[string]knownKey{}}}
}

// KeyID is what a row's key is called in headers.
func KeyID(rowID string) string { return idPrefix + strings.ReplaceAll(rowID, "-", "") }

// rowID is the other way round; "" if the text is no key's name.
func rowID(key string) string {
	hex, ok := strings.CutPrefix(key, idPrefix)
	if !ok || len(hex) != 32 {
		return ""
	}
	return hex[:8] + "-" + hex[8:12] + "-" + hex[12:16] + "-" + hex[16:20] + "-" + hex[20:]
}

func purpose(id string) string { return "server_keys.secret " + id }

// Create makes a key. The secret is shown once.
func (s *Service) Create(ctx context.Context, label string) (row db.ServerKey, secret string, err error) {
	if label = text.Line(label); label == "" || text.Len(label) > MaxLabel {
		var bad account.Invalid
		code := "too_long"
		if label == "" {
			code = "too_short"
		}
		bad.Add("label", code, "1 to 60 characters", MaxLabel)
		return row, "", &bad
	}
	id, err := db.NewID()
	if err != nil {
		return row, "", err
	}
	var b [32]byte
	rand.Read(b[:]) // never fails
	secret = secretPrefix + base64.RawURLEncoding.EncodeToString(b[:])
	row = db.ServerKey{
		ID: id, Label: label, SecretEnc: s.o.Secrets.Seal(purpose(id), secret), Hint: secret[len(secret)-4:],
		CreatedBy: caller.Of(ctx).UserID, CreatedAt: db.At(s.o.Now()),
	}
	err = s.o.DB.Tx(ctx, func(q db.Queries) error {
		if err := q.CreateServerKey(row); err != nil {
			return err
		}
		return s.o.Audit.Add(ctx, q, audit.Entry{
			Action: "server_key.create", TargetType: "server_key", TargetID: id, After: map[string]any{"label": label},
		})
	})
	return row, secret, err
}

// List lists the newest first, with ids smaller than before.
func (s *Service) List(ctx context.Context, before string, limit int) ([]db.ServerKey, error) {
	return s.o.DB.Read(ctx).ListServerKeys(before, limit)
}

// Get finds a key that is there, by the id of its row.
func (s *Service) Get(ctx context.Context, id string) (db.ServerKey, error) {
	row, err := s.o.DB.Read(ctx).FindServerKey(id)
	if errors.Is(err, db.ErrNotFound) {
		return row, noKey()
	}
	return row, err
}

func noKey() error { return problem.New(problem.NotFound, "There is no such server key.") }

// Delete ends a key at once.
func (s *Service) Delete(ctx context.Context, id string) error {
	err := s.o.DB.Tx(ctx, func(q db.Queries) error {
		if err := q.DeleteServerKey(id); err != nil {
			return err
		}
		return s.o.Audit.Add(ctx, q, audit.Entry{Action: "server_key.delete", TargetType: "server_key", TargetID: id})
	})
	s.known.forget(id)
	if errors.Is(err, db.ErrNotFound) {
		return noKey()
	}
	return err
}

// Stranger says whether a header names a key that Verify would have to look up, and that was none of ours before.
func (s *Service) Stranger(header string) bool {
	_, rest, _ := strings.Cut(header, " ")
	given, ok := parse(strings.TrimSpace(rest))
	return ok && !s.known.good(rowID(given.key))
}

// find looks a key up, or remembers that of some seconds ago.
func (s *Service) find(ctx context.Context, id string) (db.ServerKey, error) {
	if one, ok := s.known.get(id); ok {
		return one.row, one.err
	}
	row, err := s.o.DB.Read(ctx).FindServerKey(id)
	if err == nil || errors.Is(err, db.ErrNotFound) {
		s.known.put(id, row, err)
	}
	return row, err
}

// Request is what was signed.
type Request struct {
	Method string
	Target string // path as sent, and the query behind a question mark
	Body   []byte
}

// Signed says whether a header is of our scheme.
func Signed(header string) bool {
	scheme, _, _ := strings.Cut(header, " ")
	return strings.EqualFold(scheme, Scheme)
}

// Verify finds out which key signed a request. What it refuses is a problem.
func (s *Service) Verify(ctx context.Context, header string, r Request) (caller.Caller, error) {
	_, rest, _ := strings.Cut(header, " ")
	given, ok := parse(strings.TrimSpace(rest))
	if !ok {
		return s.invalid()
	}
	now := s.o.Now()
	// Not in whole seconds: a signature from the future would be good for a part of one longer than its nonce is known.
	if age := now.Sub(time.Unix(given.ts, 0)); age > skew || age < -skew {
		return caller.Caller{}, problem.New(problem.SignatureExpired, "The signature's time is more than 300 s from the server's. Set the clock, and sign again.")
	}
	signed, ok := canonical(given.ts, given.nonce, r.Method, r.Target, r.Body)
	if !ok {
		return s.invalid()
	}
	row, err := s.find(ctx, rowID(given.key))
	unknown := errors.Is(err, db.ErrNotFound)
	if err != nil && !unknown {
		return caller.Caller{}, err
	}
	secret := "unknown" // is compared with as well, so that an unknown key takes as long as a known one
	if !unknown {
		if secret, err = s.o.Secrets.Open(purpose(row.ID), row.SecretEnc); err != nil {
			return caller.Caller{}, err
		}
	}
	if !hmac.Equal(mac(secret, signed), given.sig) || unknown {
		return s.invalid()
	}
	fresh := false
	err = s.o.DB.Tx(ctx, func(q db.Queries) (err error) {
		if row, err = q.FindServerKey(row.ID); err != nil { // what was remembered may have ended
			return err
		}
		if fresh, err = q.UseNonce(row.ID, given.nonce, db.At(now), db.At(now.Add(nonceLife))); err != nil || !fresh {
			return err
		}
		if row.LastUsedAt != nil && now.Sub(row.LastUsedAt.Time()) < touchEvery {
			return nil
		}
		return q.TouchServerKey(row.ID, db.At(now))
	})
	switch {
	case errors.Is(err, db.ErrNotFound): // deleted meanwhile
		s.known.forget(rowID(given.key))
		return s.invalid()
	case err != nil:
		return caller.Caller{}, err
	case !fresh:
		s.o.Security("nonce_reused")
		return caller.Caller{}, problem.New(problem.NonceReused, "The nonce was used before. Sign each request with a new one.")
	}
	return caller.Caller{Via: caller.Key, KeyID: row.ID}, nil
}

func (s *Service) invalid() (caller.Caller, error) {
	s.o.Security("signature_invalid")
	return caller.Caller{}, problem.New(problem.SignatureInvalid, "The signature is not valid.")
}

// sweepInterval is how often Run deletes.
const sweepInterval = time.Minute

// Run deletes nonces that have expired, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	return sweep.Each(ctx, sweepInterval, s.o.Log, "nonces that have expired were not deleted", s.Sweep)
}

// Sweep deletes nonces that nobody can use any more, and tells how many.
func (s *Service) Sweep(ctx context.Context) (gone int64, err error) {
	err = s.o.DB.Tx(ctx, func(q db.Queries) (err error) {
		gone, err = q.DeleteNonces(db.At(s.o.Now()))
		return err
	})
	return gone, err
}
