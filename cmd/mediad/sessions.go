package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"mediad/api/stream"
	"mediad/internal/metrics"
	"mediad/live"
	"mediad/media"
	"mediad/store/db"
)

// observer tells metrics and the session table what happens on air.
type observer struct {
	*metrics.Metrics
	sessions *sessionRows
}

func (o observer) Notice(n live.Notice) {
	o.Metrics.Notice(n)
	o.sessions.notice(n)
}

// sessionRows keeps the session table. Notices come from publishers' goroutines, which must not wait: they are queued, and Run
// writes them. Of a full queue the newest is lost and logged: the row is completed by the session's next notice.
//
// A session has a row from its first frame on; its first epoch is told before that and kept until then.
type sessionRows struct {
	db      *db.DB
	node    string
	streams *stream.Service
	log     *slog.Logger
	queue   chan live.Notice       // sessionQueue long
	lost    chan stream.Disconnect // sessionQueue long
	tries   *stream.Tries          // bounds what gets there
	timeout time.Duration          // of one write

	mu   sync.Mutex // guards open
	open map[string]openSession
}

type openSession struct {
	row   db.Session
	begun bool // it has had a frame, and so a row
}

const (
	// sessionQueue holds the starts and ends of a whole node for as long as a database restart takes.
	sessionQueue = 1024
	// maxEpochRows bounds what is written at each new epoch: an encoder that drops each second makes thousands a day. The first is
	// kept, and the newest.
	maxEpochRows = 500
	// sessionRetry is how soon is tried again what the database did not take, and sessionPatience for how long: the others wait behind it.
	// Without its row a session has no replay.
	sessionRetry    = time.Second
	sessionPatience = 10 * time.Minute
	// triesDue is how often is looked whether disconnects that were counted alone can be told of.
	triesDue = 5 * time.Second
)

func newSessionRows(s *site, log *slog.Logger) *sessionRows {
	return &sessionRows{db: s.db, node: s.node, streams: s.streams, log: log, queue: make(chan live.Notice, sessionQueue), lost: make(chan stream.Disconnect, sessionQueue), tries: stream.NewTries(nil), timeout: rowsTimeout, open: map[string]openSession{}}
}

// disconnect notes why a publisher left or was refused. Of those that come again and again most are only counted. Where the queue is full it
// is lost: a crowd of refused publishers must not slow others down.
func (s *sessionRows) disconnect(d stream.Disconnect) {
	d, noted := s.tries.Count(d)
	if !noted {
		return
	}
	select {
	case s.lost <- d:
	default:
		s.log.Warn("disconnect not noted: queue full", "stream_id", d.StreamID, "code", d.Code)
	}
}

func (s *sessionRows) notice(n live.Notice) {
	if (n.Kind == live.PublisherClosed || n.Kind == live.PublishRefused) && n.StreamID != "" {
		s.disconnect(stream.Disconnect{
			StreamID: n.StreamID, At: n.At, Protocol: n.Peer.Protocol, Remote: n.Peer.Remote, Code: string(n.Reason), Detail: cmp.Or(n.Detail, n.Reason.Text()),
			Refused: n.Kind == live.PublishRefused,
		})
	}
	switch n.Kind {
	case live.SessionStarted, live.EpochStarted, live.SessionEnded, live.PublisherClosed, live.SessionAway, live.SessionResumed:
	default:
		return
	}
	if n.Session == "" { // a publisher that left before it had sent anything
		return
	}
	select {
	case s.queue <- n:
	default:
		s.log.Error("session row not written: queue full", "stream", n.Stream, "session", n.Session, "notice", n.Kind)
	}
}

// Run writes rows until ctx ends and the queue is empty.
func (s *sessionRows) Run(ctx context.Context) error {
	due := time.NewTicker(triesDue)
	defer due.Stop()
	for {
		select {
		case n := <-s.queue:
			s.insist(ctx, n)
		case d := <-s.lost:
			s.note(d)
		case <-due.C:
			for _, d := range s.tries.Due() {
				s.note(d)
			}
		case <-ctx.Done():
			for {
				select {
				case n := <-s.queue:
					s.insist(ctx, n)
				case d := <-s.lost:
					s.note(d)
				default:
					for _, d := range s.tries.Rest() {
						s.note(d)
					}
					return nil
				}
			}
		}
	}
}

// insist takes a notice until the database does; once only, where ctx has ended.
func (s *sessionRows) insist(ctx context.Context, n live.Notice) {
	for began := time.Now(); ; {
		err := s.take(n)
		if err == nil {
			return
		}
		if ctx.Err() != nil || errors.Is(err, db.ErrReference) || time.Since(began) > sessionPatience {
			s.log.Error("session row not written", "stream", n.Stream, "session", n.Session, "error", err)
			return
		}
		s.log.Warn("session row waits", "stream", n.Stream, "session", n.Session, "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(sessionRetry):
		}
	}
}

