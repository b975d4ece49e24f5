// Package live holds what is on air: streams, their sessions and epochs, and the fan-out to everyone who follows.
//
//	ingest ── Publisher.Write ──► Session ── fan-out ──► Subscriber: packager, encoder, players
//	              │                  │
//	          one slot           session time, epochs, the last GOP
//	          a stream
//
// Write runs in the publisher's goroutine, never blocks and never fails because of a subscriber. Each subscriber
// is read by a goroutine of its own and has a queue whose bound and policy are in policy.go.
package live
