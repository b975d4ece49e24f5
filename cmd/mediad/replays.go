package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"mediad/api/video"
	"mediad/live"
	"mediad/media"
	"mediad/packager"
	"mediad/packager/archive"
	"mediad/packager/origin"
	"mediad/packager/replay"
	"mediad/store/db"
)

// recorder makes a replay of each recorded session that is over. What the database does not take at once comes again: sessions that
// began or ended are remembered until it has them.
type recorder struct {
	db     *db.DB
	videos *video.Service
	// unstored tells whether segment rows of a session are still under way.
	unstored func(session string) bool
	log      *slog.Logger
	wake     chan struct{} // holds one token
	made     chan struct{} // holds one token, where a replay was made
	news     chan struct{} // the same, for the bucket

	mu    sync.Mutex          // guards what follows; never held while the database is asked: sessions begin under it
	begun map[string]recorded // by session
	ended map[string]bool

	failed map[string]failure // recordings whose replays could not be made; work's alone
}

// failure is how often something failed, and until when it is left alone.
type failure struct {
	times int
	until time.Time
}

const (
	recorderInterval = 2 * time.Second
	// replayTimeout bounds the work on one replay: a day of five renditions is 200 000 rows.
	replayTimeout = time.Minute
	// replayRetry is how long a recording is left alone at most whose replay could not be made.
	replayRetry = 5 * time.Minute
)

func newRecorder(s *site, unstored func(string) bool, log *slog.Logger) *recorder {
	return &recorder{
		db: s.db, videos: s.videos, unstored: unstored, log: log, wake: make(chan struct{}, 1), made: make(chan struct{}, 1), news: make(chan struct{}, 1),
		begun: make(map[string]recorded), ended: make(map[string]bool), failed: make(map[string]failure),
	}
}

// recorded is a session that has begun.
type recorded struct {
	stream string
	kept   bool // its files are kept
}

// begin is told of a session before its first segment.
func (r *recorder) begin(session, stream string, kept bool) {
	r.mu.Lock()
	r.begun[session] = recorded{stream, kept}
	r.mu.Unlock()
	poke(r.wake)
}

// end is told of a recorded session that is over and whose rows were given to the database.
func (r *recorder) end(session string) {
	r.mu.Lock()
	r.ended[session] = true
	r.mu.Unlock()
	poke(r.wake)
}

// poke puts a token into a channel that holds one.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// lost ends the recordings of sessions that a former process left on air and that do not go on.
func (r *recorder) lost(ctx context.Context, restored []live.Restored) error {
	goOn := make(map[string]bool, len(restored))
	for _, s := range restored {
		goOn[s.SessionID] = true
	}
	for after := ""; ; {
		some, err := r.db.Read(ctx).ListRecordings(db.RecordingRunning, after, recordingsAtOnce)
		if err != nil {
			return fmt.Errorf("database: %w", err)
		}
		for _, one := range some {
			after = one.SessionID
			if !goOn[one.SessionID] {
				r.ended[one.SessionID] = true
			}
		}
		if len(some) < recordingsAtOnce {
			return nil
		}
	}
}

const recordingsAtOnce = 200

// Run makes replays until ctx ends.
func (r *recorder) Run(ctx context.Context) error {
	tick := time.NewTicker(recorderInterval)
	defer tick.Stop()
	for {
		r.work(ctx)
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), rowsTimeout)
			defer cancel()
			r.work(last) // sessions end with the server, too
			return nil
		case <-r.wake:
		case <-tick.C:
		}
	}
}

// work does what there is to do. One recording that takes its time, or whose replay cannot be made, keeps no other waiting for ever.
func (r *recorder) work(ctx context.Context) {
	r.note(ctx)
	now := time.Now()
	for after := ""; ; {
		some, err := r.listEnded(ctx, after)
		if err != nil {
			r.log.Warn("replays wait", "error", err)
			return
		}
		for _, one := range some {
			after = one.SessionID
			if now.Before(r.failed[after].until) || r.unstored(after) {
				continue
			}
			if err := r.make(ctx, after); err != nil {
				if ctx.Err() != nil {
					return
				}
				r.fail(after, err)
				continue
			}
			delete(r.failed, after)
		}
		if len(some) < recordingsAtOnce {
			return
		}
	}
}

func (r *recorder) listEnded(ctx context.Context, after string) ([]db.Recording, error) {
	ctx, cancel := context.WithTimeout(ctx, rowsTimeout)
	defer cancel()
	return r.db.Read(ctx).ListRecordings(db.RecordingEnded, after, recordingsAtOnce)
}

func (r *recorder) fail(session string, err error) {
	f := r.failed[session]
	wait := min(recorderInterval<<min(f.times, 10), replayRetry)
	r.failed[session] = failure{f.times + 1, time.Now().Add(wait)}
	r.log.Warn("replay waits", "session", session, "again_after", wait, "error", err)
}

