package s3

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // as in body.go
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/store/blob"
	"mediad/store/blob/s3test"
)

// tripFunc stands between the store and the network.
type tripFunc func(next http.RoundTripper, r *http.Request) (*http.Response, error)

func (f tripFunc) wrap(next http.RoundTripper) http.RoundTripper { return trip{next, f} }

type trip struct {
	next http.RoundTripper
	f    tripFunc
}

func (t trip) RoundTrip(r *http.Request) (*http.Response, error) { return t.f(t.next, r) }

func put(t testing.TB, s *Store, key, body string) {
	t.Helper()
	require.NoError(t, s.Put(t.Context(), key, strings.NewReader(body), int64(len(body)), blob.Meta{}))
}

func get(t testing.TB, s *Store, key string) string {
	t.Helper()
	r, err := s.Open(t.Context(), key, 0, -1)
	require.NoError(t, err)
	defer r.Close()
	body, err := io.ReadAll(r)
	require.NoError(t, err)
	return string(body)
}

func TestCorruptedBodyIsRefused(t *testing.T) {
	each(t, func(t *testing.T, server *s3test.Server) {
		for name, c := range map[string]struct {
			unsigned bool
			kind     int32
		}{"signed": {false, sumsCRC32C}, "crc32c": {true, sumsCRC32C}, "md5": {true, sumsMD5}} {
			t.Run(name, func(t *testing.T) {
				var flip atomic.Int32 // how many bodies to spoil
				o := options(server)
				o.unsigned = c.unsigned
				o.transport = tripFunc(func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
					if r.Method == http.MethodPut && r.ContentLength > 1000 && flip.Add(-1) >= 0 {
						body, err := io.ReadAll(r.Body)
						if err != nil {
							return nil, err
						}
						body[500] ^= 4
						r.Body = io.NopCloser(bytes.NewReader(body))
					}
					return next.RoundTrip(r)
				}).wrap
				s := bucket(t, o)
				put(t, s, "k", "as it was")
				s.sums.Store(c.kind)
				body := strings.Repeat("media", 1000)
				flip.Store(100)
				err := s.Put(t.Context(), "k", strings.NewReader(body), 5000, blob.Meta{})
				require.ErrorIs(t, err, blob.ErrChecksum)
				assert.Equal(t, "as it was", get(t, s, "k"))
				flip.Store(1)
				require.NoError(t, s.Put(t.Context(), "k", strings.NewReader(body), 5000, blob.Meta{}), "spoilt once, sent again")
				assert.Equal(t, body, get(t, s, "k"))
			})
		}
	})
}

func TestSpoiltReadIsSeen(t *testing.T) {
	each(t, func(t *testing.T, server *s3test.Server) {
		o := options(server)
		o.transport = tripFunc(func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
			answer, err := next.RoundTrip(r)
			if err == nil && r.Method == http.MethodGet && answer.ContentLength == 5000 {
				body, err := io.ReadAll(answer.Body)
				if err != nil {
					return nil, err
				}
				body[100] ^= 1
				answer.Body = io.NopCloser(bytes.NewReader(body))
			}
			return answer, err
		}).wrap
		s := bucket(t, o)
		put(t, s, "k", strings.Repeat("media", 1000))
		r, err := s.Open(t.Context(), "k", 0, -1)
		require.NoError(t, err)
		defer r.Close()
		_, err = io.ReadAll(r)
		require.ErrorIs(t, err, blob.ErrChecksum)
	})
}

// breaking ends the body of every GET of an object after so many bytes, as a lost connection does.
func breaking(after int, times *atomic.Int32) func(http.RoundTripper) http.RoundTripper {
	return tripFunc(func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
		answer, err := next.RoundTrip(r)
		if err == nil && r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/k") && times.Add(-1) >= 0 {
			body := answer.Body
			lost := iotest.ErrReader(errors.New("connection reset"))
			answer.Body = struct {
				io.Reader
				io.Closer
			}{io.MultiReader(io.LimitReader(body, int64(after)), lost), body}
		}
		return answer, err
	}).wrap
}

