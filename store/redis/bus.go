package redis

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"mediad/store/bus"
)

const (
	channel = prefix + "bus"
	// quiet is after how long without a message the connection is asked whether it still is one, and given as long to answer.
	quiet = 500 * time.Millisecond
)

// Bus is a bus.Bus over the server's publish and subscribe.
type Bus struct {
	client *Client
	node   string // tells this process's own messages from others'
	local  bus.Local
	// owed: an event did not reach the server, so that everybody else is to be told to drop all.
	owed atomic.Bool
}

var _ bus.Bus = (*Bus)(nil)

// message is what goes over the wire.
type message struct {
	Node string `json:"n"`
	bus.Event
}

// NewBus makes it. Events of other nodes come while Run runs.
func NewBus(c *Client) *Bus { return &Bus{client: c, node: uuid.NewString()} }

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
	return b.client.do(ctx, func(ctx context.Context) error { return b.client.rdb.Publish(ctx, channel, text).Err() })
}

// Subscribe implements bus.Bus.
func (b *Bus) Subscribe(topics ...string) *bus.Subscription { return b.local.Subscribe(topics...) }

// Run takes the events of other nodes until ctx ends, and tells them what they could not be told in its time.
func (b *Bus) Run(ctx context.Context) error {
	again := time.NewTicker(quiet)
	defer again.Stop()
	for ctx.Err() == nil {
		b.receive(ctx)
		select {
		case <-ctx.Done():
		case <-again.C:
		}
	}
	return nil
}

// receive subscribes, and returns when the connection is lost. Whatever was published while there was none is covered by Resync.
func (b *Bus) receive(ctx context.Context) {
	sub := b.client.rdb.Subscribe(ctx, channel)
	defer sub.Close()
	asked := false
	for ctx.Err() == nil {
		got, err := sub.ReceiveTimeout(ctx, quiet)
		switch {
		case err != nil && timedOut(err) && !asked:
			asked = true
			if sub.Ping(ctx) != nil {
				return
			}
		case err != nil:
			return
		default:
			asked = false
			b.take(got)
		}
		if b.owed.CompareAndSwap(true, false) && b.send(ctx, bus.Event{Resync: true}) != nil {
			b.owed.Store(true)
		}
	}
}

func (b *Bus) take(got any) {
	switch got := got.(type) {
	case *redis.Subscription:
		b.local.Deliver(bus.Event{Resync: true})
	case *redis.Message:
		var m message
		if err := json.Unmarshal([]byte(got.Payload), &m); err != nil {
			b.client.log.Warn("event not understood", "error", err)
			b.local.Deliver(bus.Event{Resync: true})
		} else if m.Node != b.node {
			b.local.Deliver(m.Event)
		}
	}
}
