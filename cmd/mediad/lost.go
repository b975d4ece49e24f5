package main

import (
	"context"
	"errors"

	"mediad/packager/replay"
	"mediad/store/db"
)

// lose notes what of a recording was on the disk of a node alone that is gone for good: gaps from now on. Its videos are weighed anew, and go
// where nothing of them can be played. It may be cut short and done again, as long as the recording is not taken over.
func (c *cluster) lose(ctx context.Context, rec *db.Recording) error {
	gone := false
	err := c.db.Tx(ctx, func(q db.Queries) error {
		alive, err := q.NodeAlive(rec.Node, c.gone.Milliseconds())
		if gone = err == nil && !alive; !gone {
			return err
		}
		return q.LoseSegments(*rec)
	})
	if err != nil || !gone {
		return err
	}
	q := c.db.Read(ctx)
	videos, err := q.ListClips(rec.SessionID)
	if err != nil {
		return err
	}
	if rec.State == db.RecordingMade {
		v, err := q.FindReplay(rec.SessionID, rec.FirstMSN)
		switch {
		case errors.Is(err, db.ErrNotFound):
		case err != nil:
			return err
		case v.DeletedAt == nil:
			videos = append(videos, v)
		}
	}
	for _, v := range videos {
		if v.State != db.VideoReady {
			continue
		}
		if err := c.reweigh(ctx, rec, v); err != nil {
			return err
		}
	}
	return nil
}

// reweigh corrects what the rows of a video say of its media, or lets it go.
func (c *cluster) reweigh(ctx context.Context, rec *db.Recording, v db.Video) error {
	left, err := readVideo(ctx, c.db, v)
	if err != nil {
		return err
	}
	shown, err := replay.New(left)
	if errors.Is(err, replay.ErrEmpty) {
		c.log.Warn("a video is lost: all of it was on the disk of a node that is gone", "video", v.ID, "kind", v.Kind, "node", rec.Node)
		return c.videos.Lost(ctx, v)
	}
	if err != nil {
		return err
	}
	if v.Kind == db.KindReplay {
		facts := factsOf(shown)
		weigh(&facts, &left)
		if err := c.db.Write(ctx).WeighRecording(rec.SessionID, rec.FirstMSN, facts.Stored); err != nil {
			return err
		}
	}
	_, err = noteMedia(ctx, c.db, v, shown)
	return err
}
