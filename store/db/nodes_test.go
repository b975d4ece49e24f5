package db_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/store/db"
	"mediad/store/db/dbtest"
)

// nodeSteps run each statement of nodes and of who has which stream.
func nodeSteps() []func(q db.Queries) error {
	var steps []func(q db.Queries) error
	step := func(fn func(q db.Queries) error) { steps = append(steps, fn) }
	step(func(q db.Queries) error {
		_, err := q.ClaimNode(db.Node{ID: "n", Run: "r", Place: "p"}, 1000)
		return err
	})
	step(func(q db.Queries) error {
		_, err := q.ClaimNode(db.Node{ID: "n", Run: "r", Place: "q"}, 1000)
		return err
	})
	step(func(q db.Queries) error { return q.BeatNode("n", "r") })
	step(func(q db.Queries) error { _, err := q.ListNodes(); return err })
	step(func(q db.Queries) error { _, err := q.NodeAlive("n", 1000); return err })
	step(func(q db.Queries) error { _, err := q.NodeServes("n", 1000); return err })
	step(func(q db.Queries) error { return q.NoticeNode("k") })
	step(func(q db.Queries) error { return q.LoseSegments(db.Recording{SessionID: "e", LastMSN: db.LastMSN}) })
	step(func(q db.Queries) error { return q.StopNode("n", "r") })
	step(func(q db.Queries) error { return q.ForgetNodesGone(1000) })
	step(func(q db.Queries) error { return q.TakeUnowned("n") })
	step(func(q db.Queries) error { return q.TakeSessions("n", []string{"e"}) })
	step(func(q db.Queries) error { _, err := q.LostSessions(1000, 5); return err })
	step(func(q db.Queries) error { _, err := q.OpenElsewhere("m"); return err })
	step(func(q db.Queries) error { _, err := q.EndedOf([]string{"e", "f"}); return err })
	step(func(q db.Queries) error { return q.SetAway("e", nil) })
	step(func(q db.Queries) error { _, err := q.Keepers(); return err })
	step(func(q db.Queries) error {
		_, err := q.ListRecordingsOf("n", db.RecordingEnded, db.Recording{}, 5)
		return err
	})
	step(func(q db.Queries) error {
		_, err := q.InBucket(db.Recording{SessionID: "e", LastMSN: db.LastMSN})
		return err
	})
	step(func(q db.Queries) error { _, err := q.KeptElsewhere("e", "m"); return err })
	step(func(q db.Queries) error {
		_, err := q.TakeRecording(db.Recording{SessionID: "e", Node: "n"}, "m", 1)
		return err
	})
	step(func(q db.Queries) error { _, err := q.PendingSegments("n", "", "", 0, 5); return err })
	step(func(q db.Queries) error { _, err := q.Clock(); return err })
	step(func(q db.Queries) error { return q.SaveOwner(db.StreamOwner{StreamID: s1, Node: "n"}) })
	step(func(q db.Queries) error { return q.SaveOwner(db.StreamOwner{StreamID: s1, Node: "m"}) })
	step(func(q db.Queries) error { _, err := q.FindOwner(s1); return err })
	step(func(q db.Queries) error { _, err := q.OwnedBy("m"); return err })
	step(func(q db.Queries) error { _, err := q.OpenSessionOf(s1); return ignoreNotFound(err) })
	step(func(q db.Queries) error { return q.ReleaseOwner(db.StreamOwner{StreamID: s1, Node: "m"}) })
	step(func(q db.Queries) error { return q.ForgetOwner(s1, "m") })
	step(func(q db.Queries) error { _, err := q.NewestSegment(s1); return ignoreNotFound(err) })
	return steps
}

// long is a time in which no node of a test falls silent, and none one after which all have.
const (
	long = int64(time.Hour / time.Millisecond)
	none = int64(-1)
)

