package db_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/store/db"
	"mediad/store/db/dbtest"
)

const (
	l1 = "0198f2a0-0000-7000-8000-0000000000c1"
	l2 = "0198f2a0-0000-7000-8000-0000000000c2"
	l3 = "0198f2a0-0000-7000-8000-0000000000c3"
)

// leavingSteps run every statement of what users have of their own and of accounts that are closed.
func leavingSteps() []func(q db.Queries) error {
	return []func(q db.Queries) error{
		func(q db.Queries) error { return q.CreateUser(user(l1, "goes", "viewer")) },
		func(q db.Queries) error { return q.SetAvatar(l1, "a", 1) },
		func(q db.Queries) error { return q.SetBanner(l1, "b", 1) },
		func(q db.Queries) error { return q.SetLimits(l1, db.Limits{Streams: new(int64)}, 1) },
		func(q db.Queries) error { _, err := q.UsageOf(l1, 1); return err },
		func(q db.Queries) error { _, err := q.FindOpenUser(l1); return err },
		func(q db.Queries) error { return q.LeaveUser(l1, 9, 1) },
		func(q db.Queries) error { return q.HideWorks(l1, 1) },
		func(q db.Queries) error { return q.ShowWorks(l1, 1) },
		func(q db.Queries) error { _, err := q.FindStreamIDsOf(l1); return err },
		func(q db.Queries) error { return q.ParkFollows(l1) },
		func(q db.Queries) error { return q.UnparkFollows(l1) },
		func(q db.Queries) error {
			_, err := q.DueErasures(9, db.DueErasure{ID: "u", EraseAt: 3}, 5)
			return err
		},
		func(q db.Queries) error { return q.RestoreUser(l1, 8) },
		func(q db.Queries) error { return q.LeaveUser(l1, 9, 1) },
		func(q db.Queries) error { return q.EraseUser(l1, 2, 9) },
		func(q db.Queries) error {
			return q.CreateExport(db.Export{ID: "x", UserID: u1, State: db.ExportQueued})
		},
		func(q db.Queries) error { _, err := q.FindExport("x"); return err },
		func(q db.Queries) error { _, err := q.ListExports(u1, "z", 5); return err },
		func(q db.Queries) error { return q.SetExportState("x", db.ExportRunning, 1) },
		func(q db.Queries) error { return q.FinishExport("x", "k", 1, 1, 2) },
		func(q db.Queries) error { _, err := q.DeleteExports(u1); return err },
		func(q db.Queries) error { return q.DoomObject("k", 1) },
		func(q db.Queries) error { _, err := q.DueObjects(2, 5); return err },
		func(q db.Queries) error { return q.SpareObject("k") },
		func(q db.Queries) error { return q.ForgetObjects([]string{"k", "l"}) },
		func(q db.Queries) error { return q.PostponeObjects([]string{"k", "l"}, 5) },
	}
}

// TestFollowsOfWhoLeaves: they count for nobody meanwhile, and are all back once both are.
func TestFollowsOfWhoLeaves(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		d := on.Open(t)
		do := func(fn func(q db.Queries) error) {
			t.Helper()
			require.NoError(t, d.Tx(t.Context(), fn))
		}
		leave := func(id string) {
			t.Helper()
			do(func(q db.Queries) error {
				if err := q.LeaveUser(id, 9, 1); err != nil {
					return err
				}
				return q.ParkFollows(id)
			})
		}
		restore := func(id string) {
			t.Helper()
			do(func(q db.Queries) error {
				if err := q.RestoreUser(id, 8); err != nil {
					return err
				}
				return q.UnparkFollows(id)
			})
		}
		counts := func(want ...int64) {
			t.Helper()
			var got []int64
			for _, id := range []string{l1, l2, l3} {
				u, err := d.Read(t.Context()).FindUser(id)
				require.NoError(t, err)
				followers, err := d.Read(t.Context()).ListFollowers(id, db.Related{}, 10)
				require.NoError(t, err)
				following, err := d.Read(t.Context()).ListFollowing(id, db.Related{}, 10)
				require.NoError(t, err)
				assert.Len(t, followers, int(u.FollowersCount))
				assert.Len(t, following, int(u.FollowingCount))
				got = append(got, u.FollowersCount, u.FollowingCount)
			}
			assert.Equal(t, want, got)
		}
		for id, name := range map[string]string{l1: "one", l2: "two", l3: "three"} {
			do(func(q db.Queries) error { return q.CreateUser(user(id, name, "viewer")) })
		}
		for _, f := range [][2]string{{l1, l2}, {l2, l1}, {l3, l1}, {l3, l2}} {
			do(func(q db.Queries) error {
				_, err := q.Follow(db.Follow{Follower: f[0], Followee: f[1], Notify: db.NotifyLive, CreatedAt: 5})
				return err
			})
		}
		counts(2, 1, 2, 1, 0, 2)
		leave(l1)
		counts(0, 0, 1, 0, 0, 1)
		leave(l2)
		counts(0, 0, 0, 0, 0, 0)
		restore(l1)
		counts(1, 0, 0, 0, 0, 1)
		restore(l2)
		counts(2, 1, 2, 1, 0, 2)
		f, err := d.Read(t.Context()).FindFollow(l2, l1)
		require.NoError(t, err)
		assert.Equal(t, db.Follow{Follower: l2, Followee: l1, Notify: db.NotifyLive, CreatedAt: 5}, f)
		leave(l1)
		leave(l2)
		do(func(q db.Queries) error { return q.EraseUser(l1, 1, 9) })
		restore(l2)
		counts(0, 0, 1, 0, 0, 1)
	})
}

