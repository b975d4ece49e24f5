package setting

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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
	assert.Equal(t, "closed", s.Text("auth.registration"))
}
