// Package mpegts takes access units out of an MPEG transport stream (ISO/IEC 13818-1).
//
//	188-byte packets ─► Demuxer ─┬─ PAT, PMT ─ which streams there are
//	                             └─ PES by PID ─ annex B, ADTS, Opus ─► Sink: tracks, access units
//
// It is written for live streams over lossy links: it finds packet boundaries again, drops what is incomplete and goes on,
// follows a program map that changes, and gives a picture away with its last packet where that can be told, not with the
// first of the next.
//
// The program clock reference is not read: a live encoder's PTS and DTS are on the same clock already, an element without DTS is
// decoded when it is shown, and jitter and jumps are the timestamp firewall's to mend, which sees arrival times too. PCR would
// serve a receiver that paces its output by the sender's clock; nobody here does.
//
// Everything here is pure: no goroutine, clock, lock or socket. What is kept is bounded by Options.MaxPES for each of at most
// two streams.
package mpegts
