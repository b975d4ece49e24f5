package play

import (
	"context"
	"fmt"

	"mediad/api/caller"
	"mediad/api/problem"
	"mediad/store/db"
)

// maxWatchLater of a user are kept.
const maxWatchLater = 1000

// Resume is where the caller has left a video, in milliseconds; 0 where that is not known, or its end.
func (s *Service) Resume(ctx context.Context, v db.Video) (int64, error) {
	who := caller.Of(ctx)
	if !who.SignedIn() || !who.Has(caller.Interactions) {
		return 0, nil
	}
	q := s.o.DB.Read(ctx)
	u, err := q.FindUser(who.UserID)
	if err != nil || !remembered(&u) {
		return 0, err
	}
	ms, ok := s.pending(who.UserID, v.ID)
	if !ok {
		marks, err := q.FindMarks(who.UserID, []string{v.ID})
		if err != nil || len(marks) == 0 {
			return 0, err
		}
		ms = marks[0].PositionMS
	}
	if ms >= v.DurationMS {
		return 0, nil
	}
	return ms, nil
}

// pending is where a user is in a video by the beats that are not stored yet; false where there are none.
func (s *Service) pending(userID, videoID string) (ms int64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var newest db.Millis
	for _, some := range [][]*entry{s.storing, s.dirty} {
		for _, e := range some {
			if r := &e.row; r.UserID != nil && *r.UserID == userID && r.TargetID == videoID && r.UpdatedAt >= newest {
				ms, ok, newest = r.PositionMS, true, r.UpdatedAt
			}
		}
	}
	return ms, ok
}

// History lists where the caller left what videos, behind a position, the newest first.
func (s *Service) History(ctx context.Context, after db.Related, limit int) ([]db.Mark, error) {
	if err := s.Store(ctx); err != nil {
		return nil, err
	}
	return s.o.DB.Read(ctx).ListMarks(caller.Of(ctx).UserID, after, limit)
}

// Forget deletes a video from the caller's history; "": all of it.
func (s *Service) Forget(ctx context.Context, videoID string) error {
	if err := s.Store(ctx); err != nil {
		return err
	}
	err := s.o.DB.Tx(ctx, func(q db.Queries) error {
		if videoID == "" {
			return q.DeleteMarks(caller.Of(ctx).UserID, 0)
		}
		return q.DeleteMark(caller.Of(ctx).UserID, videoID)
	})
	if err != nil {
		return fmt.Errorf("play: forget: %w", err)
	}
	return nil
}

// AddWatchLater puts a video that the caller may see on the list.
func (s *Service) AddWatchLater(ctx context.Context, videoID string) error {
	e, err := s.begin(ctx, Start{Kind: db.PlayVideo, ID: videoID})
	if err != nil {
		return err
	}
	w := db.WatchLater{UserID: caller.Of(ctx).UserID, VideoID: e.row.TargetID, CreatedAt: db.At(s.o.Now())}
	return s.o.DB.Tx(ctx, func(q db.Queries) error {
		there, err := q.FindWatchLater(w.UserID, []string{w.VideoID})
		if err != nil || len(there) > 0 {
			return err
		}
		n, err := q.CountWatchLater(w.UserID)
		if err == nil && n >= maxWatchLater {
			full := problem.New(problem.LimitReached, "There are as many videos on the list as are kept.")
			full.Max = maxWatchLater
			err = full
		}
		if err != nil {
			return err
		}
		return q.AddWatchLater(w)
	})
}

// RemoveWatchLater takes a video off the list.
func (s *Service) RemoveWatchLater(ctx context.Context, videoID string) error {
	return s.o.DB.Tx(ctx, func(q db.Queries) error { return q.RemoveWatchLater(caller.Of(ctx).UserID, videoID) })
}

// WatchLater finds a video on the caller's list. ErrNotFound: it is not there, or cannot be seen any more.
func (s *Service) WatchLater(ctx context.Context, videoID string) (db.WatchLater, error) {
	found, err := s.o.DB.Read(ctx).FindWatchLater(caller.Of(ctx).UserID, []string{videoID})
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return db.WatchLater{}, err
	}
	return found[0], nil
}

// WatchLaters lists them behind a position, the newest first.
func (s *Service) WatchLaters(ctx context.Context, after db.Related, limit int) ([]db.WatchLater, error) {
	return s.o.DB.Read(ctx).ListWatchLater(caller.Of(ctx).UserID, after, limit)
}
