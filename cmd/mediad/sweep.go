package main

import (
	"context"
	"errors"

	"mediad/store/db"
)

const (
	// sweepAtOnce bounds how many recordings of a state of a silent node one look takes over.
	sweepAtOnce = 200
)

// sweep ends what silent nodes had on air, and sees to what they keep: a recording all of which is in the bucket is taken over, and any other is
// left for the node's return, unless that is not to be expected.
func (c *cluster) sweep(ctx context.Context) error {
	ended, err := c.streams.EndSilentSessions(ctx, c.silent)
	if err != nil {
		return err
	}
	for i := range ended {
		c.log.Warn("a session was ended: its node is silent", "session", ended[i].ID, "stream_id", ended[i].StreamID, "node", ended[i].Node)
	}
	q := c.db.Read(ctx)
	keepers, err := q.Keepers()
	if err != nil {
		return err
	}
	for _, node := range keepers {
		if node == c.self.ID {
			continue
		}
		alive, err := q.NodeAlive(node, c.silent.Milliseconds())
		if err == nil && !alive {
			err = c.inherit(ctx, node)
		}
		if err != nil {
			return err
		}
	}
	return c.db.Tx(ctx, func(q db.Queries) error { return q.ForgetNodesGone(c.gone.Milliseconds()) })
}

// inherit sees to the recordings of a silent node.
func (c *cluster) inherit(ctx context.Context, node string) error {
	known, err := c.db.Read(ctx).KnowsNode(node)
	if err != nil {
		return err
	}
	some, err := c.db.Read(ctx).ListRecordingsOf(node, db.RecordingRunning, db.Recording{}, sweepAtOnce)
	if err != nil {
		return err
	}
	for i := range some {
		if err := c.close(ctx, &some[i]); err != nil {
			return err
		}
	}
	states := []string{db.RecordingEnded}
	if !known {
		states = append(states, db.RecordingRunning, db.RecordingMade, db.RecordingEmpty, db.RecordingUnrecorded, db.RecordingDeleting)
	}
	for _, state := range states {
		if err := c.take(ctx, node, state, known); err != nil {
			return err
		}
	}
	return nil
}

// close notes that a recording is over, whose session is.
func (c *cluster) close(ctx context.Context, rec *db.Recording) error {
	s, err := c.db.Read(ctx).FindSession(rec.SessionID)
	if err != nil && !errors.Is(err, db.ErrNotFound) {
		return err
	}
	if err == nil && s.EndedAt == nil {
		return nil
	}
	err = c.videos.EndRecording(ctx, rec.SessionID)
	if errors.Is(err, db.ErrNotFound) {
		return nil
	}
	return err
}

// take takes recordings of a state over, of those that are over by now; where the node is known, those that need nothing of it.
func (c *cluster) take(ctx context.Context, node, state string, known bool) error {
	n := 0
	defer func() {
		if n > 0 {
			c.log.Info("recordings of a silent node taken over", "node", node, "state", state, "recordings", n)
			c.taken()
		}
	}()
	for after := (db.Recording{}); n < sweepAtOnce; {
		some, err := c.db.Read(ctx).ListRecordingsOf(node, state, after, sweepAtOnce)
		if err != nil {
			return err
		}
		for i := range some {
			after = some[i]
			var done bool
			err := c.db.Tx(ctx, func(q db.Queries) error {
				done = false
				if alive, err := q.NodeAlive(node, c.silent.Milliseconds()); err != nil || alive {
					return err
				}
				if known {
					if there, err := q.InBucket(after); err != nil || !there {
						return err
					}
				}
				done, err = q.TakeRecording(after, c.self.ID)
				return err
			})
			if err != nil {
				return err
			}
			if done {
				n++
			}
		}
		if len(some) < sweepAtOnce {
			return nil
		}
	}
	return nil
}
