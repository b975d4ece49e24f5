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
			j.push(&rtp.Packet{Header: rtp.Header{SequenceNumber: seq}, Payload: []byte{1}}, now, false)
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

// TestWhatIsLostTwiceStillComes: a browser sends a packet again at most once a round trip. On a long way that loses a twentieth in both directions
// the second and third time are waited for, whether what is sent again is told apart or not, and nothing else waits for it longer than it has to.
func TestWhatIsLostTwiceStillComes(t *testing.T) {
	for _, apart := range []bool{false, true} {
		m := newLongWay(apart)
		m.run(6000)
		lost, missing := m.j.count.lost, m.j.count.missing
		t.Logf("told apart: %v; %d of %d lost, %d given up; held for %v at most, %v on average",
			apart, lost, m.j.count.packets, missing, m.longest, m.held/time.Duration(m.popped))
		require.InDelta(t, m.lost, lost, float64(m.lost)/3, "what is merely overtaken is not lost")
		require.LessOrEqual(t, missing, m.j.count.packets/1000)
		require.Less(t, m.longest, maxVideoWait+100*time.Millisecond, "a packet before it may have come later, and waits as long")
		require.Less(t, m.held/time.Duration(m.popped), 100*time.Millisecond)
	}
}

// longWay is a jitter before a way that loses a twentieth of what goes there and back, and delays each by up to 100 ms.
type longWay struct {
	r        *rand.Rand
	j        jitter
	apart    bool
	lost     int                             // the first time
	arrivals map[time.Duration][]*rtp.Packet // by millisecond
	requests map[time.Duration][]uint16
	sent     map[uint16]time.Duration // last
	again    map[*rtp.Packet]bool

	popped        int
	held, longest time.Duration
}

func newLongWay(apart bool) *longWay {
	return &longWay{
		r: rand.New(rand.NewPCG(5, 6)), j: newJitter(minVideoWait, maxVideoWait), apart: apart, arrivals: map[time.Duration][]*rtp.Packet{},
		requests: map[time.Duration][]uint16{}, sent: map[uint16]time.Duration{}, again: map[*rtp.Packet]bool{},
	}
}

// trip is how long a packet takes, or that it does not come.
func (m *longWay) trip() (time.Duration, bool) {
	return time.Duration(m.r.Int64N(100)) * time.Millisecond, m.r.Float64() >= 0.05
}

func (m *longWay) send(seq uint16, now time.Duration) {
	_, again := m.sent[seq]
	m.sent[seq] = now
	d, ok := m.trip()
	if !ok && seq > 0 {
		if !again {
			m.lost++
		}
		return
	}
	pkt := &rtp.Packet{Header: rtp.Header{SequenceNumber: seq}, Payload: []byte{1}}
	m.again[pkt] = again && m.apart
	m.arrivals[now+d] = append(m.arrivals[now+d], pkt)
}

// run sends n packets, each 12 ms. The sender takes the round trip for 150 ms.
func (m *longWay) run(n int) {
	const each, round = 12 * time.Millisecond, 150 * time.Millisecond
	for now := time.Duration(0); now < time.Duration(n)*each+time.Second; now += time.Millisecond {
		if i := now / each; now%each == 0 && i < time.Duration(n) {
			m.send(uint16(i), now)
		}
		for _, seq := range m.requests[now] {
			if now-m.sent[seq] >= round {
				m.send(seq, now)
			}
		}
		for _, pkt := range m.arrivals[now] {
			m.j.push(pkt, now, m.again[pkt])
		}
		if now%tickEvery == 0 {
			if seqs := m.j.ask(now); len(seqs) > 0 {
				if d, ok := m.trip(); ok {
					m.requests[now+d] = append(m.requests[now+d], seqs...)
				}
			}
		}
		for {
			a, _, ok := m.j.pop(now)
			if !ok {
				break
			}
			m.popped++
			m.held += now - a.at
			m.longest = max(m.longest, now-a.at)
		}
	}
}

// TestWhatComesTwiceIsNotLate: only what was given up before it came makes lost packets be awaited longer.
func TestWhatComesTwiceIsNotLate(t *testing.T) {
	j := newJitter(minVideoWait, maxVideoWait)
	push := func(seq uint16, at time.Duration) {
		j.push(&rtp.Packet{Header: rtp.Header{SequenceNumber: seq}, Payload: []byte{1}}, at, false)
		for ok := true; ok; {
			_, _, ok = j.pop(at)
		}
	}
	push(0, 0)
	push(2, 10*time.Millisecond)
	push(1, 20*time.Millisecond)
	push(1, 30*time.Millisecond)
	require.Equal(t, minVideoWait, j.wait)
	push(4, 40*time.Millisecond)
	push(5, 40*time.Millisecond+minVideoWait)
	require.EqualValues(t, 1, j.count.missing)
	push(3, 50*time.Millisecond+minVideoWait)
	require.Equal(t, 2*minVideoWait, j.wait)
}
