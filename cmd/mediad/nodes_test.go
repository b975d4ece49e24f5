package main

import (
	"context"
	"errors"
	"log/slog"
	neturl "net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/video"
	"mediad/configs"
	"mediad/internal/testx"
	"mediad/live"
	"mediad/media"
	"mediad/media/mediatest"
	"mediad/packager/cmaf"
	"mediad/store/db"
	"mediad/store/db/dbtest"
	"mediad/store/db/pgtest"
)

// sharedDatabase is one that several nodes of a test may have.
func sharedDatabase(t *testing.T) string {
	t.Helper()
	if !pgtest.Installed(t) {
		t.Skip("PostgreSQL is not installed: run deploy/deps.sh test")
	}
	return dbtest.On(db.PostgreSQL).Place(t, db.Options{}).URL
}

// testNode is a node without doors: what it has on air is what the test says.
type testNode struct {
	*site
	*cluster
	owners *owners

	mu   sync.Mutex
	live []live.Status
	cut  []string
}

// newTestNode is one of a site. Its first one makes the stream.
func newTestNode(t *testing.T, c *configs.Config) *testNode {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	lock, err := lockData(c.DataDir)
	require.NoError(t, err)
	s, err := openSite(t.Context(), c, time.Now, log)
	require.NoError(t, err)
	t.Cleanup(func() { s.close(); _ = lock.Close() })
	_, err = s.firstRun(t.Context(), c)
	require.NoError(t, err)
	n := &testNode{site: s}
	n.cluster, err = newCluster(s, lock, time.Now, log)
	require.NoError(t, err)
	require.NoError(t, n.join(t.Context()))
	n.cluster.onAir = func() (ids []string) {
		for _, s := range n.onAir() {
			ids = append(ids, s.SessionID)
		}
		return ids
	}
	n.yield = n.end
	n.owners = &owners{
		db: s.db, node: s.node, bus: s.shared.bus, log: log, onAir: n.onAir, patience: n.patience,
		yield: func(slug string) error { n.end(slug); return nil },
		end:   func(slug string, r live.Reason) error { n.end(slug + " " + string(r)); return nil },
		sends: func(string) bool { return len(n.onAir()) > 0 },
		place: func(ip, agent string) string { return ip + " " + agent },
		lost:  func(ctx context.Context, streamID string) error { return s.streams.EndElsewhere(ctx, streamID, s.node) },
		ends: func(q db.Queries, streamID string, r live.Reason) (bool, error) {
			return s.streams.EndElsewhereIn(q, streamID, s.node, string(r))
		},
	}
	return n
}

func nodeConfig(t *testing.T, url string) *configs.Config {
	t.Helper()
	c := configs.Default()
	c.DataDir, c.Database.URL, c.SecretKey = t.TempDir(), url, "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
	return c
}

func (n *testNode) onAir() []live.Status {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.live
}

func (n *testNode) end(what string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut, n.live = append(n.cut, what), nil
}

func (n *testNode) wasCut() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cut
}

// begins has a session of the stream on air.
func (n *testNode) begins(t *testing.T, session string) {
	t.Helper()
	of, err := n.site.streams.Find(t.Context(), mainStream)
	require.NoError(t, err)
	require.NoError(t, n.site.streams.SaveSession(t.Context(), db.Session{ID: session, StreamID: of.ID, Node: n.node, StartedAt: db.At(time.Now())}))
	require.NoError(t, n.site.videos.BeginRecording(t.Context(), session, of.ID, true))
	n.mu.Lock()
	n.live = []live.Status{{Stream: of.Slug, StreamID: of.ID, SessionID: session, State: live.StateLive, Remote: "192.0.2.1:1", PeerEncoder: "old"}}
	n.mu.Unlock()
}

func (n *testNode) stream(t *testing.T) string {
	t.Helper()
	of, err := n.site.streams.Find(t.Context(), mainStream)
	require.NoError(t, err)
	return of.ID
}

// silence takes a node's beats into the past.
func (n *testNode) silence(t *testing.T, url string, by time.Duration) {
	t.Helper()
	execSQL(t, url, "UPDATE nodes SET beat_at = beat_at - $1 WHERE id = $2", by.Milliseconds(), n.node)
}

