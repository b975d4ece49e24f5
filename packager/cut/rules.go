package cut

import "mediad/media"

// cutBefore ends the segment at the unit that begins at the end of the line, where the rules say so.
func (v *video) cutBefore(u media.AccessUnit) {
	if !u.RandomAccess {
		v.cutAfter()
		return
	}
	v.gop.key(u.PTS)
	v.ahead = u.PTS - v.end
	if v.cutAtKey(v.end) && (!u.OpenGOP || v.isClean()) {
		v.endSegment()
	}
}

// cutAtKey tells whether a key frame at that time ends the segment: it is long enough, or a further GOP of the
// usual length would make it too long.
func (v *video) cutAtKey(at media.Ticks) bool { return v.cutAtKeyOf(at, v.gop.expect()) }

// cutAtKeyOf is cutAtKey where further GOPs are expected to be that long; 0: not known.
func (v *video) cutAtKeyOf(at, gop media.Ticks) bool {
	length := at - v.segStart
	if length < v.short {
		return false
	}
	if v.hurry > 0 && at >= v.hurryAt {
		return true
	}
	return length >= v.whole-v.frame/2 || gop > 0 && length+gop >= v.limit
}

// cutAfter ends the segment at the end of the line, where it must end whatever comes next: it has reached the target
// duration and no key frame is due in time, or one more frame would be too many. With B-frames it does so at a clean
// position, the last one before the limit if need be.
func (v *video) cutAfter() {
	length := v.end - v.segStart
	clean := v.isClean()
	if clean {
		if v.clean < v.end {
			v.cleanStep = max(v.cleanStep, v.end-v.clean)
		}
		v.clean = v.end
	}
	switch {
	case length < v.short || v.holding:
	case length+v.frame >= v.limit:
		v.endSegment()
	case clean && v.gop.expect() == 0 && v.cleanStep > v.frame+2 && length+v.cleanStep >= v.limit:
		v.endSegment()
	case !clean || v.keyDue():
	case length >= v.target-v.frame/2 || v.cleanStep > v.frame+2 && length+v.cleanStep >= v.limit:
		v.endSegment()
	}
}

// isClean tells whether everything before the end of the line is shown before everything after it. Decode times are
// shifted so that the n-th picture to be decoded has the decode time at which the n-th is shown; so the pictures
// taken fill the time up to the end of the line just if none of them is shown later.
func (v *video) isClean() bool { return v.shown < v.end-v.frame/4 }

// keyDue tells whether a key frame may come before the segment reaches its limit. While no GOP is known one may, unless
// it is clear that the first is longer than any segment.
func (v *video) keyDue() bool {
	gop := v.gop.expect()
	if gop == 0 {
		return v.gop.some && v.end-v.gop.last < v.limit
	}
	due := v.gop.last + gop
	return v.gop.some && due > v.end-max(v.frame/2, 1) && due < v.segStart+v.limit
}

// expectCut is where the segment will end because the next key frame is due there; ok is false if that is not sure
// enough to be told to players.
func (v *video) expectCut() (at media.Ticks, ok bool) {
	if v.gap || v.fresh {
		return 0, false
	}
	at, ok = v.nextKey()
	if !ok || at < v.end-v.frame/2 {
		return 0, false
	}
	return at, v.cutAtKey(at)
}

// nextKey is where the next key frame comes, as far as that can be known. Where they are made here it can, unless an encoder is
// started anew.
func (v *video) nextKey() (media.Ticks, bool) {
	if v.encoded && v.steady && v.gop.some {
		return v.gop.last + (v.scale.Ticks(leadGOP)+v.frame/2)/v.frame*v.frame, true
	}
	at, ok := v.gop.next(v.frame / 2)
	return at - v.ahead, ok
}

// unsure tells whether it is open if the segment goes on behind at, which is where the line ends or as good as there: a key frame that
// nobody can foresee would end it. What ends there is not published before that is known, so that what comes next can be told.
func (v *video) unsure(at media.Ticks) bool {
	switch {
	case v.gap || v.fresh || at < v.end-v.frame/2:
		return false
	case v.holding: // what is held belongs to the segment, and how long it lasts is not known
		return v.cutAtAny(at)
	default:
		return v.mayCut(max(at, v.end))
	}
}

// mayCut tells whether a key frame that nobody can foresee would end the segment at that time.
func (v *video) mayCut(at media.Ticks) bool {
	due, regular := v.nextKey()
	if v.gap || regular && due >= v.end-v.frame/2 {
		return false
	}
	return v.cutAtAny(at)
}

// cutAtAny is cutAtKey for a key frame that is not there yet: the GOP that it would end counts too.
func (v *video) cutAtAny(at media.Ticks) bool {
	gop := v.gop.expect()
	if v.gop.some {
		gop = max(gop, at-v.gop.last+v.frame)
	}
	return v.cutAtKeyOf(at, gop)
}
