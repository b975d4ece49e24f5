package live

import (
	"time"

	"mediad/media"
)

// alerts judges a session at the session clock now; s.mu is held.
func (s *Session) alerts(now time.Duration) []Alert {
	if s.epoch == nil || s.writer == nil {
		return nil
	}
	var out []Alert
	kind := encoderOf(s.writer.peer.Protocol, s.writer.encoderName())
	add := func(c AlertCode, v Severity, since time.Duration, a *advice) {
		out = append(out, Alert{Code: c, Severity: v, Since: s.start.Add(since), Advice: a.to(kind)})
	}
	switch p := &s.pictures; {
	case p.long:
		add(AlertGOPTooLong, SeverityWarning, p.longSince, &adviceGOP)
	case p.open:
		add(AlertGOPTooLong, SeverityWarning, p.openSince, &adviceOpen)
	default:
	}
	if since, ok := s.missing(media.Audio, now); ok {
		add(AlertAudioMissing, SeverityWarning, since, &adviceAudio)
	}
	if since, ok := s.missing(media.Video, now); ok {
		add(AlertVideoMissing, SeverityError, since, &adviceVideo)
	}
	s.judge(now, add)
	if t := s.epoch.Tracks[media.Audio]; t != nil && t.Codec == media.Opus && !s.converted {
		add(AlertCodecUnsupported, SeverityError, s.epoch.Start, &adviceNoHLS)
	}
	if s.unshown == s.epoch.ID {
		add(AlertCodecUnsupported, SeverityError, s.epoch.Start, &adviceNoPicture)
	}
	return out
}

// missing reports whether track k, which the session has or had, is silent while the other goes on, and since when.
func (s *Session) missing(k media.Kind, now time.Duration) (since time.Duration, yes bool) {
	other := &s.meters[1-k]
	if !s.had[k] || !other.some || now-other.arrived > goesOnWithin {
		return 0, false
	}
	since = s.epochClock
	if m := &s.meters[k]; m.some {
		since = m.arrived
	}
	return since, now-since > silentFor
}

// What the figures are judged by.
const (
	unevenBy       = 1.5   // the longest of the newest GOPs over the shortest
	lowBits        = 0.008 // bits a pixel that no codec makes a moving picture of
	fallenTo       = 0.4   // of the last ten seconds' bit rate
	usualAfter     = 30 * time.Second
	longestWindow  = 5 * time.Second
	fpsLeft        = 0.85 // of the promised frame rate
	apart          = 700 * time.Millisecond
	repairedLately = 30 * time.Second
	repairedOften  = 6                // repairs within that: an encoder that begins may need one or two
	warmUp         = 12 * time.Second // of an epoch, before rates say anything
	ladderLate     = 500 * time.Millisecond
	missingShare   = 0.001 // of packets that never come: one spoils a picture, and those that refer to it
	lossyShare     = 0.02  // of packets that come only when asked for again
)

// steadiness keeps an alert from coming and going with each second's figure.
type steadiness struct {
	after time.Duration // its condition must have held for so long
	until time.Duration // and not to hold for so long
}

// How steady each alert is; those that are not named come and go with their condition, which is slow itself: the governor lets a rung
// that came back wait before it goes on with another. It is never written.
//
// A network that stutters and a child that begins catch up within two seconds, so that what lasts for three is no such thing. Ten
// seconds are what the mean bit rate is taken over, and the calm that the governor asks for.
var steady = map[AlertCode]steadiness{
	AlertBitrateUnstable: {3 * time.Second, 10 * time.Second},
	AlertLadderLagging:   {3 * time.Second, 10 * time.Second},
	AlertAVDrift:         {3 * time.Second, 10 * time.Second},
	AlertFPSDrop:         {0, 10 * time.Second}, // counted over two seconds, after the warm-up
	AlertBitrateLow:      {0, 10 * time.Second}, // a mean of ten
}

// standing is how it stands with an alert's condition.
type standing struct {
	since time.Duration // session clock when it was first seen to hold
	well  time.Duration // and since when it has not been; 0: it holds
	up    bool          // it is told
}

// see notes whether the condition of c holds at the session clock now, and reports whether the alert is told, and since when.
// Where can is false the figure says nothing, and the alert is off at once.
func (s *Session) see(c AlertCode, can, holds bool, now time.Duration) (since time.Duration, told bool) {
	a, some := s.raised[c]
	switch {
	case !can, !holds && !a.up:
		delete(s.raised, c)
		return 0, false
	case holds && !some:
		a = standing{since: now}
	case holds:
		a.well = 0
	case a.well == 0:
		a.well = max(now, 1)
	default:
	}
	how := steady[c]
	if !holds && now-a.well >= how.until {
		delete(s.raised, c)
		return 0, false
	}
	a.up = a.up || now-a.since >= how.after
	s.raised[c] = a
	return a.since, a.up
}

