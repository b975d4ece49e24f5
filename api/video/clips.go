package video

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"mediad/api/text"
	"mediad/store/db"
	"mediad/store/event"
)

// ErrOutside says that a clip reaches beyond what can be seen of its session: the DVR range while it is on air, then its replay.
var ErrOutside = errors.New("video: not within what can be seen of the broadcast")

// ErrElsewhere says that what a clip is of is stored, but not where this node can read it: another node has it on its disk.
var ErrElsewhere = errors.New("video: the broadcast is on another node's disk")

// ErrStorage says that a clip cannot be stored now where every node finds it.
var ErrStorage = errors.New("video: the bucket does not take the clip")

// ErrKept says that what is kept of the stream's broadcasts is not for the one who asks.
var ErrKept = errors.New("video: what is kept of the broadcast is not for the caller")

// LimitError says that there are as many clips of others' broadcasts as the caller may have.
type LimitError struct{ Max int }

func (e *LimitError) Error() string { return fmt.Sprintf("video: at most %d clips", e.Max) }

// InvalidError says which field of a request is wrong, and why; Code is one of errors[].code of the API. Min and Max are the bounds, where there are any.
type InvalidError struct {
	Field, Code, Reason string
	Min, Max            *int64
}

func (e *InvalidError) Error() string { return e.Field + ": " + e.Reason }

const (
	// MinClip is the shortest that a clip may be (api.md 4.9).
	MinClip = 5 * time.Second
	// MaxClip is the longest.
	MaxClip = 120 * time.Second
	// maxTitle is in characters.
	maxTitle = 120
	// rowsWithin is how long the rows of what viewers have seen already may be on their way.
	rowsWithin = 2500 * time.Millisecond
	// rowsEach is how often is looked whether they are there.
	rowsEach = 100 * time.Millisecond
)

// Clip asks for a clip of a stream's newest session, or of another one.
type Clip struct {
	StreamID string
	// SessionID is the session; "": the newest.
	SessionID string
	// OwnerID is who it belongs to; "": to the stream's owner.
	OwnerID string
	// EndMS is where it ends on the session's clock, in milliseconds since its start; nil: with the newest that is stored.
	EndMS *int64
	// DurationMS is 5 000 to 120 000.
	DurationMS int64
	// Title is at most 120 characters; "": the stream's.
	Title string
	// May says whether the one who asks may watch what belongs to the stream's owner and has a visibility; nil: everything.
	May func(visibility string) (bool, error)
	// Most is how many clips of others' broadcasts the owner may have; 0: any number.
	Most int
}

// Cutter makes the media of clips.
type Cutter interface {
	// Cut makes the media of a clip from its session and stores it: what the clip has of its own, under the clip's id. copied: nothing
	// of the session stays. ErrOutside, wrapped, where nothing is stored of it.
	Cut(ctx context.Context, clip db.Video, copied bool) (Cutting, error)
	// Discard deletes what Cut has stored.
	Discard(ctx context.Context, clip string) error
}

// Cutting is the media of a clip.
type Cutting struct {
	Facts
	From, To time.Time // of the pictures that are in it
	Tracks   []db.SessionTrack
	Segments []db.Segment
}

// CreateClip makes a clip that can be watched when it returns: InvalidError, LimitError, ErrNotFound, ErrOutside,
// ErrKept, ErrElsewhere, ErrStorage. From the first moment on retention
// keeps what it is made of.
func (s *Service) CreateClip(ctx context.Context, cutter Cutter, c Clip) (db.Video, error) {
	length := time.Duration(c.DurationMS) * time.Millisecond
	c.Title = text.Line(c.Title)
	switch {
	case length < MinClip || length > MaxClip:
		least, most := MinClip.Milliseconds(), MaxClip.Milliseconds()
		return db.Video{}, &InvalidError{Field: "duration_ms", Code: "out_of_range", Reason: fmt.Sprintf("%d to %d", least, most), Min: &least, Max: &most}
	case utf8.RuneCountInString(c.Title) > maxTitle || !utf8.ValidString(c.Title):
		most := int64(maxTitle)
		return db.Video{}, &InvalidError{Field: "title", Code: "too_long", Reason: fmt.Sprintf("at most %d characters", maxTitle), Max: &most}
	case c.EndMS != nil && *c.EndMS < 0:
		return db.Video{}, &InvalidError{Field: "end_ms", Code: "out_of_range", Reason: "0 or more", Min: new(int64)}
	}
	v, copied, err := s.beginClip(ctx, c, length)
	if err != nil {
		return db.Video{}, fmt.Errorf("video: clip: %w", err)
	}
	made, err := cutter.Cut(ctx, v, copied)
	if err == nil {
		err = s.finishClip(ctx, &v, made)
	}
	if err != nil {
		// Whatever became of the request, nothing is left behind; what is cannot be seen, and retention finds it.
		rest, cancel := context.WithTimeout(context.WithoutCancel(ctx), rowsWithin)
		defer cancel()
		err = errors.Join(err, cutter.Discard(rest, v.ID), s.db.Tx(rest, func(q db.Queries) error { return q.RemoveClip(v.ID) }))
		return db.Video{}, fmt.Errorf("video: clip: %w", err)
	}
	return v, nil
}

