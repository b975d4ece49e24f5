package hlslint

import (
	"net/url"
	"path"
	"strings"
	"time"
)

// gzipWorth is the length from which compressing a playlist is worth its headers.
const gzipWorth = 512

// playlistAnswer judges how a playlist was delivered; r is nil for a multivariant playlist.
func (j *judge) playlistAnswer(x *Exchange, r *rendition) {
	name, d := splitDirectives(x.URL)
	find := func(rule, format string, args ...any) {
		j.found.add(rule, spot{url: name, at: x.Done, subject: rule}, format, args...)
	}
	if x.Status != 200 || x.Header == nil {
		return
	}
	kind := x.contentType()
	known := kind == "application/vnd.apple.mpegurl" || kind == "audio/mpegurl"
	u, err := url.Parse(name)
	switch suffix := err == nil && (strings.HasSuffix(u.Path, ".m3u8") || strings.HasSuffix(u.Path, ".m3u")); {
	case known:
	case suffix:
		find("playlist-content-type", "%q", clip(kind))
	default:
		find("playlist-unidentifiable", "the type is %q and the path does not end in .m3u8", clip(kind))
	}
	encoding := x.Header.Get("Content-Encoding")
	if strings.Contains(x.Request.Get("Accept-Encoding"), "gzip") && encoding != "gzip" && len(x.Body) >= gzipWorth {
		find("gzip-missing", "%d bytes", len(x.Body))
	}
	j.openToAll(x, find)
	if r == nil {
		return
	}
	j.playlistCaching(x, r, d, find)
}

// playlistCaching judges the cache headers of a media playlist.
func (j *judge) playlistCaching(x *Exchange, r *rendition, d directives, find func(rule, format string, args ...any)) {
	p := r.last
	if p == nil {
		p = parsePlaylist(x.URL, x.Body, nil)
	}
	if !p.live() || p.target == 0 {
		return
	}
	age, known := x.maxAge()
	if d.hasMSN {
		if p.lowLatency() && age < 6*p.target {
			find("cache-blocking", "Cache-Control: %s; the target duration is %s", clip(x.Header.Get("Cache-Control")), p.target)
		}
		return
	}
	if d.skip {
		return
	}
	if limit := (p.target/2 + time.Second - 1).Truncate(time.Second); age > limit || !known && p.lowLatency() {
		find("cache-playlist", "Cache-Control: %s; the target duration is %s", clip(x.Header.Get("Cache-Control")), p.target)
	}
}

// openToAll judges what every public resource has.
func (j *judge) openToAll(x *Exchange, find func(rule, format string, args ...any)) {
	origin := x.Request.Get("Origin")
	if allow := x.Header.Get("Access-Control-Allow-Origin"); origin != "" && allow != "*" && allow != origin {
		find("cors-missing", "Access-Control-Allow-Origin: %s", clip(allow))
	}
	if strings.HasPrefix(x.URL, "https:") && strings.HasPrefix(x.Proto, "HTTP/1") && j.kind() == "live low latency" {
		find("http2-missing", "%s", x.Proto)
	}
}

// refused judges a media playlist that was not answered by 200.
func (j *judge) refused(x *Exchange, r *rendition, d directives) {
	s := spot{url: r.url, at: x.Done}
	why := x.Err
	if why == "" {
		why = "status " + status(x.Status)
	}
	j.errorCaching(x, r, d)
	switch {
	case !d.hasMSN:
		j.found.add("playlist-unreachable", s, "%s", clip(why))
	case r.last != nil && r.last.target > 0 && x.took() > 3*r.last.target+time.Second:
		j.found.add("block-too-long", s, "%s was held for %s: %s", d, round(x.took()), clip(why))
	case x.Status == 503 && r.last != nil && x.took() >= 2*r.last.target:
		// Held as long as may be, then given up: what a publisher's absence looks like.
	default:
		j.found.add("block-refused", s, "%s: %s after %s", d, clip(why), round(x.took()))
	}
}

// errorCaching judges how long an error may be cached.
func (j *judge) errorCaching(x *Exchange, r *rendition, d directives) {
	if x.Status < 400 || r == nil || r.last == nil || !r.last.live() {
		return
	}
	limit := r.last.target
	if d != (directives{}) {
		limit *= 4
	}
	if age, _ := x.maxAge(); age > limit {
		j.found.add("cache-error", spot{url: r.url, at: x.Done}, "status %s with Cache-Control: %s", status(x.Status), clip(x.Header.Get("Cache-Control")))
	}
}

func status(n int) string {
	if n == 0 {
		return "none"
	}
	return itoa(n)
}

// mediaTypes are the content types that fit a format.
func mediaTypes(f format) []string {
	switch f {
	case formatMP4:
		return []string{"video/mp4", "audio/mp4", "application/mp4", "video/iso.segment", "audio/iso.segment"}
	case formatTS:
		return []string{"video/mp2t"}
	case formatAudio:
		return []string{"audio/aac", "audio/mpeg", "audio/ac3", "audio/eac3", "audio/x-aac", "audio/aacp"}
	case formatWebVTT:
		return []string{"text/vtt", "text/plain"}
	default: // not media: another rule's matter
		return nil
	}
}

// mediaAnswer judges how media was delivered: once for each kind and extension of a playlist.
func (j *judge) mediaAnswer(x *Exchange, r *rendition, f format) {
	if x.Header == nil {
		return
	}
	u, _ := url.Parse(x.URL)
	once := r.url + string(x.Purpose)
	if u != nil {
		once += path.Ext(u.Path)
	}
	if j.typed[once] {
		return
	}
	j.typed[once] = true
	find := func(rule, format string, args ...any) {
		j.found.add(rule, spot{url: r.url, at: x.Done}, format, args...)
	}
	j.openToAll(x, find)
	if x.Final != "" && x.Final != x.URL {
		find("redirect", "%s leads to %s", clip(x.URL), clip(x.Final))
	}
	if types := mediaTypes(f); types != nil {
		fits := false
		for _, t := range types {
			fits = fits || t == x.contentType()
		}
		if !fits {
			find("media-content-type", "%s has the type %q and is %s", clip(path.Base(x.URL)), clip(x.contentType()), f)
		}
	}
	if p := r.last; p != nil && p.lowLatency() && p.live() && x.Purpose != PurposeHint {
		if age, _ := x.maxAge(); age < 6*p.target && !strings.Contains(x.Header.Get("Cache-Control"), "immutable") {
			find("cache-media", "%s has Cache-Control: %s", clip(path.Base(x.URL)), clip(x.Header.Get("Cache-Control")))
		}
	}
}
