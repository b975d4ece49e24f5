package packager

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/store/blob/memory"
)

// TestFilesWithoutSegmentsGo: a file that the disk took nothing of is deleted, of a recorded session as well; one with a segment is not.
func TestFilesWithoutSegmentsGo(t *testing.T) {
	disk := &fullDisk{Store: memory.New(memory.Options{MaxBytes: 1 << 20})}
	var dropped []string
	l := partLog{
		store: disk, log: slog.New(slog.DiscardHandler), prefix: func(n int) string { return fmt.Sprint("file-", n) },
		fallback: func(bool) {}, trash: func(string) {}, drop: func(key string) { dropped = append(dropped, key) },
	}
	now := time.Now()
	f, _ := l.begin(t.Context(), now, 0)
	require.NotNil(t, f)
	require.NoError(t, l.write(now, []byte("a segment")))
	_, _ = l.begin(t.Context(), now, 2*time.Second)
	disk.full = true
	require.Error(t, l.write(now, []byte("another")))
	require.Empty(t, dropped, "the first segment is in it")
	l.release(f)
	disk.full = false
	now = now.Add(time.Minute)
	f, _ = l.begin(t.Context(), now, time.Minute)
	require.NotNil(t, f)
	disk.full = true
	require.Error(t, l.write(now, []byte("a third")))
	require.Equal(t, []string{"file-1"}, dropped)
}
