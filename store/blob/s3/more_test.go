package s3

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/store/blob"
	"mediad/store/blob/s3test"
)

func TestOptionsAreChecked(t *testing.T) {
	good := Options{Endpoint: "http://127.0.0.1:9000", Bucket: "bucket", AccessKey: "a", SecretKey: "hush-hush"}
	for name, spoil := range map[string]func(*Options){
		"bucket": func(o *Options) { o.Bucket = "" }, "name": func(o *Options) { o.Bucket = "Not_a_bucket" },
		"key": func(o *Options) { o.AccessKey = "" }, "secret": func(o *Options) { o.SecretKey = "" },
		"scheme": func(o *Options) { o.Endpoint = "ftp://h" }, "path": func(o *Options) { o.Endpoint = "http://h/bucket" },
		"user": func(o *Options) { o.Endpoint = "http://u:p@h" }, "host": func(o *Options) { o.Endpoint = "localhost:9000" },
		"sse": func(o *Options) { o.SSE = "aes" }, "kms": func(o *Options) { o.SSE = "kms" },
		"key id": func(o *Options) { o.KMSKey = "k" },
		"prefix": func(o *Options) { o.Prefix = "../up" }, "long": func(o *Options) { o.Prefix = strings.Repeat("a/", 200) + "a" },
		"parts": func(o *Options) { o.PartSize = 1 }, "style": func(o *Options) { o.Addressing = "dns" },
		"timeout": func(o *Options) { o.Timeout = -1 },
	} {
		bad := good
		spoil(&bad)
		_, err := Open(t.Context(), bad)
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), good.SecretKey)
	}
	s := open(t, good)
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "options", good, "store", s)
	for _, text := range []string{fmt.Sprint(good), fmt.Sprintf("%+v %#v %v", good, good, &good), s.String(), log.String()} {
		assert.NotContains(t, text, "hush-hush")
		assert.Contains(t, text, "bucket bucket")
	}
}

func TestOthersObjectsAreNotOurs(t *testing.T) {
	each(t, func(t *testing.T, server *s3test.Server) {
		o := options(server)
		s := bucket(t, o)
		beside := o
		beside.Prefix = ""
		all := open(t, beside)
		put(t, s, "k", "1")
		put(t, all, "some/wherever", "2")
		put(t, all, "some/other/k", "3")
		const foreign = "some/where/no key of ours"
		_, err := s.core.PutObject(t.Context(), o.Bucket, foreign, strings.NewReader("x"), 1, "", "", minio.PutObjectOptions{})
		require.NoError(t, err)
		var found []string
		require.NoError(t, s.List(t.Context(), "", func(i blob.Info) error {
			found = append(found, i.Key)
			return nil
		}))
		assert.Equal(t, []string{"k"}, found)
		_, err = all.Stat(t.Context(), "some/where/k")
		require.NoError(t, err)
	})
}

func TestListPagesWhileObjectsGo(t *testing.T) {
	each(t, func(t *testing.T, server *s3test.Server) {
		o := options(server)
		o.page = 3
		s := bucket(t, o)
		for i := range 10 {
			put(t, s, fmt.Sprintf("d/%02d", i), "x")
		}
		seen := 0
		require.NoError(t, s.List(t.Context(), "d/", func(i blob.Info) error {
			seen++
			return s.Delete(t.Context(), i.Key)
		}))
		assert.Equal(t, 10, seen)
	})
}

func TestMetaIsKept(t *testing.T) {
	each(t, func(t *testing.T, server *s3test.Server) {
		s := bucket(t, options(server))
		m := blob.Meta{ContentType: "video/mp4", CacheControl: "public, max-age=31536000, immutable"}
		require.NoError(t, s.Put(t.Context(), "k", strings.NewReader("body"), 4, m))
		info, err := s.Stat(t.Context(), "k")
		require.NoError(t, err)
		assert.Equal(t, m, info.Meta)
		r, err := s.Open(t.Context(), "k", 1, 2)
		require.NoError(t, err)
		defer r.Close()
		d := r.(blob.Describer).Info()
		assert.Equal(t, int64(4), d.Size)
		assert.Equal(t, m, d.Meta)
		assert.WithinDuration(t, time.Now(), d.Modified, time.Minute)
	})
}

func TestServerEncrypts(t *testing.T) {
	server := s3test.Start(t, s3test.MinIO)
	for sse, want := range map[string]string{"s3": "AES256", "kms": "aws:kms"} {
		o := options(server)
		o.SSE, o.PartSize = sse, blob.MinPart
		if sse == "kms" {
			o.KMSKey = s3test.KMSKey
		}
		s := bucket(t, o)
		for _, size := range []int{10, 6 << 20} {
			body := strings.Repeat("m", size)
			put(t, s, "k", body)
			assert.True(t, body == get(t, s, "k"))
			how, err := s.Encrypted(t.Context(), "k")
			require.NoError(t, err)
			assert.Equal(t, want, how, "%s, %d bytes", sse, size)
		}
		signed, err := s.PresignPut(t.Context(), "signed", 1, blob.Meta{}, 0)
		require.NoError(t, err)
		assert.Equal(t, want, signed.Header["X-Amz-Server-Side-Encryption"])
	}
}

func TestClockAndBucketAndCORS(t *testing.T) {
	each(t, func(t *testing.T, server *s3test.Server) {
		s := open(t, options(server))
		_, known := s.Skew()
		assert.False(t, known)
		require.ErrorIs(t, s.Check(t.Context()), blob.ErrNoBucket)
		skew, known := s.Skew()
		assert.True(t, known)
		assert.Less(t, skew.Abs(), 5*time.Second)
		require.NoError(t, s.MakeBucket(t.Context()))
		require.NoError(t, s.MakeBucket(t.Context()))
		require.NoError(t, s.Check(t.Context()))

		const page = "https://live.example.org"
		cors, err := s.CORS(t.Context(), page)
		require.NoError(t, err)
		if server.Kind == s3test.MinIO { // its rules are the server's, and let everybody in
			assert.Equal(t, CORS{Allowed: true, ETag: true}, cors)
			require.Error(t, s.SetCORS(t.Context(), page))
			return
		}
		assert.Equal(t, CORS{}, cors)
		require.NoError(t, s.SetCORS(t.Context(), page))
		cors, err = s.CORS(t.Context(), page)
		require.NoError(t, err)
		assert.Equal(t, CORS{Allowed: true, ETag: true}, cors)
		cors, err = s.CORS(t.Context(), "https://elsewhere.example.org")
		require.NoError(t, err)
		assert.False(t, cors.Allowed)
	})
}

func TestSkewIsMeasured(t *testing.T) {
	o := Options{Endpoint: "http://127.0.0.1:1", Bucket: "bucket", AccessKey: "a", SecretKey: "s", Attempts: 1}
	o.transport = tripFunc(func(http.RoundTripper, *http.Request) (*http.Response, error) {
		h := http.Header{"Date": {time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)}}
		return &http.Response{StatusCode: http.StatusForbidden, Header: h, Body: http.NoBody}, nil
	}).wrap
	s := open(t, o)
	require.ErrorIs(t, s.Check(t.Context()), blob.ErrDenied)
	skew, known := s.Skew()
	require.True(t, known)
	assert.InDelta(t, -time.Hour.Seconds(), skew.Seconds(), 5)
}