func TestANodesIDIsOneProcess(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		d := on.Open(t)
		claim := func(n db.Node, silent int64) (was db.Node, err error) {
			err = d.Tx(t.Context(), func(q db.Queries) error { was, err = q.ClaimNode(n, silent); return err })
			return was, err
		}
		first := db.Node{ID: "n", Run: "first", Place: "here", Host: "h"}
		_, err := claim(first, long)
		require.NoError(t, err)
		require.NoError(t, d.Write(t.Context()).BeatNode("n", "first"))

		was, err := claim(db.Node{ID: "n", Run: "copy", Place: "there"}, long)
		require.ErrorIs(t, err, db.ErrNodeTaken)
		assert.Equal(t, "h", was.Host)
		require.NoError(t, d.Write(t.Context()).BeatNode("n", "first"), "who was there keeps it")

		_, err = claim(db.Node{ID: "n", Run: "again", Place: "here"}, long)
		require.NoError(t, err, "at the same place the former process is gone")
		require.ErrorIs(t, d.Write(t.Context()).BeatNode("n", "first"), db.ErrNodeTaken)

		_, err = claim(db.Node{ID: "n", Run: "moved", Place: "there"}, none)
		require.NoError(t, err, "it was silent")

		require.NoError(t, d.Write(t.Context()).StopNode("n", "moved"))
		serves, err := d.Read(t.Context()).NodeServes("n", long)
		require.NoError(t, err)
		assert.False(t, serves)
		alive, err := d.Read(t.Context()).NodeAlive("n", long)
		require.NoError(t, err)
		assert.True(t, alive, "what it has on air may be gone on with")
		_, err = claim(db.Node{ID: "n", Run: "elsewhere", Place: "third"}, long)
		require.NoError(t, err, "it was stopped")

		known := func() (ids []string) {
			nodes, err := d.Read(t.Context()).ListNodes()
			require.NoError(t, err)
			for _, n := range nodes {
				ids = append(ids, n.ID)
			}
			return ids
		}
		_, err = claim(db.Node{ID: "n", Run: "again", Place: "third"}, long)
		require.NoError(t, err)
		require.NoError(t, d.Write(t.Context()).NoticeNode("n"))
		require.NoError(t, d.Write(t.Context()).BeatNode("n", "again"), "who was heard is left alone")
		require.NoError(t, d.Write(t.Context()).NoticeNode("keeps"))
		tx(t, d, func(q db.Queries) error { return q.CreateUser(user(u1, "first", "admin")) })
		tx(t, d, func(q db.Queries) error { return q.CreateStream(stream(s1, "a")) })
		tx(t, d, func(q db.Queries) error {
			return q.BeginRecording(db.Recording{SessionID: "e", StreamID: s1, State: db.RecordingMade, Node: "keeps"})
		})
		require.NoError(t, d.Write(t.Context()).ForgetNodesGone(long))
		assert.Equal(t, []string{"keeps", "n"}, known())
		require.NoError(t, d.Write(t.Context()).ForgetNodesGone(none))
		assert.Equal(t, []string{"keeps"}, known(), "of others nothing is left to see to")
	})
}

// TestAStreamThatWasClaimedAnewIsNotGivenBack by who has read the row before.
func TestAStreamThatWasClaimedAnewIsNotGivenBack(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		d := on.Open(t)
		tx(t, d, func(q db.Queries) error { return q.CreateUser(user(u1, "first", "admin")) })
		tx(t, d, func(q db.Queries) error { return q.CreateStream(stream(s1, "a")) })
		read := db.StreamOwner{StreamID: s1, Node: "n", ClaimedAt: 1}
		tx(t, d, func(q db.Queries) error { return q.SaveOwner(read) })
		anew := read
		anew.ClaimedAt = 2
		tx(t, d, func(q db.Queries) error { return q.SaveOwner(anew) })
		require.NoError(t, d.Write(t.Context()).ReleaseOwner(read))
		is, err := d.Read(t.Context()).FindOwner(s1)
		require.NoError(t, err)
		require.Equal(t, anew, is)
		require.NoError(t, d.Write(t.Context()).ReleaseOwner(anew))
		_, err = d.Read(t.Context()).FindOwner(s1)
		require.ErrorIs(t, err, db.ErrNotFound)
	})
}

