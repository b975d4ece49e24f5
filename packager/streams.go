package packager

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"mediad/live"
	"mediad/media"
	"mediad/packager/cut"
	"mediad/packager/playlist"
	"mediad/store/blob"
)

// Streams packages sessions and answers for what they published.
type Streams struct {
	o      Options
	append blob.Appender
	rows   rowBatch
	trash  trash

	mu      sync.Mutex // guards what follows
	streams map[string]*Stream
	feeds   map[string]*feed // of the sessions that run, by ID
}

// NewStreams returns Streams that package nothing yet. It panics if o.Blobs is no blob.Appender: that is a fault of the
// caller's wiring.
func NewStreams(o Options) *Streams {
	o = o.withDefaults()
	appender, ok := o.Blobs.(blob.Appender)
	if !ok {
		panic("packager: Options.Blobs cannot append")
	}
	return &Streams{
		o: o, append: appender, streams: make(map[string]*Stream), feeds: make(map[string]*feed),
		rows: rowBatch{sink: o.Segments, log: o.Log, spill: &rowSpill{store: o.Blobs, log: o.Log}},
	}
}

// Stream is one stream: what readers see of its newest session, and the numbers that outlive sessions.
type Stream struct {
	owner   *Streams
	name    string
	set     atomic.Pointer[set]
	journal *journal

	mu         sync.Mutex // guards what follows
	prev       *set       // of the session before, which may still be fetched
	running    bool
	resumable  *session      // from the journal, until its session is run
	newest     string        // the session that the journal tells of
	nextMSN    uint64        // 0: not known
	discs      uint64        // discontinuities so far
	lastEpoch  int64         // 0: not known
	rowsTo     lines[uint64] // the sink has the rows up to here
	rowsGiven  bool          // some will not be sent by this process
	longestGOP time.Duration // of the last session
}

// Close lets go of the files of recovered sessions that were never run. Nothing may run.
func (s *Streams) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.streams {
		st.journal.stop()
	}
}

// Stream returns a stream that has, or had a while ago, something published.
func (s *Streams) Stream(name string) (*Stream, bool) {
	s.mu.Lock()
	st := s.streams[name]
	s.mu.Unlock()
	if st == nil || st.set.Load() == nil {
		return nil, false
	}
	return st, true
}

// Unstored tells whether rows of a session still wait for the sink.
func (s *Streams) Unstored(session string) bool { return s.rows.has(session) }

// Oldest is the lowest number that the playlists of a stream's session may name; false: none of that session is shown.
func (s *Streams) Oldest(name, session string) (msn uint64, ok bool) {
	s.mu.Lock()
	st := s.streams[name]
	s.mu.Unlock()
	if st == nil {
		return 0, false
	}
	st.mu.Lock()
	shown := [...]*set{st.set.Load(), st.prev}
	st.mu.Unlock()
	for _, t := range shown {
		if t == nil || t.session != session {
			continue
		}
		for _, r := range t.renditions {
			r.mu.RLock()
			if len(r.list) > 0 && (!ok || r.list[0].msn < msn) {
				msn, ok = r.list[0].msn, true
			}
			r.mu.RUnlock()
		}
	}
	return msn, ok
}

// LastEpoch is the newest epoch that is known of a stream, 0 if there is none.
func (s *Streams) LastEpoch(name string) int64 {
	s.mu.Lock()
	st := s.streams[name]
	s.mu.Unlock()
	if st == nil {
		return 0
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.lastEpoch
}

// stream returns the stream of that name, new if need be.
func (s *Streams) stream(name string) *Stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[name]
	if st == nil {
		st = &Stream{owner: s, name: name}
		st.journal = newJournal(s, name)
		s.streams[name] = st
	}
	return st
}

// Multivariant is the stream's multivariant playlist, live or over the DVR range; false unless it is on air.
func (st *Stream) Multivariant(dvr bool) (playlist.Document, bool) {
	t := st.set.Load()
	if t == nil || t.ended.Load() {
		return playlist.Document{}, false
	}
	d := t.docs.Load()
	if d == nil {
		return playlist.Document{}, false
	}
	if dvr {
		return d.dvr, true
	}
	return d.live, true
}

// Variants are the renditions that the multivariant playlist names, best first, and the sound behind them, as measured when it was
// made. None unless the stream is on air.
func (st *Stream) Variants() []playlist.Variant {
	t := st.set.Load()
	if t == nil || t.ended.Load() {
		return nil
	}
	d := t.docs.Load()
	if d == nil {
		return nil
	}
	out := slices.Clone(d.made.Video)
	if a := d.made.Audio; a != nil {
		out = append(out, *a)
	}
	return out
}

// Rendition is the rendition of that name.
func (st *Stream) Rendition(name string) (*Rendition, bool) {
	r := st.rendition(name)
	return r, r != nil
}

