package account

import "sync"

const (
	// maxUploads is how many pictures are received and made at the same time: each is up to 5 MiB in memory.
	maxUploads = 16
	// uploadsOfUser and uploadsFrom are how many of them are one user's and from one address: who sends slowly keeps nobody else out.
	uploadsOfUser = 2
	uploadsFrom   = 4
)

// places are those for pictures that come in.
type places struct {
	mu       sync.Mutex // guards the following
	all      int
	by, from map[string]int
}

func newPlaces() *places { return &places{by: map[string]int{}, from: map[string]int{}} }

// crowd is why there is no place.
type crowd int

const (
	roomy   crowd = iota
	crowded       // by everybody
	ownCrowd
)

// take takes a place for a user at an address, until done is called. done is nil where there is none.
func (p *places) take(user, address string) (done func(), why crowd) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.by[user] >= uploadsOfUser, p.from[address] >= uploadsFrom:
		return nil, ownCrowd
	case p.all >= maxUploads:
		return nil, crowded
	}
	p.all++
	p.by[user]++
	p.from[address]++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.all--
		less(p.by, user)
		less(p.from, address)
	}, roomy
}

// less counts down and forgets what is none.
func less(counts map[string]int, key string) {
	if counts[key]--; counts[key] <= 0 {
		delete(counts, key)
	}
}
