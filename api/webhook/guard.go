package webhook

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"mediad/api/outbound"
)

// guarded makes a client that connects to nothing but what is allowed, whatever a name is resolved to at that moment, and that follows no
// redirects, which could lead elsewhere.
func guarded(guard outbound.Guard, timeout time.Duration) *http.Client {
	dialer := &net.Dialer{Timeout: timeout, KeepAlive: -1, ControlContext: guard.Control}
	return &http.Client{
		Timeout: timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
		Transport: &http.Transport{
			DialContext: dialer.DialContext, // and no proxy, which would connect for us
			// A connection for each: what is allowed is looked at each time, and nothing is left open.
			DisableKeepAlives: true, DisableCompression: true, ForceAttemptHTTP2: false,
			TLSHandshakeTimeout: timeout, ResponseHeaderTimeout: timeout, MaxResponseHeaderBytes: 16 << 10,
		},
	}
}

// why says in one word why there was no answer.
func why(err error) string {
	var dns *net.DNSError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, outbound.ErrAddress):
		return "blocked"
	case errors.As(err, &dns):
		return "dns"
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case strings.Contains(err.Error(), "tls: ") || strings.Contains(err.Error(), "x509: "): // which have many types
		return "tls"
	}
	return "connection"
}
