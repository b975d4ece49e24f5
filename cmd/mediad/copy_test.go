package main

import (
	"bytes"
	"context"
	"errors"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/configs"
	"mediad/internal/testx"
	"mediad/store/blob"
	"mediad/store/blob/disk"
	"mediad/store/blob/s3test"
	"mediad/store/db"
	"mediad/store/db/pgtest"
	"mediad/store/db/transfer"
	"mediad/store/db/transfer/transfertest"
)

// mediadWith runs a command as a shell would.
func mediadWith(t *testing.T, environ []string, args ...string) (said string, code int) {
	t.Helper()
	var out testx.Buffer
	code = run(t.Context(), append([]string{"mediad"}, args...), environ, &out, &out)
	return out.String(), code
}

func succeed(t *testing.T, environ []string, args ...string) string {
	t.Helper()
	said, code := mediadWith(t, environ, args...)
	require.Zero(t, code, said)
	return said
}

// smallSite is an embedded site with what a first start makes, a session of three segments, and secrets.
func smallSite(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	s, err := openTestSite([]string{"MEDIAD_DATA_DIR=" + dir})
	require.NoError(t, err)
	defer s.close()
	streams, err := s.db.Read(t.Context()).ListStreams(db.StreamFilter{}, 1)
	require.NoError(t, err)
	const session = "0198f2a0-0000-7000-8000-000000000021"
	key := "live/main/" + session + "/source-0.m4s"
	require.NoError(t, s.db.Tx(t.Context(), func(q db.Queries) error {
		rows := make([]db.Segment, 3)
		for i := range rows {
			rows[i] = db.Segment{SessionID: session, Rendition: "source", MSN: int64(i), StreamID: streams[0].ID, Epoch: 1, BlobKey: key, BlobOffset: int64(4 * i), Bytes: 4}
		}
		return errors.Join(
			q.SaveSession(db.Session{ID: session, StreamID: streams[0].ID, StartedAt: 1}),
			q.InsertTracks([]db.SessionTrack{{SessionID: session, Rendition: "source", Epoch: 1, Kind: "video", Config: []byte{1}, Init: []byte("init")}}),
			q.InsertSegments(rows),
			q.BeginRecording(db.Recording{SessionID: session, StreamID: streams[0].ID, State: db.RecordingMade, UpdatedAt: 1}))
	}))
	local, err := disk.Open(filepath.Join(dir, "blobs"))
	require.NoError(t, err)
	defer local.Close()
	require.NoError(t, local.Put(t.Context(), key, strings.NewReader("aaaabbbbcccc"), 12, blob.Meta{}))
	return dir
}

