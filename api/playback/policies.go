package playback

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"mediad/api/playback/token"
	"mediad/store/db"
)

const (
	// goodFor is how long what the database said is not asked for again, and absentFor the same of what is not there: what is made is watched soon.
	goodFor, absentFor = 4 * time.Second, time.Second
	// refreshEach is how often all that is watched is read again together, so that nobody waits for it.
	refreshEach = 2 * time.Second
	// watchedFor is how long after its last request something counts as watched.
	watchedFor = 30 * time.Second
	// grace is for how much longer it holds while the database is away.
	grace = 10 * time.Minute
	// loadTimeout bounds one look-up: a viewer waits for it. refreshTimeout is the same of all that is read again, and short enough that where the
	// database hangs this is known before the first viewer would have to ask it himself.
	loadTimeout, refreshTimeout = 2 * time.Second, 1500 * time.Millisecond
	// awayFor is how long after a failed look-up no request tries another one.
	awayFor = time.Second
	// maxPolicies bounds the memory: some 400 bytes each.
	maxPolicies = 50_000
	// sampled is how many of them are compared where one has to go.
	sampled = 64
)

// Policies remember who may watch what. Their methods may be called from any goroutine.
type Policies struct {
	db    *db.DB
	now   func() time.Time
	birth time.Time
	log   *slog.Logger
	wake  chan struct{} // holds one token: something is to be read again at once
	loads singleflight.Group

	changes atomic.Int64 // how often something was forgotten
	away    atomic.Int64 // until when the database counts as away, on clock
	down    atomic.Bool  // it did not answer last

	most int // entries

	mu      sync.RWMutex // guards the following
	entries map[key]*entry
	swept   time.Duration
}

// key is how something is asked for: a stream by its slug, in the spelling of who asks, and a video by its id.
type key struct {
	kind token.Kind
	name string
}

// entry is what is known of one. Its policy never changes: another one takes its place.
type entry struct {
	key
	policy db.Policy // without an ID: there is nothing of that name
	// lost is closed when what was allowed under this policy, and under those before it, no longer is.
	lost  chan struct{}
	asked time.Duration // when the database was asked for it last, on clock; guarded by Policies.mu

	checked atomic.Int64 // when it said so last
	used    atomic.Int64
	stale   atomic.Bool // something has changed since
}

// open says that anybody may watch.
func (e *entry) open() bool { return e.policy.Shown && cohortOf(e.policy.Visibility) == 0 }

// PoliciesOptions configure Policies. DB is required.
type PoliciesOptions struct {
	DB *db.DB
	// Now is the clock, monotonic as time.Now is, which is the default.
	Now func() time.Time
	Log *slog.Logger // nil: nothing is logged
}

// NewPolicies makes them; they know nothing yet.
func NewPolicies(o PoliciesOptions) *Policies {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Policies{db: o.DB, now: o.Now, birth: o.Now(), log: o.Log, wake: make(chan struct{}, 1), most: maxPolicies, entries: map[key]*entry{}}
}

func (p *Policies) clock() time.Duration { return p.now().Sub(p.birth) + 1 }

// errUnknown says that the database does not tell, and that nothing is remembered.
var errUnknown = errors.New("playback: who may watch is not known at the moment")

// find tells what is known.
func (p *Policies) find(ctx context.Context, k key) (*entry, error) {
	p.mu.RLock()
	e := p.entries[k]
	p.mu.RUnlock()
	now := p.clock()
	if e != nil {
		e.used.Store(int64(now))
		// While the database is away nobody waits for it but Run, which finds out when it is back.
		if e.good(now) || p.down.Load() && e.bearable(now) {
			return e, nil
		}
	}
	if now < time.Duration(p.away.Load()) {
		return nil, errUnknown
	}
	return p.load(ctx, k, e)
}

func (e *entry) good(now time.Duration) bool {
	longest := goodFor
	if !e.policy.Shown {
		longest = absentFor
	}
	return !e.stale.Load() && now-time.Duration(e.checked.Load()) < longest
}

// bearable says whether it may be taken for true while the database is away.
func (e *entry) bearable(now time.Duration) bool {
	return now-time.Duration(e.checked.Load()) < goodFor+grace
}

