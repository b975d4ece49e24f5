// Package archive writes live segments to a bucket, behind the live edge, which never waits for it.
//
//	packager ──Segment──► line of the rendition ──► object ──► row ──► classic playlist
//
// Each rendition is a line of its own: its objects are stored in order, one at a time, so that a playlist never names one that is not
// there. What waits are references to the local disk; bytes are in memory only for what the disk has not taken, up to a bound. While the
// bucket cannot be reached a line tries again, ever more rarely; after a crash it goes on from the rows.
//
// The bucket mirrors the public paths, so that a cache can serve classic HLS from it alone:
//
//	live/{stream}/index.m3u8                                multivariant playlist, while the stream is on air
//	live/{stream}/{rendition}/index.m3u8                    the newest segments that are stored, ENDLIST at the end
//	live/{stream}/{rendition}/init_{epoch}.mp4              immutable
//	live/{stream}/{rendition}/seg_{epoch}_{msn}.m4s         immutable; numbers never come back, so names do not either
//
// The playlists are there only where Options.Listed allows it: of what is not for everybody there are segments alone, as replays are made of them.
//
// Goroutines: one a line that has something to do, and one for rows, all within Run.
package archive
