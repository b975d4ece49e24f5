package ingesttest

import (
	"strings"
	"time"

	"mediad/live"
	"mediad/media"
)

func (e *env) publish() {
	p, pub := e.onAir(0)
	for kind, want := range map[media.Kind]int{media.Video: 1, media.Audio: 1} {
		if got := len(pub.Tracks(kind)); got != want {
			e.Errorf("%d %v tracks, want %d", got, kind, want)
		}
	}
	video := pub.Units(media.Video)
	if !video[0].RandomAccess {
		e.Error("the first picture is no random access point")
	}
	for i, au := range video[1:] {
		if au.DTS <= video[i].DTS {
			e.Errorf("picture %d: DTS %d after %d", i+1, au.DTS, video[i].DTS)
		}
	}
	if len(video[0].Data) == 0 {
		e.Error("no bytes in the first picture")
	}
	if pub.Peer.Protocol == "" || pub.Peer.Remote == "" {
		e.Errorf("peer is %+v", pub.Peer)
	}
	e.must(p.Stop())
	e.closedFor(pub, live.ReasonPublisherStopped)
}

func (e *env) refuseWrongKey() {
	p := e.dial()
	if err := p.Publish(e.within(), "wrong-key"); err == nil {
		e.Error("let in with a wrong key")
	} else if e.h.Tells && !strings.Contains(err.Error(), live.ReasonStreamKeyInvalid.Text()) {
		e.Errorf("told %q", err)
	}
	if e.hub.Refused() == 0 {
		e.Error("the hub was not asked")
	}
}

func (e *env) takeOver() {
	first, one := e.onAir(0)
	second := e.dial()
	began := time.Now()
	e.must(second.Publish(e.within(), goodKey))
	two := e.hub.Next(e, 1)
	e.toldOf(first, live.ReasonReplaced)
	e.closedFor(one, live.ReasonReplaced)
	if took := time.Since(began); took > 5*time.Second {
		e.Errorf("the first one was closed after %v", took)
	}
	e.must(second.Send(e.within()))
	two.AwaitUnits(e, media.Video, 5)
	e.must(second.Stop())
	e.closedFor(two, live.ReasonPublisherStopped)
}

func (e *env) drop() {
	p, pub := e.onAir(0)
	p.Drop()
	e.closedFor(pub, live.ReasonConnectionLost, live.ReasonReadTimeout)
	// And it may come back.
	again, pub := e.onAir(1)
	e.must(again.Stop())
	e.closedFor(pub, live.ReasonPublisherStopped)
}

func (e *env) cleanStop() {
	p, pub := e.onAir(0)
	e.must(p.Stop())
	e.closedFor(pub, live.ReasonPublisherStopped)
}

func (e *env) closedByHub() {
	p, pub := e.onAir(0)
	pub.End(live.Refuse(live.ReasonKeyRevoked, nil))
	e.toldOf(p, live.ReasonKeyRevoked)
	e.closedFor(pub, live.ReasonKeyRevoked)
}

func (e *env) closeOnShutdown() {
	p, pub := e.onAir(0)
	e.stop()
	e.toldOf(p, live.ReasonShuttingDown)
	e.closedFor(pub, live.ReasonShuttingDown)
}

func (e *env) stall() {
	p, pub := e.onAir(0)
	p.(Staller).Stall()
	e.closedFor(pub, live.ReasonReadTimeout)
}

func (e *env) stallBeforeMedia() {
	p := e.dial()
	// A client that can only see media flow is stopped in the middle of it, which is the case above.
	e.must(p.Publish(e.within(), goodKey))
	pub := e.hub.Next(e, 0)
	p.(Staller).Stall()
	e.closedFor(pub, live.ReasonReadTimeout, live.ReasonNoMedia)
}

func (e *env) oversize() {
	p, pub := e.onAir(0)
	if err := p.(Oversizer).SendFrame(maxFrame + 1); err != nil {
		e.Log("while sending the large frame:", err) // the server need not read it to the end
	}
	e.toldOf(p, live.ReasonFrameTooLarge)
	e.closedFor(pub, live.ReasonFrameTooLarge)
}

func (e *env) codecChange() {
	p, pub := e.onAir(0)
	e.must(p.(Changer).ChangeCodec(e.within()))
	pub.AwaitTracks(e, media.Video, 2)
	tracks := pub.Tracks(media.Video)
	if tracks[0].Same(tracks[1]) {
		e.Error("the new track is the old one")
	}
	before := len(pub.Units(media.Video))
	e.must(p.Send(e.within()))
	pub.AwaitUnits(e, media.Video, before+5)
	e.must(p.Stop())
	e.closedFor(pub, live.ReasonPublisherStopped)
}
