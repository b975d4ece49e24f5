package main

// ballastSize makes the collector's cycles rarer by as much garbage as it allows, at most so much resident memory a process.
const ballastSize = 16 << 20

// newBallast returns memory that is never touched, so that it costs address space alone. The collector runs when the heap
// has doubled; a node with few streams keeps so little that it would run every few seconds, for frames that live shorter
// than a second, and a third of a stream's processor time went into that. Counted into the heap, the ballast makes it wait
// for 16 MiB more. On a node with many streams it does not matter any longer. The caller keeps it alive.
func newBallast() []byte { return make([]byte, ballastSize) }
