package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"mediad/api/video"
	"mediad/media"
	"mediad/packager/clip"
	"mediad/packager/playlist"
	"mediad/packager/replay"
	"mediad/store/blob"
	"mediad/store/db"
	"mediad/transcode"
)

// clipCutter makes the media of clips: it reads segments where they are, encodes the cut ends, and stores those on the local disk and, where
// there is one, in the bucket.
type clipCutter struct {
	db     *db.DB
	node   string // which reads the local disk, where others keep recordings in the same database; "": there are none
	local  blob.Store
	bucket blob.Store // nil: there is none
	log    *slog.Logger
}

// newClipping lets people cut clips out of what this node can read.
func (n *node) newClipping() *video.Clipping {
	return video.NewClipping(video.ClippingOptions{
		Service: n.site.videos, Cutter: clipCutter{db: n.site.db, node: n.site.keeper(), local: n.blobs, bucket: n.bucket, log: n.log}, Who: n.config.Clips, Most: n.config.Limits.Account.Clips,
	})
}

// clipWithin bounds the making of a clip. It takes a second or two, where the machine is not busy.
const clipWithin = time.Minute

// clipPutWithin bounds one put into the bucket: whoever waits for a clip waits for that, too.
const clipPutWithin = 2 * time.Second

// clipMargin is how much is read in front of a clip, for the key frame that it is decoded from.
const clipMargin = 40 * time.Second

// videoFolder is where a video has what is its own, below the path at which it is played.
func videoFolder(id string) string { return "vod/" + id + "/" }

func clipKey(id, rendition string, epoch int64, msn uint64) string {
	return string(playlist.AppendSegmentName([]byte(videoFolder(id)+rendition+"/"), epoch, msn))
}

// Cut implements video.Cutter.
func (c clipCutter) Cut(ctx context.Context, v db.Video, copied bool) (video.Cutting, error) {
	ctx, cancel := context.WithTimeout(ctx, clipWithin)
	defer cancel()
	from, to := time.Unix(0, *v.FromNS).UTC(), time.Unix(0, *v.ToNS).UTC()
	rec, err := readStretch(ctx, c.db, *v.SessionID, *v.StreamID, from.Add(-clipMargin), to)
	if err != nil {
		return video.Cutting{}, err
	}
	plan, err := clip.NewPlan(&rec, from, to)
	var made *clip.Made
	if err == nil {
		made, err = plan.Make(ctx, clip.Options{
			Copy: copied,
			Read: func(ctx context.Context, rendition string, s *replay.Segment) ([]byte, error) {
				return c.read(ctx, *v.SessionID, rendition, s, rec.Remote)
			},
			Encode: func(ctx context.Context, of *media.Track, units []media.AccessUnit, from, to media.Ticks, bitrate int64) (*media.Track, []media.AccessUnit, error) {
				return transcode.EncodeStretch(ctx, transcode.Stretch{Track: of, Units: units, From: from, To: to, MaxBitrate: bitrate, Log: c.log})
			},
		})
	}
	if errors.Is(err, clip.ErrOutside) || errors.Is(err, blob.ErrNotExist) {
		err = fmt.Errorf("%w: %w", video.ErrOutside, err)
	}
	if err != nil {
		return video.Cutting{}, err
	}
	return c.store(ctx, v, made)
}

// read reads a segment from the local disk, else from the bucket. video.ErrElsewhere, wrapped, where it is stored and neither has it.
func (c clipCutter) read(ctx context.Context, session, rendition string, s *replay.Segment, remote func(string, int64, uint64) string) ([]byte, error) {
	var r io.ReadCloser
	err := blob.ErrNotExist
	if s.Key != "" {
		r, err = c.local.Open(ctx, s.Key, s.Offset, s.Bytes)
	}
	if errors.Is(err, blob.ErrNotExist) && c.bucket != nil && s.Stored {
		r, err = c.bucket.Open(ctx, remote(rendition, s.Epoch, s.MSN), 0, -1)
	}
	if errors.Is(err, blob.ErrNotExist) && s.Key != "" {
		err = c.elsewhere(ctx, session, rendition, s, err)
	}
	if err != nil {
		return nil, fmt.Errorf("segment %d of %s: %w", s.MSN, rendition, err)
	}
	defer r.Close()
	b := make([]byte, s.Bytes)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, fmt.Errorf("segment %d of %s: %w", s.MSN, rendition, err)
	}
	return b, nil
}

