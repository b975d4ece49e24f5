package edge

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

// agent is what the origin sees of requests that belong to no viewer, and the name in Via.
const agent = "mediad-edge"

// Options configure a Handler. Origin and Dir are required.
type Options struct {
	// Origin is http or https, host and port.
	Origin *url.URL
	// Dir is the folder of the cache; nobody else may use it.
	Dir    string
	Limits Limits
	// TLS is for an https origin; nil: the machine's authorities.
	TLS *tls.Config
	// Observer is told of every answer; nil for nobody.
	Observer Observer
	// Log gets what an operator must see. Default: slog.Default.
	Log *slog.Logger
	// Now is the clock of ages and lifetimes. Default: time.Now.
	Now func() time.Time
	// ClientIP tells whose request it is, for X-Forwarded-For. Default: the host of RemoteAddr.
	ClientIP func(*http.Request) string
}

// Limits bound what viewers may cost. Zero takes the default.
type Limits struct {
	// Disk is how many bytes of media lie in Dir at most, default 10 GB. An object larger than a quarter is not kept.
	Disk int64
	// Memory is the same for what is kept in memory, default 64 MiB: playlists, refusals, the newest media.
	Memory int64
	// Hold is the longest that the origin parks a request, default 8 s; Margin, default 4 s, is what the way there may add.
	Hold, Margin time.Duration
	// Waiting is how many viewers may wait at once for the origin, default 20 000. More are refused at once.
	Waiting int
	// Flights is how many requests of the origin may be under way, default 4096: a live rendition has some dozen that can be asked for.
	Flights int
	// WriteTimeout is the time that a viewer has for each MiB, or what is shorter, default 15 s.
	WriteTimeout time.Duration
}

func (l Limits) withDefaults() Limits {
	if l.Disk == 0 {
		l.Disk = 10e9
	}
	if l.Memory == 0 {
		l.Memory = 64 << 20
	}
	if l.Hold <= 0 {
		l.Hold = 8 * time.Second
	}
	if l.Margin <= 0 {
		l.Margin = 4 * time.Second
	}
	if l.Waiting == 0 {
		l.Waiting = 20_000
	}
	if l.Flights == 0 {
		l.Flights = 4096
	}
	if l.WriteTimeout <= 0 {
		l.WriteTimeout = 15 * time.Second
	}
	return l
}

// Handler serves /live/, /vod/ and what lies below a playback token, and passes the rest on.
type Handler struct {
	origin    *url.URL
	name      string // of this process in Via
	limits    Limits
	observer  Observer
	log       *slog.Logger
	now       func() time.Time
	clientIP  func(*http.Request) string
	line      line
	transport *http.Transport
	through   *httputil.ReverseProxy

	memory     *memory
	disk       *disk
	flights    flights
	bytes      *semaphore.Weighted
	waiting    atomic.Int64
	complained atomic.Int64 // when the log was told last that the disk cannot be written, Unix nanoseconds
}

var errOptions = errors.New("edge: the origin is no http or https URL of a host alone")

// New opens the cache. Run must be called, and ends it.
func New(o Options) (*Handler, error) {
	if o.Origin == nil || o.Origin.Scheme != "http" && o.Origin.Scheme != "https" || o.Origin.Host == "" || strings.Trim(o.Origin.Path, "/") != "" {
		return nil, errOptions
	}
	h := &Handler{
		origin: &url.URL{Scheme: o.Origin.Scheme, Host: o.Origin.Host}, name: processName(), limits: o.Limits.withDefaults(),
		observer: o.Observer, log: o.Log, now: o.Now, clientIP: o.ClientIP,
		flights: flights{open: map[string]*flight{}}, bytes: semaphore.NewWeighted(inFlight),
	}
	if h.observer == nil {
		h.observer = nobody{}
	}
	if h.log == nil {
		h.log = slog.Default()
	}
	if h.now == nil {
		h.now = time.Now
	}
	if h.clientIP == nil {
		h.clientIP = remoteHost
	}
	h.memory = newMemory(h.limits.Memory)
	h.transport = newTransport(&h.line, o.TLS)
	h.through = h.newThrough()
	var err error
	if h.disk, err = openDisk(o.Dir, h.origin.String(), h.limits.Disk, h.observer.Evicted); err != nil {
		return nil, fmt.Errorf("edge: %w", err)
	}
	return h, nil
}

// Run blocks until ctx ends, then ends what is under way and waits for it. Stop serving before.
func (h *Handler) Run(ctx context.Context) error {
	<-ctx.Done()
	h.flights.close()
	h.transport.CloseIdleConnections()
	return nil
}

// Usage is what the cache holds now.
func (h *Handler) Usage() Usage {
	var u Usage
	u.Memory, u.MemoryObjects = h.memory.usage()
	u.Disk, u.DiskObjects = h.disk.usage()
	return u
}

// Reached tells whether the origin has ever answered this process.
func (h *Handler) Reached() bool { return h.line.reached() }

// Check asks the origin whether it is there. Any answer but one of a failing proxy says so.
func (h *Handler) Check(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, h.origin.String()+"/healthz", nil)
	if err != nil {
		return err
	}
	r.Header.Set("User-Agent", agent)
	r.Header.Set("Via", h.via(nil))
	answer, err := h.transport.RoundTrip(r)
	if err != nil {
		return err
	}
	_ = answer.Body.Close() // its status is all that is wanted
	if answer.StatusCode >= http.StatusInternalServerError {
		return fmt.Errorf("the origin answers %s", answer.Status)
	}
	h.line.answered()
	return nil
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := parse(r.URL)
	s := &sending{ResponseWriter: w, limit: h.limits.WriteTimeout}
	result := Own
	// Deferred, as what breaks off while it is passed on ends the handler by a panic that net/http knows.
	defer func() { h.observer.Served(Served{Kind: q.kind, Result: result, Status: s.status, Bytes: s.sent}) }()
	switch {
	case h.looped(r):
		refuse(s, r, loopDetected)
	case q.kind == Passed:
		result = Through
		h.pass(s, r)
	case r.Method == http.MethodOptions:
		preflight(s)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		s.Header().Set("Allow", "GET, HEAD, OPTIONS")
		refuse(s, r, methodNotAllowed)
	case q.kind == Unknown:
		refuse(s, r, notFound)
	default:
		result = h.answer(s, r, q)
	}
}

// processName is what this process is called in Via.
func processName() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return agent + "-" + hex.EncodeToString(b[:])
}

// looped tells whether a request was passed on by this process before. It must not wait then: it would wait for itself.
func (h *Handler) looped(r *http.Request) bool {
	for _, line := range r.Header["Via"] {
		if strings.Contains(line, h.name) {
			return true
		}
	}
	return false
}

// via is the header of that name for a request that came with these.
func (h *Handler) via(before []string) string {
	return strings.Join(append(append([]string(nil), before...), "1.1 "+h.name), ", ")
}

// remoteHost is the address that the connection comes from.
func remoteHost(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
