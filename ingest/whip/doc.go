// Package whip takes publishers in by WHIP (RFC 9725): an offer by HTTP, media by WebRTC.
//
//	POST ── Server ── offer judged, key asked for ── session ── 201 with the answer
//	                                                    │
//	RTP ── pion (DTLS, SRTP, NACK, TWCC) ── jitter ── assembler ── timeline ── ingest.Feed ── live
//	                                                    ▲            ▲
//	                                             lost? PLI      sender reports
//
// jitter puts packets in order and gives lost ones the time of a few NACKs; assembler makes access units of them; timeline puts
// sound and pictures on one line. The three are values without goroutine or clock.
//
// A picture that lost a packet is dropped, and all that follow until the next key frame, which is asked for at once: viewers
// see a picture stand for a moment, never one in pieces. WebRTC has no pictures out of order; those of an encoder with B-frames
// are dropped, which leaves a stream that decodes, and counted.
//
// Goroutines: Server has one a session, which waits for its end and asks for key frames; pion runs one a track that reads
// packets, and one that reads sender reports. All have ended when the session has, and all sessions when Close returns.
//
// Locks: Server.mu guards the table of sessions. session.negotiation is held while an answer is made, publication.mu while a
// packet is worked off; nothing that blocks is called under the latter.
package whip
