package packager

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/live"
	"mediad/store/blob/memory"
)

// TestASessionBeginsBehindWhatAnotherNodeHasStored, also behind what that has not stored yet; and where this node had the stream last, right behind
// that.
func TestASessionBeginsBehindWhatAnotherNodeHasStored(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		known     uint64 // next number by the journal; 0: there is none
		discs     uint64
		elsewhere Last
		base      uint64
		in        uint64 // discontinuities in front of the first segment
	}{
		"nobody had it":              {base: uint64(now.Unix())},
		"this node alone":            {known: 100, discs: 2, base: 100, in: 3},
		"another node":               {elsewhere: Last{MSN: 500, Start: now.Add(-4500 * time.Millisecond), Discontinuities: 7}, base: 505, in: 8},
		"another node, after this":   {known: 100, discs: 2, elsewhere: Last{MSN: 500, Start: now, Discontinuities: 7}, base: 501, in: 8},
		"this node, after another":   {known: 700, discs: 9, elsewhere: Last{MSN: 699, Start: now.Add(-time.Hour), Discontinuities: 9}, base: 700, in: 10},
		"this node, rows are late":   {known: 700, discs: 9, elsewhere: Last{MSN: 600, Start: now.Add(-time.Hour)}, base: 700, in: 10},
		"another node's clock ahead": {elsewhere: Last{MSN: 500, Start: now.Add(time.Minute)}, base: 501, in: 1},
	} {
		t.Run(name, func(t *testing.T) {
			asked := ""
			s := NewStreams(Options{
				Blobs: memory.New(memory.Options{MaxBytes: 1 << 20}), Now: func() time.Time { return now },
				Elsewhere: func(streamID string) (Last, bool) { asked = streamID; return c.elsewhere, c.elsewhere.MSN > 0 },
			})
			st := s.stream("main")
			st.nextMSN, st.discs = c.known, c.discs
			session := st.newSession("one", live.Grant{StreamID: "id", Stream: "main"}, now)
			st.journal.stop()
			require.Equal(t, "id", asked)
			require.Equal(t, c.base, session.base)
			require.Equal(t, c.in, session.discs)
		})
	}
}
