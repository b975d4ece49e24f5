package live

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNetworkSharesAreThoseOfTheLastSeconds(t *testing.T) {
	var m networkMeter
	_, known := m.figures()
	require.False(t, known)

	m.add(Network{Packets: 100, Lost: 10, Missing: 1}, 0)
	f, known := m.figures()
	require.True(t, known)
	require.InDelta(t, 0.1, f.LostShare, 1e-9, "of all there was, while there is no more")
	require.InDelta(t, 0.01, f.MissingShare, 1e-9)

	for i := range 30 {
		m.add(Network{Packets: uint64(200 + 100*i), Lost: 10, Missing: 1, RTT: time.Duration(i)}, time.Duration(i+1)*time.Second)
	}
	f, _ = m.figures()
	require.Zero(t, f.LostShare, "it was long ago")
	require.EqualValues(t, 10, f.Lost)
	require.EqualValues(t, 29, f.RTT)
	require.Len(t, m.reports, 11)

	for i := range 1000 { // oftener than anybody should
		m.add(Network{Packets: uint64(4000 + i), Lost: 10 + uint64(i)/2}, 31*time.Second+time.Duration(i))
	}
	require.Len(t, m.reports, maxReports)
	f, _ = m.figures()
	require.InDelta(t, 0.5, f.LostShare, 0.02)
}
