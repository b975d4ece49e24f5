// Package replay shows broadcasts that are over: the segments that viewers saw live, under EXT-X-ENDLIST.
//
//	rows ──► Recording ──New──► Video ──► playlists, init segments, where each segment lies
//	                              ▲
//	                      Library ┘ keeps those that are watched
//
// Nothing is copied or encoded: a replay refers to the segments where live delivery has put them.
package replay
