package setting

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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
	s := New(Options{DB: d, Keys: []Key{{Path: "auth.registration", Value: "open", Source: FromDefault}}})
	s.reading = true // by another
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
