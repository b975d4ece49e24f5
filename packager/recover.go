package packager

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"time"

	"mediad/live"
	"mediad/media"
	"mediad/packager/cut"
	"mediad/packager/playlist"
	"mediad/store/blob"
)

// maxJournal bounds what is read of one journal.
const maxJournal = 64 << 20

// Recover reads the journals: afterwards streams answer as they did before the process ended. Open segments are closed
// with what is on disk. It returns the sessions that were not over, for the hub to await their publishers. It is
// called once, before Run.
func (s *Streams) Recover(ctx context.Context) ([]live.Restored, error) {
	if err := s.rows.spill.recover(ctx); err != nil {
		return nil, err
	}
	found, err := s.survey(ctx)
	if err != nil {
		return nil, err
	}
	var out []live.Restored
	for name, f := range found {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		r, err := s.recoverStream(ctx, name, f)
		if err != nil {
			s.o.Log.Error("stream not recovered", slog.String("stream", name), slog.Any("error", err))
			continue
		}
		if r != nil {
			out = append(out, *r)
		}
	}
	return out, nil
}

// remains is what the store holds of a stream.
type remains struct {
	journals map[int]blob.Info // by number
	files    map[string]int64  // by key: size
}

var journalName = regexp.MustCompile(`^journal-([1-9][0-9]{0,9})$`)

func (s *Streams) survey(ctx context.Context) (map[string]*remains, error) {
	found := make(map[string]*remains)
	err := s.o.Blobs.List(ctx, "live/", func(i blob.Info) error {
		parts := strings.Split(i.Key, "/")
		if len(parts) < 3 {
			return nil
		}
		f := found[parts[1]]
		if f == nil {
			f = &remains{journals: make(map[int]blob.Info), files: make(map[string]int64)}
			found[parts[1]] = f
		}
		if m := journalName.FindStringSubmatch(parts[2]); m != nil && len(parts) == 3 {
			n, err := strconv.Atoi(m[1])
			if err != nil {
				return err
			}
			f.journals[n] = i
			return nil
		}
		f.files[i.Key] = i.Size
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list journals: %w", err)
	}
	return found, nil
}

func (s *Streams) recoverStream(ctx context.Context, name string, f *remains) (*live.Restored, error) {
	st := s.stream(name)
	past, err := s.newestJournal(ctx, st, f)
	if err != nil {
		return nil, err
	}
	if past.damaged && past.session == nil {
		past.numbers.NextMSN = 0 // a session may have stood there: its numbers are not known
	}
	st.rowsTo = past.rowsTo
	st.journal.lean = past.begun && past.session == nil
	st.nextMSN, st.discs = past.numbers.NextMSN, past.numbers.Discontinuities
	st.lastEpoch, st.longestGOP = past.numbers.LastEpoch, past.numbers.LongestGOP
	sess := past.session
	var restored *live.Restored
	if sess != nil {
		restored = s.recoverSession(st, sess, past, f)
	}
	// Files that no segment refers to are of sessions long over; of recorded ones somebody else takes care.
	for key := range f.files {
		if !s.o.Recorded && (sess == nil || !sess.refersTo(key)) {
			s.trash.add(key)
		}
	}
	return restored, nil
}

// newestJournal replays the newest journal that has a beginning; a rewrite may have been cut short.
func (s *Streams) newestJournal(ctx context.Context, st *Stream, f *remains) (*past, error) {
	best := -1
	var newest *past
	for n, info := range f.journals {
		st.journal.n = max(st.journal.n, n)
		if n < best {
			continue
		}
		b, err := s.read(ctx, journalKey(st.name, n))
		if err != nil {
			return nil, err
		}
		p := newPast(st)
		p.written = info.Modified
		p.replay(b)
		p.damaged = p.damaged || int64(len(b)) < info.Size
		if p.begun {
			best, newest = n, p
		}
	}
	for n := range f.journals {
		if n != best {
			s.trash.add(journalKey(st.name, n))
		}
	}
	if newest == nil {
		newest = newPast(st)
	}
	return newest, nil
}

func (s *Streams) read(ctx context.Context, key string) ([]byte, error) {
	r, err := s.o.Blobs.Open(ctx, key, 0, maxJournal)
	if err != nil {
		return nil, fmt.Errorf("journal %s: %w", key, err)
	}
	b, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		return nil, fmt.Errorf("journal %s: %w", key, err)
	}
	return b, nil
}

// past is what a journal tells.
type past struct {
	st      *Stream
	begun   bool // there is a header
	numbers numbersRecord
	session *session
	ended   bool
	endedAt time.Time
	boot    string
	written time.Time // when the journal was last written to
	damaged bool      // it is not read to its end
	closed  bool      // its last record is that of a process that ended in good order
	rowsTo  lines[uint64]
	files   lines[map[uint32]*logFile]
}

