package playback_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/playback"
	"mediad/store/db"
)

// TestWhoPlaysIsToldOfAChangeHoweverMuchIsAskedFor: with the memory full of what others ask for, a viewer of an open stream still loses it when it is
// closed: either his stream is remembered, or he was cut and asks again.
func TestWhoPlaysIsToldOfAChangeHoweverMuchIsAskedFor(t *testing.T) {
	const most = 20
	s := newSite(t)
	playback.Bound(s.policies, most)
	s.tx(func(q db.Queries) error {
		for i := range 2 * most {
			row := db.Stream{
				ID: fmt.Sprintf("0198f2a0-0000-7000-8000-0000000001%02d", i), Slug: fmt.Sprint("many-", i), OwnerID: owner, Title: "t", Visibility: "public",
				ReplayVisibility: "public", Latency: "low", Version: 1,
			}
			if err := q.CreateStream(row); err != nil {
				return err
			}
		}
		return nil
	})
	cut := func(lost <-chan struct{}) bool {
		select {
		case <-lost:
			return true
		default:
			return false
		}
	}
	for i := range 2 * most { // all are played, and nobody asks for nothing
		_, err := s.rights.Play(t.Context(), fmt.Sprint("many-", i), "")
		require.NoError(t, err)
		require.LessOrEqual(t, playback.Size(s.policies), most)
	}
	s.pass(time.Second)
	lost, err := s.rights.Play(t.Context(), "Sb", "")
	require.NoError(t, err)
	require.False(t, cut(lost))
	for i := range 50 * most { // what is not there goes first, and costs nobody who plays anything
		_, err := s.rights.Play(t.Context(), fmt.Sprint("nothing-", i), "")
		require.Error(t, err)
	}
	require.LessOrEqual(t, playback.Size(s.policies), most)
	require.False(t, cut(lost))

	s.pass(time.Second)
	for i := range 2 * most { // other things that are there take his place: he is cut, and told by that
		_, err := s.rights.Play(t.Context(), fmt.Sprint("many-", i), "")
		require.NoError(t, err)
	}
	require.True(t, cut(lost), "he was asked for longest ago")
	again, err := s.rights.Play(t.Context(), "Sb", "")
	require.NoError(t, err)
	s.tx(func(q db.Queries) error {
		row, err := q.FindStream(idB)
		if err != nil {
			return err
		}
		row.Visibility = "private"
		return q.SaveStream(row, row.Version, 1)
	})
	s.policies.StreamChanged(idB)
	_, err = s.rights.Play(t.Context(), "Sb", "")
	require.Error(t, err)
	assert.True(t, cut(again), "who plays is told")
}
