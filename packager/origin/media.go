package origin

import (
	"mediad/packager/playlist"
)

// audioRendition is the name of the rendition that is sound.
const audioRendition = "audio"

func (a *answer) contentType() []string {
	if a.route.rendition == audioRendition {
		return a.h.fixed.audio
	}
	return a.h.fixed.video
}

// media answers a part or segment. The one that the playlist hints at is waited for, and refused only once it is known
// that it will not come.
func (a *answer) media(r Rendition) {
	p := &a.route
	if p.kind == Part && a.h.floods.tooMany(a.r, a.h.limits.SamePart, a.h.now()) {
		a.problem(rateLimited, a.h.fixed.noStore)
		return
	}
	m, ok := r.Media(p.epoch, p.msn, p.part)
	if !ok {
		w := r.Window()
		if w == nil {
			a.problem(notLive, a.h.fixed.forSecond)
			return
		}
		// It may have come between the two looks.
		if m, ok = r.Media(p.epoch, p.msn, p.part); !ok && a.hinted(w) {
			var out outcome
			w, out = a.wait(w, func(w *playlist.Window) bool {
				m, ok = r.Media(p.epoch, p.msn, p.part)
				return ok || !a.hinted(w)
			})
			if out != there {
				a.unmet(out)
				return
			}
		}
		if !ok {
			a.problem(notFound, a.missing(w))
			return
		}
	}
	a.send(m, a.contentType())
}

func (a *answer) initSegment(r Rendition) {
	b, ok := r.Init(a.route.epoch)
	if !ok {
		cache := a.h.fixed.forSecond
		if w := r.Window(); w != nil && a.route.epoch < epochOf(w) {
			cache = a.h.fixed.seconds(w.Spec().Config.Target)
		}
		a.problem(notFound, cache)
		return
	}
	a.send(playlist.Media{Bytes: b, Size: int64(len(b))}, a.contentType())
}

// hinted tells whether the window hints at exactly what is asked for.
func (a *answer) hinted(w *playlist.Window) bool {
	h, p := w.Spec().Hint, &a.route
	return h != nil && h.Epoch == p.epoch && h.MSN == p.msn && h.Part == p.part
}

// missing is how long a cache may believe that the media does not exist: not at all if it may come any moment.
func (a *answer) missing(w *playlist.Window) []string {
	p, f := &a.route, &a.h.fixed
	switch msn, part := w.Edge(); {
	case p.epoch < epochOf(w) || w.Spec().Ended:
		return f.seconds(w.Spec().Config.Target)
	case p.msn > msn || p.msn == msn && p.part > part:
		return f.noStore
	case p.part < 0 && p.msn > w.LastMSN(): // the open segment
		return f.forSecond
	default:
		return f.seconds(w.Spec().Config.Target)
	}
}

// epochOf is the newest epoch that the window knows of.
func epochOf(w *playlist.Window) int64 {
	s := w.Spec()
	switch {
	case s.Hint != nil:
		return s.Hint.Epoch
	case s.Open != nil:
		return s.Open.Epoch
	case len(s.Segments) > 0:
		return s.Segments[len(s.Segments)-1].Epoch
	default:
		return 0
	}
}
