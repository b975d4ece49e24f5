package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"mediad/api/stream"
	"mediad/internal/testx"
	"mediad/live"
	"mediad/store/db"
)

const recordedSession = "0198f2a0-0000-7000-8000-000000000021"

// recorderOf is a recorder of a site, and the id of the site's stream.
func recorderOf(t *testing.T, log *slog.Logger) (r *recorder, streamID string) {
	t.Helper()
	s, err := openTestSite([]string{"MEDIAD_DATA_DIR=" + t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(s.close)
	of, err := s.streams.Find(t.Context(), mainStream)
	require.NoError(t, err)
	return newRecorder(s, func(string) bool { return false }, log), of.ID
}

// watched is a context that tells when somebody waits for its end.
type watched struct {
	context.Context
	once  sync.Once
	waits chan struct{}
}

func (w *watched) Done() <-chan struct{} {
	w.once.Do(func() { close(w.waits) })
	return w.Context.Done()
}

func TestSessionsBeginWhileTheDatabaseIsBusy(t *testing.T) {
	r, id := recorderOf(t, slog.New(slog.DiscardHandler))
	held, release := make(chan struct{}), make(chan struct{})
	written := make(chan error)
	go func() {
		written <- r.db.Tx(context.WithoutCancel(t.Context()), func(db.Queries) error { close(held); <-release; return nil })
	}()
	<-held
	noted := make(chan struct{})
	r.begin(recordedSession, id, true)
	ctx := &watched{Context: t.Context(), waits: make(chan struct{})}
	go func() {
		defer close(noted)
		r.note(ctx)
	}()
	<-ctx.waits
	r.begin("0198f2a0-0000-7000-8000-000000000022", id, true)
	select {
	case <-noted:
		t.Fatal("the database was not busy")
	default:
	}
	close(release)
	require.NoError(t, <-written)
	<-noted
	r.note(t.Context())
	require.Empty(t, r.begun)
}

func TestARecordingThatCannotBeNotedKeepsNoOtherWaiting(t *testing.T) {
	r, id := recorderOf(t, slog.New(slog.DiscardHandler))
	for i := range 20 {
		r.begin(fmt.Sprintf("0198f2a0-0000-7000-8000-%012d", i), "no such stream", true)
		r.end(fmt.Sprintf("0198f2a0-0000-7000-8000-%012d", i))
	}
	r.begin(recordedSession, id, true)
	r.end(recordedSession)
	r.note(t.Context())
	row, err := r.db.Read(t.Context()).FindRecording(recordedSession, 0)
	require.NoError(t, err)
	require.Equal(t, db.RecordingEnded, row.State)
	require.Empty(t, r.begun, "their stream does not come")
	require.Empty(t, r.ended)
}

func TestAReplayThatCannotBeMadeIsLeftAloneForAWhile(t *testing.T) {
	var log bytes.Buffer
	r, id := recorderOf(t, slog.New(slog.NewTextHandler(&log, nil)))
	r.begin(recordedSession, id, true)
	r.end(recordedSession)
	r.work(t.Context()) // there is no row of its session yet
	r.work(t.Context())
	require.Equal(t, 1, bytes.Count(log.Bytes(), []byte("replay waits")), log.String())
}

func TestNothingIsRecordedWhereRecordingIsOff(t *testing.T) {
	s, err := openTestSite([]string{"MEDIAD_DATA_DIR=" + t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(s.close)
	_, key, err := s.streams.RotateKey(t.Context(), mainStream, stream.Rotate{})
	require.NoError(t, err)
	for _, on := range []bool{true, false} {
		g, err := publishRights{streams: s.streams, record: on}.AuthorizePublish(t.Context(), key, live.Peer{})
		require.NoError(t, err)
		require.Equal(t, on, g.Record)
	}
}

func TestRecordingsOutliveThatRecordingIsTurnedOff(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "blobs", "live", mainStream)
	media := filepath.Join(folder, recordedSession, "source-0.m4s")
	torn := filepath.Join(folder, "journal-1")
	require.NoError(t, os.MkdirAll(filepath.Dir(media), 0o755))
	require.NoError(t, os.WriteFile(media, []byte("media"), 0o600))
	require.NoError(t, os.WriteFile(torn, []byte("x"), 0o600))
	s := serve(t, dir, "MEDIAD_RECORD=false")
	testx.WaitFor(t, "what nobody needs to be deleted", func() bool {
		_, err := os.Stat(torn)
		return os.IsNotExist(err)
	})
	s.end()
	require.FileExists(t, media)
}
