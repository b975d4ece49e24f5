// Package retention decides which recordings go, and deletes them: rows first, then the files that no row names.
//
//	recordings ──Plan──► steps ──Sweep──► rows, files
//
// Where there is a bucket behind the local disk, Evict takes from the disk what is in both and cannot be seeked to live any more.
//
// What a running session's viewers can seek to, a replay that may stay and a clip use is never touched. Everything may be cut short
// at any moment: a file whose rows are gone is an orphan, which Orphans finds, and a recording that is half gone is gone on with.
package retention

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"mediad/store/blob"
	"mediad/store/db"
	"mediad/store/event"
)

// Options configure a Retention. DB, Blobs, Keep and Space are required.
type Options struct {
	DB    *db.DB
	Blobs blob.Store
	// Node is whose recordings are looked after, as the others' are on other disks; "": all are.
	Node string
	// Bucket has what is stored behind the local disk; nil: there is none.
	Bucket *Bucket
	// Keep is how long a recording is kept after its end; of a session that lasts, how long its segments are.
	Keep time.Duration
	// MinFree is the share of the disk that is kept free, 0 to 1: where less is, the oldest recordings go.
	MinFree float64
	// StreamMax is how many bytes the recordings of one stream may have; 0: any number. The oldest go.
	StreamMax int64
	// DVR is how far back viewers of a session that lasts may seek, as far as Shown does not say.
	DVR time.Duration
	// Shown tells the lowest number that live playlists of a session may still name: a stream has a range of its own, which is one of
	// media, whatever time the publisher was away in. Nil, or not ok: none names any.
	Shown func(stream, session string) (oldest uint64, ok bool)
	// Space tells how much of the disk is free.
	Space func() (free, total uint64, err error)
	Now   func() time.Time // default time.Now
	Log   *slog.Logger     // default: nothing is logged
}

// Bucket is a store of segments, each an object of its own, and how they are named there.
type Bucket struct {
	blob.Store
	Segment  func(stream, rendition string, epoch, msn int64) string
	Init     func(stream, rendition string, epoch int64) string
	Playlist func(stream, rendition string) string
	// Meta is what is stored with a segment of a rendition.
	Meta func(rendition string) blob.Meta
}

const (
	// served is how long the files of a session that is over are left in any case: its live playlists are still there.
	served = 15 * time.Minute
	// restored is how long a deleted replay can still be had back.
	restorable = 7 * 24 * time.Hour
	// pageSize is how many rows are read at a time.
	pageSize = 2000
	// margin is what viewers may fetch beyond the DVR range.
	margin = 10 * time.Minute
	// clipFiles is how long each of several nodes may take to delete what it has of a clip on its disk, before one of them deletes the rows.
	clipFiles = 24 * time.Hour
	// maxFailures is after how many recordings that cannot be deleted a sweep ends.
	maxFailures = 10
)

// Retention keeps recordings within their bounds. Sweep, Evict and Run may be called from any goroutine, and do their work one after the other;
// the rest by one at a time.
type Retention struct {
	o Options
	// turn has a token while somebody sweeps or evicts, who alone has what follows.
	turn chan struct{}
	// stuck are recordings that could not be deleted when it was tried last: the others come first.
	stuck map[stretch]bool
}

// New returns a Retention.
func New(o Options) *Retention {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Retention{o: o, turn: make(chan struct{}, 1)}
}

// Step is one recording, or a part of one, that goes.
type Step struct {
	Session, Stream string // ids
	First, Last     int64  // numbers of the segments of that recording
	Clip            string // id of the clip that goes, of that session; "": the session's recording does
	FilesOnly       bool   // of a clip: its rows stay for other nodes, which may have files of it, too
	// Before is set where a session lasts: only files that end before it go.
	Before time.Time
	Bytes  int64
	Why    string
}

// stretch is what it is of.
func (s *Step) stretch() stretch { return stretch{cmp.Or(s.Clip, s.Session), s.First} }

