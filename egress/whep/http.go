package whep

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"runtime/debug"
	"strings"

	"mediad/internal/rtc"
	"mediad/live"
)

const (
	root    = "/whep/"
	sdpType = "application/sdp"

	// maxStream bounds a stream's name and maxToken a token; longer ones exist nowhere.
	maxStream = 128
	maxToken  = 4096
)

// ServeHTTP answers a request. POST /whep/{stream} begins, everything else goes to /whep/{stream}/{id}, of which the id
// cannot be guessed.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if v := recover(); v != nil {
			if v == http.ErrAbortHandler { //nolint:errorlint // it is panicked with as it is
				panic(v)
			}
			s.o.Log.Error("whep: request", "method", r.Method, "error", fmt.Sprintf("panic: %v\n%s", v, debug.Stack()))
			problemOf(live.Refuse(live.ReasonUnspecified, nil)).write(w)
		}
	}()
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "Location, ETag, Link, Accept-Post, Accept-Patch, WWW-Authenticate, Retry-After")
	ctx, cancel := context.WithTimeout(r.Context(), s.o.RequestTimeout)
	defer cancel()
	// Recorders of tests and some wrappers have no deadlines; the server's own hold then.
	_ = http.NewResponseController(w).SetReadDeadline(s.o.Now().Add(s.o.RequestTimeout))
	r = r.WithContext(ctx)

	path, ok := strings.CutPrefix(r.URL.Path, root)
	stream, id, isViewer := strings.Cut(path, "/")
	switch {
	case !ok || stream == "" || len(stream) > maxStream || strings.Contains(id, "/"):
		notFound(w)
	case isViewer && id != "":
		s.serveViewer(w, r, stream, id)
	default:
		s.serveStream(w, r, stream)
	}
}

func notFound(w http.ResponseWriter) {
	newProblem(http.StatusNotFound, "not_found", "There is no such session.").write(w)
}

func (s *Server) serveStream(w http.ResponseWriter, r *http.Request, stream string) {
	const allow = "OPTIONS, POST"
	switch r.Method {
	case http.MethodPost:
		s.post(w, r, stream)
	case http.MethodOptions:
		preflight(w, allow)
		w.Header().Set("Accept-Post", sdpType)
		s.o.RTC.AddLinks(w.Header())
		w.WriteHeader(http.StatusNoContent)
	default:
		notAllowed(w, allow)
	}
}

func (s *Server) serveViewer(w http.ResponseWriter, r *http.Request, stream, id string) {
	const allow = "DELETE, OPTIONS, PATCH"
	if r.Method == http.MethodOptions {
		preflight(w, allow)
		w.Header().Set("Accept-Patch", rtc.FragmentType)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	v, ok := s.find(id)
	if !ok || v.b.session.Stream() != stream {
		notFound(w)
		return
	}
	switch r.Method {
	case http.MethodPatch:
		s.patch(w, r, v)
	case http.MethodDelete:
		v.end(live.Refuse(live.ReasonPublisherStopped, nil))
		w.WriteHeader(http.StatusOK)
	default:
		notAllowed(w, allow)
	}
}

func preflight(w http.ResponseWriter, allow string) {
	h := w.Header()
	h.Set("Allow", allow)
	h.Set("Access-Control-Allow-Methods", allow)
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match")
	h.Set("Access-Control-Max-Age", "86400")
}

func notAllowed(w http.ResponseWriter, allow string) {
	w.Header().Set("Allow", allow)
	newProblem(http.StatusMethodNotAllowed, "method_not_allowed", "Allowed are "+allow+".").write(w)
}

// post answers an offer.
func (s *Server) post(w http.ResponseWriter, r *http.Request, stream string) {
	body, ok := s.body(w, r, sdpType)
	if !ok {
		return
	}
	v, answer, err := s.offer(r, stream, body)
	if err != nil {
		p := problemOf(err)
		s.o.Log.Debug("whep: refused", "stream", stream, "peer", s.o.Remote(r), "status", p.Status, "code", p.Code, "error", err)
		p.write(w)
		return
	}
	h := w.Header()
	h.Set("Content-Type", sdpType)
	h.Set("Location", root+stream+"/"+v.id)
	h.Set("ETag", v.tag())
	h.Set("Accept-Patch", rtc.FragmentType)
	h.Set("Cache-Control", "no-store")
	s.o.RTC.AddLinks(h)
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, answer) // a peer that has gone does not connect
}

// token is what a player shows for its right to play.
func token(r *http.Request) string {
	scheme, t, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		t = r.URL.Query().Get("token")
	}
	if t = strings.TrimSpace(t); len(t) > maxToken {
		return ""
	}
	return t
}

// patch takes candidates, or an ICE restart.
func (s *Server) patch(w http.ResponseWriter, r *http.Request, v *viewer) {
	match := r.Header.Get("If-Match")
	if match == "" {
		const detail = "Say by If-Match which ICE session is meant, or * for a restart."
		newProblem(http.StatusPreconditionRequired, "if_match_missing", detail).write(w)
		return
	}
	body, ok := s.body(w, r, rtc.FragmentType)
	if !ok {
		return
	}
	f, err := rtc.ParseFragment(body)
	var answer, etag string
	if err == nil {
		answer, etag, err = v.patch(r.Context(), f, match)
	}
	if err != nil {
		p := problemOf(err)
		v.log.Debug("whep: PATCH refused", "status", p.Status, "error", err)
		p.write(w)
		return
	}
	if answer == "" {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	h := w.Header()
	h.Set("Content-Type", rtc.FragmentType)
	h.Set("ETag", etag)
	w.WriteHeader(http.StatusOK)
	_, _ = io.WriteString(w, answer) // a peer that has gone does not connect
}

// body reads a request of one media type within the bounds, or answers why not.
func (s *Server) body(w http.ResponseWriter, r *http.Request, want string) ([]byte, bool) {
	if got, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || got != want {
		newProblem(http.StatusUnsupportedMediaType, "media_type_unsupported", "The body must be "+want+".").write(w)
		return nil, false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, rtc.MaxSDP))
	if err == nil {
		return body, true
	}
	if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
		newProblem(http.StatusRequestEntityTooLarge, "payload_too_large", "The body is too long.").write(w)
		return nil, false
	}
	newProblem(http.StatusBadRequest, "body_unreadable", "The body could not be read.").write(w)
	return nil, false
}
