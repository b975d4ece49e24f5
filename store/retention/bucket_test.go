package retention_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/store/blob"
	"mediad/store/blob/memory"
	"mediad/store/db"
	"mediad/store/retention"
)

// counting counts requests that delete.
type counting struct {
	*memory.Store
	single, bulk int
}

func (c *counting) Delete(ctx context.Context, key string) error {
	c.single++
	return c.Store.Delete(ctx, key)
}

func (c *counting) DeleteAll(ctx context.Context, keys []string) error {
	c.bulk++
	for _, key := range keys {
		if err := c.Store.Delete(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// TestObjectsGoManyAtATime: also those of which it is not noted yet that they are there.
func TestObjectsGoManyAtATime(t *testing.T) {
	s := newShelf(t)
	bucket := &counting{Store: memory.New(memory.Options{MaxBytes: 1 << 20})}
	s.o.Bucket = named(bucket)
	put := func(key string) {
		require.NoError(t, bucket.Put(t.Context(), key, strings.NewReader("x"), 1, blob.Meta{}))
	}
	s.where = db.BucketStored
	stored := s.session(1, noon.Add(-20*day), 30, db.RecordingMade)
	s.where = db.BucketPending
	pending := s.session(2, noon.Add(-19*day), 2, db.RecordingMade)
	for i := range 300 {
		if i%10 != 5 { // a gap
			put(s.o.Bucket.Segment("main", "source", 1, int64(1000+i)))
		}
		put(s.o.Bucket.Segment("main", "audio", 1, int64(1000+i)))
	}
	unnoted := s.o.Bucket.Segment("main", "source", 1, 2003)
	put(unnoted)
	s.sweep()
	assert.Empty(t, s.keys(stored))
	assert.Empty(t, s.keys(pending))
	assert.Zero(t, bucket.single)
	assert.LessOrEqual(t, bucket.bulk, 2*32+2, "one a file")
	require.NoError(t, bucket.List(t.Context(), "", func(i blob.Info) error { return errors.New(i.Key + " is left") }))
}

// TestOrphansInTheBucket: headers too, and all of a stream that is not known.
func TestOrphansInTheBucket(t *testing.T) {
	s := newShelf(t)
	bucket := &counting{Store: memory.New(memory.Options{MaxBytes: 1 << 20})}
	s.o.Bucket = named(bucket)
	s.where = db.BucketPending
	s.session(1, noon.Add(-2*day), 2, db.RecordingMade)
	for _, key := range []string{"upload/u/source", "picture/0123.jpg", "export/0123.zip"} { // others have them in their care
		require.NoError(t, bucket.Put(t.Context(), key, strings.NewReader("x"), 1, blob.Meta{}))
	}
	strange := []string{"live/main/notes.txt", "stray.txt", "vod/none/a/b/c"}
	for _, key := range strange {
		require.NoError(t, bucket.Put(t.Context(), key, strings.NewReader("x"), 1, blob.Meta{}))
	}
	deleted := s.session(2, noon.Add(-3*day), 1, db.RecordingMade)
	v, err := s.db.Read(t.Context()).FindReplay(deleted, 0)
	require.NoError(t, err)
	s.tx(func(q db.Queries) error { return q.DeleteVideo(v.ID, db.At(noon.Add(-day))) })
	thumb, own := "vod/"+v.ID+"/thumb.jpg", "vod/"+v.ID+"/source/seg_1_1.m4s"
	require.NoError(t, bucket.Put(t.Context(), own, strings.NewReader("x"), 1, blob.Meta{}))
	loose := []string{"live/gone/index.m3u8", "live/gone/source/init_1.mp4", "live/gone/source/seg_1_5.m4s", "live/main/audio/init_9.mp4", "live/main/source/seg_1_9.m4s", thumb, "vod/nope/index.m3u8"}
	for _, key := range append(loose, "live/main/audio/init_1.mp4", "live/main/source/index.m3u8", s.o.Bucket.Segment("main", "source", 1, 1003)) {
		require.NoError(t, bucket.Put(t.Context(), key, strings.NewReader("x"), 1, blob.Meta{}))
	}
	r := retention.New(s.o)
	found, err := r.Orphans(t.Context())
	require.NoError(t, err)
	assert.Empty(t, found.Objects, "their rows may be on their way")
	assert.Equal(t, len(loose), found.Young)
	s.o.Now = func() time.Time { return time.Now().Add(retention.Young + time.Minute) }
	r = retention.New(s.o)
	found, err = r.Orphans(t.Context())
	require.NoError(t, err)
	var keys []string
	for _, i := range found.Objects {
		keys = append(keys, i.Key)
	}
	assert.Equal(t, loose, keys)
	assert.Zero(t, found.Young)
	assert.Equal(t, strange, found.Strange, "they are told, and left alone")
	assert.Equal(t, len(strange), found.StrangeCount)
	require.NoError(t, r.Mend(t.Context(), retention.Orphans{Objects: found.Objects}))
	found, err = r.Orphans(t.Context())
	require.NoError(t, err)
	assert.Empty(t, found.Objects)
	assert.Zero(t, bucket.single)
	for _, key := range append(strange, own) {
		_, err := bucket.Stat(t.Context(), key)
		require.NoError(t, err, key)
	}
}

// TestABucketOfOthersIsLeftAlone: rows that speak of nothing in it are those of another data folder, or of another bucket.
func TestABucketOfOthersIsLeftAlone(t *testing.T) {
	s := newShelf(t)
	bucket := &counting{Store: memory.New(memory.Options{MaxBytes: 1 << 20})}
	s.o.Bucket = named(bucket)
	s.o.Now = func() time.Time { return time.Now().Add(time.Hour) }
	found, err := retention.New(s.o).Orphans(t.Context())
	require.NoError(t, err)
	assert.True(t, found.None(), "an empty bucket is nobody's")
	require.NoError(t, bucket.Put(t.Context(), "live/main/source/index.m3u8", strings.NewReader("x"), 1, blob.Meta{}))
	found, err = retention.New(s.o).Orphans(t.Context())
	require.NoError(t, err)
	assert.True(t, found.None(), "what a stream has left when its recordings are gone")
	for _, key := range []string{"live/main/source/seg_1_5.m4s", "vod/theirs/index.m3u8"} {
		require.NoError(t, bucket.Put(t.Context(), key, strings.NewReader("x"), 1, blob.Meta{}))
	}
	found, err = retention.New(s.o).Orphans(t.Context())
	require.NoError(t, err)
	assert.True(t, found.Foreign)
	assert.False(t, found.None())
	assert.Empty(t, found.Objects)
	require.ErrorIs(t, retention.New(s.o).Mend(t.Context(), found), retention.ErrForeign)
	assert.Zero(t, bucket.single+bucket.bulk)
}

// TestALostDiskTakesNothingFromTheBucket: what was stored there is found there from then on, and is no orphan.
func TestALostDiskTakesNothingFromTheBucket(t *testing.T) {
	s := newShelf(t)
	bucket := s.bucket()
	s.where = db.BucketStored
	stored := s.session(1, noon.Add(-2*day), 2, db.RecordingMade)
	s.fill(stored)
	s.where = db.BucketPending // the process ended before it was noted
	unnoted := s.session(2, noon.Add(-day), 2, db.RecordingMade)
	s.fill(unnoted)
	s.where = db.BucketNone
	alone := s.session(3, noon.Add(-day), 2, db.RecordingMade)
	clip, err := db.NewID()
	require.NoError(t, err)
	own := s.clipOf(clip, stored, db.BucketStored)
	objects := func() (n int) {
		require.NoError(t, bucket.List(t.Context(), "live/", func(blob.Info) error { n++; return nil }))
		return n
	}
	before := objects()
	require.NoError(t, blob.DeletePrefix(t.Context(), s.blobs, "live/"))
	s.o.Now = func() time.Time { return time.Now().Add(2 * time.Hour) }
	for range 2 { // what the first mends the second is not to take for orphans
		r := retention.New(s.o)
		found, err := r.Orphans(t.Context())
		require.NoError(t, err)
		require.NoError(t, r.Mend(t.Context(), found))
	}
	assert.Equal(t, before, objects())
	for id, want := range map[string]int{stored: 20, unnoted: 20, alone: 0} {
		rows, err := s.db.Read(t.Context()).ListSegments(id, "source", 0, 100)
		require.NoError(t, err)
		assert.Len(t, rows, want, id)
		for i := range rows {
			assert.Empty(t, rows[i].BlobKey)
		}
	}
	rows, err := s.db.Read(t.Context()).ListSegments(clip, "source", 0, 100)
	require.NoError(t, err)
	require.Len(t, rows, 1)
	assert.Equal(t, own, rows[0].BlobKey, "without a key it stands for another")
	found, err := retention.New(s.o).Orphans(t.Context())
	require.NoError(t, err)
	assert.True(t, found.None(), "%+v", found)
}

// clipOf makes a clip with a segment of its own that is not on the local disk.
func (s *shelf) clipOf(id, session string, where int) (key string) {
	key = "vod/" + id + "/source/seg_1_2000.m4s"
	of, from, to := stream, int64(1), int64(2)
	s.tx(func(q db.Queries) error {
		return q.InsertVideo(db.Video{
			ID: id, Kind: db.KindClip, OwnerID: owner, StreamID: &of, SessionID: &session, FromNS: &from, ToNS: &to, Visibility: "public", State: db.VideoReady, Version: 1,
		})
	})
	s.tx(func(q db.Queries) error {
		return q.InsertTracks([]db.SessionTrack{{SessionID: id, Rendition: "source", Epoch: 1, Kind: "video", Config: []byte{1}, Init: []byte{1}}})
	})
	s.tx(func(q db.Queries) error {
		return q.InsertSegments([]db.Segment{{SessionID: id, Rendition: "source", MSN: 2000, StreamID: of, Epoch: 1, BlobKey: key, Bytes: 10, Bucket: where}})
	})
	return key
}

// TestWhatIsMissingInTheBucketIsStoredAgain from the local disk; only what is nowhere becomes a gap.
func TestWhatIsMissingInTheBucketIsStoredAgain(t *testing.T) {
	s := newShelf(t)
	bucket := s.bucket()
	s.where = db.BucketStored
	session := s.session(1, noon.Add(-2*day), 2, db.RecordingMade)
	s.fill(session)
	here, short, nowhere := s.o.Bucket.Segment("main", "source", 1, 1004), s.o.Bucket.Segment("main", "audio", 1, 1003), s.o.Bucket.Segment("main", "audio", 1, 1012)
	for _, key := range []string{here, nowhere} {
		require.NoError(t, bucket.Delete(t.Context(), key))
	}
	require.NoError(t, bucket.Put(t.Context(), short, strings.NewReader("x"), 1, blob.Meta{}))
	require.NoError(t, s.blobs.Delete(t.Context(), "live/main/"+session+"/audio-1.m4s"))
	r := retention.New(s.o)
	found, err := r.Orphans(t.Context())
	require.NoError(t, err)
	require.Len(t, found.Missing, 3)
	require.NoError(t, r.Mend(t.Context(), found))
	for key, size := range map[string]int64{here: 20, short: 10} {
		info, err := bucket.Stat(t.Context(), key)
		require.NoError(t, err)
		require.Equal(t, size, info.Size)
	}
	for rendition, msn := range map[string]int64{"source": 1004, "audio": 1012} {
		rows, err := s.db.Read(t.Context()).ListSegments(session, rendition, msn, 1)
		require.NoError(t, err)
		require.Equal(t, msn == 1012, rows[0].Gap)
	}
	require.Equal(t, 20, s.rows(session, "audio"), "what the disk has lost is read from the bucket")
	found, err = r.Orphans(t.Context())
	require.NoError(t, err)
	require.True(t, found.None(), "%+v", found)
}

// named is a bucket with the names of the archive.
func named(store blob.Store) *retention.Bucket {
	return &retention.Bucket{
		Store: store,
		Segment: func(stream, rendition string, epoch, msn int64) string {
			return fmt.Sprintf("live/%s/%s/seg_%d_%d.m4s", stream, rendition, epoch, msn)
		},
		Init: func(stream, rendition string, epoch int64) string {
			return fmt.Sprintf("live/%s/%s/init_%d.mp4", stream, rendition, epoch)
		},
		Playlist: func(stream, rendition string) string { return fmt.Sprintf("live/%s/%s/index.m3u8", stream, rendition) },
		Meta:     func(string) blob.Meta { return blob.Meta{ContentType: "video/mp4"} },
	}
}
