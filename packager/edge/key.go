package edge

import (
	"net/url"
	"strings"

	"mediad/packager/playlist"
)

const (
	maxName  = 64   // of a stream, video or rendition
	maxToken = 1024 // of a playback token
	digits   = 19   // of the largest number in a name
)

// request is what the cache knows of a request: nothing of it is the viewer's own.
type request struct {
	kind Kind
	key  string // path, and for live playlists the directives
	// parked says that the origin may hold the request until there is something new.
	parked bool
}

// parse reads
//
//	[/t/{token}]/{live,vod}/{name}/index.m3u8, dvr.m3u8, thumb.jpg, storyboard.vtt, storyboard_{n}.jpg
//	[/t/{token}]/{live,vod}/{name}/{rendition}/index.m3u8, dvr.m3u8, init_{epoch}.mp4, seg_{epoch}_{msn}.m4s, part_{epoch}_{msn}_{n}.m4s
//
// Other names below /live/ are nobody's, so that nobody can make the origin look for invented ones; all else is passed on.
func parse(u *url.URL) request {
	rest := u.Path
	if below, ok := strings.CutPrefix(rest, "/t/"); ok {
		token, _, deeper := strings.Cut(below, "/")
		if !deeper || !named(token, maxToken, "._~-") {
			return request{kind: Passed}
		}
		rest = below[len(token):]
	}
	other := request{kind: Passed}
	below, live := strings.CutPrefix(rest, "/live/")
	if live {
		other.kind = Unknown
	} else {
		var vod bool
		if below, vod = strings.CutPrefix(rest, "/vod/"); !vod {
			return other
		}
	}
	name, file, ok := strings.Cut(below, "/")
	if u.RawPath != "" || !ok || !named(name, maxName, "._-") {
		return other
	}
	q := request{key: u.Path}
	rendition, deeper, ok := strings.Cut(file, "/")
	switch {
	case !ok && (file == playlist.MediaPlaylist || live && file == playlist.DVRPlaylist):
		q.kind = Playlist
	case !ok && (file == "thumb.jpg" || !live && storyboard(file)):
		q.kind = Picture
	case !ok || !named(rendition, maxName, "._-"):
		return other
	case deeper == playlist.MediaPlaylist:
		q.kind = Playlist
		if live {
			d := directives(u.RawQuery)
			q.key, q.parked = q.key+d, d != ""
		}
	case live && deeper == playlist.DVRPlaylist:
		q.kind = Playlist
	case mediaName(deeper):
		q.kind, q.parked = Media, strings.HasPrefix(deeper, "part_")
	default:
		return other
	}
	return q
}

// directives gives a playlist's query its one spelling: what the origin reads of it, in alphabetical order, behind a question mark. All
// that the origin refuses becomes one query that it refuses.
func directives(query string) string {
	const refused = "?_HLS_msn=x"
	names := [...]string{"_HLS_msn", "_HLS_part", "_HLS_skip"}
	var given [len(names)]string
	var seen [len(names)]bool
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		name, value, _ := strings.Cut(pair, "=")
		for i := range names {
			if name != names[i] {
				continue
			}
			if seen[i] {
				return refused
			}
			seen[i], given[i] = true, value
		}
	}
	if seen[0] && !whole(given[0], digits) || seen[1] && (!seen[0] || !whole(given[1], 7)) {
		return refused
	}
	seen[2] = given[2] == "YES" || given[2] == "v2"
	out, sign := "", "?"
	for i := range names {
		if seen[i] {
			out, sign = out+sign+names[i]+"="+given[i], "&"
		}
	}
	return out
}

// mediaName tells whether a file is an init segment, a segment or a part by its name.
func mediaName(file string) bool {
	for _, shape := range [...]struct {
		before, after string
		numbers       int
	}{{"part_", ".m4s", 3}, {"seg_", ".m4s", 2}, {"init_", ".mp4", 1}} {
		rest, ok := strings.CutPrefix(file, shape.before)
		if !ok {
			continue
		}
		rest, ok = strings.CutSuffix(rest, shape.after)
		for n := 1; ok && n < shape.numbers; n++ {
			var number string
			number, rest, ok = strings.Cut(rest, "_")
			ok = ok && whole(number, digits)
		}
		return ok && whole(rest, digits)
	}
	return false
}

// storyboard tells whether a file is one of those that show a video as small pictures.
func storyboard(file string) bool {
	n, ok := strings.CutPrefix(file, "storyboard_")
	if !ok {
		return file == "storyboard.vtt"
	}
	n, ok = strings.CutSuffix(n, ".jpg")
	return ok && whole(n, 4)
}

// whole tells whether s is a number of at most so many digits in its one spelling.
func whole(s string, most int) bool {
	if s == "" || len(s) > most || s[0] == '0' && len(s) > 1 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// named tells whether s is of letters, digits and the given signs, and names no folder above.
func named(s string, most int, signs string) bool {
	if s == "" || len(s) > most || s == "." || s == ".." {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte(signs, c) < 0 {
			return false
		}
	}
	return true
}