// elsewhere tells a segment that retention has taken meanwhile from one that is on another node's disk: the one has no row any more.
func (c clipCutter) elsewhere(ctx context.Context, session, rendition string, s *replay.Segment, err error) error {
	rows, readErr := c.db.Read(ctx).ListSegments(session, rendition, int64(s.MSN), 1)
	if readErr != nil {
		return readErr
	}
	if len(rows) == 1 && rows[0].MSN == int64(s.MSN) && rows[0].BlobKey == s.Key && rows[0].Bucket != db.BucketStored {
		return video.ErrElsewhere
	}
	return err
}

// store stores what a clip has of its own, and tells its rows.
func (c clipCutter) store(ctx context.Context, v db.Video, made *clip.Made) (video.Cutting, error) {
	out := video.Cutting{From: made.From, To: made.To}
	var rec replay.Recording
	for i := range made.Renditions {
		r := &made.Renditions[i]
		one := replay.Rendition{Name: r.Name, Kind: r.Kind, Tracks: r.Tracks}
		for _, t := range r.Tracks {
			out.Tracks = append(out.Tracks, db.SessionTrack{
				SessionID: v.ID, Rendition: r.Name, Epoch: t.Epoch, Kind: r.Kind.String(), Codec: t.Track.Codec.String(), Config: t.Track.Config, Init: t.Init,
			})
		}
		for j := range r.Segments {
			s := &r.Segments[j]
			row := db.Segment{
				SessionID: v.ID, Rendition: r.Name, MSN: int64(s.MSN), StreamID: *v.StreamID, Epoch: s.Epoch, StartNS: s.Start.UnixNano(),
				DurationNS: int64(s.Duration), Bytes: s.Bytes, Discontinuity: s.Discontinuity, Gap: s.Gap, Independent: s.Independent,
			}
			if s.Data != nil {
				stored, err := c.put(ctx, *v.SessionID, clipKey(v.ID, r.Name, s.Epoch, s.MSN), r.Kind, s.Data)
				if err != nil {
					return out, err
				}
				row.BlobKey = clipKey(v.ID, r.Name, s.Epoch, s.MSN)
				if stored {
					row.Bucket = db.BucketStored
				}
				s.Key = row.BlobKey
			}
			out.Segments = append(out.Segments, row)
			one.Segments = append(one.Segments, s.Segment)
		}
		rec.Renditions = append(rec.Renditions, one)
	}
	shown, err := replay.New(rec)
	if err != nil {
		return out, err
	}
	out.Facts = factsOf(shown)
	return out, nil
}

// put stores an object, and tells whether it is in the bucket, too. The local disk has it in any case and keeps it; bucketVideos brings to the bucket
// what could not be stored there. That it does on the node that keeps the session, which does not read this disk if it is another one: then
// what is not in the bucket is video.ErrStorage.
func (c clipCutter) put(ctx context.Context, session, key string, kind media.Kind, data []byte) (bucket bool, err error) {
	meta := blob.Meta{ContentType: kind.String() + "/mp4", CacheControl: immutable}
	if err := c.local.Put(ctx, key, bytes.NewReader(data), int64(len(data)), meta); err != nil || c.bucket == nil {
		return false, err
	}
	limited, cancel := context.WithTimeout(ctx, clipPutWithin)
	defer cancel()
	if err := c.bucket.Put(limited, key, bytes.NewReader(data), int64(len(data)), meta); err != nil {
		others, failed := c.db.Read(ctx).KeptElsewhere(session, c.node)
		if failed != nil {
			return false, failed
		}
		if others {
			return false, fmt.Errorf("%w: %s: %w", video.ErrStorage, key, err)
		}
		c.log.Warn("a cut end of a clip is on the local disk alone for now", "object", key, "error", err)
		return false, nil
	}
	return true, nil
}

