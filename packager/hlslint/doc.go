// Package hlslint judges an HLS or Low-Latency HLS origin against the specification.
//
//	Run ──► fetcher ──► Exchange ──► judge ──► Report
//	         ▲  polls, blocks, probes   │
//	         └───── what to ask next ───┘
//	JudgeSession, JudgePlaylist: recorded exchanges ──► the same judge
//
// The judge is pure: it sees exchanges (what was asked, what came back, when) and keeps facts, never bodies. It
// has its own lenient playlist parser and its own MP4 reader and imports none of mediad's writers, so that the
// two can be wrong only independently. Every rule has a stable name; the table is in rules_*.go and each entry
// is proven to fail by testdata/corpus or by the scripted origin of the tests.
//
// Goroutines: Run starts one a live rendition, a bounded pool that fetches media and one for the probes; it
// returns when all of them have. The judge has one lock and is called from all.
package hlslint
