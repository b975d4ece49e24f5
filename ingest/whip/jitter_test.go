package whip

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"
)

// TestWhatIsOvertakenIsNotAskedFor: on a way that delays each packet by something else next to nothing is asked for but what is lost, and that
// is asked for until it comes. Loss is told as it is.
func TestWhatIsOvertakenIsNotAskedFor(t *testing.T) {
	const (
		n      = 4000
		each   = 8 * time.Millisecond
		jitter = 60 * time.Millisecond
		round  = 90 * time.Millisecond
	)
	r := rand.New(rand.NewPCG(3, 4))
	arrivals := map[time.Duration][]uint16{} // by millisecond
	lost := map[uint16]bool{}
	for i := range n {
		if i > 0 && r.Float64() < 0.05 {
			lost[uint16(i)] = true
			continue
		}
		at := (time.Duration(i)*each + time.Duration(r.Int64N(int64(jitter)))).Truncate(time.Millisecond)
		arrivals[at] = append(arrivals[at], uint16(i))
	}
	arrivals[0] = slices.Insert(arrivals[0], 0, 0)
	j := newJitter(minVideoWait, maxVideoWait)
	asked := map[uint16]int{}
	got := 0
	for now := time.Duration(0); now < n*each+time.Second; now += time.Millisecond {
		for _, seq := range arrivals[now] {
			j.push(&rtp.Packet{Header: rtp.Header{SequenceNumber: seq}, Payload: []byte{1}}, now)
		}
		if now%tickEvery == 0 {
			for _, seq := range j.ask(now) {
				asked[seq]++
				if r.Float64() < 0.9 {
					arrivals[now+round] = append(arrivals[now+round], seq)
				}
			}
		}
		for {
			if _, missing, ok := j.pop(now); !ok {
				break
			} else if got > 0 {
				require.LessOrEqual(t, missing, 1)
			}
			got++
		}
	}
	needless := 0
	for seq := range asked {
		if !lost[seq] {
			needless++
		}
	}
	t.Logf("%d of %d lost, %d asked for, %d of them needlessly; %d given up", len(lost), n, len(asked), needless, j.count.missing)
	require.Less(t, needless, n/50)
	require.LessOrEqual(t, j.count.missing, uint64(2))
	require.InDelta(t, len(lost)+needless, int(j.count.lost), 3)
	require.Empty(t, j.absent)
	for seq, times := range asked {
		require.LessOrEqual(t, times, maxAsks, seq)
	}
}
