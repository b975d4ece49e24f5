package whip

import (
	"slices"
	"strings"
	"time"

	"github.com/pion/sdp/v3"

	"mediad/media"
)

const (
	// layersWait is how long those encodings of a picture that were offered are awaited before the others go on air. Browsers begin with the
	// smallest, until they know what the network carries: a second or two where they have processor enough. What is a rung is decided once a
	// session, and too late for what comes later.
	layersWait = 5 * time.Second

	// layerGone is the silence, while another layer shows gonePictures, after which that may be the source. Browsers stop the largest
	// when the network gets narrow.
	layerGone    = 500 * time.Millisecond
	gonePictures = 5

	// layerSteady is how long a larger layer has come before it is the source again: each change is a break for those who watch. A silence of
	// steadyGap begins it anew.
	layerSteady = 5 * time.Second
	steadyGap   = 1500 * time.Millisecond

	// maxWaiting bounds the pictures of a layer that wait for the source to come there: two seconds.
	maxWaiting = 64

	// sameInstant is how far the clocks of two encodings of one picture may be apart by rounding.
	sameInstant = media.Ticks(media.VideoTimescale) / 1000
	// byReport is how far off a layer's clock may be that is known by sender reports, and byKey one that is known by its packets' arrival: then
	// key frames tell, which are asked for of all layers at once.
	byReport = media.Ticks(media.VideoTimescale) / 200
	byKey    = media.Ticks(media.VideoTimescale) / 4
	// maxStrangers is how many pictures in a row may be none of the source's before a layer's clock is looked at again.
	maxStrangers = 30
)

// layerFeed is a Feed that takes layers; *ingest.Feed is one. Others get the source alone.
type layerFeed interface {
	Layer(n uint8, t *media.Track)
	WriteLayer(au media.AccessUnit) error
}

// simulcast is what is known of a publisher's layers together.
type simulcast struct {
	feed    layerFeed // nil: it takes none
	offered int
	since   time.Duration // when the first packet came
	begun   bool
	open    bool // the layers are there, or were awaited long enough
	line    instants
}

// layer is a stream of pictures as what it is beside the source.
type layer struct {
	n     uint8        // counts from 1
	known *media.Track // what the feed knows of it as a layer; nil: it is none

	waiting   []waiting
	matched   bool // its clock is exact
	strangers int  // pictures since, in a row, that are none of the source's

	heardAt time.Duration // when its newest packet came, and
	cameAt  time.Duration // the first picture since it was silent
	picAt   time.Duration // the newest picture
	alone   int           // pictures since the source's newest packet
}

// waiting is a picture of a layer for which the source has not come there.
type waiting struct {
	picture
	raw media.Ticks // unwrapped timestamp: the clock may be moved yet
}

// layersOf counts the encodings that a media section sends (RFC 8853).
func layersOf(m *sdp.MediaDescription) (n int) {
	v, ok := m.Attribute("simulcast")
	if !ok {
		return 0
	}
	words := strings.Fields(v)
	i := slices.Index(words, "send")
	if i < 0 || i+1 == len(words) {
		return 0
	}
	for stream := range strings.SplitSeq(words[i+1], ";") {
		if !strings.HasPrefix(stream, "~") { // paused at first
			n++
		}
	}
	return min(n, maxLayers)
}

// begin opens the publication once its layers are there, or were awaited long enough.
func (p *publication) begin(now time.Duration, packet bool) {
	if p.sim.open {
		return
	}
	if !p.sim.begun {
		p.sim.begun, p.sim.since = packet, now
		return
	}
	if now-p.sim.since < layersWait && !p.complete() {
		return
	}
	p.sim.open, p.wanted = true, true
	var best *videoTrack
	for _, v := range p.layers {
		if v.track != nil && (best == nil || v.area() > best.area()) {
			best = v
		}
	}
	if best != nil {
		p.follow(best)
	}
}

// complete reports whether all layers have shown a key frame and said what time it is.
func (p *publication) complete() bool {
	if len(p.layers) < p.sim.offered {
		return false
	}
	for _, v := range p.layers {
		if v.track == nil || !v.clock.reported {
			return false
		}
	}
	return true
}

// follow makes v the source.
func (p *publication) follow(v *videoTrack) {
	p.source = v
	v.waiting = nil
	p.sim.line = instants{}
	for _, l := range p.layers {
		l.matched = false
		l.follow(&v.clock)
	}
	if p.audio != nil {
		p.audio.clock.follow(&v.clock)
	}
}

func (v *videoTrack) area() int { return v.track.Width * v.track.Height }

// follow moves v's clock beside the source's.
func (v *videoTrack) follow(source *clock) {
	was := v.clock.offset
	if v.clock.follow(source); v.clock.offset != was {
		v.matched = false
	}
}

// heard notes that a packet of v came.
func (p *publication) heard(v *videoTrack, now time.Duration) {
	v.heardAt = now
	if v == p.source {
		for _, l := range p.layers {
			l.alone = 0
		}
	}
}

// came notes that a picture of v came.
func (v *videoTrack) came(now time.Duration) {
	if v.picAt == 0 || now-v.picAt > steadyGap {
		v.cameAt = now
	}
	v.picAt = now
	v.alone++
}

