//go:build e2e

package e2e

import (
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/store/blob"
	"mediad/store/blob/s3"
	"mediad/store/blob/s3test"
)

// TestBucket: what is live lies in the bucket, also what was live while the bucket was away, and is played from there alone.
func TestBucket(t *testing.T) {
	t.Parallel()
	minio := s3test.Start(t, s3test.MinIO)
	o := s3.Options{Endpoint: minio.Endpoint, Bucket: "live", Region: s3test.Region, AccessKey: minio.AccessKey, SecretKey: minio.SecretKey, Addressing: "path"}
	bucket, err := s3.Open(t.Context(), o)
	require.NoError(t, err)
	defer bucket.Close()
	require.NoError(t, bucket.MakeBucket(t.Context()))
	s := startServer(t, "MEDIAD_INGEST_RESUME_WINDOW=3s",
		"MEDIAD_BLOB_URL=s3://live?endpoint="+o.Endpoint+"&region="+o.Region+"&path_style=true", "MEDIAD_BLOB_ACCESS_KEY="+o.AccessKey, "MEDIAD_BLOB_SECRET_KEY="+o.SecretKey)
	stop := s.named(t, "tower", "source", "audio")
	p := s.publish(t, "tower", source{})
	s.waitLive("tower")
	numbers := s.watchNumbers("tower")
	read := func(key string) string {
		r, err := bucket.Open(t.Context(), key, 0, -1)
		if err != nil {
			return ""
		}
		defer r.Close()
		body, err := io.ReadAll(r)
		require.NoError(t, err)
		return string(body)
	}
	waitFor(t, 20*time.Second, "the classic playlists", func() bool {
		return strings.Contains(read("live/tower/index.m3u8"), "source/index.m3u8") &&
			strings.Count(read("live/tower/source/index.m3u8"), "seg_") >= 2 && strings.Count(read("live/tower/audio/index.m3u8"), "seg_") >= 2
	})

	// The bucket goes away, and the server is killed meanwhile: viewers notice the second alone, and nothing is missing afterwards.
	require.NoError(t, minio.Stop())
	away := s.media("tower", "source").last
	waitFor(t, time.Duration(times(30, 360))*time.Second, "segments without a bucket", func() bool { return s.media("tower", "source").last >= away+times(3, 150) })
	numbers() // no viewer noticed
	p.kill(syscall.SIGKILL)
	s.stop(syscall.SIGKILL)
	s.start()
	require.NoError(t, minio.Run())
	p = s.publish(t, "tower", source{})
	back := s.media("tower", "source").last
	waitFor(t, 60*time.Second, "the bucket to have caught up", func() bool {
		text := read("live/tower/source/index.m3u8")
		return text != "" && readPlaylist(t, text).last > back+1
	})
	p.kill(syscall.SIGTERM)
	id := s.replay(t, "tower", 20*time.Second)
	seen := stop()
	waitFor(t, 30*time.Second, "the end in the bucket", func() bool {
		return strings.Contains(read("live/tower/source/index.m3u8"), "#EXT-X-ENDLIST") && read("live/tower/index.m3u8") == ""
	})
	for rendition, names := range seen {
		for name := range names {
			_, err := bucket.Stat(t.Context(), "live/tower/"+rendition+"/"+name)
			require.NoError(t, err, "%s of %s was in a live playlist", name, rendition)
			_, local := s.get("/live/tower/" + rendition + "/" + name)
			require.Equal(t, local, read("live/tower/"+rendition+"/"+name), "%s of %s", name, rendition)
		}
	}
	_, text := s.get("/vod/" + id + "/source/index.m3u8")
	for name := range seen["source"] {
		require.Contains(t, text, name)
	}
	count := 0
	require.NoError(t, bucket.List(t.Context(), "live/tower/source/seg_", func(blob.Info) error { count++; return nil }))
	require.Equal(t, strings.Count(text, "seg_"), count, "the bucket has what the replay lists, and nothing else")
	s.checkRecordings(t)
}
