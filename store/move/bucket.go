package move

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"mediad/store/blob"
	"mediad/store/db"
)

// ToBucket stores every segment that lies in a local file alone as an object of the bucket, reads it back, and notes it in its row; and what the
// platform keeps of its users, under the same names. Then replays and clips are to be had from the bucket. Files stay; playlists and pictures of
// videos follow at the server's next start.
func ToBucket(ctx context.Context, d *db.DB, local, bucket blob.Store, names Names, o Options) (Counts, error) {
	b := toBucket{d: d, local: local, bucket: bucket, names: names, o: o.withDefaults()}
	err := sessions(ctx, d, func(of recorded) error {
		if err := b.inits(ctx, of); err != nil {
			return err
		}
		return segments(ctx, d, of, func(rows []db.Segment) error { return b.page(ctx, of, rows) })
	})
	if err == nil {
		err = b.others(ctx)
	}
	return b.n.counts(), err
}

// others stores what the platform keeps of its users: everything that is of no broadcast and no video, whatever it is.
func (b *toBucket) others(ctx context.Context) error {
	o := b.o
	o.Skip = func(key string) bool {
		return slices.ContainsFunc([]string{"live/", "vod/", "rows/"}, func(folder string) bool { return strings.HasPrefix(key, folder) })
	}
	return each(ctx, b.local, o, func(ctx context.Context, i blob.Info) error {
		return copyObject(ctx, described{b.local, b.names.Other}, b.bucket, i, &b.n)
	}, func() { o.Progress(b.n.counts()) })
}

// described is a store that says what goes with its objects, where it does not keep that itself.
type described struct {
	blob.Store
	meta func(key string) blob.Meta
}

func (d described) Stat(ctx context.Context, key string) (blob.Info, error) {
	info, err := d.Store.Stat(ctx, key)
	info.Meta = d.meta(key)
	return info, err
}

type toBucket struct {
	d             *db.DB
	local, bucket blob.Store
	names         Names
	o             Options
	n             counters
}

// inits stores the headers of a session. Those of a clip go with its playlists.
func (b *toBucket) inits(ctx context.Context, of recorded) error {
	if of.clip {
		return nil
	}
	tracks, err := b.d.Read(ctx).ListTracks(of.id)
	if err != nil {
		return fmt.Errorf("move: %w", err)
	}
	for _, t := range tracks {
		if err := b.store(ctx, b.names.Init(of.slug, t.Rendition, t.Epoch), t.Init, b.names.Meta(t.Rendition)); err != nil {
			return err
		}
	}
	return nil
}

// page stores the segments of some rows of one rendition.
func (b *toBucket) page(ctx context.Context, of recorded, rows []db.Segment) error {
	var mu sync.Mutex // guards stored
	var stored []int64
	g, sending := errgroup.WithContext(ctx)
	g.SetLimit(b.o.AtOnce)
	for i := range rows {
		s := &rows[i]
		if s.Bucket == db.BucketStored || s.BlobKey == "" || s.Gap || s.Bytes == 0 {
			continue
		}
		key := s.BlobKey // of a clip's own: the name is the same in both places
		if !of.clip {
			key = b.names.Segment(of.slug, s.Rendition, s.Epoch, s.MSN)
		}
		g.Go(func() error {
			data, err := read(sending, b.local, s.BlobKey, s.BlobOffset, s.Bytes)
			if errors.Is(err, blob.ErrNotExist) || errors.Is(err, io.ErrUnexpectedEOF) {
				b.n.gone.Add(1)
				return nil
			}
			if err == nil {
				err = b.store(sending, key, data, b.names.Meta(s.Rendition))
			}
			if err != nil {
				return fmt.Errorf("move: segment %d of %s, session %s: %w", s.MSN, s.Rendition, of.id, err)
			}
			mu.Lock()
			defer mu.Unlock()
			stored = append(stored, s.MSN)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return inPieces(ctx, b.d, stored, func(q db.Queries, msn int64) error {
		_, err := q.MarkStored(of.id, rows[0].Rendition, msn)
		return err
	})
}

// inPieces calls fn for each of many in transactions of some.
func inPieces[T any](ctx context.Context, d *db.DB, all []T, fn func(db.Queries, T) error) error {
	for len(all) > 0 {
		some := all[:min(markAtOnce, len(all))]
		all = all[len(some):]
		err := d.Tx(ctx, func(q db.Queries) error {
			for _, one := range some {
				if err := fn(q, one); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("move: %w", err)
		}
	}
	return nil
}

// store stores what the bucket does not have with the same bytes.
func (b *toBucket) store(ctx context.Context, key string, data []byte, m blob.Meta) error {
	want := sha256.Sum256(data)
	info, err := b.bucket.Stat(ctx, key)
	if err != nil && !errors.Is(err, blob.ErrNotExist) {
		return err
	}
	counted := func(objects, size interface{ Add(int64) int64 }) {
		objects.Add(1)
		size.Add(int64(len(data)))
		b.o.Progress(b.n.counts())
	}
	if err == nil && info.Size == int64(len(data)) {
		there, err := sumOf(ctx, b.bucket, key)
		if err != nil {
			return err
		}
		if there == want {
			counted(&b.n.same, &b.n.sameBytes)
			return nil
		}
	}
	if err := b.bucket.Put(ctx, key, bytes.NewReader(data), int64(len(data)), m); err != nil {
		return err
	}
	there, err := sumOf(ctx, b.bucket, key)
	if err == nil && there != want {
		err = fmt.Errorf("%w: %s was read back with other bytes", ErrDiffers, key)
	}
	if err == nil {
		counted(&b.n.copied, &b.n.copiedBytes)
	}
	return err
}

func read(ctx context.Context, s blob.Store, key string, offset, size int64) ([]byte, error) {
	r, err := s.Open(ctx, key, offset, size)
	if err != nil {
		return nil, err
	}
	data := make([]byte, size)
	if _, err = io.ReadFull(r, data); errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return data, errors.Join(err, r.Close())
}
