package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"mediad/api/stream"
	"mediad/live"
)

const (
	// healthLook is how often the health of what is on air is looked at.
	healthLook = 2 * time.Second
	// healthEach is how soon after an event of a broadcast's health the next one may be: what comes and goes is told as it is by then.
	healthEach = 10 * time.Second
)

// healthWatch tells of broadcasts whose alerts have changed.
type healthWatch struct {
	live func() []live.Status
	note func(ctx context.Context, session string, alerts []stream.Advice, at time.Time) error
	now  func() time.Time
	log  *slog.Logger

	told map[string]toldHealth // by session; of those on air alone. Run's goroutine has it.
}

type toldHealth struct {
	alerts []stream.Advice
	at     time.Time
}

func newHealthWatch(n *node) *healthWatch {
	return &healthWatch{live: n.hub.Live, note: n.site.streams.NoteHealth, now: n.now, log: n.log, told: map[string]toldHealth{}}
}

// Run looks until ctx ends.
func (h *healthWatch) Run(ctx context.Context) error {
	tick := time.NewTicker(healthLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			h.look(ctx)
		}
	}
}

// look tells what has changed since it was told last. What the database does not take is told later, as it is then.
func (h *healthWatch) look(ctx context.Context) {
	now, before := h.now(), h.told
	h.told = make(map[string]toldHealth, len(before))
	for _, s := range h.live() {
		if s.SessionID == "" {
			continue
		}
		was := before[s.SessionID]
		h.told[s.SessionID] = was
		if s.State != live.StateLive { // while its publisher is away nothing is known
			continue
		}
		is := advices(s.Alerts)
		if slices.Equal(is, was.alerts) || now.Sub(was.at) < healthEach {
			continue
		}
		err := h.tell(ctx, s.SessionID, is, now)
		switch {
		case errors.Is(err, stream.ErrNotFound): // its row is not written yet
			continue
		case err != nil:
			h.log.Warn("a broadcast's health is not told of", "stream", s.Stream, "session", s.SessionID, "error", err)
			h.told[s.SessionID] = toldHealth{was.alerts, now} // a database that is away is not asked by each look
		default:
			h.told[s.SessionID] = toldHealth{is, now}
		}
	}
}

func (h *healthWatch) tell(ctx context.Context, session string, alerts []stream.Advice, at time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, rowsTimeout)
	defer cancel()
	return h.note(ctx, session, alerts, at)
}

// advices are alerts in one order, so that they can be compared.
func advices(alerts []live.Alert) []stream.Advice {
	out := make([]stream.Advice, len(alerts))
	for i, a := range alerts {
		out[i] = stream.Advice{Code: string(a.Code), Severity: string(a.Severity)}
	}
	slices.SortFunc(out, func(a, b stream.Advice) int {
		return cmp.Or(cmp.Compare(a.Code, b.Code), cmp.Compare(a.Severity, b.Severity))
	})
	return slices.Compact(out)
}
