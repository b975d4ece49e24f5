package packager

import (
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"mediad/media"
	"mediad/packager/cut"
	"mediad/packager/playlist"
)

// set is what readers see of a session: its renditions by name, and the multivariant playlists.
type set struct {
	session    string
	renditions []*Rendition
	ended      atomic.Bool
	docs       atomic.Pointer[documents]
}

type documents struct {
	live, dvr playlist.Document
	made      playlist.Multivariant
}

func (t *set) rendition(name string) *Rendition {
	if t == nil {
		return nil
	}
	for _, r := range t.renditions {
		if r.name == name {
			return r
		}
	}
	return nil
}

// publish makes the new windows of all renditions that changed, stores them, then wakes who waits for them. While
// a rendition has no complete segment nothing of the session is seen: a playlist without one is empty to players, and
// the stream's last session may still be looked at.
func (s *session) publish() {
	s.count()
	if !s.changed() || !s.visible() {
		return
	}
	type change struct{ old, new *playlist.Window }
	var changes lines[change]
	for k, r := range s.renditions {
		if r == nil || !r.dirty || len(r.segs) == 0 {
			continue
		}
		r.dirty = false
		changes[k] = change{r.window.Load(), s.window(r)}
		r.window.Store(changes[k].new)
	}
	s.expose()
	for _, c := range changes {
		if c.old != nil {
			c.old.Supersede(c.new)
		}
	}
}

func (s *session) changed() bool {
	for _, r := range s.renditions {
		if r != nil && r.dirty {
			return true
		}
	}
	return false
}

func (s *session) visible() bool {
	if s.set != nil {
		return true
	}
	some := false
	for _, r := range s.renditions {
		if r == nil {
			continue
		}
		if len(r.segs) == 0 && r.line < cut.FirstRung {
			return false
		}
		some = true
	}
	return some && s.rungsShown()
}

// window says what the rendition's playlist says now.
func (s *session) window(r *Rendition) *playlist.Window {
	complete := r.segs
	if old := r.window.Load(); old != nil && s.sameEdge(r, old) {
		// The same directives name both playlists, so they must begin alike: a delta update of one may be put onto the other.
		complete = r.listedFrom(old.Spec().Segments[0].MSN)
	}
	spec := playlist.Spec{
		Config: s.config, DiscontinuitySequence: r.list[r.index(complete[0].MSN)].before(),
		Independent: !r.dependent, Ended: s.ended, Away: s.away,
	}
	if s.away && r.kind == media.Video && s.renditions[media.Audio] != nil {
		// hls.js gives each held reload up after 0.8 target durations and asks without directives. Three of them in a row, sound's
		// and pictures' together, end its playback; an answer for the pictures takes the count back to nothing. Where it comes
		// after the sound's, all is well; where it comes between the two, the next pair is one too many. Renditions are no
		// further apart than a part, so this puts the sound first.
		spec.Linger = s.config.PartTarget
	}
	seq, part, goesOn := s.cutter.Next(r.line)
	goesOn = goesOn && !s.away
	if goesOn {
		spec.Hint = &playlist.Hint{Epoch: s.epochID(), MSN: s.base + uint64(seq), Part: part}
	}
	if goesOn && part < 0 { // none follows that players could be told of
		r.partsFrom = complete[len(complete)-1].MSN + 1
	}
	spec.PartsFrom = r.partsFrom
	switch parts := r.listedParts(); {
	case len(parts) > 0:
		o := r.open
		spec.Open = &playlist.Segment{
			MSN: o.msn, Epoch: o.epoch, ProgramDate: o.date, Discontinuity: o.discontinuity,
			Independent: parts[0].Independent, Parts: parts, Bytes: o.size,
		}
	case s.awaitsNext(r):
		last := complete[len(complete)-1]
		spec.Open, complete = last, complete[:len(complete)-1]
	}
	spec.Segments = complete
	spec.PartsBehindGaps = r.kind == media.Video // a gap is what players are to leave a rung by
	for _, o := range s.renditions {
		if o == nil || o == r || len(o.segs) == 0 {
			continue
		}
		msn, part := o.edge()
		spec.Reports = append(spec.Reports, playlist.Report{Rendition: o.name, LastMSN: msn, LastPart: part})
	}
	return playlist.NewWindow(spec)
}

// sameEdge tells whether r has published nothing since old.
func (s *session) sameEdge(r *Rendition, old *playlist.Window) bool {
	msn, part := r.edge()
	oldMSN, oldPart := old.Edge()
	return msn == oldMSN && part == oldPart && !s.away && !s.ended && !old.Spec().Away
}

// awaitsNext tells whether the newest segment is still shown as open: all its parts are there, the next segment's first
// is not. A playlist that ends with a complete segment and no part behind it makes Video.js ask for the last part
// again, until its cache forgets the answer; one that lists the segment together with the next part does not. It is
// listed at once where nothing is sure to follow, and what was listed as complete stays so.
func (s *session) awaitsNext(r *Rendition) bool {
	if s.away || s.ended || len(r.segs) < 2 {
		return false
	}
	last := r.segs[len(r.segs)-1]
	shown := r.window.Load()
	return len(last.Parts) > 0 && !last.Gap && shown != nil && shown.LastMSN() < last.MSN
}