func newPast(st *Stream) *past {
	p := &past{st: st}
	for k := range p.files {
		p.files[k] = make(map[uint32]*logFile)
	}
	return p
}

// replay takes all whole records; what follows the first damaged one is not looked at.
func (p *past) replay(b []byte) {
	for {
		t, body, rest, ok := nextRecord(b)
		if !ok {
			p.damaged = !torn(b)
			return
		}
		if err := p.take(t, body); err != nil {
			p.damaged = true
			p.st.owner.o.Log.Warn("journal ends early", slog.String("stream", p.st.name), slog.Any("error", err))
			return
		}
		b = rest
	}
}

var errOrder = errors.New("packager: journal record out of place")

func (p *past) take(t recordType, body []byte) error {
	if !p.begun && t != recHeader {
		return errOrder
	}
	switch t {
	case recHeader:
		var h headerRecord
		if err := json.Unmarshal(body, &h); err != nil {
			return err
		}
		if h.Version != journalVersion || h.Stream != p.st.name {
			return fmt.Errorf("packager: journal of version %d, stream %q", h.Version, h.Stream)
		}
		p.begun, p.boot = true, h.Boot
		return nil
	case recNumbers:
		return json.Unmarshal(body, &p.numbers)
	case recSession:
		return p.takeSession(body)
	default:
		if p.session == nil {
			return errOrder
		}
		return p.takeOfSession(t, body)
	}
}

func (p *past) takeSession(body []byte) error {
	var rec sessionRecord
	if err := json.Unmarshal(body, &rec); err != nil {
		return err
	}
	if rec.ID == "" || p.session != nil {
		return errOrder
	}
	p.session = p.st.emptySession(rec.ID, rec.Grant, time.UnixMilli(rec.StartMS).UTC())
	p.session.base, p.session.discs = rec.BaseMSN, rec.Discontinuities
	return nil
}

func (p *past) takeOfSession(t recordType, body []byte) error {
	s := p.session
	p.closed = p.closed && t == recRows
	switch t {
	case recConstants:
		var rec constantsRecord
		if err := json.Unmarshal(body, &rec); err != nil {
			return err
		}
		if rec.Target < 1 || rec.Target > 60 || rec.PartTarget < 0 || rec.PartTarget > time.Second {
			return errOrder
		}
		s.decided = rec.constants()
		s.config = &playlist.Config{Target: rec.Target, PartTarget: rec.PartTarget, Window: s.o.Window}
	case recEpoch:
		var rec epochRecord
		if err := json.Unmarshal(body, &rec); err != nil {
			return err
		}
		return p.takeEpoch(rec)
	case recPlan:
		return p.takePlan(body)
	case recRung:
		return p.takeRung(body)
	case recOpen:
		return p.takeOpen(body)
	case recPart:
		return p.takePart(body)
	case recSegment:
		return p.takeSegment(body)
	case recTrim:
		if len(body) != 8 {
			return errRecord
		}
		for _, r := range s.renditions {
			if r != nil {
				r.drop(beUint64(body))
			}
		}
	case recAway:
		var rec awayRecord
		if err := json.Unmarshal(body, &rec); err != nil {
			return err
		}
		s.away, s.awayAt, p.closed = true, time.UnixMilli(rec.AtMS), rec.Closed
	case recRows:
		k, msn, err := decodeRows(body)
		if err != nil {
			return err
		}
		p.rowsTo[k] = max(p.rowsTo[k], msn)
	case recEnd:
		var rec endRecord
		if err := json.Unmarshal(body, &rec); err != nil {
			return err
		}
		p.ended, p.endedAt = true, time.UnixMilli(rec.AtMS)
	default:
		return fmt.Errorf("packager: journal record of unknown type %q", byte(t))
	}
	return nil
}

func (p *past) takeEpoch(rec epochRecord) error {
	s := p.session
	s.epochs = append(s.epochs, rec)
	s.away = false
	p.numbers.LastEpoch = max(p.numbers.LastEpoch, rec.ID)
	for k := range rec.Tracks {
		if rec.Tracks[k].Codec == "" {
			continue
		}
		t, err := trackOf(rec.Tracks[k])
		if err != nil {
			return err
		}
		r := s.renditions[k]
		if r == nil {
			r = s.newRendition(s.lineName(cut.Line(k)), cut.Line(k))
			s.renditions[k] = r
		}
		r.track = t
		r.inits[rec.ID] = rec.Tracks[k].Init
	}
	return nil
}

