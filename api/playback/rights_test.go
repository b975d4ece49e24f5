package playback_test

import (
	"bytes"
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/playback"
	"mediad/api/playback/token"
	"mediad/internal/testx"
	"mediad/store/db"
	"mediad/store/db/dbtest"
	"mediad/store/seal"
)

func TestMain(m *testing.M) { testx.Main(m) }

const (
	owner = "0198f2a0-0000-7000-8000-000000000001"
	other = "0198f2a0-0000-7000-8000-000000000002"
	idA   = "0198f2a0-0000-7000-8000-00000000000a"
	idB   = "0198f2a0-0000-7000-8000-00000000000b"
	video = "0198f2a0-0000-7000-8000-00000000000c"
)

var noon = time.Date(2026, 3, 1, 12, 10, 0, 0, time.UTC)

// node is one of a site.
type node struct {
	policies *playback.Policies
	rights   *playback.Rights
	issuer   *playback.Issuer
}

// site has a closed stream a, an open one b, and a video for the owner alone.
type site struct {
	t  *testing.T
	db *db.DB
	node
	asked atomic.Int64 // statements

	mu    sync.Mutex // guards the following
	now   time.Time
	began time.Time // zero: nothing is on air
}

func (s *site) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *site) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

func (s *site) onAir(string) (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.began, !s.began.IsZero()
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, now: noon}
	s.db = dbtest.On(db.SQLite).OpenWith(t, db.Options{Observe: func(string, time.Duration, error) { s.asked.Add(1) }})
	s.tx(func(q db.Queries) error {
		for id, name := range map[string]string{owner: "owner", other: "other"} {
			if err := q.CreateUser(db.User{ID: id, Username: name, Role: "streamer", State: db.UserActive, Links: []db.Link{}, Version: 1}); err != nil {
				return err
			}
		}
		for id, visibility := range map[string]string{idA: "followers", idB: "public"} {
			row := db.Stream{ID: id, Slug: "S" + id[len(id)-1:], OwnerID: owner, Title: "t", Visibility: visibility, ReplayVisibility: "public", Latency: "low", Version: 1}
			if err := q.CreateStream(row); err != nil {
				return err
			}
		}
		return q.InsertVideo(db.Video{ID: video, Kind: db.KindClip, OwnerID: owner, Visibility: "private", State: db.VideoReady, Version: 1})
	})
	s.node = s.another(bytes.Repeat([]byte{1}, 32))
	return s
}

// another is one more node of the site.
func (s *site) another(masters ...[]byte) (n node) {
	s.t.Helper()
	secrets, err := seal.New(masters...)
	require.NoError(s.t, err)
	ring, err := playback.Keys(secrets)
	require.NoError(s.t, err)
	n.policies = playback.NewPolicies(playback.PoliciesOptions{DB: s.db, Now: s.clock})
	n.rights = playback.NewRights(playback.RightsOptions{Policies: n.policies, Keys: ring, Began: s.onAir, Now: s.clock})
	n.issuer = playback.NewIssuer(ring, s.clock)
	return n
}

func (s *site) tx(fn func(q db.Queries) error) {
	s.t.Helper()
	require.NoError(s.t, s.db.Tx(s.t.Context(), fn))
}

func (s *site) stream(id string) db.Stream {
	s.t.Helper()
	row, err := s.db.Read(s.t.Context()).FindStream(id)
	require.NoError(s.t, err)
	return row
}

func (s *site) video() db.Video {
	s.t.Helper()
	v, err := s.db.Read(s.t.Context()).FindVideo(video)
	require.NoError(s.t, err)
	return v
}

// set changes the visibility of a stream, and tells nobody.
func (s *site) set(id, visibility string) {
	s.t.Helper()
	row := s.stream(id)
	row.Visibility = visibility
	s.tx(func(q db.Queries) error { return q.SaveStream(row, row.Version, 1) })
}

func (n node) live(t *testing.T, name, tok string) error {
	t.Helper()
	_, err := n.rights.Media(t.Context(), playback.Ask{Kind: token.Live, Name: name, Token: tok})
	return err
}

func (n node) begin(t *testing.T, name, tok string) error {
	t.Helper()
	_, err := n.rights.Media(t.Context(), playback.Ask{Kind: token.Live, Name: name, Token: tok, Begins: true})
	return err
}

func (n node) vod(t *testing.T, id, tok string) error {
	t.Helper()
	_, err := n.rights.Media(t.Context(), playback.Ask{Kind: token.VOD, Name: id, Token: tok, Begins: true})
	return err
}