// expose lets readers see the session's renditions, once each has a window, and keeps the multivariant playlist true.
func (s *session) expose() {
	var ready []*Rendition
	for _, r := range s.renditions {
		if r != nil && r.window.Load() != nil {
			ready = append(ready, r)
		}
	}
	t := s.set
	if t == nil || !slices.Equal(t.renditions, ready) {
		n := &set{session: s.id, renditions: ready}
		if t != nil {
			n.docs.Store(t.docs.Load())
		} else if !s.shown {
			s.log.Info("stream is live", slog.Int("target", s.config.Target), slog.Duration("part_target", s.config.PartTarget))
		}
		t = n
	}
	if s.ended {
		t.ended.Store(true)
	} else {
		s.describe(t)
	}
	if t != s.set {
		s.stream.replace(t, s.set != nil)
		s.set = t
	}
}

// describe makes the multivariant playlist anew where the one there is no longer true.
func (s *session) describe(t *set) {
	m := playlist.Multivariant{Captions: s.captions.found}
	for _, r := range t.renditions {
		v := playlist.Variant{Name: r.name, Track: r.track, Bandwidth: r.rate.peak * 11 / 10, Average: r.rate.average()}
		if r.line >= cut.FirstRung && !whole(r.segs, s.config.HoldBack()) {
			continue // who loads the playlist now shall not begin with what is not there
		}
		if rung := s.rungOf(r.line); rung != nil {
			v.Bandwidth = max(v.Bandwidth, int(rung.Bitrate))
		}

		if r.kind == media.Audio {
			m.Audio = &v
			continue
		}
		r.told = r.frameRate(r.told)
		v.FrameRate = r.told
		v.VideoRange = r.track.VideoRange()
		m.Video = append(m.Video, v)
	}
	// Where the source's key frames are is not ours to say; in sound each frame is one. Those of rungs that lead are, but a hole may
	// cost the tag, which players would not hear of here; and it is not to stand in both kinds of playlist (4.4.2.1).
	m.Independent = len(m.Video) == 0
	old := t.docs.Load()
	if old != nil && !stale(&old.made, &m) {
		return
	}
	docs := documents{made: m}
	for _, dvr := range []bool{false, true} {
		m.DVR = dvr
		b, err := playlist.RenderMultivariant(m)
		if err != nil {
			s.log.Error("multivariant playlist", slog.Any("error", err))
			return
		}
		if dvr {
			docs.dvr = playlist.NewDocument(b)
		} else {
			docs.live = playlist.NewDocument(b)
		}
	}
	t.docs.Store(&docs)
	s.o.Archive.Multivariant(s.stream.name, docs.live.Plain)
}

// whole tells whether there are segments, and no gap in the last of them that make so much.
func whole(segs []*playlist.Segment, d time.Duration) bool {
	for i := len(segs) - 1; i >= 0 && d > 0; i-- {
		if segs[i].Gap {
			return false
		}
		d -= segs[i].Duration
	}
	return len(segs) > 0
}

// stale tells whether a multivariant playlist says something of the new state wrongly. Bit rates may differ by a little:
// the peak that was told is a tenth above what was measured.
func stale(old, m *playlist.Multivariant) bool {
	if old.Captions != m.Captions || old.Independent != m.Independent || len(old.Video) != len(m.Video) ||
		(old.Audio == nil) != (m.Audio == nil) {
		return true
	}
	for i := range m.Video {
		if differs(&old.Video[i], &m.Video[i]) {
			return true
		}
	}
	return m.Audio != nil && differs(old.Audio, m.Audio)
}

func differs(old, v *playlist.Variant) bool {
	const fifth = 5
	off := old.Average - v.Average
	return old.Track != v.Track || old.FrameRate != v.FrameRate || old.Name != v.Name || v.Bandwidth > old.Bandwidth*11/10 ||
		off*fifth > old.Average || -off*fifth > old.Average
}

// count tells the observer what the cutter mended since it was told last.
func (s *session) count() {
	n := s.cutter.Stats()
	if n == s.stats {
		return
	}
	for k := range media.Kind(media.Kinds) {
		if d := n.Filled[k] - s.stats.Filled[k]; d > 0 {
			s.o.Observer.Filled(s.stream.name, k, int(d))
		}
		if d := n.Late[k] + n.Useless[k] - s.stats.Late[k] - s.stats.Useless[k]; d > 0 {
			s.o.Observer.Discarded(s.stream.name, k, int(d))
		}
	}
	if d := n.Encoded; d != s.stats.Encoded {
		was := s.stats.Encoded
		s.o.Observer.Mended(s.stream.name, int(d.Filled-was.Filled), int(d.Late+d.Useless-was.Late-was.Useless))
	}
	s.stats = n
}

// expired tells whether an ended session has been served for long enough.
func (t *set) expired(now time.Time, after time.Duration) bool {
	return t.ended.Load() && t.renditions[0].expired(now, after)
}
