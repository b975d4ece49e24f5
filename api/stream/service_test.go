package stream

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"mediad/store/db"
	"mediad/store/db/dbtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const owner = "0198f2a0-0000-7000-8000-000000000001"

// bench is a service with a clock that the test moves.
type bench struct {
	*Service
	db    *db.DB
	clock *clock
}

type clock struct {
	mu  sync.Mutex // guards now
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newBench(t *testing.T, o Options) *bench {
	t.Helper()
	d := dbtest.Open(t)
	require.NoError(t, d.Tx(t.Context(), func(q db.Queries) error {
		return q.CreateUser(db.User{ID: owner, Username: "anna", DisplayName: "Anna", Role: "admin", CreatedAt: 1, UpdatedAt: 1, Version: 1})
	}))
	c := &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	o.DB, o.Now = d, c.Now
	o.Owner = func(ctx context.Context) (db.User, error) { return d.Read(ctx).FirstUserOfRole("admin") }
	if o.DVR == 0 {
		o.DVR, o.ResumeWindow, o.Record = 2*time.Hour, time.Minute, true
	}
	return &bench{Service: New(o), db: d, clock: c}
}

func (b *bench) create(t *testing.T, c Create) Created {
	t.Helper()
	c.OwnerID = owner
	made, err := b.Create(t.Context(), c)
	require.NoError(t, err)
	return made
}

// airing are grants as those of sessions.
func airing(grants ...Grant) []OnAir {
	on := make([]OnAir, len(grants))
	for i, g := range grants {
		on[i].Grant = g
	}
	return on
}

// refused asserts a refusal and returns its reason.
func refused(t *testing.T, err error) string {
	t.Helper()
	var r *Refusal
	require.ErrorAs(t, err, &r)
	assert.Equal(t, (&Refusal{Reason: "unknown"}).Error(), err.Error(), "every refusal reads the same")
	return r.Reason
}

func TestCreateAndFind(t *testing.T) {
	b := newBench(t, Options{})
	made := b.create(t, Create{Slug: "main"})
	assert.Regexp(t, `^mds_[a-z2-7]{32}$`, made.Secret)
	assert.Equal(t, made.Secret[len(made.Secret)-4:], made.Key.Hint)
	assert.NotContains(t, made.Key.Hash, made.Secret)
	assert.Equal(t, "main", made.Stream.Title)
	assert.Equal(t, 7200, made.Stream.DVRS)
	assert.Equal(t, 60, made.Stream.ResumeWindowS)
	for _, name := range []string{"main", "MAIN", made.Stream.ID, strings.ToUpper(made.Stream.ID)} {
		got, err := b.Find(t.Context(), name)
		require.NoError(t, err, name)
		assert.Equal(t, made.Stream.ID, got.ID)
	}
	for _, name := range []string{"", "mai", "main ", "%", "m_in", "' OR 1=1 --", "main\x00", strings.Repeat("a", 65)} {
		_, err := b.Find(t.Context(), name)
		require.ErrorIs(t, err, ErrNotFound, "%q", name)
	}
	_, err := b.Create(t.Context(), Create{Slug: "main", OwnerID: owner})
	require.ErrorIs(t, err, ErrSlugTaken)
	random := b.create(t, Create{})
	assert.True(t, validSlug(random.Stream.Slug), random.Stream.Slug)

	same, created, err := b.Ensure(t.Context(), Create{Slug: "main", OwnerID: owner})
	require.NoError(t, err)
	assert.False(t, created)
	assert.Equal(t, made.Stream.ID, same.Stream.ID)
	assert.Empty(t, same.Secret)
	_, created, err = b.Ensure(t.Context(), Create{Slug: "other", OwnerID: owner})
	require.NoError(t, err)
	assert.True(t, created)
	all, err := b.All(t.Context(), "", 10)
	require.NoError(t, err)
	assert.Len(t, all, 3)
}

func TestCreateRefuses(t *testing.T) {
	b := newBench(t, Options{})
	n := func(i int) *int { return &i }
	cases := map[string]Create{
		"slug/invalid_format": {Slug: "ab"}, "slug/invalid_format ": {Slug: "Main"}, "slug/invalid_format  ": {Slug: "a_b_c"},
		"slug/invalid_format   ": {Slug: "0198f2a0-0000-7000-8000-000000000001"},
		"title/too_long":         {Title: strings.Repeat("ä", 121)}, "description/too_long": {Description: strings.Repeat("x", 2001)},
		"tags/too_long": {Tags: strings.Split("abcdefghijk", "")}, "tags/0/too_long": {Tags: []string{strings.Repeat("x", 31)}},
		"visibility/invalid_enum": {Visibility: "all", ReplayVisibility: "public"}, "replay_visibility/invalid_enum": {ReplayVisibility: "all"},
		"latency/invalid_enum": {Latency: "none"}, "dvr_s/out_of_range": {DVRS: n(86401)}, "resume_window_s/out_of_range": {ResumeWindowS: n(-1)},
		"max_viewers/out_of_range": {MaxViewers: n(0)}, "category/invalid_format": {Category: "A b"},
		"language/invalid_format": {Language: "e"}, "label/too_long": {KeyLabel: strings.Repeat("x", 41)},
	}
	for want, c := range cases {
		if c.Slug == "" {
			c.Slug = "good-name"
		}
		c.OwnerID = owner
		_, err := b.Create(t.Context(), c)
		var invalid *Invalid
		require.ErrorAs(t, err, &invalid, want)
		require.Len(t, invalid.Fields, 1, want)
		assert.Equal(t, strings.TrimSpace(want), invalid.Fields[0].Name+"/"+invalid.Fields[0].Code)
		assert.Contains(t, invalid.Error(), invalid.Fields[0].Message)
	}
	b.create(t, Create{Slug: "edge", Title: strings.Repeat("ä", 120), Tags: strings.Split("abcdefghij", ""), DVRS: n(0), ResumeWindowS: n(600)})
}

func TestAuthorize(t *testing.T) {
	b := newBench(t, Options{})
	made := b.create(t, Create{Slug: "main"})
	want := Grant{StreamID: made.Stream.ID, Stream: "main", KeyID: made.Key.ID, ResumeWindow: time.Minute, DVR: 2 * time.Hour, Record: true}
	for _, key := range []string{made.Secret, made.Secret + "?obsConfigId=7", made.Secret + "?"} {
		got, err := b.AuthorizePublish(t.Context(), key, "203.0.113.77:5000")
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	keys, err := b.Keys(t.Context(), "main")
	require.NoError(t, err)
	assert.Equal(t, "203.0.113.x", keys[0].LastIP)
	assert.Equal(t, b.clock.Now(), keys[0].LastUsedAt.Time())

	for _, key := range []string{
		"", "?", "main", made.Stream.ID, strings.ToUpper(made.Secret), made.Secret[:35], made.Secret + "x", " " + made.Secret,
		"mds_" + strings.Repeat("a", 32), "' OR 1=1 --", "%", "\x00", "\xff", strings.Repeat("x", 100000), made.Key.Hash,
	} {
		_, err := b.AuthorizePublish(t.Context(), key, "")
		assert.Equal(t, "unknown", refused(t, err), "%.50q", key)
	}

	away := New(Options{DB: dbtest.Closed(t)})
	_, err = away.AuthorizePublish(t.Context(), "made up", "")
	assert.Equal(t, "unknown", refused(t, err), "what cannot be a key is not looked up")

	require.NoError(t, b.SetDisabled(t.Context(), "main", true, "spam"))
	_, err = b.AuthorizePublish(t.Context(), made.Secret, "")
	assert.Equal(t, "disabled", refused(t, err))
	require.NoError(t, b.SetDisabled(t.Context(), "main", false, ""))
	_, err = b.AuthorizePublish(t.Context(), made.Secret, "")
	require.NoError(t, err)
	require.ErrorIs(t, b.SetDisabled(t.Context(), "nobody", true, ""), ErrNotFound)

	none := b.create(t, Create{Slug: "no-window", ResumeWindowS: new(int)})
	got, err := b.AuthorizePublish(t.Context(), none.Secret, "")
	require.NoError(t, err)
	assert.Equal(t, time.Millisecond, got.ResumeWindow)
}

func TestRotation(t *testing.T) {
	b := newBench(t, Options{})
	first := b.create(t, Create{Slug: "main"})
	key, second, err := b.RotateKey(t.Context(), "main", Rotate{Label: "studio", Grace: time.Minute})
	require.NoError(t, err)
	assert.Equal(t, "studio", key.Label)
	for _, secret := range []string{first.Secret, second} {
		_, err = b.AuthorizePublish(t.Context(), secret, "")
		require.NoError(t, err, "in the grace both work")
	}
	b.clock.advance(time.Minute)
	_, err = b.AuthorizePublish(t.Context(), first.Secret, "")
	assert.Equal(t, "revoked", refused(t, err))
	live, err := b.LiveKey(t.Context(), "main")
	require.NoError(t, err)
	assert.Equal(t, key.ID, live.ID)

	expiring, third, err := b.RotateKey(t.Context(), "main", Rotate{ExpiresAt: b.clock.Now().Add(time.Hour)})
	require.NoError(t, err)
	assert.NotNil(t, expiring.ExpiresAt)
	_, err = b.AuthorizePublish(t.Context(), second, "")
	assert.Equal(t, "revoked", refused(t, err))
	_, err = b.AuthorizePublish(t.Context(), third, "")
	require.NoError(t, err)
	b.clock.advance(time.Hour)
	_, err = b.AuthorizePublish(t.Context(), third, "")
	assert.Equal(t, "expired", refused(t, err))
	_, err = b.LiveKey(t.Context(), "main")
	require.ErrorIs(t, err, ErrNotFound)

	b.clock.advance(31 * 24 * time.Hour)
	_, _, err = b.RotateKey(t.Context(), "main", Rotate{})
	require.NoError(t, err)
	keys, err := b.Keys(t.Context(), "main")
	require.NoError(t, err)
	assert.Len(t, keys, 1, "long dead keys are gone")
	for _, r := range []Rotate{{Grace: -1}, {Grace: 2 * time.Hour}, {Label: strings.Repeat("x", 41)}} {
		_, _, err = b.RotateKey(t.Context(), "main", r)
		var invalid *Invalid
		require.ErrorAs(t, err, &invalid)
	}
	_, _, err = b.RotateKey(t.Context(), "nobody", Rotate{})
	require.ErrorIs(t, err, ErrNotFound)
}

func TestParallelRotationsLeaveOneKey(t *testing.T) {
	b := newBench(t, Options{})
	made := b.create(t, Create{Slug: "main"})
	const rotations = 100
	secrets := make([]string, rotations+1)
	secrets[rotations] = made.Secret
	var wg sync.WaitGroup
	for i := range rotations {
		wg.Go(func() {
			_, secret, err := b.RotateKey(t.Context(), "main", Rotate{})
			assert.NoError(t, err)
			secrets[i] = secret
		})
	}
	wg.Wait()
	alive := 0
	for _, secret := range secrets {
		_, err := b.AuthorizePublish(t.Context(), secret, "")
		if err == nil {
			alive++
			continue
		}
		assert.Equal(t, "revoked", refused(t, err))
	}
	assert.Equal(t, 1, alive)
	keys, err := b.Keys(t.Context(), "main")
	require.NoError(t, err)
	assert.Len(t, keys, rotations+1)
}

func TestOpenIngest(t *testing.T) {
	b := newBench(t, Options{Open: true, MaxOpenStreams: 4})
	made := b.create(t, Create{Slug: "main", Visibility: "private"})
	got, err := b.AuthorizePublish(t.Context(), made.Secret, "")
	require.NoError(t, err)
	assert.Equal(t, made.Key.ID, got.KeyID, "real keys still work")
	got, err = b.AuthorizePublish(t.Context(), "main?x=1", "")
	require.NoError(t, err)
	assert.Equal(t, made.Stream.ID, got.StreamID)

	got, err = b.AuthorizePublish(t.Context(), "My.Stream_1", "")
	require.NoError(t, err)
	assert.Equal(t, "My.Stream_1", got.Stream)
	assert.Empty(t, got.KeyID)
	again, err := b.AuthorizePublish(t.Context(), "my.stream_1", "")
	require.NoError(t, err)
	assert.Equal(t, got, again, "one stream in every spelling")
	row, err := b.Find(t.Context(), "MY.STREAM_1")
	require.NoError(t, err)
	assert.Equal(t, owner, row.OwnerID)
	assert.Equal(t, "public", row.Visibility)

	for _, name := range []string{".", "..", "a/b", "a b", "ä", strings.Repeat("x", 65), "mds_" + strings.Repeat("a", 32), "MDS_x", "a%2fb", "a\x00"} {
		_, err = b.AuthorizePublish(t.Context(), name, "")
		assert.Equal(t, "invalid_name", refused(t, err), "%q", name)
	}
	_, second, err := b.RotateKey(t.Context(), "main", Rotate{})
	require.NoError(t, err)
	_, err = b.AuthorizePublish(t.Context(), made.Secret, "")
	assert.Equal(t, "revoked", refused(t, err), "a dead key is no name")
	_, err = b.AuthorizePublish(t.Context(), second, "")
	require.NoError(t, err)
	require.NoError(t, b.SetDisabled(t.Context(), "main", true, ""))
	_, err = b.AuthorizePublish(t.Context(), "main", "")
	assert.Equal(t, "disabled", refused(t, err))

	for _, name := range []string{"three", "four"} {
		_, err = b.AuthorizePublish(t.Context(), name, "")
		require.NoError(t, err)
	}
	_, err = b.AuthorizePublish(t.Context(), "five", "")
	assert.Equal(t, "too_many_streams", refused(t, err))
}

func TestOpenIngestRace(t *testing.T) {
	b := newBench(t, Options{Open: true})
	var mu sync.Mutex
	ids := map[string]bool{}
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			got, err := b.AuthorizePublish(t.Context(), []string{"Same", "same", "SAME"}[i%3], "")
			if !assert.NoError(t, err) {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			ids[got.StreamID] = true
		})
	}
	wg.Wait()
	assert.Len(t, ids, 1)
}

