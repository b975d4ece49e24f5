// Package hook asks somebody else's program whether a peer may publish or play, as those who move from other servers have it.
//
//	key accepted ──► POST URL: JSON or a form, signed ──► 2xx: yes · 4xx: no · 408, 429, anything else: not now
//
// It is asked after our own rules have said yes, and what it cannot be asked is refused: a hook that is down lets nobody in.
// Nothing runs here but the caller's goroutine.
package hook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"mediad/live"
)

// SignatureHeader is the header that a request is signed in: t=UNIX,v1=HEX, where HEX is the HMAC-SHA256 of UNIX, a dot and the
// body, under Options.Secret. Who verifies it refuses what is minutes old.
const SignatureHeader = "X-Mediad-Signature"

// Options configure a Hook. URL and Secret are required.
type Options struct {
	// URL is where to ask: http or https. Redirects are not followed.
	URL string
	// Secret is what requests are signed with.
	Secret []byte
	// Format is how a call is written. Default JSON.
	Format Format
	// Timeout is how long the answer is awaited, default 3 s: a publisher waits for it.
	Timeout time.Duration
	// Now is the clock of the signature. Default time.Now.
	Now func() time.Time
}

// Hook asks one URL. Its methods may be called from any goroutine.
type Hook struct {
	o      Options
	client *http.Client
}

// New returns a Hook.
func New(o Options) (*Hook, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("hook: not an http or https URL") // what it is may hold a password
	}
	if len(o.Secret) == 0 {
		return nil, errors.New("hook: Options.Secret is required")
	}
	switch o.Format {
	case "":
		o.Format = JSON
	case JSON, Form:
	default:
		return nil, fmt.Errorf("hook: no such format: %q", o.Format)
	}
	if o.Timeout <= 0 {
		o.Timeout = 3 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Hook{o, &http.Client{
		Timeout:       o.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Readable reports whether calls cross a network unencrypted: whoever is on the way then reads players' tokens, and can say yes
// in the hook's place. The secret is never sent.
func (h *Hook) Readable() bool {
	u, err := url.Parse(h.o.URL)
	if err != nil || u.Scheme == "https" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() != "localhost" && !ip.IsLoopback()
}

// Publish returns an Authorizer that asks the hook of everyone whom next lets in.
func (h *Hook) Publish(next live.Authorizer) live.Authorizer { return publish{h, next} }

type publish struct {
	h    *Hook
	next live.Authorizer
}

// AuthorizePublish implements live.Authorizer.
func (p publish) AuthorizePublish(ctx context.Context, key string, peer live.Peer) (live.Grant, error) {
	g, err := p.next.AuthorizePublish(ctx, key, peer)
	if err != nil {
		return g, err
	}
	err = p.h.ask(ctx, Call{
		Event: "publish", Stream: g.Stream, StreamID: g.StreamID, KeyID: g.KeyID,
		Protocol: peer.Protocol, Addr: peer.Remote, Encoder: peer.Encoder,
	})
	return g, err
}

// Play asks whether a player may have a stream. The error carries the reason to be told.
func (h *Hook) Play(ctx context.Context, stream, token string, peer live.Peer) error {
	return h.ask(ctx, Call{Event: "play", Stream: stream, Token: token, Protocol: peer.Protocol, Addr: peer.Remote})
}

// maxAnswer is how much of an answer is read: it says nothing, but a connection that is read to its end can be used again.
const maxAnswer = 64 << 10

func (h *Hook) ask(ctx context.Context, c Call) error {
	now := h.o.Now()
	c.Time = now.UTC().Format("2006-01-02T15:04:05.000Z")
	body, err := c.encode(h.o.Format)
	if err != nil {
		return live.Refuse(live.ReasonHookUnavailable, fmt.Errorf("hook: %w", err))
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.o.URL, bytes.NewReader(body))
	if err != nil {
		return live.Refuse(live.ReasonHookUnavailable, errors.New("hook: no request")) // err has the URL in it
	}
	r.Header.Set("Content-Type", h.o.Format.contentType())
	r.Header.Set("User-Agent", "mediad")
	r.Header.Set(SignatureHeader, Sign(h.o.Secret, now, body))
	answer, err := h.client.Do(r)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // without the URL
		}
		return live.Refuse(live.ReasonHookUnavailable, fmt.Errorf("hook: %w", err))
	}
	defer answer.Body.Close()
	_, _ = io.CopyN(io.Discard, answer.Body, maxAnswer)
	switch code := answer.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code == http.StatusRequestTimeout || code == http.StatusTooManyRequests: // it has not decided
		return live.Refuse(live.ReasonHookUnavailable, fmt.Errorf("hook: %s", answer.Status))
	case code >= 400 && code < 500:
		return live.Refuse(live.ReasonRefusedBySite, fmt.Errorf("hook: %s", answer.Status))
	default:
		return live.Refuse(live.ReasonHookUnavailable, fmt.Errorf("hook: %s", answer.Status))
	}
}

// Sign is the value of SignatureHeader for a body.
func Sign(secret []byte, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	m := hmac.New(sha256.New, secret)
	m.Write([]byte(t + "."))
	m.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(m.Sum(nil))
}