func (s *sessionRows) note(d stream.Disconnect) {
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	if err := s.streams.NoteDisconnect(ctx, d); err != nil {
		s.log.Error("disconnect not noted", "stream_id", d.StreamID, "code", d.Code, "error", err)
	}
}

// take may be called again with the same notice.
func (s *sessionRows) take(n live.Notice) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	switch n.Kind {
	case live.SessionEnded:
		s.forget(n.Session)
		err = s.streams.EndSession(ctx, n.Session, n.At, string(n.Reason))
	case live.PublisherClosed:
		if one, ok := s.get(n.Session); ok && !one.begun {
			s.forget(n.Session) // there never was a frame: it ends without a word
		}
	case live.EpochStarted:
		err = s.epoch(ctx, n)
	case live.SessionAway, live.SessionResumed:
		err = s.streams.NoteAway(ctx, n.Session, n.Kind == live.SessionAway, n.At)
		if errors.Is(err, stream.ErrNotFound) {
			err = nil // it had no frame
		}
	case live.SessionStarted:
		one, ok := s.get(n.Session)
		if !ok {
			one.row = db.Session{ID: n.Session, StreamID: n.StreamID, Node: s.node, StartedAt: db.At(n.At)}
		}
		one.begun = true
		err = s.save(ctx, one)
	default: // notice lets no other through
	}
	return err
}

// epoch notes a new epoch.
func (s *sessionRows) epoch(ctx context.Context, n live.Notice) error {
	one, ok := s.get(n.Session)
	if !ok {
		row, err := s.db.Read(ctx).FindSession(n.Session)
		switch {
		case err == nil: // a former process began it
			one = openSession{row: row, begun: true}
		case !errors.Is(err, db.ErrNotFound):
			return err
		default:
			one.row = db.Session{ID: n.Session, StreamID: n.StreamID, Node: s.node, StartedAt: db.At(n.Epoch.StartedAt)}
			one.begun = n.Epoch.Index > 0
		}
	}
	if e := one.row.Epochs; len(e) == 0 || e[len(e)-1].ID != n.Epoch.ID { // else it is told again
		one.row.Epochs = withEpoch(e, s.epochRow(n.Epoch))
	}
	if !one.begun {
		s.put(one)
		return nil
	}
	return s.save(ctx, one)
}

// withEpoch is a new slice: the old one may be read at the same time.
func withEpoch(epochs []db.Epoch, e db.Epoch) []db.Epoch {
	out := make([]db.Epoch, 0, min(len(epochs)+1, maxEpochRows))
	for i, old := range epochs {
		if i == 0 || len(epochs)-i < maxEpochRows-1 {
			out = append(out, old)
		}
	}
	return append(out, e)
}

// save writes the row; it is remembered even where the database did not take it, for the next epoch to bring it.
func (s *sessionRows) save(ctx context.Context, one openSession) error {
	s.put(one)
	return s.streams.SaveSession(ctx, one.row)
}

// know reads the rows of sessions that a former process left on air, so that their epochs are told before the next one.
func (s *sessionRows) know(ctx context.Context, restored []live.Restored) {
	for _, r := range restored {
		row, err := s.db.Read(ctx).FindSession(r.SessionID)
		if err != nil {
			s.log.Warn("session row not found", "stream", r.Grant.Stream, "session", r.SessionID, "error", err)
			continue
		}
		s.put(openSession{row: row, begun: true})
	}
}

func (s *sessionRows) put(one openSession) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[one.row.ID] = one
}

func (s *sessionRows) get(id string) (openSession, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.open[id]
	return one, ok
}

func (s *sessionRows) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, id)
}

// epochs are those of a session on air.
func (s *sessionRows) epochs(id string) []db.Epoch {
	one, _ := s.get(id)
	return one.row.Epochs
}

func (s *sessionRows) epochRow(e *live.Epoch) db.Epoch {
	row := db.Epoch{ID: e.ID, Node: s.node, StartedAt: db.At(e.StartedAt), Protocol: e.Protocol, Encoder: e.Encoder, Reason: e.Reason}
	if t := e.Tracks[media.Video]; t != nil {
		row.Video = &db.VideoTrack{Codec: t.RFC6381(), Width: t.Width, Height: t.Height, FPS: t.FrameRate.Float()}
	}
	if t := e.Tracks[media.Audio]; t != nil {
		row.Audio = &db.AudioTrack{Codec: t.RFC6381(), SampleRate: t.SampleRate, Channels: t.Channels}
	}
	return row
}
