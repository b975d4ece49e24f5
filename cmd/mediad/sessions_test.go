package main

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"mediad/internal/metrics"
	"mediad/live"
	"mediad/media"
	"mediad/media/mediatest"
	"mediad/store/db"
	"mediad/store/event"
)

// rowsOf is a session table with the site's stream in it; say hands it notices as the hub does.
func rowsOf(t *testing.T) (rows *sessionRows, say func(live.NoticeKind, ...func(*live.Notice))) {
	t.Helper()
	s, err := openTestSite([]string{"MEDIAD_DATA_DIR=" + t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(s.close)
	stream, err := s.streams.Find(t.Context(), mainStream)
	require.NoError(t, err)
	rows = newSessionRows(s, slog.New(slog.DiscardHandler))
	stopped, stop := context.WithCancel(t.Context())
	stop() // Run then writes what is queued and returns
	return rows, func(kind live.NoticeKind, change ...func(*live.Notice)) {
		n := live.Notice{Kind: kind, At: time.Now(), Stream: mainStream, StreamID: stream.ID, Session: "0198f2a0-0000-7000-8000-000000000021"}
		for _, f := range change {
			f(&n)
		}
		rows.notice(n)
		require.NoError(t, rows.Run(stopped))
	}
}

func epoch(index int) func(*live.Notice) {
	return func(n *live.Notice) {
		n.Epoch = &live.Epoch{ID: int64(index), Index: index, StartedAt: n.At, Protocol: "rtmp", Reason: fmt.Sprint(index)}
	}
}

func TestSessionRowsFollowASession(t *testing.T) {
	rows, say := rowsOf(t)
	const id = "0198f2a0-0000-7000-8000-000000000021"
	find := func() (db.Session, error) { return rows.db.Read(t.Context()).FindSession(id) }
	say(live.EpochStarted, epoch(0))
	_, err := find()
	require.ErrorIs(t, err, db.ErrNotFound, "no frame, no row")
	require.Len(t, rows.epochs(id), 1)
	say(live.SessionStarted)
	say(live.PublisherClosed)
	say(live.EpochStarted, epoch(1))
	row, err := find()
	require.NoError(t, err)
	require.Len(t, row.Epochs, 2)
	require.Nil(t, row.EndedAt)

	// Another process goes on with it.
	rows.forget(id)
	rows.know(t.Context(), []live.Restored{{SessionID: id}, {SessionID: "unknown"}})
	require.Len(t, rows.epochs(id), 2)
	rows.forget(id)
	say(live.EpochStarted, epoch(2))
	require.Len(t, rows.epochs(id), 3)

	say(live.SessionEnded, func(n *live.Notice) { n.Reason = live.ReasonPublisherStopped })
	row, err = find()
	require.NoError(t, err)
	require.Equal(t, "publisher_stopped", row.EndReason)
	require.Len(t, row.Epochs, 3)
	require.Empty(t, rows.open)
}

func TestSessionWithoutAFrameLeavesNothing(t *testing.T) {
	rows, say := rowsOf(t)
	say(live.EpochStarted, epoch(0))
	say(live.PublisherClosed)
	say(live.PublisherClosed, func(n *live.Notice) { n.Session = "" })
	require.Empty(t, rows.open)
	left, err := rows.db.Read(t.Context()).OpenSessions()
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestEpochsOfASessionAreBounded(t *testing.T) {
	var epochs []db.Epoch
	for i := range 3 * maxEpochRows {
		epochs = withEpoch(epochs, db.Epoch{ID: int64(i)})
		require.LessOrEqual(t, len(epochs), maxEpochRows)
	}
	require.Len(t, epochs, maxEpochRows)
	require.Zero(t, epochs[0].ID, "the first")
	for i, e := range epochs[1:] {
		require.EqualValues(t, 2*maxEpochRows+1+i, e.ID, "and the newest")
	}
}

// TestAPublisherThatIsRefusedAgainAndAgainCostsAFewRows, of which the last says how often.
func TestAPublisherThatIsRefusedAgainAndAgainCostsAFewRows(t *testing.T) {
	rows, say := rowsOf(t)
	stream, err := rows.streams.Find(t.Context(), mainStream)
	require.NoError(t, err)
	for range 200 {
		rows.notice(live.Notice{
			Kind: live.PublishRefused, At: time.Now(), Stream: mainStream, StreamID: stream.ID, Reason: live.ReasonStreamKeyInvalid,
			Peer: live.Peer{Protocol: "rtmp", Remote: "203.0.113.7:1"},
		})
	}
	say(live.SessionAway) // and what is queued is written
	noted, err := rows.streams.Disconnects(t.Context(), stream.ID)
	require.NoError(t, err)
	require.Len(t, noted, 6)
	require.Contains(t, noted[0].Detail, "194 times more")
	events, err := rows.db.Read(t.Context()).ListUnsent(0, 100)
	require.NoError(t, err)
	refused := 0
	for _, e := range events {
		if e.Type == event.PublishRefused {
			refused++
		}
	}
	require.Equal(t, 1, refused)
}

// TestASessionThatBeginsWhileTheDatabaseIsAwayHasARow, and each epoch once: without it there would be no replay.
func TestASessionThatBeginsWhileTheDatabaseIsAwayHasARow(t *testing.T) {
	s, err := openTestSite([]string{"MEDIAD_DATA_DIR=" + t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(s.close)
	stream, err := s.streams.Find(t.Context(), mainStream)
	require.NoError(t, err)
	waits := make(chan string, 100)
	rows := newSessionRows(s, slog.New(slog.NewTextHandler(lineWriter(waits), nil)))
	rows.timeout = 20 * time.Millisecond
	held, release := make(chan struct{}), make(chan struct{})
	written := make(chan error, 1)
	go func() {
		written <- s.db.Tx(context.WithoutCancel(t.Context()), func(db.Queries) error { close(held); <-release; return nil })
	}()
	<-held
	const id = "0198f2a0-0000-7000-8000-000000000021"
	for _, kind := range []live.NoticeKind{live.EpochStarted, live.SessionStarted, live.EpochStarted, live.SessionEnded} {
		n := live.Notice{Kind: kind, At: time.Now(), Stream: mainStream, StreamID: stream.ID, Session: id, Reason: live.ReasonPublisherStopped}
		epoch(len(rows.queue))(&n)
		rows.notice(n)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- rows.Run(ctx) }()
	require.Contains(t, <-waits, "session row waits")
	close(release)
	require.NoError(t, <-written)
	var row db.Session
	require.Eventually(t, func() bool {
		row, err = s.db.Read(t.Context()).FindSession(id)
		return err == nil && row.EndedAt != nil
	}, 20*time.Second, 10*time.Millisecond)
	stop()
	require.NoError(t, <-done)
	require.Len(t, row.Epochs, 2)
}

// lineWriter hands on what is logged, as far as there is room.
type lineWriter chan string

func (w lineWriter) Write(b []byte) (int, error) {
	select {
	case w <- string(b):
	default:
	}
	return len(b), nil
}

// TestAReturnIsToldWithItsOwnEpoch, and not with the one before.
func TestAReturnIsToldWithItsOwnEpoch(t *testing.T) {
	s, err := openTestSite([]string{"MEDIAD_DATA_DIR=" + t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(s.close)
	of, err := s.streams.Find(t.Context(), mainStream)
	require.NoError(t, err)
	rows := newSessionRows(s, slog.New(slog.DiscardHandler))
	hub := live.NewHub(live.Options{Observer: observer{metrics.New(prometheus.NewRegistry(), "test"), rows}})
	stopped, stop := context.WithCancel(t.Context())
	stop()
	publish := func(protocol string) *live.Publisher {
		p, err := hub.Admit(live.Grant{StreamID: of.ID, Stream: mainStream}, live.Peer{Protocol: protocol, Remote: "203.0.113.7:1"})
		require.NoError(t, err)
		track := mediatest.H264Track(640, 360, 30, 1)
		require.NoError(t, p.StartEpoch([media.Kinds]*media.Track{media.Video: track}, 0, time.Now(), "first"))
		require.NoError(t, p.Write(media.AccessUnit{Kind: media.Video, Duration: 3000, RandomAccess: true, Data: []byte{1}}))
		return p
	}
	publish("rtmp").Close(live.ReasonConnectionLost)
	publish("srt")
	require.NoError(t, hub.Cut(mainStream, live.ReasonKeyRevoked, "The stream key has expired."))
	require.NoError(t, hub.Shutdown(t.Context()))
	require.NoError(t, rows.Run(stopped))
	open, err := s.db.Read(t.Context()).LastSession(of.ID)
	require.NoError(t, err)
	require.Len(t, open.Epochs, 2)
	require.Equal(t, "reconnected", open.Epochs[1].Reason)
	events, err := s.db.Read(t.Context()).ListUnsent(0, 100)
	require.NoError(t, err)
	told := map[string]string{}
	for _, e := range events {
		told[e.Type] = e.Data
	}
	require.Contains(t, told[event.StreamReconnecting], fmt.Sprintf(`"epoch":%d,`, open.Epochs[0].ID))
	require.Contains(t, told[event.StreamResumed], fmt.Sprintf(`"epoch":%d,`, open.Epochs[1].ID))
	require.Contains(t, told[event.StreamResumed], `"protocol":"srt"`)
	noted, err := s.streams.Disconnects(t.Context(), of.ID)
	require.NoError(t, err)
	require.Equal(t, [2]string{"key_revoked", "The stream key has expired."}, [2]string{noted[0].Code, noted[0].Detail})
	require.Equal(t, "key_revoked", open.EndReason)
}
