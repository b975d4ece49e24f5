package video_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/api/video"
	"mediad/store/db"
	"mediad/store/db/dbtest"
)

const (
	owner   = "0198f2a0-0000-7000-8000-000000000001"
	stream  = "0198f2a0-0000-7000-8000-000000000011"
	session = "0198f2a0-0000-7000-8000-000000000021"
)

var began = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// cutter is a video.Cutter that makes what it is told.
type cutter struct {
	made      func(v db.Video) (video.Cutting, error)
	copied    bool
	discarded string
}

func (c *cutter) Cut(_ context.Context, v db.Video, copied bool) (video.Cutting, error) {
	c.copied = copied
	return c.made(v)
}

func (c *cutter) Discard(_ context.Context, id string) error {
	c.discarded = id
	return nil
}

// booth is a database with a session of ten minutes.
func booth(t *testing.T, state string, over bool) (*db.DB, *video.Service) {
	d := dbtest.Open(t)
	var rows []db.Segment
	for i := range 60 {
		for _, r := range []string{"source", "audio"} {
			at := began.Add(time.Duration(i) * 10 * time.Second)
			rows = append(rows, db.Segment{
				SessionID: session, StreamID: stream, Rendition: r, MSN: int64(100 + i), Epoch: 7, StartNS: at.UnixNano(), DurationNS: int64(10 * time.Second),
				BlobKey: "x", Bytes: 1,
			})
		}
	}
	require.NoError(t, d.Tx(t.Context(), func(q db.Queries) error {
		s := db.Session{ID: session, StreamID: stream, StartedAt: db.At(began)}
		err := errors.Join(q.CreateUser(db.User{ID: owner, Username: "anna", Role: "admin", Version: 1}),
			q.CreateStream(db.Stream{ID: stream, Slug: "main", Title: "Main", OwnerID: owner, Visibility: "public", ReplayVisibility: "unlisted", Latency: "low", DVRS: 60, Version: 1}),
			q.SaveSession(s), q.BeginRecording(db.Recording{SessionID: session, StreamID: stream, State: state}), q.InsertSegments(rows))
		for _, r := range []string{"source", "audio"} {
			err = errors.Join(err, q.InsertTracks([]db.SessionTrack{{SessionID: session, Rendition: r, Epoch: 7, Kind: "video", Config: []byte{1}, Init: []byte{1}}}))
		}
		if over {
			err = errors.Join(err, q.EndSession(session, db.At(began.Add(10*time.Minute)), "publisher_stopped"))
		}
		return err
	}))
	return d, video.New(video.Options{DB: d, Now: func() time.Time { return began.Add(10 * time.Minute) }})
}

// referring makes a clip of one segment of the session.
func referring(msn int64) func(v db.Video) (video.Cutting, error) {
	return func(v db.Video) (video.Cutting, error) {
		return video.Cutting{
			Facts: video.Facts{Duration: 6 * time.Second, Width: 640, Height: 360, Bytes: 9}, From: time.Unix(0, *v.FromNS), To: time.Unix(0, *v.ToNS),
			Segments: []db.Segment{{SessionID: v.ID, StreamID: stream, Rendition: "source", MSN: msn, Epoch: 7, Bytes: 1}},
		}, nil
	}
}

func TestCreateClip(t *testing.T) {
	d, s := booth(t, db.RecordingRunning, false)
	c := &cutter{made: referring(150)}
	v, err := s.CreateClip(t.Context(), c, video.Clip{StreamID: stream, DurationMS: 6000})
	require.NoError(t, err)
	require.Equal(t, began.Add(594*time.Second).UnixNano(), *v.FromNS, "up to the newest")
	require.False(t, c.copied)
	found, err := s.Ready(t.Context(), v.ID)
	require.NoError(t, err)
	require.Equal(t, [4]any{"Main", "unlisted", int64(6000), int64(9)}, [4]any{found.Title, found.Visibility, found.DurationMS, found.Bytes})
	rows, err := d.Read(t.Context()).ListSegments(v.ID, "source", 0, 10)
	require.NoError(t, err)
	require.Len(t, rows, 1)
}

func TestCreateClipRefuses(t *testing.T) {
	ms := func(d time.Duration) *int64 {
		v := d.Milliseconds()
		return &v
	}
	for name, c := range map[string]struct {
		ask   video.Clip
		state string
		over  bool
		field string
		want  error
	}{
		"too short":             {ask: video.Clip{DurationMS: 4999}, field: "duration_ms"},
		"too long":              {ask: video.Clip{DurationMS: 120_001}, field: "duration_ms"},
		"a long title":          {ask: video.Clip{DurationMS: 5000, Title: strings.Repeat("ä", 121)}, field: "title"},
		"a negative end":        {ask: video.Clip{DurationMS: 5000, EndMS: ms(-time.Second)}, field: "end_ms"},
		"outside the DVR":       {ask: video.Clip{DurationMS: 5000, EndMS: ms(9 * time.Minute)}, want: video.ErrOutside},
		"before it began":       {ask: video.Clip{DurationMS: 30_000, EndMS: ms(20 * time.Second)}, want: video.ErrOutside},
		"in the future":         {ask: video.Clip{DurationMS: 5000, EndMS: ms(11 * time.Minute)}, over: true, state: db.RecordingMade, want: video.ErrOutside},
		"nothing is left":       {ask: video.Clip{DurationMS: 5000}, over: true, state: db.RecordingDeleting, want: video.ErrOutside},
		"it was not recorded":   {ask: video.Clip{DurationMS: 5000}, over: true, state: db.RecordingUnrecorded, want: video.ErrOutside},
		"another's session":     {ask: video.Clip{DurationMS: 5000, SessionID: "none"}, want: video.ErrNotFound},
		"no stream":             {ask: video.Clip{DurationMS: 5000, StreamID: "none"}, want: video.ErrNotFound},
		"its segments are gone": {ask: video.Clip{DurationMS: 5000, Title: "gone"}, want: video.ErrOutside},
	} {
		t.Run(name, func(t *testing.T) {
			state := c.state
			if state == "" {
				state = db.RecordingRunning
			}
			d, s := booth(t, state, c.over)
			if c.ask.StreamID == "" {
				c.ask.StreamID = stream
			}
			cut := &cutter{made: referring(9999)}
			_, err := s.CreateClip(t.Context(), cut, c.ask)
			if c.field != "" {
				var invalid *video.InvalidError
				require.ErrorAs(t, err, &invalid)
				require.Equal(t, c.field, invalid.Field)
				return
			}
			require.ErrorIs(t, err, c.want)
			if c.ask.Title == "gone" {
				require.NotEmpty(t, cut.discarded)
				_, err = d.Read(t.Context()).FindVideo(cut.discarded)
				require.ErrorIs(t, err, db.ErrNotFound, "nothing is left behind")
			}
		})
	}
}

// TestClipsOfWhatIsNotRecorded take whole segments along: those do not stay where they are.
func TestClipsOfWhatIsNotRecorded(t *testing.T) {
	_, s := booth(t, db.RecordingUnrecorded, false)
	c := &cutter{made: referring(150)}
	_, err := s.CreateClip(t.Context(), c, video.Clip{StreamID: stream, DurationMS: 6000})
	require.NoError(t, err)
	require.True(t, c.copied)
}
