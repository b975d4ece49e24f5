package move_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/store/blob"
	"mediad/store/blob/memory"
	"mediad/store/db"
	"mediad/store/db/dbtest"
	"mediad/store/move"
)

func TestMain(m *testing.M) { testx.Main(m) }

const (
	owner   = "0198f2a0-0000-7000-8000-000000000001"
	stream  = "0198f2a0-0000-7000-8000-000000000011"
	session = "0198f2a0-0000-7000-8000-000000000021"
	clip    = "0198f2a0-0000-7000-8000-000000000031"
	each    = 130 // segments of a rendition, of 10 bytes
)

var names = move.Names{
	Segment: func(stream, rendition string, epoch, msn int64) string {
		return fmt.Sprintf("live/%s/%s/seg_%d_%d.m4s", stream, rendition, epoch, msn)
	},
	Init: func(stream, rendition string, epoch int64) string {
		return fmt.Sprintf("live/%s/%s/init_%d.mp4", stream, rendition, epoch)
	},
	Meta:  func(string) blob.Meta { return blob.Meta{} },
	Other: func(string) blob.Meta { return blob.Meta{} },
}

func store() blob.Store { return memory.New(memory.Options{MaxBytes: 1 << 20}) }

func put(t *testing.T, s blob.Store, key, text string) {
	t.Helper()
	require.NoError(t, s.Put(t.Context(), key, strings.NewReader(text), int64(len(text)), blob.Meta{}))
}

func bodyOf(rendition string, msn int) string { return fmt.Sprintf("%-6.6s%04d", rendition, msn) }

// recorded is a site on a disk with a replay, of which one segment is a gap and one is nowhere, and a clip.
func recorded(t *testing.T) (*db.DB, blob.Store) {
	t.Helper()
	d, local := dbtest.Open(t), store()
	var rows []db.Segment
	for _, r := range []string{"source", "audio"} {
		var file strings.Builder
		for msn := range each {
			s := db.Segment{SessionID: session, Rendition: r, MSN: int64(msn), StreamID: stream, Epoch: 1, BlobKey: "live/main/" + session + "/" + r + "-0.m4s", BlobOffset: int64(msn * 10), Bytes: 10}
			if msn == 7 {
				s.BlobKey, s.BlobOffset, s.Bytes, s.Gap = "", 0, 0, true
			}
			if msn == 9 && r == "audio" {
				s.BlobOffset = 1 << 20
			}
			rows = append(rows, s)
			file.WriteString(bodyOf(r, msn))
		}
		put(t, local, "live/main/"+session+"/"+r+"-0.m4s", file.String())
	}
	own := db.Segment{SessionID: clip, Rendition: "source", MSN: 3, StreamID: stream, Epoch: 1, BlobKey: "vod/" + clip + "/source/seg_1_3.m4s", Bytes: 10}
	put(t, local, own.BlobKey, bodyOf("clip", 3))
	put(t, local, "vod/"+clip+"/thumb.jpg", "a picture")
	put(t, local, "picture/0123.jpg", "a face")
	put(t, local, "rows/1", "rows that wait")
	steps := []func(db.Queries) error{
		func(q db.Queries) error {
			return q.CreateUser(db.User{ID: owner, Username: "anna", Role: "admin", Version: 1})
		},
		func(q db.Queries) error {
			return q.CreateStream(db.Stream{ID: stream, Slug: "main", OwnerID: owner, Visibility: "public", ReplayVisibility: "public", Latency: "low", Version: 1})
		},
		func(q db.Queries) error {
			return q.SaveSession(db.Session{ID: session, StreamID: stream, StartedAt: 1})
		},
		func(q db.Queries) error {
			var all []db.SessionTrack
			for _, of := range []string{session + " source", session + " audio", clip + " source"} {
				id, r, _ := strings.Cut(of, " ")
				all = append(all, db.SessionTrack{SessionID: id, Rendition: r, Epoch: 1, Kind: "video", Config: []byte{1}, Init: []byte("init " + r)})
			}
			return q.InsertTracks(all)
		},
		func(q db.Queries) error { return q.InsertSegments(append(rows, own)) },
		func(q db.Queries) error {
			return q.BeginRecording(db.Recording{SessionID: session, StreamID: stream, State: db.RecordingMade, UpdatedAt: 1})
		},
		func(q db.Queries) error {
			of, at := stream, session
			return q.InsertVideo(db.Video{ID: clip, Kind: db.KindClip, OwnerID: owner, StreamID: &of, SessionID: &at, Visibility: "public", State: db.VideoReady, Version: 1})
		},
	}
	for i, step := range steps {
		require.NoError(t, d.Tx(t.Context(), step), "step %d", i)
	}
	return d, local
}

func rowsOf(t *testing.T, d *db.DB, id, rendition string) []db.Segment {
	t.Helper()
	rows, err := d.Read(t.Context()).ListSegments(id, rendition, 0, 1000)
	require.NoError(t, err)
	return rows
}

func textOf(t *testing.T, s blob.Store, key string, offset, size int64) string {
	t.Helper()
	r, err := s.Open(t.Context(), key, offset, size)
	require.NoError(t, err, key)
	defer r.Close()
	b, err := io.ReadAll(r)
	require.NoError(t, err)
	return string(b)
}

// failing is a store that fails from some put on.
type failing struct {
	blob.Store
	left atomic.Int64
}

var errBroken = errors.New("broken")

func (f *failing) Put(ctx context.Context, key string, r io.Reader, size int64, m blob.Meta) error {
	if f.left.Add(-1) < 0 {
		return errBroken
	}
	return f.Store.Put(ctx, key, r, size, m)
}

