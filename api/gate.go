package api

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"

	"mediad/api/caller"
	"mediad/api/limit"
	"mediad/api/once"
	"mediad/api/problem"
	"mediad/api/serverkey"
)

// gate is what every operation passes: may this caller, how often, with such a body? It is the one place that decides by the table of rules.
type gate struct {
	rules  map[string]rule
	limits map[string]*limit.Limiter // by policy; empty: off
	once   *once.Service
	log    *slog.Logger
	again  func(ctx context.Context, header string, who caller.Caller) (caller.Caller, error)
	denied func(ctx context.Context, operation string) error
	// denials bounds how often the same is recorded of a caller: whoever is refused would write a row of the audit log with each call. nil: off.
	denials *limit.Limiter
}

// recorded is how often a caller's being refused an operation is.
var recorded = limit.Policy{Name: "denied", Quota: 5, Window: time.Minute}

func newGate(d Deps) *gate {
	g := &gate{rules: rules(), limits: map[string]*limit.Limiter{}, once: d.Once, log: d.Log, again: d.Auth.Again, denied: d.Accounts.Denied}
	if d.Config.LimitScale > 0 {
		g.denials = limit.New(limit.Options{Policy: recorded.Scale(d.Config.LimitScale), Now: d.Now})
		for name, policy := range d.Config.Quotas {
			g.limits[name] = limit.New(limit.Options{Policy: policy.Scale(d.Config.LimitScale), Shared: d.Limits, Name: name, Now: d.Now})
		}
	}
	return g
}

// pass is huma's middleware.
func (g *gate) pass(ctx huma.Context, next func(huma.Context)) {
	c := humagin.Unwrap(ctx)
	r := g.rules[ctx.Operation().OperationID]
	note := noteOf(c.Request.Context())
	note.noStore = r.noStore
	note.may = g.still(c.Request, r)
	refusal := g.limited(c.Request.Context(), r.tries, r, "", c.Writer.Header().Set)
	counted := false
	if refusal == nil {
		refusal = g.limited(c.Request.Context(), r.policy, r, c.Param(r.per), c.Writer.Header().Set)
		counted = refusal == nil
	}
	if refusal == nil {
		refusal = refuse(c.Request.Context(), r, note)
		if refusal != nil && denial(r, refusal) {
			if err := g.record(c.Request.Context(), ctx.Operation().OperationID); err != nil {
				refusal, _ = problem.From(err)
			}
		}
	}
	if refusal == nil {
		refusal = doubled(ctx.Operation(), c.Request)
	}
	if refusal == nil && !r.anyBody {
		refusal = strictJSON(c.Request, r.plain)
	}
	if refusal == nil {
		refusal = g.run(c, ctx.Operation(), r, note, func() { next(ctx) })
	}
	if refusal != nil {
		problem.Write(c.Writer, c.Request, refusal)
	}
	if r.tries != "" && counted && ofItsForm(note.answer.status) {
		g.giveBack(c.Request.Context(), r, c.Writer.Header().Set)
	}
}

// doubled refuses a parameter of the operation that is there twice, of which the handler would see only the first. What the operation does not
// know it does not look at.
func doubled(op *huma.Operation, r *http.Request) *problem.Problem {
	if r.URL.RawQuery == "" {
		return nil
	}
	values := r.URL.Query()
	for _, p := range op.Parameters {
		if p.In == "query" && len(values[p.Name]) > 1 {
			return problem.New(problem.InvalidParameter, "The parameter "+p.Name+" is there twice.")
		}
	}
	return nil
}

// still asks of a request, as often as is wanted, whether its caller may what a rule is of. What it tells is no older than standings are.
func (g *gate) still(r *http.Request, of rule) func(context.Context) error {
	header, who := r.Header.Get("Authorization"), caller.Of(r.Context())
	return func(ctx context.Context) error {
		now, err := g.again(ctx, header, who)
		if err != nil {
			return err
		}
		if refusal := refuse(caller.With(ctx, now), of, &routeNote{}); refusal != nil {
			return refusal
		}
		return nil
	}
}

