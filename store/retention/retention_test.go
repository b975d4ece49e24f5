package retention_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/store/blob"
	"mediad/store/blob/memory"
	"mediad/store/db"
	"mediad/store/db/dbtest"
	"mediad/store/retention"
)

const (
	owner  = "0198f2a0-0000-7000-8000-000000000001"
	stream = "0198f2a0-0000-7000-8000-000000000011"
	day    = 24 * time.Hour
)

var noon = time.Date(2026, 3, 20, 12, 0, 0, 0, time.UTC)

// shelf is a database and a store with recordings.
type shelf struct {
	*testing.T
	db    *db.DB
	blobs blob.Store
	o     retention.Options
	free  uint64 // of 1000 bytes
	where int    // of segments: db.BucketNone …
}

func newShelf(t *testing.T) *shelf {
	s := &shelf{T: t, db: dbtest.Open(t), blobs: memory.New(memory.Options{MaxBytes: 1 << 20}), free: 1000}
	s.tx(func(q db.Queries) error {
		return q.CreateUser(db.User{ID: owner, Username: "anna", Role: "admin", Version: 1})
	})
	s.tx(func(q db.Queries) error {
		return q.CreateStream(db.Stream{ID: stream, Slug: "main", OwnerID: owner, Visibility: "public", ReplayVisibility: "public", Latency: "low", Version: 1})
	})
	s.o = retention.Options{
		DB: s.db, Blobs: s.blobs, Keep: 14 * day, DVR: 2 * time.Hour, Now: func() time.Time { return noon },
		Space: func() (free, total uint64, err error) { return s.free, 1000, nil },
	}
	return s
}

func (s *shelf) tx(fn func(db.Queries) error) {
	s.Helper()
	require.NoError(s, s.db.Tx(s.Context(), fn))
}

// session makes a session with files of 100 bytes in two renditions, ten segments of 6 s in each file.
func (s *shelf) session(n int, began time.Time, files int, state string) string {
	id := fmt.Sprintf("0198f2a0-0000-7000-8000-0000000001%02d", n)
	ended := began.Add(time.Duration(files) * time.Minute)
	s.tx(func(q db.Queries) error {
		if err := q.SaveSession(db.Session{ID: id, StreamID: stream, StartedAt: db.At(began)}); err != nil {
			return err
		}
		if state == db.RecordingRunning {
			return nil
		}
		return q.EndSession(id, db.At(ended), "publisher_stopped")
	})
	var rows []db.Segment
	var bytes int64
	for _, r := range []string{"source", "audio"} {
		s.tx(func(q db.Queries) error {
			return q.InsertTracks([]db.SessionTrack{{SessionID: id, Rendition: r, Epoch: 1, Kind: "video", Config: []byte{1}, Init: []byte{1}}})
		})
		for f := range files {
			key := fmt.Sprintf("live/main/%s/%s-%d.m4s", id, r, f)
			require.NoError(s, s.blobs.Put(s.Context(), key, strings.NewReader(strings.Repeat("x", 100)), 100, blob.Meta{}))
			for i := range 10 {
				at := began.Add(time.Duration(f*10+i) * 6 * time.Second)
				if i == 5 && r == "source" { // a gap lies in no file
					rows = append(rows, db.Segment{
						SessionID: id, Rendition: r, MSN: int64(n*1000 + f*10 + i), StreamID: stream, Epoch: 1, StartNS: at.UnixNano(),
						DurationNS: int64(6 * time.Second), Gap: true,
					})
					continue
				}
				size := int64(10)
				if i == 4 && r == "source" {
					size = 20
				}
				bytes += size
				rows = append(rows, db.Segment{
					SessionID: id, Rendition: r, MSN: int64(n*1000 + f*10 + i), StreamID: stream, Epoch: 1, StartNS: at.UnixNano(),
					DurationNS: int64(6 * time.Second), BlobKey: key, BlobOffset: int64(i * 10), Bytes: size, Bucket: s.where,
				})
			}
		}
	}
	s.tx(func(q db.Queries) error { return q.InsertSegments(rows) })
	s.tx(func(q db.Queries) error {
		return q.BeginRecording(db.Recording{SessionID: id, StreamID: stream, State: state, Bytes: bytes, UpdatedAt: db.At(ended)})
	})
	if state == db.RecordingMade {
		s.video(id, db.KindReplay, ended)
	}
	return id
}

