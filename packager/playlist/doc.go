// Package playlist renders HLS playlists: the live media playlist with everything that Low-Latency HLS asks for,
// the DVR playlist, and the multivariant playlist.
//
//	packager ──Spec──► NewWindow ──► Window ──Render──► bytes, plain and gzip, each made at most once ──► viewers
//	                                   │
//	                                   └─ Supersede: the next window is stored, all who wait on Next wake
//
// A Window is what one media playlist says at one moment. It never changes; a part that is made, a segment that ends, a
// publisher that leaves each make a new one. So any number of viewers share its bytes, and waiting for news is waiting
// for one channel to close.
//
// There is no goroutine, clock or file in this package. The two locks (the once of each rendering, that of Supersede)
// are inside Window; the pool of gzip writers is the one thing that windows share.
//
// What a playlist must satisfy is written down in invariants.go, which every test of the packager runs on every
// playlist. Sections named in comments are those of draft-pantos-hls-rfc8216bis-20.
package playlist
