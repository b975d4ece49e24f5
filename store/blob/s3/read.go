package s3

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/minio/minio-go/v7"

	"mediad/store/blob"
)

// Open implements blob.Store, and its reader blob.Describer. The reader goes on after a broken connection, with If-Match, and
// ends with blob.ErrChanged where the object is no longer the one it began with. What is read whole is compared with the
// CRC32C that the server keeps, and a difference is blob.ErrChecksum at the end.
func (s *Store) Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if err := errors.Join(blob.ValidateKey(key), blob.ValidateRange(offset, length), ctx.Err()); err != nil {
		return nil, err
	}
	if length == 0 {
		info, err := s.Stat(ctx, key)
		if err != nil {
			return nil, err
		}
		return empty{info}, nil
	}
	last := int64(-1)
	if length > 0 && length-1 <= math.MaxInt64-offset {
		last = offset + length - 1
	}
	r := &reader{pos: offset}
	var first opened
	err := s.repeat(ctx, 0, func(context.Context) (err error) {
		// Not the attempt's context, which ends with the attempt: the connection's deadlines bound the wait.
		first, err = s.get(ctx, key, offset, last, "")
		return err
	})
	if Code(err) == "InvalidRange" { // begins at or beyond the end
		info, err := s.Stat(ctx, key)
		if err != nil {
			return nil, err
		}
		return empty{info}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	r.take(first)
	r.info = blob.Info{Key: key, Size: first.total, Modified: first.info.LastModified, Meta: metaOf(first.info)}
	r.end = offset + first.length
	if offset == 0 && first.length == first.total {
		r.expect(first.crc32c)
	}
	tries := 0
	r.again = func(progress bool, broken error) error {
		if progress {
			tries = 0
		}
		for {
			if tries++; tries >= s.options.Attempts {
				return mapError(broken)
			}
			if err := pause(ctx, tries); err != nil {
				return err
			}
			next, err := s.get(ctx, key, r.pos, r.end-1, first.info.ETag)
			err = mapError(err)
			switch {
			case ctx.Err() != nil:
				return errors.Join(ctx.Err(), closeIf(next.body))
			case errors.Is(err, blob.ErrExist), errors.Is(err, blob.ErrNotExist), Code(err) == "InvalidRange":
				return fmt.Errorf("%s: %w", key, blob.ErrChanged)
			case errors.Is(err, blob.ErrTemporary):
				broken = err
				continue
			case err != nil:
				return err
			case next.info.ETag != first.info.ETag || next.length != r.end-r.pos:
				return errors.Join(fmt.Errorf("%s: %w", key, blob.ErrChanged), next.body.Close())
			}
			r.take(next)
			return nil
		}
	}
	return r, nil
}

func closeIf(c io.Closer) error {
	if c == nil {
		return nil
	}
	return c.Close()
}

// opened is the answer to a GET.
type opened struct {
	body          io.ReadCloser
	info          minio.ObjectInfo
	length, total int64 // of the answer; of the object
	crc32c        string
}

// get asks for the bytes from first to last, to the end where last is negative, of the object that has the ETag if one is
// named.
func (s *Store) get(ctx context.Context, key string, first, last int64, etag string) (opened, error) {
	var o minio.GetObjectOptions
	o.Set("x-amz-checksum-mode", "ENABLED")
	switch {
	case last >= 0:
		o.Set("Range", fmt.Sprintf("bytes=%d-%d", first, last))
	case first > 0:
		o.Set("Range", fmt.Sprintf("bytes=%d-", first))
	}
	if etag != "" {
		o.Set("If-Match", strconv.Quote(etag))
	}
	body, info, header, err := s.core.GetObject(ctx, s.options.Bucket, s.name(key), o)
	if err != nil {
		return opened{}, mapError(err)
	}
	out := opened{body: body, info: info, length: info.Size, total: info.Size, crc32c: wholeSum(header)}
	if last >= 0 || first > 0 {
		var from, to int64
		spec := header.Get("Content-Range")
		_, err := fmt.Sscanf(spec, "bytes %d-%d/%d", &from, &to, &out.total)
		if err != nil || from != first || to-from+1 != out.length {
			err := fmt.Errorf("blob/s3: asked for a range from %d, got %q of %d bytes: %w", first, spec, out.length, errors.ErrUnsupported)
			return opened{}, errors.Join(err, body.Close())
		}
	}
	return out, nil
}

