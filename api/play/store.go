package play

import (
	"context"
	"errors"
	"time"

	"mediad/api/problem"
	"mediad/store/db"
	"mediad/store/event"
)

const (
	// storeEvery is how often what beats have changed is stored, and storeTimeout bounds one batch.
	storeEvery   = time.Second
	storeTimeout = 5 * time.Second
	// maxBatch is in plays. Larger batches hold the writer of SQLite for longer, smaller ones cost a transaction each.
	maxBatch = 200
	// stopPatience is how long a stop waits for the database.
	stopPatience = 10 * time.Second
	// cleanEvery is how often old rows are deleted; keepPlays is how long a play is kept, and keepNetworks for how long it is known from where
	// a view came.
	cleanEvery   = time.Hour
	keepPlays    = 30 * 24 * time.Hour
	keepNetworks = 2 * viewEvery
	// maxMarks of a user are kept.
	maxMarks = 1000
)

// Run stores what beats have changed each second until ctx ends and everything is stored, and deletes what is old. While the database is away
// everything is kept.
func (s *Service) Run(ctx context.Context) error {
	tick, clean := time.NewTicker(storeEvery), time.NewTicker(cleanEvery)
	defer tick.Stop()
	defer clean.Stop()
	failed := false
	for {
		select {
		case <-tick.C:
		case <-s.wake:
		case <-clean.C:
			if _, err := s.Clean(ctx); err != nil && ctx.Err() == nil {
				s.o.Log.Warn("old plays not deleted", "error", err)
			}
			continue
		case <-ctx.Done():
			s.finish(context.WithoutCancel(ctx))
			return nil
		}
		switch err := s.Store(ctx); {
		case err == nil:
			failed = false
		case ctx.Err() == nil:
			if !failed {
				s.o.Log.Warn("plays are kept until the database takes them", "error", err)
			}
			failed = true
			select { // so that beats do not ask a database that is away again and again
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	}
}

// finish stores the rest.
func (s *Service) finish(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, stopPatience)
	defer cancel()
	for {
		err := s.Store(ctx)
		if err == nil {
			return
		}
		select {
		case <-time.After(storeEvery):
		case <-ctx.Done():
			s.o.Log.Error("plays are lost: the database did not take them", "error", err)
			return
		}
	}
}

// Store stores what was taken before, and returns when it is.
func (s *Service) Store(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		batch, peaks := s.batch(), s.peaks()
		if len(batch) == 0 && len(peaks) == 0 {
			return nil
		}
		err := s.storeBatch(ctx, batch, peaks)
		if err != nil {
			return err
		}
		if len(batch) < maxBatch {
			return nil
		}
	}
}

func (s *Service) peaks() map[string]int {
	if s.o.Audience == nil {
		return nil
	}
	return s.o.Audience.takePeaks()
}

// saved is a play on its way to its row.
type saved struct {
	e       *entry
	row     db.Play // as it was taken, then as it was stored
	owner   string
	need    int64
	end     int64
	counted string
}

// batch takes what is to be stored.
func (s *Service) batch() []saved {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(len(s.dirty), maxBatch)
	batch := make([]saved, n)
	s.storing = append(s.storing[:0], s.dirty[:n]...)
	for i, e := range s.storing {
		batch[i] = saved{e: e, row: e.row, owner: e.owner, need: e.need, end: e.end, counted: e.counted}
		e.dirty, e.storing = false, true
	}
	s.dirty = append(s.dirty[:0:0], s.dirty[n:]...)
	return batch
}

// storeBatch stores a batch, or puts it back.
func (s *Service) storeBatch(ctx context.Context, batch []saved, peaks map[string]int) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	var done outcome
	err := s.o.DB.Tx(ctx, func(q db.Queries) (err error) {
		done, err = write(q, batch, peaks)
		return err
	})
	s.mu.Lock()
	for i := range batch {
		e := batch[i].e
		e.storing = false
		switch {
		case err != nil && !e.dirty:
			e.dirty = true
			s.dirty = append(s.dirty, e)
		case err == nil:
			if row, ok := done.rows[e.row.ID]; ok {
				e.row = merge(row, e.row)
				e.counted = row.SessionID
			}
		}
	}
	s.storing = s.storing[:0]
	s.mu.Unlock()
	if a := s.o.Audience; a != nil {
		a.learn(peaks, done.watched, err == nil)
	}
	return err
}

