package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"mediad/live"
	"mediad/store/bus"
	"mediad/store/db"
)

// A stream is on air at one node: that whose row in stream_owners it has. Whoever publishes to it at another one takes it over, as at the same
// one: that node asks, the owner cuts its publisher, ends its session and hands the row on.
//
//	publisher ──► gate: claim ──free, or ours──► hub
//	                     └────another node's──► asked: yield ┄bus┄► owner: cut, hand over ┄► hub
//
// The rule against two encoders that take the stream from each other for ever is that of live/admission.go, by what the row remembers.
type owners struct {
	db   *db.DB
	node string
	bus  bus.Bus
	log  *slog.Logger

	onAir func() []live.Status
	yield func(slug string) error
	end   func(slug string, r live.Reason) error
	sends func(streamID string) bool
	// place names who publishes, in a way that tells nobody from where.
	place func(ip, agent string) string
	// patience is how late the beat of a node may be that keeps its streams.
	patience func() time.Duration
	// lost has the session ended that a dead node had on a stream.
	lost func(ctx context.Context, streamID string) error
	// ends is the same within a transaction, for a reason; false: there is none.
	ends func(q db.Queries, streamID string, r live.Reason) (bool, error)
}

// askTopic: an owner was asked for something, or has done it. The key is the stream's id.
const askTopic = "ask"

const (
	// ownersLook is how often is looked whether another node wants something, unasked.
	ownersLook = 500 * time.Millisecond
	// claimPatience is how long a publisher waits for the owner to let go, and claimLook how often is looked.
	claimPatience = 3 * time.Second
	claimLook     = 50 * time.Millisecond
	// idleOwner is for how long a stream is kept that nobody publishes: a publisher that was let in may take as long to send its first frame.
	idleOwner = 20 * time.Second

	replacedMemory = 30 * time.Second
	contestWindow  = time.Minute
	maxTakeovers   = 3
)

// errHeld says that another node has the stream.
var errHeld = errors.New("another node has the stream")

// gate lets a publisher in once this node has its stream.
type ownersGate struct {
	next live.Authorizer
	of   *owners
}

func (o *owners) gate(next live.Authorizer) live.Authorizer {
	if o == nil {
		return next
	}
	return ownersGate{next, o}
}

// AuthorizePublish implements live.Authorizer.
func (g ownersGate) AuthorizePublish(ctx context.Context, key string, peer live.Peer) (live.Grant, error) {
	grant, err := g.next.AuthorizePublish(ctx, key, peer)
	if err != nil {
		return grant, err
	}
	return grant, g.of.admit(ctx, grant, peer)
}

// admit takes the stream for a publisher, from another node if need be.
func (o *owners) admit(ctx context.Context, g live.Grant, peer live.Peer) error {
	return o.refusal(g, o.claim(ctx, g.StreamID, o.who(peer.Remote, peer.Encoder)))
}

// admitSource is for what this node fetches itself, as each node does that has the same configuration: it takes a stream from nobody.
func (o *owners) admitSource(ctx context.Context, g live.Grant) error {
	if o == nil {
		return nil
	}
	_, err := o.try(ctx, g.StreamID, "", false)
	return o.refusal(g, err)
}

func (o *owners) refusal(g live.Grant, err error) error {
	var refused *live.Error
	switch {
	case err == nil || errors.As(err, &refused):
		return err
	case errors.Is(err, errHeld):
		return live.Refuse(live.ReasonTwoPublishers, err)
	case errors.Is(err, errDeaf):
		return live.Refuse(live.ReasonAuthUnavailable, err)
	}
	// With the database away nobody can ask for the stream. Whoever has it by its row is found out once it is back.
	o.log.Warn("whether another node has the stream is not known: its publisher is let in", "stream", g.Stream, "error", err)
	return nil
}

func (o *owners) who(remote, encoder string) string {
	return o.place(address(remote).String(), encoder)
}

// errDeaf says that the owner does not let go, although it is not silent.
var errDeaf = errors.New("the node that has the stream does not let go of it")

// claim takes a stream, and waits for its owner to let go.
func (o *owners) claim(ctx context.Context, streamID, who string) error {
	ctx, cancel := context.WithTimeout(ctx, claimPatience)
	defer cancel()
	ours, err := o.try(ctx, streamID, who, true)
	if err != nil || ours {
		return err
	}
	tick := time.NewTicker(claimLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return errDeaf
		case <-tick.C:
		}
		row, err := o.db.Read(ctx).FindOwner(streamID)
		switch {
		case errors.Is(err, db.ErrNotFound), err == nil && row.Asked == "" && row.Node != o.node: // it went back, or on
			if ours, err = o.try(ctx, streamID, who, true); err != nil || ours {
				return err
			}
		case err != nil:
			if ctx.Err() == nil {
				return err
			}
		case row.Node == o.node:
			return nil
		case row.AskedBy != o.node: // a later publisher wins
			return errHeld
		}
	}
}

// verdict is what became of a try.
type verdict uint8