// Discard implements video.Cutter.
func (c clipCutter) Discard(ctx context.Context, id string) error {
	for _, store := range []blob.Store{c.local, c.bucket} {
		if store == nil {
			continue
		}
		if err := blob.DeletePrefix(ctx, store, videoFolder(id)); err != nil {
			return err
		}
	}
	return nil
}

// readStretch reads the rows of a stretch of a session.
func readStretch(ctx context.Context, d *db.DB, session, streamID string, from, to time.Time) (replay.Recording, error) {
	q := d.Read(ctx)
	rec, err := readTracks(q, session)
	if err != nil {
		return rec, err
	}
	if rec.Remote, err = remoteNames(q, streamID); err != nil {
		return rec, err
	}
	for i := range rec.Renditions {
		r := &rec.Renditions[i]
		first, err := msnAt(q, session, r.Name, 0, from)
		if err == nil {
			err = readSegments(q, session, r, first, func(s *db.Segment) bool { return s.Start().Before(to) })
		}
		if err != nil {
			return rec, err
		}
	}
	return rec, nil
}

// msnAt is the number of the newest segment of a rendition, from a number on, that begins at a moment or before, or of its first.
func msnAt(q db.Queries, session, rendition string, from int64, at time.Time) (int64, error) {
	first, err := q.ListSegments(session, rendition, from, 1)
	if err != nil || len(first) == 0 {
		return 0, err
	}
	last, err := q.NewestOf(session, rendition)
	if err != nil {
		return 0, err
	}
	lo, hi := first[0].MSN, last.MSN
	for lo < hi {
		mid := lo + (hi-lo+1)/2
		rows, err := q.ListSegments(session, rendition, mid, 1)
		if err != nil {
			return 0, err
		}
		if len(rows) > 0 && !rows[0].Start().After(at) {
			lo = rows[0].MSN
		} else {
			hi = mid - 1
		}
	}
	return lo, nil
}

// readClip reads the rows of a clip. What it does not have of its own is where its session's segments are.
func readClip(ctx context.Context, d *db.DB, v db.Video) (replay.Recording, error) {
	q := d.Read(ctx)
	rec, err := readTracks(q, v.ID)
	if err != nil {
		return rec, err
	}
	session, err := remoteNames(q, *v.StreamID)
	if err != nil {
		return rec, err
	}
	own := make(map[string]bool)
	name := func(rendition string, msn uint64) string { return fmt.Sprint(rendition, "/", msn) }
	rec.Remote = func(rendition string, epoch int64, msn uint64) string {
		if own[name(rendition, msn)] {
			return clipKey(v.ID, rendition, epoch, msn)
		}
		return session(rendition, epoch, msn)
	}
	for i := range rec.Renditions {
		r := &rec.Renditions[i]
		if err := readSegments(q, v.ID, r, 0, func(*db.Segment) bool { return true }); err != nil {
			return rec, err
		}
		if len(r.Segments) == 0 {
			continue
		}
		whole, err := q.ListSegments(*v.SessionID, r.Name, int64(r.Segments[0].MSN), len(r.Segments)+1)
		if err != nil {
			return rec, err
		}
		there := make(map[uint64]replay.Segment, len(whole))
		for j := range whole {
			there[uint64(whole[j].MSN)] = segmentOf(&whole[j])
		}
		for j := range r.Segments {
			s := &r.Segments[j]
			if s.Key != "" {
				own[name(r.Name, s.MSN)] = true
				continue
			}
			of := there[s.MSN]
			s.Key, s.Offset, s.Stored, s.Gap = of.Key, of.Offset, of.Stored, s.Gap || of.Gap
		}
	}
	return rec, nil
}
