// Package whep lets browsers play a stream by WebRTC, with WHEP as the handshake.
//
//	live.Subscriber ─► broadcast ─┬─ packetizer ─► layer "source" ─┐
//	   (one a stream)             ├─ Rungs ──────► layer "720p" …  ├─► viewer ─► sender ─► SRTP
//	                              └─ Opus as it is, or Encoder ────┘   (one goroutine a peer)
//
// A broadcast lasts while somebody watches, and Options.Linger more. Rungs are what the server encodes, or what the publisher has encoded
// itself. It makes each access unit into RTP payloads once; a layer keeps them since the newest key frame, and every viewer reads it at its
// own pace. A viewer adds what is its own: sequence numbers, an
// offset of timestamps, pacing, and what it sends again.
//
// Between two waits a viewer's packets are gathered, and handed to the kernel in few calls (rtc.Batch).
//
// A viewer begins with the newest key frame at once. What has come since then is sent as fast as pacing allows, with timestamps a
// millisecond apart, so that a browser plays it off in no time and then is where everybody is.
//
// Time: RTP timestamps are session time, and sender reports tie them to the clock for both tracks alike, so that the
// browser plays sound and picture together. Over a publisher's absence they jump by what it lasted. They never go back: behind what was
// played off, and on a layer that is later than the one before, pictures are a millisecond apart until their own time is reached.
//
// Pictures that are shown in another order than they come in (B-frames) cannot be played by WebRTC: a broadcast of
// such a source has only the layers that are encoded, and without those it refuses viewers.
//
// Goroutines: a broadcast has one that reads the session, and one each for Rungs and the Opus encoder while there are any; a
// viewer has one that sends and one a track that reads RTCP. Server.Close waits for all of them. Locks: server before
// broadcast before layer before viewer; none while anything is sent.
package whep
