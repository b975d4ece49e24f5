// Package srt takes publishers in by SRT, and hands those who ask to play to somebody else.
//
//	caller ── handshake, stream id ──► Server ── publish ──► publication ── media/mpegts ──► Feed ──► live
//	                                      └────── read ────► Player (egress/srt) ──► the caller's queue
//
// A stream id is publish:KEY, read:STREAM or read:STREAM:TOKEN, or the same in the words of SRT's access control convention
// (#!::m=publish,r=KEY).
//
// Goroutines: Serve's, which takes callers; one a caller, which reads or plays; one a publication, which waits for the hub
// or for silence. gosrt has its own, which end with the connection. Locks: Server.mu, for a few memory writes.
package srt
