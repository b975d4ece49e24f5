// Package pgbus is a bus.Bus over PostgreSQL's LISTEN and NOTIFY, for nodes that share a database and no Redis.
//
//	Publish ──pg_notify──► PostgreSQL ──► the one listening connection of each node (Run) ──► its subscribers
//
// Notices are lost while there is no connection: then a subscriber gets Resync, as with any bus.
package pgbus

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"mediad/store/bus"
	"mediad/store/db"
)

const (
	// quiet is after how long without a notice the connection is asked whether it still is one, and answerIn how long it has to answer.
	quiet    = time.Second
	answerIn = 2 * time.Second
	// openIn bounds a new connection.
	openIn = 5 * time.Second
	// again is how soon a lost connection is made anew.
	again = 500 * time.Millisecond
	// sendIn bounds one notice: somebody waits who could do without.
	sendIn = 500 * time.Millisecond
)

// Bus is a bus.Bus over the database.
type Bus struct {
	db    *db.DB
	node  string // tells this process's own messages from others'
	local bus.Local
	log   *slog.Logger
	// owed: an event did not reach the server, so that everybody else is to be told to drop all.
	owed atomic.Bool
}

var _ bus.Bus = (*Bus)(nil)

// message is what goes over the wire.
type message struct {
	Node string `json:"n"`
	bus.Event
}

// New makes it, for a database that is PostgreSQL. Events of other nodes come while Run runs. log may be nil.
func New(d *db.DB, log *slog.Logger) *Bus {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Bus{db: d, node: uuid.NewString(), log: log}
}

// Publish implements bus.Bus.
func (b *Bus) Publish(ctx context.Context, e bus.Event) error {
	if err := b.local.Publish(ctx, e); err != nil {
		return err
	}
	// What changed is to be told even where who changed it has left.
	if err := b.send(context.WithoutCancel(ctx), e); err != nil {
		b.owed.Store(true)
		return fmt.Errorf("bus: %w", err)
	}
	return nil
}

func (b *Bus) send(ctx context.Context, e bus.Event) error {
	text, err := json.Marshal(message{b.node, e})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, sendIn)
	defer cancel()
	return b.db.Write(ctx).Notify(db.BusChannel, string(text))
}

// Subscribe implements bus.Bus.
func (b *Bus) Subscribe(topics ...string) *bus.Subscription { return b.local.Subscribe(topics...) }

// Run takes the events of other nodes until ctx ends, and tells them what they could not be told in its time.
func (b *Bus) Run(ctx context.Context) error {
	warned := false
	heard := func() {
		if warned {
			b.log.Info("changes by other nodes are heard of again")
		}
		warned = false
	}
	for ctx.Err() == nil {
		if err := b.receive(ctx, heard); ctx.Err() == nil && !warned {
			b.log.Warn("changes by other nodes are not heard of: connecting again", "error", err)
			warned = true
		}
		wait := time.NewTimer(again)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
		}
	}
	return nil
}

// receive listens until the connection is lost. What was told while there was none is covered by Resync.
func (b *Bus) receive(ctx context.Context, heard func()) error {
	opening, cancel := context.WithTimeout(ctx, openIn)
	defer cancel()
	l, err := b.db.Listen(opening, db.BusChannel)
	if err != nil {
		return err
	}
	defer l.Close()
	heard()
	b.local.Deliver(bus.Event{Resync: true})
	for {
		if b.owed.CompareAndSwap(true, false) && b.send(ctx, bus.Event{Resync: true}) != nil {
			b.owed.Store(true)
		}
		if err := b.next(ctx, l); err != nil {
			return err
		}
	}
}

// next takes one notice, or finds after a quiet time that the connection is there.
func (b *Bus) next(ctx context.Context, l *db.Listener) error {
	payload, ok, err := l.Next(ctx, quiet)
	if err != nil {
		return err
	}
	if ok {
		b.take(payload)
		return nil
	}
	asking, cancel := context.WithTimeout(ctx, answerIn)
	defer cancel()
	return l.Ping(asking)
}

func (b *Bus) take(payload string) {
	var m message
	if err := json.Unmarshal([]byte(payload), &m); err != nil {
		b.log.Warn("event not understood", "error", err)
		b.local.Deliver(bus.Event{Resync: true})
	} else if m.Node != b.node {
		b.local.Deliver(m.Event)
	}
}
