package srt

import (
	"context"
	"io"
	"log/slog"
	"net/url"

	"mediad/ingest"
	"mediad/live"
	"mediad/media"
)

// Request is a publisher who asks to be let in.
type Request struct {
	Key    string     // never to be logged
	Params url.Values // what the stream id has besides
	Peer   live.Peer
}

// Publisher is the hub's side of a publication; *live.Publisher is one. Close may be called after Done.
type Publisher interface {
	Done() <-chan struct{}
	Err() error
	Close(live.Reason)
	Stream() string
	Session() *live.Session
	Network(n live.Network)
}

// Feed takes what is published; *ingest.Feed is one. An error of Track or Write ends the publication for its reason.
type Feed interface {
	Track(kind media.Kind, t *media.Track) error
	NoTrack(kind media.Kind)
	Write(au media.AccessUnit) error
	Flush()
}

// PlayRequest is a player who asks for a stream.
type PlayRequest struct {
	Stream string
	Token  string // never to be logged; empty if there is none
	Peer   live.Peer
}

// Player answers those who ask to play.
type Player interface {
	// Open gives a player its hold on a stream, before the caller is accepted. An error carries the reason to be told, or
	// ReasonNotLive. It may take a while, but not longer than ctx.
	Open(ctx context.Context, r PlayRequest) (Play, error)
}

// Play is one player's hold on a stream.
type Play interface {
	// Run writes a transport stream to w, in datagrams of 1316 bytes at most, until the session is over, which is no error, ctx
	// ends, or w fails.
	Run(ctx context.Context, w io.Writer) error
	// Close lets go; it is called once, whether Run was or not.
	Close()
}

var (
	_ Publisher = (*live.Publisher)(nil)
	_ Feed      = (*ingest.Feed)(nil)
)

// ToHub is an Options.Admit that lets into hub whoever it takes, and gives each publisher a feed made with o; its
// Publisher is filled in, and its Log knows the stream.
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
