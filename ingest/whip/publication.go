package whip

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"mediad/ingest"
	"mediad/live"
	"mediad/media"
)

const (
	// minVideoWait is how long a lost packet of a picture is awaited: it is asked for each 50 ms. Where packets came later than that it is up to
	// maxVideoWait. minAudioWait and maxAudioWait are those of sound, which is not asked for, but may have been overtaken.
	minVideoWait = 300 * time.Millisecond
	maxVideoWait = 600 * time.Millisecond
	minAudioWait = 60 * time.Millisecond
	maxAudioWait = 240 * time.Millisecond

	// maxBadInRow is how many packets may be unreadable one after the other. A single one costs its picture; so many mean that
	// nothing will come of it.
	maxBadInRow = 250

	// maxLayers bounds the layers of simulcast.
	maxLayers = 4
)

// What is counted besides the firewall's repairs.
const (
	repairLost    = "packets_lost"
	repairDropped = "pictures_out_of_order"
)

// publication turns the packets of one publisher into access units. Its methods may be called from any goroutine.
type publication struct {
	o     *Options
	feed  Feed
	pub   Publisher
	flood *ingest.Flood
	began time.Time

	mu     sync.Mutex // guards the following
	layers []*videoTrack
	source *videoTrack // the layer that is published as the source
	sim    simulcast
	audio  *audioTrack
	told   [media.Kinds]*media.Track // what feed knows
	last   [media.Kinds]media.Ticks
	some   [media.Kinds]bool

	seen                 time.Duration // when the newest unit came
	reported             time.Duration // when the network was told of last
	asked                time.Duration // when a key frame was asked for last
	wanted               bool          // one is wanted now
	missing              []rtcp.Packet // NACKs that are due
	units, bad, badInRow int
	bytes                uint64
	over                 bool
}

type audioTrack struct {
	jit   jitter
	clock clock
}

func newPublication(o *Options, pub Publisher, f Feed, has offered, log *slog.Logger) *publication {
	if !has.video {
		f.NoTrack(media.Video)
	}
	if !has.audio {
		f.NoTrack(media.Audio)
	}
	p := &publication{o: o, pub: pub, feed: f, began: o.Now(), flood: ingest.NewFlood(log, o.Now, "whip: media lost")}
	p.sim = simulcast{offered: has.layers, open: has.layers < 2}
	p.sim.feed, _ = f.(layerFeed)
	return p
}

func (p *publication) now() time.Duration { return p.o.Now().Sub(p.began) }

// addVideo takes a stream of packets; nil if it is not wanted.
func (p *publication) addVideo(mime, rid string, ssrc uint32) *videoTrack {
	v := &videoTrack{rid: rid, ssrc: ssrc, jit: newJitter(minVideoWait, maxVideoWait), clock: newClock(media.VideoTimescale)}
	switch {
	case strings.EqualFold(mime, webrtc.MimeTypeH264):
		v.codec, v.asm = media.H264, newH264Assembler(p.o.MaxFrame)
	case strings.EqualFold(mime, webrtc.MimeTypeAV1):
		v.codec, v.asm = media.AV1, &av1Assembler{max: p.o.MaxFrame}
	case strings.EqualFold(mime, webrtc.MimeTypeVP9):
		v.codec, v.asm = media.VP9, &vp9Assembler{max: p.o.MaxFrame}
	case strings.EqualFold(mime, webrtc.MimeTypeVP8):
		v.codec, v.asm = media.VP8, &vp8Assembler{max: p.o.MaxFrame}
	default:
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.layers) == maxLayers {
		return nil
	}
	p.layers = append(p.layers, v)
	v.n = uint8(len(p.layers))
	return v
}

// addAudio takes the sound; nil if there is one already.
func (p *publication) addAudio() *audioTrack {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.audio != nil {
		return nil
	}
	p.audio = &audioTrack{jit: newJitter(minAudioWait, maxAudioWait), clock: newClock(48000)}
	return p.audio
}

// do runs f under the lock, unless the publication is over, and keeps a panic from leaving.
func (p *publication) do(f func() error) (err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer func() {
		if v := recover(); v != nil {
			err = panicked(v)
		}
	}()
	if p.over {
		return nil
	}
	return f()
}

// panicked is the error for a panic, to be made where it is recovered.
func panicked(v any) error {
	return live.Refuse(live.ReasonIngestError, fmt.Errorf("panic: %v\n%s", v, debug.Stack()))
}

// packet takes a packet of v, or of the sound where v is nil; again says that it is known to have been sent once more. An error ends the
// publication.
func (p *publication) packet(v *videoTrack, pkt *rtp.Packet, again bool) error {
	return p.do(func() error {
		p.bytes += uint64(len(pkt.Payload))
		now := p.now()
		p.begin(now, true)
		if v != nil {
			if len(pkt.Payload) > 0 {
				p.heard(v, now)
			}
			v.jit.push(pkt, now, again)
			return p.drainVideo(v, now)
		}
		p.audio.jit.push(pkt, now, again)
		return p.drainAudio(now)
	})
}

