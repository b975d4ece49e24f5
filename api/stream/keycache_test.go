package stream

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/caller"
	"mediad/store/db"
	"mediad/store/db/dbtest"
)

// away is b with what it remembers and without its database.
func (b *bench) away(t *testing.T) *Service {
	t.Helper()
	s := New(Options{DB: dbtest.Closed(t), Now: b.clock.Now})
	s.keys.byHash = b.keys.byHash
	return s
}

// airs lets a publisher in and has its session looked at.
func (b *bench) airs(t *testing.T, secret string) Grant {
	t.Helper()
	g, err := b.AuthorizePublish(t.Context(), secret, "")
	require.NoError(t, err)
	dead, err := b.CheckOnAir(t.Context(), airing(g))
	require.NoError(t, err)
	require.Empty(t, dead)
	return g
}

// TestTheKeyOfASessionIsGoodForItsReturnAfterAChange: whatever was changed of the stream just before the database went away.
func TestTheKeyOfASessionIsGoodForItsReturnAfterAChange(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, b *bench, made Created){
		"edited": func(t *testing.T, b *bench, made Created) {
			_, err := b.Edit(t.Context(), made.Stream.ID, Edit{Change: func(row *db.Stream) { row.Title, row.ResumeWindowS = "New", 7 }})
			require.NoError(t, err)
		},
		"one more key": func(t *testing.T, b *bench, made Created) {
			_, _, err := b.AddKey(t.Context(), made.Stream.ID, "", time.Time{})
			require.NoError(t, err)
		},
		"another key revoked": func(t *testing.T, b *bench, made Created) {
			key, _, err := b.AddKey(t.Context(), made.Stream.ID, "", time.Time{})
			require.NoError(t, err)
			require.NoError(t, b.RevokeKey(t.Context(), made.Stream.ID, key.ID))
		},
		"disabled for a moment": func(t *testing.T, b *bench, made Created) {
			require.NoError(t, b.SetDisabled(t.Context(), "main", true, ""))
			require.NoError(t, b.SetDisabled(t.Context(), "main", false, ""))
		},
		"by another node": func(_ *testing.T, b *bench, made Created) { b.Forget(made.Stream.ID) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Options{})
			made := b.create(t, Create{Slug: "main"})
			want := b.airs(t, made.Secret)
			change(t, b, made)
			away := b.away(t)
			b.clock.advance(5 * time.Hour)
			got, err := away.AuthorizePublish(t.Context(), made.Secret, "")
			require.NoError(t, err)
			if name == "edited" {
				want.ResumeWindow = 7 * time.Second
			}
			assert.Equal(t, want, got)
		})
	}
}

// TestARevokedKeyIsRefusedAtOnce, with the database and without it, and before anything was looked at.
func TestARevokedKeyIsRefusedAtOnce(t *testing.T) {
	b := newBench(t, Options{})
	made := b.create(t, Create{Slug: "main"})
	b.airs(t, made.Secret)
	require.NoError(t, b.RevokeKey(t.Context(), made.Stream.ID, made.Key.ID))
	for _, s := range []*Service{b.Service, b.away(t)} {
		_, err := s.AuthorizePublish(t.Context(), made.Secret, "")
		assert.Equal(t, "revoked", refused(t, err))
	}

	second := b.create(t, Create{Slug: "second"})
	b.airs(t, second.Secret)
	_, fresh, err := b.RotateKey(t.Context(), "second", Rotate{Grace: time.Minute})
	require.NoError(t, err)
	b.airs(t, fresh)
	away := b.away(t)
	_, err = away.AuthorizePublish(t.Context(), second.Secret, "")
	require.NoError(t, err, "in its grace")
	b.clock.advance(time.Minute)
	_, err = away.AuthorizePublish(t.Context(), second.Secret, "")
	assert.Equal(t, "revoked", refused(t, err))
	_, err = away.AuthorizePublish(t.Context(), fresh, "")
	require.NoError(t, err)

	require.NoError(t, b.SetDisabled(t.Context(), "second", true, ""))
	_, err = away.AuthorizePublish(t.Context(), fresh, "")
	assert.Equal(t, "disabled", refused(t, err))
}

