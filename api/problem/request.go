package problem

import (
	"context"
	"net/http"
	"regexp"

	"mediad/api/trace"
	"mediad/store/db"
)

type requestIDKey struct{}

var requestIDRule = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// Identify gives a request its id, the caller's or a new one, and the trace that it belongs to, and shows the id in the answer. Every handler that
// requests come to first begins with it.
func Identify(answer http.Header, r *http.Request) *http.Request {
	id := r.Header.Get("X-Request-Id")
	if !requestIDRule.MatchString(id) {
		id = newRequestID()
	}
	answer.Set("X-Request-Id", id)
	return r.WithContext(trace.Continue(WithRequestID(r.Context(), id), r.Header))
}

func newRequestID() string {
	id, err := db.NewID()
	if err != nil {
		return "unknown" // no randomness: the answer is still worth more than its id
	}
	return id
}

// WithRequestID gives the request's id to everything below.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// RequestID is what WithRequestID gave, or "".
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}
