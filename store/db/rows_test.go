package db_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/store/db"
	"mediad/store/db/dbtest"
)

func TestUsers(t *testing.T) { dbtest.Run(t, testUsers) }

func testUsers(t *testing.T, on dbtest.On) {
	d := on.Open(t)
	first, second := user(s1, "anna", "admin"), user(s2, "bert", "viewer")
	first.MustChangePassword = true
	tx(t, d, func(q db.Queries) error { return q.CreateUser(second) })
	tx(t, d, func(q db.Queries) error { return q.CreateUser(first) })
	require.ErrorIs(t, d.Tx(t.Context(), func(q db.Queries) error {
		return q.CreateUser(user(s3, "anna", "viewer"))
	}), db.ErrDuplicate)

	q := d.Read(t.Context())
	got, err := q.FindUser(s1)
	require.NoError(t, err)
	assert.Equal(t, first, got)
	_, err = q.FindUserByName("Anna")
	require.ErrorIs(t, err, db.ErrNotFound)
	got, err = q.FindUserByName("bert")
	require.NoError(t, err)
	assert.Equal(t, second, got)
	found, err := q.FindUsers([]string{s1, s2, s3})
	require.NoError(t, err)
	assert.Len(t, found, 2)
	none, err := q.FindUsers(nil)
	require.NoError(t, err)
	assert.Empty(t, none)

	tx(t, d, func(q db.Queries) error { return q.SetRole(s2, "admin", 50) })
	tx(t, d, func(q db.Queries) error { return q.SetPassword(s2, "h", true, 51) })
	require.ErrorIs(t, d.Tx(t.Context(), func(q db.Queries) error { return q.SetRole("x", "admin", 1) }), db.ErrNotFound)
	require.Error(t, d.Tx(t.Context(), func(q db.Queries) error { return q.SetRole(s2, "king", 1) }))
	q = d.Read(t.Context())
	got, err = q.FindUser(s2)
	require.NoError(t, err)
	assert.Equal(t, db.Millis(51), got.UpdatedAt)
	assert.Equal(t, int64(3), got.Version)
	assert.True(t, got.MustChangePassword)
	admin, err := q.FirstUserOfRole("admin")
	require.NoError(t, err)
	assert.Equal(t, s1, admin.ID)
	n, err := q.CountUsersOfRole("admin")
	require.NoError(t, err)
	assert.Equal(t, int64(2), n)
	list, err := q.ListUsers(s1, 10)
	require.NoError(t, err)
	require.Len(t, list, 1)
	assert.Equal(t, s2, list[0].ID)
}

func TestStreams(t *testing.T) { dbtest.Run(t, testStreams) }

func testStreams(t *testing.T, on dbtest.On) {
	tagged := stream(s2, "Second")
	tagged.Tags, tagged.Category, tagged.MaxViewers = []string{"Chess", "blitz"}, "games", new(int)
	hidden := stream(s3, "hidden")
	hidden.Visibility = "private"
	d := seeded(t, on, stream(s1, "first"), tagged, hidden)
	for _, slug := range []string{"second", "SECOND", "Second"} {
		require.ErrorIs(t, d.Tx(t.Context(), func(q db.Queries) error {
			return q.CreateStream(stream("0198f2a0-0000-7000-8000-000000000099", slug))
		}), db.ErrDuplicate, slug)
		got, err := d.Read(t.Context()).FindStreamBySlug(slug)
		require.NoError(t, err)
		assert.Equal(t, "Second", got.Slug)
		assert.Equal(t, []string{"Chess", "blitz"}, got.Tags)
		assert.Equal(t, 0, *got.MaxViewers)
	}

	list := func(f db.StreamFilter) []string {
		t.Helper()
		found, err := d.Read(t.Context()).ListStreams(f, 10)
		require.NoError(t, err)
		slugs := []string{}
		for _, s := range found {
			slugs = append(slugs, s.Slug)
		}
		return slugs
	}
	assert.Equal(t, []string{"hidden", "Second", "first"}, list(db.StreamFilter{}))
	assert.Equal(t, []string{"Second", "first"}, list(db.StreamFilter{Listed: true}))
	assert.Equal(t, []string{"first"}, list(db.StreamFilter{Listed: true, Before: s2}))
	assert.Equal(t, []string{"Second"}, list(db.StreamFilter{Category: "games"}))
	assert.Equal(t, []string{"Second"}, list(db.StreamFilter{Tag: "chess", Listed: true, Category: "games"}))
	assert.Empty(t, list(db.StreamFilter{Tag: "chess", Before: s2}))
	assert.Empty(t, list(db.StreamFilter{Tag: "' OR 1=1 --"}))
	assert.Empty(t, list(db.StreamFilter{Category: "%"}))

	tx(t, d, func(q db.Queries) error {
		return q.SetStreamDisabled(s1, db.Disabled{At: db.AtPtr(time.UnixMilli(7)), Reason: "spam", ByStaff: true}, 8)
	})
	assert.Equal(t, []string{"Second"}, list(db.StreamFilter{Listed: true}))
	got, err := d.Read(t.Context()).FindStream(s1)
	require.NoError(t, err)
	assert.Equal(t, db.Millis(7), *got.DisabledAt)
	assert.True(t, got.DisabledByStaff)
	assert.Equal(t, int64(2), got.Version)
	tx(t, d, func(q db.Queries) error { return q.SetStreamDisabled(s1, db.Disabled{}, 9) })
	n, err := d.Read(t.Context()).CountStreamsOf(u1)
	require.NoError(t, err)
	assert.Equal(t, int64(3), n)

	slugs := []string{"FIRST", "second", "hidden", "nobody"}
	for i := range inListTest {
		slugs = append(slugs, fmt.Sprintf("filler-%d", i))
	}
	found, err := d.Read(t.Context()).FindStreamsBySlug(db.StreamFilter{Listed: true}, slugs)
	require.NoError(t, err)
	assert.Len(t, found, 2)
	found, err = d.Read(t.Context()).FindStreamsBySlug(db.StreamFilter{Tag: "blitz", Category: "games", Listed: true}, slugs)
	require.NoError(t, err)
	require.Len(t, found, 1)
	assert.Equal(t, []string{"Chess", "blitz"}, found[0].Tags)
}