// ofItsForm says whether a refusal is of the form of a call alone, and so tells nothing of what the site has.
func ofItsForm(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// record keeps that the caller was refused an operation.
func (g *gate) record(ctx context.Context, operation string) error {
	if g.denials != nil && !g.denials.Take(ctx, caller.Of(ctx).UserID+" "+operation).Allowed {
		return nil // it is known well enough, and counted in the metrics
	}
	return g.denied(ctx, operation)
}

// denial says whether a refusal is to be recorded: a role that does not reach, or a token that is tried on what only moderators and admins do.
func denial(r rule, refusal *problem.Problem) bool {
	switch problem.Code(refusal.Code) {
	case problem.RoleRequired:
		return true
	case problem.ScopeMissing:
		return r.least == caller.Moderator || r.least == caller.Admin
	default:
		return false
	}
}

// maxCounted bounds what of a path is counted by: longer than any id, and whoever invents names does not fill the memory with them.
const maxCounted = 64

// limited counts the call for a policy of the rule, by who calls or by what of the path is counted.
func (g *gate) limited(ctx context.Context, policy string, r rule, of string, set func(name, value string)) *problem.Problem {
	limiter := g.limits[policy]
	if limiter == nil {
		return nil
	}
	key := countedBy(ctx, r)
	if of != "" {
		key = of[:min(len(of), maxCounted)]
	}
	state := limiter.Take(ctx, key)
	state.EachHeader(set)
	if !state.Allowed {
		return problem.New(problem.RateLimited, tooMany(policy)).Retry(state.Reset)
	}
	return nil
}

// giveBack lets a call not have counted for the rule's own policy.
func (g *gate) giveBack(ctx context.Context, r rule, set func(name, value string)) {
	if limiter := g.limits[r.policy]; limiter != nil {
		limiter.GiveBack(ctx, countedBy(ctx, r)).EachHeader(set)
	}
}

// countedBy is whose calls are counted together.
func countedBy(ctx context.Context, r rule) string {
	if who := caller.Of(ctx); who.SignedIn() && !r.unsigned {
		return who.UserID
	}
	return limit.Caller(caller.PeerOf(ctx).Addr)
}

// tooMany says what there was too much of.
func tooMany(policy string) string {
	switch policy {
	case "register":
		return "From your network as many accounts were made, or taken names asked for, as the site allows in an hour. Retry-After says when it goes on."
	case "register_tries":
		return "From your network registering was tried as often as the site allows in an hour. Retry-After says when it goes on."
	}
	return "Too many requests of this kind."
}

// refuse says why the caller may not; nil: it may.
func refuse(ctx context.Context, r rule, note *routeNote) *problem.Problem {
	if r.unsigned {
		return nil
	}
	if note.refusal != nil {
		return note.refusal
	}
	who := caller.Of(ctx)
	switch {
	case r.key && who.Via == caller.Key:
		return nil
	case r.key:
		return problem.New(problem.Unauthenticated, "Sign the request with a server key.")
	case !who.SignedIn() && r.signedIn:
		return problem.New(problem.Unauthenticated, "Sign in, and send the access token in the Authorization header, behind the word Bearer.")
	case !who.SignedIn():
		return nil
	case who.MustChangePassword && !r.first:
		return problem.New(problem.PasswordChangeRequired, "The password is a one-time one. Change it first, by POST /api/v1/auth/password.")
	case !r.signedIn:
		return nil
	case !who.Has(r.scope):
		p := problem.New(problem.ScopeMissing, "The API token may not be used for this.")
		p.Scope = string(r.scope)
		return p
	case r.least != "" && !who.Role.AtLeast(r.least):
		p := problem.New(problem.RoleRequired, "The account's role does not allow this.")
		p.Role = string(r.least)
		return p
	}
	return nil
}

// complete says whether table and operations agree, and writes into the document who may.
func (g *gate) complete(doc *huma.OpenAPI) error {
	seen := map[string]bool{}
	for _, item := range doc.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if op == nil {
				continue
			}
			r, ok := g.rules[op.OperationID]
			if !ok {
				return fmt.Errorf("api: %s is not in the table of rules", op.OperationID)
			}
			seen[op.OperationID] = true
			if creates(op) {
				problem.Add(op, problem.InvalidParameter, problem.IdempotencyKeyReused, problem.IdempotencyInProgress)
				if r.once {
					problem.Add(op, problem.IdempotencyKeyRequired)
				}
				op.Parameters = append(op.Parameters, &huma.Param{
					Name: keyHeader, In: "header", Required: r.once, Example: "0198f2a0-0000-7000-8000-000000000081",
					Description: "1 to 255 visible characters: with the same key, path and body the answer is given again for a day, with Idempotency-Replayed: true",
					Schema:      &huma.Schema{Type: huma.TypeString},
				})
			}
			if r.key {
				op.Security = []map[string][]string{{"signature": {}}}
			}
			if r.signedIn {
				op.Security = []map[string][]string{{"bearer": {}}}
				if r.scope != "" {
					op.Security[0]["bearer"] = []string{string(r.scope)}
				}
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(g.rules)) {
		if !seen[id] {
			return fmt.Errorf("api: the table of rules has %s, which is no operation", id)
		}
	}
	doc.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"bearer": {Type: "http", Scheme: "bearer", Description: "An access token, or an API token with the scope that is named."},
		"signature": {
			Type: "http", Scheme: serverkey.Scheme, Description: "key=mdk_…,ts=UNIX,nonce=16 to 64 of A-Za-z0-9_-,sig=HEX. sig is the lower-case hex of " +
				"HMAC-SHA256 with the key's secret over scheme, ts, nonce, method, path, the query's pairs (percent-encoded, sorted, joined by &) and the " +
				"hex of the body's SHA-256, joined by newlines. Good for 300 s, once.",
		},
	}
	return nil
}
