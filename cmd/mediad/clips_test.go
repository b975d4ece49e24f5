package main

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/api/video"
	"mediad/media"
	"mediad/store/blob/memory"
	"mediad/store/db"
)

// TestACutEndIsWhereTheSessionsNodeFindsIt: without the bucket only the node that keeps the session stores it, as it brings it there later.
func TestACutEndIsWhereTheSessionsNodeFindsIt(t *testing.T) {
	w := newShopWindow(t)
	w.tx(func(q db.Queries) error {
		return q.BeginRecording(db.Recording{SessionID: recordedSession, StreamID: w.of.ID, State: db.RecordingRunning, Node: "a", UpdatedAt: db.At(w.clock)})
	})
	v := w.video(db.KindClip, w.clock, w.clock.Add(10*time.Second))
	stored := func(node string) error {
		c := clipCutter{db: w.db, node: node, local: memory.New(memory.Options{MaxBytes: 1 << 20}), bucket: w.remote, log: slog.New(slog.DiscardHandler)}
		_, err := c.put(t.Context(), *v.SessionID, clipKey(v.ID, "source", shownEpoch, 7), media.Video, []byte("12345"))
		return err
	}
	w.remote.refuses = true
	require.NoError(t, stored("a"))
	require.NoError(t, stored(""), "there is one node")
	require.ErrorIs(t, stored("b"), video.ErrStorage)
	w.remote.refuses = false
	require.NoError(t, stored("b"))
}
