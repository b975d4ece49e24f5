package origin

import (
	"hash/maphash"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"mediad/packager/playlist"
	"mediad/store/blob"
)

// Source knows the streams. Its methods, and those of what it returns, are called from many goroutines and do not
// wait.
type Source interface {
	// Stream returns the stream of that name, false if it is not on air and has no playlist left to serve.
	Stream(name string) (Stream, bool)
}

// Stream is one stream on air or just ended.
type Stream interface {
	// Multivariant returns the multivariant playlist, the one over the DVR range or the live one.
	Multivariant(dvr bool) (playlist.Document, bool)
	Rendition(name string) (Rendition, bool)
}

// Rendition is one media playlist and its media. What a window lists is there before the window is.
type Rendition interface {
	// Window returns the newest window, nil before the first complete segment.
	Window() *playlist.Window
	DVR() (playlist.Document, bool)
	Init(epoch int64) ([]byte, bool)
	// Media returns a part, or the whole segment for part -1.
	Media(epoch int64, msn uint64, part int) (playlist.Media, bool)
}

// Thumbs has small pictures of streams. It is called from many goroutines and does not wait.
type Thumbs interface {
	// Thumb returns the newest JPEG of a stream and its entity tag, with its quotes; false if there is none.
	Thumb(stream string) (jpeg []byte, etag string, ok bool)
}

// Options configure a Handler. Source is required; Blobs is, unless all media is in memory.
type Options struct {
	Source Source
	// Blobs holds the media that is not in memory. If it can open files, they are sent without a copy.
	Blobs blob.Store
	// Remote has media that is no longer in Blobs; nil: nothing is anywhere else.
	Remote blob.Store
	// Thumbs answers thumb.jpg; nil: there are none.
	Thumbs Thumbs
	// Library answers /vod/; nil: there are no videos.
	Library Library
	// Guard says who may have what; nil: everybody everything, and nothing lies under a token.
	Guard  Guard
	Limits Limits
	// Observer is told of every answer; nil for nobody.
	Observer Observer
	// Log gets what an operator must see: media that is listed and cannot be read. Default: slog.Default.
	Log *slog.Logger
	// Now is the clock of Viewers and of write deadlines. Default: time.Now.
	Now func() time.Time
	// Place names from where somebody watches, by address (of IPv6 the /64) and agent, without telling them. Default: a hash that ends with
	// the process.
	Place func(ip, agent string) string
	// ClientIP tells whose request it is, for Viewers; behind a trusted proxy it reads the forwarded
	// address. Default: the host of RemoteAddr.
	ClientIP func(*http.Request) string
}

// Limits bound what viewers may cost. Zero takes the default, a negative number means none.
type Limits struct {
	// Parked is how many requests may wait at once, default 20 000: each costs about 20 KiB with its connection. More
	// are refused at once.
	Parked int
	// Hold is the longest that one waits, default 8 s, and never more than 3 target durations: a longer hold meets the
	// time-outs of players and proxies. It must be positive.
	Hold time.Duration
	// WriteTimeout is the time that a viewer has to take 1 MiB, or what is shorter, default 15 s. Slower ones cannot watch what is
	// that long, and
	// hold memory of the kernel.
	WriteTimeout time.Duration
	// SamePart is how often one connection may ask for the same part within a second, default 20: a stuck player asks
	// for the newest part in a tight loop. Requests that came through a proxy are not counted, as they share connections.
	SamePart int
}

func (l Limits) withDefaults() Limits {
	if l.Parked == 0 {
		l.Parked = 20_000
	}
	if l.Hold <= 0 {
		l.Hold = 8 * time.Second
	}
	if l.WriteTimeout == 0 {
		l.WriteTimeout = 15 * time.Second
	}
	if l.SamePart == 0 {
		l.SamePart = 20
	}
	return l
}

// Handler serves /live/ and /vod/, and both under a token: /t/{token}/live/.
type Handler struct {
	source   Source
	thumbs   Thumbs  // nil: there are none
	library  Library // nil: there are no videos
	guard    Guard   // nil: there is none
	blobs    blob.Store
	files    blob.FileOpener // nil if blobs has no files
	remote   blob.Store      // nil: there is none
	limits   Limits
	observer Observer
	log      *slog.Logger
	now      func() time.Time
	clientIP func(*http.Request) string

	parked  parking
	viewers viewers
	floods  floods
	fixed   fixedHeaders
}

// New makes the handler. It is to be mounted so that it sees what Serves tells.
func New(o Options) *Handler {
	h := &Handler{
		source: o.Source, thumbs: o.Thumbs, library: o.Library, guard: o.Guard, blobs: o.Blobs, remote: o.Remote, limits: o.Limits.withDefaults(), observer: o.Observer,
		log: o.Log, now: o.Now, clientIP: o.ClientIP, fixed: newFixedHeaders(),
	}
	h.files, _ = o.Blobs.(blob.FileOpener)
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
	if h.viewers.place = o.Place; o.Place == nil {
		seed := maphash.MakeSeed()
		h.viewers.place = func(ip, agent string) string { return strconv.FormatUint(maphash.String(seed, ip+" "+agent), 36) }
	}
	h.parked = parking{limit: int64(h.limits.Parked), observer: h.observer}
	return h
}

// Viewers gives the places from where one of a stream's media playlists was asked for within the last 45 s, each once, and how long ago, in
// whole seconds. give must be quick, and not call the Handler.
func (h *Handler) Viewers(stream string, give func(place string, age time.Duration)) {
	h.viewers.each(stream, h.now(), give)
}

// Parked is how many requests wait for media at this moment.
func (h *Handler) Parked() int { return int(h.parked.n.Load()) }

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := answer{h: h, w: w, r: r}
	if r.Method == http.MethodOptions {
		a.preflight()
		return
	}
	ok := false
	if r.URL.RawPath == "" { // else it is not written as our playlists write it
		var path string
		if a.token, path, ok = splitToken(r.URL.Path); ok && (a.token == "" || h.guard != nil) {
			a.route, ok = parsePath(path)
		} else {
			ok = false
		}
	}
	switch {
	case !ok:
		a.problem(notFound, h.fixed.forSecond)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header()["Allow"] = h.fixed.allow
		a.problem(methodNotAllowed, h.fixed.noStore)
	default:
		a.serve()
	}
}

// answer is one request being answered.
type answer struct {
	h     *Handler
	w     http.ResponseWriter
	r     *http.Request
	route route
	token string          // in the path; "": none
	byOne bool            // the token came by a cookie, and what is sent is for this browser alone
	lost  <-chan struct{} // closed when what is asked for may no longer be given out
	held  time.Duration
	gone  bool // the viewer left while it was held
}

func (a *answer) serve() {
	if a.route.vod {
		if a.may() {
			a.vod()
		}
		return
	}
	stream, ok := a.h.source.Stream(a.route.stream)
	// Without a token what is not on air is nobody's question: names that somebody invents cost nothing.
	if (ok || a.token != "") && !a.may() {
		return
	}
	if !ok {
		a.problem(notLive, a.h.fixed.forSecond)
		return
	}
	if a.route.kind == Thumbnail {
		a.thumb()
		return
	}
	if a.route.rendition == "" {
		a.multivariant(stream)
		return
	}
	rendition, ok := stream.Rendition(a.route.rendition)
	if !ok {
		a.problem(notFound, a.h.fixed.forSecond)
		return
	}
	switch a.route.kind {
	case Playlist:
		a.mediaPlaylist(rendition)
	case DVR:
		a.dvr(rendition)
	case Init:
		a.initSegment(rendition)
	default:
		a.media(rendition)
	}
}
