package origin

import (
	"mediad/packager/playlist"
)

func (a *answer) multivariant(s Stream) {
	doc, ok := s.Multivariant(a.route.file == playlist.DVRPlaylist)
	if !ok {
		a.problem(notLive, a.h.fixed.forSecond)
		return
	}
	a.document(doc, a.h.fixed.forSecond)
}

func (a *answer) dvr(r Rendition) {
	doc, ok := r.DVR()
	if !ok {
		a.problem(notLive, a.h.fixed.forSecond)
		return
	}
	cache := a.h.fixed.forSecond
	if w := r.Window(); w != nil {
		cache = a.h.fixed.seconds(w.Spec().Config.Target / 2)
	}
	a.document(doc, cache)
}

// document sends a playlist that is not waited for.
func (a *answer) document(doc playlist.Document, cache []string) {
	if doc.Gzip != nil && acceptsGzip(a.r.Header) {
		a.playlistBytes(doc.Gzip, gzipETag(doc.ETag), true, cache)
		return
	}
	a.playlistBytes(doc.Plain, doc.ETag, false, cache)
}

// mediaPlaylist answers a live media playlist, if need be once it is as far as the client asks.
func (a *answer) mediaPlaylist(r Rendition) {
	h := a.h
	w := r.Window()
	if w == nil {
		a.problem(notLive, h.fixed.forSecond)
		return
	}
	h.viewers.note(a.route.stream, h.clientIP(a.r), a.r.UserAgent(), h.now())
	target := w.Spec().Config.Target
	d, reason := parseDirectives(a.r.URL.RawQuery)
	switch {
	case w.Spec().Ended: // nothing will come: directives mean nothing any more
		d.hasMSN = false
	case reason != "":
		a.problemBecause(invalidDirective, reason, h.fixed.seconds(4*target))
		return
	case d.hasMSN && !w.Has(d.msn, d.part):
		if tooFar(w, d) {
			cache := h.fixed.noStore
			if refusalStands(w, d) {
				cache = h.fixed.seconds(4 * target)
			}
			a.problemBecause(invalidDirective, "That is further ahead than may be waited for.", cache)
			return
		}
		var out outcome
		w, out = a.wait(w, func(w *playlist.Window) bool { return w.Spec().Ended || w.Has(d.msn, d.part) })
		if out != there {
			a.unmet(out)
			return
		}
	case !d.hasMSN && w.Spec().Linger > 0: // it is kept until the window changes, but no longer than that says
		newer, out := a.waitAtMost(w, w.Spec().Linger, func(*playlist.Window) bool { return true })
		if out == barred {
			a.unmet(out)
			return
		}
		if out != removed {
			w = newer
		}
	}
	cache := h.fixed.seconds(target / 2)
	if d.hasMSN && !w.Spec().Ended {
		cache = h.fixed.seconds(6 * target)
	}
	gz := acceptsGzip(a.r.Header)
	a.playlistBytes(w.Render(d.skip, gz), w.ETag(d.skip, gz), gz, cache)
}
