package firewall

import (
	"time"

	"mediad/media"
)

const (
	// maxJump is how far all tracks may jump before it is a new epoch, and how long a suspect unit is held for the other
	// track's word: of its media, of our own, or of arrival time.
	maxJump = time.Second

	// maxReorder bounds PTS − DTS: four pictures of reordering at 2 fps.
	maxReorder = 2 * time.Second

	// maxTime is where a timestamp stops being one: 68 years, which in nanoseconds is a quarter of what int64 holds.
	maxTime = 1 << 31 * time.Second

	// maxHeld bounds the units held of one track: a second at 240 fps.
	maxHeld = 256
)

// Options of a Firewall; zero means default.
type Options struct {
	// ClockBits is the width of a source clock that wraps, running at ClockRate: 32 and media.Milliseconds for RTMP, 33 and
	// 90000 for MPEG-TS. Timestamps are still pushed in the track's timescale. 0: they do not wrap.
	ClockBits uint
	ClockRate media.Timescale

	// MaxSkew is how far one track may lie behind the other while both speak; beyond it is moved up. Default 3 s; less
	// than 2 s moves sources whose video encoder looks far ahead, more leaves players without a usable buffer.
	MaxSkew time.Duration

	// MaxHeldBytes bounds the bytes held per track while a jump is judged, default 16 MiB.
	MaxHeldBytes int
}

func (o Options) withDefaults() Options {
	if o.MaxSkew <= 0 {
		o.MaxSkew = 3 * time.Second
	}
	if o.MaxHeldBytes <= 0 {
		o.MaxHeldBytes = 16 << 20
	}
	return o
}

// Verdict is what became of a pushed unit.
type Verdict uint8

// The verdicts, from best to worst.
const (
	Pass     Verdict = iota
	Repaired         // came out with other timestamps than rounding explains
	Held             // nothing is known yet; it comes out of a later Push, or never
	Dropped
	NewEpoch // Units[NewEpochAt:] belong to a new epoch
)

func (v Verdict) String() string {
	return [...]string{"pass", "repaired", "held", "dropped", "new epoch"}[v]
}

// Result is the answer to one Push. Units lie in the order to be written; they may be of either track and come from
// earlier pushes. The slice is the Firewall's own and valid until the next call.
type Result struct {
	Units      []media.AccessUnit
	Verdict    Verdict
	NewEpochAt int // index of the first unit of a new epoch, −1 if there is none

	// Repairs is the set of what was repaired in this call.
	Repairs Repairs
}

// Firewall judges the two tracks of one publisher. Its methods must not be called concurrently.
type Firewall struct {
	opt    Options
	tracks [media.Kinds]track
	hint   media.Rational

	// ref is the unwrapped time of the last unit that was believed, on the source's line, to unwrap the next.
	ref    time.Duration
	anyRef bool

	out     []media.AccessUnit
	epochAt int
	repairs Repairs
	stats   Stats
}

// New returns a Firewall that knows no track yet.
func New(o Options) *Firewall {
	f := &Firewall{opt: o.withDefaults(), epochAt: -1}
	for k := range f.tracks {
		f.tracks[k].kind = media.Kind(k)
	}
	return f
}

// SetTrack tells the configuration of a track; units of a kind without one are dropped. A changed one does not by itself
// start an epoch here.
func (f *Firewall) SetTrack(t *media.Track) {
	s := &f.tracks[t.Kind]
	s.scale = t.Timescale
	s.codec = t.Codec
	s.frame = media.Ticks(t.FrameSamples)
	if t.Kind == media.Video {
		s.cadence.setHints(t.FrameRate, f.hint)
	}
}

// Hint tells a frame rate that the publisher promised outside the bitstream, such as in onMetaData.
func (f *Firewall) Hint(fps media.Rational) {
	f.hint = fps
	c := &f.tracks[media.Video].cadence
	c.setHints(c.hints[0], fps)
}

// NewEpoch tells that the caller begins a new epoch for a reason of its own, such as a changed codec. What was held comes
// out, into the old one.
func (f *Firewall) NewEpoch() Result {
	r := f.Flush()
	f.resetLine()
	return r
}

// Push takes one unit with the source's timestamps, in the timescale of its track, and its arrival on a monotonic clock.
func (f *Firewall) Push(au media.AccessUnit, arrival time.Duration) Result {
	f.begin()
	verdict := Dropped
	if int(au.Kind) < len(f.tracks) && f.tracks[au.Kind].scale != 0 {
		t := &f.tracks[au.Kind]
		f.stats.Units[au.Kind]++
		if u, ok := f.pending(t, au, arrival); ok {
			verdict = f.judge(t, u)
			f.expire(arrival)
		} else {
			f.repair(DroppedInsane)
		}
	}
	return f.result(verdict)
}

// Flush returns what is held at the end of the input.
func (f *Firewall) Flush() Result {
	f.begin()
	for k := range f.tracks {
		f.settle(&f.tracks[k])
	}
	return f.result(Pass)
}

func (f *Firewall) begin() {
	clear(f.out) // the units were handed on: no reference to their bytes stays
	f.out, f.epochAt, f.repairs = f.out[:0], -1, 0
}

func (f *Firewall) result(v Verdict) Result {
	switch {
	case f.epochAt >= 0:
		v = NewEpoch
	case v == Pass && f.repairs&repairing != 0:
		v = Repaired
	}
	return Result{Units: f.out, Verdict: v, NewEpochAt: f.epochAt, Repairs: f.repairs}
}

func (f *Firewall) repair(r Repair) {
	f.repairs |= 1 << r
	f.stats.Repairs[r]++
}

// other is the track that is not t.
func (f *Firewall) other(t *track) *track { return &f.tracks[1-t.kind] }

// pending puts a unit on the unwrapped line, or refuses it where its timestamps are beyond all reason.
func (f *Firewall) pending(t *track, au media.AccessUnit, arrival time.Duration) (pending, bool) {
	limit := t.scale.Ticks(maxTime)
	if au.DTS > limit || au.DTS < -limit || au.PTS > limit || au.PTS < -limit {
		return pending{}, false
	}
	dts, cts := au.DTS, au.PTS-au.DTS
	if f.opt.ClockBits > 0 {
		mod := media.Rescale(1<<f.opt.ClockBits, f.opt.ClockRate, t.scale)
		if f.anyRef {
			dts = nearest(dts, t.scale.Ticks(f.ref), mod)
		}
		cts = nearest(cts, 0, mod)
	}
	if dts > limit || dts < -limit {
		return pending{}, false
	}
	return pending{au: au, src: dts + t.offset, offset: t.offset, cts: cts, arrival: arrival}, true
}

// nearest is the value congruent to v that lies nearest to ref.
func nearest(v, ref, mod media.Ticks) media.Ticks {
	if mod <= 0 {
		return v
	}
	d := (v - ref) % mod
	if d < 0 {
		d += mod
	}
	if d >= mod-mod/2 {
		d -= mod
	}
	return ref + d
}

// resetLine forgets the line of both tracks; rates that were learned stay.
func (f *Firewall) resetLine() {
	for k := range f.tracks {
		f.tracks[k].reset()
	}
}