// Reasons to go, as the log and the dry run have them.
const (
	whyOld     = "older than record.keep"
	whyFull    = "the disk has less free than record.min_free"
	whyStream  = "its stream has more than record.stream_max"
	whyDeleted = "deleted 7 days ago"
	whyBegun   = "begun before"
	whyClip    = "a clip that was deleted 7 days ago, or never finished"
	whyRows    = "rows of a session that was not recorded"
)

// Plan tells what would go now, the oldest first.
func (r *Retention) Plan(ctx context.Context) ([]Step, error) {
	p := planner{r: r, q: r.o.DB.Read(ctx), now: r.o.Now(), chosen: make(map[stretch]bool)}
	p.here = func(clip string) (bool, error) { return r.here(ctx, clip) }
	p.ended = func(rec *db.Recording, before time.Time) (int64, bool, error) { return r.ended(ctx, rec, before) }
	for _, find := range []func() error{p.clips, p.halfGone, p.unrecorded, p.deleted, p.old, p.lasting, p.crowded, p.full} {
		if err := find(); err != nil {
			return nil, fmt.Errorf("retention: %w", err)
		}
	}
	return p.steps, nil
}

// Sweep deletes what Plan tells, and reports how many bytes went.
func (r *Retention) Sweep(ctx context.Context) (int64, error) {
	done, err := r.alone(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	steps, err := r.Plan(ctx)
	if err != nil {
		return 0, err
	}
	var freed int64
	var failed []error
	for _, s := range r.stuckLast(steps) {
		n, err := r.remove(ctx, &s)
		freed += n
		if n > 0 {
			r.o.Log.Info("recording deleted", slog.String("session", s.Session), slog.String("why", s.Why), slog.Int64("bytes", n))
		}
		if err == nil {
			delete(r.stuck, s.stretch())
			continue
		}
		r.stuck[s.stretch()] = true
		// What cannot be deleted, as the bucket is away, keeps nothing else on a disk that is full.
		failed = append(failed, fmt.Errorf("retention: session %s: %w", s.Session, err))
		if ctx.Err() != nil || len(failed) == maxFailures {
			break
		}
	}
	return freed, errors.Join(failed...)
}

// alone waits until nobody else sweeps or evicts.
func (r *Retention) alone(ctx context.Context) (done func(), err error) {
	select {
	case r.turn <- struct{}{}:
		return func() { <-r.turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// stuckLast has what could not be deleted before come last, so that however much that is, it keeps nothing else from going.
func (r *Retention) stuckLast(steps []Step) []Step {
	var first, last []Step
	stuck := map[stretch]bool{}
	for _, s := range steps {
		if of := s.stretch(); r.stuck[of] {
			last, stuck[of] = append(last, s), true
		} else {
			first = append(first, s)
		}
	}
	r.stuck = stuck
	return append(first, last...)
}

// Run sweeps each ten minutes until ctx ends.
func (r *Retention) Run(ctx context.Context) error {
	const interval = 10 * time.Minute
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		_, err := r.Evict(ctx) // first: what it frees need not be freed by deleting
		_, swept := r.Sweep(ctx)
		if err = errors.Join(err, swept); err != nil && ctx.Err() == nil {
			r.o.Log.Warn("recordings are not looked after", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// remove deletes what a step names. Clips keep the files that they are made of.
func (r *Retention) remove(ctx context.Context, s *Step) (freed int64, err error) {
	if s.Clip != "" {
		if s.FilesOnly {
			return s.Bytes, r.removeFolder(ctx, s.Clip)
		}
		return s.Bytes, r.removeClip(ctx, s.Clip)
	}
	if s.Before.IsZero() {
		if err := r.hide(ctx, s); err != nil {
			return 0, err
		}
		if err := r.removeVideo(ctx, s); err != nil {
			return 0, err
		}
	}
	of, err := r.o.DB.Read(ctx).FindStream(s.Stream)
	if err != nil {
		return 0, err
	}
	kept := 0
	shown := r.shown(of.Slug, s.Session)
	on := s.Last != db.LastMSN // the session may go on, and its viewers seek in this stretch
	err = r.files(ctx, s.Session, s.First, s.Last, func(f *file) error {
		// Clips are made meanwhile: whoever makes one notes it before it looks for rows, and looks again at its end.
		clips, err := r.o.DB.Read(ctx).ListClips(s.Session)
		if err != nil {
			return err
		}
		if !s.Before.IsZero() && !f.ends.Before(s.Before) || (on || !s.Before.IsZero()) && f.last >= shown || f.usedBy(clips) {
			kept++
			return nil
		}
		err = r.removeObjects(ctx, of.Slug, f) // while rows name them
		if err == nil {
			err = r.o.DB.Tx(ctx, func(q db.Queries) error { return q.DeleteSegments(s.Session, f.rendition, f.first, f.last) })
		}
		if err == nil {
			err = r.removeFile(ctx, s.Session, f)
		}
		if err == nil {
			freed += f.bytes
		}
		return err
	})
	if err != nil || kept > 0 || !s.Before.IsZero() {
		return freed, err
	}
	stretches, err := r.o.DB.Read(ctx).ListStretches(s.Session)
	if err == nil && len(stretches) == 1 {
		err = r.removeRest(ctx, of, s.Session)
	}
	if err != nil {
		return freed, err
	}
	return freed, r.o.DB.Tx(ctx, func(q db.Queries) error { return q.DeleteRecording(s.Session, s.First) })
}

// removeFile deletes a file whose rows are gone, unless others name it, too: two stretches of a session may share the one at their border.
func (r *Retention) removeFile(ctx context.Context, session string, f *file) error {
	if f.key == "" {
		return nil
	}
	named, err := r.o.DB.Read(ctx).NamesFile(session, f.rendition, f.key, f.first-maxRun, f.last+maxRun)
	if err != nil || named {
		return err
	}
	return r.o.Blobs.Delete(ctx, f.key)
}

// removeVideo deletes what a replay has of its own, first what leads viewers to its media: the playlists in the bucket, the thumbnail and the storyboard.
func (r *Retention) removeVideo(ctx context.Context, s *Step) error {
	v, err := r.o.DB.Read(ctx).FindReplay(s.Session, s.First)
	if errors.Is(err, db.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return r.removeFolder(ctx, v.ID)
}

// removeFolder deletes what a video has of its own.
func (r *Retention) removeFolder(ctx context.Context, id string) error {
	if r.o.Bucket != nil {
		if err := blob.DeletePrefix(ctx, r.o.Bucket, videoFolder(id)); err != nil {
			return err
		}
	}
	return blob.DeletePrefix(ctx, r.o.Blobs, videoFolder(id))
}

// here says whether a video has something of its own on this disk.
func (r *Retention) here(ctx context.Context, id string) (bool, error) {
	err := r.o.Blobs.List(ctx, videoFolder(id), func(blob.Info) error { return errEnough })
	if errors.Is(err, errEnough) {
		return true, nil
	}
	return false, err
}

// removeClip deletes what a clip has of its own: objects, then rows.
func (r *Retention) removeClip(ctx context.Context, id string) error {
	if err := r.removeFolder(ctx, id); err != nil {
		return err
	}
	return r.o.DB.Tx(ctx, func(q db.Queries) error { return q.RemoveClip(id) })
}

// videoFolder is where a video has what is its own.
func videoFolder(id string) string { return "vod/" + id + "/" }

// removeObjects deletes the objects of a run of segments from the bucket.
func (r *Retention) removeObjects(ctx context.Context, stream string, f *file) error {
	if r.o.Bucket == nil {
		return nil
	}
	remove := func(of []object) error {
		if len(of) == 0 {
			return nil
		}
		keys := make([]string, len(of))
		for i, o := range of {
			keys[i] = r.o.Bucket.Segment(stream, f.rendition, o.epoch, o.msn)
		}
		return blob.DeleteAll(ctx, r.o.Bucket.Store, keys)
	}
	if err := remove(f.objects); err != nil {
		return err
	}
	// These are there by chance: a bucket that is away does not keep them on a disk that is full. The archive, who stores one meanwhile,
	// looks for its row again.
	if err := remove(f.pending); err != nil {
		r.o.Log.Debug("objects that may be in the bucket are not deleted", slog.Any("error", err))
	}
	return nil
}

// removeRest deletes what a session has in the bucket beside its segments: the playlists only where no later session has its own.
func (r *Retention) removeRest(ctx context.Context, of db.Stream, session string) error {
	b := r.o.Bucket
	if b == nil {
		return nil
	}
	q := r.o.DB.Read(ctx)
	tracks, err := q.ListTracks(session)
	if err != nil {
		return err
	}
	last, err := q.LastSession(of.ID)
	if err != nil && !errors.Is(err, db.ErrNotFound) {
		return err
	}
	var keys []string
	for i, t := range tracks {
		keys = append(keys, b.Init(of.Slug, t.Rendition, t.Epoch))
		if last.ID == session && (i == 0 || tracks[i-1].Rendition != t.Rendition) {
			keys = append(keys, b.Playlist(of.Slug, t.Rendition))
		}
	}
	if len(keys) == 0 {
		return nil
	}
	return blob.DeleteAll(ctx, b.Store, keys)
}

// Evict deletes from the local disk what is in the bucket and out of every viewer's reach, and reports how many bytes went. Replays are
// read from the bucket then.
func (r *Retention) Evict(ctx context.Context) (freed int64, err error) {
	if r.o.Bucket == nil {
		return 0, nil
	}
	done, err := r.alone(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	p := planner{r: r, q: r.o.DB.Read(ctx)}
	before := r.o.Now().Add(-r.o.DVR - margin)
	for _, state := range []string{db.RecordingRunning, db.RecordingMade} {
		err := p.each(state, func(rec *db.Recording) (bool, error) {
			if rec.Evicted {
				return false, nil
			}
			n, rest, err := r.evict(ctx, rec, before)
			freed += n
			if err == nil && state == db.RecordingMade && !rest {
				err = r.o.DB.Tx(ctx, func(q db.Queries) error { return q.SetEvicted(rec.SessionID, rec.FirstMSN) })
			}
			return false, err
		})
		if err != nil {
			return freed, fmt.Errorf("retention: evict: %w", err)
		}
	}
	return freed, nil
}

// evict does so for a session, and tells whether some of it is still local.
func (r *Retention) evict(ctx context.Context, rec *db.Recording, before time.Time) (freed int64, rest bool, err error) {
	session := rec.SessionID
	of, err := r.o.DB.Read(ctx).FindStream(rec.StreamID)
	if err != nil {
		return 0, true, err
	}
	shown := r.shown(of.Slug, session)
	err = r.files(ctx, session, rec.FirstMSN, rec.LastMSN, func(f *file) error {
		if f.key == "" {
			return nil
		}
		if !f.stored || !f.ends.Before(before) || f.last >= shown {
			rest = true
			return nil
		}
		err := r.o.DB.Tx(ctx, func(q db.Queries) error { return q.ForgetLocal(session, f.rendition, f.first, f.last) })
		if err == nil {
			err = r.removeFile(ctx, session, f)
		}
		if err == nil {
			freed += f.bytes
		}
		return err
	})
	return freed, rest, err
}

// shown is the lowest number that live playlists of a session may still name; beyond all where none does.
func (r *Retention) shown(stream, session string) int64 {
	if r.o.Shown != nil {
		if oldest, ok := r.o.Shown(stream, session); ok {
			return int64(oldest)
		}
	}
	return math.MaxInt64
}

// hide lets nobody see the replay of a recording that goes.
func (r *Retention) hide(ctx context.Context, s *Step) error {
	now := db.At(r.o.Now())
	return r.o.DB.Tx(ctx, func(q db.Queries) error {
		v, err := q.FindReplay(s.Session, s.First)
		if err == nil && v.DeletedAt == nil {
			if err = q.DeleteVideo(v.ID, now); err == nil {
				err = event.Emit(q, event.Event{Type: event.VideoDeleted, Key: event.Video(v.ID), OwnerID: v.OwnerID, Data: map[string]string{
					"video_id": v.ID, "owner_id": v.OwnerID, "reason": "retention",
				}}, r.o.Now())
			}
		}
		if err != nil && !errors.Is(err, db.ErrNotFound) {
			return err
		}
		return q.SetRecording(s.Session, s.First, db.RecordingDeleting, now)
	})
}
