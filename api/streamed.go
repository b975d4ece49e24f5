package api

import (
	"context"
	"net/http"
	"time"

	"mediad/api/admin"
)

const (
	// streamTimeout bounds an answer that is written while it is sent.
	streamTimeout = 30 * time.Minute
	// streamStall bounds each piece of it: who takes nothing for so long is gone.
	streamStall = 30 * time.Second
)

// streamLater lets the answer of a request be followed by what is written while it is sent.
func streamLater(ctx context.Context, s admin.Streamed) { noteOf(ctx).streamed = &s }

// streamDone lets go of what the request would have streamed, whether it did or not.
func (n *routeNote) streamDone() {
	if n.streamed != nil {
		n.streamed.Done()
	}
}

// fine says whether nothing speaks against a body behind the headers.
func (a *answer) fine() bool {
	return (a.status == 0 || a.status == http.StatusOK || a.status == http.StatusNoContent) && a.body.Len() == 0
}

// stream sends the headers, and then what s writes, as long as the caller may.
func (a *answer) stream(ctx context.Context, w http.ResponseWriter, s *admin.Streamed, may func(context.Context) error) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, streamTimeout)
	defer cancel()
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	return http.StatusOK, s.Write(ctx, &patient{w, http.NewResponseController(w), func() error { return may(ctx) }})
}

// patient gives each piece its own time: the deadline of pages is too short for a long answer. In front of each it asks whether the caller still
// may, which may have ended long before the answer does.
type patient struct {
	to      http.ResponseWriter
	control *http.ResponseController
	may     func() error
}

// Write implements io.Writer.
func (p *patient) Write(b []byte) (int, error) {
	if err := p.may(); err != nil {
		return 0, err
	}
	_ = p.control.SetWriteDeadline(time.Now().Add(streamStall)) // where there is none, as in tests, nothing stalls either
	n, err := p.to.Write(b)
	if err == nil {
		_ = p.control.Flush()
	}
	return n, err
}