func (s *shelf) video(session, kind string, at time.Time) db.Video {
	id, err := db.NewID()
	require.NoError(s, err)
	of := stream
	v := db.Video{
		ID: id, Kind: kind, OwnerID: owner, StreamID: &of, SessionID: &session, Visibility: "public", State: db.VideoReady,
		CreatedAt: db.At(at), UpdatedAt: db.At(at), Version: 1,
	}
	s.tx(func(q db.Queries) error { _, err := q.InsertReplay(v); return err })
	return v
}

// clip makes a clip of a stretch of a session.
func (s *shelf) clip(session string, from, to time.Time) {
	a, b := from.UnixNano(), to.UnixNano()
	id, err := db.NewID()
	require.NoError(s, err)
	s.tx(func(q db.Queries) error {
		return q.InsertVideo(db.Video{
			ID: id, Kind: db.KindClip, OwnerID: owner, SessionID: &session, FromNS: &a, ToNS: &b, Visibility: "public", State: db.VideoReady, Version: 1,
		})
	})
}

// keys are those of a session's files that are there.
func (s *shelf) keys(session string) (keys []string) {
	require.NoError(s, s.blobs.List(s.Context(), "live/main/"+session+"/", func(i blob.Info) error {
		keys = append(keys, i.Key[strings.LastIndexByte(i.Key, '/')+1:])
		return nil
	}))
	return keys
}

func (s *shelf) rows(session, rendition string) int {
	found, err := s.db.Read(s.Context()).ListSegments(session, rendition, 0, 10000)
	require.NoError(s, err)
	return len(found)
}

// bucket puts a bucket behind the disk.
func (s *shelf) bucket() blob.Store {
	store := memory.New(memory.Options{MaxBytes: 1 << 20})
	s.o.Bucket = named(store)
	return store
}

// fill puts the segments of a session into the bucket.
func (s *shelf) fill(session string) {
	for _, r := range []string{"source", "audio"} {
		rows, err := s.db.Read(s.Context()).ListSegments(session, r, 0, 5000)
		require.NoError(s, err)
		put := func(name string, size int64) {
			require.NoError(s, s.o.Bucket.Put(s.Context(), name, strings.NewReader(strings.Repeat("x", int(size))), size, blob.Meta{}))
		}
		put(s.o.Bucket.Init("main", r, 1), 1)
		put(s.o.Bucket.Playlist("main", r), 1)
		for _, row := range rows {
			if !row.Gap {
				put(s.o.Bucket.Segment("main", r, row.Epoch, row.MSN), row.Bytes)
			}
		}
	}
}

func (s *shelf) sweep() int64 {
	s.Helper()
	freed, err := retention.New(s.o).Sweep(s.Context())
	require.NoError(s, err)
	// Whatever went, rows and files agree.
	orphans, err := retention.New(s.o).Orphans(s.Context())
	require.NoError(s, err)
	assert.True(s, orphans.None(), "%+v", orphans)
	return freed
}

// TestAPlanNamesWhatFreesSomething: of a session that lasts only what nobody can seek to any more, and nothing where there is none.
func TestAPlanNamesWhatFreesSomething(t *testing.T) {
	s := newShelf(t)
	s.free = 10
	s.o.MinFree = 0.1
	s.session(1, noon.Add(-time.Hour), 50, db.RecordingRunning)
	plan, err := retention.New(s.o).Plan(t.Context())
	require.NoError(t, err)
	require.Empty(t, plan, "all of it can be seeked to")
	s.o.DVR = 40 * time.Minute
	plan, err = retention.New(s.o).Plan(t.Context())
	require.NoError(t, err)
	require.Len(t, plan, 1)
	require.Equal(t, noon.Add(-50*time.Minute), plan[0].Before)
	freed, err := retention.New(s.o).Sweep(t.Context())
	require.NoError(t, err)
	require.Positive(t, freed)
	require.Equal(t, freed, plan[0].Bytes)
}

