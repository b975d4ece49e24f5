// Package origin answers the requests of viewers for live streams: playlists, parts, segments and init segments.
//
//	request ──route──► Source ──► Stream ──► Rendition
//	                                           │
//	                     playlist ◄── Window ──┤ directives: not there yet? park on Window.Next
//	                                           │
//	                     part, segment ◄───────┘ hinted? park; else from memory, or from the blob store by sendfile
//
// It is one http.Handler for /live/ and for /vod/, where nothing is waited for, made for many: a request costs a few microseconds beside net/http's own work,
// a parked one its goroutine and a timer. Nothing is rendered or compressed here; all viewers share the bytes of a
// window. The handler must be given net/http's own ResponseWriter, not one wrapped without its ReadFrom: only then does
// the kernel send files.
//
// Goroutines: those of net/http, one a request. Locks: one in viewers, held for a map access. There is nothing to close.
//
// # How long an answer may be cached
//
// The rules are those of draft-pantos-hls-rfc8216bis-20, appendix B.1, TD being the target duration. Canonical keys are a path with
// its directives in alphabetical order; nothing in an answer depends on the viewer.
//
//	playlist, blocked for or older    6 TD          its content never changes once it exists
//	playlist, plain or delta alone    TD/2
//	multivariant playlist             1 s
//	media                             immutable     names never come back
//	playlists of videos               60 s          a deleted video is gone from caches after that
//	download.mp4, thumb.jpg, storyboard.vtt and its sheets   60 s, then by their ETag
//	not on air                        404, 1 s
//	media that never was or will be   404, 1 TD
//	open segment                      404, 1 s
//	media that may come any moment    404, not at all
//	malformed directives              400, 4 TD
//	directives far in the future      400, 4 TD if they cannot come true before, else not at all
//	blocked too long                  503, 1 s
//	overloaded                        503, not at all
//
// Some answers are kept shorter than the appendix allows. A cached refusal of a name that comes true a moment later would let
// anyone blind all viewers behind a cache by asking too early, and a 503 that lies in a cache for long would hold them off when the
// publisher is back. But an answer that took long must be kept, if only for a second: a cache lets one request through for all
// who ask the same, and where its answer may not be kept the next one is let through and held as long again.
package origin