func TestWhoHasATokenMayWatch(t *testing.T) {
	s := newSite(t)
	of := s.issuer.Stream(s.stream(idA))
	require.True(t, of.Needed())
	assert.Equal(t, "/t/"+of.Token, of.Prefix())
	require.NoError(t, s.begin(t, "Sa", of.Token))
	require.NoError(t, s.begin(t, "sA", of.Token), "in any spelling")
	require.NoError(t, s.live(t, "Sb", ""))
	require.ErrorIs(t, s.live(t, "Sa", ""), playback.ErrHidden)
	require.ErrorIs(t, s.live(t, "nobody", ""), playback.ErrHidden)
	v := s.issuer.Video(s.video())
	require.NoError(t, s.vod(t, video, v.Token))
	require.ErrorIs(t, s.vod(t, video, ""), playback.ErrHidden)
	assert.False(t, s.issuer.Stream(s.stream(idB)).Needed(), "everybody may watch that")
	assert.Empty(t, s.issuer.Stream(s.stream(idB)).Prefix()+s.issuer.Stream(s.stream(idB)).SetCookie("/", true)+s.issuer.Stream(s.stream(idB)).Stamp())
}

// TestTokenOfOneItemAlteredExpired is the first check of api.md 4.5: the token of A on B, altered, expired.
func TestTokenOfOneItemAlteredExpired(t *testing.T) {
	s := newSite(t)
	a, v := s.issuer.Stream(s.stream(idA)).Token, s.issuer.Video(s.video()).Token
	altered := a[:20] + string(a[20]^1) + a[21:]
	for name, err := range map[string]error{
		"of A on B":                  s.begin(t, "Sb", a),
		"of a video on a stream":     s.begin(t, "Sa", v),
		"of a stream on a video":     s.vod(t, video, a),
		"altered":                    s.begin(t, "Sa", altered),
		"altered, everybody may":     s.begin(t, "Sb", altered),
		"no token at all":            s.begin(t, "Sa", "x"),
		"where there is nothing":     s.begin(t, "nobody", a),
		"of a site with another key": s.another(bytes.Repeat([]byte{2}, 32)).begin(t, "Sa", a),
	} {
		require.ErrorIs(t, err, playback.ErrInvalid, name)
	}
	s.pass(7 * time.Hour)
	require.ErrorIs(t, s.vod(t, video, v), playback.ErrExpired)
	require.NoError(t, s.begin(t, "Sa", a))
	s.pass(6 * time.Hour)
	require.ErrorIs(t, s.begin(t, "Sa", a), playback.ErrExpired)
}

// TestExpiryOfLiveRefusesTheNewAlone: what was begun goes on for as long as the broadcast does.
func TestExpiryOfLiveRefusesTheNewAlone(t *testing.T) {
	s := newSite(t)
	a := s.issuer.Stream(s.stream(idA))
	s.began = noon.Add(time.Hour)
	s.pass(20 * time.Hour)
	require.NoError(t, s.live(t, "Sa", a.Token))
	require.ErrorIs(t, s.begin(t, "Sa", a.Token), playback.ErrExpired)
	_, err := s.rights.Play(t.Context(), "Sa", a.Token)
	require.ErrorIs(t, err, playback.ErrExpired)
	s.began = a.ExpiresAt
	require.ErrorIs(t, s.live(t, "Sa", a.Token), playback.ErrExpired, "this is another broadcast")
	s.began = time.Time{}
	require.ErrorIs(t, s.live(t, "Sa", a.Token), playback.ErrExpired, "nothing is on air")
}

// TestACohortHasOneToken: within one bucket, on every node and after every restart.
func TestACohortHasOneToken(t *testing.T) {
	s := newSite(t)
	one := s.issuer.Stream(s.stream(idA))
	s.pass(40 * time.Minute)
	n := s.another(bytes.Repeat([]byte{1}, 32))
	assert.Equal(t, one.Token, n.issuer.Stream(s.stream(idA)).Token)
	assert.Equal(t, one.ExpiresAt, n.issuer.Stream(s.stream(idA)).ExpiresAt)
	assert.Equal(t, "2026-03-02T01:00:00.000Z", one.Stamp())
	s.pass(20 * time.Minute)
	assert.NotEqual(t, one.Token, n.issuer.Stream(s.stream(idA)).Token, "the next bucket")
	require.NoError(t, s.begin(t, "Sa", n.issuer.Stream(s.stream(idA)).Token))
	rotated := s.another(bytes.Repeat([]byte{3}, 32), bytes.Repeat([]byte{1}, 32))
	require.NoError(t, rotated.begin(t, "Sa", one.Token), "the key of before is still known")
}