// steadyFor has all beats of so long have come through.
func (c *cluster) steadyFor(d time.Duration) {
	since := time.Now().Add(-d)
	c.since.Store(&since)
}

func execSQL(t *testing.T, url, statement string, args ...any) {
	t.Helper()
	at, err := neturl.Parse(url)
	require.NoError(t, err)
	server, err := pgtest.Shared()
	require.NoError(t, err)
	require.NoError(t, server.Exec(strings.TrimPrefix(at.Path, "/"), statement, args...))
}

const (
	sessionOne = "0198f2a0-0000-7000-8000-0000000000e1"
	sessionTwo = "0198f2a0-0000-7000-8000-0000000000e2"
)

func TestANodesNameStays(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	var wg sync.WaitGroup
	ids := make([]string, 8)
	for i := range ids {
		wg.Go(func() {
			id, err := nodeID(dir)
			assert.NoError(t, err)
			ids[i] = id
		})
	}
	wg.Wait()
	for _, id := range ids {
		require.Equal(t, ids[0], id)
	}
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1)
	require.NoError(t, os.WriteFile(filepath.Join(dir, nodeFile), []byte("x"), 0o600))
	_, err = nodeID(dir)
	require.ErrorContains(t, err, "remove it")
}

// TestACopyOfANodeIsRefused while the other one beats, and told of where both run.
func TestACopyOfANodeIsRefused(t *testing.T) {
	url := sharedDatabase(t)
	a := newTestNode(t, nodeConfig(t, url))
	beating, stop := context.WithCancel(t.Context())
	a.beat = 50 * time.Millisecond
	done := make(chan error, 1)
	go func() { done <- a.Run(beating) }()
	other := a.self
	other.Run, other.Place = "another", "elsewhere"
	b := &cluster{db: a.site.db, self: other, log: slog.New(slog.DiscardHandler), now: time.Now, silent: nodeSilent}
	require.ErrorContains(t, b.join(t.Context()), "is a copy of its")
	stop()
	require.NoError(t, <-done)
	require.NoError(t, b.join(t.Context()), "it has stopped")
	require.ErrorContains(t, a.round(t.Context()), "has taken its id")
}

// TestWhatASilentNodeLeft is ended by one of the others, once, told once, and its recording goes on there if all of it is in the bucket.
func TestWhatASilentNodeLeft(t *testing.T) {
	url := sharedDatabase(t)
	a, b, c := newTestNode(t, nodeConfig(t, url)), newTestNode(t, nodeConfig(t, url)), newTestNode(t, nodeConfig(t, url))
	a.begins(t, sessionOne)
	sweep := func() {
		t.Helper()
		var wg sync.WaitGroup
		for _, n := range []*testNode{b, c} {
			wg.Go(func() { assert.NoError(t, n.sweep(t.Context())) })
		}
		wg.Wait()
	}
	q := a.site.db.Read(t.Context())
	sweep()
	s, err := q.FindSession(sessionOne)
	require.NoError(t, err)
	require.Nil(t, s.EndedAt, "its node is there")
	_, err = b.site.streams.EndLostSessions(t.Context(), b.keeper(), nil)
	require.NoError(t, err)
	s, err = q.FindSession(sessionOne)
	require.NoError(t, err)
	require.Nil(t, s.EndedAt, "another node that starts ends its own alone")

	require.NoError(t, a.site.db.Tx(t.Context(), func(q db.Queries) error {
		return q.InsertSegments([]db.Segment{{SessionID: sessionOne, Rendition: "source", MSN: 1, StreamID: s.StreamID, BlobKey: "k", Bytes: 1, Bucket: db.BucketPending}})
	}))
	a.begins(t, sessionTwo) // of which nothing is stored yet, but in its node's journal
	a.silence(t, url, nodeSilent+time.Second)
	sweep()
	s, err = q.FindSession(sessionOne)
	require.NoError(t, err)
	require.NotNil(t, s.EndedAt)
	require.Equal(t, "server_shutdown", s.EndReason)
	told, err := q.ListUnsent(0, 100)
	require.NoError(t, err)
	n := 0
	for _, e := range told {
		if e.Type == "stream.offline" {
			n++
		}
	}
	require.Equal(t, 2, n, "each once")
	rec, err := q.FindRecording(sessionTwo, 0)
	require.NoError(t, err)
	require.Equal(t, a.node, rec.Node)
	rec, err = q.FindRecording(sessionOne, 0)
	require.NoError(t, err)
	require.Equal(t, db.RecordingEnded, rec.State)
	require.Equal(t, a.node, rec.Node, "some of it is on its disk alone")

	require.NoError(t, a.site.db.Tx(t.Context(), func(q db.Queries) error {
		_, err := q.MarkStored(sessionOne, "source", 1)
		return err
	}))
	sweep()
	rec, err = q.FindRecording(sessionOne, 0)
	require.NoError(t, err)
	require.Contains(t, []string{b.node, c.node}, rec.Node)

	// At its return the node cuts what was ended, and ends nothing of others.
	require.NoError(t, a.fence(t.Context()))
	require.Equal(t, []string{sessionTwo}, a.wasCut())
}

