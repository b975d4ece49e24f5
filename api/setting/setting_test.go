package setting

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/audit"
	"mediad/api/problem"
	"mediad/internal/testx"
	"mediad/store/db"
	"mediad/store/db/dbtest"
)

func TestMain(m *testing.M) { testx.Main(m) }

// TestWhatIsClosedIsClosedFromTheStart: while one caller reads the rows for the first time, no other takes the configuration's value for theirs.
func TestWhatIsClosedIsClosedFromTheStart(t *testing.T) {
	d := dbtest.Open(t)
	require.NoError(t, d.Tx(t.Context(), func(q db.Queries) error {
		return q.SaveSetting(db.Setting{Key: "auth.registration", Value: "closed", IsSet: true, Version: 1})
	}))
	s := New(Options{DB: d, Keys: registration()})
	all(t, s, "closed")
}

func registration() []Key {
	return []Key{{Path: "auth.registration", Value: "open", Source: FromDefault}}
}

// all lets many ask at the same time, who are all to be told the same.
func all(t *testing.T, s *Service, want string) {
	t.Helper()
	var asking sync.WaitGroup
	for range 24 {
		asking.Go(func() {
			mode, err := s.Text("auth.registration")
			assert.NoError(t, err)
			assert.Equal(t, want, mode)
		})
	}
	asking.Wait()
}

// TestNobodyIsToldWhatIsOld: when the rows are older than they may be, all wait for those that are read, however many ask.
func TestNobodyIsToldWhatIsOld(t *testing.T) {
	d := dbtest.Open(t)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := New(Options{DB: d, Keys: registration(), Now: func() time.Time { return now }})
	require.NoError(t, s.Load(t.Context()))
	for i := range 20 {
		want := []string{"closed", "open"}[i%2]
		require.NoError(t, d.Tx(t.Context(), func(q db.Queries) error { // on another node
			return q.SaveSetting(db.Setting{Key: "auth.registration", Value: want, IsSet: true, Version: int64(i + 1)})
		}))
		now = now.Add(4 * time.Second)
		all(t, s, want)
	}
}

// TestNobodyWaitsLongForADatabaseThatHangs: who has older rows goes on with them.
func TestNobodyWaitsLongForADatabaseThatHangs(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := New(Options{DB: dbtest.Open(t), Keys: registration(), Now: func() time.Time { return now }})
	require.NoError(t, s.Load(t.Context()))
	now = now.Add(time.Hour)
	s.reading = make(chan struct{}) // of one who is never answered
	done := make(chan error, 1)
	go func() { _, err := s.Text("auth.registration"); done <- err }()
	select {
	case err := <-done:
		require.NoError(t, err)
	case <-time.After(10 * time.Second):
		t.Fatal("it waits for ever")
	}
}

// TestAChangeIsNotUndoneByAReadBefore: rows that were read when the change was not yet made are not kept after it.
func TestAChangeIsNotUndoneByAReadBefore(t *testing.T) {
	d := dbtest.Open(t)
	noon, calls := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), 0
	var s *Service
	closed := "closed"
	s = New(Options{DB: d, Keys: registration(), Audit: audit.New(audit.Options{DB: d, Now: func() time.Time { return noon }}), Now: func() time.Time {
		if calls++; calls == 2 { // the rows are read, and about to be kept
			assert.NoError(t, s.Change(t.Context(), 0, map[string]*string{"auth.registration": &closed}))
		}
		return noon
	}})
	mode, err := s.Text("auth.registration")
	require.NoError(t, err)
	assert.Equal(t, "closed", mode)
}

// TestWhatWasNeverReadIsNotKnown: while the database does not answer a server that begins has no value, rather than the configuration's.
func TestWhatWasNeverReadIsNotKnown(t *testing.T) {
	d := dbtest.Open(t)
	require.NoError(t, d.Tx(t.Context(), func(q db.Queries) error {
		return q.SaveSetting(db.Setting{Key: "limits.live_sessions", Value: "2", IsSet: true, Version: 1})
	}))
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	away := dbtest.Open(t)
	require.NoError(t, away.Close())
	s := New(Options{DB: away, Keys: []Key{{Path: "limits.live_sessions", Value: "0", Source: FromDefault, Number: true}}, Now: func() time.Time { return now }})
	for range 2 {
		_, err := s.Int("limits.live_sessions")
		p, internal := problem.From(err)
		require.NoError(t, internal)
		assert.Equal(t, string(problem.Unavailable), p.Code)
	}
	require.Error(t, s.Load(t.Context()))

	s.o.DB = d // it answers again
	now = now.Add(freshFor)
	n, err := s.Int("limits.live_sessions")
	require.NoError(t, err)
	assert.Equal(t, 2, n)

	s.o.DB = away // and is gone once more: what was read counts
	now = now.Add(time.Hour)
	n, err = s.Int("limits.live_sessions")
	require.NoError(t, err)
	assert.Equal(t, 2, n)
}
