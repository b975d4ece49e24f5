// Package video owns what can be watched when it is not live.
package video

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"mediad/api/audit"
	"mediad/api/caller"
	"mediad/api/stream"
	"mediad/store/db"
	"mediad/store/event"
)

// ErrNotFound says that there is no such video for the one who asks.
var ErrNotFound = errors.New("video: not found")

// Options configure a Service. DB is required.
type Options struct {
	DB  *db.DB
	Now func() time.Time // default time.Now
	Log *slog.Logger     // default: nothing is logged
	// Relations tells who follows whom; nil: nobody does.
	Relations stream.Relations
	// Audit keeps the record of who looks at what is private to somebody else, and of what is changed and deleted; nil: none.
	Audit *audit.Log
	// Node keeps the recordings that begin here; "": it has no name.
	Node string
	// Changed is told of a video that was changed or deleted, once its row says so; nil: nobody.
	Changed func(ctx context.Context, id string)
}

// Service has the rules over videos. Its methods may be called from any goroutine.
type Service struct {
	db  *db.DB
	now func() time.Time
	log *slog.Logger

	relations stream.Relations
	audit     *audit.Log
	node      string
	changed   func(ctx context.Context, id string)
}

// New returns a Service.
func New(o Options) *Service {
	s := &Service{db: o.DB, now: o.Now, log: o.Log, relations: o.Relations, audit: o.Audit, node: o.Node, changed: o.Changed}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.changed == nil {
		s.changed = func(context.Context, string) {}
	}
	return s
}

// Facts are what is known of a video's media.
type Facts struct {
	Duration      time.Duration
	Width, Height int
	Bytes         int64
	// Stored are the bytes of all that is stored of it, also of what is not shown.
	Stored int64
	// From and To are the program dates between which it lies.
	From, To time.Time
}

// BeginRecording notes a session, and whether its files are kept. Sessions that go on after a restart have that noted already.
func (s *Service) BeginRecording(ctx context.Context, session, streamID string, kept bool) error {
	r := db.Recording{SessionID: session, StreamID: streamID, State: db.RecordingUnrecorded, UpdatedAt: db.At(s.now()), Node: s.node}
	if kept {
		r.State = db.RecordingRunning
	}
	err := s.db.Tx(ctx, func(q db.Queries) error { return q.BeginRecording(r) })
	if err != nil {
		return fmt.Errorf("video: begin recording: %w", err)
	}
	return nil
}

// EndRecording notes that a recorded session is over.
func (s *Service) EndRecording(ctx context.Context, session string) error {
	err := s.db.Tx(ctx, func(q db.Queries) error { return q.EndRecording(session, db.At(s.now())) })
	if err != nil {
		return fmt.Errorf("video: end recording: %w", err)
	}
	return nil
}

// MakeReplay makes the replay of a recorded session that is over, or of what follows the last stretch that was cut of it, as its stream
// says. Without facts nothing of it can be played, and that is noted.
func (s *Service) MakeReplay(ctx context.Context, session string, f *Facts) (db.Video, error) {
	return s.replay(ctx, session, db.LastMSN, f)
}

// CutReplay makes the replay of what is recorded of a session in front of the segment of that number, with which the next stretch begins.
// The session may go on. Facts as for MakeReplay.
func (s *Service) CutReplay(ctx context.Context, session string, next int64, f *Facts) (db.Video, error) {
	return s.replay(ctx, session, next-1, f)
}

// replay makes the replay of a session's last stretch up to a number.
func (s *Service) replay(ctx context.Context, session string, last int64, f *Facts) (db.Video, error) {
	state, stored := db.RecordingEmpty, int64(0)
	if f != nil {
		state, stored = db.RecordingMade, f.Stored
	}
	var v db.Video
	err := s.db.Tx(ctx, func(q db.Queries) error {
		now := db.At(s.now())
		of, err := q.LastStretch(session)
		if err != nil {
			return err
		}
		if f != nil {
			if v, err = s.insertReplay(q, of, last, f, now); err != nil {
				return err
			}
		}
		if last != db.LastMSN {
			return q.CutRecording(of, last+1, state, stored, now)
		}
		if err := q.WeighRecording(session, of.FirstMSN, stored); err != nil {
			return err
		}
		return q.SetRecording(session, of.FirstMSN, state, now)
	})
	if err != nil {
		return db.Video{}, fmt.Errorf("video: make replay: %w", err)
	}
	return v, nil
}