func TestReaderGoesOnAfterABrokenConnection(t *testing.T) {
	each(t, func(t *testing.T, server *s3test.Server) {
		var times atomic.Int32
		o := options(server)
		o.transport = breaking(100, &times)
		s := bucket(t, o)
		body := strings.Repeat("0123456789", 100)
		put(t, s, "k", body)
		read := func(offset, length int64) (string, error) {
			r, err := s.Open(t.Context(), "k", offset, length)
			require.NoError(t, err)
			got, err := io.ReadAll(r)
			require.NoError(t, r.Close())
			return string(got), err
		}
		times.Store(5)
		got, err := read(0, -1)
		require.NoError(t, err)
		assert.Equal(t, body, got)
		times.Store(2)
		got, err = read(333, 400)
		require.NoError(t, err)
		assert.Equal(t, body[333:733], got)

		times.Store(1)
		r, err := s.Open(t.Context(), "k", 0, -1)
		require.NoError(t, err)
		defer r.Close()
		head := make([]byte, 100)
		_, err = io.ReadFull(r, head)
		require.NoError(t, err)
		put(t, s, "k", strings.Repeat("x", 1000))
		_, err = r.Read(head)
		require.ErrorIs(t, err, blob.ErrChanged, "never half of one and half of another")
		_, err = r.Read(head)
		require.ErrorIs(t, err, blob.ErrChanged)

		times.Store(1)
		gone, err := s.Open(t.Context(), "k", 0, -1)
		require.NoError(t, err)
		defer gone.Close()
		require.NoError(t, s.Delete(t.Context(), "k"))
		_, err = io.ReadAll(gone)
		require.ErrorIs(t, err, blob.ErrChanged)
	})
}

func TestReaderGivesUpWithoutProgress(t *testing.T) {
	server := s3test.Start(t, s3test.VersityGW)
	var times atomic.Int32
	o := options(server)
	o.transport = breaking(0, &times)
	s := bucket(t, o)
	put(t, s, "k", "0123456789")
	times.Store(1000)
	r, err := s.Open(t.Context(), "k", 0, -1)
	require.NoError(t, err)
	defer r.Close()
	_, err = io.ReadAll(r)
	require.ErrorIs(t, err, blob.ErrTemporary)
}

