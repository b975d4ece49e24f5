package cut

import (
	"time"

	"mediad/media"
)

// limit is the length that no segment of video reaches: EXTINF rounds to the target, also that of audio, which may be
// one frame longer.
func (c *Cutter) limit(target time.Duration) time.Duration {
	d := target + 500*time.Millisecond - time.Millisecond
	if c.cfg.Rungs > 0 {
		d -= longestFrame // theirs are as long as those of the source but for half a frame at either end
	}
	for _, t := range [...]*media.Track{c.tracks[media.Audio], c.cfg.Tracks[media.Audio]} {
		if t != nil {
			return d - audioFrame(t)
		}
	}
	return d
}

// longestFrame is how long a frame of a rung may last where a segment comes near the limit.
const longestFrame = 42 * time.Millisecond

func audioFrame(t *media.Track) time.Duration {
	return t.Timescale.Duration(media.Ticks(t.FrameSamples))
}

// evidence is what the constants are decided by: what came in the session's first seconds.
type evidence struct {
	first, last [media.Kinds]media.Ticks
	count       [media.Kinds]int
	bytes       int

	frame    media.Ticks // of the newest video unit; 0: variable rate
	longest  media.Ticks // interval of video units
	firstKey media.Ticks
	gop      media.Ticks // 0 until the second key frame
	lastKey  media.Ticks
	longGOP  media.Ticks // the longest so far
}

// take notes a unit and tells whether that is enough: a second of cadence, and the second key frame or the time by
// which it should have come.
func (e *evidence) take(u media.AccessUnit, tracks [media.Kinds]*media.Track, limit time.Duration) bool {
	k := u.Kind
	switch {
	case e.count[k] > 0 && k == media.Video:
		e.longest = max(e.longest, u.DTS-e.last[k])
	case e.count[k] == 0:
		e.first[k] = u.DTS
	default:
	}
	e.count[k]++
	e.last[k] = u.DTS
	e.bytes += len(u.Data)
	if k == media.Video {
		e.frame = u.Duration
		if u.RandomAccess {
			e.key(u.PTS)
		} else if e.count[k] == 1 {
			e.firstKey, e.lastKey = u.PTS, u.PTS
		}
	}
	const cadence = time.Second
	span := tracks[k].Timescale.Duration(e.last[k] - e.first[k])
	switch {
	case e.bytes >= maxUndecided:
		return true
	case k == media.Video:
		return span >= limit || e.gop > 0 && span >= cadence
	case tracks[media.Video] == nil:
		return span >= cadence
	default:
		return span >= limit+lateAtMost
	}
}

// key notes a key frame.
func (e *evidence) key(pts media.Ticks) {
	if e.count[media.Video] == 1 {
		e.firstKey = pts
	} else {
		if e.gop == 0 {
			e.gop = pts - e.firstKey
		}
		e.longGOP = max(e.longGOP, pts-e.lastKey)
	}
	e.lastKey = pts
}

// judge is take where another line could lead: it is enough once a key frame has come at which the first segment ends, which is not
// shown before that anyway. unfit says that none can come any more in a segment of the length longest, or that the
// source's GOPs are open.
func (e *evidence) judge(u media.AccessUnit, tracks [media.Kinds]*media.Track, whole, limit, longest time.Duration) (enough, unfit bool) {
	enough = e.take(u, tracks, longest)
	t := tracks[media.Video]
	if u.Kind != media.Video || t == nil {
		return enough, false
	}
	length := t.Timescale.Duration(u.PTS - e.firstKey)
	long := length >= longest
	if u.RandomAccess && e.count[media.Video] > 1 {
		gop := t.Timescale.Duration(e.longGOP)
		ends := length >= whole-t.Timescale.Duration(e.frame/2) || length+gop >= limit
		return enough && ends, u.OpenGOP || long || gop >= longest
	}
	return e.bytes >= maxUndecided, long
}

