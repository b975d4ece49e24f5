package db_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/store/db"
	"mediad/store/db/dbtest"
)

// safetySteps run every statement about server keys and nonces.
func safetySteps() []func(q db.Queries) error {
	var steps []func(q db.Queries) error
	step := func(fn func(q db.Queries) error) { steps = append(steps, fn) }
	step(func(q db.Queries) error { return q.CreateServerKey(db.ServerKey{ID: "sk", CreatedBy: u1}) })
	step(func(q db.Queries) error { _, err := q.FindServerKey("sk"); return err })
	step(func(q db.Queries) error { _, err := q.ListServerKeys("", 5); return err })
	step(func(q db.Queries) error { return q.TouchServerKey("sk", 1) })
	step(func(q db.Queries) error { _, err := q.UseNonce("sk", "n", 1, 9); return err })
	step(func(q db.Queries) error { return q.DeleteNonces(10) })
	step(func(q db.Queries) error { return q.DeleteServerKey("sk") })
	return steps
}

func TestANonceIsNewOnce(t *testing.T) {
	for _, on := range []dbtest.On{onSQLite, onPostgres} {
		d := on.Open(t)
		use := func(key string, now, expires db.Millis) (fresh bool) {
			require.NoError(t, d.Tx(t.Context(), func(q db.Queries) (err error) {
				fresh, err = q.UseNonce(key, "nonce", now, expires)
				return err
			}))
			return fresh
		}
		assert.True(t, use("a", 1, 10))
		assert.False(t, use("a", 9, 19))
		assert.True(t, use("b", 9, 19))
		assert.True(t, use("a", 10, 20))
		assert.False(t, use("a", 19, 29))
		require.NoError(t, d.Tx(t.Context(), func(q db.Queries) error { return q.DeleteNonces(20) }))
		assert.False(t, use("a", 19, 29), "it had until 20")
		require.NoError(t, d.Tx(t.Context(), func(q db.Queries) error { return q.DeleteNonces(21) }))
		assert.True(t, use("a", 19, 29))
		require.True(t, errors.Is(d.Tx(t.Context(), func(q db.Queries) error { return q.DeleteServerKey("none") }), db.ErrNotFound))
	}
}