func TestKeysWhileTheDatabaseIsAway(t *testing.T) {
	b := newBench(t, Options{})
	brief := b.create(t, Create{Slug: "brief"})
	lasting := b.create(t, Create{Slug: "lasting"})
	unused := b.create(t, Create{Slug: "unused"})
	var grants []Grant
	for _, made := range []Created{brief, lasting} {
		g, err := b.AuthorizePublish(t.Context(), made.Secret, "")
		require.NoError(t, err)
		grants = append(grants, g)
	}
	dead, err := b.CheckOnAir(t.Context(), airing(grants[1:]...))
	require.NoError(t, err)
	assert.Empty(t, dead)

	away := New(Options{DB: dbtest.Closed(t), Now: b.clock.Now})
	away.keys.byHash = b.keys.byHash

	_, err = away.AuthorizePublish(t.Context(), unused.Secret, "")
	require.Error(t, err, "a key that was not seen is not known")
	var refusal *Refusal
	assert.NotErrorAs(t, err, &refusal, "but it is not called invalid either")
	b.clock.advance(keyGrace)
	got, err := away.AuthorizePublish(t.Context(), brief.Secret, "")
	require.NoError(t, err)
	assert.Equal(t, grants[0], got)
	b.clock.advance(time.Second)
	_, err = away.AuthorizePublish(t.Context(), brief.Secret, "")
	require.Error(t, err)
	b.clock.advance(5 * time.Hour)
	_, err = away.AuthorizePublish(t.Context(), lasting.Secret, "")
	require.NoError(t, err, "the key of a session is good for its return")
	dead, err = away.CheckOnAir(t.Context(), airing(grants[1:]...))
	require.Error(t, err)
	assert.Empty(t, dead, "a sick database condemns nobody")
	_, err = away.AuthorizePublish(t.Context(), lasting.Secret, "")
	require.NoError(t, err)
	_, err = away.CheckOnAir(t.Context(), nil)
	require.NoError(t, err)
	_, err = away.AuthorizePublish(t.Context(), lasting.Secret, "")
	require.Error(t, err, "the session is over")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = b.AuthorizePublish(ctx, lasting.Secret, "")
	assert.True(t, errors.Is(err, context.Canceled), "%v", err)
}

