package packager

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"slices"
	"sort"
	"time"

	"mediad/live"
	"mediad/media"
	"mediad/packager/cmaf"
	"mediad/packager/cut"
	"mediad/packager/playlist"
)

// session packages one broadcast. It belongs to the goroutine of Streams.Run; readers reach only its renditions.
//
//	starting ── first complete segments ──► live ◄── EventAway, EventEpoch ──► away ── EventEnd ──► ended
//
// It is starting until every rendition has a complete segment: nobody can see it before. While it is away nothing
// changes but that no part is hinted at. Ended, its playlists have ENDLIST and its multivariant playlist is gone.
type session struct {
	stream *Stream
	o      *Options
	log    *slog.Logger

	id      string
	grant   live.Grant
	start   time.Time // wall clock of session time 0
	base    uint64    // MSN of the cutter's segment 0
	discs   uint64    // discontinuities of the stream before the session's first segment
	config  *playlist.Config
	decided *cut.Constants

	cutter     *cut.Cutter
	stats      cut.Stats // as told to the observer
	epoch      *live.Epoch
	epochs     []epochRecord
	awayAt     time.Time
	renditions lines[*Rendition]
	live       *live.Session // nil while it is not run
	plan       *media.Plan   // nil: not made yet
	instead    *media.Plan   // what takes its place, and the source's, if the source cannot be cut; nil: nothing does
	unled      bool          // nothing came of that
	sourceNext bool          // the session is cut by the source again, from its next key frame on
	feed       *feed
	encoding   context.Context //nolint:containedctx // of what makes the rungs; nil: nothing does
	encoder    encoder
	set        *set // what readers see; nil while starting
	shown      bool // a former process has shown it

	// The oldest MSN that is fetchable, in the DVR range, in the live window.
	keepFirst, dvrFirst, liveFirst uint64

	away, ended bool
	opusTold    bool
	captions    captions
	ctx         context.Context //nolint:containedctx // of Run, for the calls that the cutter makes; set for the time of Run
}

// run follows the subscription to its end.
func (s *session) run(ctx context.Context, sub Subscription) error {
	s.ctx = context.WithoutCancel(ctx) // a write is short, and the last ones come after the end
	defer s.release()
	for {
		ev, err := sub.Next(ctx)
		s.drain()
		switch {
		case errors.Is(err, io.EOF):
			if !s.ended {
				s.end(live.Reason(""))
			}
			return nil
		case err != nil:
			// The hard stop: what is on air stays as the journal has it, for the session to be resumed.
			s.leave()
			s.stream.journal.leave(s.awayAt)
			return nil
		}
		s.handle(ev)
		if s.ended {
			return nil
		}
		sub.Want(s.cutter.Wants())
		s.feed.expect(s.due())
	}
}

func (s *session) handle(ev live.Event) {
	switch ev.Kind {
	case live.EventEpoch:
		s.begin(ev.Epoch)
	case live.EventUnit:
		if s.epoch == nil {
			return
		}
		if ev.Unit.Kind == media.Video {
			s.captions.look(s.epoch.Tracks[media.Video], ev.Unit.Data)
		}
		s.unit(&ev.Unit)
	case live.EventAway:
		s.leave()
	case live.EventEnd:
		s.end(ev.Reason)
	case live.EventNudge: // run has drained the feed
	}
}

// begin starts an epoch.
func (s *session) begin(e *live.Epoch) {
	s.cutter.Close()
	s.epoch, s.sourceNext = e, false
	s.stream.sawEpoch(e.ID)
	s.makePlan(e.Tracks[media.Video])
	tracks := s.playable(e.Tracks)
	if tracks[media.Video] == nil && tracks[media.Audio] == nil {
		s.log.Warn("nothing in this epoch can be packaged", slog.Int64("epoch", e.ID))
		s.epoch = nil
		return
	}
	for k, t := range tracks {
		if s.encodes(cut.Line(k)) && t != nil {
			continue // its encoder says how it is decoded
		}
		if err := s.prepare(media.Kind(k), t, e.ID); err != nil {
			s.log.Error("track cannot be packaged", slog.String("track", media.Kind(k).String()), slog.Any("error", err))
			tracks[k] = nil
		}
	}
	s.epochs = append(s.epochs, s.epochRecord(e, tracks))
	s.stream.journal.epoch(&s.epochs[len(s.epochs)-1])
	s.cutter.Begin(e.Start, tracks)
	if s.cutter.Unfit() {
		s.lead()
		return
	}
	s.encode()
	s.drain()
	s.away = false
	if s.set != nil {
		s.markAll()
		s.publish()
	}
}

