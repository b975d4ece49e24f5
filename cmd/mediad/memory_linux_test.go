package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMemoryIsBoundedByTheLeastOfAllGroups(t *testing.T) {
	root := t.TempDir()
	write := func(file, text string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(root, file)), 0o750))
		require.NoError(t, os.WriteFile(filepath.Join(root, file), []byte(text), 0o600))
	}
	write("system.slice/memory.max", "3000\n")
	write("system.slice/mediad.service/memory.max", "max\n")
	write("memory/docker/memory.limit_in_bytes", "9223372036854771712\n")
	write("memory/memory.limit_in_bytes", "500\n")
	for groups, want := range map[string]uint64{
		"0::/system.slice/mediad.service\n":       3000,
		"0::/\n":                                  9000,
		"0::/of/the/host\n":                       9000,
		"4:memory:/docker\n3:cpu:/system.slice\n": 500,
		"":         9000,
		"nonsense": 9000,
	} {
		require.Equal(t, want, groupLimit(root, groups, 9000), groups)
	}
	limit, err := memoryLimit()
	require.NoError(t, err)
	require.Greater(t, limit, uint64(1<<26))
}
