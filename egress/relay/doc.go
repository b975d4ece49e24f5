// Package relay forwards sessions to other servers by RTMP, RTMPS and SRT.
//
//	live.Session ── PlayerPolicy ──► relay ─┬─ rtmp: FLV tags on a chunk stream ──► target
//	                                        └─ srt: egress/srt's transport stream ─► target
//
// Every target of a stream has a relay of its own with a queue of its own (live.PlayerPolicy: 2 s or 8 MiB, then on at the next key
// frame), so that a target that is slow, gone or hostile costs neither the stream nor another target anything. A relay that loses its
// target tries again for as long as the session lasts, ever more seldom and never in step with others. A target that does not take the
// codecs is not asked again before the next epoch: the publisher is back, or sends others.
//
// Goroutines: one a target while a session lasts, and one that reads what the target says; both end with what Follow returns. One a call
// by SRT, which ends when that is answered, or some four seconds after it was given up; Relays.Wait waits for these.
// Locks: relay.mu guards its status; sender.mu the writing half of an RTMP connection. Neither is held while calling out.
package relay
