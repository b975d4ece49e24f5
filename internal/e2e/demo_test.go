//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDemoSaysWhereItLooks: on a data folder that no server runs on, a key is of no use, and nothing is made there.
func TestDemoSaysWhereItLooks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := exec.Command("deploy/demo.sh")
	c.Dir = "../.."
	c.Env = append(os.Environ(), "MEDIAD_DATA_DIR="+dir, "KEY=", "HOST=")
	out, err := c.CombinedOutput()
	require.Error(t, err, string(out))
	require.Contains(t, string(out), "no server runs on the data folder "+dir)
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, files)
}
