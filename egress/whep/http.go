package whep

import (
	"context"
	"net/http"
	"strings"

	"mediad/internal/rtc"
	"mediad/live"
)

const (
	root = "/whep/"

	// maxStream bounds a stream's name and maxToken a token; longer ones exist nowhere.
	maxStream = 128
	maxToken  = 4096
)

// head is the HTTP side that WHIP and WHEP share.
func (s *Server) head() *rtc.Head {
	return &rtc.Head{
		Name: "whep", RTC: s.o.RTC, Timeout: s.o.RequestTimeout, Now: s.o.Now, Log: s.o.Log, Offer: s.reply, Problem: problemOf,
	}
}

// ServeHTTP answers a request. POST /whep/{stream} begins, everything else goes to /whep/{stream}/{id}, of which the id
// cannot be guessed.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := s.head()
	h.Serve(w, r, func(w http.ResponseWriter, r *http.Request) {
		path, ok := strings.CutPrefix(r.URL.Path, root)
		stream, id, isViewer := strings.Cut(path, "/")
		switch {
		case !ok || stream == "" || len(stream) > maxStream || strings.Contains(id, "/"):
			h.NotFound(w, r)
		case isViewer && id != "":
			h.Session(w, r, func() (rtc.Peer, bool) {
				v, ok := s.find(id)
				return v, ok && v.b.session.Stream() == stream
			})
		default:
			h.Endpoint(w, r, stream)
		}
	})
}

// reply is what an offer is answered with.
func (s *Server) reply(r *http.Request, stream string, body []byte) (rtc.Offered, *rtc.Problem) {
	v, answer, err := s.offer(r, stream, body)
	if err != nil {
		p := problemOf(err)
		s.o.Log.Debug("whep: refused", "stream", stream, "peer", s.o.Remote(r), "status", p.Status, "code", p.Code, "error", live.Detail(err))
		return rtc.Offered{}, p
	}
	return rtc.Offered{Location: root + stream + "/" + v.id, ETag: v.tag(), Answer: answer}, nil
}

// HangUp implements rtc.Peer.
func (v *viewer) HangUp(context.Context) { v.end(live.Refuse(live.ReasonViewerLeft, nil)) }

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
