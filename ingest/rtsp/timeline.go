package rtsp

import (
	"time"

	"github.com/pion/rtcp"

	"mediad/media"
)

// RTP timestamps begin anywhere and each track counts its own; sender reports tell the wall clock of one of them.
const (
	// lead keeps the first decode times, which lie before the first picture is shown, above zero.
	lead = time.Second

	// maxCorrection is what a sender report may move sound by: more means that a clock was set, not that the tracks lie
	// apart.
	maxCorrection = 10 * time.Second

	// tolerance is the difference that is left alone once the tracks were put together: reports are written in ticks
	// of a millisecond, and every correction is heard.
	tolerance = 20 * time.Millisecond

	// maxLateness is how far media may be from its arrival before it is put back there: the source's clock jumped.
	maxLateness = 10 * time.Second
)

// timeline puts both tracks of a source onto one line. The first unit of a track lies where it arrives; sender reports
// of both move the sound to where it belongs beside the picture.
type timeline struct {
	clocks [media.Kinds]rtpClock
	synced bool          // reports were heeded once
	guess  time.Duration // a correction that the next reports must confirm
}

// rtpClock is that of one track.
type rtpClock struct {
	rate     media.Timescale // 0: there is no such track
	unwrap   media.Unwrapper
	anchored bool
	offset   media.Ticks // from unwrapped timestamps to the line, both at rate

	reported, fresh bool          // a sender report came; one that was not looked at yet
	rtp             media.Ticks   // its timestamp, unwrapped
	wall            time.Duration // and its wall clock, since 1900
}

func (l *timeline) setRate(kind media.Kind, rate media.Timescale) {
	l.clocks[kind] = rtpClock{rate: rate, unwrap: media.NewUnwrapper(32)}
}

// place is where a timestamp lies on the line, at the rate of its clock. now is the time of its arrival, since any
// moment.
func (l *timeline) place(kind media.Kind, timestamp uint32, now time.Duration) media.Ticks {
	c := &l.clocks[kind]
	t := media.Ticks(c.unwrap.Unwrap(uint64(timestamp)))
	if c.anchored {
		if late := now + lead - c.rate.Duration(t+c.offset); late < maxLateness && late > -maxLateness {
			return t + c.offset
		}
		for k := range l.clocks {
			l.clocks[k].reported, l.clocks[k].fresh = false, false
		}
		l.synced, l.guess = false, 0
	}
	c.offset = c.rate.Ticks(now+lead) - t
	c.anchored = true
	if c.reported {
		l.sync(kind)
	}
	return t + c.offset
}

// sync puts a track that has just been anchored beside the other one, if reports say where that is.
func (l *timeline) sync(kind media.Kind) {
	if apart, ok := l.apart(); ok && l.plausible(apart) {
		if kind == media.Video {
			apart = -apart
		}
		c := &l.clocks[kind]
		c.offset += c.rate.Ticks(apart)
		l.synced = true
		l.heeded()
	}
}

// report takes a sender report.
func (l *timeline) report(kind media.Kind, sr *rtcp.SenderReport) {
	c := &l.clocks[kind]
	if c.rate == 0 || sr.NTPTime>>32 == 0 {
		return // senders without a clock say 0
	}
	c.rtp = media.Ticks(c.unwrap.Unwrap(uint64(sr.RTPTime)))
	c.wall = time.Duration(sr.NTPTime>>32)*time.Second + time.Duration((sr.NTPTime&0xFFFFFFFF)*uint64(time.Second)>>32)
	c.reported, c.fresh = true, true
	v, a := &l.clocks[media.Video], &l.clocks[media.Audio]
	if !v.fresh || !a.fresh {
		return
	}
	apart, ok := l.apart()
	if !ok {
		return
	}
	l.heeded()
	switch off := apart - l.guess; {
	case !l.plausible(apart):
		l.guess = 0
		return
	case !l.synced:
	case apart > -tolerance && apart < tolerance:
		l.guess = 0
		return
	case l.guess == 0 || off > tolerance || off < -tolerance:
		// A clock that is set between two reports looks the same: the next ones tell.
		l.guess = apart
		return
	}
	a.offset += a.rate.Ticks(apart)
	l.synced, l.guess = true, 0
}

// apart is by how much sound lies too early beside the picture.
func (l *timeline) apart() (time.Duration, bool) {
	var early [media.Kinds]time.Duration
	for k := range l.clocks {
		c := &l.clocks[k]
		if !c.anchored || !c.reported {
			return 0, false
		}
		early[k] = c.wall - c.rate.Duration(c.rtp+c.offset)
	}
	return early[media.Audio] - early[media.Video], true
}

func (l *timeline) plausible(d time.Duration) bool { return d < maxCorrection && d > -maxCorrection }

func (l *timeline) heeded() {
	for k := range l.clocks {
		l.clocks[k].fresh = false
	}
}
