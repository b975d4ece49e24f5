package db_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/store/db"
	"mediad/store/db/dbtest"
)

func play(id string) db.Play {
	user := u1
	return db.Play{ID: id, Kind: db.PlayVideo, TargetID: "w", UserID: &user, ViewerKey: "v", PrefixKey: "p", State: "playing", CreatedAt: 1, UpdatedAt: 1}
}

func clipOf(id string) db.Video {
	return db.Video{ID: id, Kind: db.KindClip, OwnerID: u1, Visibility: "public", State: db.VideoReady, CreatedAt: 1, UpdatedAt: 1, Version: 1}
}

// playSteps are those of runEveryStatement. There is the user u1 and the session e.
func playSteps() []func(q db.Queries) error {
	at := db.Related{ID: s2, At: 5}
	view := db.View{VideoID: "w", ViewerKey: "v", Bucket: 3, PrefixKey: "p", At: 5}
	return []func(q db.Queries) error{
		func(q db.Queries) error { return q.InsertVideo(clipOf("w")) },
		func(q db.Queries) error { return q.CreatePlay(play("y")) },
		func(q db.Queries) error { _, err := q.FindPlay("y"); return err },
		func(q db.Queries) error { _, err := q.FindPlays([]string{"y", "z"}); return err },
		func(q db.Queries) error { return q.SavePlays([]db.Play{play("y")}) },
		func(q db.Queries) error { _, err := q.WatchedBefore("e", "v"); return err },
		func(q db.Queries) error { _, err := q.CreateView(view); return err },
		func(q db.Queries) error { _, err := q.Viewed(view, 1); return err },
		func(q db.Queries) error { _, err := q.CountViewsFrom("w", "p", 1); return err },
		func(q db.Queries) error { return q.AddWatched("e", db.Watched{Peak: 1, Viewers: 1, MS: 5}) },
		func(q db.Queries) error { _, err := q.FindWatched("e"); return err },
		func(q db.Queries) error { return q.SaveMarks([]db.Mark{{UserID: u1, VideoID: "w", UpdatedAt: 5}}) },
		func(q db.Queries) error { _, err := q.FindMarks(u1, []string{"w", "x"}); return err },
		func(q db.Queries) error { _, err := q.ListMarks(u1, at, 5); return err },
		func(q db.Queries) error { return q.DeleteMarks(u1, 0) },
		func(q db.Queries) error { return q.DeleteMark(u1, "w") },
		func(q db.Queries) error {
			return q.AddWatchLater(db.WatchLater{UserID: u1, VideoID: "w", CreatedAt: 5})
		},
		func(q db.Queries) error { _, err := q.CountWatchLater(u1); return err },
		func(q db.Queries) error { _, err := q.FindWatchLater(u1, []string{"w", "x"}); return err },
		func(q db.Queries) error { _, err := q.ListWatchLater(u1, db.Related{}, 5); return err },
		func(q db.Queries) error { return q.RemoveWatchLater(u1, "w") },
		func(q db.Queries) error { _, err := q.FindVideos([]string{"w", "x"}); return err },
		func(q db.Queries) error { return q.ForgetWatching(s2) },
		func(q db.Queries) error { _, _, err := q.DeletePlays(9); return err },
		func(q db.Queries) error { _, _, err := q.UntraceViews(9); return err },
		func(q db.Queries) error { return q.RemoveClip("w") },
	}
}

// TestViewsAreCountedOnce by many at once, and their rows are what the counter says.
func TestViewsAreCountedOnce(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		d := seeded(t, on)
		tx(t, d, func(q db.Queries) error { return q.InsertVideo(clipOf("w")) })
		var wg sync.WaitGroup
		for i := range 60 {
			wg.Go(func() {
				v := db.View{VideoID: "w", ViewerKey: fmt.Sprint("v", i%6), Bucket: 3, PrefixKey: "p", At: 5}
				assert.NoError(t, d.Tx(t.Context(), func(q db.Queries) error {
					_, err := q.CreateView(v)
					return err
				}))
			})
		}
		wg.Wait()
		q := d.Read(t.Context())
		v, err := q.FindVideo("w")
		require.NoError(t, err)
		assert.Equal(t, int64(6), v.Views)
		assert.Equal(t, int64(1), v.Version, "counters are no part of it")
		n, err := q.CountViewsFrom("w", "p", 4)
		require.NoError(t, err)
		assert.Equal(t, int64(6), n)
		for after, want := range map[db.Millis]bool{4: true, 5: false} {
			for bucket, near := range map[int64]bool{2: false, 3: true, 4: true, 5: false} {
				got, err := q.Viewed(db.View{VideoID: "w", ViewerKey: "v1", Bucket: bucket}, after)
				require.NoError(t, err)
				assert.Equal(t, want && near, got, "after %d, bucket %d", after, bucket)
			}
		}
		require.ErrorIs(t, d.Tx(t.Context(), func(q db.Queries) error {
			_, err := q.CreateView(db.View{VideoID: "none", ViewerKey: "v"})
			return err
		}), db.ErrReference)
	})
}