// TestWhatAnotherNodeRevokedIsAskedForNext, also where its session has no publisher at the moment, and nobody else is cut for it.
func TestWhatAnotherNodeRevokedIsAskedForNext(t *testing.T) {
	b := newBench(t, Options{})
	made := b.create(t, Create{Slug: "main"})
	other := New(Options{DB: b.db, Now: b.clock.Now})
	_, spare, err := other.AddKey(t.Context(), made.Stream.ID, "", time.Time{})
	require.NoError(t, err)
	for _, secret := range []string{made.Secret, spare} {
		_, err := b.AuthorizePublish(t.Context(), secret, "")
		require.NoError(t, err)
	}
	waiting := airing(Grant{StreamID: made.Stream.ID, Stream: "main"})
	_, err = b.CheckOnAir(t.Context(), waiting)
	require.NoError(t, err)
	require.NoError(t, other.RevokeKey(t.Context(), made.Stream.ID, made.Key.ID))
	b.Forget(made.Stream.ID)
	dead, err := b.CheckOnAir(t.Context(), waiting)
	require.NoError(t, err)
	assert.Empty(t, dead)
	away := b.away(t)
	_, err = away.AuthorizePublish(t.Context(), made.Secret, "")
	require.Error(t, err)
	_, err = away.AuthorizePublish(t.Context(), spare, "")
	require.NoError(t, err)
	assert.Empty(t, b.keys.inDoubt())
}

// TestAnotherNodesNewsOpensNothing that is not on air, until it was asked for.
func TestAnotherNodesNewsOpensNothing(t *testing.T) {
	b := newBench(t, Options{Open: true})
	made := b.create(t, Create{Slug: "main"})
	_, err := b.AuthorizePublish(t.Context(), "main", "")
	require.NoError(t, err)
	_, err = b.AuthorizePublish(t.Context(), made.Secret, "")
	require.NoError(t, err)
	b.Forget(made.Stream.ID)
	away := b.away(t)
	_, err = away.AuthorizePublish(t.Context(), made.Secret, "")
	require.Error(t, err)
	_, err = b.CheckOnAir(t.Context(), nil)
	require.NoError(t, err)
	_, err = away.AuthorizePublish(t.Context(), made.Secret, "")
	require.NoError(t, err)

	// A name that a stream has no more is nobody's key.
	_, err = b.Edit(t.Context(), made.Stream.ID, Edit{Change: func(row *db.Stream) { row.Slug = "other" }})
	require.NoError(t, err)
	away = New(Options{DB: dbtest.Closed(t), Now: b.clock.Now, Open: true})
	away.keys.byHash = b.keys.byHash
	_, err = away.AuthorizePublish(t.Context(), "main", "")
	require.Error(t, err)
}

// TestNothingChangedIsNoChange: neither a version nor news.
func TestNothingChangedIsNoChange(t *testing.T) {
	var told int
	b := newBench(t, Options{})
	b.changed = func(_ context.Context, _ string) { told++ }
	made := b.create(t, Create{Slug: "main", Tags: []string{"One"}})
	for _, change := range []func(*db.Stream){func(*db.Stream) {}, func(row *db.Stream) { row.Title, row.Tags = " main ", []string{"One", "one"} }} {
		row, err := b.Edit(t.Context(), made.Stream.ID, Edit{Change: change})
		require.NoError(t, err)
		assert.EqualValues(t, 1, row.Version)
	}
	assert.Zero(t, told)
	_, err := b.Edit(t.Context(), made.Stream.ID, Edit{Version: 7, Change: func(*db.Stream) {}})
	require.ErrorIs(t, err, ErrVersion)
}

// TestTheOwnerDoesNotLiftWhatOthersDisabled, nor says why anew.
func TestTheOwnerDoesNotLiftWhatOthersDisabled(t *testing.T) {
	b := newBench(t, Options{})
	made := b.create(t, Create{Slug: "main"})
	as := func(id string, role caller.Role) context.Context {
		return caller.With(t.Context(), caller.Caller{UserID: id, Role: role})
	}
	mine, admins := as(owner, caller.Streamer), as("0198f2a0-0000-7000-8000-000000000002", caller.Admin)
	require.NoError(t, b.SetDisabled(mine, "main", true, "holiday"))
	require.NoError(t, b.SetDisabled(mine, "main", false, ""))
	require.NoError(t, b.SetDisabled(mine, "main", true, "holiday"))
	require.NoError(t, b.SetDisabled(admins, "main", true, "holiday"), "in the same words")
	require.ErrorIs(t, b.SetDisabled(mine, "main", false, ""), ErrHeld)
	require.ErrorIs(t, b.SetDisabled(mine, "main", true, "other words"), ErrHeld)
	row, err := b.Find(t.Context(), made.Stream.ID)
	require.NoError(t, err)
	assert.Equal(t, "holiday", row.DisabledReason)
	assert.True(t, row.DisabledByStaff)
	require.NoError(t, b.SetDisabled(as(owner, caller.Admin), "main", false, ""))
	require.NoError(t, b.SetDisabled(mine, "main", true, ""))
	require.NoError(t, b.SetDisabled(mine, "main", false, ""))
}