// TestPolicyChangeEndsOldTokens is the last check of api.md 4.5: by whatever node, and whether that was told or not.
func TestPolicyChangeEndsOldTokens(t *testing.T) {
	s := newSite(t)
	elsewhere := s.another(bytes.Repeat([]byte{1}, 32))
	a, v := s.issuer.Stream(s.stream(idA)).Token, s.issuer.Video(s.video()).Token
	for _, n := range []node{s.node, elsewhere} {
		require.NoError(t, n.begin(t, "Sa", a))
		require.NoError(t, n.vod(t, video, v))
	}
	s.tx(func(q db.Queries) error {
		_, _, err := q.Block(db.Block{UserID: owner, OtherID: other, CreatedAt: 1})
		return err
	})
	s.policies.OwnerChanged(owner)
	require.ErrorIs(t, s.begin(t, "Sa", a), playback.ErrExpired, "at once where it was done")
	require.ErrorIs(t, s.vod(t, video, v), playback.ErrExpired)
	require.NoError(t, elsewhere.begin(t, "Sa", a), "not heard of yet")
	newer := s.issuer.Stream(s.stream(idA)).Token
	require.NoError(t, elsewhere.begin(t, "Sa", newer), "a token that is newer than what is known is looked after")
	require.ErrorIs(t, elsewhere.begin(t, "Sa", a), playback.ErrExpired)
	require.NoError(t, elsewhere.vod(t, video, v))
	s.pass(4 * time.Second)
	require.ErrorIs(t, elsewhere.vod(t, video, v), playback.ErrExpired, "within five seconds although nobody told")

	s.tx(func(q db.Queries) error { return q.DeleteStream(idA, 1) })
	s.policies.StreamChanged(idA)
	require.ErrorIs(t, s.begin(t, "Sa", newer), playback.ErrExpired)
	require.ErrorIs(t, s.begin(t, "Sa", ""), playback.ErrHidden)
	s.tx(func(q db.Queries) error { return q.DeleteVideo(video, 1) })
	s.policies.VideoChanged(video)
	require.ErrorIs(t, s.vod(t, video, s.issuer.Video(s.video()).Token), playback.ErrExpired, "what is deleted has none that are good")
	shown, err := s.policies.Shown(t.Context(), video)
	require.NoError(t, err)
	assert.False(t, shown)
}

// TestWhatIsPublicAgainPlaysOn: whoever has a token plays on, and who has none begins.
func TestWhatIsPublicAgainPlaysOn(t *testing.T) {
	s := newSite(t)
	a := s.issuer.Stream(s.stream(idA)).Token
	lost, err := s.rights.Media(t.Context(), playback.Ask{Kind: token.Live, Name: "Sa", Token: a})
	require.NoError(t, err)
	s.set(idA, "unlisted")
	s.policies.StreamChanged(idA)
	require.NoError(t, s.begin(t, "Sa", a))
	require.NoError(t, s.begin(t, "Sa", ""))
	assert.Nil(t, closed(lost), "nobody has lost anything")
	s.set(idA, "private")
	s.policies.StreamChanged(idA)
	require.ErrorIs(t, s.begin(t, "Sa", ""), playback.ErrHidden)
	require.ErrorIs(t, s.begin(t, "Sa", a), playback.ErrExpired)
	assert.NotNil(t, closed(lost))
}

// closed is not nil if c is.
func closed(c <-chan struct{}) any {
	select {
	case <-c:
		return true
	default:
		return nil
	}
}

// TestWhoWatchesIsTold: by Run, without anybody asking.
func TestWhoWatchesIsTold(t *testing.T) {
	s := newSite(t)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(t, s.policies.Run(ctx, func() []string { return []string{"Sb"} })) })
	defer running.Wait()
	defer stop()
	lost, err := s.rights.Play(t.Context(), "Sb", "a token of somebody else's")
	require.NoError(t, err)
	s.set(idB, "followers")
	s.policies.StreamChanged(idB)
	testx.WaitFor(t, "the right to be lost", func() bool { return closed(lost) != nil })
	_, err = s.rights.Play(t.Context(), "Sb", "")
	require.ErrorIs(t, err, playback.ErrHidden)

	// What nobody told is found by looking.
	lost, err = s.rights.Play(t.Context(), "Sb", s.issuer.Stream(s.stream(idB)).Token)
	require.NoError(t, err)
	s.set(idB, "private")
	testx.WaitFor(t, "the right to be lost", func() bool { return closed(lost) != nil })
}