// inListTest makes the list longer than one IN (…).
const inListTest = 1200

func TestStreamKeys(t *testing.T) { dbtest.Run(t, testStreamKeys) }

func testStreamKeys(t *testing.T, on dbtest.On) {
	d := seeded(t, on, stream(s1, "a"), stream(s2, "b"))
	key := func(id, streamID string) db.StreamKey {
		return db.StreamKey{ID: id, StreamID: streamID, Hash: "hash-" + id, Hint: "wxyz", CreatedAt: 1}
	}
	expiring := key("k2", s1)
	expiring.ExpiresAt = db.AtPtr(time.UnixMilli(100))
	tx(t, d, func(q db.Queries) error {
		for _, k := range []db.StreamKey{key("k1", s1), expiring, key("k3", s2)} {
			if err := q.CreateStreamKey(k); err != nil {
				return err
			}
		}
		return nil
	})
	assert.True(t, expiring.AliveAt(99))
	assert.False(t, expiring.AliveAt(100))

	tx(t, d, func(q db.Queries) error { return q.RevokeStreamKeys(s1, 200) })
	tx(t, d, func(q db.Queries) error { return q.RevokeStreamKeys(s1, 300) })
	got, err := d.Read(t.Context()).FindStreamKeyByHash("hash-k1")
	require.NoError(t, err)
	assert.Equal(t, db.Millis(200), *got.RevokedAt, "a later revocation does not give time back")
	assert.True(t, got.AliveAt(199))
	assert.False(t, got.AliveAt(200))
	tx(t, d, func(q db.Queries) error { return q.TouchStreamKey("k3", 5, "203.0.113.x") })
	require.ErrorIs(t, d.Tx(t.Context(), func(q db.Queries) error { return q.TouchStreamKey("k9", 5, "") }), db.ErrNotFound)
	got, err = d.Read(t.Context()).FindStreamKeyByHash("hash-k3")
	require.NoError(t, err)
	assert.Equal(t, db.Millis(5), *got.LastUsedAt)
	assert.Nil(t, got.RevokedAt)

	found, err := d.Read(t.Context()).FindStreamKeys([]string{"k1", "k3", "k9"})
	require.NoError(t, err)
	assert.Len(t, found, 2)
	tx(t, d, func(q db.Queries) error { return q.DeleteDeadStreamKeys(s1, 200) })
	list, err := d.Read(t.Context()).ListStreamKeys(s1)
	require.NoError(t, err)
	require.Len(t, list, 1, "expired long ago goes, revoked just now stays")
	assert.Equal(t, "k1", list[0].ID)
}

func TestSessions(t *testing.T) { dbtest.Run(t, testSessions) }

