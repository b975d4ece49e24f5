package db_test

import (
	"database/sql"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/store/db"
	"mediad/store/db/dbtest"
)

func TestStreamsAreSavedAndDeleted(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		one := stream(s1, "one")
		one.Tags = []string{"chess"}
		d := seeded(t, on, one, stream(s2, "other"))
		tx := func(fn func(q db.Queries) error) error { return d.Tx(t.Context(), fn) }
		row, err := d.Read(t.Context()).FindStream(s1)
		require.NoError(t, err)
		row.Title, row.Tags = "New", []string{"blitz", "go"}
		require.NoError(t, tx(func(q db.Queries) error { return q.SaveStream(row, row.Version, 7) }))
		assert.ErrorIs(t, tx(func(q db.Queries) error { return q.SaveStream(row, row.Version, 8) }), db.ErrNotFound, "it has another version now")
		saved, err := d.Read(t.Context()).FindStreamBySlug("one")
		require.NoError(t, err)
		assert.Equal(t, []string{"blitz", "go"}, saved.Tags)
		assert.Equal(t, row.Version+1, saved.Version)
		saved.Slug = "OTHER"
		assert.ErrorIs(t, tx(func(q db.Queries) error { return q.SaveStream(saved, saved.Version, 9) }), db.ErrDuplicate)

		require.NoError(t, tx(func(q db.Queries) error {
			return q.CreateStreamKey(db.StreamKey{ID: "k", StreamID: s1, Hash: "h", CreatedAt: 1})
		}))
		assert.ErrorIs(t, tx(func(q db.Queries) error { return q.RevokeStreamKey(s2, "k", 5) }), db.ErrNotFound)
		require.NoError(t, tx(func(q db.Queries) error { return q.DeleteStream(s1, 10) }))
		assert.ErrorIs(t, tx(func(q db.Queries) error { return q.RevokeStreamKey(s1, "k", 11) }), db.ErrNotFound, "it is dead")
		found, err := d.Read(t.Context()).ListStreamsOf(u1, "", 5)
		require.NoError(t, err)
		require.Len(t, found, 1)
		assert.Equal(t, s2, found[0].ID)
		n, err := d.Read(t.Context()).CountStreamsOf(u1)
		require.NoError(t, err)
		assert.EqualValues(t, 1, n)
		found, err = d.Read(t.Context()).ListStreams(db.StreamFilter{Listed: true}, 5)
		require.NoError(t, err)
		assert.Len(t, found, 1)
	})
}

func TestTheNewestDisconnectsAreKept(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		d := seeded(t, on, stream(s1, "one"))
		for i := range 7 {
			err := d.Tx(t.Context(), func(q db.Queries) error {
				return q.AddDisconnect(db.Disconnect{ID: fmt.Sprint("d", i), StreamID: s1, At: db.Millis(i), Code: "replaced"}, 3)
			})
			require.NoError(t, err)
		}
		found, err := d.Read(t.Context()).ListDisconnects(s1, 10)
		require.NoError(t, err)
		require.Len(t, found, 3)
		assert.Equal(t, "d6", found[0].ID)
		assert.Equal(t, "d4", found[2].ID)
	})
}

// TestTagsOlderThanSpellings are read as they were stored.
func TestTagsOlderThanSpellings(t *testing.T) {
	d := onSQLite.OpenWith(t, db.Options{})
	require.NoError(t, d.Tx(t.Context(), func(q db.Queries) error {
		if err := q.CreateUser(user(u1, "anna", "admin")); err != nil {
			return err
		}
		one := stream(s1, "one")
		one.Tags = []string{"Chess", "Blitz"}
		return q.CreateStream(one)
	}))
	raw, err := sql.Open("sqlite", "file:"+d.Where())
	require.NoError(t, err)
	defer func() { assert.NoError(t, raw.Close()) }()
	_, err = raw.ExecContext(t.Context(), "UPDATE stream_tags SET spelling = '', position = 0")
	require.NoError(t, err)
	found, err := d.Read(t.Context()).FindStream(s1)
	require.NoError(t, err)
	assert.Equal(t, []string{"blitz", "chess"}, found.Tags)
}
