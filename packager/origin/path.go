package origin

import (
	"math"
	"strings"

	"mediad/packager/playlist"
)

// prefix is where the handler is mounted.
const prefix = "/live/"

// route is a parsed path. Its strings are pieces of the path.
type route struct {
	kind              Kind
	vod               bool // stream names a video
	stream, rendition string
	file              string // the last segment of the path: it names immutable media, so it is its entity tag too
	epoch             int64
	msn               uint64
	part              int // -1: the whole segment
}

// maxPart is more parts than a segment can have: one of an hour, cut at every frame of 240 a second.
const maxPart = 1_000_000

// parsePath reads
//
//	/live/{stream}/index.m3u8, dvr.m3u8 and thumb.jpg
//	/live/{stream}/{rendition}/index.m3u8, dvr.m3u8, init_{epoch}.mp4, seg_{epoch}_{msn}.m4s, part_{epoch}_{msn}_{n}.m4s
//	/vod/{video}/index.m3u8, download.mp4, thumb.jpg, storyboard.vtt and storyboard_{n}.jpg
//	/vod/{video}/{rendition}/index.m3u8, init_{epoch}.mp4, seg_{epoch}_{msn}.m4s
//
// and nothing else: a name has one spelling only, so that caches hold it once.
func parsePath(p string) (r route, ok bool) {
	if rest, vod := strings.CutPrefix(p, vodPrefix); vod {
		if r, ok = parseBeside(rest); !ok {
			r, ok = parseBelow(rest)
			ok = ok && !r.liveOnly()
		}
		r.vod = true
		return r, ok
	}
	rest, ok := strings.CutPrefix(p, prefix)
	if !ok {
		return route{}, false
	}
	return parseBelow(rest)
}

// maxSheets is more storyboard sheets than a video has.
const maxSheets = 1000

// parseBeside reads what videos have beside their playlists.
func parseBeside(rest string) (r route, ok bool) {
	video, file, ok := strings.Cut(rest, "/")
	if !ok || !validName(video) {
		return route{}, false
	}
	r = route{stream: video, file: file, part: -1}
	switch file {
	case downloadFile:
		r.kind = Download
		return r, true
	case thumbFile:
		r.kind = Thumbnail
		return r, true
	case storyboardFile:
		r.kind = Storyboard
		return r, true
	}
	n, ok := strings.CutPrefix(file, sheetPrefix)
	if !ok {
		return route{}, false
	}
	r.kind = Storyboard
	_, n, ok = number(n, maxSheets)
	return r, ok && n == sheetSuffix
}

// liveOnly tells whether only what is live has such a thing.
func (r *route) liveOnly() bool {
	return r.kind == Part || r.kind == Thumbnail || r.file == playlist.DVRPlaylist
}

// parseBelow reads what follows the prefix.
func parseBelow(rest string) (r route, ok bool) {
	stream, rest, ok := strings.Cut(rest, "/")
	if !ok || !validName(stream) {
		return route{}, false
	}
	r.stream, r.part = stream, -1
	rendition, file, deeper := strings.Cut(rest, "/")
	if !deeper {
		r.kind, r.file = Multivariant, rest
		if rest == thumbFile {
			r.kind = Thumbnail
			return r, true
		}
		return r, rest == playlist.MediaPlaylist || rest == playlist.DVRPlaylist
	}
	if !validName(rendition) {
		return route{}, false
	}
	r.rendition, r.file = rendition, file
	switch file {
	case playlist.MediaPlaylist:
		r.kind = Playlist
		return r, true
	case playlist.DVRPlaylist:
		r.kind = DVR
		return r, true
	}
	if r.parseMedia(file) {
		return r, true
	}
	return route{}, false
}

func (r *route) parseMedia(file string) bool {
	if s, ok := strings.CutPrefix(file, "part_"); ok {
		r.kind = Part
		var n uint64
		if s, ok = r.epochAndMSN(s); ok && strings.HasPrefix(s, "_") {
			n, s, ok = number(s[1:], maxPart)
			r.part = int(n)
			return ok && s == ".m4s"
		}
		return false
	}
	if s, ok := strings.CutPrefix(file, "seg_"); ok {
		r.kind = Segment
		s, ok = r.epochAndMSN(s)
		return ok && s == ".m4s"
	}
	if s, ok := strings.CutPrefix(file, "init_"); ok {
		r.kind = Init
		epoch, s, ok := number(s, math.MaxInt64)
		r.epoch = int64(epoch)
		return ok && s == ".mp4"
	}
	return false
}

// epochAndMSN reads {epoch}_{msn} and returns what follows.
func (r *route) epochAndMSN(s string) (rest string, ok bool) {
	epoch, s, ok := number(s, math.MaxInt64)
	if !ok || !strings.HasPrefix(s, "_") {
		return "", false
	}
	r.epoch = int64(epoch)
	r.msn, rest, ok = number(s[1:], math.MaxInt64)
	return rest, ok
}

// number reads a decimal number in its one spelling, no sign and no leading zero, and returns what follows.
func number(s string, limit uint64) (n uint64, rest string, ok bool) {
	i := 0
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		d := uint64(s[i] - '0')
		if n > (limit-d)/10 {
			return 0, "", false
		}
		n = n*10 + d
		i++
	}
	if i == 0 || s[0] == '0' && i > 1 {
		return 0, "", false
	}
	return n, s[i:], true
}

// validName tells whether s may name a stream or rendition: [A-Za-z0-9._-]{1,64}, but for the two names that
// mean folders.
func validName(s string) bool {
	if len(s) == 0 || len(s) > 64 || s == "." || s == ".." {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}