// outcome is what a batch has become.
type outcome struct {
	rows    map[string]db.Play    // as they are stored
	watched map[string]db.Watched // by broadcast
}

// write is the transaction. It changes nothing but rows.
func write(q db.Queries, batch []saved, peaks map[string]int) (outcome, error) {
	done := outcome{rows: make(map[string]db.Play, len(batch)), watched: map[string]db.Watched{}}
	add := map[string]db.Watched{}
	for session, peak := range peaks {
		add[session] = db.Watched{Peak: peak}
	}
	if len(batch) > 0 {
		if err := writePlays(q, batch, add, done.rows); err != nil {
			return done, err
		}
	}
	for session, w := range add {
		if err := q.AddWatched(session, w); err != nil {
			return done, err
		}
		now, err := q.FindWatched(session)
		switch {
		case err == nil:
			done.watched[session] = now
		case !errors.Is(err, db.ErrNotFound):
			return done, err
		}
	}
	return done, nil
}

func writePlays(q db.Queries, batch []saved, add map[string]db.Watched, rows map[string]db.Play) error {
	ids := make([]string, len(batch))
	for i := range batch {
		ids[i] = batch[i].row.ID
	}
	found, err := q.FindPlays(ids)
	if err != nil {
		return err
	}
	before := make(map[string]db.Play, len(found))
	for i := range found {
		before[found[i].ID] = found[i]
	}
	videos, err := videosOf(q, batch)
	if err != nil {
		return err
	}
	var save []db.Play
	var marks []fresh
	viewers := map[[2]string]bool{}
	for i := range batch {
		b := &batch[i]
		old, there := before[b.row.ID]
		if !there { // it was too old
			continue
		}
		row := merge(old, b.row)
		if row.Kind == db.PlayVideo {
			if err := judge(q, b, &row, videos[row.TargetID]); err != nil {
				return err
			}
			if old.WatchedMS < b.end && row.WatchedMS >= b.end && videos[row.TargetID] { // what is stored never falls, so it is passed once
				if err := complete(q, b, row); err != nil {
					return err
				}
			}
			if row.UserID != nil && videos[row.TargetID] {
				marks = append(marks, fresh{
					db.Mark{UserID: *row.UserID, VideoID: row.TargetID, PositionMS: row.PositionMS, UpdatedAt: row.UpdatedAt}, old.UpdatedAt == old.CreatedAt,
				})
			}
		} else if row.SessionID != "" {
			w := add[row.SessionID]
			w.MS += row.WatchedMS - old.WatchedMS
			if key := [2]string{row.SessionID, row.ViewerKey}; b.counted != row.SessionID && !viewers[key] {
				viewers[key] = true
				before, err := q.WatchedBefore(row.SessionID, row.ViewerKey)
				if err != nil {
					return err
				}
				if !before {
					w.Viewers++
				}
			}
			add[row.SessionID] = w
		}
		save, rows[row.ID] = append(save, row), row
	}
	if len(save) > 0 {
		if err := q.SavePlays(save); err != nil {
			return err
		}
	}
	return remember(q, marks)
}

// videosOf tells which videos of a batch are there.
func videosOf(q db.Queries, batch []saved) (map[string]bool, error) {
	there := map[string]bool{}
	var ids []string
	for i := range batch {
		if r := &batch[i].row; r.Kind == db.PlayVideo && !there[r.TargetID] {
			there[r.TargetID] = true
			ids = append(ids, r.TargetID)
		}
	}
	clear(there)
	if len(ids) == 0 {
		return there, nil
	}
	found, err := q.FindVideos(ids)
	for i := range found {
		there[found[i].ID] = found[i].DeletedAt == nil
	}
	return there, err
}

