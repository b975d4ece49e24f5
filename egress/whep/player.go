package whep

import (
	"errors"
	"time"

	"mediad/live"
)

const (
	// maxBehind is how far a viewer may be behind the newest frame, and maxSkips how often within skipWindow it may have been
	// sent on to the next key frame, until it is given up.
	maxBehind  = 2 * time.Second
	maxSkips   = 3
	skipWindow = 30 * time.Second

	// replayStep is between the timestamps of what is played off at the beginning: a millisecond.
	replayStep = 90
	// replayEvery is how often a peer that loses pictures is sent those since the last key frame again.
	replayEvery = time.Second
	// replayRoom is how many ticks there are for that: less than a frame.
	replayRoom = 1200

	// freshKey is how old a key frame may be to begin with without asking the source for a newer one.
	freshKey = 500 * time.Millisecond
	// chooseEvery is how often the layer is thought about.
	chooseEvery = 250 * time.Millisecond
	// maxSound is how many packets of sound go out in one step.
	maxSound = 64
)

var errSlow = errors.New("whep: the viewer fell behind again and again")

// player is a viewer's place in the layers: what is sent next, and how fast. It is used by one goroutine.
type player struct {
	v     *viewer
	pacer pacer

	soundAt uint64

	layer   *layer // nil: there is nothing to see
	at      uint64 // number of the next frame
	needKey bool   // frames are passed over up to the next key frame

	frame     *frame // that is being sent, and
	part      int    // how far
	timestamp uint32

	replayEnd    uint64 // frames before it are played off: one replayStep after the other, from replayTime on
	replayTime   uint32
	replayTicks  uint32
	replayed     time.Duration // session clock of the last one
	firstSent    bool
	skips        []time.Duration
	skipped      int
	chooser      chooser
	chosen       time.Duration
	layers       []*layer
	rates        []int
	soundStarted bool
}

// join takes a place at the end of what there is to hear; step does so for what is to be seen.
func (p *player) join() {
	if p.v.audio != nil {
		out := p.v.b.sound.out
		out.follow(p.v)
		p.soundAt, _, _, _ = out.span()
	}
}

func (p *player) leave() {
	if p.layer != nil {
		p.layer.unfollow(p.v)
	}
	p.v.b.sound.out.unfollow(p.v)
}

// step sends what may be sent now. wait is when to come again without being woken; 0: not at all.
func (p *player) step(now time.Duration) (wait time.Duration, err error) {
	more := time.Duration(0)
	if p.v.audio != nil {
		all, err := p.sound()
		if err != nil {
			return 0, err
		}
		if !all {
			more = paceStep
		}
	}
	if p.v.video == nil {
		return more, nil
	}
	if p.frame == nil || p.layer == nil {
		p.choose(now)
	}
	for p.layer != nil {
		if p.frame == nil && !p.next(now) {
			if len(p.skips) >= maxSkips {
				return 0, live.Refuse(live.ReasonTooSlow, errSlow)
			}
			return more, nil
		}
		for p.part < len(p.frame.payloads) {
			payload := p.frame.payloads[p.part]
			p.part++
			if err := p.v.video.write(payload, p.timestamp, p.part == len(p.frame.payloads), p.frame.key); err != nil {
				return 0, live.Refuse(live.ReasonConnectionLost, err)
			}
			if wait := p.pacer.send(len(payload)+rtpHeader, now); wait > 0 {
				return wait, nil
			}
		}
		p.first()
		p.frame = nil
	}
	return more, nil
}

// sound sends the sound that has come, and reports whether that was all. It is little and goes before pictures.
func (p *player) sound() (all bool, err error) {
	for range maxSound {
		f, _, ok, lost := p.v.b.sound.out.take(p.soundAt)
		if lost {
			p.soundAt, _, _, _ = p.v.b.sound.out.span()
			continue
		}
		if !ok {
			return true, nil
		}
		p.soundAt++
		if err := p.v.audio.write(f.payloads[0], uint32(f.time), !p.soundStarted, false); err != nil {
			return false, live.Refuse(live.ReasonConnectionLost, err)
		}
		p.soundStarted = true
		if p.v.video == nil {
			p.first()
		}
	}
	return false, nil
}

// first tells once that there is something to see or to hear.
func (p *player) first() {
	if p.firstSent {
		return
	}
	p.firstSent = true
	p.v.b.s.o.Observer.FirstFrame(p.v.b.session.Stream(), p.v.b.s.o.Now().Sub(p.v.began))
}

