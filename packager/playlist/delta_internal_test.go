package playlist

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The rules that compare a delta update with the whole playlist cannot be broken from outside: the renderer keeps them.
func TestEachRuleOfADeltaAgainstTheWholeCanFail(t *testing.T) {
	s := Spec{Config: &Config{Target: 2, Window: 30 * time.Second}, Independent: true}
	for i := range 15 {
		s.Segments = append(s.Segments, &Segment{
			MSN: 100 + uint64(i), Epoch: 7, Duration: 2 * time.Second, ProgramDate: time.Unix(int64(2*i), 0),
		})
	}
	w := NewWindow(s)
	full, delta := w.Render(SkipNo, false), w.Render(SkipYes, false)
	require.NoError(t, checkDelta(full, delta))
	for rule, change := range map[string][2]string{
		"delta-count":    {"SKIPPED-SEGMENTS=9", "SKIPPED-SEGMENTS=16"},
		"delta-sequence": {"MEDIA-SEQUENCE:100", "MEDIA-SEQUENCE:101"},
		"delta-tail":     {"SKIPPED-SEGMENTS=9", "SKIPPED-SEGMENTS=8"},
	} {
		broken := bytes.Replace(delta, []byte(change[0]), []byte(change[1]), 1)
		require.NotEqual(t, delta, broken)
		require.ErrorContains(t, checkDelta(full, broken), rule+":")
	}
}
