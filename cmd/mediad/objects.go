package main

import (
	"context"
	"errors"
	"io"

	"mediad/api/object"
	"mediad/store/blob"
)

// objectStore lets the platform keep objects where media is kept: in the bucket, so that every node has them, and on the local disk where
// there is none. What was stored before there was a bucket is still on the disk.
type objectStore struct{ stores []blob.Store }

// use says where: bucket may be nil. It is called before the tasks of a server begin.
func (s *objectStore) use(bucket, local blob.Store) {
	s.stores = []blob.Store{local}
	if bucket != nil {
		s.stores = []blob.Store{bucket, local}
	}
}

var _ object.Store = (*objectStore)(nil)

// Put implements object.Store.
func (s *objectStore) Put(ctx context.Context, key string, r io.Reader, size int64, contentType string) error {
	return s.stores[0].Put(ctx, key, r, size, blob.Meta{ContentType: contentType, CacheControl: immutable})
}

// Open implements object.Store.
func (s *objectStore) Open(ctx context.Context, key string) (io.ReadCloser, int64, error) {
	for _, store := range s.stores {
		body, err := store.Open(ctx, key, 0, -1)
		if errors.Is(err, blob.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, 0, err
		}
		if known, ok := body.(blob.Describer); ok && known.Info().Key != "" {
			return body, known.Info().Size, nil
		}
		info, err := store.Stat(ctx, key)
		if err != nil {
			return nil, 0, errors.Join(err, body.Close())
		}
		return body, info.Size, nil
	}
	return nil, 0, object.ErrNotExist
}

// Delete implements object.Store.
func (s *objectStore) Delete(ctx context.Context, key string) error {
	var err error
	for _, store := range s.stores {
		err = errors.Join(err, store.Delete(ctx, key))
	}
	return err
}
