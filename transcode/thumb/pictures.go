package thumb

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os/exec"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"mediad/live"
	"mediad/media"
)

// Options configure Pictures. The zero value of a field means its default.
type Options struct {
	// FFmpeg is the program. Default ffmpeg, looked up in PATH.
	FFmpeg string
	// Every is the time between two pictures of a stream that is looked at, default 5 s. Each costs some 80 ms of a core for 720p,
	// most of it the start of a child.
	Every time.Duration
	// Idle is the same for one that nobody looks at, default 1 min. The next one to look has a newer one made.
	Idle time.Duration
	// Width is the most that a picture has, in pixels. Default 640. Smaller ones are not enlarged.
	Width int
	// AtOnce is how many children there may be. Default one a core.
	AtOnce int
	// Timeout is how long a child may take. Default 5 s.
	Timeout time.Duration
	// Log; nil: nothing is logged.
	Log *slog.Logger
}

// Picture is a JPEG of a moment of a stream. Its bytes are shared: nobody writes to them.
type Picture struct {
	JPEG []byte
	ETag string        // with its quotes; of the bytes
	At   time.Duration // session time
}

// Pictures holds the newest picture of each stream whose session runs. Its methods may be called from any goroutine.
type Pictures struct {
	o     Options
	none  bool          // there is no FFmpeg
	slots chan struct{} // one token a child

	mu  sync.Mutex // guards the following
	all map[string]*shown
}

// shown is what a stream shows. Its next session may begin before the last has let go.
type shown struct {
	session *live.Session
	picture Picture
	some    bool
	asked   chan struct{} // holds one token: somebody has looked
}

// New returns Pictures of no stream. Without FFmpeg it says so, once, and there will be none.
func New(o Options) *Pictures {
	if o.Every <= 0 {
		o.Every = 5 * time.Second
	}
	if o.Idle <= 0 {
		o.Idle = time.Minute
	}
	if o.Width <= 0 {
		o.Width = 640
	}
	if o.AtOnce <= 0 {
		o.AtOnce = runtime.NumCPU()
	}
	if o.Timeout <= 0 {
		o.Timeout = 5 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p := &Pictures{o: o, slots: make(chan struct{}, o.AtOnce), all: map[string]*shown{}}
	if _, err := exec.LookPath(cmp.Or(o.FFmpeg, "ffmpeg")); err != nil {
		o.Log.Debug("FFmpeg is not installed: streams have no thumbnails")
		p.none = true
	}
	return p
}

// There tells whether there is a picture of a stream. Unlike Newest it is not taken for a sign that somebody looks.
func (p *Pictures) There(stream string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.all[stream]
	return ok && s.some
}

// Newest returns the newest picture of a stream, false if there is none.
func (p *Pictures) Newest(stream string) (Picture, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.all[stream]
	if !ok {
		return Picture{}, false
	}
	select {
	case s.asked <- struct{}{}:
	default:
	}
	return s.picture, s.some
}

// enter makes a place for the pictures of a session; leave clears it.
func (p *Pictures) enter(s *live.Session) *shown {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := &shown{session: s, asked: make(chan struct{}, 1)}
	p.all[s.Stream()] = one
	return one
}

func (p *Pictures) leave(one *shown) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if name := one.session.Stream(); p.all[name] == one {
		delete(p.all, name)
	}
}

func (p *Pictures) keep(one *shown, picture Picture) {
	p.mu.Lock()
	defer p.mu.Unlock()
	one.picture, one.some = picture, true
}

// retry is how soon another try is made while a stream has no picture.
const retry = time.Second

// Run makes pictures of a session until it ends or ctx does; then the stream has none. Whatever fails costs a picture and is
// logged, no more than that.
func (p *Pictures) Run(ctx context.Context, s *live.Session) {
	if p.none {
		return
	}
	log := p.o.Log.With("stream", s.Stream(), "session", s.ID())
	to := p.enter(s)
	defer p.leave(to)
	defer func() {
		if r := recover(); r != nil {
			log.Error("thumbnail: panic", "panic", r, "stack", string(debug.Stack()))
		}
	}()
	var last keyFrame
	failed := false
	for ctx.Err() == nil {
		k, err := p.next(ctx, s)
		if errors.Is(err, io.EOF) || ctx.Err() != nil {
			return
		}
		wait := p.o.Every
		if err == nil && !k.same(last) {
			var made bool
			made, err = p.make(ctx, to, k)
			switch {
			case made:
				last = k
			case last.track == nil:
				wait = min(retry, wait)
			}
		}
		if err != nil && ctx.Err() == nil && !failed {
			log.Warn("thumbnail: none was made", "error", err) // once: a stream that cannot be decoded goes on for hours
		}
		failed = err != nil
		pause(ctx, wait, nil)
		if wait == p.o.Every {
			pause(ctx, p.o.Idle-wait, to.asked)
		}
	}
}

// pause waits for a time, until somebody asks, or until ctx ends.
func pause(ctx context.Context, d time.Duration, asked <-chan struct{}) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-asked:
	case <-ctx.Done():
	}
}

// keyFrame is a picture that can be decoded alone.
type keyFrame struct {
	track *media.Track
	epoch int64
	unit  media.AccessUnit
}

func (k keyFrame) same(o keyFrame) bool {
	return k.track == o.track && k.epoch == o.epoch && k.unit.PTS == o.unit.PTS
}

// next waits for the session's newest key frame. io.EOF: there will be none.
func (p *Pictures) next(ctx context.Context, s *live.Session) (keyFrame, error) {
	// The queue is read until the first key frame, which mostly is there already, so its policy never comes to act.
	sub := s.Subscribe(live.PlayerPolicy)
	defer sub.Close()
	sub.Want([media.Kinds]int{media.Audio: math.MaxInt}) // sound alone is nothing to wake up for
	for {
		ev, err := sub.Next(ctx)
		if err != nil {
			return keyFrame{}, err
		}
		if ev.Kind == live.EventUnit && ev.Unit.Kind == media.Video && ev.Unit.RandomAccess {
			return keyFrame{ev.Epoch.Tracks[media.Video], ev.Epoch.ID, ev.Unit}, nil
		}
	}
}

// make makes k what a stream shows. It is not made, which is no error, where all children are busy.
func (p *Pictures) make(ctx context.Context, to *shown, k keyFrame) (made bool, err error) {
	select {
	case p.slots <- struct{}{}:
	default:
		return false, nil
	}
	defer func() { <-p.slots }()
	jpeg, err := p.encode(ctx, k)
	if err != nil {
		return false, fmt.Errorf("%v: %w", k.track.Codec, err)
	}
	sum := sha256.Sum256(jpeg)
	p.keep(to, Picture{
		JPEG: jpeg, ETag: `"` + hex.EncodeToString(sum[:8]) + `"`, At: k.track.Timescale.Duration(k.unit.PTS),
	})
	return true, nil
}
