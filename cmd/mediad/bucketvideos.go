package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"mediad/api/video"
	"mediad/packager/playlist"
	"mediad/packager/replay"
	"mediad/store/blob"
	"mediad/store/db"
)

// bucketVideos stores in the bucket what replays and clips have of their own, so that they are played from there alone: playlists and
// pictures, and of clips the cut ends. What anyone may watch is there, what is deleted or hidden is not.
//
// It follows the rows, in the order of their last change, and begins anew with each process. What cannot be stored yet, as the bucket is away or
// segments of it are still on their way, is tried again until it is.
type bucketVideos struct {
	db            *db.DB
	node          string // whose videos; "": all
	blobs, bucket blob.Store
	now           func() time.Time
	log           *slog.Logger
	news          <-chan struct{} // holds a token where there may be a new video

	cursor  videoChange        // up to where the rows were read
	first   bool               // they are read for the first time
	handled map[string]int64   // versions of the videos that were changed a moment ago
	waiting map[string]waiting // videos that could not be stored yet
	scanned time.Time
}

// waiting is a video that could not be stored yet.
type waiting struct {
	failure
	onItsWay bool // for no other reason than that segments of it are still to be stored
}

// videoChange is a place in the order of changes.
type videoChange struct {
	at db.Millis
	id string
}

const (
	// bucketVideosRetry is how soon is tried again what could not be stored; it doubles up to bucketVideosWait while the bucket fails, and up
	// to bucketVideosInterval while segments are on their way.
	bucketVideosRetry = time.Second
	bucketVideosWait  = time.Minute
	// bucketVideosInterval is how often the rows are looked at unasked.
	bucketVideosInterval = 10 * time.Second
	// bucketVideosTimeout bounds the work on one video, and bucketVideosPut one object.
	bucketVideosTimeout = 5 * time.Minute
	bucketVideosPut     = time.Minute
	// overlap is how far back the rows are read again: a transaction may take so long.
	overlap = time.Minute
	// maxWaitingVideos is how many may wait before no further ones are looked at.
	maxWaitingVideos   = 1000
	bucketVideosAtOnce = 200
	// vodLifetime is that of playlists under /vod: what is deleted is gone from caches after that.
	vodLifetime = "public, max-age=60"
)

func newBucketVideos(n *node) *bucketVideos {
	return &bucketVideos{
		db: n.site.db, node: n.site.keeper(), blobs: n.blobs, bucket: n.bucket, now: n.now, log: n.log, news: n.records.news,
		first: true, handled: make(map[string]int64), waiting: make(map[string]waiting),
	}
}