// TestRecheckForgetsWhatAnotherNodeChanged, and nothing while the database cannot be asked.
func TestRecheckForgetsWhatAnotherNodeChanged(t *testing.T) {
	b := newBench(t, Options{})
	kept, rotated := b.create(t, Create{Slug: "kept"}), b.create(t, Create{Slug: "rotated"})
	for _, made := range []Created{kept, rotated} {
		_, err := b.AuthorizePublish(t.Context(), made.Secret, "")
		require.NoError(t, err)
	}
	var told []string
	other := New(Options{DB: b.db, Now: b.clock.Now, Changed: func(_ context.Context, id string) { told = append(told, id) }})
	_, _, err := other.RotateKey(t.Context(), "rotated", Rotate{})
	require.NoError(t, err)
	require.NoError(t, other.SetDisabled(t.Context(), "kept", false, ""))
	assert.Equal(t, []string{rotated.Stream.ID, kept.Stream.ID}, told)

	away := New(Options{DB: dbtest.Closed(t), Now: b.clock.Now})
	away.keys.byHash = b.keys.byHash
	require.Error(t, away.Recheck(t.Context()))
	_, err = away.AuthorizePublish(t.Context(), rotated.Secret, "")
	require.NoError(t, err, "nobody can have told yet")
	require.NoError(t, b.Recheck(t.Context()))
	_, err = away.AuthorizePublish(t.Context(), rotated.Secret, "")
	require.Error(t, err)
	_, err = away.AuthorizePublish(t.Context(), kept.Secret, "")
	require.NoError(t, err)
	away.Forget(kept.Stream.ID)
	_, err = away.AuthorizePublish(t.Context(), kept.Secret, "")
	require.Error(t, err)
}

