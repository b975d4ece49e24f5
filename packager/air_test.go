package packager

import (
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Eyevinn/mp4ff/mp4"
	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/live"
	"mediad/media"
	"mediad/packager/playlist"
	"mediad/store/blob"
	"mediad/store/blob/memory"
)

func TestMain(m *testing.M) { testx.Main(m) }

// air plays a broadcast into a session, event by event, and looks at everything that viewers could after each.
type air struct {
	t       testing.TB
	now     time.Time
	store   blob.Store
	streams *Streams
	stream  *Stream
	session *session
	id      string
	start   time.Time
	epochs  int
	lastID  int64
	seen    map[string]*viewer
	events  int
	rungs   []*rung // what is encoded
	blind   bool    // nobody looks
}

// viewer is what one rendition has shown.
type viewer struct {
	window *playlist.Window
	parts  map[mediaName]uint64 // hash of every part and segment that was listed
	ends   map[int64]uint64     // decode time at which the newest fragment of an epoch ends
}

type mediaName struct {
	epoch int64
	msn   uint64
	part  int
}

var testStart = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func newAir(t testing.TB, o Options) *air {
	a := &air{t: t, now: testStart, seen: make(map[string]*viewer), id: "s1", start: testStart}
	if o.Blobs == nil {
		o.Blobs = memory.New(memory.Options{MaxBytes: 1 << 30})
	}
	a.store = o.Blobs
	o.Now = func() time.Time { return a.now }
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	a.streams = NewStreams(o)
	a.stream = a.streams.stream("demo")
	a.session = a.stream.newSession(a.id, live.Grant{StreamID: "1", Stream: "demo", KeyID: "k"}, a.start)
	a.session.ctx = context.Background()
	a.session.feed = a.streams.openFeed(a.id, func() {})
	return a
}

func (a *air) handle(e live.Event) {
	a.session.drain()
	a.session.handle(e)
	a.look()
}

func (a *air) epoch(start time.Duration, tracks [media.Kinds]*media.Track) {
	a.now = maxTime(a.now, a.start.Add(start))
	a.lastID = max(a.lastID+1, a.now.UnixMilli())
	a.handle(live.Event{Kind: live.EventEpoch, Epoch: &live.Epoch{
		ID: a.lastID, Index: a.epochs, Tracks: tracks, Start: start, StartedAt: a.now,
	}})
	a.epochs++
	for _, r := range a.rungs {
		r.begin(a, tracks[media.Video])
	}
}

func maxTime(x, y time.Time) time.Time {
	if x.Before(y) {
		return y
	}
	return x
}

// units plays units, moved by offset on the line of session time.
func (a *air) units(tracks [media.Kinds]*media.Track, units []media.AccessUnit, offset time.Duration) {
	for _, u := range units {
		scale := tracks[u.Kind].Timescale
		u.DTS += scale.Ticks(offset)
		u.PTS += scale.Ticks(offset)
		a.now = maxTime(a.now, a.start.Add(scale.Duration(u.DTS)))
		for _, r := range a.rungs {
			if u.Kind == media.Video {
				r.take(u)
			}
			r.deliver(a)
		}
		a.handle(live.Event{Kind: live.EventUnit, Unit: u})
	}
}

func (a *air) away() { a.handle(live.Event{Kind: live.EventAway, Reason: live.ReasonConnectionLost}) }
func (a *air) end()  { a.handle(live.Event{Kind: live.EventEnd, Reason: live.ReasonPublisherStopped}) }

// look checks every new window and what it lists.
func (a *air) look() {
	st, ok := a.streams.Stream("demo")
	if !ok || a.blind {
		return
	}
	names := []string{sourceName, audioName}
	for _, r := range a.rungs {
		names = append(names, r.Name)
	}
	for _, name := range names {
		r, ok := st.Rendition(name)
		if !ok {
			continue
		}
		v := a.seen[name]
		if v == nil {
			v = &viewer{parts: make(map[mediaName]uint64), ends: make(map[int64]uint64)}
			a.seen[name] = v
		}
		w := r.Window()
		if w == nil || w == v.window {
			continue
		}
		require.Empty(a.t, broken(v.window, w), "%s:\n%s", name, w.Render(playlist.SkipNo, false))
		if v.window != nil {
			select {
			case <-v.window.Next():
			default:
				require.Fail(a.t, "an old window was not superseded")
			}
		}
		if old := v.window; old != nil && !w.Spec().Away && !old.Spec().Away && !w.Spec().Ended {
			msn, part := w.Edge()
			if m, p := old.Edge(); m == msn && p == part && r.list[0].msn <= old.Spec().Segments[0].MSN {
				require.Equal(a.t, old.Spec().Segments[0].MSN, w.Spec().Segments[0].MSN,
					"%s: answers to the same directives begin with the same segment", name)
			}
		}
		a.listsAll(name, v.window, w)
		v.window = w
		a.foretells(name, w)
		a.load(r, v)
	}
}

