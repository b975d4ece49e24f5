package rtsp

import (
	"strconv"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/headers"

	"mediad/live"
	"mediad/media"
)

// play is one player's hold on a stream.
type play struct {
	st      *stream
	closed  bool
	joining bool
	lost    <-chan struct{}                     // closed when the player may no longer play; nil: never
	gone    chan struct{}                       // closed when it lets go; nil: nobody waits for that
	info    map[media.Kind]headers.RTPInfoEntry // where the player begins; nil: with what comes
}

// Stream is what the player is described and set up with.
func (p *play) Stream() *gortsplib.ServerStream { return p.st.server }

// Begin gives the player the last GOP, and holds back what comes until it gets everything: nothing is missing between
// the two.
func (p *play) Begin(ss *gortsplib.ServerSession) {
	st := p.st
	p.watch(ss)
	st.mu.Lock()
	st.joining++
	p.joining = true
	begun := p.replay(ss)
	st.mu.Unlock()
	if !begun && st.outs[media.Video] != nil {
		st.session.AskKeyFrame()
	}
}

// watch ends the player's session when it may no longer play.
func (p *play) watch(ss *gortsplib.ServerSession) {
	if p.lost == nil || p.gone != nil {
		return
	}
	gone := make(chan struct{})
	p.gone = gone
	p.st.s.wg.Go(func() {
		select {
		case <-p.lost:
			p.st.s.o.Log.Info("rtsp: player may no longer play", "stream", p.st.key.name, "reason", live.ReasonRightsChanged)
			ss.Close()
		case <-gone:
		}
	})
}

// replay writes the last GOP to the player's queue, if it is short enough; st.mu is held.
func (p *play) replay(ss *gortsplib.ServerSession) bool {
	st := p.st
	limit := st.key.srv.WriteQueueSize / 2 // the rest is for what comes while the player takes it
	if t := ss.SetuppedTransport(); t == nil || *t != gortsplib.TransportTCP {
		limit = maxCachedUDP
	}
	// What waits for others is in the GOP as well, and will be sent to this player too.
	cached := len(st.gop) - len(st.waiting)
	if cached <= 0 || cached > limit {
		return false
	}
	set := make(map[*description.Media]bool)
	for _, m := range ss.SetuppedMedias() {
		set[m] = true
	}
	p.info = make(map[media.Kind]headers.RTPInfoEntry)
	first := st.gop[0]
	start := st.outs[first.kind].track.Timescale.Duration(first.pts)
	for _, pkt := range st.gop[:cached] {
		o := st.outs[pkt.kind]
		if !set[o.media] {
			continue
		}
		if _, ok := p.info[pkt.kind]; !ok {
			seq, ts := pkt.rtp.SequenceNumber, o.timestamp(o.track.Timescale.Ticks(start))
			p.info[pkt.kind] = headers.RTPInfoEntry{SequenceNumber: &seq, Timestamp: &ts}
		}
		if ss.WritePacketRTP(o.media, pkt.rtp) != nil {
			return false // its queue is short: it is about to be dropped
		}
	}
	return true
}

// Answered says in the response where the player begins, and sends what was held back.
func (p *play) Answered(res *base.Response) {
	p.join()
	if len(p.info) == 0 || res.StatusCode != base.StatusOK {
		return
	}
	var info headers.RTPInfo
	if info.Unmarshal(res.Header["RTP-Info"]) != nil {
		return
	}
	kinds := make(map[string]media.Kind)
	for i, m := range p.st.server.Desc.Medias {
		kind := media.Video
		if m.Type == description.MediaTypeAudio {
			kind = media.Audio
		}
		kinds[trackSuffix(i)] = kind
	}
	for _, e := range info {
		for suffix, kind := range kinds {
			if begins, ok := p.info[kind]; ok && len(e.URL) > len(suffix) && e.URL[len(e.URL)-len(suffix):] == suffix {
				e.SequenceNumber, e.Timestamp = begins.SequenceNumber, begins.Timestamp
			}
		}
	}
	res.Header["RTP-Info"] = info.Marshal()
}

// join ends what Begin began, once.
func (p *play) join() {
	st := p.st
	st.mu.Lock()
	defer st.mu.Unlock()
	if !p.joining {
		return
	}
	p.joining = false
	if st.joining--; st.joining == 0 {
		st.flush()
	}
}

// Close lets go.
func (p *play) Close() {
	if p.closed {
		return
	}
	p.closed = true
	if p.gone != nil {
		close(p.gone)
	}
	p.join()
	p.st.release()
}

// trackSuffix is how the URL of the i-th track ends, by gortsplib's numbering.
func trackSuffix(i int) string { return "/trackID=" + strconv.Itoa(i) }
