package cut

import (
	"math"
	"time"

	"mediad/media"
)

// Config is what a session's cutting begins with.
type Config struct {
	// SegmentTarget is how long segments should last; whole seconds, at least 2. Default 2 s.
	SegmentTarget time.Duration
	// PartTarget is how long parts should last. Default 200 ms.
	PartTarget time.Duration
	// LongestGOP is that of the stream's last session; 0 if not known.
	LongestGOP time.Duration
	// Constants are those of a session that goes on; nil: they are still to be decided.
	Constants *Constants
	// Tracks are those that a session that goes on has had, and FirstSeq its next segment.
	Tracks   [media.Kinds]*media.Track
	FirstSeq int64
	// Rungs is how many encoded renditions follow, MaxRungs at most; RungTracks are those that they have had, nil where there was none.
	Rungs      int
	RungTracks []*media.Track
	// RungFrame is how long their frames last; 0: not known.
	RungFrame time.Duration
	// Leads says that the video line is an encoded rendition: what Encoded brings of it, never the source's units.
	Leads bool
	// MayLead says that the session can be cut so instead: see Unfit. Then the constants are decided no sooner than it is clear that
	// the source has key frames at which the first segment can end.
	MayLead bool
}

// maxUndecided bounds, in bytes, what is kept back until the constants are decided.
const maxUndecided = 16 << 20

// roundingTicks is by how much the grid of a frame rate and its ticks differ.
const roundingTicks = 4

// Cutter cuts one session. Its methods must not be called at the same time. Per epoch: Begin, Push…, Close.
type Cutter struct {
	cfg   Config
	sink  Sink
	whole time.Duration // T

	constants Constants
	decided   bool
	waiting   []media.AccessUnit // until decided
	evidence  evidence
	unfit     bool
	lead      *lead // nil: the source leads

	inEpoch bool
	tracks  [media.Kinds]*media.Track // of the epoch
	start   time.Duration
	video   *video // nil: the session has none
	audio   *audio // nil: the session has none
	rungs   []*rung
	// ahead is how far audio must be ahead before video counts as missing.
	ahead   time.Duration
	arrived time.Duration // end of the newest audio frame
	// firstSeq is the first segment of the epoch.
	firstSeq int64
	stats    Stats
}

// New returns a Cutter that tells sink.
func New(cfg Config, sink Sink) *Cutter {
	if cfg.SegmentTarget == 0 {
		cfg.SegmentTarget = 2 * time.Second
	}
	if cfg.PartTarget == 0 {
		cfg.PartTarget = 200 * time.Millisecond
	}
	c := &Cutter{cfg: cfg, sink: sink}
	c.whole = max(cfg.SegmentTarget.Truncate(time.Second), 2*time.Second)
	if cfg.Leads {
		c.lead = &lead{}
	}
	if cfg.Constants != nil {
		c.constants, c.decided = *cfg.Constants, true
		c.makeLines(cfg.Tracks, cfg.FirstSeq)
	}
	c.makeRungs(cfg.FirstSeq)
	return c
}

// Rungs says that n encoded renditions follow from the next epoch on, MaxRungs at most, whose frames last that long. They never get
// fewer.
func (c *Cutter) Rungs(n int, frame time.Duration) {
	c.cfg.Rungs, c.cfg.RungFrame = min(max(n, c.cfg.Rungs), MaxRungs), frame
	c.makeRungs(c.seq())
}

// Begin starts an epoch whose first sample is at start, session time. A nil track is absent. It closes the one before.
func (c *Cutter) Begin(start time.Duration, tracks [media.Kinds]*media.Track) {
	c.Close()
	c.tracks, c.start, c.inEpoch = tracks, start, true
	c.arrived = start
	c.ahead = lateAfter
	if c.awaitLead() {
		return
	}
	if c.cfg.MayLead && !c.decided && tracks[media.Video] != nil && c.cfg.LongestGOP >= c.longestCut() {
		c.unfit = true
		return
	}
	if c.decided {
		c.beginLines()
	} else {
		c.evidence = evidence{}
	}
}

// Push takes a unit of the epoch, in session time.
func (c *Cutter) Push(u media.AccessUnit) {
	if !c.inEpoch || c.unfit || c.waits(u) || c.tracks[u.Kind] == nil {
		return
	}
	if c.decided {
		c.push(u)
		return
	}
	c.waiting = append(c.waiting, u)
	var enough bool
	if c.cfg.MayLead {
		enough, c.unfit = c.evidence.judge(u, c.tracks, c.whole, c.limit(c.whole), c.longestCut())
	} else {
		enough = c.evidence.take(u, c.tracks, c.limit(c.whole))
	}
	if enough && !c.unfit {
		c.decide()
	}
}