func TestCopyThereAndBack(t *testing.T) {
	if !pgtest.Installed(t) {
		t.Skip("PostgreSQL is not installed: run deploy/deps.sh test")
	}
	t.Parallel()
	minio := s3test.Start(t, s3test.MinIO)
	first, second, third := smallSite(t), filepath.Join(t.TempDir(), "second"), filepath.Join(t.TempDir(), "third")
	bucket := "s3://media?" + url.Values{"endpoint": {minio.Endpoint}, "region": {s3test.Region}, "path_style": {"true"}, "prefix": {"site"}}.Encode()
	postgres := transfertest.Empty(t, db.PostgreSQL).URL
	environ := []string{}
	for _, side := range []string{"MEDIAD_", "MEDIAD_FROM_", "MEDIAD_TO_"} {
		environ = append(environ, side+"BLOB_ACCESS_KEY="+minio.AccessKey, side+"BLOB_SECRET_KEY="+minio.SecretKey)
	}
	succeed(t, append(environ, "MEDIAD_DATA_DIR="+t.TempDir(), "MEDIAD_BLOB_URL="+bucket, "MEDIAD_HTTP_ADDR=", "MEDIAD_RTMP_ADDR=", "MEDIAD_RTSP_ADDR=",
		"MEDIAD_SRT_ADDR=", "MEDIAD_WEBRTC_ADDR=", "MEDIAD_ADMIN_ADDR="), "doctor", "--fix")
	there := []string{"copy", "--from", first, "--to", second, "--to", postgres, "--to", bucket}

	said := succeed(t, environ, append(there, "--dry-run", "--secrets")...)
	require.Contains(t, said, "nothing was changed")
	require.Regexp(t, `sealed: [1-9]\d* values, which the source's master key opens`, said)
	require.NoDirExists(t, second)
	said, code := mediadWith(t, environ, append(there, "--dry-run")...)
	require.Equal(t, exitFailure, code, "as the copy would end: %s", said)
	require.Contains(t, said, "target: mail addresses")
	require.Contains(t, said, "--secrets")
	require.NoDirExists(t, second)
	said, code = mediadWith(t, environ, there...)
	require.Equal(t, exitFailure, code, said)
	require.Contains(t, said, "sealed with master keys")
	require.Contains(t, said, "--secrets")
	require.NotContains(t, said, minio.SecretKey)

	// Neither side may be served meanwhile.
	lock, err := lockData(first)
	require.NoError(t, err)
	said, code = mediadWith(t, environ, there...)
	require.NoError(t, lock.Close())
	require.Equal(t, exitFailure, code)
	require.Contains(t, said, "in use by another mediad")
	served, err := db.Open(t.Context(), db.Options{URL: postgres})
	require.NoError(t, err)
	said, code = mediadWith(t, environ, there...)
	require.NoError(t, served.Close())
	require.Equal(t, exitFailure, code)
	require.Contains(t, said, "stop it first")

	said = succeed(t, environ, append(there, "--secrets")...)
	require.Contains(t, said, "all rows and objects are equal")
	require.Contains(t, said, "folder to bucket: 4 objects copied")
	said = succeed(t, environ, append(there, "--verify")...)
	require.Contains(t, said, "both sites are equal")
	require.Contains(t, succeed(t, environ, there...), "the copy was complete already")
	said, code = mediadWith(t, environ, append([]string{"copy", "--from", smallSite(t)}, there[3:]...)...)
	require.Equal(t, exitFailure, code, "it has rows now, of no copy of that")
	require.Contains(t, said, "the target is not empty")

	// Another key than the source's is told.
	back := []string{"copy", "--from", second, "--from", postgres, "--from", bucket, "--to", third}
	require.NoError(t, os.MkdirAll(filepath.Join(third, "secrets"), 0o700))
	said, code = mediadWith(t, append(environ, "MEDIAD_TO_SECRET_KEY="+strings.Repeat("k", 32)), back...)
	require.Equal(t, exitFailure, code)
	require.Contains(t, said, "sealed with master keys")
	said = succeed(t, environ, append(back, "--secrets")...)
	require.Contains(t, said, "all rows and objects are equal")
	said = succeed(t, environ, "copy", "--from", first, "--to", third, "--verify")
	require.Contains(t, said, "both sites are equal")

	// One altered byte is found, in the media and in the rows.
	local, err := disk.Open(filepath.Join(third, "blobs"))
	require.NoError(t, err)
	require.NoError(t, local.Put(t.Context(), "live/main/0198f2a0-0000-7000-8000-000000000021/source-0.m4s", strings.NewReader("aaaabbbbccxc"), 12, blob.Meta{}))
	require.NoError(t, local.Close())
	_, err = transfertest.Raw(t, db.Options{Path: filepath.Join(third, "mediad.db")}).ExecContext(t.Context(), "UPDATE users SET version = version + 1")
	require.NoError(t, err)
	said, code = mediadWith(t, environ, "copy", "--from", first, "--to", third, "--verify")
	require.Equal(t, exitFailure, code)
	require.Contains(t, said, "source-0.m4s")
	require.Contains(t, said, "users has as many rows on both sides, 1, and not the same ones")
}

func TestCopyChangesTheDatabaseAlone(t *testing.T) {
	if !pgtest.Installed(t) {
		t.Skip("PostgreSQL is not installed: run deploy/deps.sh test")
	}
	t.Parallel()
	dir, postgres := smallSite(t), transfertest.Empty(t, db.PostgreSQL).URL
	environ := []string{"MEDIAD_DATA_DIR=" + dir}
	said := succeed(t, environ, "copy", "--to", dir, "--to", postgres)
	require.NotContains(t, said, "local")
	s, err := openTestSite(append(environ, "MEDIAD_DATABASE_URL="+postgres))
	require.NoError(t, err, "a server starts on it")
	defer s.close()
	_, err = s.accounts.Find(t.Context(), "admin")
	require.NoError(t, err)
	said, code := mediadWith(t, environ, "copy", "--to", dir)
	require.Equal(t, exitUsage, code, said)
}

// TestADryRunOpensWhatIsSealed: a site whose master key is lost, or whose sealed values were moved, is told before anything is copied.
func TestADryRunOpensWhatIsSealed(t *testing.T) {
	t.Parallel()
	dir := smallSite(t)
	environ := []string{"MEDIAD_DATA_DIR=" + dir}
	plan := []string{"copy", "--to", filepath.Join(t.TempDir(), "to"), "--secrets", "--dry-run"}
	require.Contains(t, succeed(t, environ, plan...), "nothing was changed")

	raw := transfertest.Raw(t, db.Options{Path: filepath.Join(dir, "mediad.db")})
	_, err := raw.ExecContext(t.Context(), "UPDATE signing_keys SET private_enc = private_enc || 'x'")
	require.NoError(t, err)
	said, code := mediadWith(t, environ, plan...)
	require.Equal(t, exitFailure, code, said)
	require.Contains(t, said, "cannot be opened, though their master key is there")

	key := filepath.Join(dir, "secrets", "master.key")
	require.NoError(t, os.Rename(key, key+".gone"))
	said, code = mediadWith(t, environ, plan...)
	require.Equal(t, exitFailure, code, said)
	require.Contains(t, said, "source: mail addresses")
	require.NoFileExists(t, key, "none is made")
}

