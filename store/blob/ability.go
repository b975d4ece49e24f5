package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"
)

// Unwrapper is what decorators have: the store that they decorate.
type Unwrapper interface{ Unwrap() Store }

// As finds an optional ability: of s itself, or of the first store inside it that has it.
func As[T any](s Store) (T, bool) {
	for {
		if ability, ok := s.(T); ok {
			return ability, true
		}
		inner, ok := s.(Unwrapper)
		if !ok {
			var none T
			return none, false
		}
		s = inner.Unwrap()
	}
}

// Describer is an optional ability of the readers of Open: what was opened, without another request. Size is the whole
// object's, whatever the range.
type Describer interface{ Info() Info }

// Creator is an optional ability: put only where there is nothing yet, decided by the store itself.
type Creator interface {
	// Create is Put, but returns ErrExist and changes nothing where the key holds an object. Where the server behind the
	// store cannot decide it, Create returns errors.ErrUnsupported and stores nothing; so may it for a body over 5 MiB.
	// After ErrTemporary the object may or may not be there.
	Create(ctx context.Context, key string, r io.Reader, size int64, m Meta) error
}

// Create creates by the ability of s, and returns errors.ErrUnsupported where it has none.
func Create(ctx context.Context, s Store, key string, r io.Reader, size int64, m Meta) error {
	c, ok := As[Creator](s)
	if !ok {
		return fmt.Errorf("blob: create: %w", errors.ErrUnsupported)
	}
	return c.Create(ctx, key, r, size, m)
}

// BulkDeleter is an optional ability: delete many objects with few requests.
type BulkDeleter interface {
	// DeleteAll deletes every key, as Delete does each. Whatever was not deleted is in the *DeleteError it then returns.
	DeleteAll(ctx context.Context, keys []string) error
}

// DeleteError says which keys were not deleted, and why.
type DeleteError struct{ Failed map[string]error }

func (e *DeleteError) Error() string {
	first := slices.Min(slices.Collect(maps.Keys(e.Failed)))
	return fmt.Sprintf("blob: %d objects not deleted, the first %s: %v", len(e.Failed), first, e.Failed[first])
}

// Unwrap makes errors.Is see every key's error.
func (e *DeleteError) Unwrap() []error { return slices.Collect(maps.Values(e.Failed)) }

// DeleteAll deletes by the ability of s, and one by one where it has none.
func DeleteAll(ctx context.Context, s Store, keys []string) error {
	if b, ok := As[BulkDeleter](s); ok {
		return b.DeleteAll(ctx, keys)
	}
	failed := map[string]error{}
	for _, key := range keys {
		if err := s.Delete(ctx, key); err != nil {
			failed[key] = err
		}
	}
	return deleteError(failed)
}

// DeletePrefix deletes every object whose key begins with prefix, as DeleteAll does.
func DeletePrefix(ctx context.Context, s Store, prefix string) error {
	var keys []string
	err := s.List(ctx, prefix, func(i Info) error {
		keys = append(keys, i.Key)
		return nil
	})
	if err != nil || len(keys) == 0 {
		return err
	}
	return DeleteAll(ctx, s, keys)
}

// deleteError is nil where nothing failed.
func deleteError(failed map[string]error) error {
	if len(failed) == 0 {
		return nil
	}
	return &DeleteError{Failed: failed}
}

// Signed is a request that whoever holds it may send until it expires, without credentials. Every header in Header must
// be sent as it is here.
type Signed struct {
	Method, URL string
	Header      map[string]string
	Expires     time.Time
}

// GetOptions of PresignGet.
type GetOptions struct {
	// Expires is for how long the request is good, 1 s to 7 days; 0: 15 minutes.
	Expires time.Duration
	// ContentType and Disposition, where not empty, are answered instead of what is stored.
	ContentType, Disposition string
}

// Presigner is an optional ability: requests signed for others, so that bytes need not pass through this process. No method
// asks the server: a missing object shows only when the request is sent.
type Presigner interface {
	PresignGet(ctx context.Context, key string, o GetOptions) (Signed, error)
	// PresignPut is for a body of exactly size bytes, stored with m; expires as in GetOptions.
	PresignPut(ctx context.Context, key string, size int64, m Meta, expires time.Duration) (Signed, error)
}

// MaxParts is how many parts an upload may have; MinPart is the smallest size of a part but the last, in bytes.
const (
	MaxParts = 10000
	MinPart  = 5 << 20
)

// Part is one part of an upload, numbered from 1.
type Part struct {
	Number int
	Size   int64
	// ETag is what the server answered to the part.
	ETag string
}

// Uploader is an optional ability: uploads in parts that others send, in any order, side by side and again after a failure.
type Uploader interface {
	// StartUpload begins the upload of an object and returns its id, which is good until FinishUpload or AbortUpload.
	StartUpload(ctx context.Context, key string, m Meta) (id string, err error)
	// PresignPart is for a part of exactly size bytes.
	PresignPart(ctx context.Context, key, id string, part int, size int64, expires time.Duration) (Signed, error)
	// UploadedParts lists what has come, by number.
	UploadedParts(ctx context.Context, key, id string) ([]Part, error)
	// FinishUpload makes the object of the parts, which appears whole. ErrNotExist: there is no such upload (any more).
	FinishUpload(ctx context.Context, key, id string, parts []Part) error
	// AbortUpload forgets the upload and its parts. Aborting what is not there is not an error.
	AbortUpload(ctx context.Context, key, id string) error
}
