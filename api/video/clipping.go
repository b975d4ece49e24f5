package video

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"mediad/api/caller"
	"mediad/api/problem"
	"mediad/api/stream"
	"mediad/store/db"
)

// Who may cut clips out of the broadcasts of a stream (the key clips).
const (
	ClipsByFollowers = "followers"
	ClipsByAll       = "all"
	ClipsByOwner     = "owner"
)

const (
	// DefaultMaxClips is how many clips of others' broadcasts a user may have: what they are cut out of is kept as long as they are.
	DefaultMaxClips = 100
	// placeWait is how long somebody waits for others' clips to be made.
	placeWait = 2 * time.Second
)

// ClippingOptions configure Clipping. Service and Cutter are required.
type ClippingOptions struct {
	Service *Service
	Cutter  Cutter
	// Who may cut clips: ClipsByFollowers, which is the default, ClipsByAll or ClipsByOwner.
	Who string
	// AtOnce is how many are made at the same time on this node, each with an encoder. 0: half as many as there are cores. More: what is live has
	// less of the machine.
	AtOnce int
	// Most is how many clips of others' broadcasts a user may have. 0: DefaultMaxClips.
	Most int
}

// Clipping lets people cut clips. Its methods may be called from any goroutine; it starts none.
type Clipping struct {
	o      ClippingOptions
	places chan struct{} // one token for each that is being made

	mu   sync.Mutex      // guards busy
	busy map[string]bool // users whose clip is being made
}

// NewClipping makes it.
func NewClipping(o ClippingOptions) *Clipping {
	if o.Who == "" {
		o.Who = ClipsByFollowers
	}
	if o.AtOnce == 0 {
		o.AtOnce = max(1, runtime.NumCPU()/2)
	}
	if o.Most == 0 {
		o.Most = DefaultMaxClips
	}
	return &Clipping{o: o, places: make(chan struct{}, o.AtOnce), busy: map[string]bool{}}
}

// Create makes a clip for the caller of a stream that they may watch. What it refuses is a problem.
func (c *Clipping) Create(ctx context.Context, of db.Stream, ask Clip) (db.Video, error) {
	if err := c.allowed(ctx, of); err != nil {
		return db.Video{}, err
	}
	who := caller.Of(ctx)
	leave, err := c.enter(ctx, who.UserID)
	if err != nil {
		return db.Video{}, err
	}
	defer leave()
	ask.StreamID, ask.OwnerID = of.ID, who.UserID
	ask.May = func(visibility string) (bool, error) {
		return stream.MayWatch(ctx, c.o.Service.relations, visibility, of.OwnerID, caller.VideosRead)
	}
	if !who.Role.AtLeast(caller.Admin) {
		ask.Most = c.o.Most
	}
	v, err := c.o.Service.CreateClip(ctx, c.o.Cutter, ask)
	return v, clipRefusal(err)
}

// allowed says why the caller may not cut clips of a stream that they may watch.
func (c *Clipping) allowed(ctx context.Context, of db.Stream) error {
	who, relations := caller.Of(ctx), c.o.Service.relations
	if who.UserID == of.OwnerID || who.Role.AtLeast(caller.Admin) {
		return nil
	}
	if c.o.Who == ClipsByOwner {
		return problem.New(problem.Forbidden, "On this site clips are cut by the stream's owner alone.")
	}
	if who.Role.AtLeast(caller.Moderator) {
		return nil
	}
	blocked, err := c.o.Service.db.Read(ctx).Blocks(of.OwnerID, who.UserID)
	switch {
	case err != nil:
		return err
	case blocked:
		return problem.New(problem.BlockedByUser, "The stream's owner has blocked you.")
	case c.o.Who == ClipsByAll:
		return nil
	case relations == nil:
		return problem.New(problem.Forbidden, "Clips are cut by who follows the channel.")
	}
	for _, is := range []func(context.Context, string, string) (bool, error){relations.Follows, relations.Moderates} {
		if may, err := is(ctx, who.UserID, of.OwnerID); may || err != nil {
			return err
		}
	}
	return problem.New(problem.Forbidden, "Clips are cut by who follows the channel. Follow it first.")
}

// enter waits for a place to make a clip in, which the caller leaves afterwards. One user makes one at a time.
func (c *Clipping) enter(ctx context.Context, user string) (leave func(), err error) {
	c.mu.Lock()
	busy := c.busy[user]
	c.busy[user] = true
	c.mu.Unlock()
	if busy {
		return nil, problem.New(problem.RateLimited, "Your last clip is still being made.").Retry(2 * time.Second)
	}
	free := func() {
		c.mu.Lock()
		delete(c.busy, user)
		c.mu.Unlock()
	}
	wait := time.NewTimer(placeWait)
	defer wait.Stop()
	select {
	case c.places <- struct{}{}:
		return func() { <-c.places; free() }, nil
	case <-wait.C:
		free()
		return nil, problem.New(problem.Overloaded, "Too many clips are being made at the moment.").Retry(5 * time.Second)
	case <-ctx.Done():
		free()
		return nil, ctx.Err()
	}
}

// clipRefusal says in the API's words why there is no clip; other errors it returns as they are.
func clipRefusal(err error) error {
	var limit *LimitError
	var invalid *InvalidError
	switch {
	case errors.As(err, &invalid):
		p := problem.New(problem.ValidationFailed, "A value is not allowed; errors tells which.")
		p.Errors = []problem.Field{{
			Pointer: "/" + invalid.Field, Code: invalid.Code, Message: invalid.Reason, Min: bound(invalid.Min), Max: bound(invalid.Max),
		}}
		return p
	case errors.As(err, &limit):
		p := problem.New(problem.LimitReached, "You have as many clips as you may have. Delete one first.")
		p.Max = int64(limit.Max)
		return p
	case errors.Is(err, ErrNotFound):
		p := problem.New(problem.InvalidState, "There was no broadcast yet that a clip could be cut out of.")
		p.State = "idle"
		return p
	case errors.Is(err, ErrOutside):
		p := problem.New(problem.InvalidState, "The stretch is not within what can be seen: of a broadcast that is on air the DVR range, then its replay.")
		p.State = "outside"
		return p
	case errors.Is(err, ErrKept):
		return problem.New(problem.Forbidden, "What is kept of this stream's broadcasts is not for you, and so no clip is.")
	case errors.Is(err, ErrElsewhere):
		return problem.New(problem.Unavailable, "The broadcast is stored on another node's disk, which this one cannot read. Ask that node, or let the nodes share a bucket.").
			Retry(30 * time.Second)
	case errors.Is(err, ErrStorage):
		return problem.New(problem.Unavailable, "The bucket, in which nodes share clips, does not answer. Try again.").Retry(10 * time.Second)
	}
	return err
}

// bound is one as problems have it; nil: there is none.
func bound(of *int64) *float64 {
	if of == nil {
		return nil
	}
	b := float64(*of)
	return &b
}