// wholeSum is the CRC32C of a whole object; of one that was sent in parts there is only one of its parts' sums.
func wholeSum(h http.Header) string {
	if mode := h.Get("x-amz-checksum-type"); mode != "" && mode != "FULL_OBJECT" {
		return ""
	}
	sum := h.Get(headerCRC32C)
	if strings.Contains(sum, "-") {
		return ""
	}
	return sum
}

// reader is used by one goroutine.
type reader struct {
	body     io.ReadCloser
	info     blob.Info
	pos, end int64
	progress bool  // bytes have come since body was opened
	err      error // how it ended
	sum      hash.Hash32
	want     string
	// again opens the rest after the connection broke.
	again func(progress bool, broken error) error
}

// Info implements blob.Describer.
func (r *reader) Info() blob.Info { return r.info }

func (r *reader) take(o opened) { r.body, r.progress = o.body, false }

// expect has the whole compared with the checksum, if there is one.
func (r *reader) expect(crc32c string) {
	if crc32c != "" {
		r.want, r.sum = crc32c, crc32.New(castagnoli)
	}
}

func (r *reader) Read(p []byte) (int, error) {
	if r.err != nil || len(p) == 0 {
		return 0, r.err
	}
	for {
		if r.pos == r.end {
			r.err = r.verdict()
			return 0, r.err
		}
		n, err := r.body.Read(p[:min(int64(len(p)), r.end-r.pos)])
		if n > 0 {
			if r.sum != nil {
				_, _ = r.sum.Write(p[:n]) // never fails
			}
			r.pos, r.progress = r.pos+int64(n), true
			return n, nil // an error comes again
		}
		if err == nil {
			continue
		}
		_ = r.body.Close() // of a broken connection
		r.body = nil
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if r.err = r.again(r.progress, err); r.err != nil {
			return 0, r.err
		}
	}
}

func (r *reader) verdict() error {
	if r.sum != nil && base64.StdEncoding.EncodeToString(r.sum.Sum(nil)) != r.want {
		return fmt.Errorf("blob/s3: %s: %w", r.info.Key, blob.ErrChecksum)
	}
	return io.EOF
}

// Close may be called twice.
func (r *reader) Close() error {
	if r.err == nil {
		r.err = fmt.Errorf("blob/s3: %s: read after close", r.info.Key)
	}
	body := r.body
	r.body = nil
	return closeIf(body)
}

// empty reads nothing of an object that is there.
type empty struct{ info blob.Info }

func (empty) Read([]byte) (int, error) { return 0, io.EOF }
func (empty) Close() error             { return nil }
func (e empty) Info() blob.Info        { return e.info }

// Stat implements blob.Store. The answer has no body to tell why: at some servers a missing bucket, at versitygw an unknown
// access key too, is blob.ErrNotExist here.
func (s *Store) Stat(ctx context.Context, key string) (blob.Info, error) {
	if err := errors.Join(blob.ValidateKey(key), ctx.Err()); err != nil {
		return blob.Info{}, err
	}
	var found minio.ObjectInfo
	err := s.repeat(ctx, 0, func(ctx context.Context) (err error) {
		found, err = s.core.StatObject(ctx, s.options.Bucket, s.name(key), minio.StatObjectOptions{})
		return err
	})
	if err != nil {
		return blob.Info{}, fmt.Errorf("%s: %w", key, err)
	}
	return blob.Info{Key: key, Size: found.Size, Modified: found.LastModified, Meta: metaOf(found)}, nil
}

func metaOf(i minio.ObjectInfo) blob.Meta {
	return blob.Meta{ContentType: i.ContentType, CacheControl: i.Metadata.Get("Cache-Control")}
}
