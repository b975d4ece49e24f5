package packager

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"time"

	"mediad/live"
	"mediad/media"
	"mediad/packager/cut"
)

func beUint64(b []byte) uint64 { return binary.BigEndian.Uint64(b) }

// recoverSession makes a session of the journal answer again. It returns what the hub needs to await its publisher, nil
// if it was over.
func (s *Streams) recoverSession(st *Stream, sess *session, p *past, f *remains) *live.Restored {
	sess.ctx = context.Background() // nothing here waits for long
	st.newest = sess.id
	sess.resendRows(p.rowsTo, f.files) // of all: what live playlists can no longer list a replay can
	for _, r := range sess.renditions {
		if r != nil {
			r.check(f.files)
		}
	}
	sess.cutter = sess.cutterOf(st.nextMSN, st.longestGOP)
	now := s.o.Now()
	lost := p.lost(now)
	sess.mend()
	sess.away, sess.awayAt = true, lost
	st.nextMSN = max(st.nextMSN, p.numbers.NextMSN, sess.nextMSN())
	if !p.complete(s.o.Boot) {
		// More may have been published than is known. That is over, and the next session's numbers lie above it all.
		s.o.Log.Warn("session not resumed: its newest records may be lost", slog.String("stream", st.name), slog.String("session", sess.id))
		p.ended, p.endedAt = true, lost
		st.nextMSN += max(uint64(now.Sub(lost)/time.Second), fewestSkipped)
	}
	sess.cutter = sess.cutterOf(st.nextMSN, st.longestGOP)
	sess.windows()
	if p.ended {
		sess.archiveEnd() // which the process that ended may not have come to
		if now.Sub(p.endedAt) >= s.o.EndedFor || !sess.visible() {
			sess.renditions = lines[*Rendition]{}
			return nil
		}
		sess.ended = true
		for _, r := range sess.renditions {
			if r != nil {
				r.endedAt.Store(p.endedAt.UnixNano())
			}
		}
	}
	sess.shown = sess.visible()
	sess.markAll()
	sess.publish()
	sess.release()
	st.journal.rewrite(sess.records(nil))
	if p.ended {
		st.journal.end(p.endedAt, st, "")
		return nil
	}
	st.resumable = sess
	s.o.Log.Info("session recovered", slog.String("stream", st.name), slog.String("session", sess.id),
		slog.Duration("media", sess.mediaEnd()))
	return sess.restored()
}

// fewestSkipped is how many numbers are left out at least where some may have been given that are not known; segments
// last longer than a second, so the seconds since are enough unless the clock was set back.
const fewestSkipped = 60

// complete tells whether the journal has all that was ever published. One of the same run of the machine does, since it
// is written before anything is published; of another run what was not synced may be lost.
func (p *past) complete(boot string) bool {
	return p.ended || !p.damaged && (p.closed || p.boot == boot)
}

// lost is when the publisher was lost: when it went away, else when the process last wrote. Session time would not
// do: the clock may have been set since the session began.
func (p *past) lost(now time.Time) time.Time {
	at := p.session.awayAt
	if !p.session.away {
		at = p.written
	}
	if at.After(now) {
		return now
	}
	return at
}

// resendRows gives the sink the rows again that it had not taken for sure. What is not in its file, by the files' sizes, was in memory alone.
func (s *session) resendRows(stored lines[uint64], sizes map[string]int64) {
	s.resendTracks()
	for k, r := range s.renditions {
		if r == nil {
			continue
		}
		for _, o := range r.list {
			if o.msn <= stored[k] {
				continue
			}
			if o.file != nil && !o.there(sizes) {
				o.file.refs--
				o.file = nil
			}
			s.row(r, o)
		}
	}
}

