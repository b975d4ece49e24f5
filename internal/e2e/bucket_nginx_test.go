//go:build e2e

package e2e

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	urlpath "path"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/bench"
	"mediad/internal/viewer"
	"mediad/store/blob"
	"mediad/store/blob/s3"
	"mediad/store/blob/s3test"
)

// openBucket makes a bucket that everybody may read as deploy/nginx-bucket has it.
func openBucket(t *testing.T, minio *s3test.Server, o s3.Options) *s3.Store {
	t.Helper()
	bucket, err := s3.Open(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = bucket.Close() })
	require.NoError(t, bucket.MakeBucket(t.Context()))
	text, err := os.ReadFile("../../deploy/nginx-bucket/policy.json")
	require.NoError(t, err)
	policy := filepath.Join(t.TempDir(), "policy.json")
	require.NoError(t, os.WriteFile(policy, []byte(strings.ReplaceAll(string(text), "arn:aws:s3:::mediad/", "arn:aws:s3:::"+o.Bucket+"/")), 0o600))
	out, err := output(t, time.Minute, "curl", "-sS", "--fail-with-body", "--aws-sigv4", "aws:amz:"+s3test.Region+":s3", "-u", minio.AccessKey+":"+minio.SecretKey,
		"-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD", "-T", policy, minio.Endpoint+"/"+o.Bucket+"?policy=")
	require.NoError(t, err, out)
	return bucket
}

