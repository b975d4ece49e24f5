package archive_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"mediad/packager/archive"
	"mediad/store/blob"
	"mediad/store/blob/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// rows are those of a database.
type rows struct {
	mu     sync.Mutex
	all    []archive.Segment
	state  map[archive.Position]string // pending, stored, lost
	tracks []archive.Track
	fail   error
	most   int // rows that were marked at once
	marks  int // calls
}

func newRows() *rows { return &rows{state: make(map[archive.Position]string)} }

func at(s *archive.Segment) archive.Position {
	return archive.Position{Session: s.Session, Rendition: s.Rendition, MSN: s.MSN}
}

func less(a, b archive.Position) bool {
	if a.Session != b.Session {
		return a.Session < b.Session
	}
	if a.Rendition != b.Rendition {
		return a.Rendition < b.Rendition
	}
	return a.MSN < b.MSN
}

func (r *rows) insert(s archive.Segment) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.Data = nil
	r.all = append(r.all, s)
	sort.Slice(r.all, func(i, j int) bool { return less(at(&r.all[i]), at(&r.all[j])) })
	r.state[at(&s)] = "pending"
}

func (r *rows) MarkStored(_ context.Context, stored []archive.Stored) (early []archive.Stored, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return nil, r.fail
	}
	r.most, r.marks = max(r.most, len(stored)), r.marks+1
	for _, s := range stored {
		p := archive.Position{Session: s.Session, Rendition: s.Rendition, MSN: s.MSN}
		switch {
		case r.state[p] == "":
			early = append(early, s)
		case s.Lost:
			r.state[p] = "lost"
		default:
			r.state[p] = "stored"
		}
	}
	return early, nil
}

func (r *rows) Pending(_ context.Context, after archive.Position, limit int) (out []archive.Segment, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.all {
		if p := at(&r.all[i]); less(after, p) && r.state[p] == "pending" && len(out) < limit {
			out = append(out, r.all[i])
		}
	}
	return out, r.fail
}

func (r *rows) Recent(_ context.Context, session, rendition string, below uint64, limit int) (out []archive.Segment, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.all {
		s := &r.all[i]
		if s.Session == session && s.Rendition == rendition && s.MSN < below && r.state[at(s)] == "stored" {
			out = append(out, *s)
		}
	}
	return out[max(len(out)-limit, 0):], r.fail
}

func (r *rows) Inits(_ context.Context, session string) (out []archive.Track, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.tracks {
		if t.Session == session {
			out = append(out, t)
		}
	}
	return out, r.fail
}

func (r *rows) count(state string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.state {
		if s == state {
			n++
		}
	}
	return n
}

