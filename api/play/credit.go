package play

import (
	"time"

	"mediad/store/db"
)

const (
	// fullView is what has to be watched of a video to be a view, or half of it where that is less (api.md 4.5).
	fullView = 30 * time.Second
	// fastest is how much can be watched in a second: players have speeds up to twice.
	fastest = 2
	// viewEvery is how long after a view the next one of the same viewer counts, and in what time a network has no more than
	// maxViewsFrom of one video.
	viewEvery    = 6 * time.Hour
	maxViewsFrom = 100
)

// credit is how much has been watched, by what is known, what the player says now, and the time since its last beat. What it says
// too early counts once there was time for it.
func credit(known, says int64, since time.Duration) int64 {
	most := known + fastest*max(0, since.Milliseconds())
	return max(known, min(says, most))
}

// needed is what has to be watched of a video of that length to be a view, in milliseconds. 0: the length is not known.
func needed(duration int64) int64 {
	full := fullView.Milliseconds()
	if duration <= 0 {
		return full
	}
	return min(full, (duration+1)/2)
}

// toTheEnd is what has to be watched of a video of that length for it to have been watched to its end, as the ranking counts it: titles and
// what is skipped left out. 0: it cannot be said.
func toTheEnd(duration int64) int64 { return max(0, duration) * 4 / 5 }

// Beat is what a player tells, of the whole play so far.
type Beat struct {
	PositionMS, WatchedMS          int64
	State                          string
	Rendition                      string
	BitrateBPS                     int64 // 0: unknown
	Stalls, StallMS, DroppedFrames int64
	LatencyMS, StartupMS           *int64 // nil: not said
}

// The states of a play. After the end it counts among the viewers no more, until it goes on.
const (
	playing = "playing"
	ended   = "ended"
)

// take brings a play up to a beat.
func take(p *db.Play, b Beat, now db.Millis) {
	p.WatchedMS = credit(p.WatchedMS, b.WatchedMS, now.Time().Sub(p.UpdatedAt.Time()))
	p.State, p.PositionMS, p.UpdatedAt = b.State, b.PositionMS, max(p.UpdatedAt, now)
	p.Stalls, p.StallMS, p.DroppedFrames = max(p.Stalls, b.Stalls), max(p.StallMS, b.StallMS), max(p.DroppedFrames, b.DroppedFrames)
	if b.Rendition != "" {
		p.Rendition, p.BitrateBPS = b.Rendition, b.BitrateBPS
	}
	if b.LatencyMS != nil {
		p.LatencyMS = b.LatencyMS
	}
	if p.StartupMS == nil {
		p.StartupMS = b.StartupMS
	}
}

// merge joins what two nodes know of a play: the newer beat says where it is, that of b where both are as new, and what is counted never falls.
func merge(a, b db.Play) db.Play {
	newer, older := b, a
	if a.UpdatedAt > b.UpdatedAt {
		newer, older = a, b
	}
	newer.WatchedMS = max(a.WatchedMS, b.WatchedMS)
	newer.Stalls, newer.StallMS, newer.DroppedFrames = max(a.Stalls, b.Stalls), max(a.StallMS, b.StallMS), max(a.DroppedFrames, b.DroppedFrames)
	newer.Judged = a.Judged || b.Judged
	if newer.SessionID == "" {
		newer.SessionID = older.SessionID
	}
	if newer.LatencyMS == nil {
		newer.LatencyMS = older.LatencyMS
	}
	if older.StartupMS != nil {
		newer.StartupMS = older.StartupMS
	}
	return newer
}