// TestANodeThatIsGoneForGood leaves what it keeps to others. What was on its disk alone is lost: a replay of which something is left says so,
// and any other goes.
func TestANodeThatIsGoneForGood(t *testing.T) {
	url := sharedDatabase(t)
	a, b := newTestNode(t, nodeConfig(t, url)), newTestNode(t, nodeConfig(t, url))
	track := mediatest.H264Track(640, 360, 30, 1)
	init, err := cmaf.Init(track)
	require.NoError(t, err)
	recorded := func(session string, where ...int) {
		a.begins(t, session)
		rows := make([]db.Segment, len(where))
		for i, bucket := range where {
			rows[i] = db.Segment{
				SessionID: session, Rendition: "source", MSN: int64(i), StreamID: a.stream(t), Epoch: 1, StartNS: int64(i+1) * int64(2*time.Second),
				DurationNS: int64(2 * time.Second), BlobKey: "k", Bytes: 10, Independent: true, Target: 2, Bucket: bucket,
			}
		}
		require.NoError(t, a.site.db.Tx(t.Context(), func(q db.Queries) error {
			err := q.InsertTracks([]db.SessionTrack{{SessionID: session, Rendition: "source", Epoch: 1, Kind: "video", Codec: media.H264.String(), Config: track.Config, Init: init}})
			return errors.Join(err, q.InsertSegments(rows), q.EndSession(session, db.At(time.Now()), "publisher_stopped"))
		}))
		n := len(where)
		_, err := a.site.videos.MakeReplay(t.Context(), session, &video.Facts{Duration: time.Duration(n) * 2 * time.Second, Bytes: int64(n) * 10, Stored: int64(n) * 10})
		require.NoError(t, err)
	}
	recorded(sessionOne, db.BucketStored, db.BucketPending, db.BucketNone)
	recorded(sessionTwo, db.BucketNone, db.BucketPending)
	q := a.site.db.Read(t.Context())

	// A copy of the database, on which that node has not started yet.
	execSQL(t, url, "DELETE FROM nodes WHERE id = $1", a.node)
	require.NoError(t, b.sweep(t.Context()))
	require.NoError(t, b.sweep(t.Context()))
	rec, err := q.FindRecording(sessionOne, 0)
	require.NoError(t, err)
	require.Equal(t, a.node, rec.Node, "it may come")

	a.silence(t, url, nodeGone+time.Second)
	require.NoError(t, b.sweep(t.Context()))
	rec, err = q.FindRecording(sessionOne, 0)
	require.NoError(t, err)
	require.Equal(t, b.node, rec.Node)
	require.EqualValues(t, 10, rec.Bytes)
	v, err := q.FindReplay(sessionOne, 0)
	require.NoError(t, err)
	require.Nil(t, v.DeletedAt)
	require.EqualValues(t, 2000, v.DurationMS)
	require.EqualValues(t, 10, v.Bytes)
	waits, err := q.PendingSegments("", "", "", 0, 10)
	require.NoError(t, err)
	require.Empty(t, waits, "nothing of it comes any more")

	rec, err = q.FindRecording(sessionTwo, 0)
	require.NoError(t, err)
	require.Equal(t, b.node, rec.Node)
	require.Equal(t, db.RecordingEmpty, rec.State)
	v, err = q.FindReplay(sessionTwo, 0)
	require.NoError(t, err)
	require.NotNil(t, v.DeletedAt)
	require.NoError(t, b.sweep(t.Context()))
	nodes, err := q.ListNodes()
	require.NoError(t, err)
	require.Len(t, nodes, 1, "it is forgotten")
}