func testSessions(t *testing.T, on dbtest.On) {
	d := seeded(t, on, stream(s1, "a"))
	session := db.Session{ID: "e1", StreamID: s1, StartedAt: 1000, UpdatedAt: 1000, Epochs: []db.Epoch{{
		ID: 1700000000000, StartedAt: 1000, Protocol: "rtmp", Encoder: "obs", Reason: "start",
		Video: &db.VideoTrack{Codec: "avc1.64001f", Width: 1280, Height: 720, FPS: 29.97},
	}}}
	tx(t, d, func(q db.Queries) error { return q.SaveSession(session) })
	session.Epochs = append(session.Epochs, db.Epoch{ID: 1700000005000, StartedAt: 6000, Reason: "reconnect"})
	session.UpdatedAt = 6000
	tx(t, d, func(q db.Queries) error { return q.SaveSession(session) })
	got, err := d.Read(t.Context()).FindSession("e1")
	require.NoError(t, err)
	assert.Equal(t, session, got)

	open, err := d.Read(t.Context()).OpenSessions()
	require.NoError(t, err)
	assert.Len(t, open, 1)
	tx(t, d, func(q db.Queries) error { return q.EndSession("e1", 9000, "publisher_stopped") })
	require.ErrorIs(t, d.Tx(t.Context(), func(q db.Queries) error { return q.EndSession("e1", 9999, "x") }), db.ErrNotFound)
	tx(t, d, func(q db.Queries) error { return q.SaveSession(session) })
	got, err = d.Read(t.Context()).FindSession("e1")
	require.NoError(t, err)
	assert.Equal(t, db.Millis(9000), *got.EndedAt, "a late save does not open it again")
	assert.Equal(t, "publisher_stopped", got.EndReason)

	tx(t, d, func(q db.Queries) error { return q.SaveSession(db.Session{ID: "e2", StreamID: s1, StartedAt: 20000}) })
	last, err := d.Read(t.Context()).LastSession(s1)
	require.NoError(t, err)
	assert.Equal(t, "e2", last.ID)
	list, err := d.Read(t.Context()).ListSessions(s1, 20000, 5)
	require.NoError(t, err)
	require.Len(t, list, 1)
	_, err = d.Read(t.Context()).LastSession(s2)
	require.ErrorIs(t, err, db.ErrNotFound)
}

func TestSegments(t *testing.T) { dbtest.Run(t, testSegments) }

func testSegments(t *testing.T, on dbtest.On) {
	d := seeded(t, on, stream(s1, "a"), stream(s2, "b"))
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var rows []db.Segment
	for i := range 1300 {
		for _, rendition := range []string{"source", "audio"} {
			rows = append(rows, db.Segment{
				SessionID: "e1", Rendition: rendition, MSN: int64(100 + i), StreamID: s1, Epoch: int64(7 + i/1000),
				StartNS: start.Add(time.Duration(i) * 2 * time.Second).UnixNano(), DurationNS: int64(2002 * time.Millisecond),
				BlobKey: "live/a/" + rendition, BlobOffset: int64(i) * 1000, Bytes: 1000, Discontinuity: i == 0, Gap: i == 5,
			})
		}
	}
	tx(t, d, func(q db.Queries) error { return q.InsertSegments(nil) })
	tx(t, d, func(q db.Queries) error { return q.InsertSegments(rows) })
	changed := rows[0]
	changed.Bytes = 5
	tx(t, d, func(q db.Queries) error { return q.InsertSegments(append([]db.Segment{changed}, rows[:10]...)) })

	newest, err := d.Read(t.Context()).NewestSegment(s1)
	require.NoError(t, err)
	assert.Equal(t, db.Newest{MSN: 1399, Epoch: 8, Start: start.Add(1299 * 2 * time.Second)}, newest)
	_, err = d.Read(t.Context()).NewestSegment(s2)
	require.ErrorIs(t, err, db.ErrNotFound)

	list, err := d.Read(t.Context()).ListSegments("e1", "audio", 104, 3)
	require.NoError(t, err)
	require.Len(t, list, 3)
	assert.Equal(t, rows[9], list[0])
	assert.Equal(t, 2002*time.Millisecond, list[0].Duration())
	assert.Equal(t, start.Add(8*time.Second), list[0].Start())
	list, err = d.Read(t.Context()).ListSegments("e1", "source", 0, 1)
	require.NoError(t, err)
	assert.Equal(t, int64(1000), list[0].Bytes, "a row sent again changes nothing")

	tx(t, d, func(q db.Queries) error { return q.DeleteSegments("e1", "audio", 0, 106) })
	list, err = d.Read(t.Context()).ListSegments("e1", "audio", 0, 3)
	require.NoError(t, err)
	assert.Equal(t, int64(107), list[0].MSN)
	list, err = d.Read(t.Context()).ListSegments("e1", "source", 0, 1)
	require.NoError(t, err)
	assert.Equal(t, int64(100), list[0].MSN, "of another rendition nothing goes")
}
