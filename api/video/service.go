// Package video owns what can be watched when it is not live.
package video

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"mediad/store/db"
)

// ErrNotFound says that there is no such video for the one who asks.
var ErrNotFound = errors.New("video: not found")

// Options configure a Service. DB is required.
type Options struct {
	DB  *db.DB
	Now func() time.Time // default time.Now
	Log *slog.Logger     // default: nothing is logged
}

// Service has the rules over videos. Its methods may be called from any goroutine.
type Service struct {
	db  *db.DB
	now func() time.Time
	log *slog.Logger
}

// New returns a Service.
func New(o Options) *Service {
	s := &Service{db: o.DB, now: o.Now, log: o.Log}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s
}

// Facts are what is known of a video's media.
type Facts struct {
	Duration      time.Duration
	Width, Height int
	Bytes         int64
}

// BeginRecording notes a session, and whether its files are kept. Sessions that go on after a restart have that noted already.
func (s *Service) BeginRecording(ctx context.Context, session, streamID string, kept bool) error {
	r := db.Recording{SessionID: session, StreamID: streamID, State: db.RecordingUnrecorded, UpdatedAt: db.At(s.now())}
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
	err := s.db.Tx(ctx, func(q db.Queries) error { return q.SetRecording(session, db.RecordingEnded, db.At(s.now())) })
	if err != nil {
		return fmt.Errorf("video: end recording: %w", err)
	}
	return nil
}

// MakeReplay makes the replay of a recorded session that is over, as its stream says; a session has one. Without facts nothing of
// the session can be played, and that is noted.
func (s *Service) MakeReplay(ctx context.Context, session string, f *Facts) (db.Video, error) {
	var v db.Video
	err := s.db.Tx(ctx, func(q db.Queries) error {
		now := db.At(s.now())
		bytes, err := q.SessionBytes(session)
		if err == nil {
			err = q.WeighRecording(session, bytes)
		}
		if err != nil {
			return err
		}
		if f == nil {
			return q.SetRecording(session, db.RecordingEmpty, now)
		}
		row, err := q.FindSession(session)
		if err != nil {
			return err
		}
		of, err := q.FindStream(row.StreamID)
		if err != nil {
			return err
		}
		id, err := db.NewID()
		if err != nil {
			return err
		}
		v = db.Video{
			ID: id, Kind: db.KindReplay, OwnerID: of.OwnerID, StreamID: &of.ID, SessionID: &session, Title: of.Title,
			Description: of.Description, Category: of.Category, Language: of.Language, Visibility: of.ReplayVisibility, Mature: of.Mature,
			State: db.VideoReady, DurationMS: f.Duration.Milliseconds(), Width: f.Width, Height: f.Height, Bytes: f.Bytes,
			PublishedAt: &now, CreatedAt: now, UpdatedAt: now, Version: 1,
		}
		made, err := q.InsertReplay(v)
		if err != nil {
			return err
		}
		if !made {
			if v, err = q.FindReplay(session); err != nil {
				return err
			}
		}
		return q.SetRecording(session, db.RecordingMade, now)
	})
	if err != nil {
		return db.Video{}, fmt.Errorf("video: make replay: %w", err)
	}
	return v, nil
}

// Watchable finds a video that anybody who knows its id may watch; ErrNotFound for every other.
func (s *Service) Watchable(ctx context.Context, id string) (db.Video, error) {
	v, err := s.db.Read(ctx).FindVideo(id)
	switch {
	case errors.Is(err, db.ErrNotFound):
		return db.Video{}, ErrNotFound
	case err != nil:
		return db.Video{}, fmt.Errorf("video: find: %w", err)
	case v.DeletedAt != nil || v.State != db.VideoReady || !ByLink(v):
		return db.Video{}, ErrNotFound
	}
	return v, nil
}

// ByLink tells whether whoever knows a video's id may watch it, whoever that is.
func ByLink(v db.Video) bool { return v.Visibility == "public" || v.Visibility == "unlisted" }
