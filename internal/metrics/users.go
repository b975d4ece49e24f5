package metrics

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// lately is the window of who is counted as they call.
	lately = 5 * time.Minute
	// maxUsers bounds the memory of it: some 10 MB. Beyond that the number is too small.
	maxUsers = 100_000
)

// activeUsers counts who was here. Those of the last minutes are counted as they call this node; the longer windows are counted elsewhere, from
// rows, and told.
type activeUsers struct {
	gauge *prometheus.GaugeVec
	now   func() time.Time

	mu    sync.Mutex // guards the following
	seen  map[string]time.Time
	told  map[string]int // by window
	swept time.Time
}

func newActiveUsers(r prometheus.Registerer) *activeUsers {
	u := &activeUsers{
		now: time.Now, seen: map[string]time.Time{}, told: map[string]int{},
		gauge: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Name: "active_users", Help: "Users who were here in the last 5 min (with a call to this node), day and 30 days (on the site).",
		}, []string{"window"}),
	}
	r.MustRegister(u)
	return u
}

// Describe implements prometheus.Collector.
func (u *activeUsers) Describe(ch chan<- *prometheus.Desc) { u.gauge.Describe(ch) }

// Collect implements prometheus.Collector.
func (u *activeUsers) Collect(ch chan<- prometheus.Metric) {
	recent, day, month := u.counts()
	u.gauge.WithLabelValues("5m").Set(float64(recent))
	for window, n := range map[string]int{"1d": day, "30d": month} {
		if u.counted(window) {
			u.gauge.WithLabelValues(window).Set(float64(n))
		}
	}
	u.gauge.Collect(ch)
}

// counted says whether a window was counted at all.
func (u *activeUsers) counted(window string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	_, there := u.told[window]
	return there
}

// counts is how many were here lately, in the last day and in the last 30. The longer windows were counted a while ago, and whoever is here was
// here in them too.
func (u *activeUsers) counts() (recent, day, month int) {
	recent = u.recent()
	u.mu.Lock()
	defer u.mu.Unlock()
	day = max(u.told["1d"], recent)
	return recent, day, max(u.told["30d"], day)
}

func (u *activeUsers) recent() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.sweep()
	return len(u.seen)
}

// sweep forgets who was not here lately; mu is held.
func (u *activeUsers) sweep() {
	now := u.now()
	for id, at := range u.seen {
		if now.Sub(at) >= lately {
			delete(u.seen, id)
		}
	}
	u.swept = now
}

// User notes a call of a user; "" is nobody.
func (m *Metrics) User(id string) {
	if id == "" {
		return
	}
	u := m.users
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, known := u.seen[id]; !known && len(u.seen) >= maxUsers {
		if u.now().Sub(u.swept) >= lately/10 {
			u.sweep()
		}
		if len(u.seen) >= maxUsers {
			return
		}
	}
	u.seen[id] = u.now()
}

// ActiveUsers is told how many users were here within the window: 1d, 30d.
func (m *Metrics) ActiveUsers(window string, n int) {
	m.users.mu.Lock()
	defer m.users.mu.Unlock()
	m.users.told[window] = n
}

// Users is how many were here in the last five minutes, with a call to this node, in the last day and in the last 30 days.
func (m *Metrics) Users() (recent, day, month int) { return m.users.counts() }
