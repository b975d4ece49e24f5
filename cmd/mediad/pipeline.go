package main

import (
	"context"

	"mediad/live"
)

// runSession carries one broadcast to its end: it returns when the session is over and all that was published is stored, or
// when ctx is cancelled, which is the stop of the server.
//
//	live.Session ──subscription──► packager ──► origin's viewers, blobs, segment rows
//
// The hub runs it in a goroutine of its own a session; a panic in it ends this session alone.
func (n *node) runSession(ctx context.Context, s *live.Session) error {
	return n.streams.Run(ctx, s)
}
