package main

import (
	"context"

	"mediad/live"
	"mediad/packager"
	"mediad/transcode/audio"
)

// runSession carries one broadcast to its end: it returns when the session is over and all that was published is stored, or
// when ctx is cancelled, which is the stop of the server.
//
//	live.Session ──subscription──► Opus becomes AAC ──► packager ──► origin's viewers, blobs, segment rows
//
// The hub runs it in a goroutine of its own a session; a panic in it ends this session alone.
func (n *node) runSession(ctx context.Context, s *live.Session) error {
	return n.streams.Run(ctx, s)
}

// convert is how sound that HLS does not carry becomes AAC; nil without FFmpeg: then it is left out.
func (n *node) convert() func(*live.Subscriber) packager.Subscription {
	if installed(context.Background()) != nil {
		n.log.Warn("FFmpeg is not installed: streams with Opus have no sound in HLS")
		return nil
	}
	return func(sub *live.Subscriber) packager.Subscription {
		return audio.Convert(sub, audio.Options{Log: n.log.With("stream", sub.Stream()), Now: n.now})
	}
}
