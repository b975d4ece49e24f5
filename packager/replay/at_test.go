package replay

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAt: the time that the publisher was away is in no video.
func TestAt(t *testing.T) {
	began := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	v := &Video{Duration: 14 * time.Second, line: []mark{
		{msn: 1, at: 0, start: began, length: 4 * time.Second},
		{msn: 2, at: 4 * time.Second, start: began.Add(4 * time.Second), length: 4 * time.Second},
		{msn: 5, at: 8 * time.Second, start: began.Add(time.Minute), length: 6 * time.Second},
	}}
	for moment, want := range map[time.Duration]time.Duration{
		0: 0, 3 * time.Second: 3 * time.Second, 4 * time.Second: 4 * time.Second, 7999 * time.Millisecond: 7999 * time.Millisecond,
		30 * time.Second: 8 * time.Second, time.Minute: 8 * time.Second, 65 * time.Second: 13 * time.Second,
		-time.Millisecond: -1, 66 * time.Second: -1,
	} {
		at, ok := v.At(began.Add(moment))
		require.Equal(t, want >= 0, ok, moment)
		if ok {
			require.Equal(t, want, at, moment)
		}
	}
	_, ok := (&Video{}).At(began)
	require.False(t, ok)
}
