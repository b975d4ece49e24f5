// Package river keeps jobs in the site's database and runs them, by River.
//
//	Insert ─► river_job ─► producer of the kind's queue ─► worker ─► result, which names its attempt
//	             ▲   ▲                                        │
//	             │   └── scheduler: what is due again         └── heartbeat of the node, each 10 s
//	             └────── reaper: what ran on a node silent for 30 s
//
// What River does not do is done here. A worker's result is stored only if its attempt is still the one that runs (fence.go). A node
// renews its heartbeat, takes the jobs of silent nodes away from them, and stops its own workers when it cannot renew it (lease.go).
// SQLite has one writer and no LISTEN: River writes on the connection on which everything is written, and is woken within the process
// (wake.go), so that an idle server asks the database a few times in 5 s and not 20 times in each.
//
// Goroutines: Run's, River's own, one that saves progress, and those of the workers. Run waits for all of them, but for a worker that does not
// return within the grace after its context has ended; that one is told in the log.
package river
