package firewall

import (
	"cmp"
	"slices"
	"time"

	"mediad/media"
)

// judge decides what a unit is; see the package documentation.
func (f *Firewall) judge(t *track, u pending) Verdict {
	if len(t.held) > 0 {
		return f.judgeHeld(t, u)
	}
	o := f.other(t)
	if !t.started {
		return f.judgeFirst(t, o, u)
	}
	d := t.scale.Duration(u.src - t.last)
	switch {
	case d > -maxJump && d <= maxJump && t.normal(u):
		return f.accept(t, u)
	case d > 0 && f.along(t, o, d, u.arrival):
		return f.accept(t, u)
	case o.jump && near(t.at(u), o.at(o.held[len(o.held)-1])):
		return f.newEpoch(u)
	}
	t.jump = d > maxJump || d <= -maxJump
	t.hold(u, o)
	return Held
}

// judgeFirst takes the first unit of a track in an epoch. Its clock must agree with the other's.
func (f *Firewall) judgeFirst(t, o *track, u pending) Verdict {
	if o.jump && near(t.at(u), o.at(o.held[len(o.held)-1])) {
		return f.newEpoch(u)
	}
	if o.started {
		if skew := t.at(u) - o.now(); skew > f.opt.MaxSkew || skew < -f.opt.MaxSkew {
			f.realign(t, &u, o.now())
		}
	}
	return f.accept(t, u)
}

// judgeHeld takes a unit of a track that has suspects: it goes on from them, or from what was before them, or neither.
func (f *Firewall) judgeHeld(t *track, u pending) Verdict {
	o := f.other(t)
	first, last := t.held[0], t.held[len(t.held)-1]
	fromHeld := t.scale.Duration(u.src - last.src)
	fromLast := t.scale.Duration(u.src - t.last)
	back := time.Duration(0)
	if t.jump {
		back = -maxJump / 10 // a jump is far from the old line: jitter on the new one does no harm
	}
	switch {
	case fromHeld > back && fromHeld <= maxJump && (t.jump || t.confirmsHole(u)):
		t.hold(u, o)
		if !t.jump {
			f.acceptHeld(t)
			return Pass
		}
		if !o.active(first.arrival) {
			return f.newEpoch()
		}
		return Held
	case fromLast > -maxJump && fromLast <= maxJump:
		f.placeInsane(t, u)
		return f.judge(t, u)
	case t.jump && fromHeld > maxJump && !o.active(u.arrival) && u.arrival-last.arrival >= fromHeld/2:
		// Pictures more than a second apart and nothing else to go by, but the time really passed.
		f.newEpoch()
		f.judge(t, u)
		return NewEpoch
	}
	f.stats.Repairs[DroppedInsane] += uint64(len(t.held) - 1)
	f.repair(DroppedInsane)
	t.release()
	return f.judge(t, u)
}

// along reports whether the other track went on by about d since t's last unit: then t has a hole and did not jump.
func (f *Firewall) along(t, o *track, d, arrival time.Duration) bool {
	if !o.active(arrival) {
		return false
	}
	went := o.now() - t.otherAt
	return went >= d/2 && went >= d-300*time.Millisecond
}

// near reports whether two times, one of each track, belong to one line.
func near(a, b time.Duration) bool { return a-b <= maxJump && b-a <= maxJump }

// accept believes a unit and writes it out.
func (f *Firewall) accept(t *track, u pending) Verdict {
	o := f.other(t)
	u.rebase(t)
	if o.started && o.active(u.arrival) && o.now()-t.at(u) > f.opt.MaxSkew {
		f.realign(t, &u, o.now())
	}
	if !t.started {
		o.heldOther, o.otherAt = t.at(u), t.at(u) // from here the other track can tell how far this one goes
	}
	t.last, t.lastArrival, t.started = u.src, u.arrival, true
	t.otherAt = o.now()
	f.ref, f.anyRef = t.scale.Duration(u.src-t.offset), true

	v := Pass
	if t.kind == media.Audio {
		v = f.placeAudio(t, u)
	} else {
		f.placeVideo(t, u)
	}
	f.testify(t, o)
	return v
}

