package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"

	"github.com/minio/minio-go/v7"
	"golang.org/x/sync/errgroup"

	"mediad/store/blob"
)

const (
	headerCRC32C    = "x-amz-checksum-crc32c"
	headerAlgorithm = "x-amz-checksum-algorithm"
	crc32c          = "CRC32C"
)

// Put implements blob.Store. What fits a part is sent at once, more in parts. A body that is an io.ReaderAt and io.Seeker
// is read in place, twice; any other is held in memory part by part.
func (s *Store) Put(ctx context.Context, key string, r io.Reader, size int64, m blob.Meta) error {
	src, err := s.begin(ctx, key, r, size)
	if err != nil {
		return err
	}
	if size > s.options.PartSize {
		return s.putParts(ctx, key, src, m)
	}
	at, err := src.next(size, func(n int64) []byte { return make([]byte, n) })
	if err != nil {
		return err
	}
	return s.putWhole(ctx, at, size, func(ctx context.Context, sum sums) (string, error) {
		b := newBody(at, size)
		done, err := s.core.PutObject(ctx, s.options.Bucket, s.name(key), b, size, sum.md5, sum.sha256, s.putOptions(m, sum))
		return done.ChecksumCRC32C, b.seal(err)
	})
}

// begin checks what every put is given.
func (s *Store) begin(ctx context.Context, key string, r io.Reader, size int64) (*source, error) {
	if err := errors.Join(blob.ValidateKey(key), ctx.Err()); err != nil {
		return nil, err
	}
	if size < 0 {
		return nil, fmt.Errorf("blob/s3: put: size %d", size)
	}
	return newSource(ctx, r, size)
}

// putWhole sends one body, object or part, until the server has proved its checksum. send returns the CRC32C that the
// server answered with.
func (s *Store) putWhole(ctx context.Context, at io.ReaderAt, size int64,
	send func(context.Context, sums) (string, error),
) error {
	kind := s.sums.Load()
	for {
		sum, err := s.sum(at, size, kind)
		if err != nil {
			return err
		}
		var proved string
		err = s.repeatIf(ctx, size, passingPut, func(ctx context.Context) error {
			proved, err = send(ctx, sum)
			return err
		})
		switch {
		case err == nil && kind == sumsUnknown && proved == sum.crc32c:
			s.sums.CompareAndSwap(sumsUnknown, sumsCRC32C)
		case kind == sumsUnknown && (err == nil || unknownHeader(err)):
			// The server passed over the header, or stumbled over it. Nothing is proved yet: send it again.
			kind = sumsMD5
			continue
		case err == nil && kind == sumsMD5:
			s.sums.CompareAndSwap(sumsUnknown, sumsMD5)
		}
		return err
	}
}

// unknownHeader says whether the server refused a request for a header that it does not know.
func unknownHeader(err error) bool {
	if errors.Is(err, errors.ErrUnsupported) {
		return true
	}
	a, ok := errors.AsType[*answerError](err)
	return ok && a.answer.StatusCode == http.StatusBadRequest && a.sentinel == nil
}

func (s *Store) putOptions(m blob.Meta, sum sums) minio.PutObjectOptions {
	o := minio.PutObjectOptions{
		ContentType:          m.ContentType,
		CacheControl:         m.CacheControl,
		ServerSideEncryption: s.sse,
		DisableContentSha256: true, // we sign the sum of the whole body instead of one each 64 KiB
	}
	if sum.crc32c != "" {
		o.UserMetadata = map[string]string{headerCRC32C: sum.crc32c}
	}
	return o
}

// putParts stores what is larger than a part: reads one part after the other, sends PartsAtOnce side by side, and completes
// the object when all of the body has come. Whatever fails, the upload is aborted.
func (s *Store) putParts(ctx context.Context, key string, src *source, m blob.Meta) error {
	partSize := max(s.options.PartSize, (src.size+blob.MaxParts-1)/blob.MaxParts)
	id, err := s.startUpload(ctx, key, m, s.sums.Load())
	if unknownHeader(err) {
		if id, err = s.startUpload(ctx, key, m, sumsMD5); err == nil {
			s.sums.CompareAndSwap(sumsUnknown, sumsMD5)
		}
	}
	if err != nil {
		return err
	}
	parts, err := s.sendParts(ctx, key, id, src, partSize)
	if err == nil {
		err = s.finish(ctx, key, id, parts)
	}
	if err != nil {
		return errors.Join(err, s.abandon(ctx, key, id))
	}
	return nil
}

// abandon aborts an upload, even where the caller's context has ended. That it is left behind for the server's own sweep is
// worth telling, no more.
func (s *Store) abandon(ctx context.Context, key, id string) error {
	if err := s.AbortUpload(context.WithoutCancel(ctx), key, id); err != nil {
		return fmt.Errorf("and its parts are left in the bucket: %w", err)
	}
	return nil
}

