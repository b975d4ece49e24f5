package play_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/caller"
	"mediad/api/play"
	"mediad/api/stream"
	"mediad/api/video"
	"mediad/internal/testx"
	"mediad/store/db"
	"mediad/store/db/dbtest"
	"mediad/store/presence"
	"mediad/store/redis"
	"mediad/store/redis/redistest"
	"mediad/store/seal"
)

const (
	owner = "0198f2a0-0000-7000-8000-000000000001"
	anna  = "0198f2a0-0000-7000-8000-000000000002"
	main  = "0198f2a0-0000-7000-8000-000000000011"
	clip  = "0198f2a0-0000-7000-8000-000000000031"
	first = "0198f2a0-0000-7000-8000-000000000021"
	next  = "0198f2a0-0000-7000-8000-000000000022"
)

func TestMain(m *testing.M) { testx.Main(m) }

// clock is one that is set by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// place is a database with a stream on air and a video, and the nodes that share it.
type place struct {
	db      *db.DB
	clock   *clock
	keys    play.Keys
	session string
}

func newPlace(t *testing.T, on dbtest.On) *place {
	t.Helper()
	secrets, err := seal.New(make([]byte, 32))
	require.NoError(t, err)
	p := &place{db: on.Open(t), clock: &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}, keys: play.Keys{Secrets: secrets}, session: first}
	now := db.At(p.clock.now)
	require.NoError(t, p.db.Tx(t.Context(), func(q db.Queries) error {
		return errors.Join(
			q.CreateUser(db.User{ID: owner, Username: "owner", Role: "admin", Version: 1}), q.CreateUser(db.User{ID: anna, Username: "anna", Role: "viewer", Version: 1}),
			q.CreateStream(db.Stream{ID: main, Slug: "main", OwnerID: owner, Visibility: "public", ReplayVisibility: "public", Latency: "low", Version: 1}),
			q.SaveSession(db.Session{ID: first, StreamID: main, StartedAt: now}), q.SaveSession(db.Session{ID: next, StreamID: main, StartedAt: now + 1}),
			q.InsertVideo(db.Video{ID: clip, Kind: db.KindClip, OwnerID: owner, Visibility: "public", State: db.VideoReady, DurationMS: 60_000, Version: 1}),
		)
	}))
	return p
}

// node is one of the site.
func (p *place) node(audience *play.Audience, change ...func(*play.Options)) *play.Service {
	o := play.Options{
		DB: p.db, Streams: stream.New(stream.Options{DB: p.db, Now: p.clock.Now}), Videos: video.New(video.Options{DB: p.db, Now: p.clock.Now}),
		Keys: p.keys, Audience: audience, Now: p.clock.Now,
		Session: func(slug string) (string, bool) { return p.session, slug == "main" && p.session != "" },
	}
	for _, c := range change {
		c(&o)
	}
	return play.New(o)
}

func (p *place) audience(change ...func(*play.AudienceOptions)) *play.Audience {
	o := play.AudienceOptions{OnAir: func() []play.OnAir { return []play.OnAir{{Stream: "main", Session: p.session}} }, Now: p.clock.Now}
	for _, c := range change {
		c(&o)
	}
	return play.NewAudience(o)
}

func start(t testing.TB, s *play.Service, kind, viewer string) string {
	t.Helper()
	id := map[string]string{db.PlayVideo: clip, db.PlayStream: "main"}[kind]
	made, err := s.Start(as(t, viewer), play.Start{Kind: kind, ID: id, ViewerID: viewer})
	require.NoError(t, err)
	return made
}

// as is a context of who is signed in, where the viewer is anna, and of somebody with an agent else.
func as(t testing.TB, viewer string) context.Context {
	ctx := caller.WithPeer(t.Context(), caller.Peer{Agent: "agent of " + viewer})
	if viewer == anna {
		return caller.With(ctx, caller.Caller{UserID: anna, Via: caller.Session})
	}
	return ctx
}

