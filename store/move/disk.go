package move

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"mediad/store/blob"
	"mediad/store/db"
)

const (
	// fileSegments and fileBytes bound a file that segments are put together in: those that mediad writes have three minutes.
	fileSegments = 100
	fileBytes    = 256 << 20
)

// ToDisk brings what only the bucket has to the local disk, for a site that is to do without one: segments into files of their sessions, and of
// videos what is their own, and what the platform keeps of its users. Rows then say where it lies, and nothing of a bucket any more.
func ToDisk(ctx context.Context, d *db.DB, bucket, local blob.Store, names Names, o Options) (Counts, error) {
	b := toDisk{d: d, local: local, bucket: bucket, names: names, o: o.withDefaults()}
	o.Skip = func(key string) bool { return strings.HasSuffix(key, ".m3u8") || strings.HasSuffix(key, ".mp4") } // made of rows
	var err error
	for _, o.Prefix = range []string{"vod/", "picture/", "export/"} {
		own, failed := Objects(ctx, bucket, local, o)
		b.n.copied.Add(own.Copied.Objects)
		b.n.copiedBytes.Add(own.Copied.Bytes)
		b.n.same.Add(own.Same.Objects)
		b.n.sameBytes.Add(own.Same.Bytes)
		err = errors.Join(err, failed)
	}
	if err == nil {
		err = sessions(ctx, d, func(of recorded) error { return b.session(ctx, of) })
	}
	return b.n.counts(), err
}

type toDisk struct {
	d             *db.DB
	local, bucket blob.Store
	names         Names
	o             Options
	n             counters
}

func (b *toDisk) session(ctx context.Context, of recorded) error {
	err := segments(ctx, b.d, of, func(rows []db.Segment) error {
		for len(rows) > 0 {
			n, err := b.some(ctx, of, rows)
			if err != nil {
				return fmt.Errorf("move: session %s: %w", of.id, err)
			}
			rows = rows[n:]
		}
		return nil
	})
	if err != nil || of.clip {
		return err
	}
	return b.d.Tx(ctx, func(q db.Queries) error { return q.SetKept(of.id) })
}

// some brings the first rows, those that go into one file together, and says how many these were.
func (b *toDisk) some(ctx context.Context, of recorded, rows []db.Segment) (n int, err error) {
	var changed []db.Segment
	file := concat{ctx: ctx, from: b.bucket}
	name := fmt.Sprintf("live/%s/%s/%s-m%d.m4s", of.slug, of.id, rows[0].Rendition, rows[0].MSN)
	var size int64
	for n < len(rows) && n < fileSegments && size < fileBytes {
		s := rows[n]
		n++
		if s.Bucket == db.BucketNone {
			continue
		}
		if s.Bucket == db.BucketStored && s.BlobKey == "" && !s.Gap && s.Bytes > 0 {
			key := b.names.Segment(of.slug, s.Rendition, s.Epoch, s.MSN)
			info, err := b.bucket.Stat(ctx, key)
			switch {
			case errors.Is(err, blob.ErrNotExist) || err == nil && info.Size != s.Bytes:
				b.n.gone.Add(1)
			case err != nil:
				return n, err
			default:
				s.BlobKey, s.BlobOffset = name, size
				size += s.Bytes
				file.keys = append(file.keys, key)
			}
		}
		s.Bucket = db.BucketNone
		changed = append(changed, s)
	}
	if len(file.keys) > 0 {
		if err := errors.Join(put(ctx, b.local, name, &file, size, blob.Meta{}), file.Close()); err != nil {
			return n, err
		}
		b.n.copied.Add(int64(len(file.keys)))
		b.n.copiedBytes.Add(size)
		b.o.Progress(b.n.counts())
	}
	return n, inPieces(ctx, b.d, changed, func(q db.Queries, s db.Segment) error { return q.SetPlace(s) })
}

// concat reads objects one behind the other.
type concat struct {
	ctx  context.Context //nolint:containedctx // it lives no longer than the put that reads it
	from blob.Store
	keys []string
	at   int
	open io.ReadCloser
}

func (c *concat) Read(p []byte) (int, error) {
	for {
		if c.open == nil {
			if c.at == len(c.keys) {
				return 0, io.EOF
			}
			r, err := c.from.Open(c.ctx, c.keys[c.at], 0, -1)
			if err != nil {
				return 0, err
			}
			c.open = r
			c.at++
		}
		n, err := c.open.Read(p)
		if errors.Is(err, io.EOF) {
			if err = c.Close(); n == 0 && err == nil {
				continue
			}
		}
		return n, err
	}
}

func (c *concat) Close() error {
	if c.open == nil {
		return nil
	}
	err := c.open.Close()
	c.open = nil
	return err
}
