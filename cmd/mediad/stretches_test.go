package main

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/media/mediatest"
	"mediad/packager"
	"mediad/packager/replay"
	"mediad/store/db"
)

// lasting writes the rows of a session that goes on and on.
type lasting struct {
	r      *recorder
	stream string
	rnd    *rand.Rand
	msn    int64
	at     time.Time
	epoch  int64
	shown  []int64 // numbers that a replay has to have
	whole  map[int64]bool
	begins time.Time
}

func newLasting(t *testing.T, seed uint64) *lasting {
	t.Helper()
	r, of := recorderOf(t, slog.New(slog.DiscardHandler))
	r.stretch = 5 * time.Minute
	l := &lasting{r: r, stream: of, rnd: rand.New(rand.NewPCG(seed, 7)), msn: 1000, at: time.Unix(1_800_000_000, 0).UTC(), whole: make(map[int64]bool)}
	l.begins = l.at
	require.NoError(t, r.db.Tx(t.Context(), func(q db.Queries) error {
		return q.SaveSession(db.Session{ID: recordedSession, StreamID: of, StartedAt: db.At(l.at)})
	}))
	r.begin(recordedSession, of, true)
	r.note(t.Context())
	return l
}

// goOn adds n segments.
func (l *lasting) goOn(t *testing.T, n int, keyless bool) {
	t.Helper()
	var rows []db.Segment
	var tracks []db.SessionTrack
	for range n {
		cut := l.epoch == 0 || l.rnd.IntN(40) == 0
		if cut {
			l.epoch = l.at.UnixMilli()
			l.at = l.at.Add(time.Duration(l.rnd.IntN(5)) * time.Second)
			for _, name := range []string{"source", "480p", "audio"} {
				track, kind := mediatest.H264Track(640, 360, 30, 1), "video"
				if name == "audio" {
					track, kind = mediatest.AACTrack(48000, 2), "audio"
				}
				tracks = append(tracks, db.SessionTrack{
					SessionID: recordedSession, Rendition: name, Epoch: l.epoch, Kind: kind, Codec: track.Codec.String(), Config: track.Config, Init: []byte{1},
				})
			}
		}
		length := time.Second + time.Duration(l.rnd.IntN(2000))*time.Millisecond
		key := cut || !keyless && l.rnd.IntN(3) > 0
		lost := l.rnd.IntN(50) == 0 // it is nowhere
		for _, name := range []string{"source", "480p", "audio"} {
			row := db.Segment{
				SessionID: recordedSession, Rendition: name, MSN: l.msn, StreamID: l.stream, Epoch: l.epoch, StartNS: l.at.UnixNano(), DurationNS: int64(length),
				BlobKey: fmt.Sprintf("live/main/%s/%s-%d.m4s", recordedSession, name, l.msn/90), BlobOffset: l.msn % 90 * 100, Bytes: 100,
				Discontinuity: cut, Independent: key || name == "audio", Target: 3,
			}
			if lost || name == "480p" && l.rnd.IntN(200) == 0 {
				row.Gap, row.Bytes, row.BlobKey, row.Independent = true, 0, "", false
			}
			rows = append(rows, row)
		}
		if !lost {
			l.shown = append(l.shown, l.msn)
		}
		l.whole[l.msn] = key && !lost
		l.msn++
		l.at = l.at.Add(length)
	}
	require.NoError(t, l.r.db.Tx(t.Context(), func(q db.Queries) error {
		if err := q.InsertTracks(tracks); err != nil {
			return err
		}
		return q.InsertSegments(rows)
	}))
}

// work lets the recorder look, whatever the time.
func (l *lasting) work(t *testing.T) {
	clear(l.r.cutDue)
	l.r.work(t.Context())
	require.Empty(t, l.r.failed)
}

func (l *lasting) replays(t *testing.T) []db.Video {
	found, err := l.r.db.Read(t.Context()).ListReplays([]string{recordedSession})
	require.NoError(t, err)
	return found
}

// listed are the numbers in a replay's playlist, and how long it is.
func (l *lasting) listed(t *testing.T, v db.Video) (numbers []int64, of *replay.Video) {
	rec, err := readRecording(t.Context(), l.r.db, *v.SessionID, v.FirstMSN, v.LastMSN)
	require.NoError(t, err)
	of, err = replay.New(rec)
	require.NoError(t, err)
	source, ok := of.Rendition("source")
	require.True(t, ok)
	for line := range strings.SplitSeq(string(source.Playlist().Plain), "\n") {
		var epoch, msn int64
		if _, err := fmt.Sscanf(line, "seg_%d_%d.m4s", &epoch, &msn); err == nil {
			numbers = append(numbers, msn)
			_, there := source.Init(epoch)
			require.True(t, there)
		}
	}
	require.Empty(t, checkPlaylists(v, &rec).problems)
	return numbers, of
}