// TestProcess is a process of its own for tests that kill it: it runs a command instead of tests.
func TestProcess(t *testing.T) {
	words := os.Getenv("MEDIAD_TEST_PROCESS")
	if words == "" {
		t.Skip("it is not a test")
	}
	os.Exit(run(context.Background(), strings.Split(words, "\n"), nil, os.Stdout, os.Stderr))
}

// TestCopyIsKilledAndGoesOn kills the process at a moment that is later each time, until it is through.
func TestCopyIsKilledAndGoesOn(t *testing.T) {
	if !pgtest.Installed(t) {
		t.Skip("PostgreSQL is not installed: run deploy/deps.sh test")
	}
	t.Parallel()
	full := transfertest.Full(t)
	schema, err := full.Schema(t.Context())
	require.NoError(t, err)
	first, second := smallSite(t), filepath.Join(t.TempDir(), "second")
	require.NoError(t, os.Remove(filepath.Join(first, "mediad.db")))
	from, err := db.Open(t.Context(), db.Options{Path: filepath.Join(first, "mediad.db")})
	require.NoError(t, err)
	_, err = transfer.Load(t.Context(), transfertest.Snapshot(t, full), from, transfer.Options{Name: "full", Schema: schema})
	require.NoError(t, err)
	defer from.Close()
	step := 25 * time.Millisecond
	if testing.Short() {
		step = 400 * time.Millisecond
	}
	kills := 0
	for after := 80 * time.Millisecond; ; after += step {
		cmd := exec.Command(os.Args[0], "-test.run", "^TestProcess$")
		cmd.Env = append(os.Environ(), "MEDIAD_TEST_PROCESS="+strings.Join([]string{"mediad", "copy", "--from", first, "--to", second, "--secrets"}, "\n"))
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		require.NoError(t, cmd.Start())
		timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		err := cmd.Wait()
		if timer.Stop(); err == nil {
			break
		}
		require.Equal(t, -1, cmd.ProcessState.ExitCode(), "it ended by itself: %s", out.String())
		kills++
	}
	require.Positive(t, kills)
	to, err := db.Open(t.Context(), db.Options{Path: filepath.Join(second, "mediad.db")})
	require.NoError(t, err)
	defer to.Close()
	transfertest.Equal(t, from, to)
	require.Contains(t, succeed(t, nil, "copy", "--from", first, "--to", second, "--verify"), "both sites are equal")
}

func TestDoctorTellsOfAPartOfASite(t *testing.T) {
	t.Parallel()
	dir := smallSite(t)
	d, err := db.Open(t.Context(), db.Options{Path: filepath.Join(dir, "mediad.db")})
	require.NoError(t, err)
	require.NoError(t, d.SetMoving(t.Context(), db.Move{Source: "elsewhere", Stage: "rows"}))
	require.NoError(t, d.Close())
	said, code := mediadWith(t, []string{"MEDIAD_DATA_DIR=" + dir}, "stream", "list")
	require.Equal(t, exitFailure, code)
	require.Contains(t, said, "they come from elsewhere; move them again, and it goes on")
	one := doctor{config: configs.Default()}
	one.config.DataDir = dir
	one.examineDatabase(t.Context())
	require.Len(t, one.findings, 1)
	require.True(t, one.findings[0].fails)
	require.Contains(t, one.findings[0].text, "moved into it from elsewhere")
	said, code = mediadWith(t, []string{"MEDIAD_DATA_DIR=" + dir}, "backup", filepath.Join(t.TempDir(), "a.backup"))
	require.Equal(t, exitFailure, code)
	require.Contains(t, said, "not all of them have come")
}