func TestWhatIsOldGoes(t *testing.T) {
	s := newShelf(t)
	old := s.session(1, noon.Add(-15*day), 3, db.RecordingMade)
	young := s.session(2, noon.Add(-13*day), 3, db.RecordingMade)
	empty := s.session(3, noon.Add(-2*day), 1, db.RecordingEmpty)
	waiting := s.session(4, noon.Add(-20*day), 1, db.RecordingEnded)
	unrecorded := s.session(5, noon.Add(-2*day), 1, db.RecordingUnrecorded)
	v, err := s.db.Read(t.Context()).FindReplay(old, 0)
	require.NoError(t, err)
	picture := "vod/" + v.ID + "/thumb.jpg"
	require.NoError(t, s.blobs.Put(t.Context(), picture, strings.NewReader("x"), 1, blob.Meta{}))
	plan, err := retention.New(s.o).Plan(t.Context())
	require.NoError(t, err)
	var planned []string
	for _, p := range plan {
		planned = append(planned, p.Session)
		assert.NotEmpty(t, p.Why)
	}
	slices.Sort(planned)
	require.Equal(t, []string{old, empty, unrecorded}, planned)
	assert.Len(t, s.keys(old), 6, "a plan deletes nothing")

	assert.Equal(t, int64(1000), s.sweep())
	for _, id := range planned {
		assert.Empty(t, s.keys(id))
		assert.Zero(t, s.rows(id, "source"))
		_, err := s.db.Read(t.Context()).FindRecording(id, 0)
		require.ErrorIs(t, err, db.ErrNotFound)
	}
	v, err = s.db.Read(t.Context()).FindReplay(old, 0)
	require.NoError(t, err)
	assert.NotNil(t, v.DeletedAt)
	_, err = s.blobs.Stat(t.Context(), picture)
	require.ErrorIs(t, err, blob.ErrNotExist)
	for _, id := range []string{young, waiting} {
		assert.NotEmpty(t, s.keys(id))
		assert.NotZero(t, s.rows(id, "audio"))
	}
	assert.Zero(t, s.sweep())
}

func TestWhatADeletedReplayHadGoesAfterAWeek(t *testing.T) {
	s := newShelf(t)
	id := s.session(1, noon.Add(-9*day), 1, db.RecordingMade)
	v, err := s.db.Read(t.Context()).FindReplay(id, 0)
	require.NoError(t, err)
	s.tx(func(q db.Queries) error { return q.DeleteVideo(v.ID, db.At(noon.Add(-6*day))) })
	assert.Zero(t, s.sweep())
	s.o.Now = func() time.Time { return noon.Add(2 * day) }
	assert.Equal(t, int64(200), s.sweep())
}

func TestTheOldestGoWhereTheDiskIsFull(t *testing.T) {
	s := newShelf(t)
	first, second := s.session(1, noon.Add(-3*day), 2, db.RecordingMade), s.session(2, noon.Add(-2*day), 2, db.RecordingMade)
	third := s.session(3, noon.Add(-20*time.Minute), 5, db.RecordingMade) // still served
	s.o.MinFree = 0.5
	assert.Zero(t, s.sweep())
	s.free = 200 // 300 less than there should be
	assert.Equal(t, int64(400), s.sweep(), "one does not do")
	assert.Empty(t, s.keys(first))
	s.free = 0
	s.sweep()
	assert.Empty(t, s.keys(second))
	assert.NotEmpty(t, s.keys(third))
	s.o.Now = func() time.Time { return noon.Add(time.Hour) }
	s.sweep()
	assert.Empty(t, s.keys(third))
}

func TestAStreamHasItsBound(t *testing.T) {
	s := newShelf(t)
	first, second := s.session(1, noon.Add(-3*day), 2, db.RecordingMade), s.session(2, noon.Add(-2*day), 2, db.RecordingMade)
	s.o.StreamMax = 500
	assert.Equal(t, int64(400), s.sweep())
	assert.Empty(t, s.keys(first))
	assert.NotEmpty(t, s.keys(second))
}