// await waits, by a clock that stands while anybody works.
func await(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for range 100_000 {
		synctest.Wait()
		if cond() {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("waited in vain for %s", what)
}

// bucket holds each playlist that is written to what it promises.
type bucket struct {
	*memory.Store
	t    testing.TB
	mu   sync.Mutex
	fail func(key string) error
	last map[string]uint64 // newest MSN that a playlist listed
	puts map[string]int
}

func newBucket(t testing.TB) *bucket {
	return &bucket{Store: memory.New(memory.Options{MaxBytes: 1 << 30}), t: t, last: make(map[string]uint64), puts: make(map[string]int)}
}

func (b *bucket) Put(ctx context.Context, key string, r io.Reader, size int64, m blob.Meta) error {
	b.mu.Lock()
	fail := b.fail
	b.mu.Unlock()
	if fail != nil {
		if err := fail(key); err != nil {
			return err
		}
	}
	body, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if strings.Count(key, "/") == 3 && path.Base(key) == "index.m3u8" {
		b.judge(context.WithoutCancel(ctx), key, string(body))
	}
	b.mu.Lock()
	b.puts[key]++
	b.mu.Unlock()
	return b.Store.Put(ctx, key, bytes.NewReader(body), size, m)
}

// judge checks that all that a playlist names is there, in one line of numbers that never goes back.
func (b *bucket) judge(ctx context.Context, key, text string) {
	var msn, first uint64
	_, after, _ := strings.Cut(text, "#EXT-X-MEDIA-SEQUENCE:")
	_, err := fmt.Sscanf(after, "%d", &first)
	assert.NoError(b.t, err)
	msn = first
	gap := false
	for line := range strings.SplitSeq(text, "\n") {
		switch {
		case line == "#EXT-X-GAP":
			gap = true
		case strings.HasPrefix(line, "#EXT-X-MAP:"):
			name := strings.Trim(strings.TrimPrefix(line, "#EXT-X-MAP:URI="), `"`)
			_, err := b.Stat(ctx, path.Join(path.Dir(key), name))
			assert.NoError(b.t, err, "%s names %s", key, name)
		case strings.HasPrefix(line, "seg_"):
			var epoch int64
			var n uint64
			_, err := fmt.Sscanf(line, "seg_%d_%d.m4s", &epoch, &n)
			assert.NoError(b.t, err)
			assert.Equal(b.t, msn, n, key)
			if !gap {
				_, err = b.Stat(ctx, path.Join(path.Dir(key), line))
				assert.NoError(b.t, err, "%s names %s", key, line)
			}
			msn++
			gap = false
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	assert.GreaterOrEqual(b.t, msn, b.last[key], "%s goes back", key)
	b.last[key] = msn
}

func (b *bucket) failing(fn func(key string) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fail = fn
}

func (b *bucket) text(key string) string {
	r, err := b.Open(b.t.Context(), key, 0, -1)
	if err != nil {
		return ""
	}
	defer r.Close()
	body, err := io.ReadAll(r)
	require.NoError(b.t, err)
	return string(body)
}

// desk is a site: a local store, rows and a bucket, and an archive that can be restarted.
type desk struct {
	testing.TB
	local  *memory.Store
	rows   *rows
	bucket *bucket
	o      archive.Options
	a      *archive.Archive
	stop   func()
}

func newDesk(t testing.TB) *desk {
	d := &desk{TB: t, local: memory.New(memory.Options{MaxBytes: 1 << 30}), rows: newRows(), bucket: newBucket(t)}
	d.o = archive.Options{Local: d.local, Bucket: d.bucket, Rows: d.rows, Window: 20 * time.Second}
	t.Cleanup(func() {
		if d.stop != nil {
			d.stop()
		}
	})
	return d
}

func (d *desk) start() {
	d.a = archive.New(d.o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	a := d.a
	go func() {
		defer close(done)
		_ = a.Run(ctx)
	}()
	d.stop = func() {
		cancel()
		<-done
		d.stop = nil
	}
}

func (d *desk) track(session, rendition string, epoch int64) {
	t := archive.Track{Stream: "main", Session: session, Rendition: rendition, Epoch: epoch, Init: []byte("init")}
	d.rows.mu.Lock()
	d.rows.tracks = append(d.rows.tracks, t)
	d.rows.mu.Unlock()
	d.a.Track(t)
}

// segment makes a segment of 2 s.
func (d *desk) segment(session, rendition string, msn uint64) archive.Segment {
	s := archive.Segment{
		Stream: "main", Session: session, Rendition: rendition, Epoch: 1, MSN: msn, Start: noon.Add(time.Duration(msn) * 2 * time.Second),
		Duration: 2 * time.Second, Bytes: 10, Key: "live/main/" + session + "/" + rendition + "-0.m4s", Offset: int64(msn%100) * 10, Independent: true, Target: 2,
	}
	return s
}

func (d *desk) file(session, rendition string) {
	body := strings.Repeat("0123456789", 100)
	require.NoError(d, d.local.Put(d.Context(), "live/main/"+session+"/"+rendition+"-0.m4s", strings.NewReader(body), int64(len(body)), blob.Meta{}))
}

// publish tells the archive of a segment as the packager does; its row comes a little later.
func (d *desk) publish(s archive.Segment) {
	d.a.Segment(s)
	d.rows.insert(s)
}

func TestSegmentsAreStoredAndListed(t *testing.T) { synctest.Test(t, segmentsAreStoredAndListed) }

func segmentsAreStoredAndListed(t *testing.T) {
	d := newDesk(t)
	d.start()
	for _, r := range []string{"source", "audio"} {
		d.file("s1", r)
		d.track("s1", r, 1)
	}
	d.a.Multivariant("main", []byte("#EXTM3U\n"))
	for msn := uint64(100); msn < 120; msn++ {
		for _, r := range []string{"source", "audio"} {
			s := d.segment("s1", r, msn)
			s.Gap = msn == 110 && r == "source"
			d.publish(s)
		}
	}
	await(t, "all to be stored and noted", func() bool { return d.rows.count("stored") == 40 })
	assert.Equal(t, "#EXTM3U\n", d.bucket.text("live/main/index.m3u8"))
	text := d.bucket.text("live/main/source/index.m3u8")
	assert.Contains(t, text, "#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:110\n")
	assert.Equal(t, 1, strings.Count(text, "#EXT-X-GAP\n"))
	assert.NotContains(t, text, "ENDLIST")
	info, err := d.bucket.Stat(t.Context(), archive.SegmentKey("main", "audio", 1, 119))
	require.NoError(t, err)
	assert.Equal(t, int64(10), info.Size)
	_, err = d.bucket.Stat(t.Context(), archive.SegmentKey("main", "source", 1, 110))
	require.ErrorIs(t, err, blob.ErrNotExist, "there was nothing to store")
	assert.Equal(t, archive.State{}, d.a.State())

	d.a.Multivariant("main", nil)
	d.a.End("main", "s1")
	await(t, "the end", func() bool {
		return strings.Contains(d.bucket.text("live/main/source/index.m3u8"), "ENDLIST") &&
			strings.Contains(d.bucket.text("live/main/audio/index.m3u8"), "ENDLIST") && d.bucket.text("live/main/index.m3u8") == ""
	})
}

// TestPlaylistsOfWhatIsHidden come and go with who may watch; segments are stored either way.
func TestPlaylistsOfWhatIsHidden(t *testing.T) { synctest.Test(t, playlistsOfWhatIsHidden) }

func playlistsOfWhatIsHidden(t *testing.T) {
	d := newDesk(t)
	var listed, away atomic.Bool
	d.o.Listed = func(_ context.Context, stream string) (bool, error) {
		if away.Load() {
			return false, errors.New("not known")
		}
		return listed.Load() && stream == "main", nil
	}
	d.start()
	d.file("s1", "source")
	d.track("s1", "source", 1)
	const main, list = "live/main/index.m3u8", "live/main/source/index.m3u8"
	require.NoError(t, d.bucket.Store.Put(t.Context(), list, strings.NewReader("left"), 4, blob.Meta{}))
	d.a.Multivariant("main", []byte("#EXTM3U\n"))
	next := uint64(100)
	more := func() {
		t.Helper()
		d.publish(d.segment("s1", "source", next))
		next++
		await(t, "it to be stored", func() bool { return d.rows.count("stored") == int(next-100) })
		synctest.Wait()
	}
	more()
	assert.Empty(t, d.bucket.text(main)+d.bucket.text(list), "what was left of another broadcast as well")
	listed.Store(true)
	more()
	assert.Equal(t, "#EXTM3U\n", d.bucket.text(main))
	assert.Contains(t, d.bucket.text(list), "seg_1_101.m4s")
	away.Store(true)
	more()
	assert.Contains(t, d.bucket.text(list), "seg_1_101.m4s")
	assert.NotContains(t, d.bucket.text(list), "seg_1_102.m4s", "while it is not known nothing changes")
	away.Store(false)
	listed.Store(false)
	more()
	assert.Empty(t, d.bucket.text(main)+d.bucket.text(list))
	d.a.Multivariant("main", []byte("#EXTM3U\n# another\n"))
	more()
	assert.Empty(t, d.bucket.text(main)+d.bucket.text(list))
	d.a.Multivariant("main", nil)
	d.a.End("main", "s1")
	synctest.Wait()
	assert.Empty(t, d.bucket.text(main)+d.bucket.text(list))
	assert.Equal(t, archive.State{}, d.a.State())
}

// TestABucketThatIsAway: nobody waits for it, nothing is lost, and the state says so.
func TestABucketThatIsAway(t *testing.T) { synctest.Test(t, aBucketThatIsAway) }

func aBucketThatIsAway(t *testing.T) {
	d := newDesk(t)
	away := errors.New("connection refused")
	d.bucket.failing(func(string) error { return away })
	d.start()
	d.file("s1", "source")
	d.track("s1", "source", 1)
	for msn := uint64(100); msn < 150; msn++ {
		d.publish(d.segment("s1", "source", msn))
	}
	await(t, "the failure to be known, and all that waits", func() bool {
		state := d.a.State()
		return errors.Is(state.Err, away) && state.Waiting == 50
	})
	state := d.a.State()
	assert.False(t, state.FailingSince.IsZero())
	d.bucket.failing(nil)
	await(t, "all to be stored", func() bool { return d.rows.count("stored") == 50 })
	assert.Equal(t, archive.State{}, d.a.State())
}

// TestARestartGoesOnFromTheRows: in the same playlist.
func TestARestartGoesOnFromTheRows(t *testing.T) { synctest.Test(t, aRestartGoesOnFromTheRows) }

func aRestartGoesOnFromTheRows(t *testing.T) {
	d := newDesk(t)
	d.start()
	d.file("s1", "source")
	d.track("s1", "source", 1)
	for msn := uint64(100); msn < 105; msn++ {
		d.publish(d.segment("s1", "source", msn))
	}
	await(t, "the first", func() bool { return d.rows.count("stored") == 5 })
	d.bucket.failing(func(string) error { return errors.New("away") })
	for msn := uint64(105); msn < 110; msn++ {
		d.publish(d.segment("s1", "source", msn))
	}
	d.stop()
	d.bucket.failing(nil)
	d.start()
	d.publish(d.segment("s1", "source", 110))
	await(t, "all to be stored", func() bool { return d.rows.count("stored") == 11 })
	await(t, "the playlist", func() bool {
		text := d.bucket.text("live/main/source/index.m3u8")
		return strings.Contains(text, "#EXT-X-MEDIA-SEQUENCE:101\n") && strings.Contains(text, "seg_1_110.m4s")
	})
}

// TestAnEndComesBehindWhatARestartLeft: what is left is read from the rows first, and a playlist that a former process wrote ends too.
func TestAnEndComesBehindWhatARestartLeft(t *testing.T) {
	synctest.Test(t, anEndComesBehindWhatARestartLeft)
}

func anEndComesBehindWhatARestartLeft(t *testing.T) {
	d := newDesk(t)
	d.start()
	for _, r := range []string{"source", "audio"} {
		d.file("s1", r)
		d.track("s1", r, 1)
		d.publish(d.segment("s1", r, 100))
	}
	await(t, "the first", func() bool { return d.rows.count("stored") == 2 })
	d.stop()
	d.rows.insert(d.segment("s1", "source", 101))
	d.rows.mu.Lock()
	d.rows.fail = errors.New("the database is away")
	d.rows.mu.Unlock()
	d.start()
	for _, r := range []string{"source", "audio"} { // as the packager tells of a session that its journal says is over
		d.a.Track(archive.Track{Stream: "main", Session: "s1", Rendition: r, Epoch: 1, Init: []byte("init")})
	}
	d.a.End("main", "s1")
	time.Sleep(5 * time.Second)
	synctest.Wait()
	d.rows.mu.Lock()
	d.rows.fail = nil
	d.rows.mu.Unlock()
	await(t, "all to be stored", func() bool { return d.rows.count("stored") == 3 })
	time.Sleep(time.Minute)
	synctest.Wait()
	for _, r := range []string{"source", "audio"} {
		text := d.bucket.text("live/main/" + r + "/index.m3u8")
		assert.Contains(t, text, "#EXT-X-ENDLIST", r)
		assert.Contains(t, text, "seg_1_100.m4s")
		assert.Equal(t, r == "source", strings.Contains(text, "seg_1_101.m4s"))
	}
}

// TestRowsThatDoNotCome: of a session that was deleted, or that were given up. They are waited for for a while, and nobody else is.
func TestRowsThatDoNotCome(t *testing.T) { synctest.Test(t, rowsThatDoNotCome) }

func rowsThatDoNotCome(t *testing.T) {
	d := newDesk(t)
	d.start()
	for _, r := range []string{"source", "audio"} {
		d.file("s1", r)
		d.track("s1", r, 1)
	}
	d.a.Segment(d.segment("s1", "source", 100)) // it is left to the rows, as all at the start
	time.Sleep(3 * time.Second)
	d.a.Segment(d.segment("s1", "audio", 100))
	await(t, "the other rendition", func() bool { return d.bucket.text(archive.SegmentKey("main", "audio", 1, 100)) != "" })
	time.Sleep(time.Hour)
	synctest.Wait()
	d.a.Segment(d.segment("s1", "source", 101))
	await(t, "the next", func() bool { return d.bucket.text(archive.SegmentKey("main", "source", 1, 101)) != "" })
	time.Sleep(time.Hour)
	synctest.Wait()
	d.rows.mu.Lock()
	marks := d.rows.marks
	d.rows.mu.Unlock()
	time.Sleep(time.Minute)
	synctest.Wait()
	d.rows.mu.Lock()
	defer d.rows.mu.Unlock()
	assert.Equal(t, marks, d.rows.marks, "nothing is asked for any more")
}

// TestManyRowsAreMarkedInPieces: after a time without the database no transaction is longer than others can wait.
func TestManyRowsAreMarkedInPieces(t *testing.T) { synctest.Test(t, manyRowsAreMarkedInPieces) }

func manyRowsAreMarkedInPieces(t *testing.T) {
	d := newDesk(t)
	d.start()
	d.file("s1", "source")
	d.track("s1", "source", 1)
	time.Sleep(2 * time.Second)
	d.a.Segment(d.segment("s1", "source", 100))
	await(t, "the first", func() bool { return d.bucket.text(archive.SegmentKey("main", "source", 1, 100)) != "" })
	d.rows.mu.Lock()
	d.rows.fail = errors.New("the database is away")
	d.rows.mu.Unlock()
	for msn := uint64(101); msn < 3100; msn++ {
		d.a.Segment(d.segment("s1", "source", msn))
	}
	await(t, "all to be in the bucket", func() bool { return d.a.State().Waiting == 0 })
	for msn := uint64(100); msn < 3100; msn++ {
		d.rows.insert(d.segment("s1", "source", msn))
	}
	d.rows.mu.Lock()
	d.rows.fail = nil
	d.rows.mu.Unlock()
	await(t, "all to be marked", func() bool { return d.rows.count("stored") == 3000 })
	assert.LessOrEqual(t, d.rows.most, 1000)
}

func TestWhatIsNowhereIsAGap(t *testing.T) { synctest.Test(t, whatIsNowhereIsAGap) }

func whatIsNowhereIsAGap(t *testing.T) {
	d := newDesk(t)
	d.start()
	d.file("s1", "source")
	d.track("s1", "source", 1)
	lost := d.segment("s1", "source", 100)
	lost.Key = "live/main/s1/gone.m4s"
	short := d.segment("s1", "source", 101)
	short.Offset = 995
	memory := d.segment("s1", "source", 102)
	memory.Key, memory.Data = "", []byte("0123456789")
	for _, s := range []archive.Segment{lost, short, memory} {
		d.publish(s)
	}
	await(t, "them to be noted", func() bool { return d.rows.count("lost") == 2 && d.rows.count("stored") == 1 })
	await(t, "the playlist", func() bool {
		return strings.Count(d.bucket.text("live/main/source/index.m3u8"), "#EXT-X-GAP\n") == 2
	})
	assert.Equal(t, "0123456789", d.bucket.text(archive.SegmentKey("main", "source", 1, 102)))
}

// unreadable is a disk on which one object cannot be read.
type unreadable struct {
	blob.Store
	key string
}

func (u unreadable) Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if key == u.key {
		return nil, errors.New("input/output error")
	}
	return u.Store.Open(ctx, key, offset, length)
}

// TestABadSegmentDoesNotHoldUpItsLine: for ever.
func TestABadSegmentDoesNotHoldUpItsLine(t *testing.T) {
	synctest.Test(t, aBadSegmentDoesNotHoldUpItsLine)
}

func aBadSegmentDoesNotHoldUpItsLine(t *testing.T) {
	d := newDesk(t)
	d.o.Local = unreadable{d.local, "live/main/s1/bad.m4s"}
	d.start()
	d.file("s1", "source")
	d.track("s1", "source", 1)
	bad := d.segment("s1", "source", 100)
	bad.Key = "live/main/s1/bad.m4s"
	d.publish(bad)
	d.publish(d.segment("s1", "source", 101))
	time.Sleep(10 * time.Minute)
	synctest.Wait()
	assert.Equal(t, 2, d.rows.count("pending"), "the disk may come back")
	await(t, "the next", func() bool { return d.rows.count("lost") == 1 && d.rows.count("stored") == 1 })
}

// TestAnythingMayFail: whatever fails and restarts, in the end the bucket has every segment once, and no playlist ever named what
// was not there.
func TestAnythingMayFail(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { synctest.Test(t, func(t *testing.T) { anythingMayFail(t, seed) }) })
	}
}

func anythingMayFail(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 7))
	d := newDesk(t)
	d.o.MaxWaiting = 20 // much is left to the rows
	var mu sync.Mutex
	d.bucket.failing(func(string) error {
		mu.Lock()
		defer mu.Unlock()
		if rnd.IntN(12) == 0 {
			return errors.New("a bad moment")
		}
		return nil
	})
	d.start()
	var want []string
	msn := uint64(1000)
	for session := range 3 {
		id := fmt.Sprint("s", session)
		for _, r := range []string{"source", "audio"} {
			d.file(id, r)
			d.track(id, r, 1)
		}
		for range 60 {
			for _, r := range []string{"source", "audio"} {
				d.publish(d.segment(id, r, msn))
				want = append(want, archive.SegmentKey("main", r, 1, msn))
			}
			msn++
			mu.Lock()
			restart := rnd.IntN(40) == 0
			mu.Unlock()
			if restart {
				d.stop()
				d.start()
			}
		}
		d.a.End("main", id)
	}
	d.bucket.failing(nil)
	await(t, "all to be stored", func() bool { return d.rows.count("stored") == len(want) })
	var have []string
	require.NoError(t, d.bucket.List(t.Context(), "live/main/", func(i blob.Info) error {
		if strings.Contains(i.Key, "/seg_") {
			have = append(have, i.Key)
		}
		return nil
	}))
	slices.Sort(want)
	assert.Equal(t, want, have)
}
