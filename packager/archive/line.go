package archive

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sort"
	"time"

	"mediad/packager/playlist"
	"mediad/store/blob"
)

// line is what waits of one rendition; the one without a rendition is the stream's multivariant playlist. What it has is guarded by
// Archive.mu, but for what only who works on it touches.
type line struct {
	a    *Archive
	name lineName

	busy      bool
	ready     bool      // it is in Archive.ready
	notBefore time.Time // after a failure
	queue     []Segment // rising in MSN
	inits     []Track   // to be stored in front of them
	ends      string    // the session that ends behind the last segment
	ended     bool      // and that is to be told
	over      bool      // it was told
	main      []byte    // the multivariant playlist
	mainDirty bool
	done      uint64            // the newest MSN that is stored
	left      uint64            // the newest MSN that was left to the rows
	leftAt    time.Time         // and when
	data      map[uint64][]byte // of those that are only in memory
	stored    map[int64]bool    // epochs whose init segment is

	// What follows belongs to who works on the line.
	session string
	hidden  bool // its playlists were taken away last, as they may not be there
	window  []*playlist.Segment
	before  uint64 // discontinuities in front of the window
	target  int
	whole   bool // every listed segment begins with a random access unit
	fails   int
	panics  int // in a row
	unread  int // how often the next segment could not be read from the local disk
}

// maxUnread is how often that is tried: for half an hour. A disk may come back, but one bad segment is not to hold up its line, and in
// the end, as it waits in memory, all lines.
const maxUnread = 60

// add queues a segment, and reports whether it was new. mu is held.
func (l *line) add(s Segment) bool {
	if s.MSN <= l.done {
		return false
	}
	i := sort.Search(len(l.queue), func(i int) bool { return l.queue[i].MSN >= s.MSN })
	if i < len(l.queue) && l.queue[i].MSN == s.MSN {
		return false
	}
	if b, ok := l.data[s.MSN]; ok {
		s.Data = b
		delete(l.data, s.MSN)
	}
	l.queue = slices.Insert(l.queue, i, s)
	l.over = false
	return true
}

// leave notes a segment that is read from the rows in its turn. mu is held.
func (l *line) leave(s Segment) {
	l.left, l.leftAt, l.over = max(l.left, s.MSN), l.a.o.Now(), false
	if len(s.Data) > 0 {
		if l.data == nil {
			l.data = make(map[uint64][]byte)
		}
		l.a.data -= int64(len(l.data[s.MSN])) // it was told before
		l.data[s.MSN] = s.Data
	}
}

// behind tells whether something that was left to the rows was not read from there yet. mu is held.
func (l *line) behind() bool { return l.newest() < l.left }

// giveUpLeft forgets what was left to rows that do not come. mu is held.
func (l *line) giveUpLeft() {
	l.left = 0
	for _, b := range l.data {
		l.a.data -= int64(len(b))
	}
	l.data = nil
}

// newest is the highest MSN that is stored or waits. mu is held.
func (l *line) newest() uint64 {
	if n := len(l.queue); n > 0 {
		return l.queue[n-1].MSN
	}
	return l.done
}

// addInit queues an init segment. mu is held.
func (l *line) addInit(t Track) {
	if l.stored[t.Epoch] || slices.ContainsFunc(l.inits, func(o Track) bool { return o.Epoch == t.Epoch }) {
		return
	}
	l.inits = append(l.inits, t)
	l.over = false
}

func (l *line) addEnd(session string) { l.ends, l.ended = session, true }

func (l *line) setMain(plain []byte) { l.main, l.mainDirty, l.over = plain, true, false }

// hasWork tells whether there is something to do. mu is held.
func (l *line) hasWork() bool {
	return len(l.queue) > 0 || len(l.inits) > 0 || l.mainDirty || l.endsNow()
}

// endsNow tells whether the end is next: all in front of it was read from the rows. mu is held.
func (l *line) endsNow() bool { return l.ended && !l.a.overflow && !l.behind() }

