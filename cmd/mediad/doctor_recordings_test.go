package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"mediad/store/blob"
	"mediad/store/retention"
)

// TestDoctorOnOrphansSaysWhatItDidNotJudge, leaves what is not mediad's, and names what is well only when asked.
func TestDoctorOnOrphansSaysWhatItDidNotJudge(t *testing.T) {
	said := func(d *doctor, o retention.Orphans) string {
		d.sayOrphans(t.Context(), nil, o)
		var all []string
		for _, f := range d.findings {
			require.Equal(t, f.fails, f.fails && f.advice != "")
			all = append(all, f.text)
		}
		return strings.Join(all, "\n")
	}
	o := retention.Orphans{
		Sessions: []retention.Checked{{Session: "one", Segments: 3, Files: 1}, {Session: "a clip"}}, Young: 6, Going: 1,
		Strange: []string{"stray.txt"}, StrangeCount: 1,
	}
	text := said(&doctor{}, o)
	require.Contains(t, text, "none: rows, files and bucket agree in 2 sessions and clips; 6 objects and files without rows, younger than 15 minutes, not judged")
	require.Contains(t, text, "1 sessions that are on or just over not judged")
	require.Contains(t, text, "1 objects in the bucket are not of mediad, and are left alone: stray.txt")
	require.NotContains(t, text, "session or clip one")
	text = said(&doctor{verbose: true}, o)
	require.Contains(t, text, "session or clip one: 3 segments")
	require.NotContains(t, text, "a clip:")

	// With --fix and no Retention: it must not come to mending.
	d := &doctor{fix: true}
	text = said(d, retention.Orphans{Foreign: true, Files: []blob.Info{{Key: "live/x"}}})
	require.NotContains(t, text, "agree")
	require.True(t, d.findings[len(d.findings)-1].fails)
}
