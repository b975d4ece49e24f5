package live

import (
	"time"

	"mediad/media"
)

// What each alert tells the streamer to do.
const (
	adviceGOP     = "The encoder sends a key frame too seldom, so viewers join late and lag behind, or get only what this server encodes anew. In OBS: Settings → Output → Advanced → Keyframe Interval: 2 s. In FFmpeg: -g with twice the frame rate."
	adviceOpen    = "The encoder's GOPs are open: pictures refer back over a key frame, so viewers cannot begin there, and get only what this server encodes anew. In OBS: take open-gop=1 out of Settings → Output → x264 Options. In FFmpeg: -flags +cgop, and no open-gop=1 in -x264-params."
	adviceTwo     = "Two encoders publish to this stream and push each other out. The one on air keeps it; stop the other, or give it a stream and a key of its own."
	adviceAudio   = "No sound arrives. In OBS: check that the audio mixer moves and that an audio track is chosen under Settings → Output → Streaming."
	adviceVideo   = "No picture arrives although sound does. In OBS: check the scene, and whether the encoder under Settings → Output is overloaded or has failed."
	adviceUneven  = "Key frames come at uneven distances, so segments differ in length. In OBS: set Keyframe Interval to 2 s instead of 0 (auto). In FFmpeg: add -sc_threshold 0 or -force_key_frames 'expr:gte(t,n_forced*2)'."
	adviceBFrames = "The encoder uses B-frames, which WebRTC players cannot show: they get a re-encoded picture, or none. For the least delay, in OBS: Settings → Output → Max B-frames: 0. In FFmpeg: -bf 0."
	adviceLow     = "The bit rate is very low for this picture size, so it will look blurred. Raise it, or send a smaller picture. In OBS: Settings → Output → Bitrate."
	adviceRate    = "The bit rate has fallen far below what it was: the network or the encoder does not keep up. Lower the bit rate, use a cable instead of Wi-Fi, or enable Dynamic Bitrate in OBS: Settings → Advanced."
	adviceFPS     = "Fewer pictures arrive than the encoder promises. In OBS: look at View → Stats for frames missed by rendering or encoding lag, and choose a faster preset or a smaller picture."
	adviceDrift   = "Picture and sound arrive far apart, so viewers wait for the later one. In OBS: check Sync Offset in Advanced Audio Properties, and whether the encoder is overloaded."
	adviceRepair  = "The encoder's timestamps jump or go back and are being mended. Restart the encoder; if it goes on, update it or choose a constant frame rate."
	adviceLoss    = "Packets from the encoder are lost on the way and do not come in time, so the picture breaks. Use a cable instead of Wi-Fi, or lower the bit rate. With SRT, raise the latency to four round trips or more, so that they can be asked for again: latency= in the encoder's URL (in OBS and FFmpeg in microseconds, 500000 is half a second) or srt.latency here."
	adviceLossy   = "Many packets from the encoder are lost on the way. So far they are sent again in time and viewers see nothing of it. Use a cable instead of Wi-Fi, or lower the bit rate, before it gets worse."
	adviceShed    = "This server is too busy to encode all qualities, so some of them are left out for now: the best first, but where the source itself cannot be shown, the one that stands in its place stays. On the server: give it more cores, set transcode.hwaccel if it has a GPU, or choose a smaller transcode.ladder."
	adviceLadder  = "This server is late encoding the smaller qualities, so their viewers are further behind. It leaves some out if that goes on. On the server: give it more cores, set transcode.hwaccel if it has a GPU, or choose a smaller transcode.ladder."
	adviceNoHLS   = "The sound is Opus, which HLS does not carry, and nothing here makes AAC of it: viewers see the picture without sound. Choose AAC as the audio encoder; in OBS: Settings → Output → Audio Encoder."
)

// alerts judges a session at the session clock now; s.mu is held.
func (s *Session) alerts(now time.Duration) []Alert {
	if s.epoch == nil || s.away || s.ended {
		return nil
	}
	var out []Alert
	add := func(c AlertCode, v Severity, since time.Duration, advice string) {
		out = append(out, Alert{Code: c, Severity: v, Since: s.start.Add(since), Advice: advice})
	}
	switch p := &s.pictures; {
	case p.long:
		add(AlertGOPTooLong, SeverityWarning, p.longSince, adviceGOP)
	case p.open:
		add(AlertGOPTooLong, SeverityWarning, p.openSince, adviceOpen)
	default:
	}
	if since, ok := s.missing(media.Audio, now); ok {
		add(AlertAudioMissing, SeverityWarning, since, adviceAudio)
	}
	if since, ok := s.missing(media.Video, now); ok {
		add(AlertVideoMissing, SeverityError, since, adviceVideo)
	}
	s.judge(now, add)
	if t := s.epoch.Tracks[media.Audio]; t != nil && t.Codec == media.Opus && !s.converted {
		add(AlertCodecUnsupported, SeverityError, s.epoch.Start, adviceNoHLS)
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
func (s *Session) judge(now time.Duration, add func(AlertCode, Severity, time.Duration, string)) {
	raise := func(holds bool, c AlertCode, v Severity, advice string) {
		since, told := s.raised[c]
		switch {
		case !holds:
			delete(s.raised, c)
			return
		case !told:
			since = now
			s.raised[c] = now
		}
		add(c, v, since, advice)
	}
	v, p := &s.meters[media.Video], &s.pictures
	t := s.epoch.Tracks[media.Video]
	goesOn := t != nil && v.some && now-v.arrived <= goesOnWithin
	warm := goesOn && now-s.epochClock > warmUp
	rate := v.rate.snapshot(now)
	fps := p.fps()
	raise(goesOn && p.uneven(unevenBy) && !p.long, AlertGOPIrregular, SeverityInfo, adviceUneven)
	raise(goesOn && p.bFrames > 0, AlertBFrames, SeverityInfo, adviceBFrames)
	raise(warm && float64(rate.Last10s) < lowBits*float64(t.Width*t.Height)*fps, AlertBitrateLow, SeverityInfo, adviceLow)
	raise(warm && float64(rate.Last1s) < fallenTo*float64(rate.Last10s), AlertBitrateUnstable, SeverityWarning, adviceRate)
	raise(warm && fps < fpsLeft*t.FrameRate.Float(), AlertFPSDrop, SeverityWarning, adviceFPS)
	off := s.offset()
	raise(goesOn && (off > apart || off < -apart), AlertAVDrift, SeverityWarning, adviceDrift)
	if s.writer != nil {
		// The code is one; what is to be done depends on whether viewers suffer.
		n, _ := s.writer.network.figures()
		severity, advice := SeverityInfo, adviceLossy
		if n.MissingShare >= missingShare {
			severity, advice = SeverityWarning, adviceLoss
		}
		raise(n.MissingShare >= missingShare || n.LostShare >= lossyShare, AlertNetworkLoss, severity, advice)
	}
	raise(s.ladder.lag > ladderLate, AlertLadderLagging, SeverityWarning, adviceLadder)
	raise(s.ladder.shed > 0, AlertRungShed, SeverityWarning, adviceShed)
	raise(s.repairs > 0 && now-s.repairedAt < repairedLately, AlertTimestampsRepaired, SeverityInfo, adviceRepair)
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
