package web

import (
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
)

// Options configure a Handler. The zero value serves the embedded build.
type Options struct {
	// Files is the built application; default Embedded().
	Files fs.FS
	// MediaOrigins are other origins that pages may load media and pictures from, such as a CDN ("https://cdn.example").
	// Default: none but our own. An origin that is missing here is refused by every browser.
	MediaOrigins []string
}

// Handler serves the application's pages and files: /assets/* for ever, everything else revalidated, pages to
// everyone who asks for one by its path. It is mounted at "/", below all other routes. Without a build, or with half of one, it says how to make one.
func Handler(o Options) http.Handler {
	if o.Files == nil {
		o.Files = Embedded()
	}
	files, err := load(o.Files)
	if err != nil || files["index.html"] == nil || files["embed.html"] == nil {
		return http.HandlerFunc(serveUnbuilt)
	}
	return &handler{files: files, links: readManifest(o.Files), policy: newPolicy(o.MediaOrigins)}
}

type handler struct {
	files  map[string]*file // by path in dist
	links  *manifest
	policy policy
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.policy.set(w.Header(), false)
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
	if f := h.files[name]; f != nil && f.public {
		h.policy.set(w.Header(), false)
		f.serve(w, r, http.StatusOK)
		return
	}
	h.servePage(w, r)
}

// servePage answers what is no file: with the page that the path stands for, whatever is accepted, since link previews and
// command lines ask for */*; with the application and status 404 to people who are lost; and with a short text to everything
// else, so that a script never gets HTML for a missing file.
func (h *handler) servePage(w http.ResponseWriter, r *http.Request) {
	page := routeOf(r.URL.Path)
	h.policy.set(w.Header(), page.kind == embedPage)
	if page.kind == unknownPage {
		w.Header().Add("Vary", "Accept")
		if strings.HasPrefix(r.URL.Path, "/assets/") || !acceptsHTML(r) {
			w.Header().Set("Cache-Control", "no-cache")
			http.Error(w, "not found", http.StatusNotFound)
			return
		}
	}
	for _, link := range h.links.of(page) {
		w.Header().Add("Link", link)
	}
	switch page.kind {
	case embedPage:
		h.files["embed.html"].serve(w, r, http.StatusOK)
	case unknownPage:
		h.files["index.html"].serve(w, r, http.StatusNotFound)
	default:
		h.files["index.html"].serve(w, r, http.StatusOK)
	}
}

// acceptsHTML tells a browser's navigation from a script, a player or a probe. */* alone is no wish for a page.
func acceptsHTML(r *http.Request) bool {
	for _, accept := range r.Header.Values("Accept") {
		for part := range strings.SplitSeq(accept, ",") {
			media, params, _ := strings.Cut(strings.TrimSpace(part), ";")
			if (media == "text/html" || media == "application/xhtml+xml") && quality(params) > 0 {
				return true
			}
		}
	}
	return false
}

// quality reads the q parameter of one element of an Accept header; 1 without it, 0 when it cannot be read.
func quality(params string) float64 {
	for p := range strings.SplitSeq(params, ";") {
		value, found := strings.CutPrefix(strings.TrimSpace(p), "q=")
		if !found {
			continue
		}
		q, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0
		}
		return q
	}
	return 1
}