// Unfit reports that the source cannot be cut as segments should be: its GOPs are longer than any segment, or open, or those of
// the stream's last session were. Only where Config.MayLead, and before anything was told to the sink. Nothing more will be.
func (c *Cutter) Unfit() bool { return c.unfit }

// Waiting are the units of the epoch that were kept back until the constants are decided.
func (c *Cutter) Waiting() []media.AccessUnit { return c.waiting }

// Close ends the epoch: whatever is open is published. Doing it twice does nothing more.
func (c *Cutter) Close() {
	if !c.inEpoch {
		return
	}
	if c.unfit || c.leadWaits() || !c.decided && len(c.waiting) == 0 {
		c.inEpoch = false
		for _, r := range c.rungs {
			r.close(nil)
		}
		return
	}
	if !c.decided {
		c.decide()
	}
	c.inEpoch = false
	if c.video != nil {
		c.video.close()
	}
	defer func() { // where audio leads, its last segment is one of video too
		for _, r := range c.rungs {
			r.close(c.video)
		}
	}()
	if a := c.audio; a != nil {
		if c.video != nil && !a.lead {
			if c.video.fresh {
				return
			}
			a.late = 0
			a.run(c.video.at())
		}
		if a.end > a.segStart {
			a.endSegment()
			if a.lead {
				a.cut()
			}
		}
		a.queue.clear()
	}
}

// Stats are the counts so far.
func (c *Cutter) Stats() Stats { return c.stats }

// LongestGOP is the source's longest of the session, 0 if none was complete.
func (c *Cutter) LongestGOP() time.Duration {
	if c.lead != nil {
		return media.VideoTimescale.Duration(c.lead.source.longest)
	}
	if c.video == nil {
		return 0
	}
	return c.video.scale.Duration(c.video.gop.longest)
}

// Next names the part that comes next, part -1 where segments are listed without parts. ok is false while nothing
// is to be expected, which is behind a gap. A name that is told to players must come true (rfc8216bis 4.4.5.3): while it is open whether the segment goes on,
// the part before is kept back.
func (c *Cutter) Next(n Line) (seq int64, part int, ok bool) {
	if !c.inEpoch || !c.decided {
		return 0, 0, false
	}
	var l *line
	switch k := media.Kind(n); {
	case c.leadWaits(): // for the picture with which the epoch begins
		return c.first(n)
	case k == media.Video && c.video != nil:
		if l = &c.video.line; c.video.gap {
			return l.returns()
		}
	case k == media.Audio && c.audio != nil:
		l = &c.audio.line
	case n >= FirstRung && c.rung(n) != nil && c.rung(n).track:
		r := c.rung(n)
		if r.gap {
			return r.returns()
		}
		if l = &r.line; l.listed && (r.end < c.video.end-r.frame/2 || r.marks.some()) {
			return l.seq, l.index, true // where the source has come to the segment has not ended
		}
	default:
		return 0, 0, false
	}
	v := c.video
	switch {
	case !l.listed:
		return l.seq, -1, true
	case v == nil || len(l.part) > 0 || l == &v.line && v.holding:
		return l.seq, l.index, true // it has begun
	}
	// Video comes to the cut within half a frame; audio, which ends at the first frame boundary after it, has come
	// there or not.
	near := v.frame / 2
	if l.kind == media.Audio {
		near = min(near, roundingTicks)
	}
	if at, sure := v.expectCut(); sure && l.at() >= v.scale.Duration(at-near) {
		return l.seq + 1, 0, true
	}
	return l.seq, l.index, true
}

// first names the first part of an epoch that has not begun: it is a segment's.
func (c *Cutter) first(n Line) (seq int64, part int, ok bool) {
	r := c.rung(n)
	switch {
	case n == Line(media.Audio) && c.audio != nil:
		return c.audio.seq, 0, true
	case n == Line(media.Video) && c.video != nil:
		return c.video.returns()
	case r != nil && r.track:
		return r.returns()
	default:
		return 0, 0, false
	}
}

// returns names what comes next of a line whose open segment has nothing: that segment may begin yet, and until it is told to be a gap
// nobody knows better. Behind a gap nothing is foreseen.
func (l *line) returns() (seq int64, part int, ok bool) {
	switch {
	case l.out:
		return 0, 0, false
	case !l.listed:
		return l.seq, -1, true
	default:
		return l.seq, 0, true
	}
}

// unsure tells whether video, which has come no further than to that time, may end the segment there or a little before.
func (c *Cutter) unsure(at time.Duration) bool {
	return c.video != nil && c.inEpoch && at >= c.video.at() && c.video.unsure(c.video.scale.Ticks(at))
}

