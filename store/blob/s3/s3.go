// Package s3 keeps objects in a bucket of Amazon S3, MinIO or another server that speaks the same.
//
//	Put:    body ──measured, CRC32C──► one PUT, or parts of PartSize and a completion; aborted when it fails
//	Open:   GET with range ──broken connection──► GET of the rest, If-Match
//	object: bucket / Options.Prefix / key
//
// No goroutine outlives a call but those of idle connections, which Close ends. Every read and write on a connection has a
// deadline of Options.Timeout, every attempt one that grows with its size, and what may be repeated is, with jitter. Each
// upload carries its CRC32C in a header (over plain HTTP the signed SHA-256 as well); a server that does not answer with the
// same CRC32C is sent Content-MD5 from then on.
//
// What the bucket holds besides, keys that are none of ours, is not listed and never touched. A server that is a folder
// itself (versitygw) refuses a key that is the folder of another, as blob.ValidateKey tells.
package s3

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/encrypt"

	"mediad/store/blob"
)

// Store is a blob.Store in a bucket, with every optional ability but those of files.
type Store struct {
	options   Options
	core      *minio.Core
	transport *http.Transport
	sse       encrypt.ServerSide
	secure    bool

	sums   atomic.Int32 // what the server proves of a body: sumsUnknown, sumsCRC32C or sumsMD5
	skew   atomic.Int64 // the server's clock minus ours in ns, as the last answer showed
	dated  atomic.Bool  // skew is set
	probes createProbe
}

// createProbe remembers whether the server honours If-None-Match.
type createProbe struct {
	mu    sync.Mutex // held while it is found out
	known bool
	works bool
}

var (
	_ blob.Store       = (*Store)(nil)
	_ blob.Creator     = (*Store)(nil)
	_ blob.BulkDeleter = (*Store)(nil)
	_ blob.Presigner   = (*Store)(nil)
	_ blob.Uploader    = (*Store)(nil)
)

// Open makes a store of the bucket. It asks the server nothing, so that a bucket that is away does not keep a node from
// starting: Check does.
func Open(_ context.Context, o Options) (*Store, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("blob/s3: %w", err)
	}
	endpoint, err := url.Parse(o.Endpoint)
	if err != nil {
		return nil, errors.New("blob/s3: the endpoint is no URL")
	}
	s := &Store{options: o, secure: endpoint.Scheme == "https"}
	switch o.SSE {
	case "s3":
		s.sse = encrypt.NewSSE()
	case "kms":
		if s.sse, err = encrypt.NewSSEKMS(o.KMSKey, nil); err != nil {
			return nil, fmt.Errorf("blob/s3: %w", err)
		}
	}
	s.transport = newTransport(o)
	var trip http.RoundTripper = s.transport
	if o.transport != nil {
		trip = o.transport(trip)
	}
	lookup := map[string]minio.BucketLookupType{"path": minio.BucketLookupPath, "host": minio.BucketLookupDNS} // else: auto
	s.core, err = minio.NewCore(endpoint.Host, &minio.Options{
		Creds:        credentials.NewStaticV4(o.AccessKey, o.SecretKey, ""),
		Secure:       s.secure,
		Region:       o.Region,
		BucketLookup: lookup[o.Addressing],
		Transport:    clock{trip, s},
		MaxRetries:   1, // the retries are ours: they know what may be repeated
	})
	if err != nil {
		return nil, fmt.Errorf("blob/s3: %w", err)
	}
	return s, nil
}

// Close lets idle connections go. Calls under way end as they would.
func (s *Store) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}

// String names the bucket.
func (s *Store) String() string { return s.options.String() }

// name is the object's name in the bucket.
func (s *Store) name(key string) string {
	if s.options.Prefix == "" {
		return key
	}
	return s.options.Prefix + "/" + key
}

// key is the key of an object's name; false where it is none of ours.
func (s *Store) key(name string) (string, bool) {
	if s.options.Prefix != "" {
		var ok bool
		if name, ok = strings.CutPrefix(name, s.options.Prefix+"/"); !ok {
			return "", false
		}
	}
	return name, blob.ValidateKey(name) == nil
}

// sendBuffer bounds what the kernel holds unsent of a connection, so that on a slow line the wait for an answer begins when
// the body has nearly left, not megabytes before.
const sendBuffer = 1 << 20

func newTransport(o Options) *http.Transport {
	dialer := net.Dialer{Timeout: o.Timeout}
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			if tcp, ok := c.(*net.TCPConn); ok {
				_ = tcp.SetWriteBuffer(sendBuffer) // a wish: without it the kernel's own bound holds
			}
			return &conn{Conn: c, timeout: o.Timeout}, nil
		},
		TLSHandshakeTimeout: o.Timeout,
		// Sooner than the deadline of the read that waits on an idle connection, so that no request is given one that is
		// about to end.
		IdleConnTimeout:     o.Timeout * 2 / 3,
		MaxIdleConns:        64,
		MaxIdleConnsPerHost: 32,
		DisableCompression:  true, // bytes as they are stored
		WriteBufferSize:     64 << 10,
		ReadBufferSize:      64 << 10,
	}
	if o.SkipVerify {
		t.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // asked for by the operator, and documented
	}
	return t
}

// conn gives every read and write a deadline. What is written puts off the deadline of the read too, which waits from the
// start of a request on.
type conn struct {
	net.Conn
	timeout time.Duration
}

func (c *conn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *conn) Write(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// clock reads the server's clock off its answers.
type clock struct {
	next  http.RoundTripper
	store *Store
}

func (c clock) RoundTrip(r *http.Request) (*http.Response, error) {
	start := time.Now()
	answer, err := c.next.RoundTrip(r)
	if err != nil {
		return answer, err
	}
	if date, err := http.ParseTime(answer.Header.Get("Date")); err == nil {
		now := time.Now()
		// The header has whole seconds and was written somewhere between start and now.
		c.store.skew.Store(int64(date.Add(500 * time.Millisecond).Sub(start.Add(now.Sub(start) / 2))))
		c.store.dated.Store(true)
	}
	return answer, err
}

// Skew is the server's clock minus ours, to about half a second, as its last answer showed; false before there was one. S3
// refuses requests from 15 minutes on.
func (s *Store) Skew() (time.Duration, bool) { return time.Duration(s.skew.Load()), s.dated.Load() }
