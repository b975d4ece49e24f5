package packager

import (
	"bytes"
	"log/slog"
	"regexp"
	"time"

	"mediad/media"
	"mediad/packager/cmaf"
	"mediad/packager/cut"
)

// rungAwaited is how much of the source may be complete before a stream is shown without a rung that was planned: players read the
// multivariant playlist once, and do not learn of what comes later.
const rungAwaited = time.Second

var rungName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`)

// makePlan decides, with the session's first picture, what is encoded of it.
func (s *session) makePlan(video *media.Track) {
	if video == nil || s.o.Plan == nil {
		return
	}
	if s.plan == nil {
		s.adopt(s.ask(video, !carried(video)))
	}
	if s.plan.Leads || s.unled || s.decided != nil || s.instead != nil || !carried(video) {
		return
	}
	if p := s.ask(video, true); p.Leads {
		s.instead = &p
		s.cutter.MayLead(true)
	}
}

// ask is the plan for a source: with lead one whose first rung takes its place, if there can be one.
func (s *session) ask(video *media.Track, lead bool) media.Plan {
	p := s.o.Plan(s.live, video, lead)
	if err := checkPlan(p); err != "" {
		s.log.Error("nothing is encoded: the plan is wrong", slog.String("why", err))
		return media.Plan{}
	}
	return p
}

// adopt makes p the session's plan.
func (s *session) adopt(p media.Plan) {
	s.plan = &p
	if p.Leads {
		s.cutter.Lead()
	}
	s.cutter.Rungs(followers(&p), frameOf(&p))
	s.feed.name(&p)
	s.stream.journal.plan(s.plan)
}

// checkPlan says what is wrong with a plan.
func checkPlan(p media.Plan) string {
	if followers(&p) > cut.MaxRungs {
		return "too many rungs"
	}
	if p.Leads && len(p.Rungs) == 0 {
		return "nothing takes the place of the source"
	}
	seen := map[string]bool{sourceName: true, audioName: true}
	for _, r := range p.Rungs {
		if seen[r.Name] || !rungName.MatchString(r.Name) {
			return "a rung cannot be named " + r.Name
		}
		seen[r.Name] = true
	}
	return ""
}

// drain takes what was encoded of the epoch that is being cut.
func (s *session) drain() {
	if s.plan == nil || s.epoch == nil {
		return
	}
	all := s.feed.take(s.epoch.ID)
	for i := range all {
		s.encoded(&all[i])
	}
	if len(all) > 0 {
		s.cutter.Settle()
		s.publish()
	}
}

func (s *session) encoded(e *media.Encoded) {
	line, ok := s.rungLine(e.Rung)
	if !ok {
		return
	}
	switch e.Kind {
	case media.EncodedTrack:
		s.rungTrack(line, e.Track)
	case media.EncodedUnit:
		if s.renditions[line] != nil {
			s.cutter.Encoded(line, e.Unit)
		}
	case media.EncodedShed:
		s.cutter.Shed(line)
	case media.EncodedRestore:
		s.cutter.Restore(line)
	}
}

func (s *session) rungLine(name string) (cut.Line, bool) {
	for i := range s.plan.Rungs {
		if s.plan.Rungs[i].Name == name {
			return lineOf(s.plan, i), true
		}
	}
	return 0, false
}

// rungTrack is how a rung's units are decoded from here on. Within an epoch there is one init segment: where that does not hold any
// more, nothing can be published before the next.
func (s *session) rungTrack(line cut.Line, t *media.Track) {
	log := s.log.With(slog.String("rendition", s.lineName(line)))
	if t == nil || t.Kind != media.Video || t.Timescale != media.VideoTimescale {
		log.Error("rung is of no use: no track of pictures")
		s.cutter.Abandon(line)
		return
	}
	init, err := cmaf.Init(t)
	if err != nil {
		log.Error("rung cannot be packaged", slog.Any("error", err))
		s.cutter.Abandon(line)
		return
	}
	r := s.renditions[line]
	if r == nil {
		r = s.newRendition(s.lineName(line), line)
		s.renditions[line] = r
	}
	switch had, ok := r.inits[s.epoch.ID]; {
	case !ok:
		r.track = t
		s.setInit(r, init)
	case !bytes.Equal(had, init):
		log.Warn("rung is left out until the next epoch: its encoder came back with other parameters")
		s.cutter.Abandon(line)
		return
	default:
	}
	s.cutter.Track(line, t)
}

// ensureInit makes the epoch's init segment of a rung that has nothing in the epoch yet, of the track that it had before.
func (s *session) ensureInit(r *Rendition) {
	if !s.encodes(r.line) || r.inits[s.epochID()] != nil {
		return
	}
	init, err := cmaf.Init(r.track)
	if err != nil {
		s.log.Error("rung cannot be packaged", slog.String("rendition", r.name), slog.Any("error", err))
		return
	}
	s.setInit(r, init)
}

func (s *session) setInit(r *Rendition, init []byte) {
	epoch := s.epochID()
	r.mu.Lock()
	r.inits[epoch] = init
	r.mu.Unlock()
	rec := rungRecord{
		Line: r.line, Epoch: epoch,
		trackRecord: trackRecord{Codec: r.track.Codec.String(), Config: r.track.Config, Init: init},
	}
	for i := range s.epochs {
		if s.epochs[i].ID == epoch {
			s.epochs[i].rungs = append(s.epochs[i].rungs, rec)
		}
	}
	s.stream.journal.rung(&rec)
	s.trackRow(r, r.track, epoch, init)
}

// countDiscontinuities gives a rung the count of the source, which is ahead of it, at the same segment.
func (s *session) countDiscontinuities(r *Rendition, msn uint64) {
	source := s.renditions[media.Video]
	if r.line < cut.FirstRung || source == nil {
		return
	}
	o := source.open
	if i := source.index(msn); i < len(source.list) {
		o = source.list[i]
	}
	if o != nil && o.msn == msn {
		r.disc = o.before()
	}
}

// rungsShown tells whether every planned rung has something to show, or is not worth waiting for.
func (s *session) rungsShown() bool {
	if s.plan == nil || s.away || s.ended {
		return true
	}
	source := s.renditions[media.Video]
	if source != nil && len(source.list) > 0 && source.end()-source.list[0].end() > rungAwaited {
		return true
	}
	for i := range s.plan.Rungs {
		if r := s.renditions[lineOf(s.plan, i)]; r == nil || len(r.segs) == 0 {
			return false
		}
	}
	return true
}

// end is where a complete segment's media ends, session time.
func (o *stored) end() time.Duration { return o.start + o.seg.Duration }

// due is how many units of each rung it takes until one of its parts can end.
func (s *session) due() (n lines[int]) {
	if s.plan != nil {
		for i := range s.plan.Rungs {
			line := lineOf(s.plan, i)
			n[line] = s.cutter.Due(line)
		}
	}
	return n
}

// mendRung closes the open segment of a rung with what is on disk, where the source has come no further; else it is a gap, as the
// others are that the rung lacks: a shorter one would put the next out of step.
func (s *session) mendRung(r, source *Rendition) {
	if len(source.list) == 0 {
		r.giveUp()
		return
	}
	last := source.list[len(source.list)-1]
	if o := r.open; o != nil {
		if o.msn == last.msn {
			s.closeOpen(r)
		} else {
			r.giveUp()
		}
	}
	if len(r.list) == 0 {
		return // it was never seen
	}
	for _, o := range source.list[source.index(r.list[len(r.list)-1].msn+1):] {
		scale := r.track.Timescale
		start := scale.Ticks(o.start)
		if prev := r.list[len(r.list)-1]; !o.discontinuity {
			start = scale.Ticks(prev.end())
		}
		s.epoch = epochNamed(o.epoch)
		s.Segment(cut.Segment{
			Kind: r.kind, Line: r.line, Seq: int64(o.msn - s.base), Start: start, Duration: max(scale.Ticks(o.end())-start, 1),
			Gap: true, Discontinuity: o.discontinuity,
		})
		s.epoch = nil
	}
}
