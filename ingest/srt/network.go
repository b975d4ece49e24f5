package srt

import (
	"time"

	gosrt "github.com/datarhei/gosrt"

	"mediad/live"
)

// reportEvery is how often the network is told of: not before what was lost at the last report has come or never will.
func reportEvery(st gosrt.Statistics) time.Duration {
	return max(time.Second, time.Duration(st.Instantaneous.MsRecvTsbPdDelay)*time.Millisecond)
}

// networkOf makes a report of SRT's statistics. before is what was lost by the report before, the latency ago or longer.
//
// SRT counts the holes in the sequence, and the packets that came late enough to fill one, but not those that never came. All
// holes of the report before are settled by now, so those above what was filled since the beginning are for good. Fillings of
// younger holes hide as many of them, for one report: too few are told rather than some that come after all.
func networkOf(st gosrt.Statistics, before uint64) live.Network {
	a, i := st.Accumulated, st.Instantaneous
	return live.Network{
		RTT:      time.Duration(i.MsRTT * float64(time.Millisecond)),
		Buffer:   time.Duration(i.MsRecvTsbPdDelay) * time.Millisecond,
		Packets:  a.PktRecvUnique + a.PktRecvLoss - min(a.PktRecvLate, a.PktRecvLoss),
		Lost:     a.PktRecvLoss,
		Missing:  before - min(before, a.PktRecvLate),
		Repeated: a.PktRecvRetrans,
	}
}