// tick gives up packets that were awaited long enough, and reports whether a key frame is to be asked for.
func (p *publication) tick() (ssrcs []uint32, err error) {
	err = p.do(func() error {
		now := p.now()
		p.begin(now, false)
		for _, v := range p.layers {
			if err := p.drainVideo(v, now); err != nil {
				return err
			}
			if lost := v.jit.ask(now); len(lost) > 0 {
				nack := &rtcp.TransportLayerNack{MediaSSRC: v.ssrc, Nacks: rtcp.NackPairsFromSequenceNumbers(lost)}
				p.missing = append(p.missing, nack)
			}
		}
		if p.audio != nil {
			if err := p.drainAudio(now); err != nil {
				return err
			}
		}
		ssrcs = p.keyFrameDue(now)
		p.tellNetwork(now)
		return nil
	})
	return ssrcs, err
}

// nacks takes what is asked for of lost packets since the last call.
func (p *publication) nacks() (due []rtcp.Packet) {
	p.mu.Lock()
	defer p.mu.Unlock()
	due, p.missing = p.missing, nil
	return due
}

// reportEvery is how often the network is told of.
const reportEvery = time.Second

// networkTold is a Publisher that wants to know how packets come; *live.Publisher is one.
type networkTold interface{ Network(n live.Network) }

// tellNetwork tells how packets come, if it is time to. The round trip is not known: ICE lite asks nothing, and nobody reports on
// us. p.mu is held.
func (p *publication) tellNetwork(now time.Duration) {
	pub, ok := p.pub.(networkTold)
	if !ok || now-p.reported < reportEvery {
		return
	}
	p.reported = now
	var n live.Network
	add := func(c jitterCount) {
		n.Packets, n.Lost, n.Missing = n.Packets+c.packets, n.Lost+c.lost, n.Missing+c.missing
	}
	for _, v := range p.layers {
		add(v.jit.count)
		n.Buffer = max(n.Buffer, v.jit.patience())
	}
	if p.audio != nil {
		add(p.audio.jit.count)
	}
	pub.Network(n)
}

// wantKeyFrame makes the next tick ask for one.
func (p *publication) wantKeyFrame() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wanted = true
}

// keyFrameDue returns whom to ask for a key frame: nobody if none is due, or one was asked for a moment ago.
func (p *publication) keyFrameDue(now time.Duration) (ssrcs []uint32) {
	if p.asked != 0 && now-p.asked < keyFramePause {
		return nil
	}
	due := p.wanted || p.sourceGone(now)
	for _, v := range p.layers {
		if len(p.layers) > 1 && now-v.heardAt >= layerGone {
			continue // the peer has paused it
		}
		due = due || v.torn || v.seenAt > 0 && v.seenAt-v.keyAt >= p.o.KeyFrameEvery*9/10
	}
	if !due || len(p.layers) == 0 {
		return nil
	}
	// All layers at once: rungs are cut where the source is.
	for _, v := range p.layers {
		ssrcs = append(ssrcs, v.ssrc)
	}
	p.asked, p.wanted = now, false
	return ssrcs
}

// report takes a sender report of v, or of the sound where v is nil.
func (p *publication) report(v *videoTrack, sr *rtcp.SenderReport) error {
	return p.do(func() error {
		if v != nil {
			v.clock.report(sr)
		} else {
			p.audio.clock.report(sr)
		}
		if p.source == nil {
			return nil
		}
		for _, l := range p.layers {
			l.follow(&p.source.clock)
		}
		if p.audio != nil {
			p.audio.clock.follow(&p.source.clock)
		}
		p.source.clock.fresh = false
		return nil
	})
}

// leader is the clock that the others follow.
func (p *publication) leader() *clock {
	if p.source == nil {
		return nil
	}
	return &p.source.clock
}

func (p *publication) drainVideo(v *videoTrack, now time.Duration) error {
	for {
		a, lost, ok := v.jit.pop(now)
		if !ok {
			return nil
		}
		p.count(repairLost, lost)
		pictures, err := v.take(a, lost)
		for i := range pictures {
			if err := p.picture(v, &pictures[i], a.at); err != nil {
				return err
			}
		}
		if err := p.tolerate(err); err != nil {
			return err
		}
	}
}

// repairCounter is a Publisher that counts what is mended; *live.Publisher is one.
type repairCounter interface{ Repaired(kind string, n int) }

func (p *publication) count(kind string, n int) {
	if n == 0 {
		return
	}
	n = min(n, maxHeld)
	for range n {
		p.flood.Add(kind)
	}
	if c, ok := p.pub.(repairCounter); ok {
		c.Repaired(kind, n)
	}
}