func (p *past) takeOpen(body []byte) error {
	k, o, file, err := decodeOpen(body)
	if err != nil {
		return err
	}
	r := p.session.renditions[k]
	if r == nil || !r.follows(&o) || o.msn < p.session.base || o.early.Abs() > maxLength {
		return errOrder
	}
	o.date = p.session.start.Add(o.start + o.early)
	o.file = p.file(r, file)
	r.open, r.parts, r.disc = &o, nil, o.disc
	return nil
}

// follows tells whether a segment may come next: its number follows the last one's, and it does not go back in time. The
// checksum finds damage; this keeps what a faulty writer left from being taken for a number.
func (r *Rendition) follows(o *stored) bool {
	const (
		maxMSN  = 1 << 53
		maxTime = 10 * 365 * 24 * time.Hour
	)
	if o.msn >= maxMSN || o.start < 0 || o.start > maxTime || o.offset < 0 {
		return false
	}
	n := len(r.list)
	return n == 0 || o.msn == r.list[n-1].msn+1 && o.start >= r.list[n-1].start
}

// maxLength bounds the length of a part or segment in a journal.
const maxLength = time.Minute

// file is the file of that number.
func (p *past) file(r *Rendition, n uint32) *logFile {
	if n == noFile {
		return nil
	}
	f := p.files[r.line][n]
	if f == nil {
		// A segment was begun in it at least, else the journal would not name it: it is never taken for one that never had any.
		f = &logFile{n: int(n), key: r.log.prefix(int(n)), begun: 1, closed: true}
		p.files[r.line][n] = f
	}
	r.log.next = max(r.log.next, int(n)+1)
	return f
}

func (p *past) takePart(body []byte) error {
	k, part, listed, err := decodePart(body)
	if err != nil {
		return err
	}
	r := p.session.renditions[k]
	if r == nil || r.open == nil || part.Duration <= 0 || part.Duration > maxLength {
		return errOrder
	}
	r.open.size += int64(part.Size)
	r.open.ends = append(r.open.ends, uint32(r.open.size))
	r.open.listed = listed
	r.parts = append(r.parts, part)
	return nil
}

func (p *past) takeSegment(body []byte) error {
	k, seg, file, err := decodeSegment(body)
	if err != nil {
		return err
	}
	r := p.session.renditions[k]
	if r == nil || r.open == nil || seg.Duration <= 0 || seg.Duration > maxLength || seg.Bytes < 0 {
		return errOrder
	}
	o := r.open
	o.file = p.file(r, file)
	o.size = seg.Bytes
	seg.MSN, seg.Epoch, seg.ProgramDate, seg.Discontinuity = o.msn, o.epoch, o.date, o.discontinuity
	seg.Parts = r.listedParts()
	r.complete(&seg)
	p.count(r, o)
	return nil
}

// count takes a complete segment into what is measured over the session.
func (p *past) count(r *Rendition, o *stored) {
	if o.file != nil {
		o.file.refs++
	}
	if !o.seg.Gap {
		r.rate.add(o.size, o.seg.Duration)
	}
	r.dependent = r.dependent || !o.seg.Gap && !o.seg.Independent
	p.numbers.NextMSN = max(p.numbers.NextMSN, o.msn+1)
	p.numbers.Discontinuities = max(p.numbers.Discontinuities, o.disc)
}

// drop forgets segments before msn, while nothing runs yet.
func (r *Rendition) drop(msn uint64) {
	n := r.index(msn)
	for _, o := range r.list[:n] {
		if o.file != nil {
			o.file.refs--
		}
	}
	r.list = r.list[n:]
	r.first = max(r.first, msn)
}

func (s *session) refersTo(key string) bool {
	for _, r := range s.renditions {
		if r == nil {
			continue
		}
		for _, o := range r.list {
			if o.file != nil && o.file.key == key {
				return true
			}
		}
	}
	return false
}

// cutterOf is the cutter with which a session goes on.
func (s *session) cutterOf(next uint64, longest time.Duration) *cut.Cutter {
	cfg := cut.Config{
		SegmentTarget: s.o.SegmentTarget, PartTarget: s.o.PartTarget, LongestGOP: longest, Constants: s.decided,
	}
	if next > s.base {
		cfg.FirstSeq = int64(next - s.base)
	}
	if s.plan != nil {
		cfg.Leads, cfg.Rungs, cfg.RungFrame = s.plan.Leads, followers(s.plan), frameOf(s.plan)
		cfg.RungTracks = make([]*media.Track, cfg.Rungs)
		for i := range cfg.RungTracks {
			if r := s.renditions[int(cut.FirstRung)+i]; r != nil {
				cfg.RungTracks[i] = r.track
			}
		}
	}
	for k, r := range s.renditions[:media.Kinds] {
		if r != nil {
			cfg.Tracks[k] = r.track
		}
	}
	return cut.New(cfg, s)
}