// TestASilentNodeWithMuchLeftKeepsNothingWaiting: sessions are ended in many transactions, and of what cannot be taken over the sweep
// goes on with the rest, of this node and of others.
func TestASilentNodeWithMuchLeftKeepsNothingWaiting(t *testing.T) {
	url := sharedDatabase(t)
	a, b := newTestNode(t, nodeConfig(t, url)), newTestNode(t, nodeConfig(t, url))
	a.begins(t, sessionOne)
	stream := a.stream(t)
	execSQL(t, url, `INSERT INTO stream_sessions (id, stream_id, started_at, end_reason, epochs, updated_at, node)
		SELECT 'e' || n, $1, n, '', '[]', n, $2 FROM generate_series(1, 35) n`, stream, a.node)
	// Of the first ones nothing is in the bucket.
	execSQL(t, url, `INSERT INTO recordings (session_id, first_msn, last_msn, stream_id, state, bytes, evicted, updated_at, node)
		SELECT 'r' || n, 0, 9223372036854775807, $1, 'ended', 0, FALSE, n, $2 FROM generate_series(1, $3::int) n`, stream, a.node, sweepAtOnce+1)
	execSQL(t, url, `INSERT INTO segments (session_id, rendition, msn, stream_id, epoch, start_ns, duration_ns, blob_key, blob_offset, bytes, discontinuity, gap, independent, target, discontinuities, bucket)
		VALUES ($1, 'source', 1, $2, 1, 0, 1, '', 0, 1, FALSE, FALSE, TRUE, 2, 0, 2)`, "r"+strconv.Itoa(sweepAtOnce+1), stream)
	a.silence(t, url, nodeSilent+time.Second)
	b.steadyFor(time.Second)
	require.NoError(t, b.look(t.Context()))
	open, err := b.site.db.Read(t.Context()).OpenSessions()
	require.NoError(t, err)
	require.NotEmpty(t, open, "it has been back for a second")
	b.steadyFor(nodeSilent + time.Second)
	require.NoError(t, b.look(t.Context()))
	open, err = b.site.db.Read(t.Context()).OpenSessions()
	require.NoError(t, err)
	require.Empty(t, open)
	require.NoError(t, b.look(t.Context()))
	rec, err := b.site.db.Read(t.Context()).FindRecording("r"+strconv.Itoa(sweepAtOnce+1), 0)
	require.NoError(t, err)
	require.Equal(t, b.node, rec.Node)
}

// TestANodeBeatsWhileItStarts, however long that takes.
func TestANodeBeatsWhileItStarts(t *testing.T) {
	url := sharedDatabase(t)
	a := newTestNode(t, nodeConfig(t, url))
	a.beat = 50 * time.Millisecond
	a.silence(t, url, nodeSilent+time.Second)
	stop := a.hold(t.Context())
	defer stop()
	heard := func() bool {
		alive, err := a.site.db.Read(t.Context()).NodeAlive(a.node, nodeLate.Milliseconds())
		require.NoError(t, err)
		return alive
	}
	testx.WaitFor(t, "a beat", heard)
	a.silence(t, url, nodeSilent+time.Second)
	testx.WaitFor(t, "another one", heard)
	stop()
	a.silence(t, url, nodeSilent+time.Second)
	require.False(t, heard())
}

// TestNobodyIsTakenForDeadAfterATimeWithoutTheDatabase: then all are late by their rows.
func TestNobodyIsTakenForDeadAfterATimeWithoutTheDatabase(t *testing.T) {
	c := &cluster{now: time.Now, late: nodeLate, silent: nodeSilent}
	require.Equal(t, nodeSilent, c.patience())
	c.steadyFor(time.Second)
	require.Equal(t, nodeSilent, c.patience())
	c.steadyFor(nodeLate + time.Second)
	require.Equal(t, nodeLate, c.patience())

	url := sharedDatabase(t)
	a, b := newTestNode(t, nodeConfig(t, url)), newTestNode(t, nodeConfig(t, url))
	a.begins(t, sessionOne)
	a.silence(t, url, nodeSilent+time.Second)
	require.NoError(t, b.round(t.Context())) // its first since the database is back
	require.NotEqual(t, b.since.Load().Round(0), *b.since.Load(), "beats are counted by the monotonic clock")
	require.NoError(t, b.look(t.Context()))
	s, err := b.site.db.Read(t.Context()).FindSession(sessionOne)
	require.NoError(t, err)
	require.Nil(t, s.EndedAt)
	b.steadyFor(nodeSilent + time.Second)
	require.NoError(t, b.round(t.Context()))
	require.NoError(t, b.look(t.Context()))
	s, err = b.site.db.Read(t.Context()).FindSession(sessionOne)
	require.NoError(t, err)
	require.NotNil(t, s.EndedAt)
}

