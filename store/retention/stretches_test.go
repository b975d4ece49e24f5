package retention_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/store/db"
	"mediad/store/retention"
)

// TestOldStretchesOfASessionThatLastsGo, and with them nothing of their neighbours: not the file that both are in, and not what live
// viewers can seek to.
func TestOldStretchesOfASessionThatLastsGo(t *testing.T) {
	s := newShelf(t)
	id := s.session(1, noon.Add(-time.Hour), 60, db.RecordingRunning)
	cut := func(next int64, ago time.Duration) db.Video {
		var v db.Video
		s.tx(func(q db.Queries) error {
			last, err := q.LastStretch(id)
			if err != nil {
				return err
			}
			of := stream
			newID, err := db.NewID()
			if err != nil {
				return err
			}
			v = db.Video{
				ID: newID, OwnerID: owner, StreamID: &of, SessionID: &id, FirstMSN: last.FirstMSN, LastMSN: next - 1, Visibility: "public",
				State: db.VideoReady, Version: 1,
			}
			if _, err := q.InsertReplay(v); err != nil {
				return err
			}
			return q.CutRecording(last, next, db.RecordingMade, 100, db.At(noon.Add(-ago)))
		})
		return v
	}
	old, young := cut(1025, 15*day), cut(1105, 13*day) // the first ends in the middle of a file
	_, err := retention.New(s.o).Sweep(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 2*58, len(s.keys(id)))
	assert.Contains(t, s.keys(id), "source-2.m4s")
	assert.NotContains(t, s.keys(id), "source-1.m4s")
	v, err := s.db.Read(t.Context()).FindVideo(old.ID)
	require.NoError(t, err)
	assert.NotNil(t, v.DeletedAt)
	v, err = s.db.Read(t.Context()).FindVideo(young.ID)
	require.NoError(t, err)
	assert.Nil(t, v.DeletedAt)
	stretches, err := s.db.Read(t.Context()).ListStretches(id)
	require.NoError(t, err)
	require.Len(t, stretches, 2)
	assert.Equal(t, int64(1025), stretches[0].FirstMSN)
	tracks, err := s.db.Read(t.Context()).ListTracks(id)
	require.NoError(t, err)
	assert.NotEmpty(t, tracks)
	rows, err := s.db.Read(t.Context()).ListSegments(id, "source", 0, 1)
	require.NoError(t, err)
	assert.Equal(t, int64(1025), rows[0].MSN)

	// The second one goes, too, but for what can be seeked to live.
	s.o.Keep = 12 * day
	s.o.Shown = func(string, string) (uint64, bool) { return 1060, true }
	_, err = retention.New(s.o).Sweep(t.Context())
	require.NoError(t, err)
	rows, err = s.db.Read(t.Context()).ListSegments(id, "source", 0, 1)
	require.NoError(t, err)
	assert.Equal(t, int64(1060), rows[0].MSN)
	s.o.Shown = func(string, string) (uint64, bool) { return 2000, true }
	_, err = retention.New(s.o).Sweep(t.Context())
	require.NoError(t, err)
	stretches, err = s.db.Read(t.Context()).ListStretches(id)
	require.NoError(t, err)
	require.Len(t, stretches, 1)
	assert.Equal(t, db.RecordingRunning, stretches[0].State)
}