func TestSessionWithoutPublisherKeepsItsKey(t *testing.T) {
	b := newBench(t, Options{})
	made := b.create(t, Create{Slug: "main"})
	_, err := b.AuthorizePublish(t.Context(), made.Secret, "")
	require.NoError(t, err)
	waiting := []Grant{{StreamID: made.Stream.ID, Stream: "main"}}
	_, err = b.CheckOnAir(t.Context(), airing(waiting...))
	require.NoError(t, err)

	away := New(Options{DB: dbtest.Closed(t), Now: b.clock.Now})
	away.keys.byHash = b.keys.byHash
	b.clock.advance(5 * time.Hour)
	got, err := away.AuthorizePublish(t.Context(), made.Secret, "")
	require.NoError(t, err)
	assert.Equal(t, made.Key.ID, got.KeyID)
	_, err = away.AuthorizePublish(t.Context(), "main", "")
	require.Error(t, err, "its name is no key")
}

func TestCheckOnAir(t *testing.T) {
	b := newBench(t, Options{Open: true})
	kept, rotated, stopped := b.create(t, Create{Slug: "kept"}), b.create(t, Create{Slug: "rotated"}), b.create(t, Create{Slug: "stopped"})
	var grants []Grant
	for _, key := range []string{kept.Secret, rotated.Secret, stopped.Secret, "by-name"} {
		g, err := b.AuthorizePublish(t.Context(), key, "")
		require.NoError(t, err)
		grants = append(grants, g)
	}
	grants = append(grants, Grant{StreamID: kept.Stream.ID, Stream: "kept", KeyID: "0198f2a0-0000-7000-8000-00000000dead"}, Grant{StreamID: "x"})
	// As another process would do it: this service is not told.
	other := New(Options{DB: b.db, Now: b.clock.Now})
	_, _, err := other.RotateKey(t.Context(), "rotated", Rotate{})
	require.NoError(t, err)
	require.NoError(t, other.SetDisabled(t.Context(), "stopped", true, ""))
	require.NoError(t, other.SetDisabled(t.Context(), "by-name", true, ""))
	dead, err := b.CheckOnAir(t.Context(), airing(grants...))
	require.NoError(t, err)
	reasons := map[string]string{}
	for _, d := range dead {
		reasons[d.Grant.Stream+d.Grant.KeyID[max(0, len(d.Grant.KeyID)-4):]] = d.Refusal.Reason
	}
	assert.Len(t, dead, 5)
	assert.Equal(t, "unknown", reasons["keptdead"])
	assert.Equal(t, "disabled", reasons["by-name"])
	assert.True(t, dead[1].Refusal.Disabled())
	assert.Equal(t, "revoked", dead[0].Refusal.Reason)
}

