// Package token makes and reads playback tokens: what stands in the path of what is not public, so that media can be cached although not
// everybody may have it (api.md 4.5).
//
//	byte  0     form 1 in the upper four bits, cohort in the lower
//	      1–4   policy epoch of the item
//	      5–7   expiry, in whole hours since 1970
//	      8–23  the first half of HMAC-SHA256(key, domain | kind | bytes 0–7 | id)
//
// in base64url, 32 characters without padding: one spelling a token. It names no viewer: all of one cohort who ask within one hour have the same.
// Kind and id are not in it, as the path has them; a token of one item is none of another.
package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash"
	"time"
)

// Length is how many characters a token has.
const Length = 32

const (
	form     = 1
	bodySize = 8
	macSize  = 16
	size     = bodySize + macSize
	domain   = "mediad playback\n"
	maxHours = 1<<24 - 1
)

// Kind is what a token is for.
type Kind byte

// The kinds of items.
const (
	Live Kind = 'l' // a stream
	VOD  Kind = 'v' // a video
)

// Cohort is who may watch.
type Cohort byte

// The cohorts; zero is none.
const (
	Followers Cohort = 1 // of the owner
	Private   Cohort = 2 // the owner, and who moderates the site
)

// Token is what a token says. It is worth nothing until a Ring has verified it.
type Token struct {
	Cohort Cohort
	// Epoch is the item's when the token was made: it rises with each change of who may watch.
	Epoch uint32
	// Expiry is a full hour.
	Expiry time.Time

	body [bodySize]byte
	mac  [macSize]byte
}

// Parse reads a token. What it says is not verified.
func Parse(s string) (t Token, ok bool) {
	if len(s) != Length {
		return Token{}, false
	}
	var raw [size]byte
	// A string on the stack: the decoder keeps nothing of it.
	var text [Length]byte
	copy(text[:], s)
	// Strict has nothing to do here: 32 characters have no bits over. It refuses line ends, which the decoder skips, by the length.
	if n, err := base64.RawURLEncoding.Decode(raw[:], text[:]); err != nil || n != size {
		return Token{}, false
	}
	if raw[0]>>4 != form {
		return Token{}, false
	}
	t.Cohort = Cohort(raw[0] & 15)
	if t.Cohort != Followers && t.Cohort != Private {
		return Token{}, false
	}
	t.Epoch = binary.BigEndian.Uint32(raw[1:5])
	hours := int64(raw[5])<<16 | int64(raw[6])<<8 | int64(raw[7])
	t.Expiry = time.Unix(hours*3600, 0).UTC()
	copy(t.body[:], raw[:bodySize])
	copy(t.mac[:], raw[bodySize:])
	return t, true
}

// Bucket is the expiry of a token that is to be good for at least lifetime: what is asked for within one hour expires together.
func Bucket(now time.Time, lifetime time.Duration) time.Time {
	at := now.Add(lifetime).UTC()
	full := at.Truncate(time.Hour)
	if full.Before(at) {
		full = full.Add(time.Hour)
	}
	return full
}

// Ring signs with its first key and verifies with all. Its methods may be called from any goroutine.
type Ring struct{ keys []*key }

// key keeps HMACs that were made ready, as many as are at work at once: to make one costs more than to use it.
type key struct {
	secret []byte
	ready  chan *state
}

// maxReady is how many are kept. More are made and let go.
const maxReady = 64

type state struct {
	mac hash.Hash
	in  []byte
	sum [sha256.Size]byte
}

// ErrKeys says that there is no key, or one that is too short.
var ErrKeys = errors.New("token: a key has 32 bytes or more, and there is one at least")

// NewRing makes a ring of keys, the newest first.
func NewRing(keys ...[]byte) (*Ring, error) {
	if len(keys) == 0 {
		return nil, ErrKeys
	}
	r := &Ring{}
	for _, secret := range keys {
		if len(secret) < sha256.Size {
			return nil, ErrKeys
		}
		r.keys = append(r.keys, &key{secret: secret, ready: make(chan *state, maxReady)})
	}
	return r, nil
}

// Make makes the token of an item. The expiry is a full hour, as Bucket gives it.
func (r *Ring) Make(kind Kind, id string, c Cohort, epoch uint32, expiry time.Time) string {
	var raw [size]byte
	raw[0] = form<<4 | byte(c)&15
	binary.BigEndian.PutUint32(raw[1:5], epoch)
	hours := min(max(expiry.Unix()/3600, 0), maxHours)
	raw[5], raw[6], raw[7] = byte(hours>>16), byte(hours>>8), byte(hours)
	mac := r.keys[0].sign(kind, id, [bodySize]byte(raw[:bodySize]))
	copy(raw[bodySize:], mac[:])
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

// Verify says whether the token was made with one of the keys for this item.
func (r *Ring) Verify(t Token, kind Kind, id string) bool {
	for _, k := range r.keys {
		if mac := k.sign(kind, id, t.body); subtle.ConstantTimeCompare(mac[:], t.mac[:]) == 1 {
			return true
		}
	}
	return false
}

func (k *key) sign(kind Kind, id string, body [bodySize]byte) (mac [macSize]byte) {
	var s *state
	select {
	case s = <-k.ready:
		s.mac.Reset()
	default:
		s = &state{mac: hmac.New(sha256.New, k.secret)}
	}
	// All that stands in front of the id has a fixed length.
	s.in = append(append(append(append(s.in[:0], domain...), byte(kind)), body[:]...), id...)
	s.mac.Write(s.in) // never fails
	copy(mac[:], s.mac.Sum(s.sum[:0]))
	select {
	case k.ready <- s:
	default:
	}
	return mac
}
