package hlslint

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"
)

// maxMediaBytes bounds one segment.
const maxMediaBytes = 256 << 20

// probeOrigin is the origin of no page: an answer that allows it allows all.
const probeOrigin = "https://hlslint.invalid"

// fetcher makes exchanges. Media is read as long as bytes are left, playlists always. It is safe for concurrent use.
type fetcher struct {
	client *http.Client
	now    func() time.Time
	log    *slog.Logger // each exchange at debug level
	left   atomic.Int64 // bytes that may still be read
}

// defaultClient speaks HTTP/2 where it can and keeps a connection for each held request.
func defaultClient(insecure bool) *http.Client {
	return &http.Client{Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		ForceAttemptHTTP2:     true,
		TLSClientConfig:       &tls.Config{InsecureSkipVerify: insecure, MinVersion: tls.VersionTLS12}, //nolint:gosec // asked for by the user
		TLSHandshakeTimeout:   10 * time.Second,
		MaxIdleConnsPerHost:   64,
		IdleConnTimeout:       30 * time.Second,
		ExpectContinueTimeout: time.Second,
	}}
}

// request is what get does beyond a plain GET.
type request struct {
	method  string
	header  http.Header
	timeout time.Duration
}

var errTooLarge = errors.New("the answer is larger than allowed")

// get makes one exchange. ok is false when ctx ended it: nothing can be concluded from that.
func (f *fetcher) get(ctx context.Context, p Purpose, url string, r request) (x Exchange, ok bool) {
	x = Exchange{Purpose: p, URL: url, Method: r.method, Request: r.header, Header: http.Header{}}
	if x.Request == nil {
		x.Request = http.Header{}
	}
	x.Request.Set("Origin", probeOrigin)
	x.Request.Set("User-Agent", "mediad-hlslint")
	x.Request.Set("Accept-Encoding", "identity")
	if x.playlist() {
		x.Request.Set("Accept-Encoding", "gzip")
	}
	limit := min(max(f.left.Load(), 0), maxMediaBytes)
	if x.playlist() { // without playlists nothing goes on
		limit = maxPlaylistBytes
	}
	within, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	x.Sent = f.now()
	err := f.exchange(within, &x, limit)
	x.Done = f.now()
	f.left.Add(-int64(len(x.Body)))
	if err != nil {
		if ctx.Err() != nil {
			return x, false
		}
		x.overBudget = errors.Is(err, errTooLarge) && !x.playlist() && limit < maxMediaBytes
		x.Status, x.Err = 0, err.Error()
		if within.Err() != nil {
			x.Err = fmt.Sprintf("no answer in %s", r.timeout)
		}
	}
	f.log.Debug("exchange", "for", p, "url", url, "status", x.Status, "bytes", len(x.Body), "took", x.took(), "err", x.Err)
	return x, true
}

// playlist says whether the answer is to be a playlist that is judged.
func (x *Exchange) playlist() bool {
	switch x.Purpose {
	case PurposeMultivariant, PurposePlaylist, PurposeReload, PurposeDelta:
		return true
	default:
		return false
	}
}

func (f *fetcher) exchange(ctx context.Context, x *Exchange, limit int64) error {
	method := x.Method
	if method == "" {
		method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(ctx, method, x.URL, nil)
	if err != nil {
		return err
	}
	req.Header = x.Request.Clone()
	res, err := f.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	x.Status, x.Proto, x.Header = res.StatusCode, res.Proto, res.Header
	if final := res.Request.URL.String(); final != req.URL.String() || res.Request != req && final != x.URL {
		x.Final = final
	}
	var body io.Reader = res.Body
	if res.Header.Get("Content-Encoding") == "gzip" {
		switch z, err := gzip.NewReader(res.Body); {
		case err == nil:
			body = z
		case !errors.Is(err, io.EOF): // an answer to HEAD has no body
			return fmt.Errorf("gzip: %w", err)
		}
	}
	var b bytes.Buffer
	n, err := b.ReadFrom(io.LimitReader(body, limit+1))
	x.Body = b.Bytes()
	if err != nil {
		return err
	}
	if n > limit {
		x.Body = nil
		return errTooLarge
	}
	return nil
}
