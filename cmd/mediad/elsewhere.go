package main

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"mediad/api/stream"
	"mediad/store/bus"
	"mediad/store/db"
)

// elsewhere knows what is on air at other nodes, as far as rows tell. A nil one knows of nothing.
type elsewhere struct {
	db   *db.DB
	node string
	bus  bus.Bus
	log  *slog.Logger

	known atomic.Pointer[map[string]remoteSession] // by slug; never changed
}

// remoteSession is one at another node.
type remoteSession struct {
	row  db.Session
	slug string
}

// elsewhereLook is how often rows are read, unasked: what is on air is seen by all nodes within a second of its row.
const elsewhereLook = 500 * time.Millisecond

func newElsewhere(s *site, log *slog.Logger) *elsewhere {
	if s.db.Engine() == db.SQLite {
		return nil
	}
	return &elsewhere{db: s.db, node: s.node, bus: s.shared.bus, log: log}
}

// Run reads until ctx ends.
func (e *elsewhere) Run(ctx context.Context) error {
	news := e.bus.Subscribe(streamTopic)
	defer news.Close()
	for ctx.Err() == nil {
		bounded, cancel := context.WithTimeout(ctx, rowsTimeout)
		if err := e.look(bounded); err != nil && ctx.Err() == nil {
			e.log.Debug("what is on air at other nodes is not known", "error", err)
		}
		cancel()
		waiting, cancel := context.WithTimeout(ctx, elsewhereLook)
		_, _ = news.Next(waiting) // a stream has changed, its name perhaps, or it is time
		cancel()
	}
	return nil
}

// look reads what is open, and of what has changed the rest.
func (e *elsewhere) look(ctx context.Context) error {
	q := e.db.Read(ctx)
	open, err := q.OpenElsewhere(e.node)
	if err != nil {
		return err
	}
	before := make(map[string]remoteSession)
	for _, one := range e.all() {
		before[one.row.ID] = one
	}
	ids := make([]string, 0, len(open))
	for i := range open {
		s := &open[i]
		ids = append(ids, s.StreamID)
		if was, ok := before[s.ID]; ok && was.row.UpdatedAt == s.UpdatedAt {
			s.Epochs = was.row.Epochs
			continue
		}
		full, err := q.FindSession(s.ID)
		if err != nil {
			return err
		}
		s.Epochs = full.Epochs
	}
	streams, err := q.FindStreams(ids)
	if err != nil {
		return err
	}
	slugs := make(map[string]string, len(streams))
	for i := range streams {
		slugs[streams[i].ID] = streams[i].Slug
	}
	known := make(map[string]remoteSession, len(open))
	for i := range open { // by id, so that the newest of a stream counts
		if slug := slugs[open[i].StreamID]; slug != "" {
			known[slug] = remoteSession{open[i], slug}
		}
	}
	e.known.Store(&known)
	return nil
}

func (e *elsewhere) all() map[string]remoteSession {
	if e == nil {
		return nil
	}
	if known := e.known.Load(); known != nil {
		return *known
	}
	return nil
}

// session is that of a stream.
func (e *elsewhere) session(slug string) (remoteSession, bool) {
	s, ok := e.all()[slug]
	return s, ok
}

// info is what other nodes have told of it: what changes from moment to moment they alone know.
func (s *remoteSession) info() stream.LiveInfo {
	info := stream.LiveInfo{Stream: s.slug, SessionID: s.row.ID, StartedAt: s.row.StartedAt.Time(), State: stream.SessionLive, Epochs: epochsOf(s.row.Epochs)}
	if s.row.AwayAt != nil {
		info.State = stream.SessionReconnecting
	}
	if n := len(info.Epochs); n > 0 {
		info.Qualities = sourceOf(info.Epochs[n-1])
	}
	return info
}

// sourceOf is what a publisher brings. Which rungs there are the node knows that makes them.
func sourceOf(e stream.Epoch) []stream.Quality {
	if e.Video == nil {
		return nil
	}
	q := stream.Quality{Name: "source", Width: e.Video.Width, Height: e.Video.Height, FPS: e.Video.FPS, Codecs: e.Video.Codec}
	if e.Audio != nil {
		q.Codecs += "," + e.Audio.Codec
	}
	return []stream.Quality{q}
}

// epochsOf are the epochs of a row, as the API has them.
func epochsOf(rows []db.Epoch) []stream.Epoch {
	out := make([]stream.Epoch, 0, len(rows))
	for _, e := range rows {
		one := stream.Epoch{StartedAt: e.StartedAt.Time(), Protocol: e.Protocol, Encoder: e.Encoder, Reason: e.Reason}
		if v := e.Video; v != nil {
			one.Video = &stream.Video{Codec: v.Codec, Width: v.Width, Height: v.Height, FPS: v.FPS}
		}
		if a := e.Audio; a != nil {
			one.Audio = &stream.Audio{Codec: a.Codec, SampleRate: a.SampleRate, Channels: a.Channels}
		}
		out = append(out, one)
	}
	return slices.Clip(out)
}
