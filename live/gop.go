package live

import "time"

// Bounds of what is kept for those who come late. A longer GOP is not kept: they start at the next key frame. The bytes are half
// of what a player's queue holds, since Subscriber.start hands it no more than that; every stream may cost them, watched
// or not.
const (
	maxGOPBytes = maxPlayerBytes / 2
	maxGOPTime  = 10 * time.Second
)

// lastGOP keeps the units since the newest key frame, so that a late subscriber has a picture at once. Without video
// it keeps the newest audio unit.
type lastGOP struct {
	events []Event
	bytes  int
	lost   bool // grew over its bounds
}

func (g *lastGOP) reset() {
	clear(g.events) // let go of the payloads
	g.events, g.bytes, g.lost = g.events[:0], 0, false
}

// add takes one unit; start says that decoding of everything may start there.
func (g *lastGOP) add(e *Event, start bool) {
	if start {
		g.reset()
	} else if g.lost || len(g.events) == 0 {
		return // nothing to hang it on
	}
	g.bytes += len(e.Unit.Data) + eventOverhead
	if g.bytes > maxGOPBytes || len(g.events) > 0 && e.ArrivedAt-g.events[0].ArrivedAt > maxGOPTime {
		g.reset()
		g.lost = true
		return
	}
	g.events = append(g.events, *e)
}
