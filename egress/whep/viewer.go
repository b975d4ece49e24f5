package whep

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"

	"mediad/internal/rtc"
	"mediad/live"
)

// reportEvery is how often a viewer gets sender reports. The first of a track follows its first packets at once: until then a
// browser does not know what sound belongs to what picture.
const reportEvery = time.Second

// viewer is one peer. Its life is: negotiated (Server.post) → run, until somebody calls end → closed.
type viewer struct {
	id     string // who knows it may end it
	name   string
	from   netip.Prefix
	place  string
	b      *broadcast
	log    *slog.Logger
	pc     *webrtc.PeerConnection
	batch  *rtc.Batch
	began  time.Time
	wake   chan struct{}   // holds one token: there may be something to send
	lost   atomic.Bool     // the peer has lost a picture
	losses atomic.Uint64   // how often it said so
	joined chan struct{}   // closed when the peer is connected
	barred <-chan struct{} // closed when it may no longer play; nil: never

	video, audio *sender // nil: the peer did not want it
	estimate     func() int
	player       player // of run alone

	once   sync.Once // guards the following
	ending chan struct{}
	cause  error // why it ends; readable once ending is closed

	negotiation sync.Mutex // guards the following
	etag        string

	readers sync.WaitGroup
}

// end makes run return; the first cause is kept.
func (v *viewer) end(err error) {
	v.once.Do(func() {
		if err == nil {
			err = live.Refuse(live.ReasonUnspecified, nil)
		}
		v.cause = err
		close(v.ending)
	})
}

func (v *viewer) wakeUp() {
	select {
	case v.wake <- struct{}{}:
	default:
	}
}

// pictureLost notes that the peer cannot go on without a key frame.
func (v *viewer) pictureLost() {
	v.losses.Add(1)
	v.lost.Store(true)
	v.b.session.AskKeyFrame()
	v.wakeUp()
}

// watch sets what pion calls. It comes before the offer is taken.
func (v *viewer) watch() {
	var once sync.Once
	v.pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		switch state {
		case webrtc.PeerConnectionStateConnected:
			once.Do(func() { close(v.joined) })
		case webrtc.PeerConnectionStateFailed, webrtc.PeerConnectionStateClosed:
			v.end(live.Refuse(live.ReasonConnectionLost, nil))
		default:
		}
	})
}

func (v *viewer) connecting() bool {
	select {
	case <-v.joined:
		return false
	default:
		return true
	}
}

// run carries the viewer to its end.
func (v *viewer) run() {
	defer v.close()
	t := time.NewTimer(v.b.s.o.ConnectTimeout)
	defer t.Stop()
	select {
	case <-v.joined:
	case <-v.ending:
		return
	case <-v.barred:
		v.end(live.Refuse(live.ReasonRightsChanged, nil))
		return
	case <-t.C:
		v.end(live.Refuse(live.ReasonReadTimeout, errors.New("whep: the viewer did not connect")))
		return
	}
	v.log.Debug("whep: connected", "after", v.b.s.o.Now().Sub(v.began))
	if v.audio != nil {
		v.b.listeners.Add(1)
		defer v.b.listeners.Add(-1)
	}
	v.player.v = v
	defer v.player.leave()
	v.player.join()
	if err := v.send(t); err != nil {
		v.end(err)
	}
}

// send sends until an error or the end.
func (v *viewer) send(t *time.Timer) error {
	var reported time.Duration
	for {
		now := v.b.session.Now()
		v.batch.Hold()
		wait, err := v.player.step(now)
		if err != nil {
			return err
		}
		if now-reported >= reportEvery || v.video.untold() || v.audio.untold() {
			reported = now
			v.report(now)
		}
		v.batch.Send()
		wake := v.wake
		if wait > 0 {
			wake = nil // what has come can wait until it may be sent
		} else {
			wait = reportEvery
		}
		t.Reset(wait)
		select {
		case <-wake:
		case <-t.C:
		case <-v.barred:
			return live.Refuse(live.ReasonRightsChanged, nil)
		case <-v.ending:
			return nil
		}
	}
}

// report sends sender reports of what was sent.
func (v *viewer) report(now time.Duration) {
	var packets []rtcp.Packet
	for _, s := range []*sender{v.video, v.audio} {
		if s == nil {
			continue
		}
		if r := s.report(now, v.b.session.Start().Add(now)); r != nil {
			packets = append(packets, r)
		}
	}
	if len(packets) == 0 {
		return
	}
	if err := v.pc.WriteRTCP(packets); err != nil {
		v.log.Debug("whep: report", "error", err)
	}
}

// close ends everything in order. The peer is told by DTLS that this is the end.
func (v *viewer) close() {
	v.end(nil) // run has said why, unless it panicked
	v.batch.Close()
	if err := v.pc.GracefulClose(); err != nil {
		v.log.Debug("whep: close", "error", err)
	}
	v.readers.Wait()
	var bytes, resent uint64
	for _, s := range []*sender{v.video, v.audio} {
		if s != nil {
			s.mu.Lock()
			bytes, resent = bytes+uint64(s.octets), resent+s.resent
			s.mu.Unlock()
		}
	}
	reason, watched := live.ReasonOf(v.cause), v.b.s.o.Now().Sub(v.began)
	attrs := []slog.Attr{
		slog.String("reason", string(reason)), slog.Duration("duration", watched.Round(time.Millisecond)),
		slog.Uint64("bytes", bytes), slog.Uint64("resent", resent), slog.Uint64("losses", v.losses.Load()), slog.Int("skips", v.player.skipped),
	}
	if detail := live.Detail(v.cause); detail != "" {
		attrs = append(attrs, slog.String("error", detail))
	}
	v.log.LogAttrs(context.Background(), slog.LevelInfo, "whep: viewer left", attrs...)
	v.b.s.o.Observer.Ended(v.b.session.Stream(), reason, watched, bytes)
}

// Patch implements rtc.Peer: it takes candidates, which nothing needs, or restarts ICE.
func (v *viewer) Patch(ctx context.Context, f rtc.Fragment, match string) (answer, etag string, err error) {
	v.negotiation.Lock()
	defer v.negotiation.Unlock()
	remote := v.pc.RemoteDescription()
	if remote == nil {
		return "", "", live.Refuse(live.ReasonNotLive, nil)
	}
	if match != "*" && match != v.etag {
		return "", v.etag, rtc.ErrStale
	}
	if !f.Restarts(remote.SDP) {
		return "", v.etag, nil
	}
	if answer, err = f.Restart(ctx, v.pc); err != nil {
		return "", v.etag, err
	}
	v.etag = newTag()
	v.log.Debug("whep: ICE restarted")
	return answer, v.etag, nil
}

func (v *viewer) tag() string {
	v.negotiation.Lock()
	defer v.negotiation.Unlock()
	return v.etag
}

// safely calls f; a panic ends the viewer and nothing else.
func (v *viewer) safely(f func()) {
	defer func() {
		if r := recover(); r != nil {
			v.log.Error("whep: a viewer failed", "error", fmt.Sprintf("panic: %v\n%s", r, debug.Stack()))
			v.end(live.Refuse(live.ReasonUnspecified, nil))
		}
	}()
	f()
}
