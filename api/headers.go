package api

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"mediad/api/caller"
)

// setCommonHeaders sets what every answer has; the server adds what it has by TLS.
func setCommonHeaders(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "strict-origin-when-cross-origin")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Vary", "Authorization, Origin, Accept-Encoding")
}

// cors lets pages of listed sites call.
type cors struct{ origins []string }

func newCORS(origins []string) cors { return cors{origins: origins} }

const (
	exposedHeaders = "ETag, Location, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id, Idempotency-Replayed, " +
		"Tus-Resumable, Tus-Version, Tus-Extension, Tus-Max-Size, Tus-Checksum-Algorithm, Upload-Offset, Upload-Length, Upload-Defer-Length, " +
		"Upload-Metadata, Upload-Expires, Upload-Concat"
	allowedHeaders = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-Request-Id, X-Mediad-Csrf, traceparent, " +
		"Uppy-Versions, Uppy-Auth-Token, " +
		"Tus-Resumable, Upload-Offset, Upload-Length, Upload-Defer-Length, Upload-Metadata, Upload-Checksum, Upload-Concat"
	allowedMethods = "GET, HEAD, POST, PUT, PATCH, DELETE"
)

// setHeaders answers a listed origin by its name. The site's own pages need no leave, and others get none.
func (c cors) setHeaders(h http.Header, r *http.Request) {
	origin := r.Header.Get("Origin")
	if origin == "" || !slices.Contains(c.origins, origin) {
		return
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Allow-Credentials", "true")
	h.Set("Access-Control-Expose-Headers", exposedHeaders)
}

// answerPreflight adds to setHeaders what a preflight asks; without a listed origin it says nothing.
func (c cors) answerPreflight(h http.Header) {
	if h.Get("Access-Control-Allow-Origin") == "" {
		return
	}
	h.Set("Access-Control-Allow-Methods", allowedMethods)
	h.Set("Access-Control-Allow-Headers", allowedHeaders)
	h.Set("Access-Control-Max-Age", "600")
}

// preflight is a browser's question before it calls.
func preflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

// clients finds out who calls.
type clients struct{ trusted []netip.Prefix }

// addr is the address of the peer, or what the nearest proxy that is not trusted came from. The header is read from its
// end: what stands further in front anybody may have written.
func (c clients) addr(r *http.Request) netip.Addr {
	peer := parseHost(r.RemoteAddr)
	if !c.trusts(peer) {
		return peer
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		addr := parseHost(strings.TrimSpace(hop))
		if !addr.IsValid() {
			break
		}
		peer = addr
		if !c.trusts(addr) {
			break
		}
	}
	return peer
}

// peer is where a request comes from.
func (c clients) peer(r *http.Request) caller.Peer {
	secure := r.TLS != nil || c.trusts(parseHost(r.RemoteAddr)) && strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
	return caller.Peer{Addr: c.addr(r), Secure: secure, Host: r.Host, Agent: r.UserAgent()}
}

func (c clients) trusts(addr netip.Addr) bool {
	return addr.IsValid() && slices.ContainsFunc(c.trusted, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// parseHost reads an address with or without a port; the zero Addr if it is none.
func parseHost(s string) netip.Addr {
	if withPort, err := netip.ParseAddrPort(s); err == nil {
		return withPort.Addr().Unmap()
	}
	addr, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap()
}