// broken are the rules that w breaks. Whether dates are right tell the bytes, see read: they are of presentation, while durations are of
// decoding, and where pictures that come after a segment are shown before its end the two differ.
func broken(prev, w *playlist.Window) (out []string) {
	err := playlist.CheckWindow(prev, w)
	if err == nil {
		return nil
	}
	for _, line := range strings.Split(err.Error(), "\n") {
		if !strings.HasPrefix(line, "date-drifts: ") {
			out = append(out, line)
		}
	}
	return out
}

// listsAll checks that no segment is listed as complete before all its parts were: players that have those before it want the last. A gap
// behind it says that they are to leave.
func (a *air) listsAll(name string, old, w *playlist.Window) {
	if old == nil || old.Spec().Away || w.Spec().Ended {
		return
	}
	text := string(w.Render(playlist.SkipNo, false))
	for i, s := range w.Spec().Segments {
		if slices.ContainsFunc(w.Spec().Segments[i:], func(s *playlist.Segment) bool { return s.Gap }) {
			continue
		}
		if n := len(s.Parts); n > 0 && s.MSN > old.LastMSN() {
			part := fmt.Sprintf("part_%d_%d_%d.m4s", s.Epoch, s.MSN, n-1)
			listed := string(old.Render(playlist.SkipNo, false))
			require.True(a.t, strings.Contains(text, part) || strings.Contains(listed, part), "%s: part %d of %d:\n%s", name, n-1, s.MSN, text)
		}
	}
}

// foretells checks that players of parts are told what comes next, and where they find others.
func (a *air) foretells(name string, w *playlist.Window) {
	text := string(w.Render(playlist.SkipNo, false))
	spec := w.Spec()
	if spec.Away || spec.Ended || !strings.Contains(text, "#EXT-X-PART:") {
		return
	}
	require.Contains(a.t, text, "#EXT-X-PRELOAD-HINT:TYPE=PART", "%s:\n%s", name, text)
	for _, r := range spec.Reports {
		other, ok := a.stream.Rendition(r.Rendition)
		if !ok || r.LastPart >= 0 {
			continue
		}
		require.NotContains(a.t, string(other.Window().Render(playlist.SkipNo, false)), "#EXT-X-PART:",
			"%s has no part of %s, which lists some", name, r.Rendition)
	}
}

// load fetches what the window lists and compares with what was loaded before.
func (a *air) load(r *Rendition, v *viewer) {
	spec := v.window.Spec()
	for _, s := range spec.Segments {
		if s.Gap {
			_, ok := r.Media(s.Epoch, s.MSN, -1)
			require.False(a.t, ok)
			continue
		}
		_, ok := r.Init(s.Epoch)
		require.True(a.t, ok)
		name := mediaName{s.Epoch, s.MSN, -1}
		if _, known := v.parts[name]; known && s != spec.Segments[len(spec.Segments)-1] && a.events%50 != 0 {
			continue
		}
		whole := a.fetch(r, v, name)
		require.Len(a.t, whole, int(s.Bytes))
		var parts []byte
		for i := range s.Parts {
			parts = append(parts, a.fetch(r, v, mediaName{s.Epoch, s.MSN, i})...)
		}
		if len(s.Parts) > 0 {
			require.True(a.t, bytes.Equal(whole, parts), "a segment is its parts")
		}
	}
	a.events++
	if o := spec.Open; o != nil {
		for i := range o.Parts {
			a.fetch(r, v, mediaName{o.Epoch, o.MSN, i})
		}
	}
	if h := spec.Hint; h != nil {
		_, ok := r.Media(h.Epoch, h.MSN, h.Part)
		require.False(a.t, ok, "what is hinted at is not there yet")
	}
}