// TestDatabaseAway: what is known is good for ten minutes more, and what is not known is refused.
func TestDatabaseAway(t *testing.T) {
	s := newSite(t)
	a := s.issuer.Stream(s.stream(idA)).Token
	require.NoError(t, s.begin(t, "Sa", a))
	require.ErrorIs(t, s.live(t, "Sa", ""), playback.ErrHidden)
	require.NoError(t, s.db.Close())
	require.NoError(t, s.begin(t, "Sa", a))
	s.pass(9 * time.Minute)
	require.NoError(t, s.begin(t, "Sa", a))
	s.policies.AllChanged()
	require.NoError(t, s.begin(t, "Sa", a))
	require.ErrorIs(t, s.live(t, "Sa", ""), playback.ErrHidden)
	require.ErrorIs(t, s.live(t, "Sb", ""), playback.ErrUnknown)
	_, err := s.policies.Open(t.Context(), "Sb")
	require.ErrorIs(t, err, playback.ErrUnknown)
	s.pass(2 * time.Minute)
	require.ErrorIs(t, s.begin(t, "Sa", a), playback.ErrUnknown)
	open, err := s.policies.Open(t.Context(), "Sa")
	require.NoError(t, err, "what is in the bucket stays as it was")
	assert.False(t, open)
}

// TestDatabaseAwayKeepsNobodyWaiting: once that is known nobody but Run asks it, until it is back.
func TestDatabaseAwayKeepsNobodyWaiting(t *testing.T) {
	s := newSite(t)
	a := s.issuer.Stream(s.stream(idA)).Token
	require.NoError(t, s.begin(t, "Sa", a))
	require.NoError(t, s.db.Close())
	s.pass(5 * time.Second)
	require.NoError(t, s.begin(t, "Sa", a))
	before := s.asked.Load()
	for range 20 {
		s.pass(5 * time.Second)
		require.NoError(t, s.begin(t, "Sa", a))
	}
	assert.Equal(t, before, s.asked.Load())
	for range 20 {
		require.ErrorIs(t, s.live(t, "Sb", ""), playback.ErrUnknown)
	}
	assert.LessOrEqual(t, s.asked.Load(), before+1)
}

// TestMediaAsksTheDatabaseForNothingThatIsKnown counts statements.
func TestMediaAsksTheDatabaseForNothingThatIsKnown(t *testing.T) {
	s := newSite(t)
	a := s.issuer.Stream(s.stream(idA)).Token
	require.NoError(t, s.begin(t, "Sa", a))
	before := s.asked.Load()
	for range 1000 {
		require.NoError(t, s.live(t, "Sa", a))
	}
	assert.Equal(t, before, s.asked.Load())
	n := testing.AllocsPerRun(500, func() {
		if s.live(t, "Sa", a) != nil {
			t.Error("refused")
		}
	})
	assert.Less(t, n, 1.0)
}

func TestCookieIsOfOnePathAndOfOurPagesAlone(t *testing.T) {
	s := newSite(t)
	g := s.issuer.Stream(s.stream(idA))
	assert.Equal(t, "mediad_pb="+g.Token+"; Path=/live/Sa/; Max-Age=46200; HttpOnly; Secure; SameSite=Strict", g.SetCookie("/live/Sa/", true))
}

func BenchmarkMedia(b *testing.B) {
	d, err := db.Open(b.Context(), db.Options{Path: b.TempDir() + "/x.db"})
	require.NoError(b, err)
	defer d.Close()
	_, err = d.MigrateUp(b.Context())
	require.NoError(b, err)
	row := db.Stream{ID: idA, Slug: "a", OwnerID: owner, Title: "t", Visibility: "followers", ReplayVisibility: "public", Latency: "low", Version: 1}
	require.NoError(b, d.Tx(b.Context(), func(q db.Queries) error {
		if err := q.CreateUser(db.User{ID: owner, Username: "owner", Role: "streamer", State: db.UserActive, Links: []db.Link{}, Version: 1}); err != nil {
			return err
		}
		return q.CreateStream(row)
	}))
	secrets, err := seal.New(bytes.Repeat([]byte{1}, 32))
	require.NoError(b, err)
	ring, err := playback.Keys(secrets)
	require.NoError(b, err)
	policies := playback.NewPolicies(playback.PoliciesOptions{DB: d})
	rights := playback.NewRights(playback.RightsOptions{Policies: policies, Keys: ring})
	open := row
	open.ID, open.Slug, open.Visibility = idB, "b", "public"
	require.NoError(b, d.Tx(b.Context(), func(q db.Queries) error { return q.CreateStream(open) }))
	tok := playback.NewIssuer(ring, nil).Stream(row).Token
	for name, ask := range map[string]playback.Ask{"token": {Kind: token.Live, Name: "a", Token: tok}, "plain": {Kind: token.Live, Name: "b"}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := rights.Media(b.Context(), ask); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
