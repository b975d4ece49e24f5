package rtsp

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v4"

	ingest "mediad/ingest/rtsp"
	"mediad/live"
)

// Source knows what is live; *live.Hub is one.
type Source interface {
	Session(stream string) (*live.Session, bool)
}

var _ Source = (*live.Hub)(nil)

// Options configures Streams. The zero value of a field means its default.
type Options struct {
	// Source is where streams are found. Required.
	Source Source
	// Authorize refuses who may not play, by an error with the reason to be told. It may take a while, but not longer
	// than ctx. lost is closed when they no longer may, nil where that never ends. Nil: everybody may play everything.
	Authorize func(ctx context.Context, stream, token string, peer live.Peer) (lost <-chan struct{}, err error)

	// Linger is how long a stream is kept going without a player. Default 10 s: players that describe come back to set
	// up, and one that lost its connection connects again.
	Linger time.Duration

	// Log; nil: nothing is logged.
	Log *slog.Logger
}

// Streams is what is played. It is the Player of an ingest/rtsp Server.
type Streams struct {
	o Options

	ctx    func() context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex // guards the following
	closed  bool
	streams map[key]*stream
}

// key names a stream of one server: gortsplib binds packets to the server that sends them.
type key struct {
	srv  *gortsplib.Server
	name string
}

var _ ingest.Player = (*Streams)(nil)

// New returns Streams; it starts nothing.
func New(o Options) (*Streams, error) {
	if o.Source == nil {
		return nil, errors.New("rtsp: Options.Source is missing")
	}
	if o.Linger <= 0 {
		o.Linger = 10 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Streams{o: o, ctx: func() context.Context { return ctx }, cancel: cancel, streams: make(map[key]*stream)}, nil
}

// Close ends every stream and waits. It is called once the servers that players came by have ended.
func (s *Streams) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.wg.Wait()
}

// Open lets a player have a stream that is live.
func (s *Streams) Open(ctx context.Context, srv *gortsplib.Server, r ingest.PlayRequest) (ingest.Play, error) {
	var lost <-chan struct{}
	if s.o.Authorize != nil {
		var err error
		if lost, err = s.o.Authorize(ctx, r.Stream, r.Token, r.Peer); err != nil {
			return nil, err
		}
	}
	session, ok := s.o.Source.Session(r.Stream)
	if !ok {
		return nil, live.Refuse(live.ReasonNotLive, nil)
	}
	p, err := s.hold(key{srv, r.Stream}, session)
	if err != nil {
		return nil, err
	}
	p.lost = lost
	return p, nil
}

// hold finds the stream of a session, or begins it.
func (s *Streams) hold(k key, session *live.Session) (*play, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, live.Refuse(live.ReasonShuttingDown, nil)
	}
	if st := s.streams[k]; st != nil && st.session == session {
		if p := st.hold(); p != nil {
			return p, nil
		}
	}
	st, err := newStream(s, k, session)
	if err != nil {
		return nil, err
	}
	s.streams[k] = st
	p := st.hold()
	s.wg.Go(func() {
		defer s.forget(st)
		st.run(s.ctx())
	})
	return p, nil
}

func (s *Streams) forget(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.streams[st.key] == st {
		delete(s.streams, st.key)
	}
}
