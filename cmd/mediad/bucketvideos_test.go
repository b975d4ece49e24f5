package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/media"
	"mediad/media/mediatest"
	"mediad/packager/archive"
	"mediad/packager/cmaf"
	"mediad/store/blob"
	"mediad/store/blob/memory"
	"mediad/store/db"
)

// shopWindow is a bucket behind a database with a stream, and one who brings its videos there.
type shopWindow struct {
	*testing.T
	*bucketVideos
	of     db.Stream
	local  *memory.Store
	remote *fussyBucket
	clock  time.Time
}

// fussyBucket is a store that counts what is put, and refuses it where it is told to.
type fussyBucket struct {
	*memory.Store
	refuses bool
	panics  string // a part of a key
	puts    int
}

func (f *fussyBucket) Put(ctx context.Context, key string, r io.Reader, size int64, m blob.Meta) error {
	if f.refuses {
		return blob.ErrTemporary
	}
	if f.panics != "" && strings.Contains(key, f.panics) {
		panic("a fault of the program")
	}
	f.puts++
	return f.Store.Put(ctx, key, r, size, m)
}

func newShopWindow(t *testing.T) *shopWindow {
	s, err := openTestSite([]string{"MEDIAD_DATA_DIR=" + t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(s.close)
	of, err := s.streams.Find(t.Context(), mainStream)
	require.NoError(t, err)
	w := &shopWindow{T: t, of: of, clock: time.Now()}
	now := func() time.Time { return w.clock }
	w.local = memory.New(memory.Options{MaxBytes: 1 << 20})
	w.remote = &fussyBucket{Store: memory.New(memory.Options{MaxBytes: 1 << 20})}
	n := &node{site: s, bucket: w.remote, now: now, log: slog.New(slog.DiscardHandler), records: newRecorder(s, nil, nil)}
	w.bucketVideos = newBucketVideos(n)
	w.blobs = w.local
	w.tx(func(q db.Queries) error {
		return q.SaveSession(db.Session{ID: recordedSession, StreamID: w.of.ID, StartedAt: db.At(w.clock)})
	})
	return w
}

func (w *shopWindow) tx(fn func(db.Queries) error) {
	w.Helper()
	require.NoError(w, w.db.Tx(w.Context(), fn))
}

// later lets time pass, and the work be done.
func (w *shopWindow) later(d time.Duration) {
	w.Helper()
	w.clock = w.clock.Add(d)
	require.NoError(w, w.work(w.Context()))
}

// objects are the keys below a folder of the bucket.
func (w *shopWindow) objects(folder string) (keys []string) {
	w.Helper()
	require.NoError(w, w.remote.List(w.Context(), folder, func(i blob.Info) error { keys = append(keys, strings.TrimPrefix(i.Key, folder)); return nil }))
	return keys
}

func (w *shopWindow) text(key string) string {
	w.Helper()
	b, err := w.bucketVideos.text(w.Context(), key)
	require.NoError(w, err)
	return string(b)
}

const shownEpoch = 7

// rows are segments of 2 s under a session's or a clip's id, which lie in a local object.
func (w *shopWindow) rows(id string, epoch int64, key string, bucket int, msns ...int64) {
	w.Helper()
	track := mediatest.H264Track(640, 360, 30, 1)
	init, err := cmaf.Init(track)
	require.NoError(w, err)
	w.tx(func(q db.Queries) error {
		err := q.InsertTracks([]db.SessionTrack{{SessionID: id, Rendition: "source", Epoch: epoch, Kind: "video", Codec: media.H264.String(), Config: track.Config, Init: init}})
		for _, msn := range msns {
			err = errors.Join(err, q.InsertSegments([]db.Segment{{
				SessionID: id, Rendition: "source", MSN: msn, StreamID: w.of.ID, Epoch: epoch, StartNS: w.clock.Add(time.Duration(msn) * 2 * time.Second).UnixNano(),
				DurationNS: int64(2 * time.Second), BlobKey: key, Bytes: 10, Independent: true, Bucket: bucket,
			}}))
		}
		return err
	})
}

func (w *shopWindow) video(kind string, from, to time.Time) db.Video {
	w.Helper()
	id, err := db.NewID()
	require.NoError(w, err)
	session, a, b := recordedSession, from.UnixNano(), to.UnixNano()
	v := db.Video{
		ID: id, Kind: kind, OwnerID: w.of.OwnerID, StreamID: &w.of.ID, SessionID: &session, FromNS: &a, ToNS: &b, Visibility: "unlisted", State: db.VideoReady,
		CreatedAt: db.At(w.clock), UpdatedAt: db.At(w.clock), Version: 1,
	}
	w.tx(func(q db.Queries) error { return q.InsertVideo(v) })
	return v
}

func TestReplaysAreBroughtToTheBucket(t *testing.T) {
	w := newShopWindow(t)
	w.rows(recordedSession, shownEpoch, "live/x", db.BucketStored, 10, 11)
	w.rows(recordedSession, shownEpoch, "live/x", db.BucketPending, 12)
	v := w.video(db.KindReplay, w.clock, w.clock)
	folder := videoFolder(v.ID)
	w.later(time.Minute)
	require.Empty(t, w.objects(folder), "a segment is on its way")
	w.tx(func(q db.Queries) error { _, err := q.MarkStored(recordedSession, "source", 12); return err })
	w.remote.refuses = true
	w.later(2 * time.Second)
	w.remote.refuses = false
	w.later(500 * time.Millisecond)
	require.Empty(t, w.objects(folder), "the bucket was away, and is left alone for a while")
	w.later(2 * time.Second)
	require.Equal(t, []string{"index.m3u8", "source/index.m3u8"}, w.objects(folder))
	text := w.text(folder + "source/index.m3u8")
	require.Contains(t, text, "#EXT-X-ENDLIST")
	for _, msn := range []uint64{10, 11, 12} {
		require.Contains(t, text, "\n../../../"+archive.SegmentKey(w.of.Slug, "source", shownEpoch, msn)+"\n")
	}
	require.Contains(t, text, `URI="../../../`+archive.InitKey(w.of.Slug, "source", shownEpoch)+`"`)
	require.Contains(t, w.text(folder+"index.m3u8"), "\nsource/index.m3u8\n")

	// Pictures follow when they are made.
	for _, name := range []string{"thumb.jpg", "storyboard.vtt", "storyboard_0.jpg"} {
		require.NoError(t, w.local.Put(t.Context(), folder+name, strings.NewReader(name), int64(len(name)), blob.Meta{}))
	}
	w.tx(func(q db.Queries) error { return q.SetPictures(v.ID, db.PicturesMade, db.At(w.clock)) })
	w.later(bucketVideosInterval)
	require.Equal(t, []string{"index.m3u8", "source/index.m3u8", "storyboard.vtt", "storyboard_0.jpg", "thumb.jpg"}, w.objects(folder))
	for _, name := range []string{"thumb.jpg", "storyboard.vtt", "storyboard_0.jpg"} {
		m, ok := pictureMeta(folder + name)
		require.True(t, ok)
		require.Equal(t, vodLifetime, m.CacheControl, "it may be made anew under its name")
	}
	before := w.remote.puts
	w.later(bucketVideosInterval)
	w.later(bucketVideosInterval)
	require.Equal(t, before, w.remote.puts, "nothing has changed")

	// What nobody may watch any more goes.
	w.tx(func(q db.Queries) error { return q.DeleteVideo(v.ID, db.At(w.clock)) })
	w.later(bucketVideosInterval)
	require.Empty(t, w.objects(folder))
}

// TestDoctorHoldsTheBucketsPlaylistsAgainstTheRows: a segment that was lost is in none of them when it has mended them.
func TestDoctorHoldsTheBucketsPlaylistsAgainstTheRows(t *testing.T) {
	w := newShopWindow(t)
	w.rows(recordedSession, shownEpoch, "live/x", db.BucketStored, 10, 11, 12)
	v := w.video(db.KindClip, w.clock, w.clock)
	w.rows(v.ID, shownEpoch, "", db.BucketNone, 10, 11, 12)
	w.later(time.Minute)
	list := videoFolder(v.ID) + "source/index.m3u8"
	lost := archive.SegmentKey(w.of.Slug, "source", shownEpoch, 11)
	require.Contains(t, w.text(list), lost)
	said := func(fix bool) string {
		d := &doctor{fix: fix}
		d.examinePlaylists(t.Context(), w.db, w.bucketVideos)
		var all strings.Builder
		for _, f := range d.findings {
			fmt.Fprintln(&all, f.text)
		}
		return all.String()
	}
	require.Contains(t, said(true), ", 0 of them") // the row of the test knew no length
	require.Contains(t, said(false), ", 0 of them")
	w.tx(func(q db.Queries) error { _, err := q.MarkLost(recordedSession, "source", 11); return err })
	text := said(false)
	require.Contains(t, text, list+" in the bucket is another")
	require.Contains(t, text, "1 of them do not agree")
	require.Contains(t, said(true), "1 videos, 0 of them")
	require.NotContains(t, w.text(list), lost)
	require.Contains(t, said(false), "1 videos, 0 of them")
	require.NoError(t, w.remote.Delete(t.Context(), list))
	require.Contains(t, said(false), "1 are not in the bucket yet")
	require.Contains(t, said(true), "1 videos, 0 of them")
	require.Contains(t, w.objects(videoFolder(v.ID)), "source/index.m3u8")
}

func TestACutEndThatWasNotStoredIsBroughtToTheBucket(t *testing.T) {
	w := newShopWindow(t)
	w.rows(recordedSession, shownEpoch, "live/x", db.BucketStored, 10, 11)
	v := w.video(db.KindClip, w.clock, w.clock)
	folder := videoFolder(v.ID)
	cut := clipKey(v.ID, "source", 1, 10)
	require.NoError(t, w.local.Put(t.Context(), cut, strings.NewReader("0123456789"), 10, blob.Meta{}))
	w.rows(v.ID, 1, cut, db.BucketNone, 10)
	w.rows(v.ID, shownEpoch, "", db.BucketNone, 11)
	w.remote.refuses = true
	w.later(time.Minute)
	require.Empty(t, w.objects(folder))
	w.remote.refuses = false
	w.later(2 * time.Second)
	name := strings.TrimPrefix(cut, folder)
	require.Equal(t, []string{"index.m3u8", "source/index.m3u8", "source/init_1.mp4", fmt.Sprintf("source/init_%d.mp4", shownEpoch), name}, w.objects(folder))
	require.Equal(t, "0123456789", w.text(cut))
	text := w.text(folder + "source/index.m3u8")
	require.Contains(t, text, "\n"+strings.TrimPrefix(name, "source/")+"\n")
	require.Contains(t, text, "\n../../../"+archive.SegmentKey(w.of.Slug, "source", shownEpoch, 11)+"\n")
	rows, err := w.db.Read(t.Context()).ListSegments(v.ID, "source", 10, 1)
	require.NoError(t, err)
	require.Equal(t, db.BucketStored, rows[0].Bucket)

	// A process that begins anew does nothing twice.
	before := w.remote.puts
	w.first, w.cursor, w.handled, w.scanned = true, videoChange{}, map[string]int64{}, time.Time{}
	w.later(time.Minute)
	require.Equal(t, before, w.remote.puts)

	// What names its media goes with it; its media when its rows do.
	w.tx(func(q db.Queries) error { return q.DeleteVideo(v.ID, db.At(w.clock)) })
	w.later(bucketVideosInterval)
	require.NotContains(t, strings.Join(w.objects(folder), " "), ".m3u8")
	require.Contains(t, w.objects(folder), name)
}

func TestAVideoThatIsNotInTheBucketAsAWholeIsLeftOut(t *testing.T) {
	w := newShopWindow(t)
	var log bytes.Buffer
	w.log = slog.New(slog.NewTextHandler(&log, nil))
	w.rows(recordedSession, shownEpoch, "live/x", db.BucketNone, 10)
	v := w.video(db.KindReplay, w.clock, w.clock)
	w.later(time.Minute)
	w.later(time.Minute)
	require.Empty(t, w.objects(videoFolder(v.ID)))
	require.Empty(t, w.waiting)
	require.Equal(t, 1, strings.Count(log.String(), "cannot be played from there alone"), log.String())
}

// TestAPanicIsOneVideosAlone: the task would end with it, and the server with the task.
func TestAPanicIsOneVideosAlone(t *testing.T) {
	w := newShopWindow(t)
	var log bytes.Buffer
	w.log = slog.New(slog.NewTextHandler(&log, nil))
	w.rows(recordedSession, shownEpoch, "live/x", db.BucketStored, 10, 11)
	bad := w.video(db.KindReplay, w.clock, w.clock)
	clip := w.video(db.KindClip, w.clock, w.clock)
	w.rows(clip.ID, shownEpoch, "", db.BucketNone, 11)
	w.remote.panics = bad.ID
	w.later(time.Minute)
	w.later(time.Minute)
	require.Empty(t, w.objects(videoFolder(bad.ID)))
	require.Contains(t, w.objects(videoFolder(clip.ID)), "index.m3u8")
	require.Equal(t, 1, strings.Count(log.String(), "a fault of the program"), log.String())
	w.remote.panics = ""
	w.later(time.Minute)
	require.Contains(t, w.objects(videoFolder(bad.ID)), "index.m3u8")
}

// TestWhatIsOnItsWayIsNotAskedForEachSecond: the bucket may be away for hours, with a hundred replays waiting for it.
func TestWhatIsOnItsWayIsNotAskedForEachSecond(t *testing.T) {
	w := newShopWindow(t)
	w.rows(recordedSession, shownEpoch, "live/x", db.BucketPending, 10)
	v := w.video(db.KindReplay, w.clock, w.clock)
	for range 60 {
		w.later(time.Second)
	}
	require.LessOrEqual(t, w.waiting[v.ID].times, 10)
	w.tx(func(q db.Queries) error { _, err := q.MarkStored(recordedSession, "source", 10); return err })
	w.later(bucketVideosInterval)
	require.NotEmpty(t, w.objects(videoFolder(v.ID)))
}