// run runs a node's owners until the test ends.
func (n *testNode) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- n.owners.Run(ctx) }()
	go func() { done <- n.shared.events.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, <-done)
		assert.NoError(t, <-done)
	})
}

// TestALaterPublisherTakesTheStreamFromAnotherNode, as at the same one; but the encoder that was replaced does not get it back by itself.
func TestALaterPublisherTakesTheStreamFromAnotherNode(t *testing.T) {
	url := sharedDatabase(t)
	a, b := newTestNode(t, nodeConfig(t, url)), newTestNode(t, nodeConfig(t, url))
	a.run(t)
	b.run(t)
	id := a.stream(t)
	grant := live.Grant{StreamID: id, Stream: mainStream}
	old, later := live.Peer{Remote: "192.0.2.1:1", Encoder: "old"}, live.Peer{Remote: "192.0.2.2:1", Encoder: "later"}
	require.NoError(t, a.owners.admit(t.Context(), grant, old))
	require.NoError(t, a.owners.admit(t.Context(), grant, old), "again, as it returns")
	a.begins(t, sessionOne)
	require.Equal(t, live.ReasonTwoPublishers, live.ReasonOf(b.owners.admitSource(t.Context(), grant)), "what a node fetches itself waits")

	began := time.Now()
	require.NoError(t, b.owners.admit(t.Context(), grant, later))
	t.Logf("taken over in %s", time.Since(began))
	require.Equal(t, []string{mainStream}, a.wasCut())
	require.NoError(t, a.site.streams.EndSession(t.Context(), sessionOne, time.Now(), "publisher_stopped"))
	b.begins(t, sessionTwo)
	require.Equal(t, live.ReasonTwoPublishers, live.ReasonOf(a.owners.admit(t.Context(), grant, old)))
	require.Equal(t, live.ReasonTwoPublishers, live.ReasonOf(b.owners.admit(t.Context(), grant, old)), "nor at that node")
	require.Empty(t, b.wasCut())

	// A third one may. Who takes more often than that in a minute does not.
	for i := range maxTakeovers {
		to := a
		if i%2 == 1 {
			to = b
		}
		err := to.owners.admit(t.Context(), grant, live.Peer{Remote: "192.0.2.3:1", Encoder: string(rune('a' + i))})
		if i == maxTakeovers-1 {
			require.Equal(t, live.ReasonTwoPublishers, live.ReasonOf(err))
			break
		}
		require.NoError(t, err)
		session, err := db.NewID()
		require.NoError(t, err)
		to.begins(t, session)
	}
}

// TestOneOfTwoRacingPublishersHasTheStream.
func TestOneOfTwoRacingPublishersHasTheStream(t *testing.T) {
	url := sharedDatabase(t)
	a, b := newTestNode(t, nodeConfig(t, url)), newTestNode(t, nodeConfig(t, url))
	a.run(t)
	b.run(t)
	grant := live.Grant{StreamID: a.stream(t), Stream: mainStream}
	for range 5 {
		var wg sync.WaitGroup
		errs := make([]error, 2)
		for i, n := range []*testNode{a, b} {
			wg.Go(func() {
				errs[i] = n.owners.admit(t.Context(), grant, live.Peer{Remote: "192.0.2.1:1", Encoder: string(rune('a' + i))})
			})
		}
		wg.Wait()
		row, err := a.site.db.Read(t.Context()).FindOwner(grant.StreamID)
		require.NoError(t, err)
		owner := 0
		if row.Node == b.node {
			owner = 1
		}
		require.NoError(t, errs[owner], "who has it was let in, last")
		require.NoError(t, a.site.db.Write(t.Context()).ReleaseOwner(row))
	}
}