func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	dir, files := smallSite(t), t.TempDir()
	environ := []string{"MEDIAD_DATA_DIR=" + dir}
	with := []string{"MEDIAD_DATA_DIR=" + dir, passphraseVariable + "=correct horse battery"}
	path := filepath.Join(files, "a.backup")
	lock, err := lockData(dir) // as a running server has it
	require.NoError(t, err)
	said := succeed(t, environ, "backup", path)
	require.NoError(t, lock.Close())
	require.Contains(t, said, "the master key is not in it")
	said, code := mediadWith(t, environ, "backup", path)
	require.Equal(t, exitFailure, code)
	require.Contains(t, said, "file already exists")
	said, code = mediadWith(t, environ, "backup", "--secrets", filepath.Join(files, "b.backup"))
	require.Equal(t, exitUsage, code, said)
	whole := filepath.Join(files, "whole.backup")
	succeed(t, with, "backup", "--blobs", "--secrets", whole)
	succeed(t, environ, "backup", files) // named by the time
	require.Contains(t, succeed(t, nil, "restore", "--verify", whole), "every checksum is right")

	// Into nothing: without the key refused, with it equal.
	fresh := filepath.Join(t.TempDir(), "fresh")
	said, code = mediadWith(t, []string{"MEDIAD_DATA_DIR=" + fresh}, "restore", whole)
	require.Equal(t, exitFailure, code)
	require.Contains(t, said, "sealed with master keys")
	said, code = mediadWith(t, []string{"MEDIAD_DATA_DIR=" + fresh, passphraseVariable + "=another passphrase"}, "restore", "--secrets", whole)
	require.Equal(t, exitFailure, code)
	require.Contains(t, said, "the passphrase is wrong")
	require.NoDirExists(t, fresh, "what is refused leaves nothing behind")
	succeed(t, []string{"MEDIAD_DATA_DIR=" + fresh, passphraseVariable + "=correct horse battery"}, "restore", "--secrets", whole)
	require.Contains(t, succeed(t, nil, "copy", "--from", dir, "--to", fresh, "--verify"), "both sites are equal")

	// Over what is the same nothing is to be done; over another site: refused, and with --replace that one is set aside.
	require.Contains(t, succeed(t, environ, "restore", whole), "already")
	succeed(t, environ, "stream", "create", "--slug", "another")
	said, code = mediadWith(t, environ, "restore", whole)
	require.Equal(t, exitFailure, code)
	require.Contains(t, said, "--replace")
	said = succeed(t, environ, "restore", "--replace", whole)
	require.Contains(t, said, "set aside")
	require.Contains(t, succeed(t, nil, "copy", "--from", dir, "--to", fresh, "--verify"), "both sites are equal")

	// What cannot be restored takes no other site's place.
	other := smallSite(t)
	for want, passphrase := range map[string]string{"sealed with master keys": "", "the passphrase is wrong": passphraseVariable + "=another passphrase"} {
		args := []string{"restore", "--replace", whole}
		environ := []string{"MEDIAD_DATA_DIR=" + other}
		if passphrase != "" {
			args, environ = []string{"restore", "--replace", "--secrets", whole}, append(environ, passphrase)
		}
		said, code = mediadWith(t, environ, args...)
		require.Equal(t, exitFailure, code)
		require.Contains(t, said, want)
		aside, err := filepath.Glob(filepath.Join(other, "*.before-*"))
		require.NoError(t, err)
		require.Empty(t, aside)
	}

	// The database alone is lost.
	require.NoError(t, os.Rename(filepath.Join(fresh, "mediad.db"), filepath.Join(fresh, "lost.db")))
	said, code = mediadWith(t, []string{"MEDIAD_DATA_DIR=" + fresh}, "restore", whole)
	require.Equal(t, exitFailure, code)
	require.Contains(t, said, "has objects")
	succeed(t, []string{"MEDIAD_DATA_DIR=" + fresh}, "restore", "--rows", whole)
	require.Contains(t, succeed(t, nil, "copy", "--from", dir, "--to", fresh, "--verify"), "both sites are equal")

	// The media alone is lost.
	require.NoError(t, os.Rename(filepath.Join(fresh, "blobs"), filepath.Join(fresh, "lost")))
	said, code = mediadWith(t, []string{"MEDIAD_DATA_DIR=" + fresh}, "restore", whole)
	require.Equal(t, exitFailure, code, said)
	require.NoError(t, os.RemoveAll(filepath.Join(fresh, "blobs")))
	require.NoError(t, os.Rename(filepath.Join(fresh, "lost"), filepath.Join(fresh, "blobs")))

	// Beside a server it is refused.
	lock, err = lockData(fresh)
	require.NoError(t, err)
	said, code = mediadWith(t, []string{"MEDIAD_DATA_DIR=" + fresh}, "restore", "--replace", whole)
	require.NoError(t, lock.Close())
	require.Equal(t, exitFailure, code)
	require.Contains(t, said, "in use by another mediad")

	text, err := os.ReadFile(whole)
	require.NoError(t, err)
	text[len(text)/2] ^= 1
	require.NoError(t, os.WriteFile(whole, text, 0o600))
	said, code = mediadWith(t, []string{"MEDIAD_DATA_DIR=" + filepath.Join(t.TempDir(), "x")}, "restore", whole)
	require.Equal(t, exitFailure, code)
	require.Contains(t, said, "is damaged")
}
