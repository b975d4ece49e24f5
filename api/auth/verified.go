package auth

import (
	"crypto/sha256"
	"sync"
	"time"
)

// maxVerified bounds half of the tokens that are remembered: some 4 MB together.
const maxVerified = 8192

// verified remembers what access tokens claim whose signature was found good, as that takes longer than all the rest of a read. Who holds one sends
// it with each call until it expires. Tokens themselves are not kept.
type verified struct {
	mu         sync.Mutex // guards the following
	young, old map[[sha256.Size]byte]verifiedToken
}

type verifiedToken struct {
	claims claims
	key    signingKey
}

// get tells what a token claims that was found good and has not expired, as long as its key is still one of those that verify.
func (v *verified) get(text string, now time.Time, find func(keyID string) (signingKey, bool)) (claims, bool) {
	name := sha256.Sum256([]byte(text))
	v.mu.Lock()
	one, ok := v.young[name]
	if !ok {
		if one, ok = v.old[name]; ok {
			v.keep(name, one)
		}
	}
	v.mu.Unlock()
	if !ok || !now.Before(one.claims.ExpiresAt.Time) || now.Before(one.claims.IssuedAt.Time) {
		return claims{}, false
	}
	key, ok := find(one.key.id)
	return one.claims, ok && key.public.Equal(one.key.public)
}

// put remembers a token that was found good.
func (v *verified) put(text string, c claims, key signingKey) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.keep(sha256.Sum256([]byte(text)), verifiedToken{c, signingKey{id: key.id, public: key.public}})
}

// keep makes a token young; mu is held. What is not asked for until the young ones are full again goes with the old ones.
func (v *verified) keep(name [sha256.Size]byte, one verifiedToken) {
	if v.young == nil || len(v.young) >= maxVerified {
		v.young, v.old = map[[sha256.Size]byte]verifiedToken{}, v.young
	}
	v.young[name] = one
}
