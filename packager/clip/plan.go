package clip

import (
	"errors"
	"fmt"
	"time"

	"mediad/media"
	"mediad/packager/replay"
)

var (
	// ErrOutside says that nothing is stored of the stretch.
	ErrOutside = errors.New("clip: nothing is stored there")
	// ErrNoKeyFrame says that the nearest key frame before the stretch is too far away to begin there.
	ErrNoKeyFrame = errors.New("clip: no key frame is near enough")
)

// The epochs of the cut ends. Sessions name theirs by the time, in milliseconds.
const (
	HeadEpoch int64 = 1
	TailEpoch int64 = 2
)

const (
	// shortest is how short a cut end is at least, where the next segments can be made anew with it: players take segments of a few
	// pictures badly.
	shortest = 500 * time.Millisecond
	// leadIn is how far before a stretch decoding may begin.
	leadIn = 30 * time.Second
	// same is how near two moments are one: half a tick of video.
	same = time.Second / 90000 / 2
)

// Plan says what a clip is made of. It refers to the Recording that it was made for.
type Plan struct {
	// Lead is the rendition that is cut: the one that has most of the stretch; of several one in H.264, which every player has, and of those the largest.
	// Sound is the one beside it; nil: there is none, or Lead is it.
	Lead, Sound *replay.Rendition
	// Head and Tail are the cut ends; nil: the clip begins, or ends, with a whole segment. A clip within one stretch between
	// key frames is a Head alone.
	Head, Tail *Cut
	// First and Last are the numbers of the whole segments; First > Last: there are none.
	First, Last uint64
}

// Cut is a stretch that is made anew.
type Cut struct {
	// Segments are those of Lead that are decoded, without a break in their numbers.
	Segments []replay.Segment
	// From and To are where it begins and ends; zero: where Segments do.
	From, To time.Time
	Epoch    int64
	// MSN is the number that it has in place of all of them.
	MSN uint64
}

// end is where a segment ends.
func end(s *replay.Segment) time.Time { return s.Start.Add(s.Duration) }

// there tells whether the segment can be fetched.
func there(s *replay.Segment) bool { return !s.Gap && s.Bytes > 0 && (s.Key != "" || s.Stored) }

// NewPlan plans a clip of a recording from a moment up to another: ErrOutside, ErrNoKeyFrame.
func NewPlan(rec *replay.Recording, from, to time.Time) (*Plan, error) {
	p := &Plan{First: 1}
	if err := p.choose(rec, from, to); err != nil {
		return nil, err
	}
	line, err := stretch(p.Lead.Segments, from, to)
	if err != nil {
		return nil, err
	}
	groups := group(line)
	n := len(groups)
	head, tail := 0, n // groups that are cut: those before head, and from tail on
	if from.Sub(line[0].Start) > same {
		head = 1
		if n > 1 && end(&groups[0][len(groups[0])-1]).Sub(from) < shortest && follows(groups[0], groups[1]) {
			head = 2
		}
	}
	cutEnd := end(&line[len(line)-1]).Sub(to) > same
	if cutEnd && head < n {
		tail = n - 1
		if tail > head && to.Sub(groups[tail][0].Start) < shortest && follows(groups[tail-1], groups[tail]) {
			tail--
		}
	}
	if head > 0 {
		p.Head = newCut(groups[:head], HeadEpoch)
		p.Head.From = from
		p.Head.MSN = p.Head.Segments[len(p.Head.Segments)-1].MSN
		if cutEnd && head == n {
			p.Head.To = to
		}
	}
	if tail < n {
		p.Tail = newCut(groups[tail:], TailEpoch)
		p.Tail.To = to
		p.Tail.MSN = p.Tail.Segments[0].MSN
	}
	if head < tail {
		last := groups[tail-1]
		p.First, p.Last = groups[head][0].MSN, last[len(last)-1].MSN
	}
	return p, nil
}

// choose finds the rendition that leads and the sound beside it.
func (p *Plan) choose(rec *replay.Recording, from, to time.Time) error {
	most := 0
	for i := range rec.Renditions {
		r := &rec.Renditions[i]
		n := 0
		for j := range r.Segments {
			if s := &r.Segments[j]; there(s) && s.Start.Before(to) && end(s).After(from) {
				n++
			}
		}
		switch {
		case n == 0 || len(r.Tracks) == 0:
		case r.Kind == media.Audio:
			p.Sound = r
		case n > most || n == most && better(r, p.Lead):
			p.Lead, most = r, n
		default:
		}
	}
	switch {
	case p.Lead != nil:
	case p.Sound != nil:
		p.Lead, p.Sound = p.Sound, nil
	default:
		return ErrOutside
	}
	return nil
}

// better tells whether a clip of a is to be had rather than one of b.
func better(a, b *replay.Rendition) bool {
	if x := inH264(a); x != inH264(b) {
		return x
	}
	return a.Tracks[0].Track.Height > b.Tracks[0].Track.Height
}

func inH264(r *replay.Rendition) bool {
	for i := range r.Tracks {
		if r.Tracks[i].Track.Codec != media.H264 {
			return false
		}
	}
	return true
}

// stretch are the segments from one that begins with a key frame, or the stretch, to its end.
func stretch(all []replay.Segment, from, to time.Time) ([]replay.Segment, error) {
	var line []replay.Segment
	first := -1
	for i := range all {
		s := &all[i]
		if !there(s) || !s.Start.Before(to.Add(-same)) || !end(s).After(from.Add(same)) {
			continue
		}
		if first < 0 {
			first = i
		}
		line = append(line, *s)
	}
	if first < 0 {
		return nil, ErrOutside
	}
	var before []replay.Segment
	for i := first; !all[i].Independent; i-- {
		if i == 0 || !there(&all[i-1]) || broken(&all[i-1], &all[i]) {
			break // nothing is missing in front of it that ever was there
		}
		if from.Sub(all[i-1].Start) > leadIn {
			return nil, fmt.Errorf("%w: none in the %s before", ErrNoKeyFrame, leadIn)
		}
		before = append([]replay.Segment{all[i-1]}, before...)
	}
	return append(before, line...), nil
}

// broken tells whether b cannot be decoded on from a.
func broken(a, b *replay.Segment) bool {
	return b.MSN != a.MSN+1 || b.Epoch != a.Epoch || b.Discontinuity
}

// group divides segments where decoding can begin, or must.
func group(line []replay.Segment) (groups [][]replay.Segment) {
	begin := 0
	for i := 1; i <= len(line); i++ {
		if i == len(line) || line[i].Independent || broken(&line[i-1], &line[i]) {
			groups = append(groups, line[begin:i])
			begin = i
		}
	}
	return groups
}

func follows(a, b []replay.Segment) bool { return !broken(&a[len(a)-1], &b[0]) }

func newCut(groups [][]replay.Segment, epoch int64) *Cut {
	c := &Cut{Epoch: epoch}
	for _, g := range groups {
		c.Segments = append(c.Segments, g...)
	}
	return c
}