// TestToTheBucketAndBack: each segment can be read by its row, from the bucket alone and from the disk alone.
func TestToTheBucketAndBack(t *testing.T) {
	d, local := recorded(t)
	bucket := &failing{Store: store()}
	for _, left := range []int64{5, 60, 1000} { // stopped twice
		bucket.left.Store(left)
		n, err := move.ToBucket(t.Context(), d, local, bucket, names, move.Options{})
		if left == 1000 {
			require.NoError(t, err)
			require.EqualValues(t, 1, n.Gone)
		} else {
			require.ErrorIs(t, err, errBroken)
		}
	}
	for _, r := range []string{"source", "audio"} {
		require.Equal(t, "init "+r, textOf(t, bucket, names.Init("main", r, 1), 0, -1))
		for _, s := range rowsOf(t, d, session, r) {
			if s.Gap || r == "audio" && s.MSN == 9 {
				require.Equal(t, db.BucketNone, s.Bucket)
				continue
			}
			require.Equal(t, db.BucketStored, s.Bucket)
			require.Equal(t, bodyOf(r, int(s.MSN)), textOf(t, bucket, names.Segment("main", r, 1, s.MSN), 0, -1))
		}
	}
	require.Equal(t, bodyOf("clip", 3), textOf(t, bucket, "vod/"+clip+"/source/seg_1_3.m4s", 0, -1))
	require.Equal(t, "a face", textOf(t, bucket, "picture/0123.jpg", 0, -1))
	_, err := bucket.Stat(t.Context(), "rows/1")
	require.ErrorIs(t, err, blob.ErrNotExist, "it is for the server's own disk")
	put(t, bucket.Store, "vod/"+clip+"/index.m3u8", "made of the rows")
	put(t, bucket.Store, "vod/"+clip+"/thumb.jpg", "a picture")
	put(t, bucket.Store, "picture/0123.jpg", "a face")

	// The disk is lost, as retention would have it.
	require.NoError(t, d.Tx(t.Context(), func(q db.Queries) error {
		return errors.Join(q.ForgetLocal(session, "source", 0, each), q.ForgetLocal(session, "audio", 0, each), q.SetEvicted(session, 0))
	}))
	disk := &failing{Store: store()}
	for _, left := range []int64{2, 1000} {
		disk.left.Store(left)
		_, err := move.ToDisk(t.Context(), d, bucket, disk, names, move.Options{})
		require.Equal(t, left == 1000, err == nil, "%v", err)
	}
	for _, r := range []string{"source", "audio"} {
		for _, s := range rowsOf(t, d, session, r) {
			require.Equal(t, db.BucketNone, s.Bucket)
			if s.Gap || r == "audio" && s.MSN == 9 {
				require.Empty(t, s.BlobKey)
				continue
			}
			require.True(t, strings.HasPrefix(s.BlobKey, "live/main/"+session+"/"), s.BlobKey)
			require.Equal(t, bodyOf(r, int(s.MSN)), textOf(t, disk, s.BlobKey, s.BlobOffset, s.Bytes))
		}
	}
	own := rowsOf(t, d, clip, "source")[0]
	require.Equal(t, db.BucketNone, own.Bucket)
	require.Equal(t, bodyOf("clip", 3), textOf(t, disk, own.BlobKey, own.BlobOffset, own.Bytes))
	require.Equal(t, "a picture", textOf(t, disk, "vod/"+clip+"/thumb.jpg", 0, -1))
	require.Equal(t, "a face", textOf(t, disk, "picture/0123.jpg", 0, -1))
	_, err = disk.Stat(t.Context(), "vod/"+clip+"/index.m3u8")
	require.ErrorIs(t, err, blob.ErrNotExist)
	rec, err := d.Read(t.Context()).FindRecording(session, 0)
	require.NoError(t, err)
	require.False(t, rec.Evicted)
}

func TestObjectsGoOnAndAreCompared(t *testing.T) {
	from, to := store(), &failing{Store: store()}
	for i := range 50 {
		put(t, from, fmt.Sprintf("live/a/%d", i), strings.Repeat("x", i))
	}
	put(t, to.Store, "live/a/7", "yyyyyyy") // as long, and other bytes
	to.left.Store(20)
	_, err := move.Objects(t.Context(), from, to, move.Options{})
	require.ErrorIs(t, err, errBroken)
	to.left.Store(1000)
	n, err := move.Objects(t.Context(), from, to, move.Options{})
	require.NoError(t, err)
	assert.Positive(t, n.Same.Objects)
	assert.EqualValues(t, 50, n.Same.Objects+n.Copied.Objects)
	n, err = move.Verify(t.Context(), from, to, move.Options{})
	require.NoError(t, err)
	assert.Equal(t, move.Amount{Objects: 50, Bytes: 49 * 50 / 2}, n.Same)
	put(t, to.Store, "live/a/9", "xxxxxxxxX")
	_, err = move.Verify(t.Context(), from, to, move.Options{})
	require.ErrorIs(t, err, move.ErrDiffers)
	require.ErrorContains(t, err, "live/a/9")
	require.NoError(t, to.Delete(t.Context(), "live/a/9"))
	_, err = move.Verify(t.Context(), from, to, move.Options{})
	require.ErrorIs(t, err, move.ErrDiffers)
	_, err = move.Verify(t.Context(), from, to, move.Options{Skip: func(key string) bool { return key == "live/a/9" }})
	require.NoError(t, err)
}