// TestDeletedReplaysAreThoseOfANode: others' do not stand in front of its own.
func TestDeletedReplaysAreThoseOfANode(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		d := on.Open(t)
		tx(t, d, func(q db.Queries) error { return q.CreateUser(user(u1, "first", "admin")) })
		tx(t, d, func(q db.Queries) error { return q.CreateStream(stream(s1, "a")) })
		for i, node := range []string{"other", "mine"} {
			session, of := "e-"+node, s1
			tx(t, d, func(q db.Queries) error {
				return q.BeginRecording(db.Recording{SessionID: session, StreamID: s1, State: db.RecordingMade, Node: node})
			})
			tx(t, d, func(q db.Queries) error {
				_, err := q.InsertReplay(db.Video{ID: "v-" + node, OwnerID: u1, StreamID: &of, SessionID: &session, Visibility: "public", State: db.VideoReady})
				return err
			})
			tx(t, d, func(q db.Queries) error { return q.DeleteVideo("v-"+node, db.Millis(i+1)) })
		}
		for node, want := range map[string]string{"": "v-other", "other": "v-other", "mine": "v-mine"} {
			found, err := d.Read(t.Context()).ListDeletedReplays(node, 5, 1)
			require.NoError(t, err)
			require.Len(t, found, 1)
			assert.Equal(t, want, found[0].ID)
		}
	})
}

// TestWhatIsNotInTheBucketIsLost with a node, of one recording.
func TestWhatIsNotInTheBucketIsLost(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		d := on.Open(t)
		tx(t, d, func(q db.Queries) error { return q.CreateUser(user(u1, "first", "admin")) })
		tx(t, d, func(q db.Queries) error { return q.CreateStream(stream(s1, "a")) })
		tx(t, d, func(q db.Queries) error {
			var rows []db.Segment
			for msn, where := range []int{db.BucketNone, db.BucketPending, db.BucketStored, db.BucketPending} {
				rows = append(rows, db.Segment{SessionID: "e", Rendition: "source", MSN: int64(msn), StreamID: s1, BlobKey: "k", BlobOffset: 3, Bytes: 1, Bucket: where})
			}
			return q.InsertSegments(rows)
		})
		tx(t, d, func(q db.Queries) error { return q.LoseSegments(db.Recording{SessionID: "e", LastMSN: 2}) })
		rows, err := d.Read(t.Context()).ListSegments("e", "source", 0, 5)
		require.NoError(t, err)
		require.Len(t, rows, 4)
		for i, r := range rows {
			assert.Equal(t, i < 2, r.Gap, "%d", i)
			assert.Equal(t, []int{db.BucketNone, db.BucketNone, db.BucketStored, db.BucketPending}[i], r.Bucket)
			assert.Equal(t, i >= 2, r.BlobKey != "" && r.BlobOffset != 0 && r.Bytes != 0)
		}
	})
}