// beginClip inserts the clip, so that retention knows of it.
func (s *Service) beginClip(ctx context.Context, c Clip, length time.Duration) (v db.Video, copied bool, err error) {
	q := s.db.Read(ctx)
	of, err := q.FindStream(c.StreamID)
	var session db.Session
	if err == nil {
		session, err = findSession(q, of.ID, c.SessionID)
	}
	var stretches []db.Recording
	if err == nil {
		if stretches, err = q.ListStretches(session.ID); err == nil && len(stretches) == 0 {
			err = db.ErrNotFound
		}
	}
	switch {
	case errors.Is(err, db.ErrNotFound):
		return v, false, ErrNotFound
	case err != nil:
		return v, false, err
	}
	newest, err := s.newest(ctx, c, session)
	if err != nil {
		return v, false, err
	}
	to := newest
	if c.EndMS != nil {
		to = session.StartedAt.Time().Add(time.Duration(*c.EndMS) * time.Millisecond)
	}
	from := to.Add(-length)
	dvr := time.Duration(of.DVRS) * time.Second
	onAir := session.EndedAt == nil
	switch {
	case to.After(newest), from.Before(session.StartedAt.Time().Add(-time.Second)):
		return v, false, fmt.Errorf("%w: it has from %s to %s", ErrOutside, stamp(session.StartedAt.Time()), stamp(newest))
	case onAir && from.Before(newest.Add(-dvr)):
		return v, false, fmt.Errorf("%w: the last %s of it", ErrOutside, dvr)
	case !onAir && !slices.ContainsFunc(stretches, isThere):
		return v, false, fmt.Errorf("%w: there is no replay of it", ErrOutside)
	}
	fromNS, toNS := from.UnixNano(), to.UnixNano()
	widest, err := reach(q, of, session, fromNS, toNS)
	if err != nil {
		return v, false, err
	}
	if c.May != nil {
		if may, err := c.May(widest); err != nil || !may {
			switch {
			case err != nil:
			case onAir:
				err = ErrKept
			default: // that there is one is not told
				err = fmt.Errorf("%w: there is no replay of it", ErrOutside)
			}
			return v, false, err
		}
	}
	id, err := db.NewID()
	if err != nil {
		return v, false, err
	}
	if c.OwnerID == "" {
		c.OwnerID = of.OwnerID
	}
	if c.Title == "" {
		c.Title = of.Title
	}
	now := db.At(s.now())
	v = db.Video{
		ID: id, Kind: db.KindClip, OwnerID: c.OwnerID, StreamID: &of.ID, SessionID: &session.ID, FromNS: &fromNS, ToNS: &toNS, Title: c.Title,
		Category: of.Category, Language: of.Language, Visibility: widest, Mature: of.Mature,
		State: db.VideoProcessing, CreatedAt: now, UpdatedAt: now, Version: 1,
	}
	if v.OwnerID != of.OwnerID {
		v.ChannelID, v.Widest = &of.OwnerID, widest
	}
	copied = stretches[len(stretches)-1].State == db.RecordingUnrecorded
	return v, copied, s.db.Tx(ctx, func(q db.Queries) error {
		if c.Most > 0 && v.ChannelID != nil {
			have, err := q.CountClips(v.OwnerID, c.Most)
			if err != nil {
				return err
			}
			if have >= c.Most {
				return &LimitError{c.Most}
			}
		}
		return q.InsertVideo(v)
	})
}

// reach is the widest visibility that a clip of a stretch of a session may have: that of the stream, and that of what is kept of it.
func reach(q db.Queries, of db.Stream, session db.Session, fromNS, toNS int64) (string, error) {
	widest, kept := of.Visibility, false
	replays, err := q.ListReplays([]string{session.ID})
	if err != nil {
		return "", err
	}
	for i := range replays {
		r := &replays[i]
		switch {
		case r.FromNS != nil && r.ToNS != nil && (*r.FromNS >= toNS || *r.ToNS <= fromNS): // another stretch's
		case r.DeletedAt != nil:
			return "", fmt.Errorf("%w: its replay was deleted", ErrOutside)
		default:
			visibility := r.Visibility
			if r.KeptVisibility != "" {
				visibility = r.KeptVisibility // the stream's, which is hidden as long, says who may watch meanwhile
			}
			widest, kept = narrowest(widest, visibility), true
		}
	}
	if !kept || session.EndedAt == nil { // a replay is still to be made
		widest = narrowest(widest, of.ReplayVisibility)
	}
	return widest, nil
}

// isThere tells whether what is recorded can be seen, or will be.
func isThere(r db.Recording) bool {
	return r.State == db.RecordingMade || r.State == db.RecordingEnded || r.State == db.RecordingRunning
}

