package db_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/store/db"
	"mediad/store/db/dbtest"
)

// TestPolicyEpochs: they rise with what changes who may watch, and with nothing else.
func TestPolicyEpochs(t *testing.T) {
	const u2 = "0198f2a0-0000-7000-8000-0000000000b2"
	for _, on := range []dbtest.On{onSQLite, onPostgres} {
		d := on.Open(t)
		epoch := func() (stream, video int64) {
			t.Helper()
			q := d.Read(t.Context())
			s, err := q.StreamPolicyBySlug("CLOSED")
			require.NoError(t, err)
			v, err := q.VideoPolicy("v")
			require.NoError(t, err)
			return s.PolicyEpoch, v.PolicyEpoch
		}
		do := func(fn func(q db.Queries) error) {
			t.Helper()
			require.NoError(t, d.Tx(t.Context(), fn))
		}
		do(func(q db.Queries) error {
			if err := q.CreateUser(user(u1, "first", "admin")); err != nil {
				return err
			}
			if err := q.CreateUser(user(u2, "second", "viewer")); err != nil {
				return err
			}
			closed, open := stream(s1, "Closed"), stream(s2, "open")
			closed.Visibility = "followers"
			if err := q.CreateStream(open); err != nil {
				return err
			}
			if err := q.CreateStream(closed); err != nil {
				return err
			}
			return q.InsertVideo(db.Video{ID: "v", Kind: db.KindClip, OwnerID: u1, Visibility: "private", State: db.VideoReady})
		})
		s, v := epoch()
		assert.Zero(t, s+v)

		edit := func(change func(*db.Stream)) {
			t.Helper()
			do(func(q db.Queries) error {
				row, err := q.FindStream(s1)
				if err != nil {
					return err
				}
				change(&row)
				return q.SaveStream(row, row.Version, 1)
			})
		}
		edit(func(s *db.Stream) { s.Title = "Other" })
		s, _ = epoch()
		assert.Zero(t, s, "a title changes nobody's rights")
		edit(func(s *db.Stream) { s.Visibility = "private" })
		s, _ = epoch()
		assert.EqualValues(t, 1, s)

		block := func() {
			do(func(q db.Queries) error {
				_, _, err := q.Block(db.Block{UserID: u1, OtherID: u2, CreatedAt: 1})
				return err
			})
		}
		block()
		s, v = epoch()
		assert.EqualValues(t, []int64{2, 1}, []int64{s, v})
		block()
		s, v = epoch()
		assert.EqualValues(t, []int64{2, 1}, []int64{s, v}, "they are blocked already")
		all, err := d.Read(t.Context()).StreamPolicies([]string{s1, s2, "nobody"})
		require.NoError(t, err)
		require.Len(t, all, 2)
		for _, p := range all {
			assert.Equal(t, u1, p.OwnerID)
			assert.True(t, p.Shown)
			if p.ID == s2 {
				assert.Zero(t, p.PolicyEpoch, "what everybody may watch has nothing to take back")
			}
		}

		do(func(q db.Queries) error { return q.DeleteStream(s1, 1) })
		do(func(q db.Queries) error { return q.DeleteVideo("v", 1) })
		s, v = epoch()
		assert.EqualValues(t, []int64{3, 2}, []int64{s, v})
		gone, err := d.Read(t.Context()).VideoPolicies([]string{"v"})
		require.NoError(t, err)
		require.Len(t, gone, 1)
		assert.False(t, gone[0].Shown)
		_, err = d.Read(t.Context()).StreamPolicyBySlug("nobody")
		require.ErrorIs(t, err, db.ErrNotFound)
		_, err = d.Read(t.Context()).VideoPolicy("nobody")
		require.ErrorIs(t, err, db.ErrNotFound)
	}
}
