package db_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/store/db"
	"mediad/store/db/dbtest"
)

// TestStatementsAreMeasured by what they do and to which table.
func TestStatementsAreMeasured(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		var mu sync.Mutex
		seen := map[string]time.Duration{}
		d := on.OpenWith(t, db.Options{Measure: func(op, table string, took time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			seen[op+" "+table] += took
		}})
		require.NoError(t, d.Tx(t.Context(), func(q db.Queries) error { return q.CreateUser(user(u1, "first", "admin")) }))
		require.NoError(t, d.Tx(t.Context(), func(q db.Queries) error { return q.SetRole(u1, "viewer", 1) }))
		_, err := d.Read(t.Context()).FindUser(u1)
		require.NoError(t, err)
		_, err = d.Read(t.Context()).FindStream(s1)
		require.ErrorIs(t, err, db.ErrNotFound)
		require.NoError(t, d.Tx(t.Context(), func(q db.Queries) error { _, err := q.DeleteSigningKeys(1); return err }))
		mu.Lock()
		defer mu.Unlock()
		for _, want := range []string{"insert users", "update users", "select users", "select streams", "delete signing_keys"} {
			assert.Positive(t, seen[want], want)
		}
		assert.Positive(t, d.Pool().Idle)
	})
}

// TestEachSeen goes through pages, and through a page full of one moment.
func TestEachSeen(t *testing.T) {
	d := onSQLite.Open(t)
	require.NoError(t, d.Tx(t.Context(), func(q db.Queries) error {
		if err := q.CreateUser(user(u1, "first", "admin")); err != nil {
			return err
		}
		for i := range 4100 {
			id, err := db.NewID()
			if err != nil {
				return err
			}
			l := db.Login{ID: id, UserID: u1, Version: 1, Transport: "body", IPEnc: "x", LastSeenAt: db.Millis(max(100, i-2050)), ExpiresAt: 9}
			if err := q.CreateLogin(l); err != nil {
				return err
			}
		}
		return nil
	}))
	n := 0
	require.NoError(t, d.Read(t.Context()).EachSeen(100, func(id string) {
		assert.Equal(t, u1, id)
		n++
	}))
	assert.GreaterOrEqual(t, n, 3900, "all but what does not fit a page of one millisecond")
	n = 0
	require.NoError(t, d.Read(t.Context()).EachSeen(2049, func(string) { n++ }))
	assert.Equal(t, 1, n)
}