// note tells the database which sessions began and ended.
func (r *recorder) note(ctx context.Context) {
	r.mu.Lock()
	begun, ended := maps.Clone(r.begun), maps.Clone(r.ended)
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, rowsTimeout)
	defer cancel()
	waiting := make(map[string]bool)
	for session, one := range begun {
		if err := r.videos.BeginRecording(ctx, session, one.stream, one.kept); err != nil {
			waiting[session] = true
			r.log.Warn("recording not noted yet", "session", session, "error", err)
			if ctx.Err() != nil {
				return
			}
			continue
		}
		r.forget(func() { delete(r.begun, session) })
	}
	for session := range ended {
		if waiting[session] {
			continue // its beginning comes first
		}
		if err := r.videos.EndRecording(ctx, session); err != nil {
			r.log.Warn("end of a recording not noted yet", "session", session, "error", err)
			if ctx.Err() != nil {
				return
			}
			continue
		}
		r.forget(func() { delete(r.ended, session) })
	}
}

func (r *recorder) forget(what func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	what()
}

func (r *recorder) make(ctx context.Context, session string) error {
	ctx, cancel := context.WithTimeout(ctx, replayTimeout)
	defer cancel()
	rec, err := readRecording(ctx, r.db, session)
	if err != nil {
		return err
	}
	var facts *video.Facts
	switch v, err := replay.New(rec); {
	case errors.Is(err, replay.ErrEmpty):
	case err != nil:
		return err
	default:
		of := factsOf(v)
		facts = &of
	}
	made, err := r.videos.MakeReplay(ctx, session, facts)
	if err != nil {
		return err
	}
	if facts == nil {
		r.log.Info("no replay: nothing of the session can be played", "session", session)
		return nil
	}
	poke(r.made)
	poke(r.news)
	r.log.Info("replay ready", "session", session, "video", made.ID, "duration", facts.Duration, "bytes", facts.Bytes)
	return nil
}

// factsOf are the size and length of a video.
func factsOf(v *replay.Video) video.Facts {
	f := video.Facts{Duration: v.Duration, Bytes: v.Bytes}
	for _, one := range v.Variants() {
		if one.Track.Width > f.Width {
			f.Width, f.Height = one.Track.Width, one.Track.Height
		}
	}
	return f
}

// segmentsAtOnce is how many rows are read at a time.
const segmentsAtOnce = 5000

// readRecording reads the rows of a session.
func readRecording(ctx context.Context, d *db.DB, session string) (replay.Recording, error) {
	q := d.Read(ctx)
	rec, err := readTracks(q, session)
	if err != nil {
		return rec, err
	}
	row, err := q.FindSession(session)
	if err != nil {
		return rec, err
	}
	if rec.Remote, err = remoteNames(q, row.StreamID); err != nil {
		return rec, err
	}
	for i := range rec.Renditions {
		r := &rec.Renditions[i]
		if err := readSegments(q, session, r, 0, func(*db.Segment) bool { return true }); err != nil {
			return rec, err
		}
	}
	return rec, nil
}

// readVideo reads the rows of a replay or a clip; video.ErrNotFound: it is neither.
func readVideo(ctx context.Context, d *db.DB, v db.Video) (replay.Recording, error) {
	switch {
	case v.SessionID == nil || v.StreamID == nil:
		return replay.Recording{}, video.ErrNotFound
	case v.Kind == db.KindClip:
		return readClip(ctx, d, v)
	default:
		return readRecording(ctx, d, *v.SessionID)
	}
}

// remoteNames are how the segments of a stream are named in the bucket.
func remoteNames(q db.Queries, streamID string) (func(rendition string, epoch int64, msn uint64) string, error) {
	of, err := q.FindStream(streamID)
	if err != nil {
		return nil, err
	}
	return func(rendition string, epoch int64, msn uint64) string {
		return archive.SegmentKey(of.Slug, rendition, epoch, msn)
	}, nil
}

// readTracks reads which renditions a session has, or a clip, and how they are decoded.
func readTracks(q db.Queries, session string) (rec replay.Recording, err error) {
	tracks, err := q.ListTracks(session)
	if err != nil {
		return rec, err
	}
	for _, t := range tracks {
		if n := len(rec.Renditions); n == 0 || rec.Renditions[n-1].Name != t.Rendition {
			kind := media.Video
			if t.Kind == media.Audio.String() {
				kind = media.Audio
			}
			rec.Renditions = append(rec.Renditions, replay.Rendition{Name: t.Rendition, Kind: kind})
		}
		row := packager.TrackRow{Codec: t.Codec, Config: t.Config}
		track, err := row.Track()
		if err != nil {
			return rec, fmt.Errorf("%s, epoch %d: %w", t.Rendition, t.Epoch, err)
		}
		r := &rec.Renditions[len(rec.Renditions)-1]
		r.Tracks = append(r.Tracks, replay.Track{Epoch: t.Epoch, Track: track, Init: t.Init})
	}
	return rec, nil
}

