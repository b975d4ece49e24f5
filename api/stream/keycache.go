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
	// doubted entries are asked about next: another node has changed something of their stream. Until then they open nothing new.
	doubted bool
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
	if !known || !k.onAir && (k.doubted || now.Sub(k.checked) > keyGrace) {
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
	c.forgetIf(func(k cachedKey) bool { return k.Stream.ID == streamID })
}

func (c *keyCache) forgetIf(gone func(k cachedKey) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for hash, k := range c.byHash {
		if gone(k) {
			delete(c.byHash, hash)
		}
	}
}

// change changes the entries of a stream by what is known to be stored: the keys themselves stay as good as the database has them.
func (c *keyCache) change(streamID string, to func(k *cachedKey)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for hash, k := range c.byHash {
		if k.Stream.ID == streamID {
			to(&k)
			c.byHash[hash] = k
		}
	}
}

// edited puts a stream's new row in the place of an older one. A name that it has no more opens nothing.
func (c *keyCache) edited(row db.Stream) {
	c.forgetIf(func(k cachedKey) bool {
		return k.Stream.ID == row.ID && k.Key.ID == "" && db.NormSlug(k.Stream.Slug) != db.NormSlug(row.Slug)
	})
	c.change(row.ID, func(k *cachedKey) {
		if k.Stream.Version < row.Version {
			k.Stream = row
		}
	})
}

// revoke ends keys of a stream from at on. Names are no keys.
func (c *keyCache) revoke(streamID string, at db.Millis, meant func(keyID string) bool) {
	c.change(streamID, func(k *cachedKey) {
		if k.Key.ID != "" && meant(k.Key.ID) && !k.Key.Revoked(at) {
			k.Key.RevokedAt = &at
		}
	})
}

// doubt has the entries of a stream asked about.
func (c *keyCache) doubt(streamID string) {
	c.change(streamID, func(k *cachedKey) { k.doubted = true })
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
func (c *keyCache) grants() []Grant { return c.grantsIf(func(cachedKey) bool { return true }) }

// inDoubt are the grants of entries to be asked about.
func (c *keyCache) inDoubt() []Grant { return c.grantsIf(func(k cachedKey) bool { return k.doubted }) }

func (c *keyCache) grantsIf(wanted func(k cachedKey) bool) []Grant {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []Grant
	for _, k := range c.byHash {
		if wanted(k) {
			all = append(all, k.grant())
		}
	}
	return all
}

// forgetGrant drops the entries of a key, or of a stream's name where there is no key.
func (c *keyCache) forgetGrant(g Grant) {
	c.forgetIf(func(k cachedKey) bool { return k.Stream.ID == g.StreamID && k.Key.ID == g.KeyID })
}

func (c *keyCache) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.byHash)
}
