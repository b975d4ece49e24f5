package backup_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/store/backup"
	"mediad/store/db"
	"mediad/store/db/dbtest"
	"mediad/store/db/transfer/transfertest"
)

// TestAFolderKeepsTheNewest of those made into it, and leaves alone what else lies there.
func TestAFolderKeepsTheNewest(t *testing.T) {
	now := time.Date(2026, 3, 1, 4, 0, 0, 0, time.UTC)
	free := uint64(1 << 40)
	f := backup.Folder{
		Dir: filepath.Join(t.TempDir(), "data", "backups"), Keep: 2, Now: func() time.Time { return now },
		Free: func() (uint64, error) { return free, nil },
	}
	rows := transfertest.Snapshot(t, dbtest.On(db.SQLite).Open(t))
	made := func(id string) string {
		name, _, _, err := f.Make(t.Context(), id, 1<<20, backup.Options{Rows: rows})
		require.NoError(t, err)
		return name
	}
	there := func() (names []string) {
		entries, err := os.ReadDir(f.Dir)
		require.NoError(t, err)
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	first := made("9")
	require.Equal(t, "mediad-20260301-040000-9.backup", first)
	info, err := os.Stat(f.Dir)
	require.NoError(t, err)
	require.Equal(t, os.ModeDir|0o700, info.Mode())
	info, err = os.Stat(filepath.Join(f.Dir, first))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())

	// Of other names: one of the command line, and one that somebody has set aside.
	others := []string{"mediad-20250101-000000.backup", "mediad-20250101-000000-1.backup.kept"}
	// Of a writer that died, of one that writes, and of one of the command line.
	dead, alive, own := ".mediad-20260228-040000-8.backup.123", ".mediad-20260301-033000-7.backup.4", ".mediad-20260228-040000.backup.5"
	for _, name := range append(others, dead, alive, own) {
		path := filepath.Join(f.Dir, name)
		require.NoError(t, os.WriteFile(path, nil, 0o600))
		at := now.Add(-24 * time.Hour)
		if name == alive {
			at = now.Add(-30 * time.Minute)
		}
		require.NoError(t, os.Chtimes(path, at, at))
	}
	now = now.Add(time.Hour)
	alone := now.Add(-30 * time.Minute)
	require.NoError(t, os.Chtimes(filepath.Join(f.Dir, alive), alone, alone))
	second := made("10")
	require.NotContains(t, there(), dead)
	now = now.Add(-24 * time.Hour) // the clock was set back: the newest is the one that was made last
	third := made("11")
	gone, err := f.Trim(third)
	require.NoError(t, err)
	require.Equal(t, 1, gone)
	require.ElementsMatch(t, append(others, alive, own, second, third), there())

	free = 100 << 20
	_, _, _, err = f.Make(t.Context(), "12", 1<<20, backup.Options{Rows: rows})
	require.ErrorIs(t, err, backup.ErrNoRoom)
	require.ElementsMatch(t, append(others, alive, own, second, third), there(), "nothing was begun, and nothing went")
	free = 1 << 40
	ctx, cancel := context.WithCancel(t.Context())
	_, _, _, err = f.Make(ctx, "13", 1<<20, backup.Options{Rows: rows, Progress: func(string, int64) { cancel() }})
	require.ErrorIs(t, err, context.Canceled)
	require.ElementsMatch(t, append(others, alive, own, second, third), there(), "nothing is left of one that was stopped half way")
	_, _, _, err = f.Make(t.Context(), "../x", 1, backup.Options{})
	require.Error(t, err)
}
