// Package stream holds the rules about streams: names, keys, who may publish, what is shown of them.
//
//	http.go  the wire      create.go keys.go  making and rotating
//	list.go  pages         authorize.go       may this key publish?
//	                       sessions.go        what was broadcast
//
// Live state is not here: the caller hands it in through the Live interface.
package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/google/uuid"

	"mediad/api/audit"
	"mediad/api/caller"
	"mediad/api/text"
	"mediad/store/db"
	"mediad/store/seal"
)

// What a caller may branch on; each is returned wrapped.
var (
	ErrNotFound  = errors.New("no such stream")
	ErrSlugTaken = errors.New("the name is taken")
	ErrSlugFixed = errors.New("the name stays once there was a broadcast")
	ErrVersion   = errors.New("it was changed meanwhile")
	ErrHeld      = errors.New("others than its owner have disabled it")
)

// Options of New.
type Options struct {
	DB *db.DB
	// Owner finds the user who owns streams that nobody made: the first admin.
	Owner func(context.Context) (db.User, error)
	// Open lets any valid name publish, and makes its stream (ingest.open).
	Open bool
	// MaxOpenStreams bounds what strangers can make where Open is set. 0: 10 000.
	MaxOpenStreams int
	// ResumeWindow, DVR, Record are what a new stream gets. Zero values mean none.
	ResumeWindow time.Duration
	DVR          time.Duration
	Record       bool
	// MaxStreams is how many a user may have, MaxKeys how many that are alive a stream. 0: 3 and 5.
	MaxStreams, MaxKeys int
	// MaxLive is how many broadcasts a user may have on air at the same time, on all streams and nodes; 0: any number. nil: any.
	MaxLive func() (int, error)
	// Relations tells who is what to whom. nil: nobody is anything.
	Relations Relations
	// Forwarding knows the servers that streams can be forwarded to. nil: none is.
	Forwarding Forwarding
	// Secrets seals their addresses.
	Secrets *seal.Ring
	// Audit keeps the record of what owners and others do. nil: none.
	Audit *audit.Log
	// MaxCachedKeys bounds the keys remembered for when the database is away. 0: 4096.
	MaxCachedKeys int
	// Changed is told of a stream whose keys or state changed, once its rows say so: other nodes are to Forget it. nil: nobody.
	Changed func(ctx context.Context, streamID string)
	// Now is the clock. nil: time.Now.
	Now func() time.Time
	// Log gets what changed. nil: none.
	Log *slog.Logger
}

// Forwarding knows the servers that streams can be forwarded to; cmd joins it to the media side.
type Forwarding interface {
	// Shown is an address without what is secret in it; an error says what is wrong with one, without secrets as well.
	Shown(address string) (string, error)
	// Allowed says whether an address may be called.
	Allowed(addr netip.Addr) bool
}

type nowhere struct{}

func (nowhere) Shown(string) (string, error) { return "", errors.New("streams are not forwarded here") }
func (nowhere) Allowed(netip.Addr) bool      { return false }

// Service holds the rules. Its methods may be called from any goroutine.
type Service struct {
	db             *db.DB
	owner          func(context.Context) (db.User, error)
	open           bool
	maxOpenStreams int64
	resumeWindow   time.Duration
	dvr            time.Duration
	record         bool
	changed        func(context.Context, string)
	now            func() time.Time
	log            *slog.Logger
	keys           keyCache
	maxStreams     int
	maxKeys        int
	maxLive        func() (int, error)
	relations      Relations
	audit          *audit.Log
	forwarding     Forwarding
	secrets        *seal.Ring
}