// TestASessionThatLastsKeepsWhatItsViewersCanSeekTo: however full the disk is.
func TestASessionThatLastsKeepsWhatItsViewersCanSeekTo(t *testing.T) {
	s := newShelf(t)
	s.o.Keep, s.o.DVR = 40*time.Minute, 10*time.Minute
	id := s.session(1, noon.Add(-time.Hour), 60, db.RecordingRunning)
	s.sweep()
	assert.Len(t, s.keys(id), 2*40+2, "what is kept, and the file that ends where it begins")
	s.o.MinFree, s.free = 0.5, 0
	s.sweep()
	assert.Len(t, s.keys(id), 2*(10+10)+2)
	assert.Equal(t, 10*len(s.keys(id))/2, s.rows(id, "source"))
}

// TestWhatLivePlaylistsNameStays: the range of a stream is its own, and one of media, not of time.
func TestWhatLivePlaylistsNameStays(t *testing.T) {
	s := newShelf(t)
	s.o.Keep, s.o.DVR = time.Hour, time.Hour
	s.where = db.BucketStored
	id := s.session(1, noon.Add(-6*time.Hour), 6*60, db.RecordingRunning)
	s.bucket()
	s.fill(id)
	s.o.Shown = func(of, session string) (uint64, bool) {
		assert.Equal(t, "main", of)
		return 1000 + 60*10 + 5, session == id // from the middle of the file of the second hour's first minute on
	}
	r := retention.New(s.o)
	_, err := r.Evict(t.Context())
	require.NoError(t, err)
	assert.Len(t, s.keys(id), 2*5*60)
	s.sweep()
	assert.Len(t, s.keys(id), 2*5*60)
	assert.Equal(t, 5*60*10, s.rows(id, "source"))
}

// TestAFullDiskTakesNothingFromTheBucket: deleting what is there alone frees nothing.
func TestAFullDiskTakesNothingFromTheBucket(t *testing.T) {
	s := newShelf(t)
	far := s.session(1, noon.Add(-3*day), 2, db.RecordingMade)
	s.tx(func(q db.Queries) error { return q.SetEvicted(far, 0) })
	near := s.session(2, noon.Add(-2*day), 2, db.RecordingMade)
	s.o.MinFree, s.free = 0.5, 450
	s.sweep()
	assert.Len(t, s.keys(far), 4)
	assert.Empty(t, s.keys(near))
}

// TestWhatCannotBeDeletedKeepsNothingElse: the bucket may be away for long while the disk fills.
func TestWhatCannotBeDeletedKeepsNothingElse(t *testing.T) {
	s := newShelf(t)
	s.where = db.BucketStored
	first := s.session(1, noon.Add(-20*day), 2, db.RecordingMade)
	s.where = db.BucketPending
	second := s.session(2, noon.Add(-19*day), 2, db.RecordingMade)
	s.o.Bucket = &retention.Bucket{
		Store:    &crashing{memory.New(memory.Options{MaxBytes: 1 << 20}), 0},
		Segment:  func(string, string, int64, int64) string { return "segment" },
		Init:     func(string, string, int64) string { return "init" },
		Playlist: func(string, string) string { return "playlist" },
	}
	_, err := retention.New(s.o).Sweep(t.Context())
	require.ErrorIs(t, err, errCrash)
	assert.Len(t, s.keys(first), 4)
	assert.Empty(t, s.keys(second))
}