func (a *air) fetch(r *Rendition, v *viewer, n mediaName) []byte {
	m, ok := r.Media(n.epoch, n.msn, n.part)
	require.True(a.t, ok, "%s %v", r.name, n)
	b := m.Bytes
	if b == nil {
		in, err := a.store.Open(context.Background(), m.Key, m.Offset, m.Size)
		require.NoError(a.t, err)
		b, err = io.ReadAll(in)
		require.NoError(a.t, err)
		require.NoError(a.t, in.Close())
	}
	require.Len(a.t, b, int(m.Size))
	h := fnv.New64a()
	_, _ = h.Write(b)
	sum := h.Sum64()
	old, known := v.parts[n]
	if known {
		require.Equal(a.t, old, sum, "what was published never changes: %s %v", r.name, n)
	} else {
		v.parts[n] = sum
		if n.part >= 0 {
			a.read(r, v, n, b)
		}
	}
	return b
}

// read checks a part with an independent reader: decode times go on without a gap, durations are what the playlist
// says.
func (a *air) read(r *Rendition, v *viewer, n mediaName, b []byte) {
	f, err := mp4.DecodeFile(bytes.NewReader(b))
	require.NoError(a.t, err)
	require.Len(a.t, f.Segments, 1)
	frag := f.Segments[0].Fragments[0]
	base := frag.Moof.Traf.Tfdt.BaseMediaDecodeTime()
	samples, err := frag.GetFullSamples(nil)
	require.NoError(a.t, err)
	var total uint64
	shown := samples[0].PresentationTime()
	for i := range samples {
		total += uint64(samples[i].Dur)
		shown = min(shown, samples[i].PresentationTime())
	}
	if end, ok := v.ends[n.epoch]; ok && n.part > 0 {
		require.Equal(a.t, end, base, "decode times go on: %s %v", r.name, n)
	}
	v.ends[n.epoch] = base + total
	p := a.part(v, n)
	scale := a.timescale(r, n.epoch)
	require.Equal(a.t, p.Duration, scale.Duration(media.Ticks(base+total))-scale.Duration(media.Ticks(base)))
	if n.part == 0 {
		date := a.date(v, n)
		at := a.start.Add(scale.Duration(media.Ticks(base)))
		if date != at { // pictures are not in order, or one begins early
			at = a.start.Add(scale.Duration(media.Ticks(shown)))
			if earliest := a.start.Add(scale.Duration(media.Ticks(base)) - 75*time.Millisecond); at.Before(earliest) {
				at = earliest // others would be too far from it
			}
		}
		require.Equal(a.t, at, date, "one constant between dates and media time")
	}
	require.Equal(a.t, p.Independent, samples[0].IsSync(), "%s %v", r.name, n)
}

// timescale is what the epoch's init segment says.
func (a *air) timescale(r *Rendition, epoch int64) media.Timescale {
	b, ok := r.Init(epoch)
	require.True(a.t, ok)
	f, err := mp4.DecodeFile(bytes.NewReader(b))
	require.NoError(a.t, err)
	return media.Timescale(f.Moov.Trak.Mdia.Mdhd.Timescale)
}

func (a *air) part(v *viewer, n mediaName) playlist.Part {
	return a.segment(v, n).Parts[n.part]
}

func (a *air) date(v *viewer, n mediaName) time.Time { return a.segment(v, n).ProgramDate }

func (a *air) segment(v *viewer, n mediaName) *playlist.Segment {
	spec := v.window.Spec()
	if o := spec.Open; o != nil && o.MSN == n.msn {
		return o
	}
	for _, s := range spec.Segments {
		if s.MSN == n.msn {
			return s
		}
	}
	require.Fail(a.t, "not listed", "%v", n)
	return nil
}

// together checks what all renditions share.
func (a *air) together() {
	a.sameSegments(a.seen[sourceName], a.seen[audioName])
	for _, r := range a.rungs {
		a.sameSegments(a.seen[sourceName], a.seen[r.Name])
	}
}

func (a *air) sameSegments(v, w *viewer) {
	if v == nil || w == nil {
		return
	}
	vs, ws := v.window.Spec(), w.window.Spec()
	require.Equal(a.t, vs.Config, ws.Config)
	last := min(v.window.LastMSN(), w.window.LastMSN())
	byMSN := make(map[uint64]*playlist.Segment)
	for _, s := range vs.Segments {
		byMSN[s.MSN] = s
	}
	for _, s := range ws.Segments {
		o := byMSN[s.MSN]
		if o == nil || s.MSN > last {
			continue
		}
		require.Equal(a.t, o.Epoch, s.Epoch)
		require.Equal(a.t, o.Discontinuity, s.Discontinuity)
		require.Less(a.t, o.ProgramDate.Sub(s.ProgramDate).Abs(), 101*time.Millisecond)
	}
}
