package problem

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// Handle makes a handler answer every error as a problem. The cause, where the caller must not see it, is logged here and
// nowhere else.
func Handle[I, O any](log *slog.Logger, handler func(context.Context, *I) (*O, error)) func(context.Context, *I) (*O, error) {
	return func(ctx context.Context, in *I) (*O, error) {
		out, err := handler(ctx, in)
		if err == nil {
			return out, nil
		}
		p, internal := From(err)
		switch {
		case internal == nil:
		case errors.Is(internal, context.Canceled): // the caller has gone
			log.DebugContext(ctx, "request abandoned", "request_id", RequestID(ctx), "error", internal)
		default:
			log.ErrorContext(ctx, "request failed", "code", p.Code, "request_id", RequestID(ctx), "error", internal)
		}
		return nil, p
	}
}

// Transform is huma's last look at a body: it completes problems and translates those that huma made itself.
func Transform(ctx huma.Context, _ string, body any) (any, error) {
	var p *Problem
	switch err := body.(type) {
	case *Problem:
		p = err
	case *huma.ErrorModel:
		p, _ = From(err)
	default:
		return body, nil
	}
	path := ctx.URL()
	p = p.For(ctx.Context(), path.Path)
	headers := http.Header{}
	p.SetHeaders(headers)
	for name := range headers {
		ctx.SetHeader(name, headers.Get(name))
	}
	return p, nil
}
