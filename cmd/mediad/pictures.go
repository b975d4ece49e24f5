package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"time"

	"mediad/api/video"
	"mediad/packager/playlist"
	"mediad/packager/replay"
	"mediad/store/blob"
	"mediad/store/db"
	"mediad/transcode/storyboard"
)

// pictures makes the thumbnail and the storyboard of each replay and clip, one video at a time. What a former process had begun is made
// anew: the row says what is still wanted.
type pictures struct {
	db    *db.DB
	node  string // whose videos; "": all
	blobs blob.Store
	// bucket has media that is no longer in blobs; nil: there is none.
	bucket blob.Store
	now    func() time.Time
	log    *slog.Logger
	made   <-chan struct{} // holds a token where there may be a new video

	waiting map[string]time.Time // videos that failed, until when they are left alone
}

const (
	picturesInterval = 10 * time.Second
	// picturesRetry is how long a video whose media could not be read, or whose pictures could not be stored, is left alone.
	picturesRetry = time.Minute
	// picturesTimeout bounds the work on one video.
	picturesTimeout = 15 * time.Minute
	picturesAtOnce  = 20
)

func newPictures(n *node) *pictures {
	return &pictures{
		db: n.site.db, node: n.site.keeper(), blobs: n.blobs, bucket: n.bucket, made: n.records.made, now: n.now, log: n.log, waiting: make(map[string]time.Time),
	}
}

// Run makes pictures until ctx ends.
func (p *pictures) Run(ctx context.Context) error {
	if installed(ctx) != nil {
		return nil
	}
	tick := time.NewTicker(picturesInterval)
	defer tick.Stop()
	for {
		if err := p.work(ctx); err != nil && ctx.Err() == nil {
			p.log.Warn("pictures of videos wait", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-p.made:
		case <-tick.C:
		}
	}
}

func (p *pictures) work(ctx context.Context) error {
	now := p.now()
	for id, until := range p.waiting {
		if until.Before(now) {
			delete(p.waiting, id)
		}
	}
	for after := ""; ; {
		some, err := p.db.Read(ctx).ListWithoutPictures(after, picturesAtOnce)
		if err != nil {
			return err
		}
		for _, v := range some {
			after = v.ID
			if _, ok := p.waiting[v.ID]; ok {
				continue
			}
			if v.SessionID != nil {
				others, err := p.db.Read(ctx).KeptElsewhere(*v.SessionID, p.node)
				if err != nil {
					return err
				}
				if others {
					continue // that node has its media
				}
			}
			state := p.attempt(ctx, v)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if state == db.PicturesWanted {
				p.waiting[v.ID] = p.now().Add(picturesRetry)
				continue
			}
			err := p.db.Tx(ctx, func(q db.Queries) error { return q.SetPictures(v.ID, state, db.At(p.now())) })
			if err != nil && !errors.Is(err, db.ErrNotFound) { // deleted meanwhile
				return err
			}
		}
		if len(some) < picturesAtOnce {
			return nil
		}
	}
}

// attempt makes a video's pictures and says what has become of them. A panic is this video's alone.
func (p *pictures) attempt(ctx context.Context, v db.Video) (state string) {
	log := p.log.With("video", v.ID)
	defer func() {
		if r := recover(); r != nil {
			log.Error("pictures: panic", "panic", r, "stack", string(debug.Stack()))
			state = db.PicturesNone
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, picturesTimeout)
	defer cancel()
	began := p.now()
	err := p.make(ctx, v)
	switch {
	case err == nil:
		log.Info("pictures ready", "took", p.now().Sub(began).Round(time.Millisecond))
		return db.PicturesMade
	case errors.Is(err, errSoundAlone), errors.Is(err, replay.ErrEmpty), errors.Is(err, video.ErrNotFound):
		return db.PicturesNone
	case errors.Is(err, storyboard.ErrNone):
		log.Warn("no pictures of a video", "error", err)
		return db.PicturesNone
	default:
		log.Warn("pictures of a video wait", "error", err)
		return db.PicturesWanted
	}
}

var errSoundAlone = errors.New("sound alone")

func (p *pictures) make(ctx context.Context, v db.Video) error {
	rec, err := readVideo(ctx, p.db, v)
	if err != nil {
		return err
	}
	of, err := replay.New(rec)
	if err != nil {
		return err
	}
	stills, ok := of.Stills()
	if !ok {
		return errSoundAlone
	}
	// What a former attempt left may be more than is made now.
	if err := blob.DeletePrefix(ctx, p.blobs, "vod/"+v.ID+"/storyboard_"); err != nil {
		return err
	}
	width, height := stills.Size()
	return storyboard.Make(ctx, storyboard.Options{Log: p.log.With("video", v.ID)}, of.Duration, width, height,
		func(at time.Duration) (storyboard.KeyFrame, error) { return p.keyFrame(ctx, stills.At(at)) },
		func(f storyboard.File) error {
			key := "vod/" + v.ID + "/" + f.Name
			meta := blob.Meta{ContentType: f.ContentType, CacheControl: "public, max-age=60"}
			return p.blobs.Put(ctx, key, bytes.NewReader(f.Data), int64(len(f.Data)), meta)
		})
}

// open opens a segment: where it is on the local disk, else in the bucket.
func (p *pictures) open(ctx context.Context, m playlist.Media) (io.ReadCloser, error) {
	if m.Key != "" {
		r, err := p.blobs.Open(ctx, m.Key, m.Offset, m.Size)
		if m.Remote == "" || !errors.Is(err, blob.ErrNotExist) {
			return r, err
		}
	}
	if m.Remote == "" || p.bucket == nil {
		return nil, blob.ErrNotExist
	}
	return p.bucket.Open(ctx, m.Remote, 0, m.Size)
}

// keyFrame reads a key frame. One that is not there, or not what its row says, is lost; a store that does not answer is another matter.
func (p *pictures) keyFrame(ctx context.Context, s replay.Still) (storyboard.KeyFrame, error) {
	r, err := p.open(ctx, s.Media)
	var data []byte
	if err == nil {
		defer func() { _ = r.Close() }() // it was read
		data, err = replay.ReadStill(r)
	}
	if errors.Is(err, blob.ErrNotExist) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, replay.ErrMedia) {
		err = fmt.Errorf("%w: %s at %d, %s: %w", storyboard.ErrNoKeyFrame, s.Media.Key, s.Media.Offset, s.Media.Remote, err)
	}
	return storyboard.KeyFrame{Track: s.Track, Data: data}, err
}
