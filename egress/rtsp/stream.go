package rtsp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/pion/rtp"

	"mediad/live"
	"mediad/media"
)

const (
	// firstEvent bounds the wait for what a session that is live tells at once.
	firstEvent = time.Second

	// maxCached is how many packets of the last GOP are kept for players that begin. A longer GOP is not: they begin in
	// the middle and see nothing until the next key frame. Half of a player's queue of the usual size, some 1.4 MiB.
	maxCached = 1024
	// maxCachedUDP is how many of them a player gets by UDP, which has nothing to hold back a burst with.
	maxCachedUDP = 64

	// maxWaiting is how many packets wait for a player that begins; the answer to it takes some microseconds.
	maxWaiting = 1024
)

// stream is one that is played: it makes a session's units into packets for all its players.
type stream struct {
	s       *Streams
	key     key
	session *live.Session
	sub     *live.Subscriber
	over    chan struct{} // closed when nobody may hold it any more
	server  *gortsplib.ServerStream
	outs    [media.Kinds]*out // nil: there is no such track

	mu      sync.Mutex // guards what follows, the tracks of outs, and writing to server
	ended   bool
	holders int
	idle    *time.Timer // ends the stream; nil while somebody holds it
	joining int         // players between Begin and Answered
	waiting []packet    // for them
	gop     []packet    // since the newest key frame
	lost    bool        // gop grew over its bound
}

// packet is one on its way to all players.
type packet struct {
	kind media.Kind
	rtp  *rtp.Packet
	pts  media.Ticks // of its unit, in the track's timescale
}

// newStream subscribes to a session that has an epoch now; it does not wait for one.
func newStream(s *Streams, k key, session *live.Session) (*stream, error) {
	st := &stream{s: s, key: k, session: session, sub: session.Subscribe(live.PlayerPolicy), over: make(chan struct{})}
	ctx, cancel := context.WithTimeout(s.ctx(), firstEvent)
	defer cancel()
	e, err := st.sub.Next(ctx)
	if err == nil && e.Kind == live.EventEpoch {
		if err = st.open(e.Epoch); err == nil {
			return st, nil
		}
	} else {
		err = live.Refuse(live.ReasonNotLive, err)
	}
	st.sub.Close()
	return nil, err
}

// open describes the tracks of an epoch.
func (st *stream) open(e *live.Epoch) error {
	desc := &description.Session{Title: st.key.name}
	for kind, t := range e.Tracks {
		if t == nil {
			continue
		}
		o, err := newOut(t)
		if err != nil {
			st.s.o.Log.Info("rtsp: a track is not played", "stream", st.key.name, "codec", t.Codec, "error", err)
			continue
		}
		st.outs[kind] = o
		desc.Medias = append(desc.Medias, o.media)
	}
	if len(desc.Medias) == 0 {
		return live.Refuse(live.ReasonCodecUnsupported, errTrack)
	}
	st.server = &gortsplib.ServerStream{Server: st.key.srv, Desc: desc}
	if err := st.server.Initialize(); err != nil {
		return live.Refuse(live.ReasonShuttingDown, err)
	}
	return nil
}

// run makes packets until the session ends, nobody plays any more, or ctx ends; then it closes the players' sessions.
func (st *stream) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	stop := make(chan struct{})
	go func() {
		defer close(stop)
		select {
		case <-st.over:
			cancel()
		case <-ctx.Done():
		}
	}()
	err := st.follow(ctx)
	cancel()
	<-stop
	st.end()
	st.sub.Close()
	st.server.Close()
	st.s.o.Log.Debug("rtsp: stream is not played any more", "stream", st.key.name, "error", err)
}

func (st *stream) follow(ctx context.Context) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
			st.s.o.Log.Error("rtsp: playing", "stream", st.key.name, "error", err)
		}
	}()
	for {
		e, err := st.sub.Next(ctx)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case e.Kind == live.EventEpoch:
			if err := st.goOn(e.Epoch); err != nil {
				return err
			}
		case e.Kind == live.EventUnit:
			st.unit(&e.Unit)
		}
	}
}

// goOn takes an epoch that has the same codecs; else the stream ends.
func (st *stream) goOn(e *live.Epoch) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	for kind, t := range e.Tracks {
		var old *media.Track
		if o := st.outs[kind]; o != nil {
			old = o.track
		}
		if old == nil && t != nil {
			if _, err := newOut(t); err != nil {
				continue // one that is not played
			}
		}
		if !continues(old, t) {
			return fmt.Errorf("rtsp: the %v is another one", media.Kind(kind))
		}
		if old != nil {
			if err := st.outs[kind].set(t); err != nil {
				return err
			}
		}
	}
	st.forgetGOP(false)
	return nil
}

// unit sends one to all players.
func (st *stream) unit(au *media.AccessUnit) {
	o := st.outs[au.Kind]
	if o == nil {
		return
	}
	pkts, err := o.packets(au)
	if err != nil {
		st.s.o.Log.Debug("rtsp: a unit is left out", "stream", st.key.name, "error", err)
		return
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if au.RandomAccess && (au.Kind == media.Video || st.outs[media.Video] == nil) {
		st.forgetGOP(false)
	}
	for _, p := range pkts {
		p := packet{au.Kind, p, au.PTS}
		st.cache(p)
		if st.joining > 0 && len(st.waiting) < maxWaiting {
			st.waiting = append(st.waiting, p)
			continue
		}
		st.flush()
		st.send(p)
	}
}

// cache keeps a packet for players that begin; mu is held.
func (st *stream) cache(p packet) {
	if st.lost {
		return
	}
	if len(st.gop) == maxCached {
		st.forgetGOP(true)
		return
	}
	st.gop = append(st.gop, p)
}

func (st *stream) forgetGOP(lost bool) {
	clear(st.gop)
	st.gop, st.lost = st.gop[:0], lost
}

// flush sends what waits for players that begin; mu is held.
func (st *stream) flush() {
	for _, p := range st.waiting {
		st.send(p)
	}
	clear(st.waiting)
	st.waiting = st.waiting[:0]
}

// send gives a packet to every player's queue; mu is held.
func (st *stream) send(p packet) {
	o := st.outs[p.kind]
	// The wall clock of the session is one for both tracks: sender reports tell players how they lie.
	ntp := st.session.Start().Add(o.track.Timescale.Duration(p.pts))
	if err := st.server.WritePacketRTPWithNTP(o.media, p.rtp, ntp); err != nil {
		st.s.o.Log.Debug("rtsp: a packet is left out", "stream", st.key.name, "error", err)
	}
}

// hold counts a player in; nil if the stream has ended.
func (st *stream) hold() *play {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.ended {
		return nil
	}
	st.holders++
	if st.idle != nil {
		st.idle.Stop()
		st.idle = nil
	}
	return &play{st: st}
}

func (st *stream) release() {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.holders--; st.holders == 0 && !st.ended {
		st.idle = time.AfterFunc(st.s.o.Linger, st.expire)
	}
}

// expire ends the stream, unless somebody holds it again. A timer that fires late ends one early that was let go of since:
// the next player begins another.
func (st *stream) expire() {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.holders == 0 && !st.ended {
		st.ended = true
		close(st.over)
	}
}

// end lets nobody in any more.
func (st *stream) end() {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.idle != nil {
		st.idle.Stop()
		st.idle = nil
	}
	if !st.ended {
		st.ended = true
		close(st.over)
	}
}
