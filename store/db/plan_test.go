package db_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/store/db"
	"mediad/store/db/dbtest"
)

// TestEveryStatementUsesAnIndex runs every method and asks the planner about each statement that came of it.
func TestEveryStatementUsesAnIndex(t *testing.T) {
	var statements dbtest.Statements
	d := onSQLite.OpenWith(t, db.Options{Observe: statements.Observe})
	runEveryStatement(t, d, &statements)
	assert.Empty(t, statements.BadPlans(t.Context(), d))
}

// runEveryStatement runs every method of Queries at least once.
func runEveryStatement(t *testing.T, d *db.DB, statements *dbtest.Statements) {
	t.Helper()
	filters := []db.StreamFilter{
		{}, {Before: s2}, {Existing: true, Before: s2}, {Disabled: true}, {Disabled: true, Before: s2}, {OwnerID: u1}, {OwnerID: u1, Listed: true, Before: s2}, {Listed: true}, {Listed: true, Before: s2},
		{Listed: true, Category: "games"}, {Listed: true, Category: "games", Before: s2},
		{Listed: true, Tag: "chess"}, {Listed: true, Tag: "chess", Category: "games", Before: s2},
	}
	var steps []func(q db.Queries) error
	step := func(fn func(q db.Queries) error) { steps = append(steps, fn) }
	step(func(q db.Queries) error { return q.CreateUser(user(u1, "first", "admin")) })
	step(func(q db.Queries) error {
		s := stream(s1, "a")
		s.Tags = []string{"chess"}
		return q.CreateStream(s)
	})
	step(func(q db.Queries) error { _, err := q.FindUser(u1); return err })
	step(func(q db.Queries) error { _, err := q.FindUserByName("first"); return err })
	step(func(q db.Queries) error { _, err := q.FindUsers([]string{u1, s1}); return err })
	step(func(q db.Queries) error { _, err := q.FirstUserOfRole("admin"); return err })
	step(func(q db.Queries) error { _, err := q.CountUsersOfRole("admin"); return err })
	step(func(q db.Queries) error { _, err := q.ListUsers("", 5); return err })
	step(func(q db.Queries) error { return q.SetPassword(u1, "h", true, 1) })
	step(func(q db.Queries) error { return q.SetRole(u1, "admin", 1) })
	steps = append(steps, accountSteps()...)
	steps = append(steps, relationSteps()...)
	steps = append(steps, jobSteps()...)
	steps = append(steps, leavingSteps()...)
	steps = append(steps, categorySteps()...)
	steps = append(steps, alertSteps()...)
	step(func(q db.Queries) error { _, err := q.FindStream(s1); return err })
	step(func(q db.Queries) error { _, err := q.FindStreamBySlug("a"); return err })
	step(func(q db.Queries) error { _, err := q.FindStreams([]string{s1, s2}); return err })
	step(func(q db.Queries) error { _, err := q.CountStreamsOf(u1); return err })
	step(func(q db.Queries) error { return q.SetStreamDisabled(s1, db.Disabled{}, 1) })
	for _, f := range filters {
		step(func(q db.Queries) error { _, err := q.ListStreams(f, 21); return err })
		step(func(q db.Queries) error { _, err := q.FindStreamsBySlug(f, []string{"a", "b"}); return err })
	}
	step(func(q db.Queries) error {
		return q.CreateStreamKey(db.StreamKey{ID: "k", StreamID: s1, Hash: "h", CreatedAt: 1})
	})
	step(func(q db.Queries) error { _, err := q.FindStreamKeyByHash("h"); return err })
	step(func(q db.Queries) error { _, err := q.FindStreamKeys([]string{"k", "l"}); return err })
	step(func(q db.Queries) error { _, err := q.ListStreamKeys(s1); return err })
	step(func(q db.Queries) error { _, err := q.ListKeysOf([]string{s1, s2}); return err })
	step(func(q db.Queries) error { return q.RevokeStreamKey(s1, "k", 1) })
	step(func(q db.Queries) error { _, err := q.ListStreamsOf(u1, s2, 5); return err })
	step(func(q db.Queries) error {
		s, err := q.FindStream(s1)
		if err == nil {
			err = q.SaveStream(s, s.Version, 1)
		}
		return err
	})
	step(func(q db.Queries) error { return q.AddDisconnect(db.Disconnect{ID: "d1", StreamID: s1}, 1) })
	step(func(q db.Queries) error { return q.AddDisconnect(db.Disconnect{ID: "d2", StreamID: s1}, 1) })
	step(func(q db.Queries) error { _, err := q.ListDisconnects(s1, 5); return err })
	step(func(q db.Queries) error { return q.DeleteStream(s1, 1) })
	step(func(q db.Queries) error { return q.TouchStreamKey("k", 1, "") })
	step(func(q db.Queries) error { return q.RevokeStreamKeys(s1, 1) })
	step(func(q db.Queries) error { return q.DeleteDeadStreamKeys(s1, 1) })
	step(func(q db.Queries) error { return q.SaveSession(db.Session{ID: "e", StreamID: s1, StartedAt: 1}) })
	steps = append(steps, playSteps()...)
	steps = append(steps, nodeSteps()...)
	ignore := func(err error) error {
		if errors.Is(err, db.ErrNotFound) {
			return nil
		}
		return err
	}
	step(func(q db.Queries) error { _, err := q.NewestOf("e", "source"); return ignore(err) })
	step(func(q db.Queries) error { return ignore(q.FinishClip(db.Video{ID: "v"}, 1)) })
	step(func(q db.Queries) error { _, err := q.NewestOf("e", "source"); return ignoreNotFound(err) })
	step(func(q db.Queries) error { return ignoreNotFound(q.FinishClip(db.Video{ID: "v"}, 1)) })
	step(func(q db.Queries) error { _, err := q.ListGoneClips(1, 1, 5); return err })
	step(func(q db.Queries) error { _, err := q.ListReadyClips("", 5); return err })
	step(func(q db.Queries) error { return q.RemoveClip("v") })
	step(func(q db.Queries) error { _, err := q.ListRecordedSessions(s1, "", 5); return err })
	step(func(q db.Queries) error { _, err := q.FindSession("e"); return err })
	step(func(q db.Queries) error { _, err := q.LastSession(s1); return err })
	step(func(q db.Queries) error { _, err := q.ListSessions(s1, 2, 5); return err })
	step(func(q db.Queries) error { _, err := q.OpenSessions(); return err })
	step(func(q db.Queries) error { return q.EndSession("e", 1, "x") })
	step(func(q db.Queries) error {
		return q.InsertSegments([]db.Segment{{SessionID: "e", Rendition: "source", MSN: 1, StreamID: s1}})
	})
	step(func(q db.Queries) error { _, err := q.NewestSegment(s1); return err })
	step(func(q db.Queries) error { _, err := q.ListSegments("e", "source", 0, 5); return err })
	step(func(q db.Queries) error { _, err := q.NamesFile("e", "source", "k", 0, 5); return err })
	step(func(q db.Queries) error { _, err := q.PendingSegments("", "", "", 0, 5); return err })
	step(func(q db.Queries) error { _, err := q.NewestStored("e", "source", 5, 5); return err })
	step(func(q db.Queries) error { _, err := q.MarkStored("e", "source", 1); return err })
	step(func(q db.Queries) error { _, err := q.MarkLost("e", "source", 1); return err })
	step(func(q db.Queries) error { return q.ForgetLocal("e", "source", 1, 5) })
	step(func(q db.Queries) error { return q.DeleteSegments("e", "source", 1, 5) })
	step(func(q db.Queries) error {
		return q.InsertTracks([]db.SessionTrack{{SessionID: "e", Rendition: "source", Kind: "video", Config: []byte{1}, Init: []byte{1}}})
	})
	step(func(q db.Queries) error { _, err := q.ListTracks("e"); return err })
	step(func(q db.Queries) error { _, err := q.ListTracksOf("e", 0, 5); return err })
	step(func(q db.Queries) error { _, err := q.ListRenditions("e"); return err })
	step(func(q db.Queries) error {
		return q.BeginRecording(db.Recording{SessionID: "e", StreamID: s1, State: db.RecordingRunning})
	})
	step(func(q db.Queries) error { _, err := q.FindRecording("e", 0); return err })
	step(func(q db.Queries) error { _, err := q.ListStretches("e"); return err })
	step(func(q db.Queries) error {
		last, err := q.LastStretch("e")
		if err == nil {
			err = q.CutRecording(last, 7, db.RecordingEmpty, 0, 1)
		}
		return err
	})
	step(func(q db.Queries) error { return q.WeighRecording("e", 7, 5) })
	step(func(q db.Queries) error { return q.SetEvicted("e", 7) })
	step(func(q db.Queries) error { return q.SetKept("e") })
	step(func(q db.Queries) error {
		return q.SetPlace(db.Segment{SessionID: "e", Rendition: "source", MSN: 1, BlobKey: "k"})
	})
	step(func(q db.Queries) error { return q.EndRecording("e", 1) })
	step(func(q db.Queries) error { return q.SetRecording("e", 7, db.RecordingEnded, 1) })
	step(func(q db.Queries) error { _, err := q.ListRecordings(db.RecordingEnded, db.Recording{}, 5); return err })
	step(func(q db.Queries) error {
		session, of := "e", s1
		_, err := q.InsertReplay(db.Video{ID: "v", OwnerID: u1, StreamID: &of, SessionID: &session, Visibility: "public", State: db.VideoReady})
		return err
	})
	step(func(q db.Queries) error { _, err := q.FindVideo("v"); return err })
	step(func(q db.Queries) error { _, err := q.FindReplay("e", 0); return err })
	step(func(q db.Queries) error { _, err := q.ListReplays([]string{"e", "f"}); return err })
	for _, f := range []db.VideoFilter{{Listed: true}, {Listed: true, Before: "z"}, {Listed: true, StreamID: s1, Before: "z"}, {StreamID: s1}, {OwnerID: u1}, {OwnerID: u1, Listed: true, Before: "z"}} {
		step(func(q db.Queries) error { _, err := q.ListVideos(f, 5); return err })
	}
	step(func(q db.Queries) error { _, err := q.ListClips("e"); return err })
	step(func(q db.Queries) error { _, err := q.ListWithoutPictures("", 5); return err })
	step(func(q db.Queries) error { _, err := q.ListChangedVideos(1, "v", 5); return err })
	step(func(q db.Queries) error { _, err := q.SessionStarts([]string{"e", "f"}); return err })
	step(func(q db.Queries) error { return q.SetPictures("v", db.PicturesMade, 1) })
	step(func(q db.Queries) error { return q.SetMedia("v", 1, 1, 1) })
	step(func(q db.Queries) error { _, err := q.StreamPolicyBySlug("A"); return err })
	step(func(q db.Queries) error { _, err := q.VideoPolicy("v"); return err })
	step(func(q db.Queries) error { _, err := q.StreamPolicies([]string{s1, s2}); return err })
	step(func(q db.Queries) error { _, err := q.VideoPolicies([]string{"v", "w"}); return err })
	step(func(q db.Queries) error { return q.BumpPolicies(u1) })
	steps = append(steps, clipSteps()...)
	step(func(q db.Queries) error { return q.DeleteVideo("v", 1) })
	step(func(q db.Queries) error { _, err := q.ListDeletedReplays("", 2, 5); return err })
	step(func(q db.Queries) error { _, err := q.ListDeletedReplays("node1", 2, 5); return err })
	step(func(q db.Queries) error { return q.DeleteRecording("e", 7) })
	for i, fn := range steps {
		require.NoError(t, d.Tx(t.Context(), fn), "step %d", i)
	}
	for _, f := range filters {
		_, err := d.RecallLists(db.Heard(t.Context())).ListStreams(f, 21)
		require.NoError(t, err)
	}
	assert.Greater(t, statements.Count(), len(steps)/2)
}

func ignoreNotFound(err error) error {
	if errors.Is(err, db.ErrNotFound) {
		return nil
	}
	return err
}

func TestThePlanCheckCanFail(t *testing.T) {
	d := onSQLite.Open(t)
	for _, statement := range []string{
		"SELECT * FROM streams WHERE title = ?", "SELECT * FROM users ORDER BY display_name", "DELETE FROM segments WHERE gap = ?",
	} {
		var statements dbtest.Statements
		statements.Observe(statement, 0, nil)
		assert.NotEmpty(t, statements.BadPlans(t.Context(), d), statement)
	}
}