// unit takes one of the source's.
func (s *session) unit(u *media.AccessUnit) {
	if s.sourceNext {
		s.resumeSource(u)
	}
	s.cutter.Push(*u)
	switch {
	case s.cutter.Unfit():
		s.lead()
	case s.cutter.Overdue():
		s.giveUpLead()
	default:
	}
	s.publish()
}

// playable leaves out what HLS does not carry here.
func (s *session) playable(tracks [media.Kinds]*media.Track) [media.Kinds]*media.Track {
	if v := tracks[media.Video]; v != nil && !s.leads() && !carried(v) {
		tracks[media.Video] = nil
		s.log.Warn("no picture in HLS: it does not carry the codec, and nothing encodes it", slog.String("codec", v.Codec.String()))
		s.o.Unshown(s.live, s.epoch.ID)
	}
	if a := tracks[media.Audio]; a != nil && a.Codec != media.AAC {
		tracks[media.Audio] = nil
		if !s.opusTold {
			s.opusTold = true
			s.log.Warn("no sound in HLS: it carries AAC only", slog.String("codec", a.Codec.String()))
		}
	}
	return tracks
}

// prepare makes the rendition of a track if it is new, and the epoch's init segment: that of the track before
// where the epoch has none.
func (s *session) prepare(k media.Kind, t *media.Track, epoch int64) error {
	r := s.renditions[k]
	if t == nil {
		if r == nil {
			return nil
		}
		t = r.track
	}
	init, err := cmaf.Init(t)
	if err != nil {
		return err
	}
	if r == nil {
		r = s.newRendition(s.lineName(cut.Line(k)), cut.Line(k))
		s.renditions[k] = r
	}
	r.track = t
	r.mu.Lock()
	r.inits[epoch] = init
	r.mu.Unlock()
	s.trackRow(r, t, epoch, init)
	return nil
}

// trackRow tells the sink how a rendition is decoded in an epoch.
func (s *session) trackRow(r *Rendition, t *media.Track, epoch int64, init []byte) {
	s.addTrack(TrackRow{
		SessionID: s.id, Rendition: r.name, Epoch: epoch, Kind: r.kind, Codec: t.Codec.String(), Config: t.Config, Init: init,
	})
}

func (s *session) addTrack(r TrackRow) {
	s.stream.owner.rows.addTrack(r)
	s.o.Archive.Track(s.stream.name, r)
}

func (s *session) newRendition(name string, line cut.Line) *Rendition {
	r := &Rendition{name: name, line: line, kind: kindOf(line), inits: make(map[int64][]byte), disc: s.discs}
	for _, o := range s.renditions {
		if o != nil {
			r.disc = o.disc
		}
	}
	if old := s.stream.rendition(r.name); old != nil {
		r.prev = old
	}
	r.log = partLog{
		store: s.stream.owner.append, log: s.log.With(slog.String("rendition", r.name)),
		prefix:   func(n int) string { return logKey(s.stream.name, s.id, r.name, n) },
		fallback: func(on bool) { s.o.Observer.Fallback(s.stream.name, on) },
		trash:    s.trash(),
		drop:     s.stream.owner.trash.add,
	}
	return r
}

// trash is what becomes of a file that nothing lists any more: it is deleted, unless the session is recorded.
func (s *session) trash() func(key string) {
	if s.o.Recorded && s.grant.Record {
		return func(string) {}
	}
	return s.stream.owner.trash.add
}

// leave closes what is open: no part follows until the next epoch.
func (s *session) leave() {
	s.cutter.Close()
	if !s.away {
		s.away, s.awayAt = true, s.o.Now()
		s.stream.journal.away(s.awayAt)
	}
	s.markAll()
	s.publish()
}

// end is the session's end. Readers keep its media playlists for a while.
func (s *session) end(reason live.Reason) {
	s.cutter.Close()
	s.ended, s.away = true, true
	s.markAll()
	for _, r := range s.renditions {
		if r != nil {
			r.endedAt.Store(s.o.Now().UnixNano())
		}
	}
	s.publish()
	s.archiveEnd()
	s.stream.ended(s, reason)
}