// TestOldPlaysGo some at a time, and views forget where they came from.
func TestOldPlaysGo(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		d := seeded(t, on)
		const many = 1100
		tx(t, d, func(q db.Queries) error {
			if err := q.InsertVideo(clipOf("w")); err != nil {
				return err
			}
			for i := range many {
				p := play(fmt.Sprint("y", i))
				p.UpdatedAt = db.Millis(i)
				if err := q.CreatePlay(p); err != nil {
					return err
				}
				if _, err := q.CreateView(db.View{VideoID: "w", ViewerKey: p.ID, PrefixKey: "p", At: db.Millis(i)}); err != nil {
					return err
				}
			}
			return nil
		})
		rounds := func(del func(q db.Queries, before db.Millis) (int64, bool, error)) (rounds int, rows int64) {
			for more := true; more; rounds++ {
				var n int64
				tx(t, d, func(q db.Queries) (err error) {
					n, more, err = del(q, many-1)
					return err
				})
				rows += n
			}
			return rounds, rows
		}
		for _, del := range []func(db.Queries, db.Millis) (int64, bool, error){db.Queries.DeletePlays, db.Queries.UntraceViews} {
			n, gone := rounds(del)
			assert.Equal(t, 3, n)
			assert.Equal(t, int64(many-1), gone)
		}
		q := d.Read(t.Context())
		_, err := q.FindPlay(fmt.Sprint("y", many-2))
		require.ErrorIs(t, err, db.ErrNotFound)
		_, err = q.FindPlay(fmt.Sprint("y", many-1))
		require.NoError(t, err)
		n, err := q.CountViewsFrom("w", "p", -1)
		require.NoError(t, err)
		assert.Equal(t, int64(1), n)
		v, err := q.FindVideo("w")
		require.NoError(t, err)
		assert.Equal(t, int64(many), v.Views, "views stay")
	})
}

func TestMarks(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		d := seeded(t, on)
		ids := []string{"0198f2a0-0000-7000-8000-0000000000c1", "0198f2a0-0000-7000-8000-0000000000c2", "0198f2a0-0000-7000-8000-0000000000c3"}
		tx(t, d, func(q db.Queries) error {
			for i, id := range ids {
				if err := q.InsertVideo(clipOf(id)); err != nil {
					return err
				}
				if err := q.SaveMarks([]db.Mark{{UserID: u1, VideoID: id, PositionMS: 7, UpdatedAt: db.Millis(5 + i)}}); err != nil {
					return err
				}
			}
			// The one moves, the other is older than what is known.
			return q.SaveMarks([]db.Mark{{UserID: u1, VideoID: ids[0], PositionMS: 8, UpdatedAt: 6}, {UserID: u1, VideoID: ids[2], PositionMS: 9, UpdatedAt: 1}})
		})
		q := d.Read(t.Context())
		first, err := q.ListMarks(u1, db.Related{}, 2)
		require.NoError(t, err)
		require.Equal(t, []db.Mark{{u1, ids[2], 7, 7}, {u1, ids[1], 7, 6}}, first)
		rest, err := q.ListMarks(u1, db.Related{ID: ids[1], At: 6}, 2)
		require.NoError(t, err)
		require.Equal(t, []db.Mark{{u1, ids[0], 8, 6}}, rest)
		tx(t, d, func(q db.Queries) error { return q.CreatePlay(play("y")) })
		tx(t, d, func(q db.Queries) error { return q.DeleteMarks(u1, 1) })
		left, err := q.ListMarks(u1, db.Related{}, 5)
		require.NoError(t, err)
		require.Equal(t, first[:1], left)
		tx(t, d, func(q db.Queries) error { return q.RemoveClip(ids[2]) })
		left, err = q.ListMarks(u1, db.Related{}, 5)
		require.NoError(t, err)
		require.Empty(t, left)

		tx(t, d, func(q db.Queries) error {
			return q.AddWatchLater(db.WatchLater{UserID: u1, VideoID: ids[0], CreatedAt: 5})
		})
		tx(t, d, func(q db.Queries) error { return q.SaveMarks([]db.Mark{{UserID: u1, VideoID: ids[1], UpdatedAt: 9}}) })
		tx(t, d, func(q db.Queries) error { return q.ForgetWatching(u1) })
		later, err := q.ListWatchLater(u1, db.Related{}, 5)
		require.NoError(t, err)
		left, err = q.ListMarks(u1, db.Related{}, 5)
		require.NoError(t, err)
		require.Empty(t, append(left, make([]db.Mark, len(later))...))
		p, err := q.FindPlay("y")
		require.NoError(t, err)
		require.Nil(t, p.UserID)
	})
}

func TestWhatWasWatchedIsAdded(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		d := seeded(t, on, stream(s1, "a"))
		tx(t, d, func(q db.Queries) error {
			if err := q.SaveSession(db.Session{ID: "e", StreamID: s1, StartedAt: 1}); err != nil {
				return err
			}
			for _, w := range []db.Watched{{Peak: 3, Viewers: 2, MS: 10}, {Peak: 2, Viewers: 1, MS: 5}} {
				if err := q.AddWatched("e", w); err != nil {
					return err
				}
			}
			if err := q.SaveSession(db.Session{ID: "e", StreamID: s1, StartedAt: 1, UpdatedAt: 9}); err != nil {
				return err
			}
			return q.AddWatched("none", db.Watched{Peak: 1})
		})
		s, err := d.Read(t.Context()).FindSession("e")
		require.NoError(t, err)
		assert.Equal(t, [3]int64{3, 3, 15}, [3]int64{int64(s.PeakViewers), int64(s.UniqueViewers), s.WatchMS})
		assert.Equal(t, db.Millis(9), s.UpdatedAt)
	})
}
