package play

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/store/db"
	"mediad/store/db/dbtest"
)

// TestNothingIsRememberedOfClosedAccounts: a page that was left open tells of plays of an account that is erased by then.
func TestNothingIsRememberedOfClosedAccounts(t *testing.T) {
	const video = "0198f2a0-0000-7000-8000-000000000031"
	users := map[string]string{
		"0198f2a0-0000-7000-8000-000000000001": db.UserActive, "0198f2a0-0000-7000-8000-000000000002": db.UserLeaving,
		"0198f2a0-0000-7000-8000-000000000003": db.UserErased,
	}
	d := dbtest.Open(t)
	require.NoError(t, d.Tx(t.Context(), func(q db.Queries) (err error) {
		var marks []fresh
		for id, state := range users {
			err = errors.Join(err, q.CreateUser(db.User{ID: id, Username: "user-" + id, Role: "viewer", State: state, Version: 1}))
			marks = append(marks, fresh{Mark: db.Mark{UserID: id, VideoID: video, PositionMS: 5000, UpdatedAt: 1}, first: true})
		}
		err = errors.Join(err, q.InsertVideo(db.Video{
			ID: video, Kind: db.KindClip, OwnerID: "0198f2a0-0000-7000-8000-000000000001", Title: "x", Visibility: "public", State: db.VideoReady, Version: 1,
		}))
		return errors.Join(err, remember(q, marks))
	}))
	for id, state := range users {
		marks, err := d.Read(t.Context()).FindMarks(id, []string{video})
		require.NoError(t, err)
		assert.Equal(t, state == db.UserActive, len(marks) == 1, state)
	}
}
