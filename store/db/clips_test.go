package db_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/store/db"
	"mediad/store/db/dbtest"
)

// clipSteps are the statements about clips, forwards and markers.
func clipSteps() []func(q db.Queries) error {
	return []func(q db.Queries) error{
		func(q db.Queries) error {
			_, err := q.ListClipsOf(s1, []string{"public", "followers"}, "", 5)
			return err
		},
		func(q db.Queries) error {
			_, err := q.ListClipsOf(s1, []string{"public"}, "z", 5)
			return err
		},
		func(q db.Queries) error { _, err := q.CountClips(u1, 5); return err },
		func(q db.Queries) error {
			v, err := q.FindVideo("v")
			if err == nil {
				err = q.SaveVideo(v, v.Version, 1)
			}
			return err
		},
		func(q db.Queries) error { return q.CreateForward(db.StreamForward{ID: "f", StreamID: s1}) },
		func(q db.Queries) error { _, err := q.ListForwards(s1); return err },
		func(q db.Queries) error { _, err := q.ListForwardsOf([]string{s1, s2}); return err },
		func(q db.Queries) error { return q.DeleteForward(s1, "f") },
		func(q db.Queries) error {
			return q.CreateMarker(db.Marker{ID: "m", SessionID: "e", StreamID: s1, UserID: u1})
		},
		func(q db.Queries) error { _, err := q.ListMarkers("e", 0, 5, 5); return err },
		func(q db.Queries) error { _, err := q.CountMarkers("e", 5); return err },
		func(q db.Queries) error { _, err := q.FindMarker(s1, "m"); return err },
		func(q db.Queries) error { return q.DeleteMarker(s1, "m") },
	}
}

func TestClipsOfStreams(t *testing.T) { dbtest.Run(t, testClipsOfStreams) }

func testClipsOfStreams(t *testing.T, on dbtest.On) {
	d := on.Open(t)
	session := "e"
	tx(t, d, func(q db.Queries) error { return q.CreateUser(user(u1, "maker", "viewer")) })
	tx(t, d, func(q db.Queries) error { return q.CreateUser(user(s3, "channel", "streamer")) })
	tx(t, d, func(q db.Queries) error { return q.CreateStream(stream(s1, "a")) })
	add := func(id, kind, visibility, state string, channel *string) {
		tx(t, d, func(q db.Queries) error {
			of := s1
			return q.InsertVideo(db.Video{
				ID: id, Kind: kind, OwnerID: u1, ChannelID: channel, Widest: "public", StreamID: &of, SessionID: &session, Visibility: visibility, State: state, Version: 1,
			})
		})
	}
	channel := s3
	add("1", db.KindClip, "public", db.VideoReady, nil)
	add("2", db.KindReplay, "public", db.VideoReady, nil)
	add("3", db.KindClip, "followers", db.VideoReady, &channel)
	add("4", db.KindClip, "public", db.VideoProcessing, &channel)
	add("5", db.KindClip, "unlisted", db.VideoReady, &channel)
	ids := func(visibilities []string, before string, limit int) (all []string) {
		found, err := d.Read(t.Context()).ListClipsOf(s1, visibilities, before, limit)
		require.NoError(t, err)
		for _, v := range found {
			all = append(all, v.ID)
		}
		return all
	}
	assert.Equal(t, []string{"3", "1"}, ids([]string{"public", "followers"}, "", 5))
	assert.Equal(t, []string{"3"}, ids([]string{"public", "followers"}, "", 1))
	assert.Equal(t, []string{"1"}, ids([]string{"public", "followers"}, "3", 5))
	assert.Equal(t, []string{"5", "3", "1"}, ids([]string{"public", "followers", "unlisted"}, "", 5))
	for most, want := range map[int]int{5: 3, 2: 2} {
		n, err := d.Read(t.Context()).CountClips(u1, most)
		require.NoError(t, err)
		assert.Equal(t, want, n)
	}

	// What is changed meanwhile is not changed over.
	v, err := d.Read(t.Context()).FindVideo("3")
	require.NoError(t, err)
	v.Title, v.Visibility = "new", "private"
	tx(t, d, func(q db.Queries) error { return q.SaveVideo(v, 1, 9) })
	require.ErrorIs(t, d.Tx(t.Context(), func(q db.Queries) error { return q.SaveVideo(v, 1, 9) }), db.ErrNotFound)
	got, err := d.Read(t.Context()).FindVideo("3")
	require.NoError(t, err)
	assert.Equal(t, [4]any{"new", "private", int64(1), int64(2)}, [4]any{got.Title, got.Visibility, got.PolicyEpoch, got.Version})
	policy, err := d.Read(t.Context()).VideoPolicy("3")
	require.NoError(t, err)
	assert.Equal(t, s3, policy.ChannelID)
	policy, err = d.Read(t.Context()).VideoPolicy("1")
	require.NoError(t, err)
	assert.Empty(t, policy.ChannelID)
	tx(t, d, func(q db.Queries) error { return q.BumpPolicies(s3) })
	policy, err = d.Read(t.Context()).VideoPolicy("3")
	require.NoError(t, err)
	assert.Equal(t, int64(2), policy.PolicyEpoch, "who blocks somebody takes what others cut out of their broadcasts back, too")
}

func TestForwardsAndMarkers(t *testing.T) { dbtest.Run(t, testForwardsAndMarkers) }

func testForwardsAndMarkers(t *testing.T, on dbtest.On) {
	d := on.Open(t)
	tx(t, d, func(q db.Queries) error { return q.CreateUser(user(u1, "first", "streamer")) })
	for _, id := range []string{s1, s2} {
		tx(t, d, func(q db.Queries) error { return q.CreateStream(stream(id, id)) })
		tx(t, d, func(q db.Queries) error {
			return q.CreateForward(db.StreamForward{ID: "f" + id, StreamID: id, URLEnc: "x"})
		})
	}
	both, err := d.Read(t.Context()).ListForwardsOf([]string{s1, s2})
	require.NoError(t, err)
	assert.Len(t, both, 2)
	require.ErrorIs(t, d.Tx(t.Context(), func(q db.Queries) error { return q.DeleteForward(s1, "f"+s2) }), db.ErrNotFound)
	tx(t, d, func(q db.Queries) error { return q.DeleteForward(s1, "f"+s1) })
	tx(t, d, func(q db.Queries) error { return q.DeleteStream(s2, 1) })
	both, err = d.Read(t.Context()).ListForwardsOf([]string{s1, s2})
	require.NoError(t, err)
	assert.Empty(t, both, "a stream that is deleted is forwarded nowhere")

	for i, at := range []db.Millis{30, 10, 20} {
		tx(t, d, func(q db.Queries) error {
			return q.CreateMarker(db.Marker{ID: string(rune('a' + i)), SessionID: "e", StreamID: s1, UserID: u1, Label: "x", At: at})
		})
	}
	list, err := d.Read(t.Context()).ListMarkers("e", 10, 30, 5)
	require.NoError(t, err)
	require.Len(t, list, 2)
	assert.Equal(t, []db.Millis{10, 20}, []db.Millis{list[0].At, list[1].At})
	n, err := d.Read(t.Context()).CountMarkers("e", 2)
	require.NoError(t, err)
	assert.Equal(t, 2, n)
}
