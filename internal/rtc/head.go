package rtc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"runtime/debug"
	"strings"
	"time"
)

// SDPType is the media type of offers and answers.
const SDPType = "application/sdp"

// Head is the HTTP side of WHIP (RFC 9725) and of WHEP: all but where sessions are found and what becomes of an offer.
//
//	Serve ── route of the caller ──┬── Endpoint: POST → Offer → 201 with the answer
//	                               └── Session:  PATCH → Peer.Patch,  DELETE → Peer.HangUp
//
// It has no state, and its methods may be called from any goroutine.
type Head struct {
	// Name is whip or whep.
	Name string
	// RTC knows the ICE servers that peers are told of.
	RTC *Server
	// Timeout bounds a request.
	Timeout time.Duration
	// Now is the clock, monotonic as time.Now is.
	Now func() time.Time
	// Log gets panics, at error level, and PATCHes that are refused, at debug level.
	Log *slog.Logger

	// Offer makes a session of an offer to a stream, whose name may be empty, or tells what the peer is told instead.
	Offer func(r *http.Request, stream string, offer []byte) (Offered, *Problem)
	// Problem is what a peer is told of an error: of Peer.Patch, of an offer that is no SDP, or nil, which is a fault of ours. Its Detail
	// has nothing in it that came from outside.
	Problem func(err error) *Problem
}

// Offered is what came of an offer.
type Offered struct {
	Location string // path of the session, which nobody can guess
	ETag     string // of its ICE session
	Answer   string // SDP
}

// Peer is a session as its peer sees it.
type Peer interface {
	// Patch takes candidates, or restarts ICE. match is the tag of the ICE session that is meant, or *. It returns the fragment to
	// answer with, empty if there is none, and the tag of the ICE session that holds from here on. An error may be ErrStale.
	Patch(ctx context.Context, f Fragment, match string) (answer, etag string, err error)
	// HangUp ends it, and may wait until it has ended.
	HangUp(ctx context.Context)
}

// Serve answers a request by route, within the bounds: no panic leaves it but http.ErrAbortHandler.
func (h *Head) Serve(w http.ResponseWriter, r *http.Request, route func(http.ResponseWriter, *http.Request)) {
	defer func() {
		if v := recover(); v != nil {
			if v == http.ErrAbortHandler { //nolint:errorlint // it is panicked with as it is
				panic(v)
			}
			h.Log.Error(h.Name+": request", "method", r.Method, "error", fmt.Sprintf("panic: %v\n%s", v, debug.Stack()))
			h.refuse(w, r, h.Problem(nil))
		}
	}()
	// Pages of any origin may use it: what lets somebody in is a key or token, which no browser sends on its own.
	header := w.Header()
	header.Set("Access-Control-Allow-Origin", "*")
	header.Set("Access-Control-Expose-Headers", "Location, ETag, Link, Accept-Post, Accept-Patch, WWW-Authenticate, Retry-After, X-Request-Id")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set(requestIDHeader, requestID(w, r))
	ctx, cancel := context.WithTimeout(r.Context(), h.Timeout)
	defer cancel()
	// Recorders of tests and some wrappers have no deadlines; the server's own hold then.
	_ = http.NewResponseController(w).SetReadDeadline(h.Now().Add(h.Timeout))
	route(w, r.WithContext(ctx))
}

func (h *Head) refuse(w http.ResponseWriter, r *http.Request, p *Problem) { p.write(w, r, h.Name) }

// NotFound answers that there is no such session.
func (h *Head) NotFound(w http.ResponseWriter, r *http.Request) {
	h.refuse(w, r, NewProblem(http.StatusNotFound, "not_found", "There is no such session."))
}

// Endpoint answers a request to where sessions begin.
func (h *Head) Endpoint(w http.ResponseWriter, r *http.Request, stream string) {
	const allow = "OPTIONS, POST"
	switch r.Method {
	case http.MethodPost:
		h.post(w, r, stream)
	case http.MethodOptions:
		preflight(w, allow)
		w.Header().Set("Accept-Post", SDPType)
		h.RTC.AddLinks(w.Header())
		w.WriteHeader(http.StatusNoContent)
	default:
		h.notAllowed(w, r, allow)
	}
}

