package db_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/store/db"
	"mediad/store/db/dbtest"
)

// relationSteps are those of runEveryStatement. There are the users u1 and o1.
func relationSteps() []func(q db.Queries) error {
	const o1 = "0198f2a0-0000-7000-8000-0000000000b1"
	at := db.Related{ID: o1, At: 5}
	return []func(q db.Queries) error{
		func(q db.Queries) error { return q.CreateUser(user(o1, "other", "viewer")) },
		func(q db.Queries) error {
			_, err := q.Follow(db.Follow{Follower: u1, Followee: o1, Notify: db.NotifyAll})
			return err
		},
		func(q db.Queries) error {
			_, err := q.Follow(db.Follow{Follower: u1, Followee: o1, Notify: db.NotifyLive})
			return err
		},
		func(q db.Queries) error { _, err := q.FindFollow(u1, o1); return err },
		func(q db.Queries) error { _, err := q.ListFollowers(o1, at, 5); return err },
		func(q db.Queries) error { _, err := q.ListFollowing(u1, db.Related{}, 5); return err },
		func(q db.Queries) error { _, _, err := q.Block(db.Block{UserID: u1, OtherID: o1}); return err },
		func(q db.Queries) error { _, err := q.Blocks(u1, o1); return err },
		func(q db.Queries) error { _, err := q.ListBlocks(u1, at, 5); return err },
		func(q db.Queries) error { return q.Unblock(u1, o1) },
		func(q db.Queries) error { return q.AddChannelMod(db.ChannelMod{UserID: u1, OtherID: o1}) },
		func(q db.Queries) error { _, err := q.CountChannelMods(u1); return err },
		func(q db.Queries) error { _, err := q.ModeratesChannel(u1, o1); return err },
		func(q db.Queries) error { _, err := q.ListChannelMods(u1, at, 5); return err },
		func(q db.Queries) error { return q.RemoveChannelMod(u1, o1) },
		func(q db.Queries) error { _, err := q.FindRelations(u1, []string{o1, s1}); return err },
		func(q db.Queries) error { _, err := q.CountVideos([]string{u1, o1}); return err },
	}
}

// TestCountersAreTheRowsInAnyInterleaving lets some users follow, unfollow, block and unblock each other at the same time, and counts afterwards.
func TestCountersAreTheRowsInAnyInterleaving(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		d := on.Open(t)
		ids := make([]string, 6)
		for i := range ids {
			ids[i] = fmt.Sprintf("0198f2a0-0000-7000-8000-0000000001%02d", i)
			tx(t, d, func(q db.Queries) error { return q.CreateUser(user(ids[i], fmt.Sprintf("user%d", i), "viewer")) })
		}
		const workers, acts = 8, 25
		var wg sync.WaitGroup
		for w := range workers {
			random := rand.New(rand.NewPCG(7, uint64(w)))
			wg.Go(func() {
				for range acts {
					from := random.IntN(len(ids))
					a, b, act := ids[from], ids[(from+1+random.IntN(len(ids)-1))%len(ids)], random.IntN(6)
					assert.NoError(t, d.Tx(t.Context(), func(q db.Queries) error {
						switch act {
						case 0:
							_, _, err := q.Block(db.Block{UserID: a, OtherID: b, CreatedAt: 1})
							return err
						case 1:
							return q.Unblock(a, b)
						case 2:
							_, err := q.Unfollow(a, b)
							return err
						}
						_, err := q.Follow(db.Follow{Follower: a, Followee: b, Notify: db.NotifyAll, CreatedAt: 1})
						return err
					}))
				}
			})
		}
		wg.Wait()
		q := d.Read(t.Context())
		total := 0
		for _, id := range ids {
			u, err := q.FindUser(id)
			require.NoError(t, err)
			followers, err := q.ListFollowers(id, db.Related{}, 100)
			require.NoError(t, err)
			following, err := q.ListFollowing(id, db.Related{}, 100)
			require.NoError(t, err)
			assert.Len(t, followers, int(u.FollowersCount))
			assert.Len(t, following, int(u.FollowingCount))
			assert.Equal(t, int64(1), u.Version, "counters are no part of it")
			total += len(followers)
		}
		assert.Positive(t, total)
	})
}

func TestAHundredFollowsAreOne(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		d := seeded(t, on)
		tx(t, d, func(q db.Queries) error { return q.CreateUser(user(s2, "bert", "viewer")) })
		var wg sync.WaitGroup
		var mu sync.Mutex
		made := 0
		for range 100 {
			wg.Go(func() {
				var first bool
				assert.NoError(t, d.Tx(t.Context(), func(q db.Queries) (err error) {
					first, err = q.Follow(db.Follow{Follower: s2, Followee: u1, Notify: db.NotifyAll, CreatedAt: 1})
					return err
				}))
				if first {
					mu.Lock()
					defer mu.Unlock()
					made++
				}
			})
		}
		wg.Wait()
		assert.Equal(t, 1, made)
		u, err := d.Read(t.Context()).FindUser(u1)
		require.NoError(t, err)
		assert.Equal(t, int64(1), u.FollowersCount)
	})
}

func TestRelationsAreListedNewestFirst(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		d := seeded(t, on)
		ids := []string{s1, s2, s3}
		for i, id := range ids {
			tx(t, d, func(q db.Queries) error { return q.CreateUser(user(id, fmt.Sprintf("user%d", i), "viewer")) })
			tx(t, d, func(q db.Queries) error {
				_, err := q.Follow(db.Follow{Follower: id, Followee: u1, Notify: db.NotifyAll, CreatedAt: db.Millis(5 + i/2)})
				return err
			})
		}
		q := d.Read(t.Context())
		first, err := q.ListFollowers(u1, db.Related{}, 2)
		require.NoError(t, err)
		require.Equal(t, []db.Related{{ID: s3, At: 6}, {ID: s2, At: 5}}, first)
		rest, err := q.ListFollowers(u1, first[1], 2)
		require.NoError(t, err)
		require.Equal(t, []db.Related{{ID: s1, At: 5}}, rest)
	})
}
