package api

import (
	"context"
	"errors"

	"mediad/api/caller"
	"mediad/api/limit"
	"mediad/api/problem"
	"mediad/api/serverkey"
)

// credentials bounds what made-up ones cost. To look one up is a question to the database, asked before anything else is known of the caller:
// an address that has named too many that are none is not looked up any more. Those that were good lately are known without.
type credentials struct {
	failed *limit.Limiter // by address, of this node alone; nil: off
	// stranger says whether a header holds what may be a credential of ours and is not known to be one.
	stranger func(header string) bool
}

func newCredentials(d Deps) credentials {
	c := credentials{stranger: func(header string) bool {
		if serverkey.Signed(header) {
			return d.ServerKeys.Stranger(header)
		}
		return d.Auth.Stranger(header)
	}}
	if d.Config.LimitScale > 0 {
		// Not shared between nodes: that would be a question as well.
		c.failed = limit.New(limit.Options{Policy: d.Config.Quotas["credentials"].Scale(d.Config.LimitScale), Now: d.Now})
	}
	return c
}

// tried looks one up, unless the caller has named too many that are none.
func (c credentials) tried(ctx context.Context, header string, lookUp func() (caller.Caller, error)) (caller.Caller, error) {
	if c.failed == nil || header == "" || !c.stranger(header) {
		return lookUp()
	}
	address := limit.Caller(caller.PeerOf(ctx).Addr)
	if state := c.failed.Look(ctx, address); state.Left <= 0 {
		return caller.Caller{}, problem.New(problem.RateLimited, "Too many credentials that are not valid.").Retry(state.Reset)
	}
	who, err := lookUp()
	var refused *problem.Problem
	if errors.As(err, &refused) {
		c.failed.Take(ctx, address)
	}
	return who, err
}