func beat(t testing.TB, s *play.Service, id, viewer, state string, watched time.Duration) {
	t.Helper()
	require.NoError(t, s.Beat(as(t, viewer), id, play.Beat{State: state, WatchedMS: watched.Milliseconds(), PositionMS: watched.Milliseconds()}))
}

// TestNodesCountTogether: the beats of a play go to either node, and nothing is counted twice.
func TestNodesCountTogether(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		p := newPlace(t, on)
		nodes := []*play.Service{p.node(nil), p.node(nil), p.node(nil)}
		const viewers = 6
		ids := map[string]string{}
		for i := range viewers {
			ids[fmt.Sprint("v", i)] = start(t, nodes[i%3], db.PlayStream, fmt.Sprint("v", i))
		}
		ids["v0 again"] = start(t, nodes[0], db.PlayStream, "v0")
		for round := range 8 {
			p.clock.pass(15 * time.Second)
			for i := range viewers {
				viewer := fmt.Sprint("v", i)
				beat(t, nodes[(i+round)%3], ids[viewer], viewer, "playing", time.Duration(round+1)*15*time.Second)
			}
			beat(t, nodes[round%3], ids["v0 again"], "v0", "playing", 0)
			var wg sync.WaitGroup
			for _, n := range nodes {
				wg.Go(func() { assert.NoError(t, n.Store(t.Context())) })
			}
			wg.Wait()
		}
		s, err := p.db.Read(t.Context()).FindSession(first)
		require.NoError(t, err)
		assert.Equal(t, viewers*8*15_000, int(s.WatchMS))
		assert.Equal(t, viewers, s.UniqueViewers)

		// The next broadcast begins; who goes on is a viewer of it too.
		p.session = next
		p.clock.pass(10 * time.Second)
		beat(t, nodes[1], ids["v1"], "v1", "playing", 130*time.Second)
		beat(t, nodes[2], ids["v2"], "v2", "playing", 130*time.Second)
		for _, n := range nodes {
			require.NoError(t, n.Store(t.Context()))
		}
		s, err = p.db.Read(t.Context()).FindSession(next)
		require.NoError(t, err)
		assert.Equal(t, [2]int{2, 20_000}, [2]int{s.UniqueViewers, int(s.WatchMS)})
	})
}

// TestNothingIsLostAtAStop, and what the database does not take is kept until it does.
func TestNothingIsLostAtAStop(t *testing.T) {
	p := newPlace(t, dbtest.On(db.SQLite))
	s := p.node(p.audience())
	id := start(t, s, db.PlayVideo, anna)
	p.clock.pass(30 * time.Second)
	beat(t, s, id, anna, "playing", 29*time.Second)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, s.Store(gone))
	p.clock.pass(time.Second)
	beat(t, s, id, anna, "playing", 30*time.Second)
	require.NoError(t, s.Run(gone), "told to stop, it stores the rest")
	v, err := p.db.Read(t.Context()).FindVideo(clip)
	require.NoError(t, err)
	assert.Equal(t, int64(1), v.Views)
	marks, err := p.db.Read(t.Context()).FindMarks(anna, []string{clip})
	require.NoError(t, err)
	assert.Equal(t, int64(30_000), marks[0].PositionMS)
}

// TestAFullAccumulator makes room by what is stored, and lets nobody new in where nothing is.
func TestAFullAccumulator(t *testing.T) {
	p := newPlace(t, dbtest.On(db.SQLite))
	s := p.node(nil, func(o *play.Options) { o.MaxPlays = 3 })
	var ids []string
	for i := range 5 {
		ids = append(ids, start(t, s, db.PlayVideo, fmt.Sprint("v", i)))
	}
	p.clock.pass(time.Second)
	taken := 0
	for _, id := range ids {
		if err := s.Beat(t.Context(), id, play.Beat{State: "playing", WatchedMS: 1000}); err != nil {
			require.ErrorIs(t, err, play.ErrFull)
			continue
		}
		taken++
	}
	assert.Equal(t, 3, taken)
	require.NoError(t, s.Store(t.Context()))
	p.clock.pass(time.Second)
	for _, id := range ids {
		require.NoError(t, s.Beat(t.Context(), id, play.Beat{State: "playing", WatchedMS: 1500}))
		require.NoError(t, s.Store(t.Context()))
	}
	for _, id := range ids {
		row, err := p.db.Read(t.Context()).FindPlay(id)
		require.NoError(t, err)
		assert.Equal(t, int64(1500), row.WatchedMS)
	}
}

