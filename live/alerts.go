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
	fpsLeft        = 0.85  // of the promised frame rate
	apart          = 700 * time.Millisecond
	repairedLately = 30 * time.Second
	warmUp         = 12 * time.Second // of an epoch, before rates say anything
	ladderLate     = 500 * time.Millisecond
	missingShare   = 0.001 // of packets that never come: one spoils a picture, and those that refer to it
	lossyShare     = 0.02  // of packets that come only when asked for again
)

// judge finds what is wrong with the figures; s.mu is held. An alert's time is when its condition was first seen to hold.
func (s *Session) judge(now time.Duration, add func(AlertCode, Severity, time.Duration, *advice)) {
	raise := func(holds bool, c AlertCode, v Severity, a *advice) {
		since, told := s.raised[c]
		switch {
		case !holds:
			delete(s.raised, c)
			return
		case !told:
			since = now
			s.raised[c] = now
		}
		add(c, v, since, a)
	}
	v, p := &s.meters[media.Video], &s.pictures
	t := s.epoch.Tracks[media.Video]
	goesOn := t != nil && v.some && now-v.arrived <= goesOnWithin
	warm := goesOn && now-s.epochClock > warmUp
	rate := v.rate.snapshot(now)
	fps := p.fps()
	raise(goesOn && p.uneven(unevenBy) && !p.long, AlertGOPIrregular, SeverityInfo, &adviceUneven)
	raise(goesOn && p.bFrames > 0, AlertBFrames, SeverityInfo, &adviceBFrames)
	raise(warm && float64(rate.Last10s) < lowBits*float64(t.Width*t.Height)*fps, AlertBitrateLow, SeverityInfo, &adviceLow)
	raise(warm && float64(rate.Last1s) < fallenTo*float64(rate.Last10s), AlertBitrateUnstable, SeverityWarning, &adviceRate)
	raise(warm && fps < fpsLeft*t.FrameRate.Float(), AlertFPSDrop, SeverityWarning, &adviceFPS)
	off := s.offset()
	raise(goesOn && (off > apart || off < -apart), AlertAVDrift, SeverityWarning, &adviceDrift)
	// The code is one; what is to be done depends on whether viewers suffer.
	n, _ := s.writer.network.figures()
	severity, lost := SeverityInfo, &adviceLossy
	if n.MissingShare >= missingShare {
		severity, lost = SeverityWarning, &adviceLoss
	}
	raise(n.MissingShare >= missingShare || n.LostShare >= lossyShare, AlertNetworkLoss, severity, lost)
	raise(s.ladder.lag > ladderLate, AlertLadderLagging, SeverityWarning, &adviceLadder)
	raise(s.ladder.shed > 0, AlertRungShed, SeverityWarning, &adviceShed)
	raise(s.repairs > 0 && now-s.repairedAt < repairedLately, AlertTimestampsRepaired, SeverityInfo, &adviceRepair)
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
