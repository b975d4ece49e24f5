// Package live holds what is on air: streams, their sessions and epochs, and the fan-out to everyone who follows.
//
//	ingest ── Publisher.Write ──► Session ── fan-out ──► Subscriber: packager, encoder, players
//	              │                  │
//	          one slot           session time, epochs, the last GOP
//	          a stream
//
// Goroutines: Write runs in the publisher's, never blocks and never fails because of a subscriber. Each subscriber is
// read by one of its own and has a queue whose bound and policy are in policy.go. The hub starts one a session, for
// Options.Run, and one timer a resume window and a first frame.
//
// Locks: stream before hub or session, session before subscriber, and none while foreign code runs or anything waits.
// What happens under them is told to the Observer after they are released, in order (notices.go).
//
// The rules worth reading first are pure: admission.go (two publishers) and timeline.go (session time). session.go
// draws the states of a session, stream.go makes every transition.
package live
