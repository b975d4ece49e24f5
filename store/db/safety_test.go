package db_test

import (
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
	step(func(q db.Queries) error { _, err := q.DeleteNonces(10); return err })
	call := db.Idempotent{Caller: "c", Route: "r", Key: "k", Claim: "x", BusyUntil: 5, ExpiresAt: 9}
	step(func(q db.Queries) error { _, err := q.ClaimIdempotent(call, 1); return err })
	step(func(q db.Queries) error { _, err := q.ClaimIdempotent(call, 1); return err })
	step(func(q db.Queries) error { return q.AnswerIdempotent(call) })
	step(func(q db.Queries) error { return q.ReleaseIdempotent(call) })
	step(func(q db.Queries) error { _, err := q.DeleteIdempotent(10); return err })
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
		require.NoError(t, d.Tx(t.Context(), func(q db.Queries) error { _, err := q.DeleteNonces(20); return err }))
		assert.False(t, use("a", 19, 29), "it had until 20")
		require.NoError(t, d.Tx(t.Context(), func(q db.Queries) error { _, err := q.DeleteNonces(21); return err }))
		assert.True(t, use("a", 19, 29))
		require.ErrorIs(t, d.Tx(t.Context(), func(q db.Queries) error { return q.DeleteServerKey("none") }), db.ErrNotFound)
	}
}

func TestAPlaceOfACallThatDiedIsTaken(t *testing.T) {
	for _, on := range []dbtest.On{onSQLite, onPostgres} {
		d := on.Open(t)
		claim := func(name string, now db.Millis) (found db.Idempotent) {
			tx(t, d, func(q db.Queries) (err error) {
				found, err = q.ClaimIdempotent(db.Idempotent{
					Caller: "c", Route: "r", Key: "k", Claim: name, BusyUntil: now + 10, ExpiresAt: now + 100,
				}, now)
				return err
			})
			return found
		}
		assert.Equal(t, "first", claim("first", 1).Claim)
		assert.Equal(t, "first", claim("second", 10).Claim)
		second := claim("second", 11)
		assert.Equal(t, "second", second.Claim)
		first := second
		first.Claim, first.AnswerEnc = "first", "late"
		err := d.Tx(t.Context(), func(q db.Queries) error { return q.AnswerIdempotent(first) })
		require.ErrorIs(t, err, db.ErrNotFound, "who lost its place stores nothing")
		tx(t, d, func(q db.Queries) error { return q.ReleaseIdempotent(first) })
		second.AnswerEnc = "answer"
		tx(t, d, func(q db.Queries) error { return q.AnswerIdempotent(second) })
		assert.Equal(t, "answer", claim("third", 50).AnswerEnc)
		assert.Equal(t, "third", claim("third", 111).Claim, "it has expired")
		tx(t, d, func(q db.Queries) error { _, err := q.DeleteIdempotent(212); return err })
		assert.Equal(t, "fourth", claim("fourth", 50).Claim)
	}
}