// Wants tells how many further units of a kind it takes until a part or a segment can end by them; 1 where any may. Audio is cut
// where video was: while that has left no mark to reach, no amount of audio ends anything.
func (c *Cutter) Wants() [media.Kinds]int {
	wants := [media.Kinds]int{1, 1}
	v, a := c.video, c.audio
	if c.leadWaits() {
		return [media.Kinds]int{math.MaxInt, math.MaxInt} // what is taken of it comes by Encoded
	}
	if !c.inEpoch || !c.decided || v == nil || v.gap || v.fresh || !v.steady || v.frame <= 0 || !v.listed || a != nil && a.lead {
		return wants
	}
	if len(v.part) > 0 || !v.cutAtKey(v.end) {
		wants[media.Video] = max(int((v.nominal-v.length())/v.frame), 1)
	}
	if c.lead != nil {
		wants[media.Video] = math.MaxInt
	}
	if a == nil {
		return wants
	}
	wants[media.Audio] = math.MaxInt
	if m, ok := a.marks.front(); ok {
		wants[media.Audio] = max(int((a.scale.Ticks(m.at)-a.end)/a.frame)-a.queue.len(), 1)
	}
	return wants
}

func (c *Cutter) push(u media.AccessUnit) {
	switch u.Kind {
	case media.Video:
		late := c.stats.Late[media.Video]
		c.video.push(u)
		if c.lead != nil {
			c.ahead = c.leadAhead(u)
			c.follow()
			return // what follows may have come at the same moment: see Settle
		} else if c.stats.Late[media.Video] > late {
			behind := c.arrived - c.video.scale.Duration(u.PTS)
			c.ahead = min(max(c.ahead, behind+lateMargin), lateAtMost)
		}
	default:
		c.arrived = max(c.arrived, c.audio.scale.Duration(u.DTS+c.audio.frame))
		c.audio.queue.push(u)
		if v := c.video; v != nil && !c.audio.lead {
			v.expectLate(v.scale.Ticks(c.arrived - c.ahead))
		}
	}
	c.follow()
	c.Settle()
}

// Settle publishes what can be of the rungs. After a row of Encoded it is to be called, so that none counts as late because another
// was told first.
func (c *Cutter) Settle() {
	for _, r := range c.rungs {
		c.runRung(r)
	}
}

// follow lets audio come as far as video has.
func (c *Cutter) follow() {
	switch a := c.audio; {
	case a == nil:
	case a.lead || c.video == nil:
		a.run(c.arrived)
	case !c.video.fresh:
		a.run(c.video.at())
	}
}

func (c *Cutter) rung(n Line) *rung {
	if i := int(n) - int(FirstRung); i >= 0 && i < len(c.rungs) {
		return c.rungs[i]
	}
	return nil
}

// Track says how a rung's units are decoded from here on, in this epoch. Units follow: a rung that was shed is back with them.
func (c *Cutter) Track(n Line, t *media.Track) {
	if c.leadTrack(n, t) {
		return
	}
	if r := c.rung(n); r != nil && c.inEpoch {
		r.follow(t)
		if r.shed {
			r.back()
		}
	}
}

// Encoded takes a rung's next unit, in session time and at media.VideoTimescale; PTS is DTS.
func (c *Cutter) Encoded(n Line, u media.AccessUnit) {
	if c.lead != nil && n == Line(media.Video) {
		c.pushLead(u)
		return
	}
	r := c.rung(n)
	if r == nil || !c.inEpoch {
		return
	}
	r.push(u)
	c.runRung(r)
}

// Shed says that a rung's encoder makes nothing more of it, Restore that it does so again. The source's segments end at the next
// key frames then, though they be short: players leave the rung once a whole segment of it is missing.
func (c *Cutter) Shed(n Line) {
	r := c.rung(n)
	if r == nil {
		return
	}
	r.leave()
	if v := c.video; v != nil {
		v.hurry, v.hurryAt = 2, v.partStart+1 // what is foreseen for the open part stays true
	}
	c.runRung(r)
}

// Restore takes units of the rung again: see Shed.
func (c *Cutter) Restore(n Line) {
	if r := c.rung(n); r != nil {
		r.back()
	}
}

// Abandon lists a rung's gaps until the epoch ends, because what comes of it cannot be decoded by what was said of it.
func (c *Cutter) Abandon(n Line) {
	if c.lead != nil && n == Line(media.Video) {
		c.abandonLead()
		return
	}
	if r := c.rung(n); r != nil {
		r.kill()
		c.runRung(r)
	}
}

// Due is how many further units of a rung it takes until a part can end by them.
func (c *Cutter) Due(n Line) int {
	if r := c.rung(n); r != nil {
		return r.due()
	}
	if v := c.video; c.lead != nil && n == Line(media.Video) && v != nil && !c.leadWaits() && !v.gap && !v.fresh && v.steady && v.frame > 0 {
		return max(int((v.nominal-v.length()+v.frame/2)/v.frame), 1)
	}
	return 1
}

func (c *Cutter) runRung(r *rung) {
	if c.decided && c.inEpoch && !c.leadWaits() && c.video != nil {
		r.run(c.video, false)
	}
}
