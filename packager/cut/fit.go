package cut

import (
	"time"

	"mediad/media"
)

// A part lasts 85 to 100 % of PART-TARGET (ll-hls.md, Playlists).
const (
	leastNum = 85
	leastDen = 100
)

// longestPart is the longest PART-TARGET worth having: above it a session lists no parts.
const longestPart = time.Second

// longestSource is the longest PART-TARGET that a source of variable rate may ask for where encoded renditions have shorter parts.
const longestSource = 350 * time.Millisecond

// cadence is what the choice of part lengths is made from.
type cadence struct {
	frame   time.Duration // of video at constant rate; 0 if variable or none
	longest time.Duration // interval of video at variable rate; 0 if none
	audio   time.Duration // of one audio frame; 0 if none
	gop     int           // frames in a GOP; 0 if not known
}

// choosePartTarget is PART-TARGET for a session whose parts should last nominal. It is at least 16/15 of that, which
// leaves room for the part lengths of later epochs, and so long that the parts of both tracks, whole frames each,
// lie within 85 to 100 % of it. 0 means that the session is better off without parts.
func choosePartTarget(nominal time.Duration, c cadence) time.Duration {
	base := nominal * 16 / 15
	var target time.Duration
	switch {
	case c.frame > 0:
		target = jointPartTarget(nominal, base, c)
	case c.longest > 0:
		// With every interval within 15 % of the target some whole number of frames always fits.
		target = withAudio(max(base, c.longest*leastDen/(leastDen-leastNum)), c.audio)
	default:
		target = withAudio(base, c.audio)
	}
	if target > longestPart {
		return 0
	}
	return target
}

// jointPartTarget searches the number of video frames and that of audio frames in a part together.
func jointPartTarget(nominal, base time.Duration, c cadence) time.Duration {
	var best, bestScore time.Duration
	for n := 1; n == 1 || time.Duration(n)*c.frame <= 2*nominal; n++ {
		video := time.Duration(n) * c.frame
		target, ok := pairTarget(max(base, video), video, c.audio)
		if !ok {
			continue
		}
		score := (video - nominal).Abs()
		if c.gop > 0 && c.gop%n == 0 {
			score -= nominal / 10 // saves a short part at the end of each segment
		}
		if best == 0 || score < bestScore {
			best, bestScore = target, score
		}
	}
	return best
}

// pairTarget is the least PART-TARGET, from least on, that suits both video parts of that length and audio.
func pairTarget(least, video, audio time.Duration) (time.Duration, bool) {
	if audio == 0 {
		return roundUp(least), fits(video, roundUp(least))
	}
	// Audio parts that end where video parts do have one frame more or less from part to part.
	many := (video + audio - 1) / audio * audio
	few := video / audio * audio
	if target := roundUp(max(least, many)); fits(few, target) && fits(video, target) {
		return target, true
	}
	target := withAudio(least, audio)
	return target, fits(video, target)
}

// withAudio raises target until a whole number of audio frames is 85 to 100 % of it.
func withAudio(target, audio time.Duration) time.Duration {
	if target = roundUp(target); audio == 0 || fits(target/audio*audio, target) {
		return target
	}
	return roundUp((target/audio + 1) * audio)
}

func fits(part, target time.Duration) bool {
	return part <= target && part*leastDen >= target*leastNum
}

// roundUp makes a target a whole number of 10 µs, so that it is the same in print.
func roundUp(d time.Duration) time.Duration {
	const grain = 10 * time.Microsecond
	return (d + grain - 1) / grain * grain
}

// bounds are the least and the greatest length of a regular part, and the one to aim at, in a track's ticks.
type bounds struct{ least, most, nominal media.Ticks }

// partBounds are those of PART-TARGET; nominal is left in the middle.
func partBounds(scale media.Timescale, target time.Duration) bounds {
	most := ticksBelow(scale, target)
	least := (most*leastNum + leastDen - 1) / leastDen
	// most may have lost a fraction of a tick, which least must not gain from.
	for scale.Duration(least)*leastDen < target*leastNum {
		least++
	}
	return bounds{least: least, most: most, nominal: (least + most + 1) / 2}
}

// complete tells, at constant rate, whether a part is complete with the frame that makes it a long, and how long
// it then is. Where an irregularity left no whole number of frames within the bounds, the part ends a little off the frame,
// on the side that is nearer.
func (b *bounds) complete(a, frame media.Ticks) (media.Ticks, bool) {
	if a < b.nominal-frame/2 {
		return a, false
	}
	if a >= b.least {
		return min(a, b.most), true
	}
	over := a + frame - b.most
	if over <= 0 || b.least-a > over {
		return a, false
	}
	return b.least, true
}

// ticksBelow is d in ticks, rounded down.
func ticksBelow(scale media.Timescale, d time.Duration) media.Ticks {
	t := scale.Ticks(d)
	if scale.Duration(t) > d {
		t--
	}
	return t
}

// fitFrames sets nominal to the whole number of frames within the bounds that is nearest to want, preferring one that
// divides a GOP of that many frames (0: not known). It reports whether there is one.
func (b *bounds) fitFrames(frame, want media.Ticks, gop int) bool {
	var bestScore media.Ticks
	found := false
	for n := b.most / frame; n > 0 && n*frame >= b.least; n-- {
		score := n*frame - want
		if score < 0 {
			score = -score
		}
		if gop > 0 && media.Ticks(gop)%n == 0 {
			score -= want / 10
		}
		if !found || score < bestScore {
			found, bestScore = true, score
			b.nominal = n * frame
		}
	}
	return found
}