// New makes the service.
func New(o Options) *Service {
	if o.MaxOpenStreams == 0 {
		o.MaxOpenStreams = 10_000
	}
	if o.MaxCachedKeys == 0 {
		o.MaxCachedKeys = 4096
	}
	if o.MaxStreams == 0 {
		o.MaxStreams = DefaultMaxStreams
	}
	if o.MaxKeys == 0 {
		o.MaxKeys = DefaultMaxKeys
	}
	if o.MaxLive == nil {
		o.MaxLive = func() (int, error) { return 0, nil }
	}
	if o.Relations == nil {
		o.Relations = strangers{}
	}
	if o.Forwarding == nil || o.Secrets == nil {
		o.Forwarding = nowhere{}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Changed == nil {
		o.Changed = func(context.Context, string) {}
	}
	return &Service{
		db: o.DB, owner: o.Owner, open: o.Open, maxOpenStreams: int64(o.MaxOpenStreams), resumeWindow: o.ResumeWindow,
		dvr: o.DVR, record: o.Record, changed: o.Changed, now: o.Now, log: o.Log, keys: newKeyCache(o.MaxCachedKeys),
		maxStreams: o.MaxStreams, maxKeys: o.MaxKeys, maxLive: o.MaxLive, relations: o.Relations, audit: o.Audit, forwarding: o.Forwarding, secrets: o.Secrets,
	}
}

// Find finds by id, or by slug in any case, whatever the visibility.
func (s *Service) Find(ctx context.Context, idOrSlug string) (db.Stream, error) {
	row, err := existing(s.find(ctx, idOrSlug))
	return row, found(err)
}

func (s *Service) find(ctx context.Context, idOrSlug string) (db.Stream, error) {
	if uuid.Validate(idOrSlug) == nil {
		// An id goes first, so no name can take another stream's place.
		row, err := s.db.RecallStream(ctx, strings.ToLower(idOrSlug))
		if !errors.Is(err, db.ErrNotFound) {
			return row, err
		}
	}
	if !openRule.MatchString(idOrSlug) {
		return db.Stream{}, fmt.Errorf("name: %w", db.ErrNotFound)
	}
	return s.db.RecallStreamBySlug(ctx, idOrSlug)
}

// All lists every stream, the newest first, a page after an id at a time.
func (s *Service) All(ctx context.Context, before string, limit int) ([]db.Stream, error) {
	return s.db.Read(ctx).ListStreams(db.StreamFilter{Existing: true, Before: before}, limit)
}

// SetDisabled refuses publishing to the stream, or allows it again. A publisher is cut when its key is looked at next. What others than its owner
// have disabled the owner neither lifts nor words anew: ErrHeld.
func (s *Service) SetDisabled(ctx context.Context, idOrSlug string, disabled bool, reason string) error {
	var bad Invalid
	if reason = text.Clean(reason); text.Len(reason) > maxReason {
		bad.tooLong("reason", maxReason, "characters")
		return &bad
	}
	row, err := s.Find(ctx, idOrSlug)
	if err != nil {
		return err
	}
	now, who := s.now(), caller.Of(ctx)
	var wanted db.Disabled
	action := "stream.enable"
	if disabled {
		action = "stream.disable"
		wanted = db.Disabled{At: db.AtPtr(now), Reason: reason, ByStaff: who.UserID != row.OwnerID}
	}
	var after db.Stream
	err = s.db.Tx(ctx, func(q db.Queries) error {
		after, err = existing(q.FindStream(row.ID))
		if err != nil {
			return err
		}
		is := after.DisabledAt != nil
		if is && after.DisabledByStaff && who.UserID == after.OwnerID && !who.Role.AtLeast(caller.Admin) {
			return ErrHeld
		}
		if is == disabled && after.DisabledReason == wanted.Reason && after.DisabledByStaff == wanted.ByStaff {
			return nil // it is so already
		}
		if err := q.SetStreamDisabled(row.ID, wanted, db.At(now)); err != nil {
			return err
		}
		if after, err = q.FindStream(row.ID); err != nil {
			return err
		}
		return s.note(ctx, q, audit.Entry{Action: action, TargetType: "stream", TargetID: row.ID, Reason: wanted.Reason})
	})
	if err != nil {
		return found(err)
	}
	s.keys.edited(after)
	s.changed(ctx, row.ID)
	s.log.InfoContext(ctx, "stream disabled or enabled", "stream", row.Slug, "disabled", disabled, "reason", wanted.Reason)
	return nil
}

func found(err error) error {
	if errors.Is(err, db.ErrNotFound) {
		return fmt.Errorf("stream: %w", ErrNotFound)
	}
	return err
}
