package problem

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// Handle makes a handler answer every error as a problem. The cause, where the caller must not see it, is logged here and
// nowhere else; that the database is away once a second.
func Handle[I, O any](log *slog.Logger, handler func(context.Context, *I) (*O, error)) func(context.Context, *I) (*O, error) {
	var away outage
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
		case p.Code == string(Unavailable):
			if others, due := away.due(time.Now()); due {
				log.ErrorContext(ctx, "request failed", "code", p.Code, "request_id", RequestID(ctx), "others", others, "error", internal)
			}
		default:
			log.ErrorContext(ctx, "request failed", "code", p.Code, "request_id", RequestID(ctx), "error", internal)
		}
		return nil, p
	}
}

// outage counts the requests to one operation that fail of the same cause, each of which would say so in the log.
type outage struct {
	mu     sync.Mutex // guards the following
	told   time.Time
	others int
}

// due says whether it is time to tell, and of how many others nothing was told.
func (o *outage) due(now time.Time) (others int, due bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if now.Sub(o.told) < time.Second {
		o.others++
		return 0, false
	}
	others, o.others, o.told = o.others, 0, now
	return others, true
}

// Transformer is huma's last look at a body: it completes problems and translates those that huma made itself. schemas are those of the document.
func Transformer(schemas huma.Registry) huma.Transformer {
	return func(ctx huma.Context, _ string, body any) (any, error) {
		var p *Problem
		switch err := body.(type) {
		case *Problem:
			p = err
		case *huma.ErrorModel:
			p, _ = from(err, placesOf(ctx.Operation(), schemas))
		default:
			return body, nil
		}
		path := ctx.URL()
		p = p.For(ctx.Context(), path.EscapedPath())
		headers := http.Header{}
		p.SetHeaders(headers)
		for name := range headers {
			ctx.SetHeader(name, headers.Get(name))
		}
		return p, nil
	}
}