func TestKeyCacheIsBounded(t *testing.T) {
	c := newKeyCache(3)
	at := time.Unix(1000, 0)
	key := func(id string) opener {
		return opener{Key: db.StreamKey{ID: id}, Stream: db.Stream{ID: "s-" + id}}
	}
	for i, id := range []string{"a", "b", "c", "d"} {
		c.put("h-"+id, key(id), at.Add(time.Duration(i)*time.Second))
	}
	assert.Equal(t, 3, c.len())
	_, ok := c.get("h-a", at)
	assert.False(t, ok, "the one seen longest ago went")
	c.setOnAir(map[Grant]bool{{StreamID: "s-b", KeyID: "b"}: true, {StreamID: "s-c", KeyID: "c"}: true, {StreamID: "s-d", KeyID: "d"}: true})
	c.put("h-e", key("e"), at)
	_, ok = c.get("h-e", at)
	assert.False(t, ok, "what is on air is never pushed out")
	c.put("h-b", key("b"), at)
	_, ok = c.get("h-b", at.Add(time.Hour))
	assert.True(t, ok, "still on air after it was seen again")
	c.forgetStream("s-b")
	_, ok = c.get("h-b", at)
	assert.False(t, ok)
}

func TestMaskAddr(t *testing.T) {
	for in, want := range map[string]string{
		"203.0.113.77:5000": "203.0.113.x", "203.0.113.77": "203.0.113.x", "[2001:db8:1:2::9]:5000": "2001:db8:1::/48",
		"2001:db8:1:2::9": "2001:db8:1::/48", "::ffff:203.0.113.77": "203.0.113.x", "fe80::1%eth0": "fe80::/48", "[::1]:5000": "::1", "": "", "host:1": "", "@": "",
	} {
		assert.Equal(t, want, MaskAddr(in), in)
	}
}

