// Package packager makes of every session what its viewers load: CMAF parts and segments, and the playlists that
// list them.
//
//	live.Subscriber ──► session ──► cut.Cutter ──► rendition ──► cmaf ──► part log (blob), journal
//	                    (1 goroutine)                  │
//	                                                   └──► playlist.Window ──► origin's viewers
//
// One goroutine a session does all of that: it reads the subscription, cuts, writes and publishes. Readers come from
// any goroutine: they load the window from an atomic pointer and look segments up under the rendition's RWMutex, which
// the session takes for a few memory writes. Publishing stores the new windows of all renditions, then wakes those who
// wait on the old ones.
//
// A second goroutine, RunJanitor, does what need not be done at once: segment rows, syncing journals, deleting files
// and forgetting sessions that ended a while ago.
//
// What a restart must know is in a journal for each stream (docs/formats/journal.md); media is in files that grow by
// parts (Keys below). Numbers never come back: a stream's next segment has the last one's number + 1 over all its
// sessions, and where no history is at hand, the unix seconds of the moment.
//
// Keys in the blob store:
//
//	live/{stream}/journal-{n}                      the journal, n rising with each rewrite
//	live/{stream}/{session}/{rendition}-{n}.m4s    segments one after another
package packager
