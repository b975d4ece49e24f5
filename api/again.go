package api

import (
	"bytes"
	"context"
	"io"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"mediad/api/caller"
	"mediad/api/limit"
	"mediad/api/once"
	"mediad/api/problem"
)

const keyHeader = "Idempotency-Key"

// creates says whether an operation takes an Idempotency-Key.
func creates(op *huma.Operation) bool {
	return op.Method == http.MethodPost && (op.DefaultStatus == http.StatusCreated || op.DefaultStatus == http.StatusAccepted)
}

// run runs a call, or gives the answer again that it had. It stands behind everything that refuses.
func (g *gate) run(c *gin.Context, op *huma.Operation, r rule, note *routeNote, next func()) *problem.Problem {
	key := c.Request.Header.Get(keyHeader)
	switch {
	case !creates(op):
		next()
		return nil
	case key == "" && r.once:
		return problem.New(problem.IdempotencyKeyRequired, "Send an Idempotency-Key, and the same one when you try again.")
	case key == "":
		next()
		return nil
	case !once.ValidKey(key):
		return problem.New(problem.InvalidParameter, "The Idempotency-Key has to be 1 to 255 visible characters of ASCII.")
	}
	claim, kept, refusal := g.begin(c.Request, op, key)
	switch {
	case refusal != nil:
		return refusal
	case kept != nil:
		for name, value := range kept.Header {
			c.Header(name, value)
		}
		c.Header("Idempotency-Replayed", "true")
		c.Status(kept.Status)
		_, _ = c.Writer.Write(kept.Body) // into memory
		return nil
	}
	ran := false
	defer func() { // also of a panic
		if status := c.Writer.Status(); ran && status >= 200 && status < 300 {
			g.once.Keep(c.Request.Context(), claim, answerToKeep(status, note.answer))
			return
		}
		g.once.Release(c.Request.Context(), claim)
	}()
	next()
	ran = true
	return nil
}

func (g *gate) begin(r *http.Request, op *huma.Operation, key string) (*once.Claim, *once.Answer, *problem.Problem) {
	body, refusal := wholeBody(r)
	if refusal != nil {
		return nil, nil, refusal
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	claim, kept, err := g.once.Begin(r.Context(), once.Call{
		Caller: callerName(r.Context()), Address: limit.Caller(caller.PeerOf(r.Context()).Addr), Operation: op.OperationID, Path: r.URL.Path, Key: key,
		Query: r.URL.RawQuery, Body: body,
	})
	if err != nil {
		p, internal := problem.From(err)
		if internal != nil {
			g.log.ErrorContext(r.Context(), "request failed", "code", p.Code, "request_id", problem.RequestID(r.Context()), "error", internal)
		}
		return nil, nil, p
	}
	return claim, kept, nil
}

// callerName is who calls; "" for anybody.
func callerName(ctx context.Context) string {
	who := caller.Of(ctx)
	if who.Via == caller.Key {
		return "key " + who.KeyID
	}
	return who.UserID
}

func answerToKeep(status int, a *answer) once.Answer {
	kept := once.Answer{Status: status, Header: map[string]string{}, Body: a.body.Bytes()}
	for _, name := range []string{"Content-Type", "Location", "Etag", "Set-Cookie"} {
		if value := a.header.Get(name); value != "" {
			kept.Header[name] = value
		}
	}
	return kept
}
