package origin

import (
	"math"
	"strings"

	"mediad/packager/playlist"
)

// directives are what a client asks of a playlist (rfc8216bis 6.2.5).
type directives struct {
	hasMSN bool
	msn    uint64
	part   int // -1: not given
	skip   playlist.Skip
}

// parseDirectives reads a query. Whatever is not a delivery directive that we know never changes an answer, whether it is well
// formed or not. reason says in words why a directive was refused, "" if none was.
func parseDirectives(query string) (d directives, reason string) {
	d.part = -1
	var seen [3]bool
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		if !strings.HasPrefix(pair, "_HLS_") {
			continue
		}
		key, value, _ := strings.Cut(pair, "=")
		which := 0
		switch key {
		case "_HLS_msn":
		case "_HLS_part":
			which = 1
		case "_HLS_skip":
			which = 2
		default:
			continue
		}
		if seen[which] {
			return d, key + " is given twice."
		}
		seen[which] = true
		ok := true
		switch which {
		case 0:
			d.msn, ok = whole(value, math.MaxInt64)
			d.hasMSN = ok
		case 1:
			var n uint64
			n, ok = whole(value, maxPart)
			d.part = int(n)
		case 2:
			d.skip = skipOf(value)
		}
		if !ok {
			return d, key + " is not a whole number in its plain form."
		}
	}
	if seen[1] && !seen[0] {
		return d, "_HLS_part is given without _HLS_msn."
	}
	return d, ""
}

func whole(s string, limit uint64) (uint64, bool) {
	n, rest, ok := number(s, limit)
	return n, ok && rest == ""
}

// skipOf reads _HLS_skip. A value of some later version of the protocol gets the whole playlist, which is always right.
func skipOf(s string) playlist.Skip {
	switch s {
	case "YES":
		return playlist.SkipYes
	case "v2":
		return playlist.SkipV2
	default:
		return playlist.SkipNo
	}
}

// tooFar tells whether the client asks for more than it may wait for: a segment beyond the last complete one plus two, or a
// part further ahead than the advance part limit (6.2.5.2).
func tooFar(w *playlist.Window, d directives) bool {
	if d.msn > w.LastMSN()+2 {
		return true
	}
	if d.part < 0 {
		return false
	}
	msn, part := w.Edge()
	ahead := 0
	switch {
	case d.msn == msn:
		ahead = d.part - part
	case d.msn > msn:
		ahead = d.part + 1 // at least: how many parts the segment at the edge still gets is not known
	}
	return ahead > w.Spec().Config.AdvanceParts()
}

// refusalStands tells whether asking too far ahead cannot come true within four target durations, for which its refusal
// may then be cached. No stream makes eight segments a second; and a part that is too far comes true with the end of
// its segment.
func refusalStands(w *playlist.Window, d directives) bool {
	const segmentsPerSecond = 8
	return d.msn > w.LastMSN()+2+uint64(segmentsPerSecond*4*w.Spec().Config.Target)
}
