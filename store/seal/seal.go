// Package seal keeps secrets at rest: what is sealed can be read by the site alone, and nothing of it by who has a copy of the database.
//
//	master keys, newest first ──HKDF──► per key: cipher (AES-256-GCM) · index (HMAC-SHA256) · derived keys
//
//	Seal   newest key                      v1.KEYID.base64url(nonce | ciphertext | tag)
//	Open   the key that KEYID names
//	Index  equal values, equal texts: a value that is sealed can be found by it (a blind index)
//
// The text's purpose is authenticated with it, so a sealed value cannot be moved to another row or column. Keys are rotated by putting
// a new one in front: it seals from then on, and the others still open.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// What a caller may branch on; each is returned wrapped.
var (
	// ErrKey: the text was sealed with a key that is not in the ring.
	ErrKey = errors.New("seal: sealed with a key that is not known")
	// ErrSealed: the text was altered, or belongs to another purpose.
	ErrSealed = errors.New("seal: not sealed by us for this purpose")
)

const (
	version = "v1"
	// MinKey is the shortest master key in bytes.
	MinKey = 32
	// maxSealed bounds what Open looks at; nothing that we seal comes near.
	maxSealed = 64 << 10
)

// Ring holds the master keys, newest first. Its methods may be called from any goroutine.
type Ring struct{ keys []key }

type key struct {
	id     string
	master []byte
	aead   cipher.AEAD
	index  []byte
}

// New makes a ring of master keys, the newest first; each has at least MinKey bytes.
func New(masters ...[]byte) (*Ring, error) {
	if len(masters) == 0 {
		return nil, errors.New("seal: no key")
	}
	r := &Ring{}
	for _, master := range masters {
		k, err := newKey(master)
		if err != nil {
			return nil, err
		}
		r.keys = append(r.keys, k)
	}
	return r, nil
}

func newKey(master []byte) (key, error) {
	if len(master) < MinKey {
		return key{}, fmt.Errorf("seal: a key has %d bytes, want %d or more", len(master), MinKey)
	}
	k := key{master: master}
	id, err := expand(master, "id", 4)
	if err != nil {
		return key{}, err
	}
	k.id = hex.EncodeToString(id)
	secret, err := expand(master, "cipher", 32)
	if err != nil {
		return key{}, err
	}
	if k.index, err = expand(master, "index", 32); err != nil {
		return key{}, err
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return key{}, fmt.Errorf("seal: %w", err)
	}
	if k.aead, err = cipher.NewGCM(block); err != nil {
		return key{}, fmt.Errorf("seal: %w", err)
	}
	return k, nil
}

func expand(master []byte, purpose string, bytes int) ([]byte, error) {
	out, err := hkdf.Key(sha256.New, master, nil, "mediad "+purpose, bytes)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return out, nil
}

// Seal seals plain for a purpose such as "users.email ID".
func (r *Ring) Seal(purpose, plain string) string {
	k := r.keys[0]
	nonce := make([]byte, k.aead.NonceSize(), k.aead.NonceSize()+len(plain)+k.aead.Overhead())
	rand.Read(nonce) // never fails
	sealed := k.aead.Seal(nonce, nonce, []byte(plain), additional(k.id, purpose))
	return version + "." + k.id + "." + base64.RawURLEncoding.EncodeToString(sealed)
}

// Open reads what Seal made for the same purpose.
func (r *Ring) Open(purpose, sealed string) (string, error) {
	if len(sealed) > maxSealed {
		return "", fmt.Errorf("%w: %d bytes", ErrSealed, len(sealed))
	}
	rest, ok := strings.CutPrefix(sealed, version+".")
	id, text, found := strings.Cut(rest, ".")
	if !ok || !found {
		return "", fmt.Errorf("%w: another form", ErrSealed)
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return "", fmt.Errorf("%w: another form", ErrSealed)
	}
	for _, k := range r.keys {
		if k.id != id {
			continue
		}
		if len(raw) < k.aead.NonceSize() {
			return "", fmt.Errorf("%w: too short", ErrSealed)
		}
		plain, err := k.aead.Open(nil, raw[:k.aead.NonceSize()], raw[k.aead.NonceSize():], additional(id, purpose))
		if err != nil {
			return "", fmt.Errorf("%w: altered, or of another purpose", ErrSealed)
		}
		return string(plain), nil
	}
	return "", fmt.Errorf("%w: %s", ErrKey, id)
}

func additional(id, purpose string) []byte { return []byte(version + "\n" + id + "\n" + purpose) }

// Newest says whether a sealed text, or an index that Indexes gave, needs no renewal: it was made with the newest key.
func (r *Ring) Newest(sealed string) bool {
	return strings.HasPrefix(sealed, version+"."+r.keys[0].id+".") || strings.HasPrefix(sealed, r.keys[0].id+".")
}

// Keys is how many master keys there are.
func (r *Ring) Keys() int { return len(r.keys) }

// Index is the blind index of a value, as it is stored: equal for equal values of a purpose, and saying nothing of them.
func (r *Ring) Index(purpose, value string) string { return r.keys[0].blind(purpose, value) }

// Indexes are those that older keys gave the value too. A row is looked for by any of them.
func (r *Ring) Indexes(purpose, value string) []string {
	all := make([]string, 0, len(r.keys))
	for _, k := range r.keys {
		all = append(all, k.blind(purpose, value))
	}
	return all
}

func (k key) blind(purpose, value string) string {
	return k.id + "." + base64.RawURLEncoding.EncodeToString(mac(k.index, purpose, value))
}

// Derive makes 32 bytes out of a purpose and a value, one for each master key, the newest first.
func (r *Ring) Derive(purpose, value string) [][]byte {
	all := make([][]byte, 0, len(r.keys))
	for _, k := range r.keys {
		all = append(all, mac(mac(k.index, "derive", purpose), purpose, value))
	}
	return all
}

func mac(secret []byte, purpose, value string) []byte {
	h := hmac.New(sha256.New, secret)
	// The length keeps the end of the one from being taken for the begin of the other.
	fmt.Fprintf(h, "%d\n%s%s", len(purpose), purpose, value)
	return h.Sum(nil)
}

// KeyID is the id of the master key that a text was sealed with; "": it was not sealed.
func KeyID(sealed string) string {
	rest, ok := strings.CutPrefix(sealed, version+".")
	id, _, found := strings.Cut(rest, ".")
	if !ok || !found {
		return ""
	}
	return id
}

// Has says whether the ring has the master key of an id.
func (r *Ring) Has(id string) bool {
	return slices.ContainsFunc(r.keys, func(k key) bool { return k.id == id })
}