func TestFailedUploadLeavesNoParts(t *testing.T) {
	each(t, func(t *testing.T, server *s3test.Server) {
		o := options(server)
		o.PartSize = blob.MinPart
		s := bucket(t, o)
		uploads := func() int {
			found, err := s.core.ListMultipartUploads(t.Context(), o.Bucket, s.name("k"), "", "", "", 100)
			require.NoError(t, err)
			return len(found.Uploads)
		}
		half := make([]byte, 6<<20)
		ctx, cancel := context.WithCancel(t.Context())
		seen := 0
		body := io.MultiReader(bytes.NewReader(half), readerFunc(func([]byte) (int, error) {
			seen = uploads()
			cancel()
			return 0, io.EOF
		}), bytes.NewReader(half))
		require.ErrorIs(t, s.Put(ctx, "k", body, 12<<20, blob.Meta{}), context.Canceled)
		assert.Equal(t, 1, seen, "the test looks where the parts are")
		assert.Zero(t, uploads())
		require.Error(t, s.Put(t.Context(), "k", bytes.NewBuffer(half), 12<<20, blob.Meta{}))
		assert.Zero(t, uploads())
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestErrorsSayWhatIsWrong(t *testing.T) {
	each(t, func(t *testing.T, server *s3test.Server) {
		o := options(server)
		s := bucket(t, o)
		put(t, s, "k", "x")
		all := func(s *Store, want error) {
			t.Helper()
			body := strings.NewReader("x")
			errs := map[string]error{
				"put":  s.Put(t.Context(), "k", body, 1, blob.Meta{}),
				"list": s.List(t.Context(), "", func(blob.Info) error { return nil }), "all": s.DeleteAll(t.Context(), []string{"k"}),
				"check": s.Check(t.Context()), "delete": s.Delete(t.Context(), "k"),
			}
			_, errs["open"] = s.Open(t.Context(), "k", 0, -1)
			_, errs["start"] = s.StartUpload(t.Context(), "k", blob.Meta{})
			for name, err := range errs {
				require.ErrorIs(t, err, want, name)
				require.NotContains(t, err.Error(), server.SecretKey, name)
				require.NotContains(t, err.Error(), "Signature=", name)
			}
		}
		wrong := o
		wrong.SecretKey = "not-the-secret"
		all(open(t, wrong), blob.ErrDenied)
		wrong = o
		wrong.AccessKey = "nobody"
		all(open(t, wrong), blob.ErrDenied)
		require.Contains(t, []string{"InvalidAccessKeyId", "XAdminUserNotFound"}, Code(open(t, wrong).Check(t.Context())))
		wrong = o
		wrong.Bucket += "-none"
		all(open(t, wrong), blob.ErrNoBucket)
		wrong = o
		wrong.Region = "other-region-1"
		require.ErrorIs(t, open(t, wrong).Check(t.Context()), blob.ErrDenied)
		require.NoError(t, s.Check(t.Context()))

		require.NoError(t, server.Stop())
		all(s, blob.ErrTemporary)
		_, err := s.Stat(t.Context(), "k")
		require.ErrorIs(t, err, blob.ErrTemporary)
		require.NoError(t, server.Run())
		assert.Equal(t, "x", get(t, s, "k"), "it is there again, and so is what it kept")
	})
}

func TestSilentServerIsLeft(t *testing.T) {
	server := s3test.Start(t, s3test.VersityGW)
	o := options(server)
	s := bucket(t, o)
	put(t, s, "k", "x")
	o.Timeout, o.Attempts = 200*time.Millisecond, 2
	hasty := open(t, o)
	require.NoError(t, server.Pause())
	body := make([]byte, 4<<20) // more than the kernel takes without a reader
	for name, err := range map[string]error{
		"put":  hasty.Put(t.Context(), "k", bytes.NewReader(body), int64(len(body)), blob.Meta{}),
		"list": hasty.List(t.Context(), "", func(blob.Info) error { return nil }),
	} {
		require.ErrorIs(t, err, blob.ErrTemporary, name)
	}
	_, err := hasty.Open(t.Context(), "k", 0, -1)
	require.ErrorIs(t, err, blob.ErrTemporary)

	// The caller's own end is its own error, and comes at once however long the store would wait.
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = s.Stat(ctx, "k")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotErrorIs(t, err, blob.ErrTemporary)
	require.NoError(t, server.Resume())
	assert.Equal(t, "x", get(t, s, "k"))
}

// TestBodyIsLeftAlone: the race detector watches that nothing of a body is read once Put has returned.
func TestBodyIsLeftAlone(t *testing.T) {
	server := s3test.Start(t, s3test.VersityGW)
	s := bucket(t, options(server))
	require.NoError(t, server.Pause())
	defer func() { require.NoError(t, server.Resume()) }()
	for range 5 {
		ctx, cancel := context.WithCancel(t.Context())
		body := make([]byte, 4<<20)
		read := make(chan struct{})
		var once sync.Once
		r := signalReader{bytes.NewReader(body), func() { once.Do(func() { close(read) }) }}
		go func() {
			<-read
			cancel()
		}()
		require.ErrorIs(t, s.Put(ctx, "k", r, int64(len(body)), blob.Meta{}), context.Canceled)
		clear(body)
	}
}

// signalReader calls read when it is read the second time over, which is when it is sent.
type signalReader struct {
	*bytes.Reader
	read func()
}

func (s signalReader) ReadAt(p []byte, off int64) (int, error) {
	if off > 1<<20 {
		s.read()
	}
	return s.Reader.ReadAt(p, off)
}

// fake is a server that believes everything, keeps nothing but counts, and answers what the test says.
func fake(t *testing.T, answer http.HandlerFunc) *Store {
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return open(t, Options{Endpoint: server.URL, Bucket: "bucket", AccessKey: "key", SecretKey: "secret", Addressing: "path",
		PartSize: blob.MinPart})
}

func TestServerWithoutChecksumsIsSentMD5(t *testing.T) {
	var md5s, puts atomic.Int32
	s := fake(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		puts.Add(1)
		if sum := r.Header.Get("Content-Md5"); sum != "" {
			want := md5.Sum(body) //nolint:gosec // as in body.go
			assert.Equal(t, base64.StdEncoding.EncodeToString(want[:]), sum)
			assert.Empty(t, r.Header.Get(headerCRC32C))
			md5s.Add(1)
		}
	})
	for range 3 {
		put(t, s, "k", "body")
	}
	assert.Equal(t, int32(4), puts.Load(), "the first was sent twice, since nothing proved it")
	assert.Equal(t, int32(3), md5s.Load())
}

func TestServerThatRefusesChecksumsIsSentMD5(t *testing.T) {
	s := fake(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Header.Get(headerCRC32C) != "" {
			w.WriteHeader(http.StatusNotImplemented)
			fmt.Fprint(w, `<Error><Code>NotImplemented</Code><Message>A header you provided is not known</Message></Error>`)
		}
	})
	put(t, s, "k", "body")
	put(t, s, "k", "body")
}

func TestCreateNeedsTheServer(t *testing.T) {
	var names sync.Map
	s := fake(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Method == http.MethodDelete {
			names.Delete(r.URL.Path)
			w.WriteHeader(http.StatusNoContent)
			return
		}
		names.Store(r.URL.Path, true)
	})
	for range 2 {
		err := s.Create(t.Context(), "lock", strings.NewReader("x"), 1, blob.Meta{})
		require.ErrorIs(t, err, errors.ErrUnsupported)
	}
	names.Range(func(name, _ any) bool {
		t.Errorf("left behind: %v", name)
		return true
	})
	err := s.Create(t.Context(), "lock", bytes.NewReader(make([]byte, 6<<20)), 6<<20, blob.Meta{})
	require.ErrorIs(t, err, errors.ErrUnsupported)
}