// Session answers a request to a session, which find looks for.
func (h *Head) Session(w http.ResponseWriter, r *http.Request, find func() (Peer, bool)) {
	const allow = "DELETE, OPTIONS, PATCH"
	if r.Method == http.MethodOptions {
		preflight(w, allow)
		w.Header().Set("Accept-Patch", FragmentType)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	peer, ok := find()
	if !ok {
		h.NotFound(w, r)
		return
	}
	switch r.Method {
	case http.MethodPatch:
		h.patch(w, r, peer)
	case http.MethodDelete:
		peer.HangUp(r.Context())
		w.WriteHeader(http.StatusOK)
	default:
		h.notAllowed(w, r, allow)
	}
}

func preflight(w http.ResponseWriter, allow string) {
	h := w.Header()
	h.Set("Allow", allow)
	h.Set("Access-Control-Allow-Methods", allow)
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match")
	h.Set("Access-Control-Max-Age", "86400")
}

func (h *Head) notAllowed(w http.ResponseWriter, r *http.Request, allow string) {
	w.Header().Set("Allow", allow)
	h.refuse(w, r, NewProblem(http.StatusMethodNotAllowed, "method_not_allowed", "Allowed are "+allow+"."))
}

// post answers an offer.
func (h *Head) post(w http.ResponseWriter, r *http.Request, stream string) {
	body, ok := h.body(w, r, SDPType)
	if !ok {
		return
	}
	if !accepts(r.Header.Values("Accept")) {
		h.refuse(w, r, NewProblem(http.StatusNotAcceptable, "not_acceptable", "The answer is "+SDPType+"."))
		return
	}
	o, p := h.Offer(r, stream, body)
	if p != nil {
		h.refuse(w, r, p)
		return
	}
	header := w.Header()
	header.Set("Content-Type", SDPType)
	header.Set("Location", o.Location)
	header.Set("ETag", o.ETag)
	header.Set("Accept-Patch", FragmentType)
	header.Set("Cache-Control", "no-store")
	h.RTC.AddLinks(header)
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, o.Answer) // a peer that has gone does not connect
}

// patch takes candidates, or an ICE restart (RFC 9725 4.3).
func (h *Head) patch(w http.ResponseWriter, r *http.Request, peer Peer) {
	match := r.Header.Get("If-Match")
	if match == "" {
		const detail = "Say by If-Match which ICE session is meant, or * for a restart."
		h.refuse(w, r, NewProblem(http.StatusPreconditionRequired, "if_match_required", detail))
		return
	}
	body, ok := h.body(w, r, FragmentType)
	if !ok {
		return
	}
	f, err := ParseFragment(body)
	var answer, etag string
	if err == nil {
		answer, etag, err = peer.Patch(r.Context(), f, match)
	}
	if err != nil {
		p := h.Problem(err)
		h.Log.Debug(h.Name+": PATCH refused", "status", p.Status, "error", err)
		h.refuse(w, r, p)
		return
	}
	if answer == "" {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	header := w.Header()
	header.Set("Content-Type", FragmentType)
	header.Set("ETag", etag)
	w.WriteHeader(http.StatusOK)
	_, _ = io.WriteString(w, answer) // a peer that has gone does not connect
}

// body reads a request of one media type within the bounds, or answers why not.
func (h *Head) body(w http.ResponseWriter, r *http.Request, want string) ([]byte, bool) {
	if got, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || got != want {
		h.refuse(w, r, NewProblem(http.StatusUnsupportedMediaType, "unsupported_media_type", "The body must be "+want+"."))
		return nil, false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxSDP))
	if err == nil {
		return body, true
	}
	if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
		p := NewProblem(http.StatusRequestEntityTooLarge, "payload_too_large", "The body is too long.")
		p.MaxBytes = MaxSDP
		h.refuse(w, r, p)
		return nil, false
	}
	h.refuse(w, r, NewProblem(http.StatusBadRequest, "invalid_parameter", "The body could not be read."))
	return nil, false
}

// accepts reports whether an Accept header leaves room for SDP.
func accepts(values []string) bool {
	if len(values) == 0 {
		return true
	}
	for part := range strings.SplitSeq(strings.Join(values, ","), ",") {
		t, params, err := mime.ParseMediaType(part)
		if err != nil || params["q"] == "0" {
			continue
		}
		if t == SDPType || t == "application/*" || t == "*/*" {
			return true
		}
	}
	return false
}
