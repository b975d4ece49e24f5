package redis

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"mediad/store/bus"
)

const (
	// toldKey counts the events there were.
	toldKey = prefix + "told"
	// quiet is after how long without a message the connection is asked whether it still is one, and given as long to answer.
	quiet = 500 * time.Millisecond
)

// publish counts an event (ARGV[1]) and publishes it behind its number. Where the server has lost its count the clock takes its place, so that no
// number comes twice.
var publish = redis.NewScript(`
local n = redis.call('INCR', KEYS[1])
if n == 1 then
	local now = redis.call('TIME')
	n = now[1] * 1000000 + now[2]
	redis.call('SET', KEYS[1], string.format('%.0f', n))
end
redis.call('PUBLISH', KEYS[2], string.format('%.0f ', n) .. ARGV[1])
return 0`)

// Bus is a bus.Bus over the server's publish and subscribe.
type Bus struct {
	client *Client
	node   string // tells this process's own messages from others'
	// channel is one a database number, as the count is: what is published is heard in all of them.
	channel string
	apply   func(bus.Event)
	local   bus.Local
	// heard is the number of the last event that came, and whose apply is done; 0: some may be missing.
	heard atomic.Int64
	// owed: an event did not reach the server, so that everybody else is to be told to drop all.
	owed atomic.Bool
}

var _ bus.Bus = (*Bus)(nil)

// message is what goes over the wire.
type message struct {
	Node string `json:"n"`
	bus.Event
}

// NewBus makes it. Events of other nodes come while Run runs; apply, where it is not nil, is called with each of them and every Resync before Heard
// takes it for heard. It must be quick.
func NewBus(c *Client, apply func(bus.Event)) *Bus {
	if apply == nil {
		apply = func(bus.Event) {}
	}
	return &Bus{client: c, node: uuid.NewString(), channel: fmt.Sprintf("%sbus:%d", prefix, c.rdb.Options().DB), apply: apply}
}

// Heard says whether every event that a node has published successfully by now has been applied here. told is the count of events that the
// server gave a moment ago with another answer, so that it need not be asked again; 0: ask.
func (b *Bus) Heard(ctx context.Context, told int64) bool {
	heard := b.heard.Load()
	if heard == 0 {
		return false
	}
	if told == 0 {
		err := b.client.do(ctx, func(ctx context.Context) (err error) {
			told, err = b.client.rdb.Get(ctx, toldKey).Int64()
			return err
		})
		if err != nil {
			return false
		}
	}
	return told <= heard
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
	return b.client.do(ctx, func(ctx context.Context) error {
		return publish.Run(ctx, b.client.rdb, []string{toldKey, b.channel}, text).Err()
	})
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
	sub := b.client.rdb.Subscribe(ctx, b.channel)
	defer sub.Close()
	defer b.heard.Store(0)
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
		if b.heard.Load() == 0 {
			// Nobody has to hear this: it comes back with a number, up to which nothing is missing since the subscription.
			_ = b.send(ctx, bus.Event{Topic: "joined"})
		}
		if b.owed.CompareAndSwap(true, false) && b.send(ctx, bus.Event{Resync: true}) != nil {
			b.owed.Store(true)
		}
	}
}

func (b *Bus) take(got any) {
	switch got := got.(type) {
	case *redis.Subscription:
		b.heard.Store(0)
		b.deliver(bus.Event{Resync: true})
	case *redis.Message:
		number, text, _ := strings.Cut(got.Payload, " ")
		n, err := strconv.ParseInt(number, 10, 64)
		var m message
		if err == nil {
			err = json.Unmarshal([]byte(text), &m)
		}
		if err != nil {
			b.client.log.Warn("event not understood", "error", err)
			b.deliver(bus.Event{Resync: true})
			return
		}
		if m.Node != b.node {
			b.deliver(m.Event)
		}
		b.heard.Store(n)
	}
}

func (b *Bus) deliver(e bus.Event) {
	b.apply(e)
	b.local.Deliver(e)
}