// decide fixes the session's constants and takes what waited for them.
func (c *Cutter) decide() {
	e := &c.evidence
	var f cadence
	target := c.whole
	if v := c.tracks[media.Video]; v != nil && e.count[media.Video] > 0 {
		limit := c.limit(c.whole)
		gop := v.Timescale.Duration(max(e.gop, e.longGOP))
		if c.lead != nil {
			// Its key frames are made here: in time.
		} else if e.gop == 0 || gop >= limit || c.cfg.LongestGOP >= limit {
			target += time.Second
		}
		switch {
		case e.frame > 0:
			f.frame = v.Timescale.Duration(e.frame)
			f.gop = int((e.gop + e.frame/2) / e.frame)
		case e.longest > 0:
			f.longest = v.Timescale.Duration(e.longest)
		default:
		}
	}
	if a := c.tracks[media.Audio]; a != nil {
		f.audio = audioFrame(a)
	}
	c.constants = Constants{
		Target:     int(target / time.Second),
		PartTarget: choosePartTarget(c.cfg.PartTarget, f),
	}
	if p := c.constants.PartTarget; c.cfg.Rungs > 0 && f.longest > 0 && (p == 0 || p > longestSource) {
		f.longest, f.frame = 0, c.cfg.RungFrame
		if p := choosePartTarget(c.cfg.PartTarget, f); p > 0 && p <= longestSource {
			c.constants.PartTarget, c.constants.SourceWhole = p, true
		}
	}
	c.decided = true
	c.sink.Decided(c.constants)
	c.beginLines()
	waiting := c.waiting
	c.waiting = nil
	for _, u := range waiting {
		c.push(u)
	}
}

// makeLines makes the line of each track that is new to the session.
func (c *Cutter) makeLines(tracks [media.Kinds]*media.Track, seq int64) {
	if tracks[media.Video] != nil && c.video == nil {
		c.video = &video{
			line:  line{kind: media.Video, number: Line(media.Video), sink: c.sink, seq: seq},
			stats: &c.stats, mark: c.mark, paced: c.pace,
		}
	}
	if tracks[media.Audio] != nil && c.audio == nil {
		c.audio = &audio{line: line{kind: media.Audio, number: Line(media.Audio), sink: c.sink, seq: seq}, stats: &c.stats, cut: c.audioCut, unsure: c.unsure}
	}
	for k, t := range tracks {
		if t != nil {
			c.cfg.Tracks[k] = t
		}
	}
}

// makeRungs makes the lines of rungs that are new to the session.
func (c *Cutter) makeRungs(seq int64) {
	for len(c.rungs) < min(c.cfg.Rungs, MaxRungs) {
		n := len(c.rungs)
		r := &rung{
			line: line{
				kind: media.Video, number: FirstRung + Line(n), sink: c.sink, seq: seq, scale: media.VideoTimescale,
			},
			count: &c.stats.Encoded, fresh: true, gap: true, broken: true,
		}
		if n < len(c.cfg.RungTracks) && c.cfg.RungTracks[n] != nil {
			r.follow(c.cfg.RungTracks[n])
		}
		c.rungs = append(c.rungs, r)
	}
}

// seq is the number of the next segment.
func (c *Cutter) seq() int64 {
	switch {
	case c.video != nil:
		return c.video.seq
	case c.audio != nil:
		return c.audio.seq
	default:
		return 0
	}
}