// pull watches a classic playlist until ctx ends: it asks for it each second, and for each segment once.
func pull(ctx context.Context, base, list string, refused *atomic.Int64) {
	client := &http.Client{Timeout: 20 * time.Second}
	defer client.CloseIdleConnections()
	get := func(p string) string {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+p, nil)
		if err != nil {
			return ""
		}
		answer, err := client.Do(r)
		if err != nil {
			return ""
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			refused.Add(1)
		}
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			return ""
		}
		return string(body)
	}
	seen := make(map[string]bool)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		for line := range strings.SplitSeq(get(list), "\n") {
			if line != "" && line[0] != '#' && !seen[line] {
				seen[line] = true
				get(urlpath.Dir(list) + "/" + line)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// TestBucketAlone: a stock nginx serves classic HLS from the bucket alone, live and afterwards, while mediad is there and when it is gone.
func TestBucketAlone(t *testing.T) {
	t.Parallel()
	minio := s3test.Start(t, s3test.MinIO)
	o := s3.Options{Endpoint: minio.Endpoint, Bucket: "shelf", Region: s3test.Region, AccessKey: minio.AccessKey, SecretKey: minio.SecretKey, Addressing: "path"}
	bucket := openBucket(t, minio, o)
	cache, err := bench.StartBucketCache("../../deploy", t.TempDir(), strings.TrimPrefix(minio.Endpoint, "http://"), o.Bucket)
	if errors.Is(err, bench.ErrNoCache) {
		t.Skip(err)
	}
	require.NoError(t, err)
	t.Cleanup(func() {
		cache.Stop()
		if t.Failed() {
			t.Logf("nginx:\n%s", tail(cache.Output(), 4000))
		}
	})
	s := startServer(t, "MEDIAD_INGEST_RESUME_WINDOW=2s",
		"MEDIAD_BLOB_URL=s3://shelf?endpoint="+o.Endpoint+"&region="+o.Region+"&path_style=true", "MEDIAD_BLOB_ACCESS_KEY="+o.AccessKey, "MEDIAD_BLOB_SECRET_KEY="+o.SecretKey)
	d := &delivery{server: s, cache: cache, client: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableCompression: true}}}
	p := s.publish(t, "tower", source{gop: 30})
	s.waitLive("tower")
	base := "http://" + cache.HTTP
	ok := func(p string) string {
		r, body := d.ask("GET", p)
		if r.StatusCode != http.StatusOK {
			return ""
		}
		return body
	}
	waitFor(t, 30*time.Second, "three segments from the bucket", func() bool {
		return ok("/live/tower/index.m3u8") != "" && strings.Count(ok("/live/tower/source/index.m3u8"), "seg_") >= 3 && strings.Count(ok("/live/tower/audio/index.m3u8"), "seg_") >= 3
	})
	d.requireBucketAnswers(t, bucket)

	// Live: many watch, the linter and FFmpeg among them.
	var refused atomic.Int64
	var pulling sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	defer pulling.Wait()
	defer cancel()
	asked, hit, err := cache.Count()
	require.NoError(t, err)
	for range 50 {
		for _, rendition := range []string{"source", "audio"} {
			pulling.Go(func() { pull(ctx, base, "/live/tower/"+rendition+"/index.m3u8", &refused) })
		}
	}
	out, err := output(t, time.Minute, "ffmpeg", "-v", "error", "-t", "4", "-i", base+"/live/tower/index.m3u8", "-f", "null", "-")
	require.NoError(t, err, out)
	require.Empty(t, strings.TrimSpace(out), "it decodes without a word")
	out, err = output(t, time.Minute, binary, "hlslint", "--duration", "8s", base+"/live/tower/index.m3u8")
	require.NoError(t, err, out)
	cancel()
	pulling.Wait()
	require.Zero(t, refused.Load())
	var all, hits int
	waitFor(t, 10*time.Second, "nginx's log", func() bool {
		a, h, err := cache.Count()
		require.NoError(t, err)
		all, hits = a-asked, h-hit
		return all > 500
	})
	metrics, err := s.client.Get("http://" + s.admin + "/metrics")
	require.NoError(t, err)
	late, err := io.ReadAll(metrics.Body)
	require.NoError(t, errors.Join(err, metrics.Body.Close()))
	for line := range strings.SplitSeq(string(late), "\n") {
		if strings.HasPrefix(line, "mediad_archive_late_seconds_sum") || strings.HasPrefix(line, "mediad_archive_late_seconds_count") {
			t.Log(line)
		}
	}
	t.Logf("100 that pull: %d requests, %.1f %% hits", all, 100*float64(hits)/float64(all))
	require.GreaterOrEqual(t, float64(hits), 0.95*float64(all))

	// Afterwards: the replay is there, also when mediad is gone.
	p.kill(syscall.SIGTERM)
	main := "/vod/" + s.replay(t, "tower", 20*time.Second) + "/index.m3u8"
	waitFor(t, 20*time.Second, "the replay in the bucket", func() bool { return ok(main) != "" })
	s.stop(syscall.SIGKILL)
	out, err = output(t, time.Minute, "ffmpeg", "-v", "error", "-i", base+main, "-map", "0:v:0", "-map", "0:a:0", "-f", "null", "-")
	require.NoError(t, err, out)
	require.Empty(t, strings.TrimSpace(out), "it decodes without a word")
	out, err = output(t, time.Minute, binary, "hlslint", base+main)
	require.NoError(t, err, out)
	r, body := d.ask("GET", urlpath.Dir(main)+"/source/index.m3u8", "Accept-Encoding: gzip")
	require.Equal(t, "public, max-age=60", r.Header.Get("Cache-Control"))
	require.Equal(t, "gzip", r.Header.Get("Content-Encoding"))
	plain, err := unzipped(r.Header, []byte(body))
	require.NoError(t, err)
	require.Contains(t, string(plain), "#EXT-X-ENDLIST")
	v, err := viewer.Start(viewer.Options{Script: "../../web/tests/e2e/play.mjs", Player: "hlsjs", URL: base + main})
	require.NoError(t, err)
	t.Cleanup(v.Kill)
	c := &screen{Viewer: v, t: t}
	c.awaitPlaying(30 * time.Second)
	c.await(20*time.Second, "three seconds of it", func(s viewer.Sample) bool { return s.CurrentTime > 3 })
	c.finish()

	// The bucket is gone, too: what is in the cache is played, and for the rest there are clear words.
	segment := ""
	for line := range strings.SplitSeq(string(plain), "\n") {
		if strings.HasPrefix(line, "../") {
			segment = urlpath.Join(urlpath.Dir(main), "source", line)
		}
	}
	require.NotEmpty(t, ok(segment))
	require.NoError(t, minio.Stop())
	r, _ = d.ask("GET", segment)
	require.Equal(t, []any{200, "HIT"}, []any{r.StatusCode, r.Header.Get("X-Cache")})
	waitFor(t, 20*time.Second, "the old playlist not to be given out any more", func() bool {
		r, body = d.ask("GET", "/live/tower/source/index.m3u8")
		return r.StatusCode != http.StatusOK
	})
	require.Equal(t, 503, r.StatusCode)
	require.Contains(t, body, "storage_unavailable")
	for name, want := range map[string]string{"Content-Type": "application/problem+json", "Cache-Control": "no-store", "Retry-After": "1", "Access-Control-Allow-Origin": "*"} {
		require.Equal(t, want, r.Header.Get(name), name)
	}
}