func (s *session) resendTracks() {
	send := func(r *Rendition, epoch int64, t *trackRecord) {
		if r != nil && t.Codec != "" {
			s.addTrack(TrackRow{
				SessionID: s.id, Rendition: r.name, Epoch: epoch, Kind: r.kind, Codec: t.Codec, Config: t.Config, Init: t.Init,
			})
		}
	}
	for i := range s.epochs {
		e := &s.epochs[i]
		for k := range e.Tracks {
			send(s.renditions[k], e.ID, &e.Tracks[k])
		}
		for k := range e.rungs {
			send(s.renditions[e.rungs[k].Line], e.ID, &e.rungs[k].trackRecord)
		}
	}
}

func (s *session) restored() *live.Restored {
	r := &live.Restored{
		SessionID: s.id, Grant: s.grant, Start: s.start, MediaEnd: s.mediaEnd(), LastEpoch: s.stream.lastEpoch,
		EpochIndex: -1, AwaySince: s.awayAt, HadTracks: s.hadTracks(),
	}
	if n := len(s.epochs); n > 0 {
		r.EpochIndex = s.epochs[n-1].Index
	}
	return r
}

// there tells whether all of a segment is in its file.
func (o *stored) there(sizes map[string]int64) bool {
	return o.size == 0 || o.file != nil && o.offset+o.size <= sizes[o.file.key]
}

// check compares what the journal says with the files: a segment that is not there takes all before it along, so
// that numbers have no gap; of the open segment the parts count that are there.
func (r *Rendition) check(sizes map[string]int64) {
	from := 0
	for i, o := range r.list {
		if !o.there(sizes) {
			from = i + 1
		}
	}
	if from > 0 {
		r.drop(r.list[from-1].msn + 1)
	}
	r.memory = 0
	o := r.open
	if o == nil {
		return
	}
	n := 0
	for n < len(o.ends) && o.file != nil && o.offset+int64(o.ends[n]) <= sizes[o.file.key] {
		n++
	}
	if n == 0 {
		r.giveUp()
		return
	}
	o.ends, r.parts, o.size = o.ends[:n], r.parts[:n], int64(o.ends[n-1])
}

// giveUp forgets the open segment.
func (r *Rendition) giveUp() {
	if r.open != nil && r.open.discontinuity {
		r.disc--
	}
	r.open, r.parts = nil, nil
}

// end is where the rendition's media ends, session time.
func (r *Rendition) end() time.Duration {
	if r.open != nil {
		end := r.open.start
		for _, p := range r.parts {
			end += p.Duration
		}
		return end
	}
	if n := len(r.list); n > 0 {
		return r.list[n-1].start + r.list[n-1].seg.Duration
	}
	return 0
}

func (s *session) mediaEnd() (end time.Duration) {
	for _, r := range s.renditions {
		if r != nil {
			end = max(end, r.end())
		}
	}
	return end
}

func (s *session) nextMSN() (n uint64) {
	for _, r := range s.renditions {
		if r != nil && len(r.list) > 0 {
			n = max(n, r.list[len(r.list)-1].msn+1)
		}
	}
	return n
}

// mend closes the open segments of all renditions so that they end with the same number: the lead's with the parts that
// are on disk, audio filled with silence as far. Where the lead has nothing of a segment, what audio has of it is given
// up: nobody has seen its end.
func (s *session) mend() {
	if s.decided == nil {
		return
	}
	v, a := s.renditions[media.Video], s.renditions[media.Audio]
	if v != nil {
		defer func() {
			for _, r := range s.renditions[cut.FirstRung:] {
				if r != nil {
					s.mendRung(r, v)
				}
			}
		}()
	}
	if v == nil || a == nil || len(v.list) == 0 && v.open == nil {
		for _, r := range s.renditions[:media.Kinds] {
			if r != nil {
				s.closeOpen(r)
			}
		}
		return
	}
	s.closeOpen(v)
	if len(v.list) == 0 {
		return
	}
	last := v.list[len(v.list)-1]
	if a.open != nil && a.open.msn > last.msn {
		a.giveUp()
	}
	s.followTo(a, v)
}

// epochNamed stands for an epoch of which only the name is needed.
func epochNamed(id int64) *live.Epoch { return &live.Epoch{ID: id} }