// archiveEnd tells the archive that the session is over.
func (s *session) archiveEnd() {
	s.o.Archive.Multivariant(s.stream.name, nil)
	s.o.Archive.End(s.stream.name, s.id)
}

// abort ends the session for its readers after a panic. Nothing of its own state is trusted: each playlist ends where it
// stands, and the numbers of open segments are not given again.
func (s *session) abort() {
	now := s.o.Now().UnixNano()
	s.ended = true
	for _, r := range s.renditions {
		if r == nil {
			continue
		}
		if r.open != nil { // no lock, which the panic may have left locked: this goroutine alone writes it
			s.stream.sawSegment(r.open.msn, r.open.disc)
		}
		r.endedAt.Store(now)
		if old := r.window.Load(); old != nil {
			spec := *old.Spec()
			spec.Ended, spec.Away, spec.Open, spec.Hint = true, true, nil, nil
			r.window.Store(playlist.NewWindow(spec))
			old.Supersede(r.window.Load())
		}
	}
	if s.set != nil {
		s.set.ended.Store(true)
	}
	s.stream.journal.end(s.o.Now(), s.stream, live.ReasonIngestError)
	s.archiveEnd()
}

func (s *session) markAll() {
	for _, r := range s.renditions {
		if r != nil {
			r.dirty = true
		}
	}
}

// release closes files; a session that goes on opens new ones.
func (s *session) release() {
	for _, r := range s.renditions {
		if r != nil {
			r.log.close()
		}
	}
}

// Decided implements cut.Sink.
func (s *session) Decided(c cut.Constants) {
	s.decided = &c
	s.config = &playlist.Config{Target: c.Target, PartTarget: c.PartTarget, Window: s.o.Window}
	s.stream.journal.constants(c)
}

// Part implements cut.Sink.
func (s *session) Part(p cut.Part) {
	r, now := s.renditions[p.Line], s.o.Now()
	if r.open == nil {
		s.open(r, now, &p)
	}
	part := r.append(now, &p, r.track.Timescale)
	r.dependent = r.dependent || p.Index == 0 && !p.Independent
	s.stream.journal.part(r, part, p.Listed)
	if p.Listed {
		r.dirty = true
	}
	var late time.Duration
	if !r.lastPart.IsZero() && p.Index > 0 {
		late = max(now.Sub(r.lastPart)-part.Duration, 0)
	}
	r.lastPart = now
	s.o.Observer.PartPublished(s.stream.name, r.name, part.Size, late)
}

func kindOf(line cut.Line) media.Kind {
	if line == cut.Line(media.Audio) {
		return media.Audio
	}
	return media.Video
}

// open opens the segment that p is the first part of. Dates are those of presentation, by one constant in all renditions.
func (s *session) open(r *Rendition, now time.Time, p *cut.Part) {
	scale, msn := r.track.Timescale, s.base+uint64(p.Seq)
	s.countDiscontinuities(r, msn)
	start, shown := scale.Duration(p.Start), scale.Duration(p.Shown)
	r.begin(s.ctx, now, &stored{
		msn: msn, epoch: s.epochID(), start: start, early: shown - start, date: s.start.Add(shown), discontinuity: p.Discontinuity,
	})
	s.stream.journal.open(r)
}

// epochID names the epoch that is being cut.
func (s *session) epochID() int64 {
	if s.epoch == nil {
		return 0
	}
	return s.epoch.ID
}

// Segment implements cut.Sink.
func (s *session) Segment(g cut.Segment) {
	r := s.renditions[g.Line]
	if r.open == nil {
		s.openGap(r, g)
	}
	o, scale := r.open, r.track.Timescale
	seg := &playlist.Segment{
		MSN: o.msn, Epoch: o.epoch, ProgramDate: o.date,
		Duration:      scale.Duration(g.Start+g.Duration) - scale.Duration(g.Start),
		Discontinuity: g.Discontinuity, Gap: g.Gap, Independent: g.Independent, Parts: r.listedParts(), Bytes: o.size,
	}
	r.complete(seg)
	r.dirty = true
	s.stream.journal.segment(s, r, o)
	if !g.Gap {
		r.rate.add(o.size, seg.Duration)
		o.rate, o.varies = r.cadence.rate(scale), !r.cadence.steady()
	}
	s.trim(r)
	s.row(r, o)
	s.o.Observer.SegmentPublished(s.stream.name, r.name, o.size, seg.Duration, g.Gap)
	s.stream.sawSegment(o.msn, r.disc)
}