func (s *Store) sendParts(ctx context.Context, key, id string, src *source, partSize int64) ([]minio.CompletePart, error) {
	var (
		mu    sync.Mutex // guards parts
		parts []minio.CompletePart
		free  = make(chan []byte, s.options.PartsAtOnce) // buffers that no part is sent from
	)
	g, sending := errgroup.WithContext(ctx)
	g.SetLimit(s.options.PartsAtOnce)
	buffer := func(n int64) []byte {
		select {
		case b := <-free:
			return b[:n]
		default:
			return make([]byte, n, partSize)
		}
	}
	for number := 1; src.read < src.size && sending.Err() == nil; number++ {
		n := min(partSize, src.size-src.read)
		at, err := src.next(n, buffer)
		if err != nil {
			g.Go(func() error { return err }) // stops the parts under way, and is what Wait returns
			break
		}
		g.Go(func() error {
			part, err := s.sendPart(sending, key, id, number, at, n)
			if held, ok := at.(bytesAt); ok {
				select {
				case free <- held:
				default:
				}
			}
			mu.Lock()
			defer mu.Unlock()
			parts = append(parts, part)
			return err
		})
	}
	if err := errors.Join(g.Wait(), ctx.Err()); err != nil {
		return nil, err
	}
	slices.SortFunc(parts, func(a, b minio.CompletePart) int { return a.PartNumber - b.PartNumber })
	return parts, nil
}

func (s *Store) sendPart(ctx context.Context, key, id string, number int, at io.ReaderAt, size int64,
) (minio.CompletePart, error) {
	var sent minio.ObjectPart
	err := s.putWhole(ctx, at, size, func(ctx context.Context, sum sums) (string, error) {
		o := minio.PutObjectPartOptions{Md5Base64: sum.md5, Sha256Hex: sum.sha256, DisableContentSha256: true}
		if sum.crc32c != "" {
			o.CustomHeader = http.Header{http.CanonicalHeaderKey(headerCRC32C): {sum.crc32c}}
		}
		b := newBody(at, size)
		var err error
		sent, err = s.core.PutObjectPart(ctx, s.options.Bucket, s.name(key), id, number, b, size, o)
		return sent.ChecksumCRC32C, b.seal(err)
	})
	return minio.CompletePart{PartNumber: number, ETag: sent.ETag, ChecksumCRC32C: sent.ChecksumCRC32C}, err
}

// Create implements blob.Creator where the server honours If-None-Match, which is tried out once. It is never repeated: an
// answer that was lost may have been yes.
func (s *Store) Create(ctx context.Context, key string, r io.Reader, size int64, m blob.Meta) error {
	src, err := s.begin(ctx, key, r, size)
	if err != nil {
		return err
	}
	if size > blob.MinPart {
		return fmt.Errorf("blob/s3: create of %d bytes: %w", size, errors.ErrUnsupported)
	}
	works, err := s.canCreate(ctx)
	if err != nil {
		return err
	}
	if !works {
		return fmt.Errorf("blob/s3: create: the server ignores If-None-Match: %w", errors.ErrUnsupported)
	}
	at, err := src.next(size, func(n int64) []byte { return make([]byte, n) })
	if err != nil {
		return err
	}
	return s.create(ctx, s.name(key), at, size, m)
}

func (s *Store) create(ctx context.Context, name string, at io.ReaderAt, size int64, m blob.Meta) error {
	sum, err := s.sum(at, size, s.sums.Load())
	if err != nil {
		return err
	}
	return s.once(ctx, size, func(ctx context.Context) error {
		b := newBody(at, size)
		o := s.putOptions(m, sum)
		o.SetMatchETagExcept("*")
		_, err := s.core.PutObject(ctx, s.options.Bucket, name, b, size, sum.md5, sum.sha256, o)
		return b.seal(err)
	})
}

// canCreate finds out once whether a second conditional put to the same name is refused. The object it uses has a name that
// no key has.
func (s *Store) canCreate(ctx context.Context) (bool, error) {
	s.probes.mu.Lock()
	defer s.probes.mu.Unlock()
	if s.probes.known {
		return s.probes.works, nil
	}
	name := s.name("~create-" + random())
	probe := func() error { return s.create(ctx, name, bytesAt("probe"), int64(len("probe")), blob.Meta{}) }
	err := probe()
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return false, err
	}
	if err == nil {
		err = probe()
		if removeErr := s.remove(context.WithoutCancel(ctx), name); removeErr != nil {
			return false, removeErr
		}
	}
	switch {
	case errors.Is(err, blob.ErrExist):
		s.probes.known, s.probes.works = true, true
	case err == nil || errors.Is(err, errors.ErrUnsupported):
		s.probes.known = true
	default:
		return false, err
	}
	return s.probes.works, nil
}
