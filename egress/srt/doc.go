// Package srt lets players play by SRT: a session as an MPEG transport stream.
//
//	ingest/srt (owns the port) ── read:STREAM ──► Players.Open ── who may, what is live
//	                                                  │
//	live.Session ── PlayerPolicy ──► play ── mpegts ──┴──► the caller's queue
//
// A player begins with the last GOP, so that it has a picture at once; that is handed over no faster than a line would take
// it, since the caller's queue drops what it has no room for. A new epoch makes a new program map in the same stream.
//
// Goroutines: none of its own; Run is the caller's.
package srt