// readSegments reads the rows of a rendition from a number on, while more says so.
func readSegments(q db.Queries, session string, r *replay.Rendition, from int64, more func(*db.Segment) bool) error {
	for {
		rows, err := q.ListSegments(session, r.Name, from, segmentsAtOnce)
		if err != nil {
			return err
		}
		for i := range rows {
			if !more(&rows[i]) {
				return nil
			}
			from = rows[i].MSN + 1
			r.Segments = append(r.Segments, segmentOf(&rows[i]))
		}
		if len(rows) < segmentsAtOnce {
			return nil
		}
	}
}

func segmentOf(s *db.Segment) replay.Segment {
	return replay.Segment{
		MSN: uint64(s.MSN), Epoch: s.Epoch, Start: s.Start(), Duration: s.Duration(), Bytes: s.Bytes, Key: s.BlobKey,
		Offset: s.BlobOffset, Discontinuity: s.Discontinuity, Independent: s.Independent, Gap: s.Gap,
		// What is on its way there is there by the time that the local file goes; a video is kept in memory for long.
		Stored: s.Bucket == db.BucketStored || s.Bucket == db.BucketPending && s.BlobKey != "",
	}
}

// library shows replays to the origin.
type library struct {
	of     *replay.Library
	videos *video.Service
}

func newLibrary(s *site) library {
	return library{videos: s.videos, of: replay.NewLibrary(replay.LibraryOptions{
		Check: func(ctx context.Context, id string) error {
			_, err := s.videos.Watchable(ctx, id)
			return err
		},
		Load: func(ctx context.Context, id string) (replay.Recording, error) {
			v, err := s.videos.Watchable(ctx, id)
			if err != nil {
				return replay.Recording{}, err
			}
			return readVideo(ctx, s.db, v)
		},
	})}
}

func (l library) Video(ctx context.Context, id string) (origin.Video, error) {
	v, err := l.of.Video(ctx, id)
	switch {
	case errors.Is(err, video.ErrNotFound), errors.Is(err, replay.ErrEmpty):
		return nil, fmt.Errorf("%w: %w", origin.ErrNoVideo, err)
	case err != nil:
		return nil, err
	}
	return libraryVideo{v, l.videos, id}, nil
}

// Watchable implements origin.Library.
func (l library) Watchable(ctx context.Context, id string) error {
	_, err := l.videos.Watchable(ctx, id)
	if errors.Is(err, video.ErrNotFound) {
		return fmt.Errorf("%w: %w", origin.ErrNoVideo, err)
	}
	return err
}

// OneFile implements video.Media.
func (l library) OneFile(ctx context.Context, id string) (bool, error) {
	v, err := l.of.Video(ctx, id)
	if err != nil {
		return false, err
	}
	var change *replay.ConfigError
	_, err = v.Download()
	if errors.As(err, &change) {
		return false, nil
	}
	return err == nil, err
}

// Renditions implements video.Media.
func (l library) Renditions(ctx context.Context, id string) ([]video.Rendition, error) {
	v, err := l.of.Video(ctx, id)
	if errors.Is(err, replay.ErrEmpty) {
		return nil, fmt.Errorf("%w: %w", video.ErrNotFound, err)
	}
	if err != nil {
		return nil, err
	}
	var out []video.Rendition
	for _, one := range v.Variants() {
		out = append(out, video.Rendition{
			Name: one.Name, Width: one.Track.Width, Height: one.Track.Height, FPS: one.FrameRate, Codecs: one.Track.RFC6381(),
			Bitrate: int64(one.Average),
		})
	}
	slices.SortStableFunc(out, func(a, b video.Rendition) int { return cmp.Compare(b.Height, a.Height) })
	return out, nil
}

type libraryVideo struct {
	*replay.Video
	videos *video.Service
	id     string
}

// Download implements origin.Video.
func (v libraryVideo) Download(ctx context.Context) (origin.VideoFile, error) {
	d, err := v.Video.Download()
	var change *replay.ConfigError
	switch {
	case errors.As(err, &change):
		what := "picture"
		if change.Kind == media.Audio {
			what = "sound"
		}
		return origin.VideoFile{}, &origin.NoDownloadError{Reason: fmt.Sprintf(
			"At %s the %s changes from %s to %s; one file cannot hold both. Watch the video, or take its HLS playlist.",
			change.At.Round(time.Second), what, change.Before, change.After)}
	case err != nil:
		return origin.VideoFile{}, err
	}
	row, err := v.videos.Watchable(ctx, v.id)
	if errors.Is(err, video.ErrNotFound) {
		return origin.VideoFile{}, fmt.Errorf("%w: %w", origin.ErrNoVideo, err)
	}
	if err != nil {
		return origin.VideoFile{}, err
	}
	return origin.VideoFile{Title: row.Title, Size: d.Size, ETag: d.ETag, Copy: d.Copy}, nil
}

func (v libraryVideo) Rendition(name string) (origin.VideoRendition, bool) {
	r, ok := v.Video.Rendition(name)
	if !ok {
		return nil, false
	}
	return r, true
}