func findSession(q db.Queries, streamID, id string) (db.Session, error) {
	if id == "" {
		return q.LastSession(streamID)
	}
	session, err := q.FindSession(id)
	if err == nil && session.StreamID != streamID {
		err = db.ErrNotFound
	}
	return session, err
}

// newest is the end of what is stored of a session. Where the clip ends behind it, it waits a little.
func (s *Service) newest(ctx context.Context, c Clip, session db.Session) (time.Time, error) {
	patience := time.NewTimer(rowsWithin)
	defer patience.Stop()
	tick := time.NewTicker(rowsEach)
	defer tick.Stop()
	for {
		at, err := stored(s.db.Read(ctx), session.ID)
		enough := c.EndMS == nil || session.EndedAt != nil ||
			!at.Before(session.StartedAt.Time().Add(time.Duration(*c.EndMS)*time.Millisecond))
		if err != nil || enough {
			return at, err
		}
		select {
		case <-patience.C:
			return at, nil
		case <-ctx.Done():
			return at, ctx.Err()
		case <-tick.C:
		}
	}
}

// stored is up to where all renditions of a session are stored that are not far behind.
func stored(q db.Queries, session string) (time.Time, error) {
	const far = 10 * time.Second
	tracks, err := q.ListTracks(session)
	if err != nil {
		return time.Time{}, err
	}
	var ends []time.Time
	var last time.Time
	for i := range tracks {
		if i > 0 && tracks[i].Rendition == tracks[i-1].Rendition {
			continue
		}
		row, err := q.NewestOf(session, tracks[i].Rendition)
		if errors.Is(err, db.ErrNotFound) {
			continue
		}
		if err != nil {
			return time.Time{}, err
		}
		at := row.Start().Add(row.Duration())
		ends = append(ends, at)
		if at.After(last) {
			last = at
		}
	}
	if len(ends) == 0 {
		return last, fmt.Errorf("%w: nothing is stored of it yet", ErrOutside)
	}
	newest := last
	for _, at := range ends {
		if last.Sub(at) < far && at.Before(newest) {
			newest = at
		}
	}
	return newest, nil
}

// recheck narrows a clip by what has become of its stream and replay while it was made. Where somebody is leaving whose it is, or whose stream,
// it is hidden, and what it would be is kept for their return.
func (s *Service) recheck(q db.Queries, v *db.Video) error {
	of, err := q.FindStream(*v.StreamID)
	if err != nil {
		return err
	}
	session, err := q.FindSession(*v.SessionID)
	if err != nil {
		return err
	}
	maker, err := q.FindUser(v.OwnerID)
	if err != nil {
		return err
	}
	hidden := of.HiddenAt != nil || maker.State == db.UserLeaving || maker.State == db.UserErased
	if of.HiddenAt != nil {
		of.Visibility, of.ReplayVisibility = of.KeptVisibility, of.KeptReplayVisibility
	}
	widest, err := reach(q, of, session, *v.FromNS, *v.ToNS)
	if err != nil {
		return err
	}
	v.Visibility = narrowest(v.Visibility, widest)
	if v.ChannelID != nil {
		v.Widest = narrowest(v.Widest, widest)
	}
	if hidden {
		v.Visibility, v.KeptVisibility = "private", v.Visibility
	}
	return nil
}

// finishClip inserts the rows of a clip that is made, unless some of what they refer to is gone meanwhile.
func (s *Service) finishClip(ctx context.Context, v *db.Video, made Cutting) error {
	fromNS, toNS := made.From.UnixNano(), made.To.UnixNano()
	v.FromNS, v.ToNS = &fromNS, &toNS
	v.DurationMS, v.Width, v.Height, v.Bytes = made.Duration.Milliseconds(), made.Width, made.Height, made.Bytes
	now := db.At(s.now())
	var row db.Video
	err := s.db.Tx(ctx, func(q db.Queries) error {
		row = *v // it may run several times
		if err := s.recheck(q, &row); err != nil {
			return err
		}
		for i := range made.Segments {
			of := &made.Segments[i]
			if of.BlobKey != "" || of.Gap {
				continue
			}
			found, err := q.ListSegments(*v.SessionID, of.Rendition, of.MSN, 1)
			if err == nil && (len(found) == 0 || found[0].MSN != of.MSN) {
				err = fmt.Errorf("%w: segment %d of %s is gone", ErrOutside, of.MSN, of.Rendition)
			}
			if err != nil {
				return err
			}
		}
		if err := q.InsertTracks(made.Tracks); err != nil {
			return err
		}
		if err := q.InsertSegments(made.Segments); err != nil {
			return err
		}
		if err := q.FinishClip(row, now); err != nil {
			return err
		}
		var err error
		if row, err = q.FindVideo(row.ID); err != nil { // who may watch it is what is stored
			return err
		}
		return s.tell(q, event.ClipCreated, row)
	})
	if err == nil {
		*v = row
	}
	return err
}
