package object

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/store/db"
	"mediad/store/db/dbtest"
)

func TestMain(m *testing.M) { testx.Main(m) }

// refusing is a store that does not delete what is named stuck.
type refusing struct {
	Store
	deleted []string
}

var errLocked = errors.New("the object is locked")

func (r *refusing) Delete(_ context.Context, key string) error {
	if strings.HasPrefix(key, "stuck") {
		return errLocked
	}
	r.deleted = append(r.deleted, key)
	return nil
}

func (r *refusing) Put(_ context.Context, _ string, from io.Reader, _ int64, _ string) error {
	_, err := io.Copy(io.Discard, from)
	return err
}

// TestWhatIsNotDeletedKeepsNothingElseFromIt, however much it is and however long it has waited.
func TestWhatIsNotDeletedKeepsNothingElseFromIt(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	store := &refusing{}
	d := dbtest.Open(t)
	k := New(Options{DB: d, Store: store, Now: func() time.Time { return now }})
	doom := func(key string) {
		require.NoError(t, d.Tx(t.Context(), func(q db.Queries) error { return k.DropAt(q, key, now) }))
	}
	for n := range 2 * sweepBatch {
		doom(fmt.Sprintf("stuck%03d", n))
	}
	now = now.Add(time.Second)
	doom("one")
	for range 3 { // a batch of which nothing was deleted may be a store that is away, so the rest waits for the next sweep
		_, err := k.Sweep(t.Context())
		require.ErrorIs(t, err, errLocked)
		now = now.Add(sweepInterval)
	}
	require.Equal(t, []string{"one"}, store.deleted)
	due, err := d.Read(t.Context()).DueObjects(db.At(now.Add(time.Hour)), 1000)
	require.NoError(t, err)
	require.Len(t, due, 2*sweepBatch, "those are tried again")
}
