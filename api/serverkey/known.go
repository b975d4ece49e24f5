package serverkey

import (
	"sync"
	"time"

	"mediad/store/db"
)

const (
	// knownFor is how old a key that was looked up may be. One that has ended signs nothing meanwhile: who accepts a signature looks again.
	knownFor = 4 * time.Second
	// maxKnown bounds the memory; a site has a handful of keys.
	maxKnown = 1024
)

// known are the keys looked up lately, and the names that are none.
type known struct {
	now func() time.Time

	mu   sync.Mutex // guards keys
	keys map[string]knownKey
}

type knownKey struct {
	row  db.ServerKey
	err  error // db.ErrNotFound: there is none
	read time.Time
}

// get is what was found some seconds ago at most.
func (k *known) get(id string) (knownKey, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	one, ok := k.keys[id]
	return one, ok && k.now().Sub(one.read) < knownFor
}

// good says whether it was a key when it was looked up last.
func (k *known) good(id string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	one, ok := k.keys[id]
	return ok && one.err == nil
}

// put remembers what was found. Of too many those that are none go first.
func (k *known) put(id string, row db.ServerKey, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.keys) >= maxKnown {
		for other, one := range k.keys {
			if one.err != nil {
				delete(k.keys, other)
			}
		}
	}
	if len(k.keys) < maxKnown {
		k.keys[id] = knownKey{row, err, k.now()}
	}
}

func (k *known) forget(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.keys, id)
}
