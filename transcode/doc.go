// Package transcode makes the rungs of what is on air.
//
//	live.Subscriber ─► encoder ─► queue ─► child (FFmpeg) ─┬─ pipe ─► lane 480p ─► Sink (the packager)
//	                     │  ▲                              ├─ pipe ─► lane 360p ─►   and Follow's readers
//	                     ▼  │ how many rungs               └─ pipe ─► lane 240p ─►
//	                  governor (one for all sessions)
//
// A session's encoder has one child at a time that decodes once and makes all rungs. A child's life is a run: it begins with a key
// frame of the source and ends in front of another, or with the epoch. Rungs are shed in a run, from any picture on: what it is given
// says which rungs are made of it (see marks). Whatever else changes (a rung brought back, the
// source's rate found to be variable, a child that died) is a new run from the next key frame on; the run before is
// flushed meanwhile, and in each lane what it made comes out first. So no picture is lost to a change, none comes twice, and rungs
// begin anew where the source can be cut.
//
// Session time goes through unchanged: 90 kHz ticks in NUT both ways, moved by a constant because NUT has no negative times.
//
// What waits where: two pictures in a child, beyond those that it needs; a second of pictures in front of it, then they are dropped up to the next key frame and the governor hears
// of it; the sink's queue behind it, which stops the child; a second for each of Follow's readers. The source's own way to
// the packager passes none of this.
//
// Goroutines: a session's Run is the encoder itself; each run has one that feeds the child and one for each rung; Run waits for all.
package transcode
