package db_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/store/db"
	"mediad/store/db/dbtest"
)

// alertSteps run every statement on alerts.
func alertSteps() []func(q db.Queries) error {
	var steps []func(q db.Queries) error
	step := func(fn func(q db.Queries) error) { steps = append(steps, fn) }
	step(func(q db.Queries) error { _, err := q.FireAlert(alert("a1", "f1")); return err })
	step(func(q db.Queries) error { _, err := q.FindAlert("a1"); return err })
	step(func(q db.Queries) error { _, err := q.FindFiring("f1"); return err })
	step(func(q db.Queries) error { _, err := q.ListFiring(); return err })
	for _, state := range []string{"", db.AlertFiring, db.AlertResolved} {
		step(func(q db.Queries) error { _, err := q.ListAlerts(state, "", 5); return err })
	}
	step(func(q db.Queries) error { return q.AdoptAlert("a1", "n", "m") })
	step(func(q db.Queries) error { return q.AckAlert("a1", u1, 2) })
	step(func(q db.Queries) error { return q.ResolveAlert("a1", "m", db.AlertCleared, 3) })
	step(func(q db.Queries) error { _, err := q.AlertBeyond(0); return err })
	step(func(q db.Queries) error { _, err := q.DeleteAlerts(4, 5); return err })
	step(func(q db.Queries) error { _, err := q.CountFollowsSince(99_000); return err }) // the last hundredth of the many
	return steps
}

func alert(id, fingerprint string) db.Alert {
	value := 1.5
	return db.Alert{
		ID: id, Fingerprint: fingerprint, Rule: "R", Severity: "warning", Summary: "s", Labels: map[string]string{"dir": "data"}, Node: "n", State: db.AlertFiring,
		Value: &value, FiredAt: 1,
	}
}

func TestAlertsFireOnceAndAreResolvedByWhoTellsOfThem(t *testing.T) {
	t.Parallel()
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		t.Parallel()
		d := on.Open(t)
		q := d.Write(t.Context())
		endless := alert("a1", "f1")
		inf := math.Inf(1)
		endless.Value = &inf
		made, err := q.FireAlert(endless)
		require.NoError(t, err)
		require.True(t, made)
		made, err = q.FireAlert(alert("a2", "f1"))
		require.NoError(t, err)
		require.False(t, made, "it fires already")
		found, err := q.FindFiring("f1")
		require.NoError(t, err)
		require.Equal(t, endless, found)

		require.ErrorIs(t, q.ResolveAlert("a1", "other", db.AlertCleared, 5), db.ErrNotFound)
		require.ErrorIs(t, q.AdoptAlert("a1", "other", "m"), db.ErrNotFound)
		require.NoError(t, q.AdoptAlert("a1", "n", "m"))
		require.NoError(t, q.AckAlert("a1", "anna", 4))
		require.ErrorIs(t, q.AckAlert("a1", "bert", 5), db.ErrNotFound)
		require.NoError(t, q.ResolveAlert("a1", "m", db.AlertCleared, 6))
		require.ErrorIs(t, q.ResolveAlert("a1", "m", db.AlertCleared, 7), db.ErrNotFound)
		found, err = q.FindAlert("a1")
		require.NoError(t, err)
		require.Equal(t, "anna", found.AckedBy)
		require.Equal(t, db.Millis(6), *found.ResolvedAt)

		made, err = q.FireAlert(alert("a2", "f1"))
		require.NoError(t, err)
		require.True(t, made, "it fires again")
		made, err = q.FireAlert(alert("a3", "f3"))
		require.NoError(t, err)
		require.True(t, made)
		ids := func(state, before string, limit int) (ids []string) {
			rows, err := q.ListAlerts(state, before, limit)
			require.NoError(t, err)
			for _, r := range rows {
				ids = append(ids, r.ID)
			}
			return ids
		}
		assert.Equal(t, []string{"a3", "a2", "a1"}, ids("", "", 5))
		assert.Equal(t, []string{"a2"}, ids(db.AlertFiring, "a3", 5))
		assert.Equal(t, []string{"a1"}, ids(db.AlertResolved, "", 5))
		require.NoError(t, q.ResolveAlert("a3", "n", db.AlertNodeGone, 9))

		at, err := q.AlertBeyond(1)
		require.NoError(t, err)
		assert.Equal(t, db.Millis(6), at)
		at, err = q.AlertBeyond(2)
		require.NoError(t, err)
		assert.Zero(t, at)
		n, err := q.DeleteAlerts(9, 5)
		require.NoError(t, err)
		assert.Equal(t, int64(1), n, "what fires, or was resolved later, stays")
		assert.Equal(t, []string{"a3", "a2"}, ids("", "", 5))
	})
}