// next finds the next frame to send.
func (p *player) next(now time.Duration) bool {
	for {
		p.recover(now)
		if p.at < p.replayEnd {
			// A key frame that has come meanwhile is the better beginning.
			if begin, _, _, ok := p.layer.span(); ok && begin >= p.replayEnd {
				p.at, p.replayEnd = begin, 0
			}
		}
		f, newest, ok, lost := p.layer.take(p.at)
		if lost {
			if !p.skip(now) {
				return false
			}
			continue
		}
		if !ok {
			return false
		}
		if newest-f.at > maxBehind && p.at >= p.replayEnd {
			if !p.skip(now) {
				return false
			}
			continue
		}
		replaying := p.at < p.replayEnd
		p.at++
		if replaying && f.disposable {
			continue
		}
		if p.needKey && !f.key {
			continue
		}
		p.needKey = false
		p.frame, p.part, p.timestamp = f, 0, uint32(f.time)
		if replaying {
			p.replayTime += p.replayTicks
			p.timestamp = p.replayTime
		} else if f.key {
			p.v.lost.Store(false) // what was lost before does not matter any more
		}
		// A layer may be behind the one before, and what was played off reach into the frame that follows at a high rate.
		if last, some := p.v.video.lastTime(); some && int32(p.timestamp-last) <= 0 {
			p.timestamp = last + replayStep
		}
		return true
	}
}

// skip goes on at the newest key frame, or waits for the next. It reports whether to go on; the third time is once too often.
func (p *player) skip(now time.Duration) bool {
	for len(p.skips) > 0 && now-p.skips[0] > skipWindow {
		p.skips = p.skips[1:]
	}
	p.skips = append(p.skips, now)
	p.skipped++
	p.replayEnd = 0
	begin, end, _, ok := p.layer.span()
	if ok && begin > p.at && p.layer.age(begin) <= maxBehind {
		p.at = begin
	} else {
		p.at, p.needKey = end, true
		p.v.b.session.AskKeyFrame()
	}
	return len(p.skips) < maxSkips
}

// recover sends a peer that has lost a picture what came since the last key frame, in between two frames: it need not wait
// for a source that cannot be asked for another. While the publisher is away the peer misses nothing but what nobody has, and what
// comes after that begins with a key frame.
func (p *player) recover(now time.Duration) {
	if !p.v.lost.Load() || p.at < p.replayEnd || p.needKey || now-p.replayed < replayEvery {
		return
	}
	p.v.lost.Store(false)
	begin, _, _, ok := p.layer.span()
	if !ok || begin >= p.at {
		return // a key frame comes next anyway
	}
	if f, _, ok, _ := p.layer.take(begin); !ok || f.epoch != p.v.b.onAir.Load() {
		return
	}
	last, some := p.v.video.lastTime()
	if !some {
		return
	}
	n := uint32(p.at - begin)
	if n > replayRoom {
		return
	}
	p.replayEnd, p.replayTime, p.replayTicks, p.replayed = p.at, last, max(replayRoom/n, 1), now
	p.at = begin
}

// begin takes a place in a layer: at the newest key frame, with all that came since being played off.
func (p *player) begin(l *layer, now time.Duration) {
	if p.layer != nil {
		p.layer.unfollow(p.v)
	}
	p.layer, p.frame = l, nil
	l.follow(p.v)
	begin, end, last, ok := l.span()
	p.at, p.needKey, p.replayEnd, p.replayed = begin, !ok, end, now
	if !ok || l.age(begin) > freshKey {
		p.v.b.session.AskKeyFrame()
	}
	if !ok {
		p.replayEnd = 0
		return
	}
	n := uint32(end - begin)
	if sent, some := p.v.video.lastTime(); some {
		// Between what was sent last and what comes next there is less than a frame.
		p.replayTime, p.replayTicks = sent, max(replayRoom/n, 1)
		return
	}
	p.replayTime, p.replayTicks = uint32(last)-n*replayStep, replayStep
}

// choose finds the layer to show.
func (p *player) choose(now time.Duration) {
	usable := p.layer != nil
	if usable && now-p.chosen < chooseEvery && !p.layer.off.Load() {
		return
	}
	p.chosen = now
	p.layers = p.v.b.layers(p.layers)
	current := -1
	p.rates = p.rates[:0]
	for i, l := range p.layers {
		if l == p.layer {
			current = i
		}
		p.rates = append(p.rates, l.bitrate())
	}
	if len(p.layers) == 0 {
		if p.layer != nil {
			p.layer.unfollow(p.v)
			p.layer, p.frame = nil, nil
		}
		return
	}
	if current < 0 {
		p.begin(p.layers[p.chooser.start(p.rates, p.estimate(), now)], now)
		return
	}
	if p.v.estimate == nil || len(p.layers) == 1 {
		return
	}
	to := p.chooser.pick(p.rates, current, p.estimate(), now)
	if to == current {
		return
	}
	p.v.log.Debug("whep: layer", "from", p.layer.name, "to", p.layers[to].name)
	p.begin(p.layers[to], now)
}

// estimate is what the peer is believed to be able to receive, in bits a second; 0: not known.
func (p *player) estimate() int {
	if p.v.estimate == nil {
		return 0
	}
	return p.v.estimate()
}