// TestHoweverMuchCannotBeDeletedItKeepsNothingElse: a sweep ends after some failures, and those come last in the next.
func TestHoweverMuchCannotBeDeletedItKeepsNothingElse(t *testing.T) {
	s := newShelf(t)
	s.where = db.BucketStored
	const stuck = 12
	for n := range stuck {
		s.session(1+n, noon.Add(-30*day+time.Duration(n)*time.Hour), 1, db.RecordingMade)
	}
	s.where = db.BucketPending
	last := s.session(1+stuck, noon.Add(-19*day), 2, db.RecordingMade)
	s.o.Bucket = &retention.Bucket{
		Store:    &crashing{memory.New(memory.Options{MaxBytes: 1 << 20}), 0},
		Segment:  func(string, string, int64, int64) string { return "segment" },
		Init:     func(string, string, int64) string { return "init" },
		Playlist: func(string, string) string { return "playlist" },
	}
	r := retention.New(s.o)
	for range 2 {
		_, err := r.Sweep(t.Context())
		require.ErrorIs(t, err, errCrash)
	}
	assert.Empty(t, s.keys(last))
}

func TestAClipKeepsItsFiles(t *testing.T) {
	s := newShelf(t)
	began := noon.Add(-15 * day)
	id := s.session(1, began, 5, db.RecordingMade)
	s.clip(id, began.Add(90*time.Second), began.Add(150*time.Second))
	assert.Equal(t, int64(600), s.sweep())
	assert.Equal(t, []string{"audio-1.m4s", "audio-2.m4s", "source-1.m4s", "source-2.m4s"}, s.keys(id))
	assert.Zero(t, s.sweep())
	clips, err := s.db.Read(t.Context()).ListClips(id)
	require.NoError(t, err)
	s.tx(func(q db.Queries) error { return q.DeleteVideo(clips[0].ID, db.At(noon)) })
	assert.Equal(t, int64(400), s.sweep(), "what was begun is gone on with")
	assert.Empty(t, s.keys(id))
}

// TestWhatAVideoHasInTheBucketGoesWithIt, and what belongs to no video is found.
func TestWhatAVideoHasInTheBucketGoesWithIt(t *testing.T) {
	s := newShelf(t)
	bucket := s.bucket()
	s.where = db.BucketStored
	session := s.session(1, noon.Add(-15*day), 1, db.RecordingMade)
	s.fill(session)
	v, err := s.db.Read(t.Context()).FindReplay(session, 0)
	require.NoError(t, err)
	list, loose := "vod/"+v.ID+"/index.m3u8", "vod/none/index.m3u8"
	for _, key := range []string{list, loose} {
		require.NoError(t, bucket.Put(t.Context(), key, strings.NewReader("x"), 1, blob.Meta{}))
	}
	s.o.Now = func() time.Time { return time.Now().Add(2 * time.Hour) } // objects have the times of this machine
	found, err := retention.New(s.o).Orphans(t.Context())
	require.NoError(t, err)
	require.Len(t, found.Objects, 1)
	assert.Equal(t, loose, found.Objects[0].Key)
	require.NoError(t, retention.New(s.o).Mend(t.Context(), found))
	s.sweep()
	_, err = bucket.Stat(t.Context(), list)
	require.ErrorIs(t, err, blob.ErrNotExist)
}

