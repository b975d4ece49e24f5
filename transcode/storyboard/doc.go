// Package storyboard makes the small pictures of a video that is not live: a thumbnail, and tiles of the whole length on sheets,
// with a WebVTT file that says which tile shows which time.
//
//	a key frame a tile ──► FFmpeg child: decode, scale ──NUT──► tiles ──► sheets of 10 x 10, JPEG
//
// Only the key frames that are shown are read and decoded, so that a broadcast of a day costs no more than one of a quarter of an
// hour. A picture that cannot be decoded shows what the tile in front of it shows.
//
// Goroutines: one a child, which feeds it; they end before Make returns.
package storyboard