func TestCleanKeepsViews(t *testing.T) {
	p := newPlace(t, dbtest.On(db.SQLite))
	s := p.node(nil)
	id := start(t, s, db.PlayVideo, "v")
	p.clock.pass(30 * time.Second)
	beat(t, s, id, "v", "ended", 30*time.Second)
	require.NoError(t, s.Store(t.Context()))
	p.clock.pass(30*24*time.Hour + time.Second)
	gone, err := s.Clean(t.Context())
	require.NoError(t, err)
	require.Positive(t, gone)
	_, err = p.db.Read(t.Context()).FindPlay(id)
	require.ErrorIs(t, err, db.ErrNotFound)
	v, err := p.db.Read(t.Context()).FindVideo(clip)
	require.NoError(t, err)
	assert.Equal(t, int64(1), v.Views)
}

// TestWhoWatches joins pages, connections and playlists, and keeps the peak.
func TestWhoWatches(t *testing.T) {
	p := newPlace(t, dbtest.On(db.SQLite))
	links, lists := map[string]string{}, map[string]time.Duration{}
	a := p.audience(func(o *play.AudienceOptions) {
		o.Connections = func(_ string, each func(id, place string)) {
			for id, place := range links {
				each(id, place)
			}
		}
		o.Playlists = func(_ string, each func(place string, age time.Duration)) {
			for place, age := range lists {
				each(place, age)
			}
		}
	})
	s := p.node(a)
	count := func(viewers, estimated int) {
		t.Helper()
		a.Count(t.Context())
		assert.Equal(t, presence.Counts{Viewers: viewers, Estimated: estimated}, a.Counts("main"))
		require.NoError(t, s.Store(t.Context()))
	}
	at := func(viewer string) string { return p.keys.Place("", "agent of "+viewer) }
	count(0, 0)
	lists[at("v")], lists["vlc"] = 0, 0
	count(0, 2)
	id := start(t, s, db.PlayStream, "v")
	count(0, 2)
	beat(t, s, id, "v", "playing", 0)
	count(1, 1)
	links["1"], links["2"] = at("v"), "elsewhere"
	count(2, 1)
	assert.Equal(t, 3, a.Watched(first).Peak)
	delete(links, "2")
	count(1, 1)
	second := start(t, s, db.PlayStream, "v")
	beat(t, s, second, "v", "playing", 0)
	count(1, 1)
	beat(t, s, id, "v", "ended", 0)
	clear(links)
	count(1, 1) // in another tab
	beat(t, s, second, "v", "ended", 0)
	count(0, 1)
	clear(lists)
	p.clock.pass(presence.Window + time.Second)
	count(0, 0)
	assert.Equal(t, 3, a.Watched(first).Peak)
	row, err := p.db.Read(t.Context()).FindSession(first)
	require.NoError(t, err)
	assert.Equal(t, [2]int{3, 1}, [2]int{row.PeakViewers, row.UniqueViewers})

	// A process that takes the session up knows what was before.
	later := p.audience()
	node := p.node(later)
	later.Count(t.Context())
	require.NoError(t, node.Store(t.Context()))
	assert.Equal(t, 3, later.Watched(first).Peak)
	assert.Equal(t, 1, later.Watched(first).Viewers)
	p.session = next
	later.Count(t.Context())
	assert.Zero(t, later.Watched(first).Peak, "it is on air no more")
	assert.Zero(t, later.Watched(next).Peak)
}