// TestWhatIsInTheBucketLeavesTheDisk: once nobody can seek to it live, and only if all of it is there.
func TestWhatIsInTheBucketLeavesTheDisk(t *testing.T) {
	s := newShelf(t)
	s.o.DVR = 20 * time.Minute
	bucket := s.bucket()
	objects := func(session string) (n int) {
		require.NoError(t, bucket.List(t.Context(), "live/main/", func(i blob.Info) error {
			if !strings.Contains(i.Key, "/seg_1_") || strings.Contains(i.Key, "/seg_1_2") { // not of the session that lasts
				n++
			}
			return nil
		}))
		return n
	}
	s.where = db.BucketPending
	pending := s.session(1, noon.Add(-3*day), 2, db.RecordingMade)
	s.where = db.BucketStored
	stored := s.session(2, noon.Add(-2*day), 2, db.RecordingMade)
	running := s.session(3, noon.Add(-time.Hour), 60, db.RecordingRunning)
	s.fill(stored)
	s.fill(running)
	r := retention.New(s.o)
	freed, err := r.Evict(t.Context())
	require.NoError(t, err)
	assert.Equal(t, int64(400+2*100*29), freed)
	assert.Len(t, s.keys(pending), 4)
	assert.Empty(t, s.keys(stored))
	assert.Len(t, s.keys(running), 2*(20+10+1))
	assert.Equal(t, 20, s.rows(stored, "source"), "its rows stay")
	freed, err = r.Evict(t.Context())
	require.NoError(t, err)
	assert.Zero(t, freed)
	orphans, err := r.Orphans(t.Context())
	require.NoError(t, err)
	assert.True(t, orphans.None(), "%d %d", len(orphans.Objects), len(orphans.Missing))
	gone, short := s.o.Bucket.Segment("main", "source", 1, 2003), s.o.Bucket.Segment("main", "audio", 1, 3007)
	require.NoError(t, bucket.Delete(t.Context(), gone))
	require.NoError(t, bucket.Put(t.Context(), short, strings.NewReader("x"), 1, blob.Meta{}))
	loose := s.o.Bucket.Segment("main", "audio", 7, 9999)
	require.NoError(t, bucket.Put(t.Context(), loose, strings.NewReader("x"), 1, blob.Meta{}))
	s.o.Now = func() time.Time { return time.Now().Add(2 * time.Hour) } // objects have the times of this machine
	orphans, err = retention.New(s.o).Orphans(t.Context())
	require.NoError(t, err)
	require.Len(t, orphans.Objects, 1)
	assert.Equal(t, loose, orphans.Objects[0].Key)
	require.Len(t, orphans.Missing, 2)
	require.NoError(t, retention.New(s.o).Mend(t.Context(), orphans))
	orphans, err = retention.New(s.o).Orphans(t.Context())
	require.NoError(t, err)
	assert.True(t, orphans.None(), "%d %d", len(orphans.Objects), len(orphans.Missing))

	s.o.Now = func() time.Time { return noon.Add(30 * day) }
	s.tx(func(q db.Queries) error { return q.SetRecording(pending, 0, db.RecordingEnded, db.At(noon)) })
	before := objects(stored)
	assert.Equal(t, 2*(2*10+2)-3, before)
	s.sweep()
	assert.Equal(t, 2, objects(stored), "but the playlists, which are a later session's")
}

// crashing fails at the n-th deletion.
type crashing struct {
	blob.Store
	left int
}

var errCrash = errors.New("the process ends here")

func (c *crashing) Delete(ctx context.Context, key string) error {
	if c.left--; c.left < 0 {
		return errCrash
	}
	return c.Store.Delete(ctx, key)
}

// TestASweepThatIsCutShortIsGoneOnWith: at every point, and what it left is found.
func TestASweepThatIsCutShortIsGoneOnWith(t *testing.T) {
	for at := range 6 {
		s := newShelf(t)
		id := s.session(1, noon.Add(-15*day), 3, db.RecordingMade)
		whole := s.o.Blobs
		s.o.Blobs = &crashing{whole, at}
		_, err := retention.New(s.o).Sweep(t.Context())
		require.ErrorIs(t, err, errCrash)
		s.o.Blobs = whole
		r := retention.New(s.o)
		orphans, err := r.Orphans(t.Context())
		require.NoError(t, err)
		require.Len(t, orphans.Files, 1, "its rows had gone")
		require.Empty(t, orphans.Rows)
		require.NoError(t, r.Mend(t.Context(), orphans))
		s.sweep()
		assert.Empty(t, s.keys(id))
	}
}

