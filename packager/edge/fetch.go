package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"
)

const (
	dialTimeout = 2 * time.Second
	// patience is how long the origin may take for the head of what it has.
	patience = 5 * time.Second
	// bodyTime is how long a body may take.
	bodyTime = 30 * time.Second
	// maxObject bounds what is fetched whole; longer ones are passed on. A segment of 6 s with 80 Mbit/s is shorter.
	maxObject = 64 << 20
	// maxUnsized is the same for what comes without its length.
	maxUnsized = 4 << 20
	// inFlight bounds the bytes that all flights hold together; the others wait.
	inFlight = 256 << 20
	// idleConns is how many connections to the origin are kept: each parked playlist has one, where they do not share by HTTP/2.
	idleConns = 512
)

var (
	errTooLong  = errors.New("the answer is too long")
	errCut      = errors.New("the answer is not whole")
	errStopping = errors.New("the server is stopping")
	errBusy     = errors.New("too many requests of the origin are under way")
	errUnwanted = errors.New("the answer is none to the question")
	errNoAnswer = errors.New("the origin does not answer in time")
)

// flightTime is how long a flight may take.
func (l Limits) flightTime(q request) time.Duration { return l.headTime(q) + bodyTime }

// headTime is how long a flight waits for the head of an answer.
func (l Limits) headTime(q request) time.Duration {
	if q.parked {
		return l.Hold + l.Margin
	}
	return patience
}

// newTransport makes the way to the origin: HTTP/2 with TLS, else HTTP/1.1, connections kept.
func newTransport(l *line, config *tls.Config) *http.Transport {
	return &http.Transport{
		DialContext: l.dial, TLSClientConfig: config, ForceAttemptHTTP2: true,
		TLSHandshakeTimeout: dialTimeout, MaxIdleConnsPerHost: idleConns, IdleConnTimeout: 90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10, DisableCompression: true,
		HTTP2: &http.HTTP2Config{SendPingTimeout: 5 * time.Second, PingTimeout: 5 * time.Second},
	}
}

// fetch asks the origin for an object. What broke off is asked for once more: a kept connection may have been closed by a restart.
func (h *Handler) fetch(ctx context.Context, q request, v viewer) (*object, error) {
	o, err := h.fetchOnce(ctx, q, v)
	if errors.Is(err, errCut) && ctx.Err() == nil {
		o, err = h.fetchOnce(ctx, q, v)
	}
	return o, err
}

func (h *Handler) fetchOnce(ctx context.Context, q request, v viewer) (*object, error) {
	if err := h.line.may(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	late := time.AfterFunc(h.limits.headTime(q), func() { cancel(errNoAnswer) })
	defer late.Stop()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, h.origin.String()+q.key, nil)
	if err != nil {
		h.line.failed()
		return nil, err
	}
	r.Header["Accept-Encoding"] = []string{"gzip"}
	if q.kind == Media || q.kind == Picture {
		r.Header["Accept-Encoding"] = []string{"identity"}
	}
	r.Header["User-Agent"] = []string{agent}
	r.Header["X-Forwarded-For"] = []string{v.ip}
	r.Header["Via"] = []string{v.via}
	answer, err := h.transport.RoundTrip(r)
	if err != nil {
		h.line.failed()
		h.observer.Fetched(Fetched{Kind: q.kind})
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, err
	}
	h.line.answered()
	late.Stop()
	defer func() { _ = answer.Body.Close() }() // all that is wanted of it was read
	o, n, err := h.receive(ctx, answer)
	f := Fetched{Kind: q.kind, Status: answer.StatusCode, Bytes: n}
	if err != nil {
		f.Status = 0
		h.log.Warn("an answer of the origin is not used", slog.String("kind", q.kind.String()), slog.Int("status", answer.StatusCode), slog.Any("error", err))
	}
	h.observer.Fetched(f)
	return o, err
}

// receive reads an answer whole.
func (h *Handler) receive(ctx context.Context, r *http.Response) (*object, int64, error) {
	o := newObject(r, h.now())
	switch r.StatusCode {
	case http.StatusPartialContent, http.StatusNotModified, http.StatusSwitchingProtocols:
		return nil, 0, errUnwanted
	}
	length, limit := r.ContentLength, int64(maxUnsized)
	if length >= 0 {
		limit = length
	}
	if length > maxObject {
		o.private = true
		return o, 0, nil
	}
	if err := h.bytes.Acquire(ctx, limit); err != nil {
		return nil, 0, err
	}
	defer h.bytes.Release(limit)
	body, err := readBody(r.Body, length)
	switch {
	case errors.Is(err, errTooLong):
		o.private = true
		return o, int64(len(body)), nil
	case err != nil:
		return nil, int64(len(body)), err
	}
	if length < 0 && r.ProtoMajor == 1 && len(r.TransferEncoding) == 0 {
		o.lifetime = 0 // its end is where the connection ended, so nobody knows whether it is whole
	}
	if err := o.fill(body, r.Header.Get("Content-Encoding")); err != nil {
		return nil, int64(len(body)), err
	}
	return o, int64(len(body)), nil
}

// readBody reads a body of a length, or of one that is not told.
func readBody(src io.Reader, length int64) ([]byte, error) {
	if length < 0 {
		body, err := io.ReadAll(io.LimitReader(src, maxUnsized+1))
		if err == nil && len(body) > maxUnsized {
			err = errTooLong
		}
		return body, cut(err)
	}
	body := make([]byte, length)
	n, err := io.ReadFull(src, body)
	if err == nil {
		// The end of it is read too, so that the connection can be used again.
		if _, err = src.Read(make([]byte, 1)); errors.Is(err, io.EOF) {
			err = nil
		}
	}
	return body[:n], cut(err)
}

// cut marks an error of reading a body.
func cut(err error) error {
	if err == nil || errors.Is(err, errTooLong) {
		return err
	}
	return fmt.Errorf("%w: %w", errCut, err)
}

// timedOut tells whether the origin was too slow, rather than wrong or gone.
func timedOut(err error) bool {
	var ne net.Error
	return errors.Is(err, errNoAnswer) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &ne) && ne.Timeout()
}
