package playback

import (
	"context"
	"errors"
	"time"

	"mediad/api/playback/token"
)

// What is refused, and how; each may be wrapped.
var (
	// ErrHidden: there is nothing that who asks may know of.
	ErrHidden = errors.New("playback: there is nothing to watch")
	// ErrInvalid: the token was altered, or is another item's.
	ErrInvalid = errors.New("playback: the token is not one for this")
	// ErrExpired: the token was good once. A new one is at the API's playback.
	ErrExpired = errors.New("playback: the token is good no more")
	// ErrUnknown: it cannot be told at the moment.
	ErrUnknown = errUnknown
)

// RightsOptions configure Rights. Policies and Keys are required.
type RightsOptions struct {
	Policies *Policies
	Keys     *token.Ring
	// Began tells when what is on air on a stream began; false: nothing is. nil: nothing ever is.
	Began func(stream string) (time.Time, bool)
	// Now is the clock. nil: time.Now.
	Now func() time.Time
}

// Rights judge who may watch. Their methods may be called from any goroutine.
type Rights struct{ o RightsOptions }

// NewRights makes them.
func NewRights(o RightsOptions) *Rights {
	if o.Began == nil {
		o.Began = func(string) (time.Time, bool) { return time.Time{}, false }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Rights{o}
}

// Ask is what somebody wants to have.
type Ask struct {
	Kind token.Kind
	// Name is the slug of a stream or the id of a video.
	Name string
	// Token is "" where there is none.
	Token string
	// Begins: it begins to watch. What was begun may go on for as long as the broadcast does, although the token has expired.
	Begins bool
}

// Media says whether media may be given out. lost is closed when what is allowed is no longer. A token is looked at whatever the item: where
// everybody may watch, an old one is good, as players have it still, and a foreign one is not, so that nobody can make a cache hold the same under
// invented names.
func (r *Rights) Media(ctx context.Context, a Ask) (lost <-chan struct{}, err error) {
	e, err := r.o.Policies.find(ctx, key{a.Kind, a.Name})
	if err != nil {
		return nil, err
	}
	if a.Token == "" {
		if !e.open() {
			return nil, ErrHidden
		}
		return e.lost, nil
	}
	return r.byToken(ctx, e, a)
}

// Play says whether a player may begin by a protocol that is not HLS, with whatever it has for a token: what everybody may watch needs
// none, and a token may be meant for somebody else then.
func (r *Rights) Play(ctx context.Context, stream, tok string) (lost <-chan struct{}, err error) {
	e, err := r.o.Policies.find(ctx, key{token.Live, stream})
	switch {
	case err != nil:
		return nil, err
	case e.open():
		return e.lost, nil
	case tok == "":
		return nil, ErrHidden
	}
	return r.byToken(ctx, e, Ask{Kind: token.Live, Name: stream, Token: tok, Begins: true})
}

func (r *Rights) byToken(ctx context.Context, e *entry, a Ask) (<-chan struct{}, error) {
	t, ok := token.Parse(a.Token)
	if !ok || e.policy.ID == "" || !r.o.Keys.Verify(t, a.Kind, e.policy.ID) {
		return nil, ErrInvalid
	}
	if int32(t.Epoch-uint32(e.policy.PolicyEpoch)) > 0 {
		// It is ours and newer than what is known: another node has made it after a change that was not heard of here yet.
		if newer, err := r.o.Policies.load(ctx, e.key, e); err == nil {
			e = newer
		}
	}
	if e.open() {
		return e.lost, nil
	}
	if !e.policy.Shown || t.Epoch != uint32(e.policy.PolicyEpoch) || t.Cohort != cohortOf(e.policy.Visibility) {
		return nil, ErrExpired
	}
	if !r.o.Now().Before(t.Expiry) {
		began, on := r.o.Began(a.Name)
		if a.Kind != token.Live || a.Begins || !on || !began.Before(t.Expiry) {
			return nil, ErrExpired
		}
	}
	return e.lost, nil
}
