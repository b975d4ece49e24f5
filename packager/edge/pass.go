package edge

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"sync/atomic"
	"time"
)

// throughTime is how long whoever sends or takes something that is passed on may do nothing. Chat by long polling is silent for 25 s.
const throughTime = 30 * time.Second

// newThrough makes the way for what is not media: nothing is kept and nothing waits for another. The viewer's host name is kept, as the
// origin makes URLs of it and compares it with a page's origin.
func (h *Handler) newThrough() *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(h.origin)
			p.Out.Host = p.In.Host
			p.Out.URL.RawQuery = p.In.URL.RawQuery
			p.SetXForwarded()
			p.Out.Header.Set("X-Forwarded-For", h.clientIP(p.In))
			p.Out.Header.Set("Via", h.via(p.In.Header["Via"]))
		},
		ModifyResponse: func(r *http.Response) error {
			h.line.answered()
			r.Header.Del("Alt-Svc") // the origin's other addresses
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			h.line.failed()
			if cause := context.Cause(r.Context()); cause != nil {
				err = cause // the viewer left, or silence
			}
			p := originGone
			switch {
			case timedOut(err):
				p = originSlow
			case errors.Is(err, context.Canceled):
				p = stopping
			}
			refuse(w, r, p)
		},
		Transport: h.transport, FlushInterval: -1, ErrorLog: slog.NewLogLogger(h.log.Handler(), slog.LevelDebug),
	}
}

// pass hands a request on as it is.
func (h *Handler) pass(w *sending, r *http.Request) {
	if err := h.line.may(); err != nil {
		h.fail(w, r, err)
		return
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	a := &alive{rc: http.NewResponseController(w.ResponseWriter), silence: time.AfterFunc(throughTime, func() { cancel(errNoAnswer) })}
	defer a.silence.Stop()
	r = r.WithContext(ctx)
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = &arriving{ReadCloser: r.Body, alive: a}
	}
	h.through.ServeHTTP(&leaving{w, a}, r)
}

// alive holds the deadlines of something that is passed on: they move on with every piece of it, either way.
type alive struct {
	rc      *http.ResponseController
	silence *time.Timer // ends it
}

// leaving is an answer of any length.
type leaving struct {
	*sending
	*alive
}

// WriteHeader gives the head time.
func (l *leaving) WriteHeader(status int) {
	l.on()
	l.sending.WriteHeader(status)
}

// Write gives the next bytes time.
func (l *leaving) Write(b []byte) (int, error) {
	l.on()
	return l.sending.Write(b)
}

// ReadFrom is not that of sending: every piece goes through Write.
func (l *leaving) ReadFrom(src io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{l}, src)
}

// Hijack hands the connection over. Whose protocol it is from then on knows how long either side may be silent.
func (l *leaving) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	l.silence.Stop()
	return l.rc.Hijack()
}

func (l *leaving) on() {
	l.silence.Reset(throughTime)
	_ = l.rc.SetWriteDeadline(time.Now().Add(throughTime))
}

// arriving is a request's body of any length.
type arriving struct {
	io.ReadCloser
	*alive
	closed atomic.Bool
}

// Read gives the next bytes time. Once the body is over there is no deadline: the server reads on and would take it for the viewer's
// leaving.
func (a *arriving) Read(b []byte) (int, error) {
	if a.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	a.silence.Reset(throughTime)
	_ = a.rc.SetReadDeadline(time.Now().Add(throughTime))
	n, err := a.ReadCloser.Read(b)
	if err != nil && !a.closed.Load() {
		_ = a.rc.SetReadDeadline(time.Time{})
	}
	return n, err
}

// Close keeps a reader that outlives the handler from the connection, which has its next request then.
func (a *arriving) Close() error {
	a.closed.Store(true)
	return a.ReadCloser.Close()
}
