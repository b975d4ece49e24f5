package s3

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7/pkg/s3utils"

	"mediad/store/blob"
)

// Options of Open.
type Options struct {
	// Endpoint is the server: http://host:port or https://host. Empty: Amazon S3.
	Endpoint string
	// Bucket must exist; Store.MakeBucket makes it.
	Bucket string
	// Region signs the requests. Empty: us-east-1, which MinIO takes whatever its own is called unless it was given one.
	Region string
	// Prefix is put in front of every key, with a slash between, so that several may share a bucket. At most 255 bytes.
	Prefix string
	// AccessKey and SecretKey are the credentials. Neither is ever printed.
	AccessKey, SecretKey string
	// Addressing is "path" (http://host/bucket/key), "host" (http://bucket.host/key), or empty: host at the providers that
	// are known to want it, path elsewhere.
	Addressing string
	// SkipVerify takes any TLS certificate: for tests and closed networks.
	SkipVerify bool
	// SSE has the server encrypt what it stores: "s3" by its own key, "kms" by KMSKey, empty: as the bucket says.
	SSE, KMSKey string
	// Timeout is how long the server may be silent, and how long a connection may take to come up. 0: 30 s. Shorter: a
	// server that is busy is taken for dead; longer: callers wait for a dead one.
	Timeout time.Duration
	// Attempts is how often what may be repeated is tried before its failure is returned, at least 1. 0: 3.
	Attempts int
	// PartSize cuts objects that are larger than it, in bytes, 5 MiB to 5 GiB. 0: 8 MiB. A body that cannot be read twice is
	// held in memory part by part, PartsAtOnce + 1 of them.
	PartSize int64
	// PartsAtOnce is how many parts of one object are sent side by side. 0: 2.
	PartsAtOnce int

	// Tests alone set these: what stands between us and the network, unsigned bodies over HTTP, a smaller page of a listing.
	transport func(http.RoundTripper) http.RoundTripper
	unsigned  bool
	page      int
}

const (
	amazon        = "https://s3.amazonaws.com"
	defaultRegion = "us-east-1"
	maxPrefix     = 255
	maxPartSize   = 5 << 30
)

func (o Options) withDefaults() Options {
	if o.Endpoint == "" {
		o.Endpoint = amazon
	}
	if o.Region == "" {
		o.Region = defaultRegion
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Attempts == 0 {
		o.Attempts = 3
	}
	if o.PartSize == 0 {
		o.PartSize = 8 << 20
	}
	if o.PartsAtOnce == 0 {
		o.PartsAtOnce = 2
	}
	return o
}

func (o Options) validate() error {
	u, err := url.Parse(o.Endpoint)
	switch {
	case err != nil:
		return errors.New("the endpoint is no URL")
	case u.User != nil:
		return errors.New("credentials in the endpoint: they are options of their own")
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "",
		u.RawQuery != "" || u.Fragment != "":
		return errors.New("the endpoint is not of the form https://host:port")
	case o.Bucket == "":
		return errors.New("no bucket")
	case o.AccessKey == "" || o.SecretKey == "":
		return errors.New("access key or secret key is missing")
	case o.Addressing != "" && o.Addressing != "path" && o.Addressing != "host":
		return fmt.Errorf("addressing %q is neither path nor host", o.Addressing)
	case o.SSE != "" && o.SSE != "s3" && o.SSE != "kms":
		return fmt.Errorf("encryption %q is neither s3 nor kms", o.SSE)
	case (o.SSE == "kms") != (o.KMSKey != ""):
		return errors.New("encryption by kms and a key's id come together")
	case o.Timeout < 0 || o.Attempts < 1 || o.PartsAtOnce < 1:
		return errors.New("a negative timeout or number")
	case o.PartSize < blob.MinPart || o.PartSize > maxPartSize:
		return fmt.Errorf("parts of %d bytes, want %d to %d", o.PartSize, blob.MinPart, int64(maxPartSize))
	case len(o.Prefix) > maxPrefix:
		return fmt.Errorf("prefix of %d bytes, want at most %d", len(o.Prefix), maxPrefix)
	}
	if err := s3utils.CheckValidBucketNameStrict(o.Bucket); err != nil {
		return err
	}
	if o.Prefix != "" {
		if err := blob.ValidateKey(o.Prefix); err != nil {
			return fmt.Errorf("prefix: %w", err)
		}
	}
	return nil
}

// String tells the options without the credentials, however they are printed.
func (o Options) String() string {
	return fmt.Sprintf("bucket %s at %s, region %s, prefix %q", o.Bucket, o.Endpoint, o.Region, o.Prefix)
}

// GoString is String: %#v must not tell more.
func (o Options) GoString() string { return o.String() }
