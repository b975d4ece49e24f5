// Package cut decides where parts and segments end. It is the packager's clockwork: access units in, boundaries out.
//
//	                    ┌── video: the lead ── cut rules ── parts, segments ──┐
//	units ──► Cutter ───┤                        │ marks                      ├──► Sink
//	                    ├── audio: a follower ◄──┤ ── parts, segments ────────┤
//	encoded units ──────┴── rungs: followers ◄───┘ ── parts, segments ────────┘
//
// Video leads: its key frames say where segments end. Audio follows the marks that video leaves, so that both have the
// same segments. Where there is no video, audio leads and every frame is a key frame. Rungs follow too, as their encoder gets
// on: see rung.
//
// Each track has a decode line: samples follow each other without a gap, and a sample's presentation time is told by its
// composition offset. The line begins at the presentation time of the epoch's first sample, so decode times are shifted
// by the reorder delay and a segment's decode time is that of its first presented sample. What is missing is filled;
// what comes too late for what was published is dropped; both are counted.
//
// Everything here is pure: no goroutine, clock, lock or file. Time comes with the units, in session time.
package cut