// openGap opens a segment with nothing in it.
func (s *session) openGap(r *Rendition, g cut.Segment) {
	at := r.track.Timescale.Duration(g.Start)
	s.ensureInit(r)
	s.countDiscontinuities(r, s.base+uint64(g.Seq))
	if g.Discontinuity {
		r.disc++
	}
	r.parts, r.cadence = nil, cadence{}
	o := &stored{
		msn: s.base + uint64(g.Seq), epoch: s.epochID(), start: at, date: s.start.Add(at),
		discontinuity: g.Discontinuity, disc: r.disc,
	}
	r.mu.Lock()
	r.open = o
	r.mu.Unlock()
	s.stream.journal.open(r)
}

func (s *session) row(r *Rendition, o *stored) {
	row := SegmentRow{
		StreamID: s.grant.StreamID, SessionID: s.id, Rendition: r.name, Epoch: o.epoch, MSN: o.msn,
		Start: o.date, Duration: o.seg.Duration, Bytes: o.size, Offset: o.offset,
		Discontinuity: o.discontinuity, Gap: o.seg.Gap, Independent: o.seg.Independent,
		Discontinuities: o.before(), Target: s.config.Target,
	}
	if o.file != nil {
		row.Key = o.file.key
	}
	s.stream.owner.rows.add(queuedRow{SegmentRow: row, stream: s.stream, line: r.line})
	a := ArchiveSegment{SegmentRow: row, Stream: s.stream.name}
	if o.file == nil {
		a.Data = o.bytes
	}
	s.o.Archive.Segment(a)
}

// trim moves the windows on after a segment of r. Windows of all renditions begin with the same segment, and none has
// less than it should where one rendition is behind. What was removed stays fetchable for one more window.
func (s *session) trim(r *Rendition) {
	dvr := s.grant.DVR
	if dvr <= 0 {
		dvr = s.o.DVR
	}
	dvr = max(dvr, s.o.Window)
	s.liveFirst = max(s.liveFirst, s.fitAll(s.o.Window))
	s.dvrFirst = max(s.dvrFirst, s.fitAll(dvr))
	s.keepFirst = max(s.keepFirst, s.fitAll(dvr+s.o.Window+2*s.config.TargetDuration()))
	s.boundMemory(r)
	before := r.index(s.keepFirst)
	r.trim(s.keepFirst, s.dvrFirst)
	for _, x := range s.renditions { // those that closed this segment before begin there with their next part
		if x != nil {
			x.relist(s.liveFirst)
		}
	}
	if before > 0 {
		s.stream.journal.trim(s.keepFirst)
		s.epochs = slices.DeleteFunc(s.epochs, func(e epochRecord) bool { return !s.needs(e.ID) })
	}
}

// boundMemory gives up the oldest segments that are only in memory, and all before them, while they are too many.
func (s *session) boundMemory(r *Rendition) {
	var memory int64
	for _, x := range s.renditions {
		if x != nil {
			memory += x.memory
		}
	}
	if memory <= s.o.MemoryFallback {
		return
	}
	if msn, ok := r.oldestInMemory(); ok && msn < r.list[len(r.list)-1].msn {
		s.keepFirst = max(s.keepFirst, msn+1)
		s.dvrFirst, s.liveFirst = max(s.dvrFirst, s.keepFirst), max(s.liveFirst, s.keepFirst)
	}
}

// fitAll is the newest MSN from which on every rendition still has d, or all it has.
func (s *session) fitAll(d time.Duration) uint64 {
	first := uint64(math.MaxUint64)
	for _, r := range s.renditions {
		if r != nil && len(r.list) > 0 {
			first = min(first, r.fit(d))
		}
	}
	return first
}

// fit is the newest MSN from which on the rendition has d; its oldest if it has less.
func (r *Rendition) fit(d time.Duration) uint64 {
	from := r.list[len(r.list)-1].until - d
	i := sort.Search(len(r.list), func(i int) bool { return r.list[i].until-r.list[i].seg.Duration > from })
	return r.list[max(i-1, 0)].msn
}
