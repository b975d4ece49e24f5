package origin

import (
	"net/http"
	"sync/atomic"
	"time"
)

// floods notices connections that ask for the same part over and over: a player that got stuck does so dozens of
// times a second for as long as its page is open. It is a table of counters that forget on collision: a busy server may
// miss a flood, it never takes one request for another's unless 40 bits of two hashes agree.
type floods struct {
	table [4096]atomic.Uint64 // hash 40 bits, second 12 bits, count 12 bits
}

// tooMany counts the request and tells whether its connection asked for this path more than limit times within
// this second.
func (f *floods) tooMany(r *http.Request, limit int, now time.Time) bool {
	if limit < 0 || r.Header["X-Forwarded-For"] != nil || r.Header["Via"] != nil || r.Header["Forwarded"] != nil {
		return false
	}
	const secondBits, countBits = 12, 12
	h := hash(hash(14695981039346656037, r.RemoteAddr), r.URL.Path)
	cell := &f.table[h%uint64(len(f.table))]
	key := h>>24<<secondBits | uint64(now.Unix())&(1<<secondBits-1)
	for {
		old := cell.Load()
		count := uint64(1)
		if old>>countBits == key {
			count = min(old&(1<<countBits-1)+1, 1<<countBits-1)
		}
		if cell.CompareAndSwap(old, key<<countBits|count) {
			return count > uint64(limit)
		}
	}
}

// hash is FNV-1a.
func hash(h uint64, s string) uint64 {
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}
