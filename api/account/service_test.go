package account_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"mediad/api/account"
	"mediad/store/db/dbtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func service(t *testing.T) *account.Service {
	t.Helper()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return account.New(account.Options{DB: dbtest.Open(t), Now: func() time.Time { return now }})
}

func TestFirstAdminIsMadeOnce(t *testing.T) {
	s := service(t)
	_, err := s.FirstAdmin(t.Context())
	require.ErrorIs(t, err, account.ErrNotFound)

	first, made, err := s.EnsureFirstAdmin(t.Context(), "", "")
	require.NoError(t, err)
	assert.True(t, made)
	assert.Equal(t, "admin", first.User.Username)
	assert.Len(t, first.OneTimePassword, 26)
	assert.True(t, first.User.MustChangePassword)
	assert.True(t, strings.HasPrefix(first.User.PasswordHash, "$argon2id$v=19$m=19456,t=2,p=1$"))

	again, made, err := s.EnsureFirstAdmin(t.Context(), "other", "another password")
	require.NoError(t, err)
	assert.False(t, made)
	assert.Equal(t, first.User, again.User)
	assert.Empty(t, again.OneTimePassword)

	u, err := s.Verify(t.Context(), "Admin", first.OneTimePassword)
	require.NoError(t, err)
	assert.Equal(t, first.User.ID, u.ID)
}

func TestFirstAdminFromTheEnvironment(t *testing.T) {
	s := service(t)
	for _, c := range [][2]string{{"null", "long enough"}, {"a", "long enough"}, {"anna", "short"}, {"anna", "ANNA-and-more"}} {
		_, _, err := s.EnsureFirstAdmin(t.Context(), c[0], c[1])
		require.Error(t, err, "%v", c)
	}
	made, ok, err := s.EnsureFirstAdmin(t.Context(), "Anna", "correct horse")
	require.NoError(t, err)
	assert.True(t, ok)
	assert.Equal(t, "anna", made.User.Username)
	assert.Empty(t, made.OneTimePassword)
	assert.False(t, made.User.MustChangePassword)
	_, err = s.Verify(t.Context(), "anna", "correct horse")
	require.NoError(t, err)
}

func TestFirstAdminRace(t *testing.T) {
	s := service(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	ids, makers := map[string]bool{}, 0
	for range 8 {
		wg.Go(func() {
			got, made, err := s.EnsureFirstAdmin(t.Context(), "", "")
			assert.NoError(t, err)
			mu.Lock()
			defer mu.Unlock()
			ids[got.User.ID] = true
			if made {
				makers++
			}
			assert.Equal(t, made, got.OneTimePassword != "")
		})
	}
	wg.Wait()
	assert.Equal(t, 1, makers)
	assert.Len(t, ids, 1)
}

func TestCreate(t *testing.T) {
	s := service(t)
	display := " Bert\x00 \u202eB. "
	c, err := s.Create(t.Context(), account.Create{Username: " Bert_9 ", Password: "long enough", DisplayName: &display})
	require.NoError(t, err)
	assert.Equal(t, "bert_9", c.User.Username)
	assert.Equal(t, "Bert B.", c.User.DisplayName)
	assert.Equal(t, "viewer", c.User.Role)
	assert.Equal(t, byte('7'), c.User.ID[14], "a UUIDv7")

	bad := map[string]account.Create{
		"taken":    {Username: "BERT_9", Password: "long enough"},
		"short":    {Username: "ab", Password: "long enough"},
		"letters":  {Username: "bért", Password: "long enough"},
		"space":    {Username: "a b c", Password: "long enough"},
		"sql":      {Username: "' OR 1=1 --", Password: "long enough"},
		"reserved": {Username: "null", Password: "long enough", ByAdmin: true},
		"staff":    {Username: "Mediad", Password: "long enough"},
		"disguise": {Username: "_ad_min_", Password: "long enough"},
		"role":     {Username: "carl", Password: "long enough", Role: "king"},
		"weak":     {Username: "carl", Password: "123456789"},
		"long":     {Username: "carl", Password: strings.Repeat("x", 129)},
	}
	want := map[string]error{
		"taken": account.ErrUsernameTaken, "role": account.ErrRole, "weak": account.ErrWeakPassword, "long": account.ErrWeakPassword,
	}
	for name, c := range bad {
		_, err := s.Create(t.Context(), c)
		if want[name] == nil {
			want[name] = account.ErrUsername
		}
		require.ErrorIs(t, err, want[name], name)
	}
	list, err := s.List(t.Context(), "", 10)
	require.NoError(t, err)
	assert.Len(t, list, 1)
	for _, name := range []string{"support", "mod", "administrator"} {
		_, err := s.Create(t.Context(), account.Create{Username: name, Password: "long enough", ByAdmin: true})
		require.NoError(t, err, name)
	}
}

func TestPasswordChange(t *testing.T) {
	s := service(t)
	c, err := s.Create(t.Context(), account.Create{Username: "carl", Password: "the old one"})
	require.NoError(t, err)
	_, err = s.SetPassword(t.Context(), "carl", "carl-is-in-it")
	require.ErrorIs(t, err, account.ErrWeakPassword)
	_, err = s.SetPassword(t.Context(), "nobody", "long enough")
	require.ErrorIs(t, err, account.ErrNotFound)
	oneTime, err := s.SetPassword(t.Context(), c.User.ID, "the new one")
	require.NoError(t, err)
	assert.Empty(t, oneTime)
	for password, ok := range map[string]bool{"the new one": true, "the old one": false, "": false} {
		_, err = s.Verify(t.Context(), "carl", password)
		assert.Equal(t, ok, err == nil, password)
	}
	_, err = s.Verify(t.Context(), "nobody", "the new one")
	require.ErrorIs(t, err, account.ErrNotFound)
	oneTime, err = s.SetPassword(t.Context(), "@Carl", "")
	require.NoError(t, err)
	u, err := s.Verify(t.Context(), "carl", oneTime)
	require.NoError(t, err)
	assert.True(t, u.MustChangePassword)
	_, params, err := argon2id.CheckHash("x", u.PasswordHash)
	require.NoError(t, err)
	assert.Equal(t, uint32(19<<10), params.Memory)
}

func TestLastAdminStays(t *testing.T) {
	s := service(t)
	_, _, err := s.EnsureFirstAdmin(t.Context(), "anna", "")
	require.NoError(t, err)
	require.ErrorIs(t, s.SetRole(t.Context(), "anna", account.Viewer), account.ErrLastAdmin)
	require.ErrorIs(t, s.SetRole(t.Context(), "anna", "king"), account.ErrRole)
	require.ErrorIs(t, s.SetRole(t.Context(), "zoe", account.Admin), account.ErrNotFound)
	require.NoError(t, s.SetRole(t.Context(), "anna", account.Admin))
	_, err = s.Create(t.Context(), account.Create{Username: "bert", Role: account.Streamer})
	require.NoError(t, err)
	require.NoError(t, s.SetRole(t.Context(), "bert", account.Admin))

	// Two admins resign at the same time: one of them has to stay.
	var wg sync.WaitGroup
	var mu sync.Mutex
	stayed := 0
	for _, name := range []string{"anna", "bert"} {
		wg.Go(func() {
			if err := s.SetRole(t.Context(), name, account.Viewer); err != nil {
				assert.ErrorIs(t, err, account.ErrLastAdmin)
				mu.Lock()
				defer mu.Unlock()
				stayed++
			}
		})
	}
	wg.Wait()
	assert.Equal(t, 1, stayed)
}