const (
	got   verdict = iota + 1 // this node has the stream
	dead                     // likewise, and the one that had it is gone
	asked                    // the owner was asked for it
	held                     // it stays where it is
)

// try takes a stream that is free, this node's, or that of a dead node. Of any other the owner is asked, if take says so: then it is not got yet.
func (o *owners) try(ctx context.Context, streamID, who string, take bool) (ours bool, err error) {
	var is verdict
	err = o.db.Tx(ctx, func(q db.Queries) error {
		is, err = o.decide(q, streamID, who, take)
		return err
	})
	if err != nil {
		return false, err
	}
	switch is {
	case held:
		return false, errHeld
	case asked:
		o.tell(ctx, streamID)
		return false, nil
	case dead:
		if err := o.lost(ctx, streamID); err != nil {
			o.log.Warn("the session of the dead node is ended later", "error", err)
		}
	case got:
	}
	return true, nil
}

func (o *owners) decide(q db.Queries, streamID, who string, take bool) (verdict, error) {
	now, err := q.Clock()
	if err != nil {
		return 0, err
	}
	row, err := q.FindOwner(streamID)
	switch {
	case errors.Is(err, db.ErrNotFound):
		return got, q.SaveOwner(db.StreamOwner{StreamID: streamID, Node: o.node, ClaimedAt: now})
	case err != nil:
		return 0, err
	case row.Node == o.node:
		if row.Asked == db.AskYield {
			return held, nil // it is another node's in a moment, which would cut who is let in now
		}
		if take && returns(&row, who, now) && o.sends(streamID) {
			row.ReplacedAt = now
			return held, q.SaveOwner(row)
		}
		if row.Asked != "" { // to end a session: if that is over, it is not meant for this one
			open, err := isOpen(q, streamID)
			if err != nil {
				return 0, err
			}
			if !open {
				row.Asked = ""
			}
		}
		row.ClaimedAt = now
		return got, q.SaveOwner(row)
	}
	alive, err := q.NodeServes(row.Node, o.patience().Milliseconds())
	switch {
	case err != nil:
		return 0, err
	case !alive:
		return dead, q.SaveOwner(db.StreamOwner{StreamID: streamID, Node: o.node, ClaimedAt: now})
	case !take:
		return held, nil
	}
	return o.ask(q, &row, who, now)
}

// since is how long ago a moment was, both by the database's clock.
func since(at, now db.Millis) time.Duration { return time.Duration(now-at) * time.Millisecond }

// returns says whether a publisher is the one that was replaced lately.
func returns(row *db.StreamOwner, who string, now db.Millis) bool {
	return who == row.Replaced && since(row.ReplacedAt, now) <= replacedMemory
}

// ask notes that this node wants a stream, unless two encoders fight for it.
func (o *owners) ask(q db.Queries, row *db.StreamOwner, who string, now db.Millis) (verdict, error) {
	session, err := q.OpenSessionOf(row.StreamID)
	if err != nil && !errors.Is(err, db.ErrNotFound) {
		return 0, err
	}
	if sends := err == nil && session.AwayAt == nil; sends {
		if since(row.TakenAt, now) > contestWindow {
			row.Taken, row.TakenAt = 0, now
		}
		if returns(row, who, now) {
			row.ReplacedAt = now // one that keeps knocking stays out
			return held, q.SaveOwner(*row)
		}
		if row.Taken >= maxTakeovers {
			return held, nil
		}
		row.Taken++
	}
	row.Asked, row.AskedBy = db.AskYield, o.node
	return asked, q.SaveOwner(*row)
}

// askEnd has a stream's session ended by the node that has it, or ends it where that is gone. False: no other node has one.
func (o *owners) askEnd(ctx context.Context, streamID string, reason live.Reason) (bool, error) {
	there, gone := false, false
	err := o.db.Tx(ctx, func(q db.Queries) error {
		there, gone = false, false
		row, err := q.FindOwner(streamID)
		if errors.Is(err, db.ErrNotFound) || err == nil && row.Node == o.node {
			return nil
		}
		if err != nil {
			return err
		}
		serves, err := q.NodeServes(row.Node, o.patience().Milliseconds())
		if err != nil {
			return err
		}
		if gone = !serves; gone { // it would do it at its return, to another broadcast perhaps
			if there, err = o.ends(q, streamID, reason); err != nil {
				return err
			}
			return q.ForgetOwner(streamID, row.Node)
		}
		if open, err := isOpen(q, streamID); err != nil || !open {
			return err // it would be the next one's end
		}
		there = true
		if row.Asked == "" { // else it ends anyhow
			row.Asked = string(reason)
			return q.SaveOwner(row)
		}
		return nil
	})
	if err == nil && there && !gone {
		o.tell(ctx, streamID)
	}
	return there, err
}

