package main

import (
	"context"
	"errors"
	"fmt"
	"math"

	"mediad/api/video"
	"mediad/media"
	"mediad/packager"
	"mediad/packager/archive"
	"mediad/packager/replay"
	"mediad/store/db"
)

// segmentsAtOnce is how many rows are read at a time.
const segmentsAtOnce = 5000

// readRecording reads the rows of a session with numbers from first to last, and of the epochs that are in them.
func readRecording(ctx context.Context, d *db.DB, session string, first, last int64) (replay.Recording, error) {
	var rec replay.Recording
	q := d.Read(ctx)
	row, err := q.FindSession(session)
	if err != nil {
		return rec, err
	}
	if rec.Remote, err = remoteNames(q, row.StreamID); err != nil {
		return rec, err
	}
	names, err := q.ListRenditions(session)
	if err != nil {
		return rec, err
	}
	from, to := int64(math.MaxInt64), int64(0)
	for _, one := range names {
		r := replay.Rendition{Name: one.Rendition, Kind: kindOf(one.Kind)}
		if err := readSegments(q, session, &r, first, func(s *db.Segment) bool { return s.MSN <= last }); err != nil {
			return rec, err
		}
		if n := len(r.Segments); n > 0 {
			from, to = min(from, r.Segments[0].Epoch), max(to, r.Segments[n-1].Epoch)
		}
		rec.Renditions = append(rec.Renditions, r)
	}
	tracks, err := q.ListTracksOf(session, from, to)
	if err != nil {
		return rec, err
	}
	for i := range tracks {
		for j := range rec.Renditions {
			if r := &rec.Renditions[j]; r.Name == tracks[i].Rendition {
				err = errors.Join(err, addTrack(r, &tracks[i]))
			}
		}
	}
	return rec, err
}

func kindOf(name string) media.Kind {
	if name == media.Audio.String() {
		return media.Audio
	}
	return media.Video
}

// addTrack adds how an epoch is decoded.
func addTrack(r *replay.Rendition, t *db.SessionTrack) error {
	row := packager.TrackRow{Codec: t.Codec, Config: t.Config}
	track, err := row.Track()
	if err != nil {
		return fmt.Errorf("%s, epoch %d: %w", t.Rendition, t.Epoch, err)
	}
	r.Tracks = append(r.Tracks, replay.Track{Epoch: t.Epoch, Track: track, Init: t.Init})
	return nil
}

// readVideo reads the rows of a replay or a clip; video.ErrNotFound: it is neither.
func readVideo(ctx context.Context, d *db.DB, v db.Video) (replay.Recording, error) {
	switch {
	case v.SessionID == nil || v.StreamID == nil:
		return replay.Recording{}, video.ErrNotFound
	case v.Kind == db.KindClip:
		return readClip(ctx, d, v)
	default:
		return readRecording(ctx, d, *v.SessionID, v.FirstMSN, v.LastMSN)
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
	for i := range tracks {
		t := &tracks[i]
		if n := len(rec.Renditions); n == 0 || rec.Renditions[n-1].Name != t.Rendition {
			rec.Renditions = append(rec.Renditions, replay.Rendition{Name: t.Rendition, Kind: kindOf(t.Kind)})
		}
		if err := addTrack(&rec.Renditions[len(rec.Renditions)-1], t); err != nil {
			return rec, err
		}
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
			s := segmentOf(&rows[i])
			if n := len(r.Segments); n > 0 && r.Segments[n-1].Key == s.Key {
				s.Key = r.Segments[n-1].Key // one string a file, not a segment
			}
			r.Segments = append(r.Segments, s)
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
