// Package trace continues the traces of others (W3C Trace Context): what a request's traceparent names stands in the log lines of the request.
//
//	traceparent ─► Continue ─► context ─► Handler ─► log line with trace_id
package trace

import (
	"context"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
)

// Header names the trace that a request belongs to.
const Header = "traceparent"

type key struct{}

// Continue gives the trace that the request belongs to, where it names one, to everything below.
func Continue(ctx context.Context, h http.Header) context.Context {
	id := parse(h.Values(Header))
	if id == "" {
		return ctx
	}
	return context.WithValue(ctx, key{}, id)
}

// ID is the trace's id, or "".
func ID(ctx context.Context) string {
	id, _ := ctx.Value(key{}).(string)
	return id
}

// form has version, trace-id, parent-id and flags. Later versions may have more behind.
var form = regexp.MustCompile(`^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$`)

// parse reads the trace's id; "" where there is none, more than one, or what is not valid, which is to be ignored.
func parse(headers []string) string {
	if len(headers) != 1 {
		return ""
	}
	parts := form.FindStringSubmatch(strings.TrimSpace(headers[0]))
	switch {
	case parts == nil, parts[1] == "ff", parts[1] == "00" && parts[4] != "":
		return ""
	case strings.Trim(parts[2], "0") == "", strings.Trim(parts[3], "0") == "":
		return ""
	}
	return parts[2]
}

// Handler adds trace_id to the lines that are logged below Continue.
func Handler(next slog.Handler) slog.Handler { return handler{next} }

type handler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	if id := ID(ctx); id != "" {
		r = r.Clone()
		r.AddAttrs(slog.String("trace_id", id))
	}
	return h.Handler.Handle(ctx, r) //nolint:wrapcheck // it is the other's own
}

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h handler) WithGroup(name string) slog.Handler { return handler{h.Handler.WithGroup(name)} }