// work does what there is to do, and stops at a failure: the next try is later, and later each time.
func (l *line) work(ctx context.Context) {
	var err error
	for more := true; more && err == nil && ctx.Err() == nil; {
		more, err = l.guarded(ctx)
	}
	a := l.a
	a.mu.Lock()
	defer a.mu.Unlock()
	l.busy = false
	if err == nil {
		l.fails = 0
		if l.hasWork() || l.over { // it came while the last thing was done
			a.poke(l)
		}
		return
	}
	const first, most = time.Second, 30 * time.Second
	wait := min(first<<min(l.fails, 10), most)
	l.fails++
	l.notBefore = a.o.Now().Add(wait/2 + rand.N(wait/2+1)) // so that lines do not all come at once
}

// maxPanics is how often in a row the same segment may panic.
const maxPanics = 3

// guarded is step; a panic is a failure of this line alone. A segment that makes it panic again and again is given up.
func (l *line) guarded(ctx context.Context) (more bool, err error) {
	defer func() {
		v := recover()
		if v == nil {
			l.panics = 0
			return
		}
		l.panics++
		l.session = "" // the window may be half made
		l.a.o.Log.Error("archive: panic", slog.String("stream", l.name.stream), slog.String("rendition", l.name.rendition), slog.Any("panic", v),
			slog.String("stack", string(debug.Stack())))
		more, err = false, errPanic
		if l.panics >= maxPanics {
			l.panics = 0
			l.giveUpFirst()
		}
	}()
	return l.step(ctx)
}

// giveUpFirst forgets what is next; its row says that it is still to be stored, so the next process tries again.
func (l *line) giveUpFirst() {
	a := l.a
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case len(l.inits) > 0:
		l.inits = l.inits[1:]
	case len(l.queue) > 0:
		s := l.queue[0]
		l.queue, l.done = l.queue[1:], s.MSN
		a.waiting--
		a.data -= int64(len(s.Data))
	default:
		l.mainDirty, l.ended, l.over = false, false, true
	}
}

// step does the next thing: init segments, segments, the end.
func (l *line) step(ctx context.Context) (more bool, err error) {
	a := l.a
	a.mu.Lock()
	var init *Track
	var seg *Segment
	main, mainDirty := l.main, l.mainDirty
	ended, ends := l.endsNow(), l.ends
	switch {
	case len(l.inits) > 0:
		t := l.inits[0]
		init = &t
	case len(l.queue) > 0:
		s := l.queue[0]
		seg = &s
	}
	a.mu.Unlock()
	switch {
	case init != nil:
		return true, l.storeInit(ctx, init)
	case seg != nil:
		return true, l.store(ctx, seg)
	case mainDirty:
		return true, l.storeMain(ctx, main)
	case ended:
		return true, l.storeEnd(ctx, ends)
	default:
		return false, nil
	}
}

// maxEpochs bounds what is remembered; what was forgotten is at most stored again.
const maxEpochs = 1000

func (l *line) storeInit(ctx context.Context, t *Track) error {
	err := l.a.put(ctx, InitKey(l.name.stream, l.name.rendition, t.Epoch), t.Init,
		blob.Meta{ContentType: mediaType(l.name.rendition), CacheControl: immutable})
	if err != nil {
		return err
	}
	l.a.mu.Lock()
	defer l.a.mu.Unlock()
	l.inits = l.inits[1:]
	if len(l.stored) == 0 || len(l.stored) > maxEpochs {
		l.stored = make(map[int64]bool)
	}
	l.stored[t.Epoch] = true
	return nil
}

