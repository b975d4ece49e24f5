package rtsp

import (
	"context"
	"log/slog"

	"mediad/ingest"
	"mediad/live"
)

var (
	_ Publisher = (*live.Publisher)(nil)
	_ Feed      = (*ingest.Feed)(nil)
)

// ToHub is an Options.Admit that lets into hub whoever it takes, and gives each publisher a feed made with o; its
// Publisher is filled in, and its Log knows the stream.
func ToHub(hub *live.Hub, o ingest.FeedOptions) func(context.Context, Request) (Publisher, Feed, error) {
	admit := Pulled(hub.Publish, o)
	return func(ctx context.Context, r Request) (Publisher, Feed, error) { return admit(ctx, r.Key, r.Peer) }
}

// Publish lets a peer publish to a stream by its name, without a key.
type Publish func(ctx context.Context, name string, peer live.Peer) (*live.Publisher, error)

// Pulled is a PullOptions.Admit that publishes what is pulled by publish, and gives each publisher a feed made with o, as
// ToHub does.
func Pulled(publish Publish, o ingest.FeedOptions) func(context.Context, string, live.Peer) (Publisher, Feed, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return func(ctx context.Context, name string, peer live.Peer) (Publisher, Feed, error) {
		p, err := publish(ctx, name, peer)
		if err != nil {
			return nil, nil, err
		}
		o := o
		o.Publisher, o.Log = p, o.Log.With("stream", p.Stream(), "protocol", peer.Protocol, "peer", peer.Remote)
		return p, ingest.NewFeed(o), nil
	}
}
