package auth

import (
	"net/url"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"mediad/api/problem"
)

// origin is which page calls, as the browser says, and the host that it called.
type origin struct{ page, host string }

// Resolve implements huma.Resolver.
func (o *origin) Resolve(ctx huma.Context) []error {
	o.page, o.host = ctx.Header("Origin"), ctx.Host()
	return nil
}

// ownPage refuses pages of other sites what sets the cookie or uses it: SameSite keeps the cookie from them already, in browsers that know
// it. Programs send no Origin.
func (h *handlers) ownPage(o origin, transport string) error {
	if transport != InCookie || o.page == "" || slices.Contains(h.origins, o.page) {
		return nil
	}
	// The scheme is not compared: whoever takes TLS off in front of us does not always say so.
	if u, err := url.Parse(o.page); err == nil && u.Host != "" && strings.EqualFold(u.Host, o.host) {
		return nil
	}
	return problem.New(problem.OriginRefused, "A page of another site may not sign in here for keeps.")
}