// TestADeadNodesStreamIsTakenAfterItsLease, and its session ended.
func TestADeadNodesStreamIsTakenAfterItsLease(t *testing.T) {
	url := sharedDatabase(t)
	a, b := newTestNode(t, nodeConfig(t, url)), newTestNode(t, nodeConfig(t, url))
	grant := live.Grant{StreamID: a.stream(t), Stream: mainStream}
	require.NoError(t, a.owners.admit(t.Context(), grant, live.Peer{}))
	a.begins(t, sessionOne)
	require.Equal(t, live.ReasonAuthUnavailable, live.ReasonOf(b.owners.admit(t.Context(), grant, live.Peer{})), "it may only be slow")
	a.silence(t, url, nodeLate+time.Second)
	b.steadyFor(time.Minute)
	require.NoError(t, b.owners.admit(t.Context(), grant, live.Peer{}))
	s, err := b.site.db.Read(t.Context()).FindSession(sessionOne)
	require.NoError(t, err)
	require.Equal(t, "server_shutdown", s.EndReason)

	// The node was not dead: it gives way.
	require.NoError(t, b.site.db.Write(t.Context()).BeatNode(b.node, b.self.Run))
	require.NoError(t, a.owners.look(t.Context()))
	require.Equal(t, []string{mainStream}, a.wasCut())
}

// TestAStreamThatIsToBeLeftLetsNobodyIn at its owner: who was let in would be cut a moment later.
func TestAStreamThatIsToBeLeftLetsNobodyIn(t *testing.T) {
	url := sharedDatabase(t)
	a, b := newTestNode(t, nodeConfig(t, url)), newTestNode(t, nodeConfig(t, url))
	grant := live.Grant{StreamID: a.stream(t), Stream: mainStream}
	require.NoError(t, a.owners.admit(t.Context(), grant, live.Peer{}))
	ours, err := b.owners.try(t.Context(), grant.StreamID, "later", true)
	require.NoError(t, err)
	require.False(t, ours)
	require.Equal(t, live.ReasonTwoPublishers, live.ReasonOf(a.owners.admit(t.Context(), grant, live.Peer{})))
	require.NoError(t, a.owners.look(t.Context()))
	row, err := a.site.db.Read(t.Context()).FindOwner(grant.StreamID)
	require.NoError(t, err)
	require.Equal(t, b.node, row.Node)
}

// TestASessionIsEndedFromAnotherNode, and what nobody publishes any more is given back.
func TestASessionIsEndedFromAnotherNode(t *testing.T) {
	url := sharedDatabase(t)
	a, b := newTestNode(t, nodeConfig(t, url)), newTestNode(t, nodeConfig(t, url))
	id := a.stream(t)
	there, err := b.owners.askEnd(t.Context(), id, live.ReasonEndedByOwner)
	require.NoError(t, err)
	require.False(t, there)
	require.NoError(t, a.owners.admit(t.Context(), live.Grant{StreamID: id, Stream: mainStream}, live.Peer{}))
	a.begins(t, sessionOne)
	there, err = b.owners.askEnd(t.Context(), id, live.ReasonEndedByOwner)
	require.NoError(t, err)
	require.True(t, there)
	require.NoError(t, a.owners.look(t.Context()))
	require.Equal(t, []string{mainStream + " ended_by_owner"}, a.wasCut())
	row, err := a.site.db.Read(t.Context()).FindOwner(id)
	require.NoError(t, err)
	require.Empty(t, row.Asked)

	execSQL(t, url, "UPDATE stream_owners SET claimed_at = claimed_at - $1", (idleOwner + time.Second).Milliseconds())
	require.NoError(t, a.owners.look(t.Context()))
	_, err = a.site.db.Read(t.Context()).FindOwner(id)
	require.ErrorIs(t, err, db.ErrNotFound)
}

