package packager

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"mediad/media"
	"mediad/packager/cmaf"
	"mediad/packager/cut"
)

// Where the source cannot be cut, or cannot be carried, the first rung of the plan takes its place: docs/decisions/0008.

// carried tells whether HLS carries a track's codec.
func carried(t *media.Track) bool {
	_, err := cmaf.Init(t)
	return err == nil
}

// lineOf is the line of the plan's rung i.
func lineOf(p *media.Plan, i int) cut.Line {
	switch {
	case !p.Leads:
		return cut.FirstRung + cut.Line(i)
	case i == 0:
		return cut.Line(media.Video)
	default:
		return cut.FirstRung + cut.Line(i-1)
	}
}

// followers is how many of the plan's rungs follow the line that leads.
func followers(p *media.Plan) int {
	if p.Leads {
		return max(len(p.Rungs)-1, 0)
	}
	return len(p.Rungs)
}

// frameOf is how long frames of the rungs last.
func frameOf(p *media.Plan) time.Duration {
	if len(p.Rungs) == 0 || p.Rungs[0].FrameRate.Num == 0 {
		return 0
	}
	r := p.Rungs[0].FrameRate
	return time.Second * time.Duration(r.Den) / time.Duration(r.Num)
}

// leads tells whether a rung has the place of the source.
func (s *session) leads() bool { return s.plan != nil && s.plan.Leads }

// rungOf is the rung that a line is; nil for those of the source.
func (s *session) rungOf(line cut.Line) *media.Rung {
	if s.plan != nil {
		for i := range s.plan.Rungs {
			if lineOf(s.plan, i) == line {
				return &s.plan.Rungs[i]
			}
		}
	}
	return nil
}

// encodes tells whether a line is one of the plan's rungs.
func (s *session) encodes(line cut.Line) bool { return s.rungOf(line) != nil }

// lineName is the name of the line's rendition.
func (s *session) lineName(line cut.Line) string {
	if r := s.rungOf(line); r != nil {
		return r.Name
	}
	return renditionName(kindOf(line))
}

// lead lets a rung take the place of the source, which cannot be cut. Nobody has seen anything of the session, and nothing is
// published: it begins anew, with the same numbers.
func (s *session) lead() {
	s.log.Info("the source's key frames are too far apart, or its GOPs open: its rungs are shown without it",
		slog.String("leads", s.instead.Rungs[0].Name))
	p, waiting := *s.instead, s.cutter.Waiting()
	s.anew()
	s.adopt(p)
	s.begin(s.epoch)
	for i := range waiting {
		s.cutter.Push(waiting[i]) // sound waits on
	}
}

// giveUpLead shows the source as it is after all, from its next key frame on, as nothing came of the rung that should take its place.
func (s *session) giveUpLead() {
	if s.set != nil || s.sourceNext || s.epoch.Tracks[media.Video] == nil || !carried(s.epoch.Tracks[media.Video]) {
		return
	}
	s.log.Error("nothing comes of the encoder: the source is shown as it is", slog.String("awaited", s.plan.Rungs[0].Name))
	s.anew()
	s.adopt(media.Plan{})
	s.unled, s.sourceNext = true, true
}

// resumeSource begins at a key frame.
func (s *session) resumeSource(u *media.AccessUnit) {
	if u.Kind != media.Video || !u.RandomAccess {
		return
	}
	e := *s.epoch
	e.Start = max(e.Start, media.VideoTimescale.Duration(u.PTS))
	s.begin(&e)
}

// anew forgets a session of which nothing was published. What encodes it is stopped.
func (s *session) anew() {
	s.encoder.stop(s.feed)
	for _, r := range s.renditions {
		if r != nil {
			r.log.close()
		}
	}
	s.renditions, s.epochs, s.decided, s.config = lines[*Rendition]{}, nil, nil, nil
	s.plan, s.instead = nil, nil
	s.cutter = s.cutterOf(s.base, 0)
	s.stats = cut.Stats{}
	s.stream.journal.rewrite(s.records(nil))
}

// encoder is what makes a session's rungs, one after another.
type encoder struct {
	cancel context.CancelFunc // of what runs; nil: nothing does
	last   chan struct{}      // closed when the newest has ended; nil: there was none
	all    sync.WaitGroup
}

// stop ends what runs; what it still tells is not wanted.
func (e *encoder) stop(f *feed) {
	if e.cancel != nil {
		e.cancel()
		e.cancel = nil
		f.listen(false)
	}
}

// encode lets the session's rungs be made, once there is a plan. What goes wrong with that costs rungs, not the session.
func (s *session) encode() {
	if s.o.Encode == nil || s.encoding == nil || s.encoder.cancel != nil || s.plan == nil || len(s.plan.Rungs) == 0 {
		return
	}
	ctx, cancel := context.WithCancel(s.encoding)
	before, done, plan := s.encoder.last, make(chan struct{}), *s.plan
	s.encoder.cancel, s.encoder.last = cancel, done
	s.encoder.all.Go(func() {
		defer close(done)
		defer func() {
			if r := recover(); r != nil {
				s.log.Error("the encoder of rungs has failed", slog.Any("panic", r), slog.String("stack", string(debug.Stack())))
			}
		}()
		if before != nil {
			<-before
			s.feed.listen(true)
		}
		if err := s.o.Encode(ctx, s.live, plan); err != nil && ctx.Err() == nil {
			s.log.Error("no rungs any more", slog.Any("error", err))
		}
	})
}