// load asks the database; all who ask for the same wait for one answer. Without one, what is remembered has to do.
func (p *Policies) load(ctx context.Context, k key, known *entry) (*entry, error) {
	e, err := p.loadOnce(ctx, k)
	if err == nil && e.stale.Load() { // something has changed since the database was asked
		e, err = p.loadOnce(ctx, k)
	}
	switch {
	case err == nil:
		return e, nil
	case known != nil && known.bearable(p.clock()):
		return known, nil
	}
	return nil, fmt.Errorf("%w: %w", errUnknown, err)
}

func (p *Policies) loadOnce(ctx context.Context, k key) (*entry, error) {
	answer := p.loads.DoChan(string(k.kind)+k.name, func() (any, error) {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
		defer cancel()
		return p.fetch(bounded, k)
	})
	select {
	case got := <-answer:
		if got.Err != nil {
			return nil, got.Err
		}
		return got.Val.(*entry), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *Policies) fetch(ctx context.Context, k key) (*entry, error) {
	asked, changes := p.clock(), p.changes.Load()
	find := p.db.Read(ctx).VideoPolicy
	if k.kind == token.Live {
		find = p.db.Read(ctx).StreamPolicyBySlug
	}
	policy, err := find(k.name)
	if errors.Is(err, db.ErrNotFound) {
		err = nil
	}
	if err != nil {
		p.failed(err)
		return nil, err
	}
	p.answered()
	return p.store(k, policy, asked, changes), nil
}

func (p *Policies) failed(err error) {
	p.away.Store(int64(p.clock() + awayFor))
	if !p.down.Swap(true) {
		p.log.Warn("database away: who may watch is taken from memory", "error", err)
	}
}

func (p *Policies) answered() {
	if p.down.Swap(false) {
		p.away.Store(0)
		p.log.Info("database back: who may watch is read again")
	}
}

// store notes what the database said when it was asked at a moment, after so many changes.
func (p *Policies) store(k key, policy db.Policy, asked time.Duration, changes int64) *entry {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.entries[k]
	if before != nil && before.asked > asked {
		return before // somebody who asked later was quicker
	}
	e := before
	if before == nil || before.policy != policy {
		e = &entry{key: k, policy: policy, lost: make(chan struct{})}
		e.used.Store(int64(asked))
		if before != nil {
			e.used.Store(before.used.Load())
			if e.open() {
				e.lost = before.lost // nobody loses anything
			} else {
				close(before.lost)
			}
		}
		if before == nil && !p.room(policy.ID != "") {
			return e // nobody plays what is not there, so nobody waits for its change
		}
		p.entries[k] = e
	}
	e.asked = asked
	e.checked.Store(int64(asked))
	e.stale.Store(p.changes.Load() != changes) // it may be what was before the change
	return e
}

// room makes some for one more; mu is held. What nobody has asked for lately goes, and where all is asked for, and there is such a thing, what
// was longest ago of some. Whoever still plays by what goes is cut, and may ask again: nobody would tell them of a change any more.
func (p *Policies) room(there bool) bool {
	if len(p.entries) < p.most {
		return true
	}
	now := p.clock()
	if now-p.swept >= time.Second {
		p.swept = now
		for _, e := range p.entries {
			if e.policy.ID == "" || now-time.Duration(e.used.Load()) > grace {
				p.drop(e)
			}
		}
	}
	for there && len(p.entries) >= p.most {
		p.drop(p.oldest())
	}
	return len(p.entries) < p.most
}

// oldest is the one of some that was asked for longest ago; what is not there goes first.
func (p *Policies) oldest() *entry {
	var oldest *entry
	n := 0
	for _, e := range p.entries { // in no order, so these are any
		if e.policy.ID == "" {
			return e
		}
		if oldest == nil || e.used.Load() < oldest.used.Load() {
			oldest = e
		}
		if n++; n == sampled {
			break
		}
	}
	return oldest
}

// drop forgets an entry; mu is held.
func (p *Policies) drop(e *entry) {
	delete(p.entries, e.key)
	close(e.lost)
}

// StreamChanged has what is known of a stream read again at once.
func (p *Policies) StreamChanged(id string) {
	p.forget(func(e *entry) bool { return e.kind == token.Live && e.policy.ID == id })
}

// VideoChanged is the same for a video.
func (p *Policies) VideoChanged(id string) {
	p.forget(func(e *entry) bool { return e.kind == token.VOD && e.policy.ID == id })
}

// OwnerChanged is the same for all that a user has, and for what others cut out of it.
func (p *Policies) OwnerChanged(id string) {
	p.forget(func(e *entry) bool { return e.policy.OwnerID == id || e.policy.ChannelID == id })
}

// AllChanged is the same for everything: news were lost.
func (p *Policies) AllChanged() { p.forget(func(*entry) bool { return true }) }

func (p *Policies) forget(which func(*entry) bool) {
	p.changes.Add(1)
	p.mu.RLock()
	for _, e := range p.entries {
		if e.policy.ID == "" || which(e) { // there may be one of that name now
			e.stale.Store(true)
		}
	}
	p.mu.RUnlock()
	select {
	case p.wake <- struct{}{}:
	default: // one look that has not begun yet sees this too
	}
}

// Run reads again what is watched, what is on air and what has changed, until ctx ends. onAir lists the slugs of streams.
func (p *Policies) Run(ctx context.Context, onAir func() []string) error {
	tick := time.NewTicker(refreshEach)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-p.wake:
			p.refresh(ctx, false)
		case <-tick.C:
			p.keep(ctx, onAir())
			p.refresh(ctx, true)
		}
	}
}