// judge finds what is wrong with the figures; s.mu is held. An alert's time is when its condition was first seen to hold.
func (s *Session) judge(now time.Duration, add func(AlertCode, Severity, time.Duration, *advice)) {
	raise := func(can, holds bool, c AlertCode, v Severity, a *advice) {
		if since, told := s.see(c, can, holds, now); told {
			add(c, v, since, a)
		}
	}
	v, p := &s.meters[media.Video], &s.pictures
	t := s.epoch.Tracks[media.Video]
	goesOn := t != nil && v.some && now-v.arrived <= goesOnWithin
	warm := goesOn && now-s.epochClock > warmUp
	rate := v.rate.snapshot(now)
	fps := p.fps()
	raise(goesOn, p.uneven(unevenBy) && !p.long, AlertGOPIrregular, SeverityInfo, &adviceUneven)
	raise(goesOn, p.bFrames > 0, AlertBFrames, SeverityInfo, &adviceBFrames)
	raise(warm, warm && float64(rate.Last10s) < lowBits*float64(t.Width*t.Height)*fps, AlertBitrateLow, SeverityInfo, &adviceLow)
	raise(warm, warm && s.fallen(rate, now), AlertBitrateUnstable, SeverityWarning, &adviceRate)
	raise(warm, warm && fps < fpsLeft*t.FrameRate.Float(), AlertFPSDrop, SeverityWarning, &adviceFPS)
	off := s.offset()
	raise(goesOn, off > apart || off < -apart, AlertAVDrift, SeverityWarning, &adviceDrift)
	// The code is one; what is to be done depends on whether viewers suffer.
	n, _ := s.writer.network.figures()
	severity, lost := SeverityInfo, &adviceLossy
	if n.MissingShare >= missingShare {
		severity, lost = SeverityWarning, &adviceLoss
	}
	raise(true, n.MissingShare >= missingShare || n.LostShare >= lossyShare, AlertNetworkLoss, severity, lost)
	raise(true, s.ladder.lag > ladderLate, AlertLadderLagging, SeverityWarning, &adviceLadder)
	raise(true, s.ladder.shed > 0, AlertRungShed, SeverityWarning, &adviceShed)
	raise(true, s.mending.often(now), AlertTimestampsRepaired, SeverityInfo, &adviceRepair)
}

// mending is when timestamps were repaired of late.
type mending struct {
	at [repairedOften]time.Duration // session clock of the newest repairs, in a ring
	n  int                          // of the session
}

func (m *mending) note(now time.Duration, n int) {
	for range min(n, repairedOften) {
		m.at[m.n%repairedOften] = now
		m.n++
	}
}

// often reports whether there were so many repairs lately that the source itself is at fault.
func (m *mending) often(now time.Duration) bool {
	return m.n >= repairedOften && now-m.at[m.n%repairedOften] < repairedLately // the next to be overwritten is the oldest
}

// fallen reports whether the bit rate of the pictures has fallen far below what it was. It is taken over a GOP, as most bits may be in
// its key frame, and compared with what it was before it fell, until it has been as low for so long that it is what the encoder sends.
func (s *Session) fallen(rate Bitrate, now time.Duration) bool {
	a, some := s.raised[AlertBitrateUnstable]
	if !some {
		s.usual = rate.Last10s
	} else if now-a.since > usualAfter {
		s.usual = 0
	}
	gop := min(max(s.pictures.scale.Duration(s.pictures.last), time.Second), longestWindow)
	return float64(s.meters[media.Video].rate.perSecond(gop, now)) < fallenTo*float64(max(s.usual, rate.Last10s))
}

// ladder is how the encoding of a session's rungs goes.
type ladder struct {
	lag  time.Duration // of the rung that is behind most
	shed int           // rungs that are left out
}

// Encoding is told how the encoding of the session's rungs goes: how far the latest is behind, and how many are left out.
func (s *Session) Encoding(lag time.Duration, shed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ladder = ladder{lag: lag, shed: shed}
}

// Unshown is told that viewers by HLS see nothing of the pictures of an epoch, as it does not carry their codec and none of the
// session's rungs stands in for them.
func (s *Session) Unshown(epoch int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unshown = epoch
}

// offset is how far video is ahead of audio in media time, 0 unless both come; s.mu is held.
func (s *Session) offset() time.Duration {
	v, a := &s.meters[media.Video], &s.meters[media.Audio]
	if s.epoch == nil || !v.some || !a.some {
		return 0
	}
	ahead := func(k media.Kind) time.Duration {
		return s.epoch.Tracks[k].Timescale.Duration(s.meters[k].dts) - s.meters[k].arrived
	}
	return ahead(media.Video) - ahead(media.Audio)
}