// picture publishes one of the source; what is of another layer goes where layers go.
func (p *publication) picture(v *videoTrack, pic *picture, at time.Duration) error {
	pts := v.clock.place(pic.timestamp, at, p.leader())
	v.came(at)
	if !p.sim.open {
		return nil
	}
	if v != p.source && (!pic.class.RandomAccess || !p.better(v, at)) {
		p.hold(v, pic, pts, at)
		return nil
	}
	if v != p.source {
		p.follow(v)
	}
	p.tellLayers()
	if p.told[media.Video] != v.track {
		if err := p.feed.Track(media.Video, v.track); err != nil {
			return err
		}
		p.told[media.Video], p.some[media.Video] = v.track, false
	}
	p.tellLayer(v) // behind Track, which ends the epoch that it would come too late for
	if last := p.last[media.Video]; p.some[media.Video] && pts <= last && last-pts < media.Ticks(v.track.Timescale) {
		p.count(repairDropped, 1)
		return nil
	}
	au := media.AccessUnit{
		Kind: media.Video, DTS: pts, PTS: pts, Data: pic.data,
		RandomAccess: pic.class.RandomAccess, OpenGOP: pic.class.OpenGOP, Disposable: pic.class.Disposable,
	}
	if err := p.write(at, au); err != nil {
		return err
	}
	return p.beside(v, au)
}

func (p *publication) drainAudio(now time.Duration) error {
	t := p.audio
	for {
		a, lost, ok := t.jit.pop(now)
		if !ok {
			return nil
		}
		p.count(repairLost, lost)
		if len(a.pkt.Payload) == 0 {
			continue
		}
		if media.OpusSamples(a.pkt.Payload) == 0 {
			if err := p.tolerate(unreadable("no Opus packet")); err != nil {
				return err
			}
			continue
		}
		if p.told[media.Audio] == nil {
			track, err := media.NewOpus(plainOpus())
			if err == nil {
				err = p.feed.Track(media.Audio, track)
			}
			if err != nil {
				return err
			}
			p.told[media.Audio] = track
		}
		pts := t.clock.place(a.pkt.Timestamp, a.at, p.leader())
		if !p.sim.open {
			continue
		}
		au := media.AccessUnit{Kind: media.Audio, DTS: pts, PTS: pts, RandomAccess: true, Data: a.pkt.Payload}
		if err := p.write(a.at, au); err != nil {
			return err
		}
	}
}

// plainOpus is a dOps record: version 0, two channels, which decoders make of any packet, 312 samples of pre-skip, 48 kHz, no
// gain, mapping family 0.
func plainOpus() []byte { return []byte{0, 2, 0x01, 0x38, 0, 0, 0xBB, 0x80, 0, 0, 0} }

func (p *publication) write(at time.Duration, au media.AccessUnit) error {
	p.badInRow = 0
	p.units++
	p.seen = max(p.seen, at)
	p.last[au.Kind], p.some[au.Kind] = au.PTS, true
	return p.feed.Write(au)
}

// tolerate lets a packet be unreadable now and then. Other errors with a reason end the publication.
func (p *publication) tolerate(err error) error {
	if err == nil {
		return nil
	}
	if live.ReasonOf(err) != live.ReasonMediaInvalid {
		return err
	}
	p.bad++
	if p.badInRow++; p.badInRow > maxBadInRow {
		return fmt.Errorf("%d packets in a row: %w", p.badInRow, err)
	}
	return nil
}

// silence is why too little came for too long; nil while it did not. waited is how long the peer is connected.
func (p *publication) silence(waited time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.units == 0 {
		if waited >= p.o.FirstFrameTimeout {
			return live.Refuse(live.ReasonNoMedia, fmt.Errorf("whip: no frame within %v", p.o.FirstFrameTimeout))
		}
		return nil
	}
	if p.now()-p.seen >= p.o.ReadTimeout {
		return live.Refuse(live.ReasonReadTimeout, fmt.Errorf("whip: no frame for %v", p.o.ReadTimeout))
	}
	return nil
}

// finish takes no more, and writes what is held back.
func (p *publication) finish() error {
	return p.do(func() error {
		p.over = true
		defer p.flood.Flush()
		p.feed.Flush()
		return nil
	})
}

// figures are for the log: pictures counts the packets of all layers.
func (p *publication) figures() (bytes uint64, units, bad int, pictures jitterCount) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, v := range p.layers {
		c := &v.jit.count
		pictures.packets, pictures.lost, pictures.missing = pictures.packets+c.packets, pictures.lost+c.lost, pictures.missing+c.missing
	}
	return p.bytes, p.units, p.bad, pictures
}

var errGone = errors.New("whip: the peer hung up")
