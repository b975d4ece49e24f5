//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/store/blob/s3"
	"mediad/store/blob/s3test"
	"mediad/store/db/pgtest"
)

// on puts the server onto another site: a folder and what goes with it.
func (s *server) on(dir string, env ...string) {
	s.env = append(append(s.env, "MEDIAD_DATA_DIR="+dir), env...)
	s.dir = dir
}

// requireSegments: a replay plays to the byte as it did.
func (s *server) requireSegments(t testing.TB, id string, want map[string]string) {
	t.Helper()
	for path, body := range want {
		r, got := s.get(path)
		require.Equal(t, 200, r.StatusCode, path)
		require.Equal(t, body, got, path)
	}
	r, _ := s.get("/vod/" + id + "/index.m3u8")
	require.Equal(t, 200, r.StatusCode)
}

// TestSiteMoves: a replay that was recorded on SQLite and a disk is played from PostgreSQL and a bucket alone, and after the way back from a disk
// again.
func TestSiteMoves(t *testing.T) {
	t.Parallel()
	database := pgtest.Start(t)
	minio := s3test.Start(t, s3test.MinIO)
	bucket, err := s3.Open(t.Context(), s3.Options{Endpoint: minio.Endpoint, Bucket: "media", Region: s3test.Region, AccessKey: minio.AccessKey, SecretKey: minio.SecretKey, Addressing: "path"})
	require.NoError(t, err)
	defer bucket.Close()
	require.NoError(t, bucket.MakeBucket(t.Context()))
	postgres, place := database.Database(t, "site"), "s3://media?endpoint="+minio.Endpoint+"&region="+s3test.Region+"&path_style=true"

	s := startServer(t, "MEDIAD_INGEST_RESUME_WINDOW=1s")
	first, second, third := s.dir, filepath.Join(t.TempDir(), "second"), filepath.Join(t.TempDir(), "third")
	for _, side := range []string{"FROM_", "TO_"} {
		s.env = append(s.env, "MEDIAD_"+side+"BLOB_ACCESS_KEY="+minio.AccessKey, "MEDIAD_"+side+"BLOB_SECRET_KEY="+minio.SecretKey)
	}
	run := func(want string, args ...string) {
		t.Helper()
		out, err := s.cli(args...)
		require.NoError(t, err, out)
		require.Contains(t, out, want)
	}
	p := s.publish(t, "tower", source{})
	s.waitLive("tower")
	begun := s.media("tower", "source").last
	waitFor(t, 20*time.Second, "segments", func() bool { return s.media("tower", "source").last >= begun+2 })
	run("on air: 1", "drain", "--no-wait")
	beside := filepath.Join(t.TempDir(), "beside.backup")
	s.env = append(s.env, "MEDIAD_BACKUP_PASSPHRASE=correct horse battery")
	run("sealed by a passphrase", "backup", "--blobs", "--secrets", beside) // of a broadcast that is on
	p.kill(syscall.SIGTERM)
	run("nothing is on air", "drain", "--wait", "20s")
	id := s.replay(t, "tower", 30*time.Second)
	want := make(map[string]string)
	for _, rendition := range []string{"source", "audio"} {
		_, text := s.get("/vod/" + id + "/" + rendition + "/index.m3u8")
		for line := range strings.SplitSeq(text, "\n") {
			if strings.HasPrefix(line, "seg_") || strings.Contains(line, "init_") {
				name := strings.Trim(line[strings.LastIndexAny(line, "/=")+1:], `"`)
				path := "/vod/" + id + "/" + rendition + "/" + name
				_, want[path] = s.get(path)
			}
		}
	}
	require.Greater(t, len(want), 5)
	s.stop(syscall.SIGTERM)

	run("all rows and objects are equal", "copy", "--from", first, "--to", second, "--to", postgres, "--to", place, "--secrets")
	run("both sites are equal", "copy", "--from", first, "--to", second, "--to", postgres, "--to", place, "--verify")
	before := len(s.env)
	s.on(second, "MEDIAD_DATABASE_URL="+postgres, "MEDIAD_BLOB_URL="+place, "MEDIAD_BLOB_ACCESS_KEY="+minio.AccessKey, "MEDIAD_BLOB_SECRET_KEY="+minio.SecretKey)
	s.start()
	s.requireSegments(t, id, want)
	waitFor(t, 30*time.Second, "the replay's playlist in the bucket", func() bool {
		_, err := bucket.Stat(t.Context(), "vod/"+id+"/index.m3u8")
		return err == nil
	})
	s.checkRecordings(t)
	s.stop(syscall.SIGTERM)

	// The disk goes, as retention would have it go.
	require.NoError(t, os.RemoveAll(filepath.Join(second, "blobs")))
	require.NoError(t, database.Exec("site", "UPDATE segments SET blob_key = '', blob_offset = 0"))
	require.NoError(t, database.Exec("site", "UPDATE recordings SET evicted = TRUE"))
	s.start()
	s.requireSegments(t, id, want)
	s.stop(syscall.SIGTERM)

	s.env = s.env[:before]
	run("bucket to folder", "copy", "--from", second, "--from", postgres, "--from", place, "--to", third, "--secrets")
	s.on(third)
	s.start()
	s.requireSegments(t, id, want)
	s.checkRecordings(t)
	s.stop(syscall.SIGTERM)

	// What the backup has of the broadcast becomes a replay, as after a crash.
	s.on(filepath.Join(t.TempDir(), "fourth"))
	run("all rows and objects are those of the backup", "restore", "--secrets", beside)
	s.start()
	short := s.replay(t, "tower", 30*time.Second)
	r, _ := s.get("/vod/" + short + "/source/index.m3u8")
	require.Equal(t, 200, r.StatusCode)
	s.checkRecordings(t)
}
