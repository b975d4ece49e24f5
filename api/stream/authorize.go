package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mediad/api/caller"
	"mediad/store/db"
)

const (
	// keyGrace is how long past its last look-up a key still opens its stream while the database is away.
	keyGrace = 10 * time.Minute
	// keyTimeout bounds a look-up: an encoder waits for it, and beyond that the database counts as away.
	keyTimeout = 3 * time.Second
	// touchTimeout bounds the note of the last use, for which nobody should wait.
	touchTimeout = time.Second
	// touchEvery is how exactly the last use from one place is known: an encoder that cannot stay comes again and again.
	touchEvery = 10 * time.Second
	// maxKey is far above any key or name; longer ones are not even looked up.
	maxKey = 256
)

// Grant is what a key allows.
type Grant struct {
	StreamID string
	Stream   string // the slug as it was made, whatever the publisher's spelling
	KeyID    string // "" where ingest is open and the key was a name
	// ResumeWindow is how long viewers are held; a stream without a window has 1 ms, since 0 often means a default.
	ResumeWindow time.Duration
	DVR          time.Duration
	Record       bool
	Rules        Rules
}

// Refusal is returned where a key does not open a stream. Its text is the same whatever the reason: the publisher must
// not learn whether a key ever existed. The rest is for the log.
type Refusal struct { //nolint:errname // a refusal is an answer, which its callers look into
	// Reason is one of unknown, expired, revoked, disabled, suspended, no_streamer, invalid_name, too_many_streams; where the key is good and a rule is broken,
	// protocol, bitrate, sessions.
	Reason string
	// Stream and KeyID are empty where the key is unknown.
	Stream, StreamID, KeyID string
}

// Error implements error.
func (*Refusal) Error() string { return "stream: this key does not open a stream" }

// Disabled says that the stream or its owner, and not the key, is why.
func (r *Refusal) Disabled() bool {
	return slices.Contains([]string{"disabled", "suspended", "no_streamer"}, r.Reason)
}

// AuthorizePublish says which stream the key opens. The error is a *Refusal, or the database's if it cannot be asked
// and the key is not remembered. remote is the publisher's address, with or without a port.
func (s *Service) AuthorizePublish(ctx context.Context, key, remote string) (Grant, error) {
	key, _, _ = strings.Cut(key, "?") // what follows are parameters
	if key == "" || len(key) > maxKey || !s.open && !mayBeSecret(key) {
		return Grant{}, &Refusal{Reason: "unknown"}
	}
	o, err := s.opener(ctx, key)
	if err != nil {
		return Grant{}, err
	}
	now := s.now()
	if refusal := o.judge(now); refusal != nil {
		return Grant{}, refusal
	}
	if o.Key.ID != "" {
		s.touch(ctx, o, remote, now)
	}
	return o.grant(), nil
}

// opener finds what the key belongs to, in whatever state.
func (s *Service) opener(ctx context.Context, key string) (opener, error) {
	hash := hashSecret(key)
	bounded, cancel := context.WithTimeout(ctx, keyTimeout)
	defer cancel()
	o, err := s.lookUp(bounded, key, hash)
	var refusal *Refusal
	switch {
	case err == nil:
		s.keys.put(hash, o, s.now())
		return o, nil
	case errors.As(err, &refusal):
		s.keys.forget(hash)
		return opener{}, err
	case ctx.Err() != nil: // the publisher left
		return opener{}, fmt.Errorf("stream: authorize: %w", ctx.Err())
	}
	if remembered, ok := s.keys.get(hash, s.now()); ok {
		s.log.WarnContext(ctx, "database away: key taken from memory", "stream", remembered.Stream.Slug, "error", err)
		return remembered, nil
	}
	return opener{}, fmt.Errorf("stream: authorize: %w", err)
}

func (s *Service) lookUp(ctx context.Context, key, hash string) (opener, error) {
	q := s.db.Read(ctx)
	row, err := q.FindStreamKeyByHash(hash)
	if errors.Is(err, db.ErrNotFound) {
		if s.open {
			return s.openByName(ctx, key)
		}
		return opener{}, &Refusal{Reason: "unknown"}
	}
	if err != nil {
		return opener{}, err
	}
	stream, err := q.FindStream(row.StreamID)
	if err != nil {
		return opener{}, err
	}
	owner, err := q.FindUser(stream.OwnerID)
	return opener{row, stream, owner}, err
}

