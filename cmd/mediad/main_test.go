package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestConfigFileIsTakenOnEitherSideOfTheCommand(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "c.yaml")
	require.NoError(t, os.WriteFile(file, []byte("hls.window: 40s\n"), 0o600))
	for _, args := range [][]string{
		{"mediad", "config", "print", "--config", file},
		{"mediad", "config", "print", "-c", file},
		{"mediad", "config", "--config", file, "print"},
		{"mediad", "--config", file, "config", "print"},
		{"mediad", "config", "print", "--config=" + file},
	} {
		var out bytes.Buffer
		require.Zero(t, run(context.Background(), args, nil, &out, &out), out.String())
		require.Contains(t, out.String(), "hls.window: 40s   # set", "%v", args)
	}
}

// TestEveryCommandReadsTheConfigBehindIt: a fault in the file tells that it was read.
func TestEveryCommandReadsTheConfigBehindIt(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yaml")
	require.NoError(t, os.WriteFile(file, []byte("hls.window: 4s\n"), 0o600))
	for _, args := range [][]string{
		{"serve"}, {"serve", "--role", "all"}, {"stream", "list"}, {"stream", "create"}, {"stream", "health", "main"}, {"doctor"},
		{"user", "passwd", "admin"}, {"migrate", "status"},
	} {
		var out bytes.Buffer
		code := run(t.Context(), append(append([]string{"mediad"}, args...), "--config", file), nil, &out, &out)
		require.Equal(t, exitUsage, code, "%v", args)
		require.Contains(t, out.String(), "hls.window", "%v", args)
	}
}
