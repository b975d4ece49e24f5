package origin_test

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"mediad/packager/origin"
	"mediad/packager/playlist"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeSource is one stream in memory. Tests move it on by hand.
type fakeSource struct {
	name   string
	stream *fakeStream
}

func (s *fakeSource) Stream(name string) (origin.Stream, bool) {
	if name != s.name {
		return nil, false
	}
	return s.stream, true
}

type fakeStream struct {
	renditions map[string]*fakeRendition
}

func (s *fakeStream) Multivariant(dvr bool) (playlist.Document, bool) {
	if dvr {
		return playlist.NewDocument([]byte("#EXTM3U\n# over the DVR range\n")), true
	}
	return playlist.NewDocument([]byte("#EXTM3U\n")), true
}

func (s *fakeStream) Rendition(name string) (origin.Rendition, bool) {
	r, ok := s.renditions[name]
	return r, ok
}

const (
	fakeEpoch = 1_700_000_000_000
	firstMSN  = 1000
	partsEach = 5 // of 200 ms in a segment of 1 s
)

// fakeRendition makes a part a step, five parts a segment, and lists the last ten segments.
type fakeRendition struct {
	config *playlist.Config
	window atomic.Pointer[playlist.Window]

	mu       sync.Mutex
	media    map[string]playlist.Media
	segments []*playlist.Segment
	open     playlist.Segment
	epoch    int64
	away     bool
	linger   time.Duration
}

func newFakeRendition(segments int) *fakeRendition {
	r := &fakeRendition{
		config: &playlist.Config{Target: 1, PartTarget: 200 * time.Millisecond, Window: 10 * time.Second},
		media:  make(map[string]playlist.Media), epoch: fakeEpoch,
	}
	r.open.MSN = firstMSN
	for range segments * partsEach {
		r.step()
	}
	return r
}

func mediaKey(epoch int64, msn uint64, part int) string { return fmt.Sprint(epoch, msn, part) }

// partBytes is the content of a part; a segment is its parts one behind the other.
func partBytes(msn uint64, part int) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "%d.%d,", msn, part), 100)
}

// step adds a part, and ends the segment with the fifth.
func (r *fakeRendition) step() { r.steps(1) }

// steps adds parts and shows them all at once.
func (r *fakeRendition) steps(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for range n {
		r.advance()
	}
	r.publish(false)
}

// advance adds a part. mu is held.
func (r *fakeRendition) advance() {
	o := &r.open
	n := len(o.Parts)
	if n == 0 {
		o.Epoch, o.Independent = r.epoch, true
		o.ProgramDate = time.Unix(1_700_000_000, 0).Add(time.Duration(o.MSN-firstMSN) * time.Second)
	}
	b := partBytes(o.MSN, n)
	r.media[mediaKey(o.Epoch, o.MSN, n)] = playlist.Media{Bytes: b}
	o.Parts = append(o.Parts[:n:n], playlist.Part{Duration: 200 * time.Millisecond, Independent: n == 0, Size: len(b)})
	o.Duration += 200 * time.Millisecond
	if n+1 == partsEach {
		r.closeSegment()
	}
}

func (r *fakeRendition) closeSegment() {
	done := r.open
	var all []byte
	for i := range done.Parts {
		all = append(all, partBytes(done.MSN, i)...)
	}
	r.media[mediaKey(done.Epoch, done.MSN, -1)] = playlist.Media{Bytes: all}
	r.segments = append(r.segments[max(len(r.segments)-9, 0):len(r.segments):len(r.segments)], &done)
	r.open = playlist.Segment{MSN: done.MSN + 1}
}

// goAway is the publisher dropping: what is open is closed, nothing is hinted.
func (r *fakeRendition) goAway() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.open.Parts) > 0 {
		r.closeSegment()
	}
	r.away = true
	r.publish(false)
}

// comeBack begins a new epoch with the next part.
func (r *fakeRendition) comeBack() {
	r.mu.Lock()
	r.away = false
	r.epoch++
	r.open.Discontinuity = true
	r.mu.Unlock()
	r.step()
}

func (r *fakeRendition) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.publish(true)
}

func (r *fakeRendition) publish(ended bool) {
	if len(r.segments) == 0 {
		return
	}
	s := playlist.Spec{Config: r.config, Segments: r.segments, Independent: true, Ended: ended, Away: r.away}
	open := r.open
	if len(open.Parts) > 0 && !ended {
		s.Open = &open
	}
	if !ended && r.away {
		s.Linger = r.linger
	}
	if !ended && !r.away {
		s.Hint = &playlist.Hint{Epoch: r.epoch, MSN: open.MSN, Part: len(open.Parts)}
	}
	w := playlist.NewWindow(s)
	if old := r.window.Swap(w); old != nil {
		old.Supersede(w)
	}
}

func (r *fakeRendition) Window() *playlist.Window { return r.window.Load() }

func (r *fakeRendition) DVR() (playlist.Document, bool) {
	w := r.window.Load()
	if w == nil {
		return playlist.Document{}, false
	}
	return playlist.NewDocument(playlist.RenderDVR(*w.Spec())), true
}

func (r *fakeRendition) Init(epoch int64) ([]byte, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return []byte("init"), epoch >= fakeEpoch && epoch <= r.epoch
}

func (r *fakeRendition) Media(epoch int64, msn uint64, part int) (playlist.Media, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, ok := r.media[mediaKey(epoch, msn, part)]
	return m, ok
}

// tally is an Observer.
type tally struct {
	mu     sync.Mutex
	idle   bool
	served []origin.Served
	parked int
}

func (o *tally) Served(s origin.Served) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.idle {
		o.served = append(o.served, s)
	}
}

func (o *tally) Parked(delta int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.parked += delta
}

// off stops it from keeping what it sees, for benchmarks.
func (o *tally) off() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.idle = true
}

func (o *tally) last() origin.Served {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.served[len(o.served)-1]
}

// site is a handler over a stream "main" with the renditions source and audio, each with three segments and two parts.
type site struct {
	*origin.Handler
	source, audio *fakeRendition
	seen          *tally
}

func newSite(t testing.TB, change ...func(*origin.Options)) *site {
	t.Helper()
	s := &site{source: newFakeRendition(3), audio: newFakeRendition(3), seen: &tally{}}
	for _, r := range []*fakeRendition{s.source, s.audio} {
		r.step()
		r.step()
	}
	o := origin.Options{
		Source: &fakeSource{name: "main", stream: &fakeStream{renditions: map[string]*fakeRendition{
			"source": s.source, "audio": s.audio, "waiting": newFakeRendition(0),
		}}},
		Observer: s.seen,
	}
	for _, f := range change {
		f(&o)
	}
	s.Handler = origin.New(o)
	return s
}

// untilParked waits until n requests are held.
func (s *site) untilParked(t testing.TB, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return s.Parked() == n }, 5*time.Second, time.Millisecond)
}

// viewers is how many a handler has.
func viewers(s *site, stream string) (n int) {
	s.Viewers(stream, func(string, time.Duration) { n++ })
	return n
}
