package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"mediad/store/db"
)

const (
	// sweepAtOnce bounds how many recordings of a state of a silent node one sweep looks at. The next one goes on behind them.
	sweepAtOnce = 200
	// sweepTimeout bounds a sweep, which beats do not wait for.
	sweepTimeout = 30 * time.Second
)

// sweepPlace is where a sweep is among the recordings of a state of a node.
type sweepPlace struct{ node, state string }

// RunSweep looks after what silent nodes left, until ctx ends.
func (c *cluster) RunSweep(ctx context.Context) error {
	tick := time.NewTicker(c.each)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		if err := c.look(ctx); err != nil && ctx.Err() == nil {
			c.log.Warn("what silent nodes left is not looked after", "error", err)
		}
	}
}

// look sweeps, unless this node itself was not heard of for so long: then it cannot tell who is silent.
func (c *cluster) look(ctx context.Context) error {
	if c.steady() < c.silent {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	return c.sweep(ctx)
}

// sweep ends what silent nodes had on air, and sees to what they keep: a recording all of which is in the bucket is taken over, and any other is
// left for the node's return, unless that is not to be expected. What fails of it keeps nothing else from being done.
func (c *cluster) sweep(ctx context.Context) error {
	ended := c.endSilent(ctx)
	forgot := c.db.Tx(ctx, func(q db.Queries) error { return q.ForgetNodesGone(c.gone.Milliseconds()) })
	keepers, err := c.db.Read(ctx).Keepers()
	// The one behind the last that was looked at comes first, so that one with much to see to does not keep the others waiting for ever.
	at := slices.IndexFunc(keepers, func(node string) bool { return node > c.reached })
	if at > 0 {
		keepers = slices.Concat(keepers[at:], keepers[:at])
	}
	errs := []error{ended, forgot, err}
	for _, node := range keepers {
		if ctx.Err() != nil {
			break
		}
		c.reached = node
		if node == c.self.ID {
			continue
		}
		alive, err := c.db.Read(ctx).NodeAlive(node, c.silent.Milliseconds())
		if err == nil && !alive {
			err = c.inherit(ctx, node)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// endSilent ends the sessions of silent nodes.
func (c *cluster) endSilent(ctx context.Context) error {
	for {
		ended, err := c.streams.EndSilentSessions(ctx, c.silent)
		for i := range ended {
			c.log.Warn("a session was ended: its node is silent", "session", ended[i].ID, "stream_id", ended[i].StreamID, "node", ended[i].Node)
		}
		if err != nil || len(ended) == 0 || c.since.Load() == nil {
			return err
		}
	}
}

// inherit sees to the recordings of a silent node.
func (c *cluster) inherit(ctx context.Context, node string) error {
	if err := c.db.Write(ctx).NoticeNode(node); err != nil {
		return err
	}
	back, err := c.db.Read(ctx).NodeAlive(node, c.gone.Milliseconds()) // it may come back
	if err != nil {
		return err
	}
	some, err := c.db.Read(ctx).ListRecordingsOf(node, db.RecordingRunning, db.Recording{}, sweepAtOnce)
	if err != nil {
		return err
	}
	var errs []error
	for i := range some {
		errs = append(errs, c.close(ctx, &some[i]))
	}
	states := []string{db.RecordingEnded}
	if !back {
		states = append(states, db.RecordingRunning, db.RecordingMade, db.RecordingEmpty, db.RecordingUnrecorded, db.RecordingDeleting)
	}
	for _, state := range states {
		errs = append(errs, c.take(ctx, sweepPlace{node, state}, back))
	}
	return errors.Join(errs...)
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

// take takes recordings of a state over, of those that are over by now; where the node may come back, those that need nothing of it; where it may
// not, what it alone had is lost. It goes on where the former sweep ended, and begins anew behind the last.
func (c *cluster) take(ctx context.Context, of sweepPlace, back bool) error {
	some, err := c.db.Read(ctx).ListRecordingsOf(of.node, of.state, c.swept[of], sweepAtOnce)
	if err != nil {
		return err
	}
	var errs []error
	n := 0
	for i := range some {
		took, err := c.takeOne(ctx, some[i], back)
		if ctx.Err() != nil {
			break
		}
		c.swept[of] = some[i]
		errs = append(errs, err)
		if took {
			n++
		}
	}
	if len(some) < sweepAtOnce && ctx.Err() == nil {
		delete(c.swept, of)
	}
	if n > 0 {
		c.log.Info("recordings of a silent node taken over", "node", of.node, "state", of.state, "recordings", n)
		c.taken()
	}
	return errors.Join(append(errs, ctx.Err())...)
}

func (c *cluster) takeOne(ctx context.Context, rec db.Recording, back bool) (took bool, err error) {
	if !back {
		if err := c.lose(ctx, &rec); err != nil {
			return false, err
		}
	}
	err = c.db.Tx(ctx, func(q db.Queries) error {
		took = false
		if alive, err := q.NodeAlive(rec.Node, c.silent.Milliseconds()); err != nil || alive {
			return err
		}
		if back {
			if there, err := q.InBucket(rec); err != nil || !there {
				return err
			}
		}
		took, err = q.TakeRecording(rec, c.self.ID, db.At(c.now()))
		return err
	})
	return took && err == nil, err
}
