package backup_test

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/store/backup"
	"mediad/store/blob"
	"mediad/store/blob/memory"
	"mediad/store/db"
	"mediad/store/db/dbtest"
	"mediad/store/db/transfer"
	"mediad/store/db/transfer/transfertest"
)

func TestMain(m *testing.M) { testx.Main(m) }

// passphrase is long enough.
var passphrase = []byte("correct horse battery")

// typed is a store whose objects have a content type.
type typed struct {
	blob.Store
	contentType string
}

func (s typed) Stat(ctx context.Context, key string) (blob.Info, error) {
	info, err := s.Store.Stat(ctx, key)
	info.Meta.ContentType = s.contentType
	return info, err
}

// site has rows in every table, objects in two places, and secrets.
func site(t *testing.T) (*db.DB, backup.Options) {
	t.Helper()
	d := transfertest.Full(t)
	schema, err := d.Schema(t.Context())
	require.NoError(t, err)
	o := backup.Options{Version: "test", Rows: transfertest.Snapshot(t, d), Database: d.Where(), Engine: string(d.Engine()), Schema: schema,
		Keys: []string{"k1"}, Secrets: filepath.Join(t.TempDir(), "secrets"), Passphrase: passphrase}
	require.NoError(t, os.MkdirAll(filepath.Join(o.Secrets, "acme"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(o.Secrets, "master.key"), []byte("the master key"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(o.Secrets, "acme", "account"), []byte("account"), 0o600))
	for _, name := range []string{"local", "bucket"} {
		s := memory.New(memory.Options{})
		for key, text := range map[string]string{"live/a/journal-1": "journal of " + name, "vod/v/" + strings.Repeat("long/", 40) + "thumb.jpg": "a picture", "vod/empty": ""} {
			require.NoError(t, s.Put(t.Context(), key, strings.NewReader(text), int64(len(text)), blob.Meta{}))
		}
		o.Places = append(o.Places, backup.Place{Name: name, Store: typed{s, "text/x-" + name}})
	}
	return d, o
}

func TestBackupDestroyRestore(t *testing.T) {
	d, o := site(t)
	path := filepath.Join(t.TempDir(), "site.backup")
	head, manifest, err := backup.Create(t.Context(), path, o)
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
	_, _, err = backup.Create(t.Context(), path, o)
	require.ErrorIs(t, err, fs.ErrExist, "a backup is never written over another")
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing is left beside it")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NotContains(t, string(text), "the master key")

	b, err := backup.Open(t.Context(), path)
	require.NoError(t, err)
	defer b.Close()
	require.Equal(t, head.ID, b.Head.ID)
	require.Equal(t, manifest, b.Manifest)
	for _, engine := range []db.Engine{db.SQLite, db.PostgreSQL} {
		t.Run(string(engine), func(t *testing.T) {
			to, _ := transfertest.OpenEmpty(t, engine)
			_, err := transfer.Load(t.Context(), b, to, transfer.Options{Name: "backup " + b.Head.ID, Schema: b.Head.Schema})
			require.NoError(t, err)
			transfertest.Equal(t, d, to)
		})
	}

	got := make(map[string]string)
	require.NoError(t, b.Objects(t.Context(), func(o backup.Object, r io.Reader) error {
		text, err := io.ReadAll(r)
		got[o.Place+" "+o.Key] = string(text)
		assert.Equal(t, "text/x-"+o.Place, o.Meta.ContentType)
		assert.Len(t, text, int(o.Size))
		return err
	}))
	require.Len(t, got, 6)
	require.Equal(t, "journal of bucket", got["bucket live/a/journal-1"])

	dir := filepath.Join(t.TempDir(), "secrets")
	_, err = b.RestoreSecrets(dir, []byte("another passphrase"))
	require.ErrorIs(t, err, backup.ErrPassphrase)
	require.NoDirExists(t, dir)
	for range 2 {
		_, err = b.RestoreSecrets(dir, passphrase)
		require.NoError(t, err)
	}
	key, err := os.ReadFile(filepath.Join(dir, "master.key"))
	require.NoError(t, err)
	require.Equal(t, "the master key", string(key))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "master.key"), []byte("of another site"), 0o600))
	_, err = b.RestoreSecrets(dir, passphrase)
	require.ErrorContains(t, err, "is there, and is another")
}