// closeOpen completes the open segment with the parts that it has.
func (s *session) closeOpen(r *Rendition) {
	o := r.open
	if o == nil {
		return
	}
	if o.file != nil && o.file.closed {
		o.file.refs++
	}
	t := r.track.Timescale
	start := t.Ticks(o.start)
	s.Segment(cut.Segment{
		Kind: r.kind, Line: r.line, Seq: int64(o.msn - s.base), Start: start, Duration: t.Ticks(r.end()) - start,
		Independent: len(r.parts) > 0 && r.parts[0].Independent, Discontinuity: o.discontinuity,
	})
}

// followTo brings audio to where the lead ends, with silence in the segments that it lacks.
func (s *session) followTo(a, v *Rendition) {
	next := v.list[0].msn
	switch n := len(a.list); {
	case a.open != nil:
		next = a.open.msn
	case n > 0:
		next = a.list[n-1].msn + 1
	default:
	}
	if a.open != nil && !s.reopen(a) {
		return
	}
	for _, o := range v.list[v.index(next):] {
		s.silence(a, o, o.start+o.seg.Duration)
		s.closeOpen(a)
	}
}

// reopen reads the open segment into memory, so that it can be appended to: as any that cannot be written it then stays
// there until it is removed. What it has is little.
func (s *session) reopen(r *Rendition) bool {
	o := r.open
	in, err := s.o.Blobs.Open(s.ctx, o.file.key, o.offset, o.size)
	var b []byte
	if err == nil {
		b, err = io.ReadAll(in)
		err = errors.Join(err, in.Close())
	}
	if err == nil && int64(len(b)) != o.size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		s.log.Error("open segment cannot be read", slog.Any("error", err))
		r.giveUp()
		return false
	}
	o.bytes = b
	out, err := s.stream.owner.append.Append(s.ctx, o.file.key, o.offset+o.size)
	if err != nil {
		o.file = nil
		return true
	}
	r.log.cur, r.log.out, r.log.since = o.file, out, o.start
	o.file.closed = false
	o.file.refs++
	o.file.begun++
	return true
}

// silence appends parts of silence up to the given session time to the segment that belongs to the lead's o.
func (s *session) silence(a *Rendition, o *stored, end time.Duration) {
	t := a.track
	frame := media.Ticks(t.FrameSamples)
	data := cut.SilentAAC(t.Config)
	if data == nil {
		data = []byte{0}
	}
	at := o.start
	if e := a.end(); (a.open != nil || len(a.list) > 0 && !o.discontinuity) && end-e < maxLength {
		at = e
	}
	start := t.Timescale.Ticks(at)
	most := max(t.Timescale.Ticks(s.config.PartTarget)/frame, 1)
	if s.config.PartTarget == 0 {
		most = max(t.Timescale.Ticks(time.Second)/frame, 1)
	}
	want := max((t.Timescale.Ticks(end)-start+frame-1)/frame, 0)
	if a.open == nil {
		want = max(want, 1) // no segment without a sample
	}
	for want > 0 {
		n := min(want, most)
		p := cut.Part{
			Kind: media.Audio, Line: a.line, Seq: int64(o.msn - s.base), Start: start, Duration: n * frame, Shown: start,
			Independent: true, Listed: s.config.PartTarget > 0 && o.listed, Discontinuity: o.discontinuity,
		}
		if a.open != nil {
			p.Index = len(a.parts)
		}
		for range n {
			p.Samples = append(p.Samples, cut.Sample{Data: data, Duration: frame, Sync: true, Fill: true})
		}
		s.epoch = epochNamed(o.epoch)
		s.Part(p)
		start += p.Duration
		want -= n
	}
	s.epoch = nil
}

// windows sets the windows anew after a recovery, by the options of this process.
func (s *session) windows() {
	for _, r := range s.renditions {
		if r != nil && len(r.list) > 0 {
			s.keepFirst = max(s.keepFirst, r.list[0].msn)
		}
	}
	s.liveFirst, s.dvrFirst = s.keepFirst, s.keepFirst
	for _, r := range s.renditions {
		if r != nil && len(r.list) > 0 {
			s.trim(r)
		}
	}
}
