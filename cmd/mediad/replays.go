package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"mediad/api/playback"
	"mediad/api/video"
	"mediad/live"
	"mediad/media"
	"mediad/packager/origin"
	"mediad/packager/replay"
	"mediad/store/db"
)

// recorder makes a replay of each recorded session that is over, and of each stretch of one that lasts. What the database does not take at once comes again: sessions that
// began or ended are remembered until it has them.
type recorder struct {
	db     *db.DB
	node   string // whose recordings these are; "": all
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

	stretch time.Duration // how long a replay is that does not end with its session

	// What follows is work's alone.
	failed map[string]failure   // sessions whose replays could not be made
	cutDue map[string]time.Time // by session that lasts: when the end of a stretch is to be looked for
}

// failure is how often something failed, and until when it is left alone.
type failure struct {
	times int
	until time.Time
}

const (
	recorderInterval = 2 * time.Second
	// replayTimeout bounds the work on one replay: twelve hours of five renditions are 108 000 rows.
	replayTimeout = time.Minute
	// replayRetry is how long a recording is left alone at most whose replay could not be made.
	replayRetry = 5 * time.Minute
)

func newRecorder(s *site, unstored func(string) bool, log *slog.Logger) *recorder {
	return &recorder{
		db: s.db, node: s.keeper(), videos: s.videos, unstored: unstored, log: log, wake: make(chan struct{}, 1), made: make(chan struct{}, 1), news: s.videoNews,
		begun: make(map[string]recorded), ended: make(map[string]bool), failed: make(map[string]failure), stretch: stretchLength,
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
	for after := (db.Recording{}); ; {
		some, err := r.db.Read(ctx).ListRecordingsOf(r.node, db.RecordingRunning, after, recordingsAtOnce)
		if err != nil {
			return fmt.Errorf("database: %w", err)
		}
		for _, one := range some {
			after = one
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

// work does what there is to do.
func (r *recorder) work(ctx context.Context) {
	r.note(ctx)
	now := time.Now()
	due := make(map[string]time.Time)
	r.each(ctx, db.RecordingRunning, func(rec *db.Recording) error {
		due[rec.SessionID] = r.cutDue[rec.SessionID]
		if now.Before(due[rec.SessionID]) {
			return nil
		}
		wait, err := r.cut(ctx, rec, false)
		due[rec.SessionID] = now.Add(wait)
		return err
	})
	r.cutDue = due
	r.each(ctx, db.RecordingEnded, func(rec *db.Recording) error {
		if r.unstored(rec.SessionID) {
			return nil
		}
		_, err := r.cut(ctx, rec, true) // the server may have been away for long
		if err == nil {
			err = r.make(ctx, rec, db.LastMSN)
		}
		return err
	})
}

// each calls fn for the recordings of a state. One that takes its time, or that fails, keeps no other waiting for ever.
func (r *recorder) each(ctx context.Context, state string, fn func(*db.Recording) error) {
	now := time.Now()
	for after := (db.Recording{}); ; {
		some, err := r.list(ctx, state, after)
		if err != nil {
			r.log.Warn("replays wait", "error", err)
			return
		}
		for i := range some {
			after = some[i]
			session := after.SessionID
			if now.Before(r.failed[session].until) {
				continue
			}
			if err := r.attempt(&some[i], fn); err != nil {
				if ctx.Err() != nil {
					return
				}
				r.fail(session, err)
				continue
			}
			delete(r.failed, session)
		}
		if len(some) < recordingsAtOnce {
			return
		}
	}
}

// attempt calls fn; a panic is that recording's alone.
func (r *recorder) attempt(rec *db.Recording, fn func(*db.Recording) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return fn(rec)
}

func (r *recorder) list(ctx context.Context, state string, after db.Recording) ([]db.Recording, error) {
	ctx, cancel := context.WithTimeout(ctx, rowsTimeout)
	defer cancel()
	return r.db.Read(ctx).ListRecordingsOf(r.node, state, after, recordingsAtOnce)
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
		err := r.videos.BeginRecording(ctx, session, one.stream, one.kept)
		if errors.Is(err, db.ErrReference) { // as with its rows: another database was put in this one's place
			r.log.Error("recording given up: its stream is not there", "session", session)
			err = nil
		}
		if err != nil {
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
		if err := r.videos.EndRecording(ctx, session); err != nil && !errors.Is(err, db.ErrNotFound) {
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

// make makes the replay of a recording up to a number; db.LastMSN: of all that is left of its session.
func (r *recorder) make(ctx context.Context, of *db.Recording, last int64) error {
	ctx, cancel := context.WithTimeout(ctx, replayTimeout)
	defer cancel()
	session := of.SessionID
	rec, err := readRecording(ctx, r.db, session, of.FirstMSN, last)
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
		weigh(&of, &rec)
		facts = &of
	}
	var made db.Video
	if last == db.LastMSN {
		made, err = r.videos.MakeReplay(ctx, session, facts)
	} else {
		made, err = r.videos.CutReplay(ctx, session, last+1, facts)
	}
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

// weigh adds what is stored, and the dates between which it lies.
func weigh(f *video.Facts, rec *replay.Recording) {
	for i := range rec.Renditions {
		for j := range rec.Renditions[i].Segments {
			s := &rec.Renditions[i].Segments[j]
			f.Stored += s.Bytes
			if f.From.IsZero() || s.Start.Before(f.From) {
				f.From = s.Start
			}
			if end := s.Start.Add(s.Duration); end.After(f.To) {
				f.To = end
			}
		}
	}
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

// library shows replays to the origin and the API, which have decided who may see them.
type library struct {
	of       *replay.Library
	videos   *video.Service
	policies *playback.Policies
}

func newLibrary(s *site) library {
	l := library{videos: s.videos, policies: s.policies}
	l.of = replay.NewLibrary(replay.LibraryOptions{
		Check: l.shown,
		Load: func(ctx context.Context, id string) (replay.Recording, error) {
			v, err := s.videos.Ready(ctx, id)
			if err != nil {
				return replay.Recording{}, err
			}
			return readVideo(ctx, s.db, v)
		},
	})
	return l
}

// shown is video.ErrNotFound for what cannot be played or was deleted.
func (l library) shown(ctx context.Context, id string) error {
	ok, err := l.policies.Shown(ctx, id)
	if err == nil && !ok {
		return video.ErrNotFound
	}
	return err
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
	err := l.shown(ctx, id)
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

// Places implements video.Media.
func (l library) Places(ctx context.Context, id string, moments []time.Time) ([]time.Duration, error) {
	v, err := l.of.Video(ctx, id)
	if err != nil {
		return nil, err
	}
	out := make([]time.Duration, len(moments))
	for i, moment := range moments {
		at, ok := v.At(moment)
		if !ok {
			at = -1
		}
		out[i] = at
	}
	return out, nil
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
	row, err := v.videos.Ready(ctx, v.id)
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
