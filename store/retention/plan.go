package retention

import (
	"context"
	"errors"
	"time"

	"mediad/store/db"
)

// planner gathers steps. Each of its methods adds those of one reason.
type planner struct {
	r      *Retention
	q      db.Queries
	now    time.Time
	chosen map[stretch]bool // those that go whole
	steps  []Step
	freed  int64
	// ended tells what a recording has that ends before a moment and may go; none: there is nothing.
	ended func(rec *db.Recording, before time.Time) (bytes int64, none bool, err error)
	// here says whether a clip has files on this disk.
	here func(clip string) (bool, error)
}

// stretch names a recording.
type stretch struct {
	session string
	first   int64
}

func stretchOf(rec *db.Recording) stretch { return stretch{rec.SessionID, rec.FirstMSN} }

// step is one that concerns a recording.
func step(rec *db.Recording, why string) Step {
	return Step{Session: rec.SessionID, First: rec.FirstMSN, Last: rec.LastMSN, Stream: rec.StreamID, Why: why}
}

// each calls fn for the recordings of a state, oldest first, until it says that this is enough.
func (p *planner) each(state string, fn func(*db.Recording) (enough bool, err error)) error {
	for after := (db.Recording{}); ; {
		some, err := p.q.ListRecordingsOf(p.r.o.Node, state, after, pageSize)
		if err != nil {
			return err
		}
		for i := range some {
			after = some[i]
			if enough, err := fn(&some[i]); enough || err != nil {
				return err
			}
		}
		if len(some) < pageSize {
			return nil
		}
	}
}

func (p *planner) add(rec *db.Recording, why string) {
	if p.chosen[stretchOf(rec)] {
		return
	}
	p.chosen[stretchOf(rec)] = true
	if !p.r.stuck[stretchOf(rec)] { // what does not go makes no room
		p.freed += rec.Bytes
	}
	s := step(rec, why)
	s.Bytes = rec.Bytes
	p.steps = append(p.steps, s)
}

// part lets go what ends before a moment, if anything does.
func (p *planner) part(rec *db.Recording, before time.Time, why string) error {
	bytes, none, err := p.ended(rec, before)
	if err != nil || none {
		return err
	}
	s := step(rec, why)
	s.Before, s.Bytes = before, bytes
	p.steps = append(p.steps, s)
	return nil
}

// resting tells whether a recording that is over is served by nobody any more. In a stretch of a session that may go on its live viewers
// can seek.
func (p *planner) resting(rec *db.Recording) bool {
	age := p.now.Sub(rec.UpdatedAt.Time())
	return age > served && (rec.LastMSN == db.LastMSN || age > p.r.o.DVR+margin)
}

// halfGone goes on with what was begun. What a clip needs of it stays until the clip goes.
func (p *planner) halfGone() error {
	return p.each(db.RecordingDeleting, func(rec *db.Recording) (bool, error) {
		p.add(rec, whyBegun)
		return false, nil
	})
}

// clips are those that were deleted, and those whose making was cut short. They go first: what they were made of may then go, too.
//
// Any node may have cut a clip, and another have made its pictures. So where there are several, each deletes what is on its own disk, and the rows,
// by which they find it, go a day later.
func (p *planner) clips() error {
	found, err := p.q.ListGoneClips(db.At(p.now.Add(-restorable)), db.At(p.now.Add(-settled)), pageSize)
	for i := range found {
		v := &found[i]
		s := Step{Session: *v.SessionID, Clip: v.ID, Bytes: v.Bytes, Why: whyClip}
		if p.r.o.Node != "" {
			here, err := p.here(v.ID)
			if err != nil {
				return err
			}
			term := v.CreatedAt.Time().Add(settled)
			if v.DeletedAt != nil {
				term = v.DeletedAt.Time().Add(restorable)
			}
			s.FilesOnly = !p.now.After(term.Add(clipFiles))
			if !here {
				s.Bytes = 0
			}
			if s.FilesOnly && !here {
				continue
			}
		}
		p.steps = append(p.steps, s)
	}
	return err
}

// unrecorded are sessions of which only rows are left. They are no longer needed a day after their end.
func (p *planner) unrecorded() error {
	return p.each(db.RecordingUnrecorded, func(rec *db.Recording) (bool, error) {
		s, err := p.q.FindSession(rec.SessionID)
		if err == nil && s.EndedAt != nil && p.now.Sub(s.EndedAt.Time()) > 24*time.Hour {
			p.add(rec, whyRows)
		}
		return false, nil
	})
}