// store writes a segment, notes it, and lists it.
func (l *line) store(ctx context.Context, s *Segment) error {
	err := l.restore(ctx, s.Session, s.MSN, s.Discontinuities)
	if err != nil {
		return err
	}
	lost := false
	if !s.Gap {
		err = l.copy(ctx, s)
		if lost = errors.Is(err, errLost); err != nil && !lost {
			return err
		}
	}
	l.list(s, lost)
	a := l.a
	a.mu.Lock()
	l.queue, l.done = l.queue[1:], s.MSN
	a.waiting--
	a.data -= int64(len(s.Data))
	behind := len(l.queue)
	a.rows = append(a.rows, noted{
		Stored: Stored{Session: s.Session, Rendition: s.Rendition, MSN: s.MSN, Lost: lost}, stream: s.Stream, epoch: s.Epoch,
	})
	a.mu.Unlock()
	switch {
	case lost:
		a.o.Observer.ArchiveLost()
		a.o.Log.Error("a segment is not in the bucket: it was gone from the local disk", slog.String("stream", s.Stream),
			slog.String("rendition", s.Rendition), slog.Uint64("msn", s.MSN))
	case !s.Gap:
		a.o.Observer.Archived(s.Bytes, a.o.Now().Sub(s.Start.Add(s.Duration)))
	}
	// While many wait a playlist for each would only cost time.
	const each = 8
	if behind > each && s.MSN%each != 0 {
		return nil
	}
	// The segment is stored: what fails here is made good by the next one's playlist.
	if err := l.storePlaylist(ctx, false); err != nil && ctx.Err() == nil {
		a.o.Log.Debug("classic playlist not written", slog.String("stream", s.Stream), slog.String("rendition", s.Rendition), slog.Any("error", err))
	}
	return nil
}

// copy brings a segment from the local disk, or from memory, to the bucket.
func (l *line) copy(ctx context.Context, s *Segment) error {
	key := SegmentKey(s.Stream, s.Rendition, s.Epoch, s.MSN)
	meta := SegmentMeta(s.Rendition)
	if s.Data != nil {
		return l.a.put(ctx, key, s.Data, meta)
	}
	if s.Key == "" {
		return l.storedBefore(ctx, key, s)
	}
	r, err := l.a.o.Local.Open(ctx, s.Key, s.Offset, s.Bytes)
	if errors.Is(err, blob.ErrNotExist) {
		return l.storedBefore(ctx, key, s)
	}
	if err != nil {
		return l.unreadable(s, err)
	}
	defer func() { _ = r.Close() }()
	// A segment is some hundred kilobytes: read first, it can be sent again by who retries below, and a short file is found out.
	b := make([]byte, s.Bytes)
	if _, err := io.ReadFull(r, b); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return l.storedBefore(ctx, key, s)
	} else if err != nil {
		return l.unreadable(s, err)
	}
	l.unread = 0
	return l.a.put(ctx, key, b, meta)
}

// storedBefore is errLost, unless a former process has stored the segment and did not come to note it.
func (l *line) storedBefore(ctx context.Context, key string, s *Segment) error {
	lost := false
	err := l.a.within(ctx, func(ctx context.Context) error {
		info, err := l.a.o.Bucket.Stat(ctx, key)
		if lost = errors.Is(err, blob.ErrNotExist) || err == nil && info.Size != s.Bytes; lost {
			return nil // the bucket is well
		}
		return err
	})
	if lost {
		return errLost
	}
	return err
}

// unreadable is what becomes of a segment that is on the local disk and cannot be read.
func (l *line) unreadable(s *Segment, err error) error {
	if l.unread++; l.unread >= maxUnread {
		l.unread = 0
		return errLost
	}
	if l.unread == 1 {
		l.a.o.Log.Error("a segment cannot be read from the local disk, and waits", slog.String("object", s.Key), slog.Any("error", err))
	}
	return err
}

// restore makes the window of a session that a former process began.
func (l *line) restore(ctx context.Context, session string, below, discontinuities uint64) error {
	if l.session == session {
		return nil
	}
	recent, err := l.a.o.Rows.Recent(ctx, session, l.name.rendition, below, maxListed)
	if err != nil {
		return err
	}
	l.session, l.window, l.before, l.target, l.whole = session, nil, discontinuities, 0, true
	for i := range recent {
		if i == 0 {
			l.before = recent[0].Discontinuities
		}
		l.list(&recent[i], false)
	}
	return nil
}