// testify tells the other track's suspects what t's line says about them.
func (f *Firewall) testify(t, o *track) {
	if len(o.held) == 0 {
		return
	}
	first := o.held[0]
	caughtUp := t.now() >= o.at(first)-300*time.Millisecond && first.src > o.last
	switch {
	case caughtUp:
		f.acceptHeld(o)
	case o.jump && t.now()-o.heldOther >= maxJump:
		f.realignHeld(o)
	}
}

// expire settles suspects that have waited long enough.
func (f *Firewall) expire(arrival time.Duration) {
	for k := range f.tracks {
		t := &f.tracks[k]
		if len(t.held) == 0 {
			continue
		}
		span := t.scale.Duration(t.held[len(t.held)-1].src - t.held[0].src)
		full := len(t.held) >= maxHeld || t.heldBytes > f.opt.MaxHeldBytes
		if full || span >= maxJump || arrival-t.heldAt >= maxJump {
			f.settle(t)
		}
	}
}

// settle decides on suspects without further evidence. Where the other track went on meanwhile, it was this track alone that
// jumped. A single unit that nothing has followed stays suspect.
func (f *Firewall) settle(t *track) {
	o := f.other(t)
	switch {
	case len(t.held) == 0:
	case !t.jump:
		f.acceptHeld(t)
	case o.started && o.now()-t.heldOther >= maxJump/2:
		f.realignHeld(t)
	case len(t.held) > 1:
		f.newEpoch()
	}
}

// acceptHeld believes the suspects where they are.
func (f *Firewall) acceptHeld(t *track) {
	held := t.take()
	for _, u := range held {
		f.accept(t, u)
	}
	t.giveBack(held)
}

// realignHeld believes the suspects but not their clock: the first takes the place that the other track's progress
// gives it.
func (f *Firewall) realignHeld(t *track) {
	held := t.take()
	went := max(t.heldOther-t.otherAt, t.scale.Duration(t.step()))
	f.realign(t, &held[0], t.now()+went)
	for _, u := range held {
		f.accept(t, u)
	}
	t.giveBack(held)
}

// realign moves a track's clock so that u lies at the given time.
func (f *Firewall) realign(t *track, u *pending, to time.Duration) {
	t.offset += t.scale.Ticks(to) - u.src
	u.rebase(t)
	f.repair(Realigned)
}

// placeInsane puts the suspects, whose timestamps turned out to mean nothing, between the unit before and next, or drops
// them where there is no room.
func (f *Firewall) placeInsane(t *track, next pending) {
	held := t.take()
	n := media.Ticks(len(held) + 1)
	gap := next.src - t.last
	if gap < n*t.step()*3/4 {
		f.repair(DroppedInsane)
		f.stats.Repairs[DroppedInsane] += uint64(len(held) - 1)
		t.giveBack(held)
		return
	}
	from := t.last
	for i, u := range held {
		u.src, u.offset = from+gap*media.Ticks(i+1)/n, t.offset
		f.repair(PlacedInsane)
		f.accept(t, u)
	}
	t.giveBack(held)
}

// newEpoch begins an epoch with the suspects of both tracks and what else is given.
func (f *Firewall) newEpoch(more ...pending) Verdict {
	var all []pending
	for k := range f.tracks {
		if t := &f.tracks[k]; t.jump {
			all = append(all, t.held...)
			t.release()
		}
	}
	all = append(all, more...)
	for k := range f.tracks {
		f.acceptHeld(&f.tracks[k]) // a hole's far side, still of the old epoch
	}
	slices.SortStableFunc(all, func(a, b pending) int { return cmp.Compare(a.arrival, b.arrival) })

	if f.epochAt >= 0 {
		// A second one in the same call: what lies between would be an epoch of no length.
		f.stats.Repairs[DroppedInsane] += uint64(len(f.out) - f.epochAt)
		f.repair(DroppedInsane)
		f.out = f.out[:f.epochAt]
	}
	f.epochAt = len(f.out)
	f.stats.Epochs++
	f.resetLine()
	for _, u := range all {
		t := &f.tracks[u.au.Kind]
		u.rebase(t)
		f.judge(t, u)
	}
	return NewEpoch
}