func TestEveryDamageIsFound(t *testing.T) {
	_, o := site(t)
	path := filepath.Join(t.TempDir(), "site.backup")
	_, _, err := backup.Create(t.Context(), path, o)
	require.NoError(t, err)
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	open := func(b []byte) error {
		bad := filepath.Join(t.TempDir(), "bad")
		require.NoError(t, os.WriteFile(bad, b, 0o600))
		f, err := backup.Open(t.Context(), bad)
		if err == nil {
			err = f.Close()
		}
		return err
	}
	require.NoError(t, open(whole))
	at := func(what string) int {
		i := bytes.Index(whole, []byte(what))
		require.Positive(t, i, what)
		return i
	}
	for _, i := range []int{at(`"made_at"`) + 14, at("journal of local"), at("\x1f\x8b") + 30, at(`"entries"`) + 12, at("sums/000001") + 1100, at("secrets.sealed") + 530} {
		flipped := bytes.Clone(whole)
		flipped[i] ^= 1
		require.ErrorIs(t, open(flipped), backup.ErrDamaged, "byte %d", i)
	}
	for _, n := range []int{len(whole) / 3, len(whole) - 3000, at("sums/000001")} {
		require.ErrorIs(t, open(whole[:n]), backup.ErrDamaged, "cut at %d", n)
	}
	for _, junk := range [][]byte{nil, []byte("no backup"), bytes.Repeat([]byte{0}, 2048), bytes.Repeat([]byte("x"), 5000)} {
		require.Error(t, open(junk))
	}
	require.ErrorIs(t, open(bytes.Replace(whole, []byte(`"format": 1`), []byte(`"format": 9`), 1)), backup.ErrFormat)
}

func TestShortPassphrasesAreRefused(t *testing.T) {
	d := dbtest.On(db.SQLite).Open(t)
	o := backup.Options{Rows: transfertest.Snapshot(t, d), Secrets: t.TempDir(), Passphrase: []byte("short")}
	path := filepath.Join(t.TempDir(), "site.backup")
	_, _, err := backup.Create(t.Context(), path, o)
	require.ErrorContains(t, err, "passphrase")
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Empty(t, entries)
}

// TestThereMayBeNoSecrets: a site whose keys all come from its configuration, and that never ran.
func TestThereMayBeNoSecrets(t *testing.T) {
	d := dbtest.On(db.SQLite).Open(t)
	path := filepath.Join(t.TempDir(), "site.backup")
	_, _, err := backup.Create(t.Context(), path, backup.Options{Rows: transfertest.Snapshot(t, d), Secrets: filepath.Join(t.TempDir(), "none"), Passphrase: passphrase})
	require.NoError(t, err)
	b, err := backup.Open(t.Context(), path)
	require.NoError(t, err)
	defer b.Close()
	names, err := b.RestoreSecrets(t.TempDir(), passphrase)
	require.NoError(t, err)
	require.Empty(t, names)
}

// TestSecretsThatAreLinks, as whoever mounts them makes them, are secrets too.
func TestSecretsThatAreLinks(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	mounted := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(mounted, []byte("the master key"), 0o600))
	require.NoError(t, os.Symlink(mounted, filepath.Join(from, "master.key")))
	names, err := backup.CopySecrets(from, to)
	require.NoError(t, err)
	require.Equal(t, []string{"master.key"}, names)
	key, err := os.ReadFile(filepath.Join(to, "master.key"))
	require.NoError(t, err)
	require.Equal(t, "the master key", string(key))
	require.NoError(t, os.Remove(mounted))
	_, err = backup.CopySecrets(from, t.TempDir())
	require.ErrorIs(t, err, fs.ErrNotExist, "one that leads nowhere is no secret that may be left out")
}
