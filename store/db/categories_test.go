package db_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/store/db"
	"mediad/store/db/dbtest"
)

const (
	c1 = "0198f2a0-0000-7000-8000-0000000000c1"
	c2 = "0198f2a0-0000-7000-8000-0000000000c2"
)

// categorySteps run every statement about categories, for the check of their plans.
func categorySteps() []func(q db.Queries) error {
	return []func(q db.Queries) error{
		func(q db.Queries) error { return q.CreateCategory(db.Category{ID: c1, Slug: "chess", Name: "Chess"}) },
		func(q db.Queries) error { _, err := q.CategoriesVersion(); return err },
		func(q db.Queries) error { _, err := q.CountCategories(200); return err },
		func(q db.Queries) error { _, err := q.FindCategory(c1); return err },
		func(q db.Queries) error { _, err := q.FindCategoryBySlug("chess"); return err },
		func(q db.Queries) error { _, err := q.ListCategories("", 21); return err },
		func(q db.Queries) error { _, err := q.CountCategory("chess"); return err },
		func(q db.Queries) error { _, err := q.CategoryUsed("chess"); return err },
		func(q db.Queries) error { _, err := q.MoveCategory("chess", "", 500, 1); return err },
		func(q db.Queries) error { return q.DeleteCategory(c1, 1) },
	}
}

func TestCategories(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		d := on.Open(t)
		tx := func(fn func(q db.Queries) error) {
			t.Helper()
			require.NoError(t, d.Tx(t.Context(), fn))
		}
		q := d.Read(t.Context())
		version := func() int64 {
			t.Helper()
			v, err := q.CategoriesVersion()
			require.NoError(t, err)
			return v
		}
		assert.Zero(t, version())
		tx(func(q db.Queries) error { return q.CreateUser(user(u1, "first", "admin")) })
		tx(func(q db.Queries) error { return q.CreateCategory(db.Category{ID: c1, Slug: "games", Name: "Games"}) })
		tx(func(q db.Queries) error { return q.CreateCategory(db.Category{ID: c2, Slug: "art", Name: "Art"}) })
		assert.Equal(t, int64(2), version())
		err := d.Tx(t.Context(), func(q db.Queries) error { return q.CreateCategory(db.Category{ID: s1, Slug: "art", Name: "Other"}) })
		require.ErrorIs(t, err, db.ErrDuplicate)

		// Of three streams and three videos, one each is public, one is not, and one is deleted.
		at := db.Millis(5)
		for i, id := range []string{"a", "b", "c"} {
			s := stream(id, "slug-"+id)
			s.Category = "games"
			session := "e" + id
			v := db.Video{ID: "v" + id, OwnerID: u1, SessionID: &session, Category: "games", Visibility: "public", State: db.VideoReady}
			switch i {
			case 1:
				s.Visibility, v.Visibility = "private", "unlisted"
			case 2:
				s.DisabledAt, s.DeletedAt, v.DeletedAt = &at, &at, &at
			}
			tx(func(q db.Queries) error {
				if err := q.CreateStream(s); err != nil {
					return err
				}
				_, err := q.InsertReplay(v)
				return err
			})
		}
		list, err := q.ListCategories("", 10)
		require.NoError(t, err)
		require.Len(t, list, 2)
		assert.Equal(t, "art", list[0].Slug)
		assert.Equal(t, "games", list[1].Slug)
		assert.Equal(t, "Games", list[1].Name)
		assert.Equal(t, [2]int64{1, 1}, [2]int64{list[1].Streams, list[1].Videos}, "what everyone finds")
		assert.Equal(t, [2]int64{0, 0}, [2]int64{list[0].Streams, list[0].Videos})
		one, err := q.CountCategory(list[1].Slug)
		require.NoError(t, err)
		require.Equal(t, list[1], one)
		_, err = q.CountCategory("none")
		require.ErrorIs(t, err, db.ErrNotFound)
		list, err = q.ListCategories("art", 1)
		require.NoError(t, err)
		require.Len(t, list, 1)
		assert.Equal(t, c1, list[0].ID)

		used := func(slug string) bool {
			t.Helper()
			yes, err := q.CategoryUsed(slug)
			require.NoError(t, err)
			return yes
		}
		assert.True(t, used("games"))
		assert.False(t, used("art"))
		before, err := q.FindStream("b")
		require.NoError(t, err)
		var moved []int
		for range 3 {
			tx(func(q db.Queries) error {
				n, err := q.MoveCategory("games", "art", 1, 7)
				moved = append(moved, n)
				return err
			})
		}
		assert.Equal(t, []int{2, 2, 0}, moved, "a stream and a video at a time, and not what is deleted")
		after, err := q.FindStream("b")
		require.NoError(t, err)
		assert.Equal(t, "art", after.Category)
		assert.Equal(t, before.Version+1, after.Version)
		assert.False(t, used("games"))
		assert.True(t, used("art"))

		tx(func(q db.Queries) error { return q.DeleteCategory(c1, 9) })
		assert.Equal(t, int64(3), version(), "it does not fall")
		require.ErrorIs(t, d.Tx(t.Context(), func(q db.Queries) error { return q.DeleteCategory(c1, 9) }), db.ErrNotFound)
		_, err = q.FindCategoryBySlug("games")
		require.ErrorIs(t, err, db.ErrNotFound)
		tx(func(q db.Queries) error { return q.CreateCategory(db.Category{ID: u1, Slug: "games", Name: "Again"}) })
		n, err := q.CountCategories(200)
		require.NoError(t, err)
		assert.Equal(t, 2, n)
	})
}
