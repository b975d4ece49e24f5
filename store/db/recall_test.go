package db_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/store/db"
	"mediad/store/db/dbtest"
)

const u2 = "0198f2a0-0000-7000-8000-000000000002"

// remembered counts what is asked of memory, and keeps what other nodes are told.
type remembered struct {
	hits, misses atomic.Int64

	mu   sync.Mutex // guards told
	told []db.Change
}

func (r *remembered) options() db.Options {
	return db.Options{
		Cached: func(_ string, hit bool) {
			if hit {
				r.hits.Add(1)
			} else {
				r.misses.Add(1)
			}
		},
		Changed: func(_ context.Context, rows []db.Change) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.told = append(r.told, rows...)
		},
	}
}

func (r *remembered) tell() []db.Change {
	r.mu.Lock()
	defer r.mu.Unlock()
	told := r.told
	r.told = nil
	return told
}

// TestWhatIsRememberedIsWhatIsThere after each kind of write: nobody who writes has to think of it.
func TestWhatIsRememberedIsWhatIsThere(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		var r remembered
		d := on.OpenWith(t, r.options())
		tx(t, d, func(q db.Queries) error {
			for id, name := range map[string]string{u1: "first", u2: "second"} {
				if err := q.CreateUser(user(id, name, "streamer")); err != nil {
					return err
				}
			}
			return q.CreateStream(stream(s1, "one"))
		})
		r.tell()
		ctx := db.Heard(t.Context())
		same := func(what string) {
			t.Helper()
			for _, id := range []string{u1, u2} {
				want, err := d.Read(t.Context()).FindUser(id)
				require.NoError(t, err)
				got, err := d.RecallUser(ctx, id)
				require.NoError(t, err)
				assert.Equal(t, want, got, what)
				got, err = d.RecallUserByName(ctx, want.Username)
				require.NoError(t, err)
				assert.Equal(t, want, got, what)
			}
			want, err := d.Read(t.Context()).FindStream(s1)
			require.NoError(t, err)
			for _, slug := range []string{"one", "two"} {
				got, err := d.RecallStreamBySlug(ctx, slug)
				if want.SlugNorm == slug {
					assert.NoError(t, err, what)
					assert.Equal(t, want, got, what)
				} else {
					assert.ErrorIs(t, err, db.ErrNotFound, what)
				}
			}
			found, err := d.Read(t.Context()).FindStreamsBySlug(db.StreamFilter{Listed: true}, []string{"One", "Two"})
			require.NoError(t, err)
			recalled, err := d.RecallLists(ctx).FindStreamsBySlug(db.StreamFilter{Listed: true}, []string{"One", "Two"})
			require.NoError(t, err)
			assert.ElementsMatch(t, found, recalled, what)
		}
		same("at first")
		assert.Equal(t, 3, d.Remembered(), "two users and a stream")
		row := func(id string) db.User {
			u, err := d.Read(t.Context()).FindUser(id)
			require.NoError(t, err)
			return u
		}
		edited := stream(s1, "two")
		edited.Tags, edited.Visibility = []string{"chess"}, "followers"
		at := new(db.Millis(7))
		all := db.Change{Table: "users"}
		one, other, its := db.Change{Table: "users", ID: u1}, db.Change{Table: "users", ID: u2}, db.Change{Table: "streams", ID: s1}
		for _, write := range []struct {
			what string
			fn   func(q db.Queries) error
			told []db.Change
		}{
			{"role", func(q db.Queries) error { return q.SetRole(u1, "admin", 2) }, []db.Change{one}},
			{"profile", func(q db.Queries) error {
				u := row(u1)
				u.DisplayName = "Anna"
				return q.SaveProfile(u, u.Version, 3)
			}, []db.Change{one}},
			{"sessions", func(q db.Queries) error { return q.EndSessions(u2) }, []db.Change{other}},
			{"suspension", func(q db.Queries) error { return q.SuspendUser(u2, nil, "spam", 4) }, []db.Change{other}},
			{"follow", func(q db.Queries) error {
				_, err := q.Follow(db.Follow{Follower: u1, Followee: u2, Notify: db.NotifyAll, CreatedAt: 5})
				return err
			}, []db.Change{one, other}},
			{"following parked", func(q db.Queries) error { return q.ParkFollows(u2) }, []db.Change{all}},
			{"stream", func(q db.Queries) error { return q.SaveStream(edited, 1, 6) }, []db.Change{its}},
			{"disabled", func(q db.Queries) error { return q.SetStreamDisabled(s1, db.Disabled{At: at, Reason: "rest"}, 7) }, []db.Change{its}},
			{"enabled", func(q db.Queries) error { return q.SetStreamDisabled(s1, db.Disabled{}, 8) }, []db.Change{its}},
			{"policies", func(q db.Queries) error { return q.BumpPolicies(u1) }, []db.Change{{Table: "streams"}}},
			{"hidden", func(q db.Queries) error { return q.HideWorks(u1, 9) }, []db.Change{{Table: "streams"}}},
			{"leaving", func(q db.Queries) error { return q.LeaveUser(u1, 20, 10) }, []db.Change{one}},
			{"erased", func(q db.Queries) error { return q.EraseUser(u1, 30, 30) }, []db.Change{one, {Table: "streams"}}},
		} {
			tx(t, d, write.fn)
			same(write.what)
			assert.ElementsMatch(t, write.told, r.tell(), write.what)
		}
		before, err := d.RecallUser(ctx, u2)
		require.NoError(t, err)
		require.NoError(t, d.Write(t.Context()).SetUserMarks(u2, at, false, 40), "by itself")
		same("marks")
		assert.Equal(t, []db.Change{other}, r.tell())
		assert.Nil(t, before.VerifiedAt, "what was given out stays as it was")
		require.Error(t, d.Tx(t.Context(), func(q db.Queries) error {
			require.NoError(t, q.SetRole(u2, "admin", 50))
			return assert.AnError
		}))
		same("undone")
	})
}

