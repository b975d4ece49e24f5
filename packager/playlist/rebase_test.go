package playlist_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"mediad/packager/playlist"
)

// TestRebase: every name of a playlist is under its folder, and nothing else of it changes.
func TestRebase(t *testing.T) {
	s := live()
	s.Segments[3].Gap, s.Segments[5].Discontinuity, s.Segments[5].Epoch = true, true, epoch+1
	plain := playlist.RenderVOD(s)
	got := string(playlist.Rebase(plain, func(name string) string {
		if name == "init_1764100000001.mp4" {
			return ""
		}
		return "../../live/x/"
	}))
	require.Equal(t, len(s.Segments), strings.Count(got, "\n../../live/x/seg_"))
	require.Contains(t, got, `#EXT-X-MAP:URI="../../live/x/init_1764100000000.mp4"`)
	require.Contains(t, got, `#EXT-X-MAP:URI="init_1764100000001.mp4"`)
	require.Equal(t, string(plain), strings.ReplaceAll(got, "../../live/x/", ""))
}
