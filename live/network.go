package live

import (
	"sync"
	"time"
)

// Network is what a front end knows of the way that its publisher's packets come by, counted since the connection began. What
// is not known is 0.
type Network struct {
	RTT time.Duration // the round trip
	// Buffer is how much media is held back so that what is lost can be asked for again.
	Buffer time.Duration

	Packets  uint64 // that were sent here, as far as is known: lost ones are in it
	Lost     uint64 // of them, those that did not come when they were due
	Missing  uint64 // of those, the ones that did not come in time either; those still awaited are not in it
	Repeated uint64 // packets that were sent here once more
}

// NetworkFigures are figures of the way to a publisher.
type NetworkFigures struct {
	Network
	// LostShare and MissingShare are those of the packets of the last 10 s, 0 to 1.
	LostShare, MissingShare float64
}

// networkWindow is what shares are counted over.
const networkWindow = 10 * time.Second

// maxReports bounds the reports that are kept; a front end that reports oftener than each 200 ms has a shorter window.
const maxReports = 50

// networkMeter keeps a publisher's reports of the last networkWindow, and the one before them.
type networkMeter struct {
	mu      sync.Mutex // guards what follows
	reports []networkReport
}

type networkReport struct {
	at time.Duration // hub clock
	Network
}

func (m *networkMeter) add(n Network, now time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reports = append(m.reports, networkReport{now, n})
	drop := max(len(m.reports)-maxReports, 0)
	for drop+2 < len(m.reports) && now-m.reports[drop+1].at >= networkWindow {
		drop++
	}
	m.reports = m.reports[:copy(m.reports, m.reports[drop:])]
}

// figures are those of the newest report; false if there is none.
func (m *networkMeter) figures() (NetworkFigures, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.reports) == 0 {
		return NetworkFigures{}, false
	}
	last := m.reports[len(m.reports)-1].Network
	var first Network // the connection's begin
	if len(m.reports) > 1 {
		first = m.reports[0].Network
	}
	f := NetworkFigures{Network: last}
	if last.Packets > first.Packets {
		share := func(now, then uint64) float64 {
			return min(float64(now-min(now, then))/float64(last.Packets-first.Packets), 1)
		}
		f.LostShare, f.MissingShare = share(last.Lost, first.Lost), share(last.Missing, first.Missing)
	}
	return f, true
}

// Network tells how the publisher's packets come. A front end that knows calls it each second or so, from any goroutine.
func (p *Publisher) Network(n Network) { p.network.add(n, p.hub.clock(p.hub.o.Now())) }
