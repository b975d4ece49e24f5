package main

import (
	"context"
	"time"

	"mediad/media"
	"mediad/store/db"
)

// A session may last for weeks. What is recorded of it is cut into stretches, each with a replay of its own: a replay has a bound then, can
// be watched while the session goes on, and goes in its time. A stretch is a range of numbers, which all renditions share, so neighbours
// have no segment in common and none between them.
//
//	session ──►│ stretch: made │ stretch: made │ stretch: running …
//	           └─ 12 h         └─ 12 h         └─ key frame in every rendition
const (
	// stretchLength is how long a stretch is. A playlist of 12 h names 21 600 segments of 2 s, some 2 MB, 200 kB as it is sent.
	stretchLength = 12 * time.Hour
	// stretchSettles is how far a session must have come behind the end of a stretch: renditions may lag, and rows are written behind.
	stretchSettles = time.Minute
	// stretchPatience is how much longer than stretchLength a stretch may be, until a segment is found that begins with a key frame.
	stretchPatience = 10 * time.Minute
	// stretchLooks is how soon such a segment is looked for again.
	stretchLooks = 30 * time.Second
)

// cut makes replays of the stretches of a recording that are over, and leaves in rec what follows them. It tells after which time there may
// be another. all: the session is over and all its rows are there.
func (r *recorder) cut(ctx context.Context, rec *db.Recording, all bool) (wait time.Duration, err error) {
	for {
		next, wait, err := r.nextStretch(ctx, rec, all)
		if err != nil || next == 0 {
			return wait, err
		}
		if err := r.make(ctx, rec, next-1); err != nil {
			return 0, err
		}
		rec.FirstMSN = next
	}
}

// lineEnds are the first and the newest segment of a rendition.
type lineEnds struct {
	name        string
	first, last db.Segment
}

// nextStretch is the number with which the next stretch begins; 0: not yet, and when to look again.
func (r *recorder) nextStretch(ctx context.Context, rec *db.Recording, all bool) (next int64, wait time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, rowsTimeout)
	defer cancel()
	q := r.db.Read(ctx)
	lines, err := linesOf(q, rec)
	if err != nil {
		return 0, 0, err
	}
	if len(lines) == 0 {
		return 0, stretchLooks, nil
	}
	lead := &lines[0]
	begins, ends := lead.first.Start(), lead.last.Start()
	for i := range lines {
		begins = minTime(begins, lines[i].first.Start())
		if at := lines[i].last.Start(); at.After(ends) {
			lead, ends = &lines[i], at
		}
	}
	target := begins.Add(r.stretch)
	latest := ends.Add(-stretchSettles)
	if latest.Before(target) {
		return 0, target.Sub(latest), nil // media comes no faster than time passes
	}
	next, err = whole(q, rec, lines, lead, target, minTime(latest, target.Add(stretchPatience)))
	if err != nil || next != 0 {
		return next, 0, err
	}
	if !all && latest.Before(target.Add(stretchPatience)) {
		return 0, stretchLooks, nil
	}
	// A source without key frames, such as with intra refresh, can be begun anywhere as well as not at all.
	next, err = firstFrom(q, rec, lead.name, target)
	return next, 0, err
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// linesOf are the renditions of a recording that have pictures; the sound, where there are none.
func linesOf(q db.Queries, rec *db.Recording) ([]lineEnds, error) {
	names, err := q.ListRenditions(rec.SessionID)
	if err != nil {
		return nil, err
	}
	var pictures, sound []lineEnds
	for _, one := range names {
		first, err := q.ListSegments(rec.SessionID, one.Rendition, rec.FirstMSN, 1)
		if err != nil {
			return nil, err
		}
		if len(first) == 0 {
			continue
		}
		last, err := q.NewestOf(rec.SessionID, one.Rendition)
		if err != nil {
			return nil, err
		}
		ends := lineEnds{one.Rendition, first[0], last}
		if kindOf(one.Kind) == media.Audio {
			sound = append(sound, ends)
		} else {
			pictures = append(pictures, ends)
		}
	}
	if len(pictures) == 0 {
		return sound, nil
	}
	return pictures, nil
}

// whole is the first number whose segments begin between two moments, and with a key frame in every rendition that has one; 0 if there is
// none.
func whole(q db.Queries, rec *db.Recording, lines []lineEnds, lead *lineEnds, from, to time.Time) (int64, error) {
	first, err := firstFrom(q, rec, lead.name, from)
	if err != nil || first == 0 {
		return 0, err
	}
	type state struct{ some, dependent bool }
	states := make(map[int64]state)
	last := first
	for _, l := range lines {
		for at := first; ; {
			rows, err := q.ListSegments(rec.SessionID, l.name, at, segmentsAtOnce)
			if err != nil {
				return 0, err
			}
			n := 0
			for ; n < len(rows) && !rows[n].Start().After(to); n++ {
				s := &rows[n]
				at, last = s.MSN+1, max(last, s.MSN)
				if !s.Gap {
					was := states[s.MSN]
					states[s.MSN] = state{true, was.dependent || !s.Independent}
				}
			}
			if n < segmentsAtOnce {
				break
			}
		}
	}
	for msn := first; msn <= last; msn++ {
		if s := states[msn]; s.some && !s.dependent {
			return msn, nil
		}
	}
	return 0, nil
}

// firstFrom is the number of the first segment of a rendition that begins at a moment or later; 0 if there is none.
func firstFrom(q db.Queries, rec *db.Recording, rendition string, at time.Time) (int64, error) {
	before, err := msnAt(q, rec.SessionID, rendition, rec.FirstMSN, at.Add(-1))
	if err != nil {
		return 0, err
	}
	rows, err := q.ListSegments(rec.SessionID, rendition, before+1, 1)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	return rows[0].MSN, nil
}