func TestOrphans(t *testing.T) {
	s := newShelf(t)
	over, on := s.session(1, noon.Add(-2*day), 2, db.RecordingMade), s.session(2, noon.Add(-time.Hour), 2, db.RecordingRunning)
	for _, id := range []string{over, on} {
		require.NoError(t, s.blobs.Put(t.Context(), "live/main/"+id+"/source-9.m4s", strings.NewReader("x"), 1, blob.Meta{}))
		require.NoError(t, s.blobs.Delete(t.Context(), "live/main/"+id+"/audio-0.m4s"))
	}
	require.NoError(t, s.blobs.Put(t.Context(), "live/main/journal-1", strings.NewReader("x"), 1, blob.Meta{}))
	r := retention.New(s.o)
	found, err := r.Orphans(t.Context())
	require.NoError(t, err)
	require.Len(t, found.Files, 1, "nothing is said of a session that lasts, and journals are no orphans")
	assert.Equal(t, "live/main/"+over+"/source-9.m4s", found.Files[0].Key)
	require.Len(t, found.Rows, 1)
	assert.Equal(t, retention.Lost{Session: over, Rendition: "audio", Key: "live/main/" + over + "/audio-0.m4s", First: 1000, Last: 1009, Bytes: 100}, found.Rows[0])
	require.NoError(t, r.Mend(t.Context(), found))
	found, err = r.Orphans(t.Context())
	require.NoError(t, err)
	assert.True(t, found.None(), "%+v", found)
	assert.Equal(t, []retention.Checked{{Session: over, Segments: 28, Bytes: 300, Files: 3}}, found.Sessions)
	assert.Equal(t, 10, s.rows(over, "audio"))
	assert.Equal(t, 20, s.rows(on, "audio"))

	// A file that is shorter than its rows say: what lies behind its end is lost, and no more.
	require.NoError(t, s.blobs.Put(t.Context(), "live/main/"+over+"/audio-1.m4s", strings.NewReader(strings.Repeat("x", 75)), 75, blob.Meta{}))
	found, err = r.Orphans(t.Context())
	require.NoError(t, err)
	require.Equal(t, []retention.Lost{{Session: over, Rendition: "audio", Key: "live/main/" + over + "/audio-1.m4s", First: 1017, Last: 1019, Bytes: 30}}, found.Rows)
	require.NoError(t, r.Mend(t.Context(), found))
	assert.Equal(t, 7, s.rows(over, "audio"))
}

// TestClips: what they are made of stays, what they have of their own goes with them and is looked after as other media is.
func TestClips(t *testing.T) {
	s := newShelf(t)
	began := noon.Add(-15 * day)
	session := s.session(1, began, 3, db.RecordingMade)
	id, err := db.NewID()
	require.NoError(t, err)
	from, to, of := began.Add(30*time.Second).UnixNano(), began.Add(50*time.Second).UnixNano(), stream
	v := db.Video{
		ID: id, Kind: db.KindClip, OwnerID: owner, StreamID: &of, SessionID: &session, FromNS: &from, ToNS: &to, Visibility: "public",
		State: db.VideoProcessing, CreatedAt: db.At(noon.Add(-time.Minute)), Version: 1,
	}
	s.tx(func(q db.Queries) error { return q.InsertVideo(v) })
	s.sweep()
	assert.Equal(t, []string{"audio-0.m4s", "source-0.m4s"}, s.keys(session), "it may be being made of them")
	own := "vod/" + id + "/source/seg_1_1005.m4s"
	require.NoError(t, s.blobs.Put(t.Context(), own, strings.NewReader("12345"), 5, blob.Meta{}))
	s.tx(func(q db.Queries) error {
		return q.InsertTracks([]db.SessionTrack{{SessionID: id, Rendition: "source", Epoch: 1, Kind: "video", Config: []byte{1}, Init: []byte{1}}})
	})
	s.tx(func(q db.Queries) error {
		return q.InsertSegments([]db.Segment{
			{SessionID: id, StreamID: stream, Rendition: "source", MSN: 1005, BlobKey: own, Bytes: 5},
			{SessionID: id, StreamID: stream, Rendition: "source", MSN: 1006, Bytes: 10},
		})
	})
	s.tx(func(q db.Queries) error { return q.FinishClip(v, db.At(noon)) })
	s.sweep()
	require.NoError(t, s.blobs.Delete(t.Context(), own))
	found, err := retention.New(s.o).Orphans(t.Context())
	require.NoError(t, err)
	require.Len(t, found.Rows, 1, "it is not there")
	require.NoError(t, s.blobs.Put(t.Context(), own, strings.NewReader("1234"), 4, blob.Meta{}))
	found, err = retention.New(s.o).Orphans(t.Context())
	require.NoError(t, err)
	require.Len(t, found.Rows, 1, "it is too short")

	s.tx(func(q db.Queries) error { return q.DeleteVideo(id, db.At(noon)) })
	s.o.Now = func() time.Time { return noon.Add(8 * day) }
	s.sweep()
	s.sweep()
	assert.Empty(t, s.keys(session))
	_, err = s.blobs.Stat(t.Context(), own)
	require.ErrorIs(t, err, blob.ErrNotExist)
	_, err = s.db.Read(t.Context()).FindVideo(id)
	require.ErrorIs(t, err, db.ErrNotFound)
}