// TestSessionsAndRecordingsAreANodes: each node sees its own, and the lost ones are those of silent nodes alone.
func TestSessionsAndRecordingsAreANodes(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		d := on.Open(t)
		tx(t, d, func(q db.Queries) error { return q.CreateUser(user(u1, "first", "admin")) })
		tx(t, d, func(q db.Queries) error { return q.CreateStream(stream(s1, "a")) })
		tx(t, d, func(q db.Queries) error { _, err := q.ClaimNode(db.Node{ID: "alive", Run: "r"}, long); return err })
		for _, node := range []string{"", "alive", "gone"} {
			id := "e-" + node
			tx(t, d, func(q db.Queries) error {
				return q.SaveSession(db.Session{ID: id, StreamID: s1, StartedAt: 1, Node: node, Epochs: []db.Epoch{{ID: 1, Node: node}}})
			})
			tx(t, d, func(q db.Queries) error {
				return q.BeginRecording(db.Recording{SessionID: id, StreamID: s1, State: db.RecordingRunning, Node: node})
			})
			tx(t, d, func(q db.Queries) error {
				return q.InsertSegments([]db.Segment{{SessionID: id, Rendition: "source", MSN: 1, StreamID: s1, Bytes: 1, BlobKey: "k", Bucket: db.BucketPending}})
			})
		}
		q := d.Read(t.Context())
		lost, err := q.LostSessions(long, 10)
		require.NoError(t, err)
		require.Len(t, lost, 1)
		assert.Equal(t, "e-gone", lost[0].ID)
		assert.Equal(t, []db.Epoch{{ID: 1, Node: "gone"}}, lost[0].Epochs)
		assert.Zero(t, lost[0].BeatAt)
		lost, err = q.LostSessions(none, 10)
		require.NoError(t, err)
		require.Len(t, lost, 2)

		others, err := q.OpenElsewhere("alive")
		require.NoError(t, err)
		require.Len(t, others, 1)
		assert.Equal(t, "e-gone", others[0].ID)

		pending := func(node string) (ids []string) {
			some, err := q.PendingSegments(node, "", "", 0, 10)
			require.NoError(t, err)
			for _, s := range some {
				ids = append(ids, s.SessionID)
			}
			return ids
		}
		assert.Equal(t, []string{"e-", "e-alive"}, pending("alive"), "what another node has on its disk it stores itself")
		assert.Len(t, pending(""), 3)

		keepers, err := q.Keepers()
		require.NoError(t, err)
		assert.Equal(t, []string{"alive", "gone"}, keepers)
		tx(t, d, func(q db.Queries) error { return q.TakeUnowned("alive") })
		mine, err := q.ListRecordingsOf("alive", db.RecordingRunning, db.Recording{}, 10)
		require.NoError(t, err)
		assert.Len(t, mine, 2)

		rec, err := q.FindRecording("e-gone", 0)
		require.NoError(t, err)
		there, err := q.InBucket(rec)
		require.NoError(t, err)
		assert.False(t, there)
		tx(t, d, func(q db.Queries) error { _, err := q.MarkStored("e-gone", "source", 1); return err })
		there, err = q.InBucket(rec)
		require.NoError(t, err)
		assert.True(t, there)
		tx(t, d, func(q db.Queries) error {
			session, of := "e-gone", s1
			return q.InsertVideo(db.Video{ID: "v", Kind: db.KindReplay, OwnerID: u1, StreamID: &of, SessionID: &session, Visibility: "public", State: db.VideoReady, Version: 1})
		})
		for _, want := range []bool{true, false} { // one of two takes it
			var took bool
			tx(t, d, func(q db.Queries) error { took, err = q.TakeRecording(rec, "alive", 7); return err })
			assert.Equal(t, want, took)
		}
		v, err := q.FindVideo("v")
		require.NoError(t, err)
		assert.EqualValues(t, 2, v.Version, "its new keeper is to see it as changed, once")
		assert.EqualValues(t, 7, v.UpdatedAt)
		elsewhere, err := q.KeptElsewhere("e-gone", "alive")
		require.NoError(t, err)
		assert.False(t, elsewhere)
		elsewhere, err = q.KeptElsewhere("e-gone", "third")
		require.NoError(t, err)
		assert.True(t, elsewhere)

		tx(t, d, func(q db.Queries) error { return q.EndSession("e-gone", 5, "server_shutdown") })
		ended, err := q.EndedOf([]string{"e-", "e-alive", "e-gone", "nobody"})
		require.NoError(t, err)
		assert.Equal(t, []string{"e-gone"}, ended)
		tx(t, d, func(q db.Queries) error { return q.TakeSessions("third", []string{"e-alive", "e-gone"}) })
		s, err := q.FindSession("e-alive")
		require.NoError(t, err)
		assert.Equal(t, "third", s.Node)
		s, err = q.FindSession("e-gone")
		require.NoError(t, err)
		assert.Equal(t, "gone", s.Node, "it is over")
	})
}