// maxListed bounds a playlist, whatever its window.
const maxListed = 300

// list puts a segment behind the others of the window.
func (l *line) list(s *Segment, lost bool) {
	if n := len(l.window); n > 0 && l.window[n-1].MSN+1 != s.MSN {
		l.window, l.before = nil, s.Discontinuities // a playlist has no hole in its numbers
	}
	l.target = max(l.target, s.Target)
	l.whole = l.whole && (s.Independent || s.Gap)
	l.window = append(l.window, &playlist.Segment{
		MSN: s.MSN, Epoch: s.Epoch, ProgramDate: s.Start, Duration: s.Duration, Discontinuity: s.Discontinuity,
		Gap: s.Gap || lost, Independent: s.Independent, Bytes: s.Bytes,
	})
	var have time.Duration
	from := len(l.window)
	for from > 0 && have < l.a.o.Window && len(l.window)-from < maxListed {
		from--
		have += l.window[from].Duration
	}
	for _, gone := range l.window[:from] {
		if gone.Discontinuity {
			l.before++
		}
	}
	l.window = slices.Delete(l.window, 0, from)
}

func (l *line) storePlaylist(ctx context.Context, ended bool) error {
	if len(l.window) == 0 {
		return nil
	}
	key := folder(l.name.stream, l.name.rendition) + playlist.MediaPlaylist
	if listed, err := l.listed(ctx, key); err != nil || !listed {
		return err
	}
	b := playlist.RenderDVR(playlist.Spec{
		Config: &playlist.Config{Target: l.target}, Segments: l.window, DiscontinuitySequence: l.before, Independent: l.whole, Ended: ended,
	})
	return l.a.put(ctx, key, b, playlistMeta(l.target))
}

// listed tells whether the line's playlist may lie in the bucket, and takes away what lies there if it may not. With the first answer that differs
// from the last the stream's multivariant playlist is looked at again.
func (l *line) listed(ctx context.Context, key string) (bool, error) {
	if l.a.o.Listed == nil {
		return true, nil
	}
	listed, err := l.a.o.Listed(ctx, l.name.stream)
	if err != nil || listed != l.hidden {
		return listed, err
	}
	if !listed {
		if err := l.remove(ctx, key); err != nil {
			return false, err
		}
	}
	l.hidden = !listed
	if l.name.rendition != "" {
		l.a.mu.Lock()
		defer l.a.mu.Unlock()
		main := l.a.line(l.name.stream, "")
		main.setMain(main.main)
		l.a.poke(main)
	}
	return listed, nil
}

func (l *line) remove(ctx context.Context, key string) error {
	return l.a.within(ctx, func(ctx context.Context) error { return l.a.o.Bucket.Delete(ctx, key) })
}

func (l *line) storeEnd(ctx context.Context, session string) error {
	if l.session == "" { // a former process stored it
		if err := l.restore(ctx, session, math.MaxInt64, 0); err != nil {
			return err
		}
	}
	if l.session == session {
		if err := l.storePlaylist(ctx, true); err != nil {
			return err
		}
	}
	l.a.mu.Lock()
	defer l.a.mu.Unlock()
	l.ended, l.over = l.ends != session, true
	return nil
}

func (l *line) storeMain(ctx context.Context, plain []byte) error {
	key := "live/" + l.name.stream + "/" + playlist.MediaPlaylist
	var err error
	if plain == nil {
		err = l.remove(ctx, key)
	} else {
		var listed bool
		if listed, err = l.listed(ctx, key); listed && err == nil {
			err = l.a.put(ctx, key, plain, playlistMeta(2))
		}
	}
	if err != nil {
		return err
	}
	l.a.mu.Lock()
	defer l.a.mu.Unlock()
	if string(l.main) == string(plain) {
		l.mainDirty = false
	}
	l.over = l.main == nil && !l.mainDirty
	return nil
}