// TestStretchesHaveEachSegmentOnce: whatever comes when, the replays of a session that lasts have each of its segments once, in order, and none
// is much longer than it may be; each but the first begins with a key frame.
func TestStretchesHaveEachSegmentOnce(t *testing.T) {
	seeds := uint64(5)
	if testing.Short() {
		seeds = 2
	}
	for seed := range seeds {
		l := newLasting(t, seed)
		for l.at.Sub(l.begins) < 40*time.Minute {
			l.goOn(t, 1+l.rnd.IntN(120), false)
			if l.rnd.IntN(4) > 0 {
				l.work(t)
			}
		}
		before := l.replays(t)
		if len(before) > 0 {
			require.Nil(t, before[0].DeletedAt)
		}
		l.r.end(recordedSession)
		l.work(t)
		all := l.replays(t)
		require.Greater(t, len(all), 5, "seed %d", seed)
		require.GreaterOrEqual(t, len(all), len(before))
		var have []int64
		for i, v := range all {
			numbers, of := l.listed(t, v)
			if i > 0 {
				require.True(t, l.whole[v.FirstMSN], "seed %d: stretch %d begins with %d", seed, i, v.FirstMSN)
			}
			require.LessOrEqual(t, of.Duration, 5*time.Minute+stretchSettles+time.Minute, "seed %d, stretch %d", seed, i)
			have = append(have, numbers...)
		}
		require.Equal(t, l.shown, have, "seed %d", seed)
		rest, err := l.r.db.Read(t.Context()).ListStretches(recordedSession)
		require.NoError(t, err)
		for i := range rest {
			require.Equal(t, db.RecordingMade, rest[i].State)
			if i > 0 {
				require.Equal(t, rest[i-1].LastMSN+1, rest[i].FirstMSN)
			}
		}
	}
}

// TestAStretchCanBeWatchedWhileTheSessionGoesOn also says when: a minute behind its end, and not before.
func TestAStretchCanBeWatchedWhileTheSessionGoesOn(t *testing.T) {
	l := newLasting(t, 1)
	for len(l.replays(t)) == 0 {
		require.Less(t, l.at.Sub(l.begins), 7*time.Minute)
		l.goOn(t, 5, false)
		l.work(t)
	}
	first := l.replays(t)[0]
	numbers, of := l.listed(t, first)
	require.GreaterOrEqual(t, of.Duration, 4*time.Minute)
	require.GreaterOrEqual(t, l.at.Sub(l.begins), 6*time.Minute)
	rec, err := l.r.db.Read(t.Context()).LastStretch(recordedSession)
	require.NoError(t, err)
	require.Equal(t, db.RecordingRunning, rec.State)
	require.Equal(t, first.LastMSN+1, rec.FirstMSN)
	l.goOn(t, 60, false)
	again, _ := l.listed(t, first)
	require.Equal(t, numbers, again)
	// A restart takes the session up where it is.
	l.r.begin(recordedSession, l.stream, true)
	l.r.note(t.Context())
	stretches, err := l.r.db.Read(t.Context()).ListStretches(recordedSession)
	require.NoError(t, err)
	require.Len(t, stretches, 2)
}

// TestASourceWithoutKeyFramesIsCutAllTheSame, once it has been waited for one.
func TestASourceWithoutKeyFramesIsCutAllTheSame(t *testing.T) {
	l := newLasting(t, 3)
	l.goOn(t, 1, true)
	l.epoch = max(l.epoch, 1)
	for l.at.Sub(l.begins) < 5*time.Minute+stretchPatience {
		l.goOn(t, 20, true)
	}
	l.work(t)
	for _, v := range l.replays(t) {
		_, of := l.listed(t, v)
		require.LessOrEqual(t, of.Duration, 5*time.Minute+stretchPatience+time.Minute)
	}
	l.r.end(recordedSession)
	l.work(t)
	var have []int64
	for _, v := range l.replays(t) {
		numbers, _ := l.listed(t, v)
		have = append(have, numbers...)
	}
	require.True(t, slices.Equal(l.shown, have))
}

// TestRowsOfAStreamThatIsNotThereKeepNoOtherWaiting: they waited on the disk while another database was put in place.
func TestRowsOfAStreamThatIsNotThereKeepNoOtherWaiting(t *testing.T) {
	r, of := recorderOf(t, slog.New(slog.DiscardHandler))
	rows := segmentRows{r.db, false, slog.New(slog.DiscardHandler)}
	var some []packager.SegmentRow
	for i := range 6 {
		id := of
		if i%2 == 0 {
			id = "0198f2a0-0000-7000-8000-00000000dead"
		}
		some = append(some, packager.SegmentRow{StreamID: id, SessionID: recordedSession, Rendition: "source", MSN: uint64(i), Start: time.Unix(1, 0)})
	}
	require.NoError(t, rows.AddSegments(some))
	found, err := r.db.Read(t.Context()).ListSegments(recordedSession, "source", 0, 10)
	require.NoError(t, err)
	require.Len(t, found, 3)
}