// SourceGrant is what a source of the configuration may do, which is asked for no key: its stream is made if there is none of that
// name. The error is a *Refusal where the stream is disabled or cannot be of that name, else the database's.
func (s *Service) SourceGrant(ctx context.Context, name string) (Grant, error) {
	bounded, cancel := context.WithTimeout(ctx, keyTimeout)
	defer cancel()
	o, err := s.openByName(bounded, name)
	if err != nil {
		return Grant{}, err
	}
	if refusal := o.judge(s.now()); refusal != nil {
		return Grant{}, refusal
	}
	return o.grant(), nil
}

// openByName finds or makes the stream that a publisher names.
func (s *Service) openByName(ctx context.Context, name string) (opener, error) {
	if !validOpenName(name) {
		return opener{}, &Refusal{Reason: "invalid_name"}
	}
	stream, err := s.db.Read(ctx).FindStreamBySlug(name)
	if !errors.Is(err, db.ErrNotFound) {
		return opener{Stream: stream}, err
	}
	owner, err := s.owner(ctx)
	if err != nil {
		return opener{}, fmt.Errorf("owner: %w", err)
	}
	// Looked at before anything is written: strangers who make up names beyond what there may be keep nobody from writing.
	if n, err := s.db.Read(ctx).CountStreamsOf(owner.ID); err != nil || n >= s.maxOpenStreams {
		if err == nil {
			err = &Refusal{Reason: "too_many_streams"}
		}
		return opener{}, err
	}
	row := s.row(owner.ID)
	row.Slug, row.Title = name, name
	if row.ID, err = db.NewID(); err != nil {
		return opener{}, fmt.Errorf("id: %w", err)
	}
	err = s.db.Tx(ctx, func(q db.Queries) error {
		n, err := q.CountStreamsOf(owner.ID)
		if err != nil {
			return err
		}
		if n >= s.maxOpenStreams {
			return &Refusal{Reason: "too_many_streams"}
		}
		return q.CreateStream(row)
	})
	if errors.Is(err, db.ErrDuplicate) { // another publisher of that name was quicker
		row, err = s.db.Read(ctx).FindStreamBySlug(name)
		return opener{Stream: row}, err
	}
	if err != nil {
		return opener{}, err
	}
	s.log.InfoContext(ctx, "stream made by its publisher", "stream", name, "stream_id", row.ID)
	return opener{Stream: row}, nil
}

func (o opener) judge(now time.Time) *Refusal {
	at := db.At(now)
	var reason string
	switch {
	case o.Key.Revoked(at):
		reason = "revoked"
	case o.Key.Expired(at):
		reason = "expired"
	case o.Stream.DisabledAt != nil || o.Stream.HiddenAt != nil:
		reason = "disabled"
	case o.Owner.SuspendedAt(at):
		reason = "suspended"
	case o.Owner.ID != "" && !caller.Role(o.Owner.Role).AtLeast(caller.Streamer):
		reason = "no_streamer" // streams and keys stay for when the role comes back
	default:
		return nil
	}
	return &Refusal{Reason: reason, Stream: o.Stream.Slug, StreamID: o.Stream.ID, KeyID: o.Key.ID}
}

func (o opener) grant() Grant {
	window := time.Duration(o.Stream.ResumeWindowS) * time.Second
	return Grant{
		StreamID: o.Stream.ID, Stream: o.Stream.Slug, KeyID: o.Key.ID, ResumeWindow: max(window, time.Millisecond),
		DVR: time.Duration(o.Stream.DVRS) * time.Second, Record: o.Stream.Record, Rules: rulesOf(o.Stream),
	}
}

// touch notes the last use. A failure costs nothing but the note.
func (s *Service) touch(ctx context.Context, o opener, remote string, now time.Time) {
	masked := MaskAddr(remote)
	if last := o.Key.LastUsedAt; last != nil && o.Key.LastIP == masked && now.Sub(last.Time()) < touchEvery {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, touchTimeout)
	defer cancel()
	err := s.db.Tx(ctx, func(q db.Queries) error { return q.TouchStreamKey(o.Key.ID, db.At(now), masked) })
	if err != nil {
		s.log.WarnContext(ctx, "last use of a key not noted", "stream", o.Stream.Slug, "key_id", o.Key.ID, "error", err)
	}
}
