// Package media holds the words of the field: tracks, access units and time.
//
// The way of one frame:
//
//	socket ── ingest/{rtmp,…} ── AccessUnit ── ingest/firewall ── live.Session ── fan-out ──┬── packager ── viewers
//	                                                                                        ├── transcode
//	                                                                                        └── egress
//
// Everything here is a value. There is no goroutine, clock, lock, socket or file in this package, and an
// access unit's bytes are shared by everyone downstream: once it exists nobody writes to them again.
package media
