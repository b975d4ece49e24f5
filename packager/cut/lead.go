package cut

import (
	"time"

	"mediad/media"
)

const (
	// soundAwaits bounds the sound that waits for the first picture of a session whose pictures are all encoded here. Nobody has seen
	// anything of the session: the oldest goes.
	soundAwaits = 15 * time.Second
	// leadAwaited is how long a later epoch waits for it. Then it begins without a picture, as one whose source sends none.
	leadAwaited = lateAtMost
	// leadGOP is how far apart key frames of encoded renditions are, at most.
	leadGOP = 2 * time.Second
)

// lead is how a session is cut whose video line is itself encoded, because its source cannot be cut, or not be carried. The lines
// of an epoch begin with the first picture that comes out of the encoder. Sound that came before waits: at most soundAwaits of it in the
// session's first epoch, leadAwaited in later ones.
//
// Late is not lost here too: what is missing of the picture counts as a hole once encodedLate of sound came with nothing of it.
type lead struct {
	source gops // the source's, whose units are only looked at
	came   time.Duration
	track  *media.Track // of the epoch's pictures; nil: not known
	waits  bool         // the epoch has pictures, and none has come
	dead   bool         // nothing can be decoded any more in this epoch
	sound  []media.AccessUnit
}

// Lead says that from the next epoch on the video line is an encoded rendition. Nothing was cut yet.
func (c *Cutter) Lead() {
	c.cfg.Leads, c.cfg.MayLead, c.lead = true, false, &lead{}
}

// MayLead sets Config.MayLead.
func (c *Cutter) MayLead(yes bool) { c.cfg.MayLead = yes && c.lead == nil && !c.decided }

// longestCut is the length that no GOP may reach if segments are to end at key frames.
func (c *Cutter) longestCut() time.Duration { return c.limit(c.whole + time.Second) }

// awaitLead begins an epoch that has pictures, if they come from an encoder.
func (c *Cutter) awaitLead() bool {
	l := c.lead
	if l == nil {
		return false
	}
	l.track, l.sound, l.dead, l.came = nil, nil, false, c.start
	l.source.epoch()
	l.waits = c.tracks[media.Video] != nil
	return l.waits
}

func (c *Cutter) leadWaits() bool { return c.lead != nil && c.lead.waits }

// Overdue tells whether nothing has come of a session's first picture for so long that it can hardly be expected any more.
func (c *Cutter) Overdue() bool {
	return c.leadWaits() && !c.decided && c.lead.came-c.start >= soundAwaits
}

// waits takes a unit that is not cut, or not yet.
func (c *Cutter) waits(u media.AccessUnit) bool {
	l := c.lead
	switch {
	case l == nil:
		return false
	case u.Kind == media.Video:
		l.came = max(l.came, media.VideoTimescale.Duration(u.DTS))
		if u.RandomAccess {
			l.source.key(u.PTS)
		}
		return true
	case !l.waits || c.tracks[media.Audio] == nil:
		return false
	}
	scale := c.tracks[media.Audio].Timescale
	l.sound = append(l.sound, u)
	l.came = max(l.came, scale.Duration(u.DTS))
	span := scale.Duration(u.DTS - l.sound[0].DTS)
	switch {
	case c.decided && span >= leadAwaited: // without a picture, or where the session never had one, without a line of them
		c.tracks[media.Video] = c.cfg.Tracks[media.Video]
		c.beginLead(c.start)
	case span >= soundAwaits:
		l.sound[0] = media.AccessUnit{}
		l.sound = l.sound[1:]
	default:
	}
	return true
}

// leadTrack takes the track of the video line, if an encoder makes that.
func (c *Cutter) leadTrack(n Line, t *media.Track) bool {
	l := c.lead
	if l == nil || n != Line(media.Video) {
		return false
	}
	if !c.inEpoch {
		return true
	}
	l.track = t
	if !l.waits && c.video != nil {
		c.cfg.Tracks[media.Video] = t
		c.video.stiller = newStiller(t)
	}
	return true
}

// pushLead takes the next unit of the video line.
func (c *Cutter) pushLead(u media.AccessUnit) {
	l := c.lead
	if !c.inEpoch || l.track == nil || l.dead || l.waits && !u.RandomAccess || !l.waits && c.video == nil {
		c.stats.Useless[media.Video]++
		return
	}
	if l.waits {
		c.tracks[media.Video] = l.track
		c.evidence = evidence{frame: u.Duration, gop: media.VideoTimescale.Ticks(leadGOP)}
		c.evidence.count[media.Video] = 1
		c.beginLead(max(c.start, media.VideoTimescale.Duration(u.PTS)), u)
		return
	}
	c.push(u)
}

// beginLead begins the epoch's lines, with the given pictures and the sound that waited for them.
func (c *Cutter) beginLead(start time.Duration, pictures ...media.AccessUnit) {
	l := c.lead
	sound := l.sound
	l.waits, l.sound = false, nil
	c.start = start
	if c.decided {
		c.beginLines()
	} else {
		c.decide()
	}
	if c.video != nil {
		c.video.encoded = true
	}
	defer func() { // an encoder that has much to make up for need not make all at the same pace
		for _, r := range c.rungs {
			r.late = max(r.late, r.scale.Ticks(min(c.ahead, lateAtMost)))
		}
	}()
	for _, u := range pictures {
		c.push(u)
	}
	if len(sound) > 0 {
		scale := c.tracks[media.Audio].Timescale
		c.ahead = lateAfter
		if len(pictures) > 0 {
			newest := scale.Duration(sound[len(sound)-1].DTS + media.Ticks(c.tracks[media.Audio].FrameSamples))
			c.ahead = max(newest-start, 0) + encodedLate
		}
		for _, u := range sound {
			if scale.Duration(u.DTS) >= start || scale.Duration(u.DTS+media.Ticks(c.tracks[media.Audio].FrameSamples)) > start {
				c.push(u)
			}
		}
	}
}

// leadAhead is how far sound must be ahead before pictures count as missing: so much more of it than when u came.
func (c *Cutter) leadAhead(u media.AccessUnit) time.Duration {
	behind := c.arrived - media.VideoTimescale.Duration(u.PTS+u.Duration)
	return min(max(behind, 0), soundAwaits) + encodedLate
}

// abandonLead lists gaps until the epoch ends.
func (c *Cutter) abandonLead() {
	l := c.lead
	l.dead = true
	if v := c.video; v != nil && c.inEpoch && !l.waits && !v.gap && !v.fresh {
		v.endSegment()
		v.gap = true
		c.follow()
	}
}