// TestASessionOfADeadNodeIsEndedAtOnce, and its node ends no later one for it.
func TestASessionOfADeadNodeIsEndedAtOnce(t *testing.T) {
	url := sharedDatabase(t)
	a, b := newTestNode(t, nodeConfig(t, url)), newTestNode(t, nodeConfig(t, url))
	grant := live.Grant{StreamID: a.stream(t), Stream: mainStream}
	require.NoError(t, a.owners.admit(t.Context(), grant, live.Peer{}))
	a.begins(t, sessionOne)
	a.silence(t, url, nodeLate+time.Second)
	b.steadyFor(time.Minute)
	there, err := b.owners.askEnd(t.Context(), grant.StreamID, live.ReasonEndedByOwner)
	require.NoError(t, err)
	require.True(t, there)
	s, err := b.site.db.Read(t.Context()).FindSession(sessionOne)
	require.NoError(t, err)
	require.NotNil(t, s.EndedAt)
	require.EqualValues(t, live.ReasonEndedByOwner, s.EndReason)
	_, err = b.site.db.Read(t.Context()).FindOwner(grant.StreamID)
	require.ErrorIs(t, err, db.ErrNotFound)

	require.NoError(t, b.site.db.Write(t.Context()).BeatNode(a.node, a.self.Run))
	require.NoError(t, a.owners.admit(t.Context(), grant, live.Peer{}))
	there, err = b.owners.askEnd(t.Context(), grant.StreamID, live.ReasonEndedByOwner)
	require.NoError(t, err)
	require.False(t, there, "it has begun nothing yet")
	a.begins(t, sessionTwo)
	require.NoError(t, a.owners.look(t.Context()))
	require.Empty(t, a.wasCut())

	// One that has ended by itself meanwhile.
	there, err = b.owners.askEnd(t.Context(), grant.StreamID, live.ReasonEndedByOwner)
	require.NoError(t, err)
	require.True(t, there)
	require.NoError(t, a.site.streams.EndSession(t.Context(), sessionTwo, time.Now(), "publisher_stopped"))
	require.NoError(t, a.owners.admit(t.Context(), grant, live.Peer{}))
	require.NoError(t, a.owners.look(t.Context()))
	require.Empty(t, a.wasCut(), "it is another's end")
}

// TestWhatIsOnAirIsSeenByTheOtherNode within a second, with what its row tells, until it ends.
func TestWhatIsOnAirIsSeenByTheOtherNode(t *testing.T) {
	url := sharedDatabase(t)
	a, b := newTestNode(t, nodeConfig(t, url)), newTestNode(t, nodeConfig(t, url))
	others := newElsewhere(b.site, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- others.Run(ctx) }()
	defer func() { cancel(); require.NoError(t, <-done) }()
	a.begins(t, sessionOne)
	began := time.Now()
	testx.WaitFor(t, "it to be seen", func() bool { _, ok := others.session(mainStream); return ok })
	t.Logf("seen after %s", time.Since(began))
	s, _ := others.session(mainStream)
	require.Equal(t, sessionOne, s.info().SessionID)
	require.EqualValues(t, "live", s.info().State)
	require.NoError(t, a.site.streams.NoteAway(t.Context(), sessionOne, true, time.Now()))
	testx.WaitFor(t, "its publisher to be away", func() bool {
		s, ok := others.session(mainStream)
		return ok && s.info().State == "reconnecting"
	})
	require.NoError(t, a.site.streams.EndSession(t.Context(), sessionOne, time.Now(), "resume_timeout"))
	testx.WaitFor(t, "it to be over", func() bool { _, ok := others.session(mainStream); return !ok })
}

// TestWithoutRedisNodesHearOfEachOthersChanges by the database, within a second.
func TestWithoutRedisNodesHearOfEachOthersChanges(t *testing.T) {
	url := sharedDatabase(t)
	a, b := newTestNode(t, nodeConfig(t, url)), newTestNode(t, nodeConfig(t, url))
	for _, n := range []*testNode{a, b} {
		n.run(t)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.forgetChanged(ctx) }()
	defer func() { cancel(); require.NoError(t, <-done) }()
	news := b.shared.bus.Subscribe(streamTopic)
	defer news.Close()
	testx.WaitFor(t, "news of a change", func() bool {
		began := time.Now()
		require.NoError(t, a.site.streams.SetDisabled(t.Context(), mainStream, began.UnixNano()%2 == 0, "x"))
		waiting, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		e, err := news.Next(waiting)
		return err == nil && !e.Resync && e.Key == a.stream(t)
	})
}
