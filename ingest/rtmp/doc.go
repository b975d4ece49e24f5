// Package rtmp takes publishers in by RTMP and RTMPS.
//
//	socket ─ wire ─┬─ audio, video, data ──► publication ─ flv/enhanced ─► ingest.Feed ─► live
//	               │     (never seen by go-rtmp)
//	               ├─ commands, as AMF 0 in one chunk ──► go-rtmp ──► conn.OnConnect, OnPublish …
//	               └─ acknowledgements, pings, abort, chunk size: answered here
//
// go-rtmp speaks handshake, connect, createStream and publish. It is not given the peer's bytes: wire, a
// net.Conn around the socket, reads whole messages off the chunk stream and hands on only what go-rtmp can
// take, each message in one chunk, and on the way back it reassembles what go-rtmp writes, so that our own
// messages can go between. A media message is read into a buffer made for it, and that buffer is the access
// unit's: nothing is copied on the way to a part.
//
// A connection has three goroutines, all ended when conn.run returns: run itself, which waits; go-rtmp's
// reader, in which wire.Read and so all of the media path runs; and go-rtmp's writer. A fourth waits, while
// something is published, for the hub to end it.
//
// Locks: wire.mu guards writing to the socket and nothing else; it is never held while calling out.
package rtmp