func TestServerWithoutRangesIsNotBelieved(t *testing.T) {
	s := fake(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("ETag", `"e"`)
		w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
		fmt.Fprint(w, "0123456789")
	})
	assert.Equal(t, "0123456789", get(t, s, "k"))
	_, err := s.Open(t.Context(), "k", 3, 4)
	require.ErrorContains(t, err, "asked for a range from 3")
}

// TestRefusalsDoNotCostTheChecksum: only what MD5 mends is the checksum's fault.
func TestRefusalsDoNotCostTheChecksum(t *testing.T) {
	refuse := true
	s := fake(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if refuse {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `<Error><Code>InvalidArgument</Code><Message>no</Message></Error>`)
			return
		}
		w.Header().Set(headerCRC32C, r.Header.Get(headerCRC32C))
	})
	require.Error(t, s.Put(t.Context(), "k", strings.NewReader("x"), 1, blob.Meta{}))
	refuse = false
	put(t, s, "k", "x")
	assert.Equal(t, sumsCRC32C, s.sums.Load())
}

func TestLargeBodiesTakeLittleMemory(t *testing.T) {
	var sent atomic.Int64
	s := fake(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		sent.Add(n)
		w.Header().Set(headerCRC32C, r.Header.Get(headerCRC32C))
		w.Header().Set("ETag", `"e"`)
		switch q := r.URL.Query(); {
		case q.Has("uploads"):
			fmt.Fprint(w, `<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>`)
		case r.Method == http.MethodPost:
			fmt.Fprint(w, `<CompleteMultipartUploadResult><Bucket>bucket</Bucket><ETag>e</ETag></CompleteMultipartUploadResult>`)
		}
	})
	const size = 150 << 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	require.NoError(t, s.Put(t.Context(), "k", io.LimitReader(zeros{}, size), size, blob.Meta{}))
	runtime.ReadMemStats(&after)
	assert.GreaterOrEqual(t, sent.Load(), int64(size))
	const parts = (2 + 1) * blob.MinPart
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(parts+16<<20), "parts are sent from buffers that are used again")
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestAnswersInTheWordsOfTheContract(t *testing.T) {
	for _, c := range []struct {
		status int
		code   string
		want   error
	}{
		{507, "XMinioStorageFull", blob.ErrNoSpace}, {507, "", blob.ErrNoSpace}, {403, "QuotaExceeded", blob.ErrNoSpace},
		{400, "XMinioAdminBucketQuotaExceeded", blob.ErrNoSpace}, {403, "SignatureDoesNotMatch", blob.ErrDenied},
		{403, "RequestTimeTooSkewed", blob.ErrDenied}, {401, "", blob.ErrDenied}, {400, "BadDigest", blob.ErrChecksum},
		{503, "SlowDown", blob.ErrTemporary}, {500, "InternalError", blob.ErrTemporary}, {502, "", blob.ErrTemporary},
		{429, "", blob.ErrTemporary}, {404, "NoSuchBucket", blob.ErrNoBucket}, {404, "NoSuchKey", blob.ErrNotExist},
		{409, "ObjectParentIsFile", blob.ErrKey}, {501, "NotImplemented", errors.ErrUnsupported},
	} {
		var tries atomic.Int32
		s := fake(t, func(w http.ResponseWriter, r *http.Request) {
			tries.Add(1)
			w.WriteHeader(c.status)
			if c.code != "" {
				fmt.Fprintf(w, "<Error><Code>%s</Code><Message>m</Message></Error>", c.code)
			}
		})
		err := s.List(t.Context(), "", func(blob.Info) error { return nil })
		require.ErrorIs(t, err, c.want, "%+v", c)
		if c.code != "" {
			assert.Equal(t, c.code, Code(err))
		}
		want := int32(1)
		if passing(c.want) {
			want = 3
		}
		assert.Equal(t, want, tries.Load(), "%+v", c)
	}
}

func TestOverTLS(t *testing.T) {
	var header http.Header
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		header = r.Header.Clone()
		w.Header().Set(headerCRC32C, r.Header.Get(headerCRC32C))
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	defer server.Close()
	o := Options{Endpoint: server.URL, Bucket: "bucket", AccessKey: "key", SecretKey: "secret", Addressing: "path", Attempts: 1}
	err := open(t, o).Put(t.Context(), "k", strings.NewReader("body"), 4, blob.Meta{})
	require.ErrorIs(t, err, blob.ErrTemporary)
	require.ErrorContains(t, err, "certificate")
	o.SkipVerify = true
	require.NoError(t, open(t, o).Put(t.Context(), "k", strings.NewReader("body"), 4, blob.Meta{}))
	assert.Equal(t, "UNSIGNED-PAYLOAD", header.Get("X-Amz-Content-Sha256"), "TLS keeps the body as it is; the checksum proves it")
	assert.NotEmpty(t, header.Get(headerCRC32C))
}
