package live

import (
	"time"

	"mediad/media"
)

// What each alert tells the streamer to do.
const (
	adviceGOP   = "The encoder sends a key frame too seldom, so viewers join late and lag behind. In OBS: Settings → Output → Advanced → Keyframe Interval: 2 s. In FFmpeg: -g with twice the frame rate."
	adviceTwo   = "Two encoders publish to this stream and push each other out. The one on air keeps it; stop the other, or give it a stream and a key of its own."
	adviceAudio = "No sound arrives. In OBS: check that the audio mixer moves and that an audio track is chosen under Settings → Output → Streaming."
	adviceVideo = "No picture arrives although sound does. In OBS: check the scene, and whether the encoder under Settings → Output is overloaded or has failed."
	adviceNoHLS = "The sound is Opus, which is not heard in HLS yet: viewers see the picture without sound. Choose AAC as the audio encoder; in OBS: Settings → Output → Audio Encoder."
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
	if s.pictures.long {
		add(AlertGOPTooLong, SeverityWarning, s.pictures.longSince, adviceGOP)
	}
	if since, ok := s.missing(media.Audio, now); ok {
		add(AlertAudioMissing, SeverityWarning, since, adviceAudio)
	}
	if since, ok := s.missing(media.Video, now); ok {
		add(AlertVideoMissing, SeverityError, since, adviceVideo)
	}
	if t := s.epoch.Tracks[media.Audio]; t != nil && t.Codec == media.Opus {
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