// TestWhatDidNotChangeStaysRemembered, and only for who has heard of all changes.
func TestWhatDidNotChangeStaysRemembered(t *testing.T) {
	var r remembered
	d := onSQLite.OpenWith(t, r.options())
	tx(t, d, func(q db.Queries) error {
		return q.CreateUser(user(u1, "first", "viewer"))
	})
	tx(t, d, func(q db.Queries) error { return q.CreateUser(user(u2, "second", "viewer")) })
	ctx := db.Heard(t.Context())
	look := func(ctx context.Context) {
		t.Helper()
		for _, id := range []string{u1, u2} {
			_, err := d.RecallUser(ctx, id)
			require.NoError(t, err)
		}
	}
	look(t.Context())
	assert.Zero(t, r.hits.Load()+r.misses.Load(), "nothing was asked of memory")
	look(ctx)
	look(ctx)
	assert.EqualValues(t, []int64{4, 0}, []int64{r.hits.Load(), r.misses.Load()}, "what others have read is known")
	tx(t, d, func(q db.Queries) error { return q.SetRole(u1, "streamer", 2) })
	look(ctx)
	assert.EqualValues(t, []int64{5, 1}, []int64{r.hits.Load(), r.misses.Load()}, "one of them changed")
	d.Forget(db.Change{Table: "users", ID: u2})
	look(ctx)
	assert.EqualValues(t, 2, r.misses.Load(), "another node changed the other")
	d.Forget(db.Change{Table: "streams"})
	look(ctx)
	assert.EqualValues(t, 2, r.misses.Load())
	d.Forget(db.Change{})
	look(ctx)
	assert.EqualValues(t, 4, r.misses.Load(), "any of them may have")

	found, err := d.RecallUsers(ctx, []string{u1, u2, s1})
	require.NoError(t, err)
	assert.Len(t, found, 2)
}

// TestListsFromMemoryAreThoseOfTheDatabase by every filter, page by page, while what is in them changes.
func TestListsFromMemoryAreThoseOfTheDatabase(t *testing.T) {
	var statements dbtest.Statements
	d := onSQLite.OpenWith(t, db.Options{Observe: statements.Observe})
	tx(t, d, func(q db.Queries) error {
		for id, name := range map[string]string{u1: "first", u2: "second"} {
			if err := q.CreateUser(user(id, name, "streamer")); err != nil {
				return err
			}
		}
		return nil
	})
	var slugs []string
	for i := range 12 {
		s := stream(fmt.Sprintf("0198f2a0-0000-7000-8000-0000000001%02d", i), fmt.Sprint("s", i))
		s.Category = []string{"games", "music"}[i%2]
		s.Tags = [][]string{nil, {"chess"}, {"blitz", "chess"}}[i%3]
		s.Visibility = []string{"public", "public", "unlisted", "private"}[i%4]
		s.OwnerID = []string{u1, u2}[i%2]
		slugs = append(slugs, s.Slug)
		tx(t, d, func(q db.Queries) error { return q.CreateStream(s) })
	}
	filters := []db.StreamFilter{
		{Listed: true}, {Listed: true, Category: "games"}, {Listed: true, Tag: "chess"}, {Listed: true, Tag: "chess", Category: "music"}, {OwnerID: u2, Listed: true},
		{Existing: true}, {Disabled: true},
	}
	ctx := db.Heard(t.Context())
	same := func() {
		t.Helper()
		for _, f := range filters {
			for _, limit := range []int{1, 3, 50} {
				page := f
				for {
					want, err := d.Read(t.Context()).ListStreams(page, limit)
					require.NoError(t, err)
					got, err := d.RecallLists(ctx).ListStreams(page, limit)
					require.NoError(t, err)
					require.Equal(t, len(want), len(got))
					for i := range want {
						require.Equal(t, want[i], got[i])
					}
					if len(want) < limit {
						break
					}
					page.Before = want[len(want)-1].ID
				}
			}
			want, err := d.Read(t.Context()).FindStreamsBySlug(f, slugs)
			require.NoError(t, err)
			got, err := d.RecallLists(ctx).FindStreamsBySlug(f, slugs)
			require.NoError(t, err)
			require.ElementsMatch(t, want, got)
		}
	}
	same()
	rows, err := d.Read(t.Context()).ListStreams(db.StreamFilter{Existing: true}, 50)
	require.NoError(t, err)
	for i, row := range rows {
		tx(t, d, func(q db.Queries) error {
			if i%2 == 0 {
				return q.SetStreamDisabled(row.ID, db.Disabled{At: new(db.Millis(5))}, 5)
			}
			row.Visibility, row.Tags = []string{"public", "private"}[i/2%2], []string{"chess"}
			return q.SaveStream(row, row.Version, 5)
		})
		if i%4 == 3 {
			same()
		}
	}
	same()
	assert.Empty(t, statements.BadPlans(t.Context(), d))
}