// requireBucketAnswers checks what nginx says of what is in the bucket, and of what is nobody's business.
func (d *delivery) requireBucketAnswers(t *testing.T, bucket blob.Store) {
	t.Helper()
	_, text := d.ask("GET", "/live/tower/source/index.m3u8")
	l := readPlaylist(t, text)
	segment, audio := "/live/tower/source/"+l.segments[0], "/live/tower/audio/index.m3u8"
	r, body := d.ask("GET", segment)
	require.Equal(t, 200, r.StatusCode)
	_, want := d.get(segment)
	require.Equal(t, want, body)
	const immutable = "public, max-age=31536000, immutable"
	for p, want := range map[string][2]string{
		"/live/tower/index.m3u8":              {"application/vnd.apple.mpegurl", "public, max-age=1"},
		"/live/tower/source/index.m3u8":       {"application/vnd.apple.mpegurl", "public, max-age=1"},
		audio:                                 {"application/vnd.apple.mpegurl", "public, max-age=1"},
		segment:                               {"video/mp4", immutable},
		"/live/tower/source/" + l.maps[0]:     {"video/mp4", immutable},
		"/live/tower/audio/" + l.segments[0]:  {"audio/mp4", immutable},
		"/live/tower/nothing/" + l.maps[0]:    {"application/problem+json", "public, max-age=1"},
		"/live/tower/source/seg_1_1.m4s":      {"application/problem+json", "public, max-age=1"},
		"/live/nobody/index.m3u8":             {"application/problem+json", "public, max-age=1"},
		"/live/tower/source/seg_1_1.m4s?x=%0": {"application/problem+json", "public, max-age=1"},
	} {
		r, _ := d.ask("GET", p, "Origin: https://elsewhere.example")
		require.Equal(t, want, [2]string{r.Header.Get("Content-Type"), r.Header.Get("Cache-Control")}, p)
		require.Equal(t, []string{"*"}, r.Header.Values("Access-Control-Allow-Origin"), p)
		for name := range r.Header {
			require.NotContains(t, strings.ToLower(name), "amz", "%s: nobody's business", p)
			require.NotContains(t, strings.ToLower(name), "minio", "%s: nobody's business", p)
		}
	}
	r, _ = d.ask("GET", segment, "Range: bytes=10-19")
	require.Equal(t, 206, r.StatusCode)
	r, _ = d.ask("GET", segment, "If-None-Match: "+r.Header.Get("Etag"))
	require.Equal(t, 304, r.StatusCode)
	r, body = d.ask("HEAD", segment)
	require.Equal(t, []any{200, int64(len(want)), ""}, []any{r.StatusCode, r.ContentLength, body})
	r, _ = d.ask("OPTIONS", segment, "Origin: https://elsewhere.example", "Access-Control-Request-Headers: cmcd-session")
	require.Equal(t, []any{204, "*", []string{"*"}}, []any{r.StatusCode, r.Header.Get("Access-Control-Allow-Headers"), r.Header.Values("Access-Control-Allow-Origin")})
	for _, method := range []string{"PUT", "POST", "DELETE", "PATCH", "PURGE"} {
		r, _ = d.ask(method, segment)
		require.Equal(t, []any{405, "GET, HEAD, OPTIONS", "application/problem+json"}, []any{r.StatusCode, r.Header.Get("Allow"), r.Header.Get("Content-Type")}, method)
	}

	// Other keys, lists and S3's own words do not get through.
	const secret = "it is nobody's business"
	for _, key := range []string{"upload/one/source", "live/tower/source/part_1_1_1.m4s", "live/tower/secret.txt", "secret"} {
		require.NoError(t, bucket.Put(t.Context(), key, strings.NewReader(secret), int64(len(secret)), blob.Meta{}))
	}
	for _, p := range []string{
		"/", "/live/", "/live/tower/", "/live/tower/source/", "/?list-type=2", "/live/tower/?list-type=2&prefix=", "/secret", "/upload/one/source", "/live/tower/secret.txt",
		"/live/tower/source/part_1_1_1.m4s", "/live/%2e%2e/upload/one/source", "/live/..%2f..%2fupload/one/source", "/live/tower/..%2f..%2fsecret", "/live/tower/source/seg_1_1.m4s%00",
		"/shelf/live/tower/index.m3u8", "//live//tower//secret.txt", "/vod/x/download.mp4", "/live/tower%3flist-type=2/index.m3u8", "/.bucket-options", "/live/tower/index.m3u8%3fpolicy",
		"/minio/health/live", "/LIVE/tower/index.m3u8", "/live/tower/source/index.m3u8/", "/live/tower/source/index.m3u8;x",
		"/live/tower/index.m3u8%0a", "/live/tower/source/index.m3u8%0a", "/live/tower/source/seg_1_1.m4s%0a", "/vod/x/thumb.jpg%0a", // a line end would stand in nginx's own request
	} {
		r, body := d.ask("GET", p)
		require.Contains(t, []int{400, 404}, r.StatusCode, p)
		require.NotContains(t, body, secret, p)
		require.NotContains(t, body, "ListBucket", p)
	}
	for _, query := range []string{"?policy", "?list-type=2", "?versionId=1", "?response-content-type=text/html", "?X-Amz-Algorithm=x", "?partNumber=1"} {
		r, body := d.ask("GET", "/live/tower/index.m3u8"+query, "Authorization: AWS4-HMAC-SHA256 x", "X-Amz-Date: x")
		require.Equal(t, []any{200, "application/vnd.apple.mpegurl"}, []any{r.StatusCode, r.Header.Get("Content-Type")}, query)
		require.True(t, strings.HasPrefix(body, "#EXTM3U"), query)
	}
}