// keep sees that what is on air is known and stays so.
func (p *Policies) keep(ctx context.Context, onAir []string) {
	for _, slug := range onAir {
		if _, err := p.find(ctx, key{token.Live, slug}); err != nil {
			return // its cause is in the log
		}
	}
}

// refresh reads again what has changed; all: what is watched too.
func (p *Policies) refresh(ctx context.Context, all bool) {
	ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	now := p.clock()
	due := map[token.Kind][]*entry{}
	p.mu.Lock()
	for _, e := range p.entries {
		watched := now-time.Duration(e.used.Load()) < watchedFor
		switch {
		case e.policy.ID == "" && !watched:
			p.drop(e)
		case e.policy.ID != "" && (e.stale.Load() || all && watched):
			due[e.kind] = append(due[e.kind], e)
		}
	}
	p.mu.Unlock()
	for kind, entries := range due {
		if err := p.read(ctx, kind, entries); err != nil {
			if !errors.Is(ctx.Err(), context.Canceled) {
				p.failed(err)
			}
			return
		}
	}
	if p.down.Load() && p.db.Ping(ctx) == nil { // nothing was watched that would have told
		p.answered()
	}
}

// read reads the policies of entries of a kind again.
func (p *Policies) read(ctx context.Context, kind token.Kind, entries []*entry) error {
	asked, changes := p.clock(), p.changes.Load()
	ids := make([]string, len(entries))
	for i, e := range entries {
		ids[i] = e.policy.ID
	}
	find := p.db.Read(ctx).VideoPolicies
	if kind == token.Live {
		find = p.db.Read(ctx).StreamPolicies
	}
	rows, err := find(ids)
	if err != nil {
		return err
	}
	p.answered()
	found := make(map[string]db.Policy, len(rows))
	for _, r := range rows {
		found[r.ID] = r
	}
	for _, e := range entries {
		policy := found[e.policy.ID]
		if kind == token.Live && db.NormSlug(policy.Slug) != db.NormSlug(e.name) {
			policy = db.Policy{} // the name is no longer its own
		}
		p.store(e.key, policy, asked, changes)
	}
	return nil
}

// Open says whether anybody may watch a stream: while the database is away, as it was known last, however long ago.
func (p *Policies) Open(ctx context.Context, slug string) (bool, error) {
	k := key{token.Live, slug}
	e, err := p.find(ctx, k)
	if err != nil {
		p.mu.RLock()
		e = p.entries[k]
		p.mu.RUnlock()
		if e == nil {
			return false, err
		}
	}
	return e.open(), nil
}

// Shown says whether there is a video that can be played, whoever may.
func (p *Policies) Shown(ctx context.Context, id string) (bool, error) {
	e, err := p.find(ctx, key{token.VOD, id})
	return err == nil && e.policy.Shown, err
}