func TestSessions(t *testing.T) {
	b := newBench(t, Options{})
	made := b.create(t, Create{Slug: "main"})
	session := func(id string) db.Session {
		return db.Session{ID: id, StreamID: made.Stream.ID, StartedAt: db.At(b.clock.Now())}
	}
	for _, id := range []string{"one", "two", "three"} {
		require.NoError(t, b.SaveSession(t.Context(), session(id)))
	}
	end := b.clock.Now().Add(time.Minute)
	require.NoError(t, b.EndSession(t.Context(), "one", end, "publisher_stopped"))
	require.NoError(t, b.EndSession(t.Context(), "one", end.Add(time.Hour), "resume_timeout"))
	require.NoError(t, b.SaveSession(t.Context(), session("one")))
	got, err := b.db.Read(t.Context()).FindSession("one")
	require.NoError(t, err)
	assert.Equal(t, "publisher_stopped", got.EndReason)
	assert.Equal(t, end, got.EndedAt.Time())

	n, err := b.EndLostSessions(t.Context(), "", []string{"two"})
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	open, err := b.db.Read(t.Context()).OpenSessions()
	require.NoError(t, err)
	require.Len(t, open, 1)
	assert.Equal(t, "two", open[0].ID)
	require.Error(t, b.SaveSession(t.Context(), db.Session{ID: "x", StreamID: "nobody"}))
}

func FuzzAuthorize(f *testing.F) {
	for _, seed := range []string{"main", "mds_abc", "a?b", "' OR 1=1 --", "..", "\x00", "%"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if validOpenName(name) != (openRule.MatchString(name) && name != "." && name != ".." && !strings.HasPrefix(strings.ToLower(name), "mds_")) {
			t.Fatal(name)
		}
		if validOpenName(name) && strings.ContainsAny(name, "/\\%?# \x00") {
			t.Fatalf("%q would not stay one part of a URL", name)
		}
		if validSlug(name) && !validOpenName(name) {
			t.Fatalf("%q is good for POST but not for publishing", name)
		}
	})
}

// TestAStreamMayHaveEveryVisibility: media asks for the rights too.
func TestAStreamMayHaveEveryVisibility(t *testing.T) {
	b := newBench(t, Options{})
	for visibility, other := range map[string]string{"public": "private", "unlisted": "followers", "followers": "public", "private": "followers"} {
		made, err := b.Create(t.Context(), Create{OwnerID: owner, Title: "x", Visibility: visibility})
		require.NoError(t, err)
		require.Zero(t, made.Stream.PolicyEpoch)
		row, err := b.Edit(t.Context(), made.Stream.ID, Edit{Change: func(row *db.Stream) { row.Visibility = other }})
		require.NoError(t, err)
		require.EqualValues(t, 1, row.PolicyEpoch)
		require.NoError(t, b.Delete(t.Context(), made.Stream.ID, 0))
	}
	_, err := b.Create(t.Context(), Create{OwnerID: owner, Title: "x", Visibility: "friends"})
	var bad *Invalid
	require.ErrorAs(t, err, &bad)
}
