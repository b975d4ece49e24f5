package web

import (
	"net/http"
	"strings"
)

// policy is what browsers are told about our pages (api.md 3.6).
type policy struct {
	page, embed string // Content-Security-Policy of each
}

// newPolicy allows scripts from our own files only. Styles may be inline because the player and Vue set them on elements; blob:
// is what media source extensions hand to the video element.
func newPolicy(media []string) policy {
	others := ""
	if len(media) > 0 {
		others = " " + strings.Join(media, " ")
	}
	base := strings.Join([]string{
		"default-src 'self'",
		"script-src 'self'",
		"style-src 'self' 'unsafe-inline'",
		"img-src 'self' data: blob:" + others,
		"media-src 'self' blob:" + others,
		"connect-src 'self'" + others,
		"font-src 'self' data:",
		"worker-src 'self' blob:",
		"object-src 'none'",
		"base-uri 'none'",
		"form-action 'self'",
	}, "; ")
	return policy{page: base + "; frame-ancestors 'none'", embed: base + "; frame-ancestors *"}
}

// set sets them; the server adds what pages have by TLS.
func (p policy) set(header http.Header, embed bool) {
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "strict-origin-when-cross-origin")
	header.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=()")
	if embed {
		header.Set("Content-Security-Policy", p.embed)
	} else {
		header.Set("Content-Security-Policy", p.page)
		header.Set("X-Frame-Options", "DENY") // for browsers that do not know frame-ancestors
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
	}
}