func (st *Stream) rendition(name string) *Rendition { return st.set.Load().rendition(name) }

// Run packages one session. It returns nil after the session's end, and when ctx ends: then the session can be
// resumed after a restart.
func (s *Streams) Run(ctx context.Context, live *live.Session) error {
	st := s.stream(live.Stream())
	if !st.take() {
		return errors.New("packager: a session of this stream is running")
	}
	defer st.give()
	defer st.journal.stop()
	sess := st.resume(live.ID(), live.Restored() != nil)
	if sess == nil {
		sess = st.newSession(live.ID(), live.Grant(), live.Start())
	}
	all := live.Subscribe(packagerPolicy)
	sub := Subscription(all)
	if s.o.Convert != nil {
		sub = s.o.Convert(all)
	}
	defer sub.Close()
	sess.live, sess.feed = live, s.openFeed(live.ID(), all.Nudge)
	defer s.closeFeed(live.ID())
	if sess.plan != nil {
		sess.feed.name(sess.plan)
	}
	defer func() {
		sess.encoder.stop(sess.feed)
		sess.encoder.all.Wait()
	}()
	sess.encoding = ctx
	whole := false
	defer func() {
		if !whole { // it panicked: whoever runs us ends the session
			sess.abort()
		}
	}()
	err := sess.run(ctx, sub)
	whole = true
	s.rows.flush() // who waits for the session's end finds all its rows
	if err != nil {
		return fmt.Errorf("package session %s: %w", live.ID(), err)
	}
	if n := all.Drops().Total(); n > 0 {
		sess.log.Error("packager was too slow for its source", slog.Uint64("units", n))
	}
	return nil
}

const packagerPolicy = live.PackagerPolicy

func (st *Stream) take() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.running {
		return false
	}
	st.running = true
	return true
}

func (st *Stream) give() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.running = false
}

// resume is the session that the journal knows, if the one with that id is its continuation.
func (st *Stream) resume(id string, restored bool) *session {
	st.mu.Lock()
	sess := st.resumable
	st.resumable = nil
	st.mu.Unlock()
	if sess == nil || !restored || sess.id != id {
		return nil
	}
	return sess
}

// newSession begins a session after the stream's last one.
func (st *Stream) newSession(id string, g live.Grant, start time.Time) *session {
	last, ok := st.owner.o.Elsewhere(g.StreamID) // may be slow: no lock is held
	st.mu.Lock()
	if ok && last.MSN >= st.nextMSN { // another node had the stream last
		// Rows are written behind, and no segment is shorter than a second: so these numbers were used by nobody.
		st.nextMSN = last.MSN + 1 + uint64(max(st.owner.o.Now().Sub(last.Start), 0)/time.Second)
		st.discs = max(st.discs, last.Discontinuities)
	}
	s := st.emptySession(id, g, start)
	s.base, s.discs, st.newest = st.nextMSN, st.discs, id
	if s.base == 0 {
		s.base = uint64(st.owner.o.Now().Unix())
	} else {
		s.discs++ // the break between two sessions is one
	}
	longest := st.longestGOP
	st.mu.Unlock()
	s.cutter = cut.New(cut.Config{
		SegmentTarget: s.o.SegmentTarget, PartTarget: s.o.PartTarget, LongestGOP: longest,
	}, s)
	st.journal.session(s)
	return s
}

func (st *Stream) emptySession(id string, g live.Grant, start time.Time) *session {
	o := &st.owner.o
	return &session{
		stream: st, o: o, id: id, grant: g, start: start,
		log: o.Log.With(slog.String("stream", st.name), slog.String("session", id)),
	}
}

func (st *Stream) sawEpoch(id int64) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.lastEpoch = max(st.lastEpoch, id)
}

func (st *Stream) sawSegment(msn, discs uint64) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.nextMSN = max(st.nextMSN, msn+1)
	st.discs = max(st.discs, discs)
}

// ended notes a session's end.
func (st *Stream) ended(s *session, reason live.Reason) {
	st.mu.Lock()
	if g := s.cutter.LongestGOP(); g > 0 {
		st.longestGOP = g
	}
	st.mu.Unlock()
	if s.set == nil { // nobody ever saw it
		for _, r := range s.renditions {
			if r != nil {
				r.log.close()
				r.discard()
			}
		}
	}
	st.journal.end(s.o.Now(), st, reason)
	s.log.Info("stream ended", slog.String("reason", string(reason)))
}

// RunJanitor does every few seconds what need not be done at once, until ctx ends: it should be told to stop last, since sessions
// that end have rows. Rows have a goroutine of their own, as a sink that is away may take its time to say so.
func (s *Streams) RunJanitor(ctx context.Context) error {
	var rows sync.WaitGroup
	rows.Go(func() {
		each(ctx, rowsInterval, s.rows.flush)
		s.rows.flush()
	})
	each(ctx, tidyInterval, func() { s.tidy(ctx) })
	rows.Wait()
	return nil
}