// Run stores videos until ctx ends.
func (b *bucketVideos) Run(ctx context.Context) error {
	tick := time.NewTicker(bucketVideosRetry)
	defer tick.Stop()
	for {
		if err := b.work(ctx); err != nil && ctx.Err() == nil {
			b.log.Warn("replays and clips are not looked for in the rows", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-b.news:
			b.scanned = time.Time{}
		case <-tick.C:
		}
	}
}

// work tries again what waits, and looks for what has changed where that is due.
func (b *bucketVideos) work(ctx context.Context) error {
	for id, f := range b.waiting {
		if b.now().Before(f.until) {
			continue
		}
		v, err := b.db.Read(ctx).FindVideo(id)
		switch {
		case errors.Is(err, db.ErrNotFound):
			delete(b.waiting, id)
		case err != nil:
			return err
		default:
			b.attempt(ctx, v)
		}
	}
	if b.now().Sub(b.scanned) < bucketVideosInterval {
		return nil
	}
	if err := b.scan(ctx); err != nil {
		return err
	}
	b.scanned = b.now()
	return nil
}

// scan reads what has changed.
func (b *bucketVideos) scan(ctx context.Context) error {
	at := b.cursor
	if !b.first {
		at = videoChange{at: max(at.at-db.Millis(overlap.Milliseconds()), 0)}
	}
	handled := make(map[string]int64)
	for {
		some, err := b.db.Read(ctx).ListChangedVideos(at.at, at.id, bucketVideosAtOnce)
		if err != nil {
			return err
		}
		for _, v := range some {
			if len(b.waiting) >= maxWaitingVideos {
				b.handled = handled
				return nil // it goes on here
			}
			at = videoChange{v.UpdatedAt, v.ID}
			handled[v.ID] = v.Version
			if b.handled[v.ID] != v.Version {
				b.attempt(ctx, v)
			}
			if at.at > b.cursor.at || at.at == b.cursor.at && at.id > b.cursor.id {
				b.cursor = at
			}
			if len(handled) > 10*bucketVideosAtOnce { // of a first reading: none of it is read again but the newest
				clear(handled)
			}
		}
		if len(some) < bucketVideosAtOnce {
			b.first, b.handled = false, handled
			return nil
		}
	}
}

// attempt stores a video, or lets it wait.
func (b *bucketVideos) attempt(ctx context.Context, v db.Video) {
	if ctx.Err() != nil {
		return // it is seen again after the next start
	}
	err := b.guarded(ctx, v)
	f := b.waiting[v.ID]
	if way := errors.Is(err, errOnItsWay); f.onItsWay != way {
		f = waiting{onItsWay: way}
	}
	again := func(most time.Duration) {
		f.until = b.now().Add(min(bucketVideosRetry<<min(f.times, 10), most))
		f.times++
		b.waiting[v.ID] = f
	}
	switch {
	case err == nil:
		delete(b.waiting, v.ID)
	case ctx.Err() != nil:
	case f.onItsWay:
		again(bucketVideosInterval)
	case errors.Is(err, errNotStored), errors.Is(err, replay.ErrEmpty), errors.Is(err, blob.ErrNotExist):
		b.log.Warn("a video is not in the bucket as a whole, and cannot be played from there alone", "video", v.ID, "error", err)
		delete(b.waiting, v.ID)
	default:
		if f.times == 0 {
			b.log.Warn("a video waits for the bucket", "video", v.ID, "error", err)
		}
		again(bucketVideosWait)
	}
}

// guarded is bring within its time; a panic is that video's alone.
func (b *bucketVideos) guarded(ctx context.Context, v db.Video) (err error) {
	ctx, cancel := context.WithTimeout(ctx, bucketVideosTimeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return b.bring(ctx, v)
}

var (
	// errOnItsWay: segments of it are still to be stored.
	errOnItsWay = errors.New("segments are on their way to the bucket")
	// errNotStored: some of its segments are not for the bucket: they are older than that.
	errNotStored = errors.New("segments are on the local disk alone")
)

// bring makes the bucket have of a video what it should.
func (b *bucketVideos) bring(ctx context.Context, v db.Video) error {
	switch {
	case v.DeletedAt != nil || v.State == db.VideoReady && !video.ByLink(v):
		return b.withdraw(ctx, v.ID)
	case v.State != db.VideoReady || v.SessionID == nil || v.StreamID == nil:
		return nil // it changes when it is made
	}
	if others, err := b.db.Read(ctx).KeptElsewhere(*v.SessionID, b.node); err != nil || others {
		return err // that node has its files
	}
	if b.first { // a former process may have stored it
		info, err := b.bucket.Stat(ctx, videoFolder(v.ID)+playlist.MediaPlaylist)
		if err == nil && info.Modified.After(v.UpdatedAt.Time()) {
			return nil
		}
		if err != nil && !errors.Is(err, blob.ErrNotExist) {
			return err
		}
	}
	of, err := b.db.Read(ctx).FindStream(*v.StreamID)
	if err != nil {
		return err
	}
	if v.Kind == db.KindReplay { // it may wait for hours, and have a hundred thousand rows
		if err := b.stored(ctx, v); err != nil {
			return err
		}
	}
	rec, err := readVideo(ctx, b.db, v)
	if err != nil {
		return err
	}
	for i := range rec.Renditions {
		if err := b.media(ctx, v, &rec.Renditions[i]); err != nil {
			return err
		}
	}
	shown, err := replay.New(rec)
	if err != nil {
		return err
	}
	if err := b.pictures(ctx, v); err != nil {
		return err
	}
	for _, p := range bucketPlaylists(&of, v, &rec, shown) {
		if err := b.putPlaylist(ctx, p.key, p.plain); err != nil {
			return err
		}
	}
	return nil
}

// bucketPlaylist is a playlist of a video as the bucket has it.
type bucketPlaylist struct {
	key   string
	plain []byte
}

// bucketPlaylists are those of a video, in the order of storing.
func bucketPlaylists(of *db.Stream, v db.Video, rec *replay.Recording, shown *replay.Video) (all []bucketPlaylist) {
	for i := range rec.Renditions {
		r := &rec.Renditions[i]
		one, ok := shown.Rendition(r.Name)
		if !ok {
			continue
		}
		live := "../../../live/" + of.Slug + "/" + r.Name + "/"
		own := ownNames(v, r)
		plain := playlist.Rebase(one.Playlist().Plain, func(name string) string {
			if own[name] {
				return ""
			}
			return live
		})
		all = append(all, bucketPlaylist{videoFolder(v.ID) + r.Name + "/" + playlist.MediaPlaylist, plain})
	}
	return append(all, bucketPlaylist{videoFolder(v.ID) + playlist.MediaPlaylist, shown.Multivariant().Plain})
}

// ownNames are the files that a video has of its own, of one rendition: none, or those of a clip.
func ownNames(v db.Video, r *replay.Rendition) map[string]bool {
	own := make(map[string]bool)
	if v.Kind != db.KindClip {
		return own
	}
	for _, t := range r.Tracks {
		own[string(playlist.AppendInitName(nil, t.Epoch))] = true
	}
	for i := range r.Segments {
		if s := &r.Segments[i]; strings.HasPrefix(s.Key, videoFolder(v.ID)) {
			own[string(playlist.AppendSegmentName(nil, s.Epoch, s.MSN))] = true
		}
	}
	return own
}

// media stores what a video has of its own of one rendition, and sees that everything else of it is stored.
func (b *bucketVideos) media(ctx context.Context, v db.Video, r *replay.Rendition) error {
	if len(r.Segments) == 0 {
		return nil
	}
	own := ownNames(v, r)
	for _, t := range r.Tracks {
		name := string(playlist.AppendInitName(nil, t.Epoch))
		if !own[name] {
			continue // it was stored in front of its segments
		}
		meta := blob.Meta{ContentType: r.Kind.String() + "/mp4", CacheControl: immutable}
		if err := b.put(ctx, videoFolder(v.ID)+r.Name+"/"+name, t.Init, meta); err != nil {
			return err
		}
	}
	first, last := r.Segments[0].MSN, r.Segments[len(r.Segments)-1].MSN
	if err := onTheirWay(b.db.Read(ctx), *v.SessionID, r.Name, int64(first), int64(last)); err != nil {
		return err
	}
	for i := range r.Segments {
		s := &r.Segments[i]
		switch {
		case s.Gap || s.Bytes == 0 || s.Stored:
		case own[string(playlist.AppendSegmentName(nil, s.Epoch, s.MSN))]:
			if err := b.copyOwn(ctx, v, r, s); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%w: %s, %d", errNotStored, r.Name, s.MSN)
		}
	}
	return nil
}

// stored sees that no segment of a replay is on its way.
func (b *bucketVideos) stored(ctx context.Context, v db.Video) error {
	q := b.db.Read(ctx)
	names, err := q.ListRenditions(*v.SessionID)
	for _, one := range names {
		if err == nil {
			err = onTheirWay(q, *v.SessionID, one.Rendition, v.FirstMSN, v.LastMSN)
		}
	}
	return err
}

// onTheirWay is errOnItsWay where a segment of a rendition with a number from first to last is still to be stored.
func onTheirWay(q db.Queries, session, rendition string, first, last int64) error {
	waits, err := q.PendingSegments("", session, rendition, first-1, 1)
	if err != nil {
		return err
	}
	if len(waits) > 0 && waits[0].SessionID == session && waits[0].Rendition == rendition && waits[0].MSN <= last {
		return errOnItsWay
	}
	return nil
}

// copyOwn stores a segment of a clip that whoever made it could not store.
func (b *bucketVideos) copyOwn(ctx context.Context, v db.Video, r *replay.Rendition, s *replay.Segment) error {
	if err := b.copyLocal(ctx, s.Key, blob.Meta{ContentType: r.Kind.String() + "/mp4", CacheControl: immutable}); err != nil {
		return err
	}
	s.Stored = true
	return b.db.Tx(ctx, func(q db.Queries) error {
		_, err := q.MarkStored(v.ID, r.Name, int64(s.MSN))
		return err
	})
}

// pictures stores the thumbnail and the storyboard, once they are made.
func (b *bucketVideos) pictures(ctx context.Context, v db.Video) error {
	if v.Pictures != db.PicturesMade {
		return nil
	}
	var keys []string
	err := b.blobs.List(ctx, videoFolder(v.ID), func(i blob.Info) error {
		if _, ok := pictureMeta(i.Key); ok {
			keys = append(keys, i.Key)
		}
		return nil
	})
	for _, key := range keys {
		if err == nil {
			meta, _ := pictureMeta(key)
			err = b.copyLocal(ctx, key, meta)
		}
	}
	return err
}

// pictureMeta is what goes with a picture of a video, or the file that names them; false: it is neither.
func pictureMeta(key string) (blob.Meta, bool) {
	switch {
	case strings.HasSuffix(key, ".vtt"):
		return blob.Meta{ContentType: "text/vtt; charset=utf-8", CacheControl: vodLifetime}, true
	case strings.HasSuffix(key, ".jpg"): // sheets too: what a crash cut short is made anew under the same name
		return blob.Meta{ContentType: "image/jpeg", CacheControl: vodLifetime}, true
	default:
		return blob.Meta{}, false
	}
}

// withdraw leaves nobody a way to a video: what names its media goes, and its pictures. Its own media goes with its rows.
func (b *bucketVideos) withdraw(ctx context.Context, id string) error {
	var keys []string
	err := b.bucket.List(ctx, videoFolder(id), func(i blob.Info) error {
		if _, ok := pictureMeta(i.Key); ok || strings.HasSuffix(i.Key, ".m3u8") {
			keys = append(keys, i.Key)
		}
		return nil
	})
	if err != nil || len(keys) == 0 {
		return err
	}
	return blob.DeleteAll(ctx, b.bucket, keys)
}

// copyLocal brings an object from the local disk to the bucket.
func (b *bucketVideos) copyLocal(ctx context.Context, key string, m blob.Meta) error {
	r, err := b.blobs.Open(ctx, key, 0, -1)
	if err != nil {
		return err
	}
	data, err := io.ReadAll(io.LimitReader(r, maxOwnObject+1))
	if err = errors.Join(err, r.Close()); err != nil {
		return err
	}
	if len(data) > maxOwnObject {
		return fmt.Errorf("%s is larger than %d bytes", key, maxOwnObject)
	}
	return b.put(ctx, key, data, m)
}

// maxOwnObject bounds what is read into memory at once: a cut end of a clip has some seconds, a sheet of a storyboard a hundred small pictures.
const maxOwnObject = 256 << 20

const immutable = "public, max-age=31536000, immutable"

func (b *bucketVideos) putPlaylist(ctx context.Context, key string, plain []byte) error {
	return b.put(ctx, key, plain, blob.Meta{ContentType: "application/vnd.apple.mpegurl", CacheControl: vodLifetime})
}

// text reads a playlist back.
func (b *bucketVideos) text(ctx context.Context, key string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, bucketVideosPut)
	defer cancel()
	r, err := b.bucket.Open(ctx, key, 0, -1)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(r, maxOwnObject))
	return data, errors.Join(err, r.Close())
}

func (b *bucketVideos) put(ctx context.Context, key string, data []byte, m blob.Meta) error {
	ctx, cancel := context.WithTimeout(ctx, bucketVideosPut)
	defer cancel()
	return b.bucket.Put(ctx, key, bytes.NewReader(data), int64(len(data)), m)
}
