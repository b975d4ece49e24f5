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
	// maxViewers bounds the memory of one stream, and maxWatched the streams: beyond them nobody is
	// added, and the number shown is the bound.
	maxViewers = 200_000
	maxWatched = 10_000
)

// viewers knows from where playlists of each stream are asked for. It keeps hashes of address and agent, never the two themselves.
type viewers struct {
	place func(ip, agent string) string

	mu      sync.Mutex // guards the following
	seed    maphash.Seed
	streams map[string]*watched
}

type watched struct {
	seen  map[uint64]seen
	swept int64
}

type seen struct {
	place string
	at    int64 // unix seconds
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
		w = &watched{seen: make(map[uint64]seen)}
		v.streams[stream] = w
	}
	w.sweep(second)
	key := maphash.String(v.seed, ip)*31 + maphash.String(v.seed, agent)
	one, ok := w.seen[key]
	if !ok {
		if len(w.seen) >= maxViewers {
			return
		}
		one.place = v.place(ip, agent) // once for each, as it costs more than all else here
	}
	one.at = second
	w.seen[key] = one
}

// each gives the places of those who were seen within the window.
func (v *viewers) each(stream string, now time.Time, give func(place string, age time.Duration)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	w := v.streams[stream]
	if w == nil {
		return
	}
	second := now.Unix()
	w.sweepNow(second)
	if len(w.seen) == 0 {
		delete(v.streams, stream)
	}
	for _, one := range w.seen {
		give(one.place, time.Duration(max(0, second-one.at))*time.Second)
	}
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
	for key, one := range w.seen {
		if second-one.at > int64(viewerWindow/time.Second) {
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
