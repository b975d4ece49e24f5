package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/cors"

	"mediad/store/blob"
)

// Check asks for the bucket once: nil where it is there and may be listed. Code tells more of what the server said.
func (s *Store) Check(ctx context.Context) error {
	err := s.once(ctx, 0, func(ctx context.Context) error {
		_, _, err := s.page(ctx, "", "", 1)
		return err
	})
	if err != nil {
		return fmt.Errorf("bucket %s: %w", s.options.Bucket, err)
	}
	return nil
}

// MakeBucket makes the bucket in Options.Region. One of ours that is there already is not an error.
func (s *Store) MakeBucket(ctx context.Context) error {
	err := s.repeat(ctx, 0, func(ctx context.Context) error {
		return s.core.MakeBucket(ctx, s.options.Bucket, minio.MakeBucketOptions{Region: s.options.Region})
	})
	if code := Code(err); err == nil || code == "BucketAlreadyOwnedByYou" {
		return nil
	}
	return fmt.Errorf("bucket %s: %w", s.options.Bucket, err)
}

// Encrypted says how the server tells that it encrypts the object under key: "AES256", "aws:kms", empty where it does not. Some
// servers pass over Options.SSE in silence.
func (s *Store) Encrypted(ctx context.Context, key string) (how string, err error) {
	if err := blob.ValidateKey(key); err != nil {
		return "", err
	}
	err = s.repeat(ctx, 0, func(ctx context.Context) error {
		found, err := s.core.StatObject(ctx, s.options.Bucket, s.name(key), minio.StatObjectOptions{})
		how = found.Metadata.Get("X-Amz-Server-Side-Encryption")
		return err
	})
	return how, err
}

// CORS is what pages of an origin may do with signed requests.
type CORS struct {
	// Allowed: they may GET and PUT. ETag: they see the ETag of an answer, without which an upload in parts cannot be
	// finished.
	Allowed, ETag bool
}

// CORS asks the bucket as a browser would for a page of the given origin, which looks like https://host.
func (s *Store) CORS(ctx context.Context, origin string) (CORS, error) {
	var out CORS
	put, err := s.ask(ctx, http.MethodOptions, origin)
	if err != nil {
		return out, err
	}
	get, err := s.ask(ctx, http.MethodGet, origin)
	if err != nil {
		return out, err
	}
	allows := func(h http.Header) bool {
		allowed := h.Get("Access-Control-Allow-Origin")
		return allowed == "*" || allowed == origin
	}
	out.Allowed = allows(put) && allows(get) && strings.Contains(put.Get("Access-Control-Allow-Methods"), http.MethodPut)
	exposed := strings.ToLower(get.Get("Access-Control-Expose-Headers"))
	out.ETag = exposed == "*" || strings.Contains(exposed, "etag")
	return out, nil
}

// corsProbe is a key that holds no object; the headers of CORS come with every answer.
const corsProbe = "cors-probe"

func (s *Store) ask(ctx context.Context, method, origin string) (header http.Header, err error) {
	signed, err := s.PresignGet(ctx, corsProbe, blob.GetOptions{})
	if err != nil {
		return nil, err
	}
	err = s.once(ctx, 0, func(ctx context.Context) error {
		r, err := http.NewRequestWithContext(ctx, method, signed.URL, http.NoBody)
		if err != nil {
			return err
		}
		r.Header.Set("Origin", origin)
		if method == http.MethodOptions {
			r.Header.Set("Access-Control-Request-Method", http.MethodPut)
			r.Header.Set("Access-Control-Request-Headers", "content-type")
		}
		answer, err := s.transport.RoundTrip(r)
		if err != nil {
			return err
		}
		header = answer.Header
		return answer.Body.Close()
	})
	return header, err
}

// SetCORS lets pages of the origin ("*": of any) send signed requests to the bucket. It replaces the bucket's rules.
// errors.ErrUnsupported: the server has its rules elsewhere, as MinIO has.
func (s *Store) SetCORS(ctx context.Context, origin string) error {
	err := s.once(ctx, 0, func(ctx context.Context) error {
		return s.core.SetBucketCors(ctx, s.options.Bucket, cors.NewConfig([]cors.Rule{{
			AllowedOrigin: []string{origin},
			AllowedMethod: []string{http.MethodGet, http.MethodHead, http.MethodPut},
			AllowedHeader: []string{"*"},
			ExposeHeader:  []string{"ETag", "Content-Length", "Content-Range"},
			MaxAgeSeconds: 3600,
		}}))
	})
	if Code(err) == "NotImplemented" {
		return fmt.Errorf("bucket %s: %w", s.options.Bucket, errors.ErrUnsupported)
	}
	return err
}
