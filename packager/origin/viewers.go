package origin

import (
	"hash/maphash"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

const (
	// viewerWindow is how long after its last playlist a viewer counts: longer than any target duration times three, so
	// that a classic player between two reloads is not lost.
	viewerWindow = 45 * time.Second
	// maxViewers bounds the memory of one stream's estimate, and maxWatched the streams: beyond them nobody is
	// added, and the number shown is the bound.
	maxViewers = 200_000
	maxWatched = 10_000
)

// viewers estimates how many watch each stream. It keeps a hash of address and agent, never the two themselves.
type viewers struct {
	mu      sync.Mutex
	seed    maphash.Seed
	streams map[string]*watched
}

type watched struct {
	seen  map[uint64]int64 // when each was last seen, in seconds
	swept int64
}

// note counts whoever asks for a playlist of the stream.
func (v *viewers) note(stream, ip, agent string, now time.Time) {
	ip = addressPrefix(ip)
	second := now.Unix()
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.streams == nil {
		v.streams, v.seed = make(map[string]*watched), maphash.MakeSeed()
	}
	w := v.streams[stream]
	if w == nil {
		if len(v.streams) >= maxWatched && !v.forget(second) {
			return
		}
		w = &watched{seen: make(map[uint64]int64)}
		v.streams[stream] = w
	}
	w.sweep(second)
	key := maphash.String(v.seed, ip)*31 + maphash.String(v.seed, agent)
	if _, ok := w.seen[key]; ok || len(w.seen) < maxViewers {
		w.seen[key] = second
	}
}

func (v *viewers) count(stream string, now time.Time) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	w := v.streams[stream]
	if w == nil {
		return 0
	}
	w.sweepNow(now.Unix())
	if len(w.seen) == 0 {
		delete(v.streams, stream)
	}
	return len(w.seen)
}

// forget drops the streams that nobody watches, and tells whether there were any.
func (v *viewers) forget(second int64) bool {
	before := len(v.streams)
	for name, w := range v.streams {
		if w.sweepNow(second); len(w.seen) == 0 {
			delete(v.streams, name)
		}
	}
	return len(v.streams) < before
}

// sweep drops who has left, at most once in a quarter of the window, so that noting a viewer stays cheap.
func (w *watched) sweep(second int64) {
	if second-w.swept >= int64(viewerWindow/time.Second)/4 {
		w.sweepNow(second)
	}
}

func (w *watched) sweepNow(second int64) {
	w.swept = second
	for key, seen := range w.seen {
		if second-seen > int64(viewerWindow/time.Second) {
			delete(w.seen, key)
		}
	}
}

// addressPrefix is the address itself for IPv4 and the /64, which is one household, for IPv6.
func addressPrefix(ip string) string {
	addr, err := netip.ParseAddr(ip)
	if err != nil || addr.Unmap().Is4() {
		return ip
	}
	p, err := addr.WithZone("").Prefix(64)
	if err != nil {
		return ip
	}
	return p.Addr().String()
}

// remoteHost is the address that the connection comes from.
func remoteHost(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