// TestNodesCountTheirViewersTogether, and each its own while Redis is gone.
func TestNodesCountTheirViewersTogether(t *testing.T) {
	server := redistest.Start(t)
	p := newPlace(t, dbtest.On(db.SQLite))
	var audiences []*play.Audience
	var nodes []*play.Service
	for i := range 2 {
		client, err := redis.Open(server.URL, nil)
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, client.Close()) })
		audiences = append(audiences, p.audience(func(o *play.AudienceOptions) {
			o.Shared = redis.NewPresence(client)
			o.Playlists = func(_ string, each func(place string, age time.Duration)) {
				each(p.keys.Place("", "agent of v0"), 0) // whose beats the first node gets
				each(fmt.Sprint("list", i), 0)
			}
		}))
		nodes = append(nodes, p.node(audiences[i]))
	}
	for i := range 2 {
		viewer := fmt.Sprint("v", i)
		beat(t, nodes[i], start(t, nodes[i], db.PlayStream, viewer), viewer, "playing", 0)
	}
	counts := func() (both [2]presence.Counts) {
		for range 2 { // what the one tells the other counts at its next turn
			for i, a := range audiences {
				a.Count(t.Context())
				both[i] = a.Counts("main")
			}
		}
		return both
	}
	together := presence.Counts{Viewers: 2, Estimated: 2}
	assert.Equal(t, [2]presence.Counts{together, together}, counts())
	server.Stop(t)
	assert.Equal(t, [2]presence.Counts{{Viewers: 1, Estimated: 1}, {Viewers: 1, Estimated: 2}}, counts(), "each its own")
	server.Run(t)
	testx.WaitFor(t, "counts to be joined again", func() bool {
		for i := range 2 {
			viewer := fmt.Sprint("v", i)
			beat(t, nodes[i], start(t, nodes[i], db.PlayStream, viewer), viewer, "playing", 0)
		}
		return counts() == [2]presence.Counts{together, together}
	})
}

// bench is a node over a database with a stream, and plays of it.
func bench(b *testing.B, plays int, audience *play.Audience) (*play.Service, []string) {
	b.Helper()
	secrets, err := seal.New(make([]byte, 32))
	require.NoError(b, err)
	d := dbtest.Open(b)
	require.NoError(b, d.Tx(b.Context(), func(q db.Queries) error {
		return errors.Join(q.CreateUser(db.User{ID: owner, Username: "owner", Role: "admin", Version: 1}),
			q.CreateStream(db.Stream{ID: main, Slug: "main", OwnerID: owner, Visibility: "public", ReplayVisibility: "public", Latency: "low", Version: 1}))
	}))
	s := play.New(play.Options{
		DB: d, Streams: stream.New(stream.Options{DB: d}), Videos: video.New(video.Options{DB: d}), Keys: play.Keys{Secrets: secrets}, Audience: audience,
	})
	ids := make([]string, plays)
	for i := range ids {
		ids[i] = start(b, s, db.PlayStream, fmt.Sprint("v", i))
	}
	return s, ids
}

// BenchmarkBeat is what a beat costs in memory, without HTTP and database.
func BenchmarkBeat(b *testing.B) {
	s, ids := bench(b, 100, play.NewAudience(play.AudienceOptions{OnAir: func() []play.OnAir { return nil }}))
	ctx := as(b, "v")
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if err := s.Beat(ctx, ids[n%len(ids)], play.Beat{State: "playing", WatchedMS: int64(n)}); err != nil {
			b.Fatal(err)
		}
		n++
	}
}

// BenchmarkStore is what it costs to store a beat each of 1 000 plays.
func BenchmarkStore(b *testing.B) {
	s, ids := bench(b, 1000, nil)
	for b.Loop() {
		for _, id := range ids {
			if err := s.Beat(b.Context(), id, play.Beat{State: "playing"}); err != nil {
				b.Fatal(err)
			}
		}
		if err := s.Store(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