// TestAClipGoesFromTheDiskOfEachNode: one cut it, another made its pictures, and a third has nothing of it and sweeps first.
func TestAClipGoesFromTheDiskOfEachNode(t *testing.T) {
	s := newShelf(t)
	session := s.session(1, noon.Add(-day), 1, db.RecordingMade)
	s.clip(session, noon.Add(-day), noon.Add(-day).Add(10*time.Second))
	clips, err := s.db.Read(t.Context()).ListClips(session)
	require.NoError(t, err)
	v := clips[0]
	s.tx(func(q db.Queries) error { return q.DeleteVideo(v.ID, db.At(noon)) })
	there := memory.New(memory.Options{MaxBytes: 1 << 20})
	cut, picture := "vod/"+v.ID+"/source/seg_1_1005.m4s", "vod/"+v.ID+"/thumb.jpg"
	require.NoError(t, s.blobs.Put(t.Context(), cut, strings.NewReader("12345"), 5, blob.Meta{}))
	require.NoError(t, there.Put(t.Context(), picture, strings.NewReader("12345"), 5, blob.Meta{}))
	sweep := func(node string, blobs blob.Store, at time.Time) {
		o := s.o
		o.Node, o.Blobs, o.Now = node, blobs, func() time.Time { return at }
		_, err := retention.New(o).Sweep(t.Context())
		require.NoError(t, err)
	}
	at := noon.Add(7*day + time.Hour)
	sweep("c", memory.New(memory.Options{MaxBytes: 1 << 20}), at)
	sweep("a", s.blobs, at)
	sweep("b", there, at)
	for key, blobs := range map[string]blob.Store{cut: s.blobs, picture: there} {
		_, err := blobs.Stat(t.Context(), key)
		require.ErrorIs(t, err, blob.ErrNotExist, key)
	}
	_, err = s.db.Read(t.Context()).FindVideo(v.ID)
	require.NoError(t, err, "a node may be away")
	sweep("c", memory.New(memory.Options{MaxBytes: 1 << 20}), at.Add(day))
	_, err = s.db.Read(t.Context()).FindVideo(v.ID)
	require.ErrorIs(t, err, db.ErrNotFound)
}

// TestRecordingsOfOtherNodesAreLeftAlone, in the plan as by the doctor: what is missing here is on their disks.
func TestRecordingsOfOtherNodesAreLeftAlone(t *testing.T) {
	s := newShelf(t)
	mine := s.session(1, noon.Add(-30*day), 1, db.RecordingMade)
	others := s.session(2, noon.Add(-30*day), 1, db.RecordingMade)
	s.tx(func(q db.Queries) error {
		for session, node := range map[string]string{mine: "here", others: "there"} {
			if took, err := q.TakeRecording(db.Recording{SessionID: session}, node, db.At(noon)); err != nil || !took {
				return errors.Join(err, errors.New("not taken"))
			}
		}
		return nil
	})
	for _, key := range s.keys(others) {
		require.NoError(t, s.blobs.Delete(t.Context(), "live/main/"+others+"/"+key))
	}
	s.o.Node = "here"
	r := retention.New(s.o)
	orphans, err := r.Orphans(t.Context())
	require.NoError(t, err)
	require.True(t, orphans.None(), "%+v", orphans)
	steps, err := r.Plan(t.Context())
	require.NoError(t, err)
	require.Len(t, steps, 1)
	require.Equal(t, mine, steps[0].Session)

	s.o.Node = ""
	orphans, err = retention.New(s.o).Orphans(t.Context())
	require.NoError(t, err)
	require.False(t, orphans.None())
}
