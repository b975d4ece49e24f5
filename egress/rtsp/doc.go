// Package rtsp lets players play by RTSP.
//
//	ingest/rtsp (owns the port) ── DESCRIBE, SETUP ──► Streams.Open ── who may, what is live
//	                                                       │ one stream for all its players
//	live.Session ── PlayerPolicy ──► stream ── packets ──► gortsplib.ServerStream ──► players' queues
//	                                    └── the last GOP's packets ──► a player that begins
//
// Each unit is made into packets once, whoever plays. A player has a queue of its own in gortsplib, whose bound is
// ingest/rtsp's Options.WriteQueue: one that falls behind is dropped there and slows nobody.
//
// An epoch with other tracks ends the players' sessions, as a description cannot be changed: they come back for the
// new one. One with the same codecs goes on, with a jump in its timestamps; parameter sets stand before every key frame.
//
// Goroutines: one a stream that is played, begun by the first player and ended some seconds after the last, at the end
// of the session, or by Close, which waits for them. Locks: Streams.mu, then stream.mu; gortsplib's own come after
// both. None of ours is taken in what gortsplib calls while it writes.
package rtsp
