package live

import (
	"time"

	"mediad/media"
)

// timeline maps a publisher's timestamps into session time. It is pure: clocks are arguments.
//
// One constant a track and epoch is added, in whole ticks, so nothing drifts inside an epoch whatever the clock does.
type timeline struct {
	written bool          // something was published in this session
	end     time.Duration // where everything published before the current epoch ends
	frame   time.Duration // the length of a frame when the current epoch has not shown its own
	tracks  [media.Kinds]line
}

// line is one track of the current epoch.
type line struct {
	present bool
	some    bool // a unit was let through
	scale   media.Timescale
	offset  media.Ticks // session time − source time
	start   media.Ticks // the epoch's start
	limit   media.Ticks // nothing is shown from here on
	last    media.Ticks // DTS of the newest unit
	step    media.Ticks // how long a frame lasts; 0: not known yet
	end     media.Ticks // the latest PTS + step
}

// defaultFrame is the length of a frame while none is known.
const defaultFrame = 40 * time.Millisecond

// maxEpoch is longer than any broadcast. It keeps a timestamp that slipped through from carrying session time to where
// it cannot be computed with.
const maxEpoch = 366 * 24 * time.Hour

// resumeAt is the time line of a session of which everything up to end was published before a restart.
func resumeAt(end time.Duration) timeline {
	return timeline{written: true, end: end, frame: defaultFrame}
}

// startEpoch begins an epoch whose first sample, at sourceStart on the source's line, arrived when the session clock
// read arrival. It returns the epoch's start: max(arrival, end of everything published + one frame), in whole
// milliseconds, so that dates made from it are exact.
func (t *timeline) startEpoch(tracks [media.Kinds]*media.Track, sourceStart, arrival time.Duration) time.Duration {
	t.end, t.frame = t.closed()
	start := max(arrival, 0)
	if t.written {
		start = max(start, t.end+t.frame)
	}
	if r := start % time.Millisecond; r > 0 {
		start += time.Millisecond - r
	}
	for k, tr := range tracks {
		if tr == nil {
			t.tracks[k] = line{}
			continue
		}
		at := tr.Timescale.Ticks(start)
		t.tracks[k] = line{present: true, scale: tr.Timescale, start: at, limit: at + tr.Timescale.Ticks(maxEpoch), offset: at - tr.Timescale.Ticks(sourceStart), step: media.Ticks(tr.FrameSamples)}
	}
	return start
}

// closed is where everything published ends and how long the last frame was: of video, if there was any.
func (t *timeline) closed() (end, frame time.Duration) {
	end, frame = t.end, 0
	for k := range t.tracks {
		l := &t.tracks[k]
		if !l.some {
			continue
		}
		end = max(end, l.scale.Duration(l.end))
		if frame == 0 {
			frame = l.scale.Duration(l.step)
		}
	}
	if frame == 0 {
		frame = max(t.frame, defaultFrame)
	}
	return end, frame
}

// mediaEnd is where everything published ends.
func (t *timeline) mediaEnd() time.Duration {
	end, _ := t.closed()
	return end
}

// admit moves au into session time, or tells why it goes no further.
func (t *timeline) admit(au *media.AccessUnit) (DropReason, bool) {
	if au.Kind >= media.Kinds || !t.tracks[au.Kind].present {
		return DropNoTrack, false
	}
	l := &t.tracks[au.Kind]
	if au.Kind == media.Video && !l.some && !au.RandomAccess {
		return DropNoKeyFrame, false
	}
	au.DTS += l.offset
	au.PTS += l.offset
	if au.PTS < au.DTS || au.PTS >= l.limit || l.some && au.DTS <= l.last {
		return DropNotMonotone, false
	}
	if au.PTS < l.start {
		return DropBeforeEpoch, false
	}
	switch {
	case au.Duration > 0:
		l.step = au.Duration
	case l.some && au.DTS-l.last <= media.Ticks(l.scale): // more than a second is a hole, not a frame
		l.step = au.DTS - l.last
	case l.step == 0:
		l.step = l.scale.Ticks(defaultFrame)
	}
	l.some, l.last = true, au.DTS
	l.end = max(l.end, au.PTS+l.step)
	t.written = true
	return 0, true
}
