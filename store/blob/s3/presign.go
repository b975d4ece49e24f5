package s3

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/minio/minio-go/v7"

	"mediad/store/blob"
)

const (
	defaultExpiry = 15 * time.Minute
	maxExpiry     = 7 * 24 * time.Hour // what signature version 4 allows
)

// PresignGet implements blob.Presigner.
func (s *Store) PresignGet(ctx context.Context, key string, o blob.GetOptions) (blob.Signed, error) {
	query := url.Values{}
	if o.ContentType != "" {
		query.Set("response-content-type", o.ContentType)
	}
	if o.Disposition != "" {
		query.Set("response-content-disposition", o.Disposition)
	}
	return s.sign(ctx, http.MethodGet, key, o.Expires, query, nil)
}

// PresignPut implements blob.Presigner. The length is signed, so that nobody fills the bucket with another's URL, and so
// are the headers of the encryption.
func (s *Store) PresignPut(ctx context.Context, key string, size int64, m blob.Meta, expires time.Duration) (blob.Signed, error) {
	if size < 0 {
		return blob.Signed{}, fmt.Errorf("blob/s3: presign: size %d", size)
	}
	header := http.Header{"Content-Length": {strconv.FormatInt(size, 10)}}
	for name, value := range map[string]string{"Content-Type": m.ContentType, "Cache-Control": m.CacheControl} {
		if value != "" {
			header.Set(name, value)
		}
	}
	if s.sse != nil {
		s.sse.Marshal(header)
	}
	return s.sign(ctx, http.MethodPut, key, expires, nil, header)
}

func (s *Store) sign(ctx context.Context, method, key string, expires time.Duration, query url.Values, header http.Header,
) (blob.Signed, error) {
	if err := errors.Join(blob.ValidateKey(key), ctx.Err()); err != nil {
		return blob.Signed{}, err
	}
	if expires == 0 {
		expires = defaultExpiry
	}
	if expires < time.Second || expires > maxExpiry {
		return blob.Signed{}, fmt.Errorf("blob/s3: presign: %s is outside 1s to %s", expires, maxExpiry)
	}
	until := time.Now().Add(expires)
	u, err := s.core.PresignHeader(ctx, method, s.options.Bucket, s.name(key), expires, query, header)
	if err != nil {
		return blob.Signed{}, fmt.Errorf("blob/s3: presign: %w", err)
	}
	out := blob.Signed{Method: method, URL: u.String(), Header: map[string]string{}, Expires: until}
	for name := range header {
		out.Header[name] = header.Get(name)
	}
	return out, nil
}

// StartUpload implements blob.Uploader. Those who send the parts prove them by nothing but TLS.
func (s *Store) StartUpload(ctx context.Context, key string, m blob.Meta) (string, error) {
	return s.startUpload(ctx, key, m, sumsMD5)
}

// startUpload begins an upload whose parts carry checksums of the given kind.
func (s *Store) startUpload(ctx context.Context, key string, m blob.Meta, kind int32) (string, error) {
	if err := errors.Join(blob.ValidateKey(key), ctx.Err()); err != nil {
		return "", err
	}
	o := s.putOptions(m, sums{})
	if kind != sumsMD5 {
		o.UserMetadata = map[string]string{headerAlgorithm: crc32c}
	}
	var id string
	// One that was begun although its answer was lost has no parts, and the server's own sweep takes it.
	err := s.repeat(ctx, 0, func(ctx context.Context) (err error) {
		id, err = s.core.NewMultipartUpload(ctx, s.options.Bucket, s.name(key), o)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("%s: %w", key, err)
	}
	return id, nil
}

// PresignPart implements blob.Uploader.
func (s *Store) PresignPart(ctx context.Context, key, id string, part int, size int64, expires time.Duration,
) (blob.Signed, error) {
	if part < 1 || part > blob.MaxParts || size < 1 || size > maxPartSize || id == "" {
		return blob.Signed{}, fmt.Errorf("blob/s3: presign: part %d of %d bytes", part, size)
	}
	query := url.Values{"partNumber": {strconv.Itoa(part)}, "uploadId": {id}}
	return s.sign(ctx, http.MethodPut, key, expires, query, http.Header{"Content-Length": {strconv.FormatInt(size, 10)}})
}

// UploadedParts implements blob.Uploader.
func (s *Store) UploadedParts(ctx context.Context, key, id string) ([]blob.Part, error) {
	if err := errors.Join(blob.ValidateKey(key), ctx.Err()); err != nil {
		return nil, err
	}
	var parts []blob.Part
	for marker := 0; ; {
		var page minio.ListObjectPartsResult
		err := s.repeat(ctx, 0, func(ctx context.Context) (err error) {
			page, err = s.core.ListObjectParts(ctx, s.options.Bucket, s.name(key), id, marker, pageSize)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		for _, p := range page.ObjectParts {
			parts = append(parts, blob.Part{Number: p.PartNumber, Size: p.Size, ETag: p.ETag})
		}
		if !page.IsTruncated || page.NextPartNumberMarker <= marker {
			return parts, nil
		}
		marker = page.NextPartNumberMarker
	}
}

// FinishUpload implements blob.Uploader.
func (s *Store) FinishUpload(ctx context.Context, key, id string, parts []blob.Part) error {
	if err := errors.Join(blob.ValidateKey(key), ctx.Err()); err != nil {
		return err
	}
	complete := make([]minio.CompletePart, len(parts))
	for i, p := range parts {
		complete[i] = minio.CompletePart{PartNumber: p.Number, ETag: p.ETag}
	}
	slices.SortFunc(complete, func(a, b minio.CompletePart) int { return a.PartNumber - b.PartNumber })
	return s.finish(ctx, key, id, complete)
}

// finish completes an upload. Where the answer to an earlier try was lost, the upload is gone and the object is there: then
// it is done.
func (s *Store) finish(ctx context.Context, key, id string, parts []minio.CompletePart) error {
	tries := 0
	err := s.repeat(ctx, 0, func(ctx context.Context) error {
		tries++
		_, err := s.core.CompleteMultipartUpload(ctx, s.options.Bucket, s.name(key), id, parts, minio.PutObjectOptions{})
		return err
	})
	if tries > 1 && errors.Is(err, blob.ErrNotExist) {
		if _, statErr := s.Stat(ctx, key); statErr == nil {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

// AbortUpload implements blob.Uploader.
func (s *Store) AbortUpload(ctx context.Context, key, id string) error {
	if err := blob.ValidateKey(key); err != nil {
		return err
	}
	err := s.repeat(ctx, 0, func(ctx context.Context) error {
		return s.core.AbortMultipartUpload(ctx, s.options.Bucket, s.name(key), id)
	})
	if err != nil && !errors.Is(err, blob.ErrNotExist) {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

// random is a name that nobody else has.
func random() string { return rand.Text() }
