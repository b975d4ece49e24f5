package whip

import (
	"context"
	"log/slog"

	"mediad/ingest"
	"mediad/live"
)

var (
	_ Publisher      = (*live.Publisher)(nil)
	_ keyFrameWanter = (*live.Publisher)(nil)
	_ repairCounter  = (*live.Publisher)(nil)
	_ Feed           = (*ingest.Feed)(nil)
)

// ToHub is an Options.Admit that lets into hub whoever it takes, and gives each publisher a feed made with o; its Publisher is
// filled in, and its Log knows the stream.
func ToHub(hub *live.Hub, o ingest.FeedOptions) func(context.Context, Request) (Publisher, Feed, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return func(ctx context.Context, r Request) (Publisher, Feed, error) {
		p, err := hub.Publish(ctx, r.Key, r.Peer)
		if err != nil {
			return nil, nil, err
		}
		o := o
		o.Publisher, o.Log = p, o.Log.With("stream", p.Stream(), "protocol", r.Peer.Protocol, "peer", r.Peer.Remote)
		return p, ingest.NewFeed(o), nil
	}
}