func isOpen(q db.Queries, streamID string) (bool, error) {
	_, err := q.OpenSessionOf(streamID)
	if errors.Is(err, db.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

func (o *owners) tell(ctx context.Context, streamID string) {
	if err := o.bus.Publish(ctx, bus.Event{Topic: askTopic, Key: streamID}); err != nil {
		o.log.Debug("the owner of a stream is not told, it looks itself", "error", err)
	}
}

// Run does what this node is asked for until ctx ends.
func (o *owners) Run(ctx context.Context) error {
	news := o.bus.Subscribe(askTopic)
	defer news.Close()
	for {
		waiting, cancel := context.WithTimeout(ctx, ownersLook)
		_, _ = news.Next(waiting) // asked, or it is time to look
		cancel()
		if ctx.Err() != nil {
			return nil
		}
		bounded, cancel := context.WithTimeout(ctx, rowsTimeout)
		if err := o.look(bounded); err != nil && ctx.Err() == nil {
			o.log.Debug("what other nodes ask for is not known", "error", err)
		}
		cancel()
	}
}

// look compares what this node has by its rows with what is on air here.
func (o *owners) look(ctx context.Context) error {
	q := o.db.Read(ctx)
	rows, err := q.OwnedBy(o.node)
	if err != nil {
		return err
	}
	now, err := q.Clock()
	if err != nil {
		return err
	}
	onAir := map[string]live.Status{}
	for _, s := range o.onAir() {
		onAir[s.StreamID] = s
	}
	for i := range rows {
		row := &rows[i]
		status, on := onAir[row.StreamID]
		delete(onAir, row.StreamID)
		switch {
		case row.Asked == db.AskYield:
			err = o.handOver(ctx, row, status, on)
		case row.Asked != "":
			if on {
				_ = o.end(status.Stream, live.Reason(row.Asked)) // else it has ended by itself
			}
			err = o.done(ctx, row)
		case !on && since(row.ClaimedAt, now) > idleOwner:
			err = o.db.Write(ctx).ReleaseOwner(*row)
		}
		if err != nil {
			return err
		}
	}
	for id, status := range onAir {
		if _, err := o.try(ctx, id, "", false); errors.Is(err, errHeld) {
			o.log.Warn("another node has the stream by now: its publisher here is cut", "stream", status.Stream)
			_ = o.yield(status.Stream)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// handOver leaves a stream to the node that asked for it.
func (o *owners) handOver(ctx context.Context, row *db.StreamOwner, status live.Status, on bool) error {
	replaced := ""
	if on {
		if status.Remote != "" {
			replaced = o.who(status.Remote, status.PeerEncoder)
		}
		_ = o.yield(status.Stream)
	}
	err := o.db.Tx(ctx, func(q db.Queries) error {
		now, err := q.Clock()
		if err != nil {
			return err
		}
		fresh, err := q.FindOwner(row.StreamID)
		if err != nil || fresh.Node != o.node || fresh.Asked != db.AskYield {
			return err
		}
		if replaced != "" {
			fresh.Replaced, fresh.ReplacedAt = replaced, now
		}
		fresh.Node, fresh.ClaimedAt, fresh.Asked, fresh.AskedBy = fresh.AskedBy, now, "", ""
		return q.SaveOwner(fresh)
	})
	if err == nil {
		o.log.Info("a stream was left to another node", "stream", status.Stream, "stream_id", row.StreamID, "node", row.AskedBy)
	}
	return err
}

// done notes that what was asked is done.
func (o *owners) done(ctx context.Context, row *db.StreamOwner) error {
	return o.db.Tx(ctx, func(q db.Queries) error {
		fresh, err := q.FindOwner(row.StreamID)
		if err != nil || fresh.Node != o.node || fresh.Asked != row.Asked {
			return err
		}
		fresh.Asked = ""
		return q.SaveOwner(fresh)
	})
}

// newOwners is nil where there are no other nodes. The hub is there before anything is asked of it.
func (n *node) newOwners() *owners {
	if n.cluster == nil {
		return nil
	}
	c := n.cluster
	c.onAir = func() (ids []string) {
		for _, s := range n.hub.Live() {
			if s.SessionID != "" {
				ids = append(ids, s.SessionID)
			}
		}
		return ids
	}
	c.yield = func(session string) {
		for _, s := range n.hub.Live() {
			if s.SessionID == session {
				_ = n.hub.Yield(s.Stream) // else it has ended by itself
			}
		}
	}
	c.taken = func() { poke(n.records.wake); poke(n.site.videoNews) }
	return &owners{
		db: n.site.db, node: n.site.node, bus: n.site.shared.bus, log: n.log,
		onAir: func() []live.Status { return n.hub.Live() },
		yield: func(slug string) error { return n.hub.Yield(slug) },
		end:   func(slug string, r live.Reason) error { return n.hub.End(slug, r) },
		sends: func(streamID string) bool {
			return slices.ContainsFunc(n.hub.Live(), func(s live.Status) bool { return s.StreamID == streamID && s.State == live.StateLive })
		},
		place: n.places().Place, patience: c.patience,
		lost: func(ctx context.Context, streamID string) error {
			return n.site.streams.EndElsewhere(ctx, streamID, n.site.node)
		},
		ends: func(q db.Queries, streamID string, r live.Reason) (bool, error) {
			return n.site.streams.EndElsewhereIn(q, streamID, n.site.node, string(r))
		},
	}
}