// sourceGone reports whether the source has stopped while others go on.
func (p *publication) sourceGone(now time.Duration) bool {
	s := p.source
	if s == nil || now-s.heardAt < layerGone {
		return false
	}
	for _, v := range p.layers {
		if v != s && v.alone >= gonePictures {
			return true
		}
	}
	return false
}

// better reports whether v, at a key frame, is to be the source: the largest picture that comes.
func (p *publication) better(v *videoTrack, now time.Duration) bool {
	s := p.source
	switch {
	case s == nil || s.track == nil:
		return true
	case !p.sourceGone(now):
		return v.area() > s.area() && now-v.cameAt >= layerSteady
	}
	for _, l := range p.layers {
		if l != s && l.track != nil && now-l.heardAt < layerGone && l.area() > v.area() {
			return false
		}
	}
	return true
}

// tellLayers tells the feed of the layers beside the source, before an epoch begins with them.
func (p *publication) tellLayers() {
	if p.sim.feed == nil || len(p.layers) < 2 {
		return
	}
	for _, v := range p.layers {
		// Others are of no use as rungs; the ladder makes some of the source.
		if v != p.source && v.track != nil && v.track.Codec == media.H264 && v.known != v.track {
			v.known = v.track
			p.sim.feed.Layer(v.n, v.track)
		}
	}
}

// tellLayer tells the feed of a changed layer that is the source just now.
func (p *publication) tellLayer(v *videoTrack) {
	if v.known != nil && v.known != v.track {
		v.known = v.track
		p.sim.feed.Layer(v.n, v.track)
	}
}

// hold keeps a picture of a layer until the source has come there: what becomes of the source's picture becomes of it.
func (p *publication) hold(v *videoTrack, pic *picture, pts media.Ticks, at time.Duration) {
	if p.sim.feed == nil || p.source == nil {
		return
	}
	if len(v.waiting) == maxWaiting {
		v.waiting = v.waiting[:0]
		v.torn, v.tornAt = true, at
		return
	}
	v.waiting = append(v.waiting, waiting{*pic, pts - v.clock.offset})
}

// beside publishes what goes with a picture of the source: itself, where the source is what was a layer when the session's rungs were decided
// on, and those pictures of layers that waited for it.
func (p *publication) beside(source *videoTrack, au media.AccessUnit) error {
	if p.sim.feed == nil || len(p.layers) < 2 {
		return nil
	}
	p.sim.line.add(au.PTS, au.RandomAccess)
	if source.known != nil {
		au.Layer = source.n
		if err := p.sim.feed.WriteLayer(au); err != nil {
			return err
		}
	}
	for _, v := range p.layers {
		if err := p.release(v, au.PTS); err != nil {
			return err
		}
	}
	return nil
}

func (p *publication) release(v *videoTrack, newest media.Ticks) error {
	n := 0
	for n < len(v.waiting) {
		w := &v.waiting[n]
		at := w.raw + v.clock.offset
		ahead := byReport
		if !v.matched && !v.clock.synced {
			ahead = -byKey // the source may be that late
		}
		if at-ahead > newest {
			break
		}
		n++
		if v.known == nil {
			continue
		}
		pts := v.match(&p.sim.line, at, w.class.RandomAccess)
		p.units++
		err := p.sim.feed.WriteLayer(media.AccessUnit{
			Kind: media.Video, Layer: v.n, DTS: pts, PTS: pts, Data: w.data,
			RandomAccess: w.class.RandomAccess, OpenGOP: w.class.OpenGOP, Disposable: w.class.Disposable,
		})
		if err != nil {
			return err
		}
	}
	v.waiting = slices.Delete(v.waiting, 0, n)
	return nil
}

// match finds the source's picture that a layer's is, and makes the layer's clock exact by it. All encodings of one picture have one capture
// instant, so that the difference of two layers' timestamps never changes.
func (v *videoTrack) match(line *instants, at media.Ticks, key bool) media.Ticks {
	there, ok := line.nearest(at, false)
	off := there - at
	switch {
	case ok && off <= sameInstant && off >= -sameInstant:
		v.matched, v.strangers = true, 0
		return there
	case v.matched && v.strangers < maxStrangers:
		v.strangers++ // the source has left that picture out
		return at
	}
	v.matched, v.strangers = false, 0
	within := byReport
	if !v.clock.synced {
		// Only key frames tell which picture is the same.
		within = byKey
		there, ok = line.nearest(at, true)
		off, ok = there-at, ok && key
	}
	if !ok || off > within || off < -within {
		return at
	}
	v.clock.offset += off
	v.matched = true
	return there
}

// instants are those of the source's newest pictures.
type instants struct {
	at   [maxWaiting]media.Ticks
	key  [maxWaiting]bool
	n, i int
}

func (l *instants) add(at media.Ticks, key bool) {
	l.at[l.i], l.key[l.i] = at, key
	l.i = (l.i + 1) % maxWaiting
	l.n = min(l.n+1, maxWaiting)
}

// nearest is the one nearest to at, of a key frame if that is wanted.
func (l *instants) nearest(at media.Ticks, key bool) (there media.Ticks, ok bool) {
	for i := range l.n {
		if key && !l.key[i] {
			continue
		}
		if off := at - l.at[i]; !ok || max(off, -off) < max(at-there, there-at) {
			there, ok = l.at[i], true
		}
	}
	return there, ok
}
