package main

import (
	"context"
	"slices"

	"mediad/packager"
	"mediad/packager/archive"
	"mediad/store/db"
)

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

// archiveRows is the archive's memory in the segment table. One goroutine at a time asks for Pending; the others may come together.
type archiveRows struct {
	db *db.DB
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
	rows, err := q.PendingSegments(after.Session, after.Rendition, int64(after.MSN), limit)
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
