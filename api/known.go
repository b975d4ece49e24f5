package api

import (
	"bytes"
	"net/http"
	"sync"
	"time"
)

const (
	// knownFor is how long an answer is given again while the database is away. Nobody can change what it tells meanwhile but over another node
	// that reaches the database, which tells this one.
	knownFor = 10 * time.Minute
	// maxKnown and maxKnownBytes bound half of what is known: some 64 MiB together. maxKnownBody keeps what is rarely asked for out.
	maxKnown      = 4096
	maxKnownBytes = 32 << 20
	maxKnownBody  = 64 << 10
)

// Known are the answers to reads that were given last, each to the same question of the same caller. They are given again where the database
// cannot be asked, and never else. Its methods may be called from any goroutine.
type Known struct {
	mu     sync.Mutex // guards the following
	young  map[string]knownAnswer
	old    map[string]knownAnswer // was young: what is asked for there becomes young again, and the rest goes when young is full
	bytes  int                    // of young
	forget uint64                 // counts what was forgotten: what was begun to be answered before is not kept after
}

type knownAnswer struct {
	cachedAnswer
	made time.Time
}

// NewKnown makes one that knows nothing.
func NewKnown() *Known { return &Known{young: map[string]knownAnswer{}} }

// Len is how many answers are known.
func (k *Known) Len() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := len(k.young)
	for question := range k.old {
		if _, twice := k.young[question]; !twice {
			n++
		}
	}
	return n
}

// Forget drops the answers that name what has an id, or were given to the user of it.
func (k *Known) Forget(id string) {
	needle := []byte(id)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.forget++
	for _, half := range []map[string]knownAnswer{k.young, k.old} {
		for question, a := range half {
			if bytes.Contains([]byte(question), needle) || bytes.Contains(a.body, needle) {
				delete(half, question)
			}
		}
	}
}

// ForgetAll drops all answers: what changed is not known.
func (k *Known) ForgetAll() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.forget++
	k.young, k.old, k.bytes = map[string]knownAnswer{}, nil, 0
}

// begin is to be called before an answer is made that is kept afterwards.
func (k *Known) begin() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.forget
}

// keep keeps an answer, unless something was forgotten since it was begun. Answers with a cookie are one caller's for a time of their own.
func (k *Known) keep(question string, a cachedAnswer, begun uint64, now time.Time) {
	if len(a.body) > maxKnownBody || a.header.Get("Set-Cookie") != "" {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if begun == k.forget {
		k.put(question, knownAnswer{a, now})
	}
}

// put makes an answer young; mu is held.
func (k *Known) put(question string, a knownAnswer) {
	size := len(question) + len(a.body)
	if before, there := k.young[question]; there {
		size -= len(question) + len(before.body)
	} else if len(k.young) >= maxKnown || k.bytes+size > maxKnownBytes {
		k.young, k.old, k.bytes = map[string]knownAnswer{}, k.young, 0
	}
	k.young[question] = a
	k.bytes += size
}

// get is the answer that was given last.
func (k *Known) get(question string, now time.Time) (knownAnswer, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	a, ok := k.young[question]
	if !ok {
		if a, ok = k.old[question]; ok {
			k.put(question, a)
		}
	}
	return a, ok && now.Sub(a.made) < knownFor
}

// databaseAway says whether an answer tells that its question could not be asked now, which is no answer to it.
func databaseAway(status int) bool {
	return status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout
}
