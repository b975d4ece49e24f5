// Package rtsp takes publishers in by RTSP, hands those who ask to play to somebody else, and pulls from cameras.
//
//	ANNOUNCE, SETUP, RECORD ─ handler ─┐
//	                                   ├─ publication ─ video, audio ─► timeline ─► ingest.Feed ─► live
//	camera ◄── DESCRIBE, PLAY ─ Puller ┘     RTP packets → access units   RTP timestamps and sender
//	                                                                      reports → one line, DTS
//	DESCRIBE, SETUP, PLAY ──── handler ──► Player (egress/rtsp): its packets go out by gortsplib
//
// gortsplib speaks RTSP, RTP and RTCP. It is given connections that bound what it leaves unbounded: how many there are,
// how many come from one address, and how long one may sit there without playing or publishing.
//
// Goroutines are gortsplib's, all ended when Serve returns: one a listener, one a connection and one reading it, one a
// session. Packets of publishers come in the reader's (TCP) or in that of the UDP port, which all share; nothing on
// their way blocks. A publication has one goroutine of ours, which waits for the hub to end it or for silence.
//
// Locks: publication.mu guards a publication's way from packet to unit. None is held while a request is handled.
package rtsp