// TestWorksOfWhoLeaves are private meanwhile, and then what they were.
func TestWorksOfWhoLeaves(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		d := on.Open(t)
		do := func(fn func(q db.Queries) error) {
			t.Helper()
			require.NoError(t, d.Tx(t.Context(), fn))
		}
		session, of := "e", s1
		do(func(q db.Queries) error { return q.CreateUser(user(u1, "one", "streamer")) })
		do(func(q db.Queries) error {
			s := stream(s1, "main")
			s.Visibility, s.ReplayVisibility = "unlisted", "public"
			return q.CreateStream(s)
		})
		videos := map[string]string{"v1": "public", "v2": "private", "v3": "followers"}
		first := int64(0)
		for id, visibility := range videos {
			first++
			do(func(q db.Queries) error {
				_, err := q.InsertReplay(db.Video{ID: id, OwnerID: u1, StreamID: &of, SessionID: &session, FirstMSN: first, Visibility: visibility, State: db.VideoReady, Title: "t", Bytes: 100})
				return err
			})
		}
		do(func(q db.Queries) error {
			return q.BeginRecording(db.Recording{SessionID: session, StreamID: s1, State: db.RecordingRunning})
		})
		usage, err := d.Read(t.Context()).UsageOf(u1, 1)
		require.NoError(t, err)
		assert.Equal(t, db.Usage{StorageBytes: 300, Streams: 1}, usage)
		look := func() (row db.Stream, now map[string]string) {
			t.Helper()
			row, err := d.Read(t.Context()).FindStream(s1)
			require.NoError(t, err)
			now = map[string]string{}
			for id := range videos {
				v, err := d.Read(t.Context()).FindVideo(id)
				require.NoError(t, err)
				now[id] = v.Visibility
			}
			return row, now
		}
		for range 2 { // nothing is forgotten by the second
			do(func(q db.Queries) error { return q.HideWorks(u1, 7) })
		}
		row, now := look()
		assert.Equal(t, []string{"private", "private"}, []string{row.Visibility, row.ReplayVisibility})
		assert.NotNil(t, row.HiddenAt)
		assert.Equal(t, map[string]string{"v1": "private", "v2": "private", "v3": "private"}, now)
		do(func(q db.Queries) error { return q.ShowWorks(u1, 8) })
		row, now = look()
		assert.Equal(t, []string{"unlisted", "public"}, []string{row.Visibility, row.ReplayVisibility})
		assert.Nil(t, row.HiddenAt)
		assert.Equal(t, videos, now)
		do(func(q db.Queries) error { return q.LeaveUser(u1, 9, 8) })
		require.Error(t, d.Tx(t.Context(), func(q db.Queries) error { return q.EraseUser(u1, 2, 8) }), "not before its time")
		do(func(q db.Queries) error { return q.EraseUser(u1, 2, 9) })
		v, err := d.Read(t.Context()).FindVideo("v1")
		require.NoError(t, err)
		assert.Equal(t, db.Millis(2), *v.DeletedAt)
		assert.Empty(t, v.Title)
		u, err := d.Read(t.Context()).FindUser(u1)
		require.NoError(t, err)
		assert.Equal(t, "deleted-"+u1, u.Username)
	})
}
