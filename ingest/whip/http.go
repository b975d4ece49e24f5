package whip

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"unicode"

	"mediad/internal/rtc"
	"mediad/live"
)

const (
	root     = "/whip"
	resource = root + "/session/" // and the id of the session, which nobody can guess

	// maxKey bounds a stream key, maxEncoder what is kept of an encoder's name.
	maxKey     = 256
	maxEncoder = 128
)

// head is the HTTP side that WHIP and WHEP share.
func (s *Server) head() *rtc.Head {
	return &rtc.Head{
		Name: "whip", RTC: s.o.RTC, Timeout: s.o.RequestTimeout, Now: s.o.Now, Log: s.o.Log, Offer: s.answer, Problem: problemOf,
	}
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := s.head()
	h.Serve(w, r, func(w http.ResponseWriter, r *http.Request) {
		stream, ok := strings.CutPrefix(strings.TrimSuffix(r.URL.Path, "/"), root)
		stream = strings.TrimPrefix(stream, "/")
		id, session := strings.CutPrefix(r.URL.Path, resource)
		switch {
		case !ok, !session && strings.Contains(stream, "/"):
			h.NotFound(w, r)
		case session:
			h.Session(w, r, func() (rtc.Peer, bool) { return s.find(id) })
		default:
			h.Endpoint(w, r, stream)
		}
	})
}

// answer is what an offer is answered with.
func (s *Server) answer(r *http.Request, stream string, body []byte) (rtc.Offered, *rtc.Problem) {
	sess, answer, err := s.offer(r, stream, body)
	if err != nil {
		p := problemOf(err)
		s.o.Log.Warn("whip: refused", "protocol", "whip", "peer", s.o.Remote(r), "status", p.Status, "code", p.Code, "error", live.Detail(err))
		return rtc.Offered{}, p
	}
	return rtc.Offered{Location: resource + sess.id, ETag: sess.tag(), Answer: answer}, nil
}

func (s *Server) offer(r *http.Request, stream string, body []byte) (*session, string, error) {
	key, err := s.key(r, stream)
	if err != nil {
		return nil, "", err
	}
	asks := Request{Key: key, Peer: live.Peer{Protocol: "whip", Remote: s.o.Remote(r), Encoder: cleanName(r.UserAgent())}}
	has, err := s.readOffer(body)
	if err != nil {
		return nil, "", err
	}
	if err := s.enter(); err != nil {
		return nil, "", err
	}
	defer s.leave()
	return s.publish(r.Context(), asks, string(body), has)
}

// readOffer finds out what is offered, and refuses what cannot be taken.
func (s *Server) readOffer(body []byte) (offered, error) {
	d, err := rtc.CheckOffer(body)
	if err != nil {
		return offered{}, err
	}
	return judge(d, s.o.VP8)
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

// HangUp implements rtc.Peer. It waits: who publishes again at once finds the stream free.
func (s *session) HangUp(ctx context.Context) {
	s.end(live.Refuse(live.ReasonPublisherStopped, nil))
	select {
	case <-s.gone:
	case <-ctx.Done():
	}
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
