package stream

import (
	"sync"
	"time"

	"mediad/store/db"
)

// opener is what a publisher's key was found to open. Where ingest is open the key is a name, and Key and Owner are empty: whoever knows the
// name may publish.
type opener struct {
	Key    db.StreamKey
	Stream db.Stream
	Owner  db.User
}

// keyCache remembers what keys opened, for when the database is away. Nothing is served from it while the database
// answers, so a stale entry can do no harm longer than the outage lasts.
type keyCache struct {
	max int

	mu     sync.Mutex // guards byHash
	byHash map[string]cachedKey
}

type cachedKey struct {
	opener
	checked time.Time
	// onAir keys belong to a session that lasts: they are good for its return however long the database is away.
	onAir bool
}

func newKeyCache(size int) keyCache { return keyCache{max: size, byHash: map[string]cachedKey{}} }

func (c *keyCache) put(hash string, o opener, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old, known := c.byHash[hash]
	if !known && len(c.byHash) >= c.max && !c.evict() {
		return
	}
	c.byHash[hash] = cachedKey{opener: o, checked: now, onAir: old.onAir}
}

// evict drops the entry checked longest ago that is not on air; mu is held. It looks at each entry, which happens only
// when a key publishes that did not lately.
func (c *keyCache) evict() bool {
	oldest, found := "", false
	for hash, k := range c.byHash {
		if !k.onAir && (!found || k.checked.Before(c.byHash[oldest].checked)) {
			oldest, found = hash, true
		}
	}
	delete(c.byHash, oldest)
	return found
}

// get returns what is good without the database.
func (c *keyCache) get(hash string, now time.Time) (opener, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, known := c.byHash[hash]
	if !known || !k.onAir && now.Sub(k.checked) > keyGrace {
		return opener{}, false
	}
	return k.opener, true
}

func (c *keyCache) forget(hash string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.byHash, hash)
}

func (c *keyCache) forgetStream(streamID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for hash, k := range c.byHash {
		if k.Stream.ID == streamID {
			delete(c.byHash, hash)
		}
	}
}

// setOnAir marks exactly the entries whose grants are on air. A session without a publisher has no key at the moment;
// each key remembered of its stream may be the one that returns.
func (c *keyCache) setOnAir(onAir map[Grant]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for hash, k := range c.byHash {
		k.onAir = onAir[Grant{StreamID: k.Stream.ID, KeyID: k.Key.ID}] || onAir[Grant{StreamID: k.Stream.ID}]
		c.byHash[hash] = k
	}
}

// grants are those of all entries.
func (c *keyCache) grants() []Grant {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]Grant, 0, len(c.byHash))
	for _, k := range c.byHash {
		all = append(all, k.grant())
	}
	return all
}

// forgetGrant drops the entries of a key, or of a stream's name where there is no key.
func (c *keyCache) forgetGrant(g Grant) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for hash, k := range c.byHash {
		if k.Stream.ID == g.StreamID && k.Key.ID == g.KeyID {
			delete(c.byHash, hash)
		}
	}
}

func (c *keyCache) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.byHash)
}