// deleted are replays that their owners have deleted.
func (p *planner) deleted() error {
	found, err := p.q.ListDeletedReplays(p.r.o.Node, db.At(p.now.Add(-restorable)), pageSize)
	if err != nil {
		return err
	}
	for i := range found {
		rec, err := p.q.FindRecording(*found[i].SessionID, found[i].FirstMSN)
		if errors.Is(err, db.ErrNotFound) {
			continue // it went meanwhile
		}
		if err != nil {
			return err
		}
		p.add(&rec, whyDeleted)
	}
	return nil
}

// old are recordings whose time is over.
func (p *planner) old() error {
	for _, state := range []string{db.RecordingMade, db.RecordingEmpty} {
		err := p.each(state, func(rec *db.Recording) (bool, error) {
			if p.resting(rec) && (state == db.RecordingEmpty || p.now.Sub(rec.UpdatedAt.Time()) > p.r.o.Keep) {
				p.add(rec, whyOld)
			}
			return false, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// lasting are sessions that have been on air for longer than recordings are kept, or that are not recorded at all.
func (p *planner) lasting() error {
	err := p.each(db.RecordingUnrecorded, func(rec *db.Recording) (bool, error) {
		before := p.now.Add(-p.r.o.DVR - margin)
		s, err := p.q.FindSession(rec.SessionID)
		if err == nil && !p.chosen[stretchOf(rec)] && s.StartedAt.Time().Before(before) {
			return false, p.part(rec, before, whyRows)
		}
		return false, nil
	})
	if err != nil {
		return err
	}
	return p.each(db.RecordingRunning, func(rec *db.Recording) (bool, error) {
		before := p.now.Add(-max(p.r.o.Keep, p.r.o.DVR+margin))
		s, err := p.q.FindSession(rec.SessionID)
		if err == nil && s.StartedAt.Time().Before(before) {
			return false, p.part(rec, before, whyOld)
		}
		return false, nil
	})
}

// crowded are the oldest recordings of streams that have more than they may.
func (p *planner) crowded() error {
	if p.r.o.StreamMax <= 0 {
		return nil
	}
	have := make(map[string]int64)
	count := func(rec *db.Recording) (bool, error) {
		if !p.chosen[stretchOf(rec)] {
			have[rec.StreamID] += rec.Bytes
		}
		return false, nil
	}
	if err := p.each(db.RecordingMade, count); err != nil {
		return err
	}
	return p.each(db.RecordingMade, func(rec *db.Recording) (bool, error) {
		if have[rec.StreamID] > p.r.o.StreamMax && !p.chosen[stretchOf(rec)] && p.resting(rec) {
			have[rec.StreamID] -= rec.Bytes
			p.add(rec, whyStream)
		}
		return false, nil
	})
}

// full are the oldest recordings, as many as it takes for the disk to have room again; after them what viewers of sessions that
// last can no longer seek to.
func (p *planner) full() error {
	free, total, err := p.r.o.Space()
	if err != nil {
		return err
	}
	want := int64(float64(total)*p.r.o.MinFree) - int64(free)
	if p.freed >= want {
		return nil
	}
	err = p.each(db.RecordingMade, func(rec *db.Recording) (bool, error) {
		if p.resting(rec) && !rec.Evicted { // what is in the bucket alone takes nothing of the disk
			p.add(rec, whyFull)
		}
		return p.freed >= want, nil
	})
	if err != nil || p.freed >= want {
		return err
	}
	return p.each(db.RecordingRunning, func(rec *db.Recording) (bool, error) {
		return false, p.part(rec, p.now.Add(-p.r.o.DVR-margin), whyFull)
	})
}

// errEnough ends the reading of a rendition.
var errEnough = errors.New("enough")

// ended is what remove would delete of a recording that lasts.
func (r *Retention) ended(ctx context.Context, rec *db.Recording, before time.Time) (bytes int64, none bool, err error) {
	q := r.o.DB.Read(ctx)
	of, err := q.FindStream(rec.StreamID)
	if err != nil {
		return 0, true, err
	}
	clips, err := q.ListClips(rec.SessionID)
	if err != nil {
		return 0, true, err
	}
	renditions, err := q.ListRenditions(rec.SessionID)
	if err != nil {
		return 0, true, err
	}
	none = true
	shown := r.shown(of.Slug, rec.SessionID)
	for _, one := range renditions {
		err := r.filesOf(ctx, rec.SessionID, one.Rendition, rec.FirstMSN, rec.LastMSN, func(f *file) error {
			switch {
			case !f.ends.Before(before) || f.last >= shown:
				return errEnough // later ones end later
			case !f.usedBy(clips):
				bytes += f.bytes
				none = false
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			return 0, true, err
		}
	}
	return bytes, none, nil
}