// judge counts a play as a view, once it has watched enough. It is judged once.
func judge(q db.Queries, b *saved, row *db.Play, there bool) error {
	if row.Judged || row.WatchedMS < b.need {
		return nil
	}
	row.Judged = true
	if !there || row.UserID != nil && *row.UserID == b.owner {
		return nil
	}
	after := row.UpdatedAt - db.Millis(viewEvery.Milliseconds())
	v := db.View{
		VideoID: row.TargetID, ViewerKey: row.ViewerKey, Bucket: int64(row.UpdatedAt) / viewEvery.Milliseconds(), PrefixKey: row.PrefixKey, At: row.UpdatedAt,
	}
	viewed, err := q.Viewed(v, after)
	if err != nil || viewed {
		return err
	}
	n, err := q.CountViewsFrom(v.VideoID, v.PrefixKey, after)
	if err != nil || n >= maxViewsFrom {
		return err
	}
	made, err := q.CreateView(v)
	if err != nil || !made {
		return err
	}
	// Who it was is nobody's business, not even the owner's.
	return event.Emit(q, event.Event{
		Type: event.ViewCounted, Key: event.Video(v.VideoID), OwnerID: b.owner, Data: map[string]any{"video_id": v.VideoID, "at": problem.Stamp(v.At.Time())},
	}, v.At.Time())
}

// complete tells that a play was watched to the end, if it was of a view that counted: the owner's own are none, nor those of a crowd at one
// address.
func complete(q db.Queries, b *saved, row db.Play) error {
	if row.UserID != nil && *row.UserID == b.owner {
		return nil
	}
	view := db.View{VideoID: row.TargetID, ViewerKey: row.ViewerKey, Bucket: int64(row.UpdatedAt) / viewEvery.Milliseconds()}
	viewed, err := q.Viewed(view, row.UpdatedAt-2*db.Millis(viewEvery.Milliseconds()))
	if err != nil || !viewed {
		return err
	}
	return event.Emit(q, event.Event{
		Type: event.ViewComplete, Key: event.Video(row.TargetID), OwnerID: b.owner,
		Data: map[string]any{"video_id": row.TargetID, "at": problem.Stamp(row.UpdatedAt.Time())},
	}, row.UpdatedAt.Time())
}

// fresh is a mark; first: of a play of which none was stored yet.
type fresh struct {
	db.Mark
	first bool
}

// remember stores the marks of those who want it, and of each the newest.
func remember(q db.Queries, marks []fresh) error {
	if len(marks) == 0 {
		return nil
	}
	newest, firsts := map[[2]string]db.Mark{}, map[string]bool{}
	var users []string
	for _, m := range marks {
		if _, known := firsts[m.UserID]; !known {
			users = append(users, m.UserID)
		}
		firsts[m.UserID] = firsts[m.UserID] || m.first
		if key := [2]string{m.UserID, m.VideoID}; m.UpdatedAt >= newest[key].UpdatedAt {
			newest[key] = m.Mark
		}
	}
	found, err := q.FindUsers(users)
	if err != nil {
		return err
	}
	wants := map[string]bool{}
	for i := range found {
		wants[found[i].ID] = remembered(&found[i]) && !found[i].Closed() // a page that was left open tells of an account for as long as it stays
	}
	var save []db.Mark
	for _, m := range newest {
		if wants[m.UserID] {
			save = append(save, m)
		}
	}
	if len(save) == 0 {
		return nil
	}
	if err := q.SaveMarks(save); err != nil {
		return err
	}
	for _, id := range users {
		if wants[id] && firsts[id] {
			if err := q.DeleteMarks(id, maxMarks); err != nil {
				return err
			}
		}
	}
	return nil
}

// remembered says whether a user wants to find again what they have watched.
func remembered(u *db.User) bool {
	return u.Settings.Privacy.History == nil || *u.Settings.Privacy.History
}

// Clean deletes what is old, and tells how many rows. Views stay.
func (s *Service) Clean(ctx context.Context) (gone int64, err error) {
	now := s.o.Now()
	for _, step := range []func(q db.Queries) (int64, bool, error){
		func(q db.Queries) (int64, bool, error) { return q.DeletePlays(db.At(now.Add(-keepPlays))) },
		func(q db.Queries) (int64, bool, error) { return q.UntraceViews(db.At(now.Add(-keepNetworks))) },
	} {
		for more := true; more; {
			var n int64
			err := s.o.DB.Tx(ctx, func(q db.Queries) (err error) {
				n, more, err = step(q)
				return err
			})
			if err != nil {
				return gone, err
			}
			gone += n
		}
	}
	return gone, nil
}