// beginLines starts the epoch on the lines, with the newest track of each kind where the epoch has none.
func (c *Cutter) beginLines() {
	c.makeLines(c.tracks, c.seq())
	target := time.Duration(c.constants.Target) * time.Second
	listed := c.constants.PartTarget > 0
	c.firstSeq = c.seq()
	later := c.firstSeq > 0 || c.cfg.Constants != nil
	hasVideo, hasAudio := c.tracks[media.Video] != nil, c.tracks[media.Audio] != nil
	if v := c.video; v != nil {
		v.scale = c.cfg.Tracks[media.Video].Timescale
		v.listed, v.discontinuity = listed && !c.constants.SourceWhole, later
		v.bounds = partBounds(v.scale, c.partTarget(unlistedPart))
		if !v.listed {
			v.bounds = partBounds(v.scale, unlistedPart)
		}
		v.whole, v.target = v.scale.Ticks(c.whole), v.scale.Ticks(target)
		v.limit = ticksBelow(v.scale, c.limit(target))
		v.short = v.scale.Ticks(shortest)
		v.hold, v.want = v.scale.Ticks(longestFill), v.scale.Ticks(c.cfg.PartTarget)
		v.stiller = newStiller(c.tracks[media.Video])
		v.gop.before = v.scale.Ticks(c.cfg.LongestGOP)
		v.open(v.scale.Ticks(c.start), !hasVideo)
	}
	for _, r := range c.rungs {
		r.listed, r.discontinuity = listed, later
		r.bounds = partBounds(r.scale, c.partTarget(unlistedPart))
		r.hold, r.want = r.scale.Ticks(longestFill), r.scale.Ticks(c.cfg.PartTarget)
		r.frame = 0
		r.open(r.scale.Ticks(c.start))
	}
	if a := c.audio; a != nil {
		t := c.cfg.Tracks[media.Audio]
		a.scale, a.frame = t.Timescale, media.Ticks(t.FrameSamples)
		a.listed, a.discontinuity = listed, later
		a.whole = a.scale.Ticks(c.whole)
		a.bounds = partBounds(a.scale, c.partTarget(time.Second))
		a.silence = nil
		if t.Codec == media.AAC {
			a.silence = SilentAAC(t.Config)
		}
		a.open(c.start, !hasAudio, !hasVideo)
	}
	c.fitEpoch()
}

func (c *Cutter) partTarget(unlisted time.Duration) time.Duration {
	if c.constants.PartTarget == 0 {
		return unlisted
	}
	return c.constants.PartTarget
}

// fitEpoch finds the part lengths of the epoch's audio.
func (c *Cutter) fitEpoch() {
	a := c.audio
	if a == nil {
		return
	}
	a.tied = !a.lead && (c.video == nil || c.video.listed)
	if !a.fitFrames(a.frame, a.scale.Ticks(c.cfg.PartTarget), 0) {
		c.listNone()
	}
}

// pace is told that video has a new constant rate, and whether a whole number of frames makes a part. If not, and nothing
// of the epoch is published yet, it lists no parts. If so, audio parts end with those of video where both a frame
// more and a frame less are within the bounds.
func (c *Cutter) pace(fits bool) {
	v, a := c.video, c.audio
	if !fits && v.listed && v.seq == c.firstSeq && v.index == 0 && (a == nil || a.seq == c.firstSeq && a.index == 0) {
		c.listNone()
		return
	}
	if a == nil || !v.listed {
		return
	}
	part, frame := v.scale.Duration(v.nominal), a.scale.Duration(a.frame)
	few, many := part/frame*frame, (part+frame-1)/frame*frame
	a.tied = few >= a.scale.Duration(a.least) && many <= a.scale.Duration(a.most)
}

// listNone lists the epoch's segments without parts.
func (c *Cutter) listNone() {
	for _, l := range c.lines() {
		l.listed = false
	}
	if v := c.video; v != nil {
		v.bounds = partBounds(v.scale, unlistedPart)
		if d := v.frame; v.steady {
			v.frame = 0
			v.keep(d)
		}
	}
	for _, r := range c.rungs {
		r.bounds = partBounds(r.scale, unlistedPart)
		r.frame = 0
	}
	if a := c.audio; a != nil {
		a.bounds = partBounds(a.scale, time.Second)
		a.fitFrames(a.frame, a.scale.Ticks(c.cfg.PartTarget), 0)
		a.tied = false
	}
}

func (c *Cutter) lines() []*line {
	var out []*line
	if c.video != nil {
		out = append(out, &c.video.line)
	}
	if c.audio != nil {
		out = append(out, &c.audio.line)
	}
	for _, r := range c.rungs {
		out = append(out, &r.line)
	}
	return out
}

// mark tells audio where video ended a part or a segment, and the rungs where it ended a segment.
func (c *Cutter) mark(at time.Duration, segment bool) {
	for _, r := range c.rungs {
		if segment {
			r.marks.push(mark{at: at, segment: true})
		}
	}
	if c.audio != nil && !c.audio.lead {
		c.audio.marks.push(mark{at: at, segment: segment})
	}
}

// audioCut follows a segment that audio ended as lead: where the session has video, that lists a gap as long.
func (c *Cutter) audioCut() {
	if v := c.video; v != nil && v.gap {
		v.emitGap(v.scale.Ticks(c.audio.at()))
	}
}