// Lost lets go of a replay or a clip whose media is nowhere any more.
func (s *Service) Lost(ctx context.Context, v db.Video) error {
	err := s.db.Tx(ctx, func(q db.Queries) error {
		now := db.At(s.now())
		if err := q.DeleteVideo(v.ID, now); err != nil {
			return err
		}
		if v.Kind == db.KindReplay && v.SessionID != nil {
			if err := q.SetRecording(*v.SessionID, v.FirstMSN, db.RecordingEmpty, now); err != nil {
				return err
			}
		}
		return s.tellChange(ctx, q, event.VideoDeleted, v, "lost")
	})
	if err != nil && !errors.Is(err, db.ErrNotFound) { // deleted meanwhile
		return fmt.Errorf("video: lost: %w", err)
	}
	return nil
}

// insertReplay inserts the replay of a stretch up to a number, as the session's stream says; a stretch has one.
func (s *Service) insertReplay(q db.Queries, rec db.Recording, last int64, f *Facts, now db.Millis) (db.Video, error) {
	row, err := q.FindSession(rec.SessionID)
	if err != nil {
		return db.Video{}, err
	}
	of, err := q.FindStream(row.StreamID)
	if err != nil {
		return db.Video{}, err
	}
	id, err := db.NewID()
	if err != nil {
		return db.Video{}, err
	}
	v := db.Video{
		ID: id, Kind: db.KindReplay, OwnerID: of.OwnerID, StreamID: &of.ID, SessionID: &rec.SessionID, FirstMSN: rec.FirstMSN, LastMSN: last,
		Title: of.Title, Description: of.Description, Category: of.Category, Language: of.Language, Visibility: of.ReplayVisibility, Mature: of.Mature,
		State: db.VideoReady, DurationMS: f.Duration.Milliseconds(), Width: f.Width, Height: f.Height, Bytes: f.Bytes,
		PublishedAt: &now, CreatedAt: now, UpdatedAt: now, Version: 1,
	}
	if rec.FirstMSN != 0 || last != db.LastMSN {
		from, to := f.From.UnixNano(), f.To.UnixNano()
		v.FromNS, v.ToNS = &from, &to
	}
	made, err := q.InsertReplay(v)
	if err == nil && made {
		err = s.tell(q, event.ReplayReady, v)
	}
	if err != nil || made {
		return v, err
	}
	return q.FindReplay(rec.SessionID, rec.FirstMSN)
}

// tell emits that a video can be played, in two words: what every video is, and what this one is; and that it is published, where it is public.
func (s *Service) tell(q db.Queries, kind string, v db.Video) error {
	kinds := []string{event.VideoReady, kind}
	if v.Visibility == "public" {
		kinds = append(kinds, event.VideoPublished)
	}
	for _, kind := range kinds {
		err := event.Emit(q, event.Event{Type: kind, Key: event.Video(v.ID), OwnerID: v.OwnerID, Data: map[string]any{
			"video_id": v.ID, "owner_id": v.OwnerID, "state": db.VideoReady, "visibility": v.Visibility, "stream_id": v.StreamID, "session_id": v.SessionID,
		}}, s.now())
		if err != nil {
			return err
		}
	}
	return nil
}

// Visible finds a video that the caller of ctx may know of; ErrNotFound for every other.
func (s *Service) Visible(ctx context.Context, id string) (db.Video, error) {
	v, err := s.Ready(ctx, id)
	if err != nil {
		return db.Video{}, err
	}
	may, err := MayWatch(ctx, s.relations, v)
	switch {
	case err != nil:
		return db.Video{}, err
	case !may:
		return db.Video{}, ErrNotFound
	case v.Visibility == "private" && caller.Of(ctx).UserID != v.OwnerID && s.audit != nil:
		return v, s.audit.Write(ctx, audit.Entry{Action: "video.read", TargetType: "video", TargetID: v.ID})
	}
	return v, nil
}

// Ready finds a video that can be played, whoever may; ErrNotFound if there is none.
func (s *Service) Ready(ctx context.Context, id string) (db.Video, error) {
	v, err := s.db.Read(ctx).FindVideo(id)
	switch {
	case errors.Is(err, db.ErrNotFound):
		return db.Video{}, ErrNotFound
	case err != nil:
		return db.Video{}, fmt.Errorf("video: find: %w", err)
	case v.DeletedAt != nil || v.State != db.VideoReady:
		return db.Video{}, ErrNotFound
	}
	return v, nil
}

// ByLink tells whether whoever knows a video's id may watch it, whoever that is.
func ByLink(v db.Video) bool { return v.Visibility == "public" || v.Visibility == "unlisted" }
