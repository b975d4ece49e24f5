// Package edge answers viewers in front of an origin: another mediad, or a cache in front of one.
//
//	request ─► loop? ─► key ──► memory ─► disk ── there ─────────────► viewer: HIT
//	                     │                  │ not there
//	                     │                  └► flight: one a key ─────► viewer: MISS for who began it, COLLAPSED for who joined
//	                     │                        │
//	                     │                        └► GET of the origin ─► memory, and media to disk
//	                     └─ no media (API, WHIP, downloads) ─► passed on as it comes, nothing kept
//
// A key is a path with the delivery directives in alphabetical order; everything else in a query, and every header of a viewer,
// changes nothing. Playlists are asked for compressed and unpacked here, so that both forms cost the origin one request.
//
// How long something is kept is what Cache-Control and Age of the origin say, to the millisecond, errors included. Nothing is
// given out stale. Media that is immutable lies on disk within a bound, the newest of it in memory too.
//
// Goroutines: those of net/http, and one a flight, which belongs to no viewer: who leaves takes nothing from the others. Run waits for
// them. Locks: one in flights, memory, disk and line each, held for map accesses alone and never two at once but memory inside flights.
package edge