// TestManyChangesAreOne: who hears of them has a bound.
func TestManyChangesAreOne(t *testing.T) {
	var r remembered
	d := onSQLite.OpenWith(t, r.options())
	tx(t, d, func(q db.Queries) error {
		for i := range 30 {
			id, err := db.NewID()
			if err != nil {
				return err
			}
			if err := q.CreateUser(user(id, fmt.Sprint("user", i), "viewer")); err != nil {
				return err
			}
		}
		return nil
	})
	assert.Equal(t, []db.Change{{Table: "users"}}, r.tell())
}

// TestNobodyMissesTheirOwnChange, whatever others do at the same time.
func TestNobodyMissesTheirOwnChange(t *testing.T) {
	d := onSQLite.Open(t)
	ids := []string{u1, u2}
	tx(t, d, func(q db.Queries) error {
		for i, id := range ids {
			if err := q.CreateUser(user(id, fmt.Sprint("user", i), "viewer")); err != nil {
				return err
			}
		}
		return nil
	})
	ctx := db.Heard(t.Context())
	var all sync.WaitGroup
	for _, own := range ids {
		all.Go(func() {
			for n := range 100 {
				reason := fmt.Sprint(n)
				if !assert.NoError(t, d.Tx(t.Context(), func(q db.Queries) error { return q.SuspendUser(own, nil, reason, 2) })) {
					return
				}
				for _, id := range ids {
					u, err := d.RecallUser(ctx, id)
					if !assert.NoError(t, err) || id == own && !assert.Equal(t, reason, u.SuspendedReason) {
						return
					}
				}
			}
		})
	}
	all.Wait()
}

// TestAnotherProcessOnTheFileIsNoticed, as the command line is one beside a server.
func TestAnotherProcessOnTheFileIsNoticed(t *testing.T) {
	d := onSQLite.Open(t)
	tx(t, d, func(q db.Queries) error { return q.CreateUser(user(u1, "first", "viewer")) })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Watch(ctx) }()
	defer func() { cancel(); assert.NoError(t, <-done) }()

	other, err := db.Open(t.Context(), db.Options{Path: d.Where()})
	require.NoError(t, err)
	defer other.Close()
	role := func() string {
		u, err := d.RecallUser(db.Heard(t.Context()), u1)
		require.NoError(t, err)
		return u.Role
	}
	for _, want := range []string{"streamer", "moderator", "admin"} {
		role()
		tx(t, other, func(q db.Queries) error { return q.SetRole(u1, want, 2) })
		testx.WaitFor(t, "the role to be "+want, func() bool { return role() == want })
	}
}

// TestRowsThatAreRememberedAreNotChangedUnheard in a transaction whose end nobody here sees.
func TestRowsThatAreRememberedAreNotChangedUnheard(t *testing.T) {
	d := onSQLite.Open(t)
	tx(t, d, func(q db.Queries) error { return q.CreateUser(user(u1, "first", "viewer")) })
	foreign, err := d.JobPool().BeginTx(t.Context(), nil)
	require.NoError(t, err)
	q := d.Within(t.Context(), foreign)
	assert.ErrorContains(t, q.SetRole(u1, "admin", 2), "nobody hears")
	assert.NoError(t, q.Emit(db.Event{Type: "job.failed", Key: "job:1", Data: "{}", OccurredAt: 1}))
	require.NoError(t, foreign.Rollback())
	u, err := d.Read(t.Context()).FindUser(u1)
	require.NoError(t, err)
	assert.Equal(t, "viewer", u.Role)
}
