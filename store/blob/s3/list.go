package s3

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/minio/minio-go/v7"

	"mediad/store/blob"
)

// List implements blob.Store: a page of 1000 keys at a time, none of which is open while fn runs.
func (s *Store) List(ctx context.Context, prefix string, fn func(blob.Info) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !mayBegin(prefix) {
		return nil
	}
	after, size := "", pageSize
	if s.options.page > 0 {
		size = s.options.page
	}
	for {
		var (
			page []minio.ObjectInfo
			more bool
		)
		err := s.repeat(ctx, 0, func(ctx context.Context) (err error) {
			page, more, err = s.page(ctx, prefix, after, size)
			return err
		})
		if err != nil {
			return fmt.Errorf("list %q: %w", prefix, err)
		}
		for _, o := range page {
			if err := ctx.Err(); err != nil {
				return err
			}
			key, ours := s.key(o.Key)
			if !ours {
				continue
			}
			if err := fn(blob.Info{Key: key, Size: o.Size, Modified: o.LastModified}); err != nil {
				return err
			}
		}
		if !more {
			return nil
		}
		after = page[len(page)-1].Key
	}
}

// mayBegin says whether a key can begin with prefix; servers have opinions of their own about others.
func mayBegin(prefix string) bool {
	rest := prefix
	if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
		if blob.ValidateKey(prefix[:i]) != nil {
			return false
		}
		rest = prefix[i+1:]
	}
	return rest == "" || blob.ValidateKey(rest+"a") == nil
}

const pageSize = 1000

// page is up to size names after the given one, and whether there may be more.
func (s *Store) page(ctx context.Context, prefix, after string, size int) (names []minio.ObjectInfo, more bool, err error) {
	root := prefix
	if s.options.Prefix != "" {
		root = s.options.Prefix + "/" + prefix
	}
	// The library would ask for page after page under one deadline; it is stopped after the first, and asked anew.
	options := minio.ListObjectsOptions{Prefix: root, Recursive: true, StartAfter: after, MaxKeys: size}
	for o := range s.core.ListObjectsIter(ctx, s.options.Bucket, options) {
		if o.Err != nil {
			return nil, false, o.Err
		}
		names = append(names, o)
		if len(names) == size {
			return names, true, nil
		}
	}
	return names, false, ctx.Err()
}

// Delete implements blob.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := errors.Join(blob.ValidateKey(key), ctx.Err()); err != nil {
		return err
	}
	if err := s.remove(ctx, s.name(key)); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

func (s *Store) remove(ctx context.Context, name string) error {
	err := s.repeat(ctx, 0, func(ctx context.Context) error {
		return s.core.RemoveObject(ctx, s.options.Bucket, name, minio.RemoveObjectOptions{})
	})
	if notThere(err) {
		return nil
	}
	return err
}

// notThere also covers what a server that is a folder says of a key that is a folder, or lies below an object.
func notThere(err error) bool { return errors.Is(err, blob.ErrNotExist) || errors.Is(err, blob.ErrKey) }

// DeleteAll implements blob.BulkDeleter: 1000 keys a request. A request that fails as a whole is sent again, a key that the
// server kept is not.
func (s *Store) DeleteAll(ctx context.Context, keys []string) error {
	failed := map[string]error{}
	for batch := range slices.Chunk(keys, pageSize) {
		s.deleteBatch(ctx, batch, failed)
	}
	if len(failed) > 0 {
		return &blob.DeleteError{Failed: failed}
	}
	return nil
}

func (s *Store) deleteBatch(ctx context.Context, keys []string, failed map[string]error) {
	names := make([]minio.ObjectInfo, 0, len(keys))
	for _, key := range keys {
		if err := blob.ValidateKey(key); err != nil {
			failed[key] = err
			continue
		}
		names = append(names, minio.ObjectInfo{Key: s.name(key)})
	}
	if len(names) == 0 {
		return
	}
	var kept map[string]error
	err := s.repeat(ctx, 0, func(ctx context.Context) error {
		kept = map[string]error{}
		results, err := s.core.RemoveObjectsWithIter(ctx, s.options.Bucket, slices.Values(names), minio.RemoveObjectsOptions{})
		if err != nil {
			return err
		}
		answered := 0
		for r := range results {
			if r.Err == nil {
				answered++
				continue
			}
			if status, ok := errors.AsType[minio.ErrorResponse](r.Err); !ok || status.StatusCode != 0 {
				return r.Err // the request's, not the key's
			}
			answered++
			kept[r.ObjectName] = mapError(r.Err)
		}
		if answered == 0 { // the context was done before the request
			return errors.Join(ctx.Err(), blob.ErrTemporary)
		}
		return nil
	})
	for _, n := range names {
		key, _ := s.key(n.Key)
		if err != nil {
			failed[key] = err
		} else if e := kept[n.Key]; e != nil && !notThere(e) {
			failed[key] = e
		}
	}
}
