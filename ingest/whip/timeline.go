package whip

import (
	"time"

	"github.com/pion/rtcp"

	"mediad/media"
)

const (
	// lead keeps the line above zero whatever the first reports say.
	lead = 20 * time.Second

	// maxApart is what sender reports may move a track by: more means that a clock was set, not that the tracks lie apart.
	maxApart = 10 * time.Second

	// tolerance is the difference that is left alone once two tracks were put together. Every correction is heard; the ear
	// finds twice as much.
	tolerance = 15 * time.Millisecond

	// maxDrift is how far media may be from its arrival before it is put back there: the source's clock jumped.
	maxDrift = 10 * time.Second
)

// clock is that of one RTP stream: where its timestamps lie on the line that all tracks of a publisher share. The first one
// lies where it arrives; sender reports move it beside the stream that is followed.
type clock struct {
	rate     media.Timescale
	unwrap   media.Unwrapper
	anchored bool
	offset   media.Ticks // from unwrapped timestamps to the line, at rate

	reported, fresh bool
	rtp             media.Ticks   // of the newest sender report, unwrapped
	wall            time.Duration // its wall clock, since 1900
	synced          bool          // it was put beside another stream once
	guess           time.Duration // a correction that the next report must confirm
}

func newClock(rate media.Timescale) clock { return clock{rate: rate, unwrap: media.NewUnwrapper(32)} }

// place is where a timestamp lies, in ticks of the clock. at is the time of its arrival, since any moment. leader is the stream
// that is followed, nil where c is that.
func (c *clock) place(timestamp uint32, at time.Duration, leader *clock) media.Ticks {
	t := media.Ticks(c.unwrap.Unwrap(uint64(timestamp)))
	if c.anchored {
		late := at + lead - c.rate.Duration(t+c.offset)
		if late < maxDrift && late > -maxDrift {
			return t + c.offset
		}
		c.reported, c.fresh, c.synced, c.guess = false, false, false, 0
	}
	c.offset = c.rate.Ticks(at+lead) - t
	c.anchored = true
	if leader != nil {
		c.follow(leader)
	}
	return t + c.offset
}

// report takes a sender report.
func (c *clock) report(sr *rtcp.SenderReport) {
	if sr.NTPTime>>32 == 0 {
		return // senders without a clock say 0
	}
	c.rtp = media.Ticks(c.unwrap.Unwrap(uint64(sr.RTPTime)))
	c.wall = time.Duration(sr.NTPTime>>32)*time.Second + time.Duration((sr.NTPTime&0xFFFFFFFF)*uint64(time.Second)>>32)
	c.reported, c.fresh = true, true
}

// early is by how much the stream lies before its wall clock.
func (c *clock) early() time.Duration { return c.wall - c.rate.Duration(c.rtp+c.offset) }

// follow moves c beside leader, if reports of both say where that is.
func (c *clock) follow(leader *clock) {
	if c == leader || !c.anchored || !leader.anchored || !c.reported || !leader.reported {
		return
	}
	if c.synced && !c.fresh && !leader.fresh {
		return // known already
	}
	apart := c.early() - leader.early()
	c.fresh = false
	switch off := apart - c.guess; {
	case apart > maxApart || apart < -maxApart:
		c.guess = 0
		return
	case !c.synced:
	case apart < tolerance && apart > -tolerance:
		c.guess = 0
		return
	case c.guess == 0 || off > tolerance || off < -tolerance:
		// A clock that is set between two reports looks the same: the next one tells.
		c.guess = apart
		return
	}
	c.offset += c.rate.Ticks(apart)
	c.synced, c.guess = true, 0
}
