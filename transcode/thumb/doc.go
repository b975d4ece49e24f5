// Package thumb keeps the newest small picture of each stream on air.
//
//	live.Session ── its newest key frame, each few seconds ──► one FFmpeg child: decode, scale, JPEG ──► Pictures ──► origin
//
// It depends on no ladder. Between two pictures it holds no subscription, so that a stream costs one decoded key frame each
// Options.Every while somebody looks, each Options.Idle else, and nothing besides. Children are bounded over all streams: where all are busy a stream keeps its picture a little
// longer.
//
// Goroutines: none of its own but one a child, for its output; Run is called by the session's pipeline. Locks: Pictures.mu, for
// memory writes.
package thumb
