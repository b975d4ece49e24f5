package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mediad/configs"
	"mediad/internal/metrics"
	"mediad/packager"
	"mediad/packager/archive"
	"mediad/packager/playlist"
	"mediad/store/blob"
	"mediad/store/blob/disk"
	"mediad/store/blob/s3"
	"mediad/store/db"
	"mediad/store/retention"
)

// openBlobs opens the local disk and, where blob.url names one, the bucket behind it. A bucket that is away keeps nobody from starting.
func (n *node) openBlobs(r prometheus.Registerer) error {
	target, err := configs.ParseBlobURL(n.config.Blob.URL)
	if err != nil {
		return fmt.Errorf("blob.url %w", err)
	}
	if n.blobs, err = disk.Open(blobDir(n.config, target)); err != nil {
		return fmt.Errorf("data_dir: %w", err)
	}
	if target.Bucket == "" {
		return nil
	}
	store, err := s3.Open(context.Background(), bucketOptions(target, n.config))
	if err != nil {
		return fmt.Errorf("blob.url: %w", err)
	}
	n.bucketCheck = store.Check
	n.bucket = blob.Observe(blob.NewGuard(store, blob.GuardOptions{}), metrics.NewBlobs(r))
	n.archive = archive.New(archive.Options{
		Local: n.blobs, Bucket: n.bucket, Rows: archiveRows{n.site.db, n.site.keeper()}, Listed: n.site.policies.Open, Log: n.log, Now: n.now,
		Observer: metrics.NewArchive(r, func() int { return n.archive.State().Waiting }),
	})
	return nil
}

// blobDir is where objects lie on the local disk.
func blobDir(c *configs.Config, target configs.BlobTarget) string {
	if target.Dir != "" {
		return target.Dir
	}
	return filepath.Join(c.DataDir, "blobs")
}

// hooks are how the packager tells the archive; nil: there is none.
func (n *node) archiveHooks() packager.Archive {
	if n.archive == nil {
		return nil
	}
	return archiveHooks{n.archive}
}

// bucketTrouble is what keeps segments from the bucket, for the probes.
func (n *node) bucketTrouble(context.Context) error {
	s := n.archive.State()
	if s.Err == nil {
		return nil
	}
	return fmt.Errorf("%d segments wait on the local disk since %s: %w; mediad doctor says what to do", s.Waiting,
		s.FailingSince.UTC().Format(time.RFC3339), s.Err)
}

// watchBucket says at the start, in words that help, whether the bucket can be used.
func (n *node) watchBucket(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, bucketTimeout)
	defer cancel()
	if err := n.bucketCheck(limited); err != nil && ctx.Err() == nil {
		n.log.Error("the bucket cannot be used; live goes on, and segments wait on the local disk: mediad doctor says what to do", "error", err)
	}
	return nil
}

// retentionBucket is the bucket as retention wants it; nil: there is none.
func retentionBucket(store blob.Store) *retention.Bucket {
	if store == nil {
		return nil
	}
	return &retention.Bucket{
		Store: store,
		Segment: func(stream, rendition string, epoch, msn int64) string {
			return archive.SegmentKey(stream, rendition, epoch, uint64(msn))
		},
		Init: archive.InitKey,
		Meta: archive.SegmentMeta,
		Playlist: func(stream, rendition string) string {
			return "live/" + stream + "/" + rendition + "/" + playlist.MediaPlaylist
		},
	}
}

// archiveHooks lets the archive know what the packager has completed.
type archiveHooks struct{ of *archive.Archive }

func (h archiveHooks) Track(stream string, r packager.TrackRow) {
	h.of.Track(archive.Track{Stream: stream, Session: r.SessionID, Rendition: r.Rendition, Epoch: r.Epoch, Init: r.Init})
}

func (h archiveHooks) Segment(s packager.ArchiveSegment) {
	h.of.Segment(archive.Segment{
		Stream: s.Stream, Session: s.SessionID, Rendition: s.Rendition, Epoch: s.Epoch, MSN: s.MSN, Start: s.Start, Duration: s.Duration,
		Bytes: s.Bytes, Key: s.Key, Offset: s.Offset, Data: s.Data, Discontinuity: s.Discontinuity, Gap: s.Gap, Independent: s.Independent,
		Discontinuities: s.Discontinuities, Target: s.Target,
	})
}

func (h archiveHooks) Multivariant(stream string, plain []byte) { h.of.Multivariant(stream, plain) }
func (h archiveHooks) End(stream, session string)               { h.of.End(stream, session) }

// archiveRows is the archive's memory in the segment table.
type archiveRows struct {
	db   *db.DB
	node string // whose disk has what is pending; "": there is no other
}

// MarkStored implements archive.Rows.
func (r archiveRows) MarkStored(ctx context.Context, stored []archive.Stored) (early []archive.Stored, err error) {
	err = r.db.Tx(ctx, func(q db.Queries) error {
		early = nil
		for _, s := range stored {
			mark := q.MarkStored
			if s.Lost {
				mark = q.MarkLost
			}
			there, err := mark(s.Session, s.Rendition, int64(s.MSN))
			if err != nil {
				return err
			}
			if !there {
				early = append(early, s)
			}
		}
		return nil
	})
	return early, err
}

// Pending implements archive.Rows.
func (r archiveRows) Pending(ctx context.Context, after archive.Position, limit int) ([]archive.Segment, error) {
	q := r.db.Read(ctx)
	rows, err := q.PendingSegments(r.node, after.Session, after.Rendition, int64(after.MSN), limit)
	if err != nil {
		return nil, err
	}
	return r.segments(q, rows)
}

// Recent implements archive.Rows.
func (r archiveRows) Recent(ctx context.Context, session, rendition string, below uint64, limit int) ([]archive.Segment, error) {
	q := r.db.Read(ctx)
	rows, err := q.NewestStored(session, rendition, int64(below), limit)
	if err != nil {
		return nil, err
	}
	slices.Reverse(rows)
	return r.segments(q, rows)
}

// Inits implements archive.Rows.
func (r archiveRows) Inits(ctx context.Context, session string) ([]archive.Track, error) {
	q := r.db.Read(ctx)
	s, err := q.FindSession(session)
	if err != nil {
		return nil, err
	}
	of, err := q.FindStream(s.StreamID)
	if err != nil {
		return nil, err
	}
	rows, err := q.ListTracks(session)
	if err != nil {
		return nil, err
	}
	out := make([]archive.Track, len(rows))
	for i, t := range rows {
		out[i] = archive.Track{Stream: of.Slug, Session: session, Rendition: t.Rendition, Epoch: t.Epoch, Init: t.Init}
	}
	return out, nil
}

// segments names the streams of rows.
func (r archiveRows) segments(q db.Queries, rows []db.Segment) ([]archive.Segment, error) {
	slugs := make(map[string]string)
	out := make([]archive.Segment, len(rows))
	for i, s := range rows {
		slug, ok := slugs[s.StreamID]
		if !ok {
			of, err := q.FindStream(s.StreamID)
			if err != nil {
				return nil, err
			}
			slug = of.Slug
			slugs[s.StreamID] = slug
		}
		out[i] = archive.Segment{
			Stream: slug, Session: s.SessionID, Rendition: s.Rendition, Epoch: s.Epoch, MSN: uint64(s.MSN), Start: s.Start(), Duration: s.Duration(),
			Bytes: s.Bytes, Key: s.BlobKey, Offset: s.BlobOffset, Discontinuity: s.Discontinuity, Gap: s.Gap, Independent: s.Independent,
			Discontinuities: uint64(s.Discontinuities), Target: s.Target,
		}
	}
	return out, nil
}
