package whip

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode"

	"mediad/internal/rtc"
	"mediad/live"
)

const (
	root     = "/whip"
	resource = root + "/session/" // and the id of the session, which nobody can guess
	sdpType  = "application/sdp"

	// maxKey bounds a stream key, maxEncoder what is kept of an encoder's name.
	maxKey     = 256
	maxEncoder = 128
)

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if v := recover(); v != nil {
			if v == http.ErrAbortHandler { //nolint:errorlint // it is panicked with as it is
				panic(v)
			}
			s.o.Log.Error("whip: request", "method", r.Method, "error", panicked(v))
			problemOf(live.Refuse(live.ReasonIngestError, nil)).write(w)
		}
	}()
	cors(w.Header())
	ctx, cancel := context.WithTimeout(r.Context(), s.o.RequestTimeout)
	defer cancel()
	// Recorders of tests and some wrappers have no deadlines; the server's own hold then.
	_ = http.NewResponseController(w).SetReadDeadline(s.o.Now().Add(s.o.RequestTimeout))
	r = r.WithContext(ctx)

	stream, ok := strings.CutPrefix(strings.TrimSuffix(r.URL.Path, "/"), root)
	stream = strings.TrimPrefix(stream, "/")
	id, session := strings.CutPrefix(r.URL.Path, resource)
	switch {
	case !ok:
		notFound(w)
	case session:
		s.serveSession(w, r, id)
	case strings.Contains(stream, "/"):
		notFound(w)
	default:
		s.serveEndpoint(w, r, stream)
	}
}

// cors lets pages of any origin publish: what lets somebody in is the key, which no browser sends on its own.
func cors(h http.Header) {
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "Location, ETag, Link, Accept-Post, Accept-Patch, WWW-Authenticate, Retry-After")
}

func notFound(w http.ResponseWriter) {
	newProblem(http.StatusNotFound, "not_found", "There is no such session.").write(w)
}

func (s *Server) serveEndpoint(w http.ResponseWriter, r *http.Request, stream string) {
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

func (s *Server) serveSession(w http.ResponseWriter, r *http.Request, id string) {
	const allow = "DELETE, OPTIONS, PATCH"
	if r.Method == http.MethodOptions {
		preflight(w, allow)
		w.Header().Set("Accept-Patch", rtc.FragmentType)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	sess, ok := s.find(id)
	if !ok {
		notFound(w)
		return
	}
	switch r.Method {
	case http.MethodPatch:
		s.patch(w, r, sess)
	case http.MethodDelete:
		sess.end(live.Refuse(live.ReasonPublisherStopped, nil))
		// Who publishes again at once finds the stream free.
		select {
		case <-sess.gone:
		case <-r.Context().Done():
		}
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
	if !accepts(r.Header.Values("Accept")) {
		newProblem(http.StatusNotAcceptable, "not_acceptable", "The answer is "+sdpType+".").write(w)
		return
	}
	sess, answer, err := s.offer(r, stream, body)
	if err != nil {
		p := problemOf(err)
		s.o.Log.Info("whip: refused", "peer", s.o.Remote(r), "status", p.Status, "code", p.Code, "error", err)
		p.write(w)
		return
	}
	h := w.Header()
	h.Set("Content-Type", sdpType)
	h.Set("Location", resource+sess.id)
	h.Set("ETag", sess.tag())
	h.Set("Accept-Patch", rtc.FragmentType)
	h.Set("Cache-Control", "no-store")
	s.o.RTC.AddLinks(h)
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, answer) // a peer that has gone does not connect
}

func (s *Server) offer(r *http.Request, stream string, body []byte) (*session, string, error) {
	key, err := s.key(r, stream)
	if err != nil {
		return nil, "", err
	}
	d, err := rtc.CheckOffer(body)
	if err != nil {
		return nil, "", err
	}
	has, err := judge(d, s.o.VP8)
	if err != nil {
		return nil, "", err
	}
	if err := s.enter(); err != nil {
		return nil, "", err
	}
	defer s.leave()
	peer := live.Peer{Protocol: "whip", Remote: s.o.Remote(r), Encoder: cleanName(r.UserAgent())}
	return s.publish(r.Context(), Request{Key: key, Peer: peer}, string(body), has)
}

// key finds the stream key: the bearer token, or with Options.Open the stream's name.
func (s *Server) key(r *http.Request, stream string) (string, error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	switch {
	case strings.EqualFold(scheme, "Bearer") && token != "" && len(token) <= maxKey:
		return token, nil
	case scheme == "" && s.o.Open && stream != "" && len(stream) <= maxKey:
		return stream, nil
	}
	return "", live.Refuse(live.ReasonStreamKeyInvalid, errors.New("whip: no stream key"))
}

func (s *session) tag() string {
	s.negotiation.Lock()
	defer s.negotiation.Unlock()
	return s.etag
}

// patch takes candidates, or an ICE restart (RFC 9725 4.3).
func (s *Server) patch(w http.ResponseWriter, r *http.Request, sess *session) {
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
		answer, etag, err = sess.patch(r.Context(), f, match)
	}
	if err != nil {
		p := problemOf(err)
		sess.log.Debug("whip: PATCH refused", "status", p.Status, "error", err)
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
		if t == sdpType || t == "application/*" || t == "*/*" {
			return true
		}
	}
	return false
}

// cleanName makes a name from outside fit for a log line: printable, and not long.
func cleanName(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
	if len(s) > maxEncoder {
		s = strings.ToValidUTF8(s[:maxEncoder], "")
	}
	return strings.TrimSpace(s)
}