const (
	rowsInterval = time.Second
	// tidyInterval is how much of a journal a crash of the machine may take: far below the time that the numbers are then put
	// ahead by. Each sync costs a stream a fiftieth of its processor time a second.
	tidyInterval = 5 * time.Second
)

func each(ctx context.Context, interval time.Duration, do func()) {
	t := time.NewTicker(interval)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			do()
		}
	}
}

func (s *Streams) tidy(ctx context.Context) {
	s.mu.Lock()
	all := make([]*Stream, 0, len(s.streams))
	for _, st := range s.streams {
		all = append(all, st)
	}
	s.mu.Unlock()
	now := s.o.Now()
	rewrites := 0
	for _, st := range all {
		st.journal.sync()
		st.expire(now)
		if rewrites < compactAtOnce && st.compact(now) {
			rewrites++
		}
	}
	s.trash.empty(ctx, s.o.Blobs, s.o.Log)
}

// compactAtOnce is how many journals are written anew at a time, so that the others are not synced late.
const compactAtOnce = 4

// compact leaves of the journal of a stream that nobody looks at any more what outlives sessions, and reports whether it
// was time to. A start reads every journal there is.
func (st *Stream) compact(now time.Time) bool {
	attempt, ok := st.journal.resting(now)
	if !ok {
		return false
	}
	st.mu.Lock()
	busy := st.running || st.resumable != nil || st.nextMSN == 0 || st.rowsGiven // which the next process sends
	newest := st.newest
	st.mu.Unlock()
	if busy || st.set.Load() != nil || st.owner.rows.has(newest) {
		return false
	}
	st.journal.compact(attempt, st.records(nil))
	return true
}

// expire forgets an ended session that was served for long enough, and the one before the newest.
func (st *Stream) expire(now time.Time) {
	if t := st.set.Load(); t != nil && t.expired(now, st.owner.o.EndedFor) && st.set.CompareAndSwap(t, nil) {
		t.discard()
	}
	st.mu.Lock()
	old := st.prev
	if old == nil || !old.expired(now, st.owner.o.EndedFor) {
		st.mu.Unlock()
		return
	}
	st.prev = nil
	st.mu.Unlock()
	st.forget(old)
}

// replace puts the set of a new session, or one with more renditions, in place of the one before.
func (st *Stream) replace(t *set, sameSession bool) {
	old := st.set.Swap(t)
	if sameSession || old == nil {
		return
	}
	// A session that was stopped hard never told its end; from here on it is as if it had.
	now := st.owner.o.Now().UnixNano()
	for _, r := range old.renditions {
		r.endedAt.CompareAndSwap(0, now)
	}
	old.ended.Store(true)
	st.mu.Lock()
	older := st.prev
	st.prev = old
	st.mu.Unlock()
	st.forget(older)
}

// forget lets nobody see a past session any more and deletes its files.
func (st *Stream) forget(old *set) {
	if old == nil {
		return
	}
	if t := st.set.Load(); t != nil {
		for _, r := range t.renditions {
			r.mu.Lock()
			if r.prev != nil && old.rendition(r.name) == r.prev {
				r.prev = nil
			}
			r.mu.Unlock()
		}
	}
	old.discard()
}

// discard deletes the files of a session that nobody can see any more. The session is over.
func (t *set) discard() {
	for _, r := range t.renditions {
		r.discard()
	}
}

func (r *Rendition) discard() {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := make(map[*logFile]bool)
	for _, s := range r.list {
		if s.file != nil && !seen[s.file] {
			seen[s.file] = true
			r.log.trash(s.file.key)
		}
	}
	r.list, r.prev = nil, nil
}

// expired tells whether the rendition's session ended that long ago.
func (r *Rendition) expired(now time.Time, after time.Duration) bool {
	at := r.endedAt.Load()
	return at != 0 && now.UnixNano()-at >= int64(after)
}

// trash are keys to be deleted.
type trash struct {
	mu   sync.Mutex
	keys []string
}

func (t *trash) add(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.keys = append(t.keys, key)
}

func (t *trash) empty(ctx context.Context, store blob.Store, log *slog.Logger) {
	t.mu.Lock()
	keys := t.keys
	t.keys = nil
	t.mu.Unlock()
	for _, k := range keys {
		if err := store.Delete(ctx, k); err != nil && ctx.Err() == nil {
			log.Warn("delete segments", slog.String("object", k), slog.Any("error", err))
		}
	}
}

// hadTracks tells which renditions the session has.
func (s *session) hadTracks() (had [2]bool) {
	for k := range media.Kinds {
		had[k] = s.renditions[k] != nil
	}
	return had
}
