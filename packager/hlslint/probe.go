package hlslint

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// missingName is a name that no origin has.
const missingName = "hlslint-never-existed.m4s"

// maxHints bounds the hinted parts that are fetched early, for each playlist.
const maxHints = 12

// probe asks one rendition what players do not ask.
func (w *watch) probe(ctx context.Context, u string) {
	ask := func(p Purpose, url string, r request) (Exchange, bool) {
		if r.timeout == 0 {
			r.timeout = w.Timeout
		}
		x, ok := w.get(ctx, p, url, r)
		if ok {
			w.observe(x)
		}
		return x, ok
	}
	p := w.judge.state(u)
	if p == nil {
		return
	}
	ask(PurposeUnknownQuery, withQuery(u, "hlslint=1"), request{})
	ask(PurposeHead, u, request{method: http.MethodHead})
	if p.live() && p.control.canBlock {
		ask(PurposePartWithoutMSN, withQuery(u, "_HLS_part=0"), request{timeout: 3 * time.Second})
		// Far beyond anything that comes while this is under way.
		ask(PurposeFarMSN, withQuery(u, fmt.Sprintf("_HLS_msn=%d", p.edge().msn+100)), request{timeout: 3 * time.Second})
		old := p.sequence
		if old > 0 {
			old--
		}
		if p.edge().msn > old {
			ask(PurposeOldMSN, withQuery(u, fmt.Sprintf("_HLS_msn=%d", old)), request{timeout: 3 * time.Second})
		}
	}
	w.probeMedia(u, p, ask)
}

func (w *watch) probeMedia(u string, p *playlist, ask func(Purpose, string, request) (Exchange, bool)) {
	s := p.newestWhole()
	if s == nil {
		return
	}
	if base, err := url.Parse(s.url); err == nil {
		missing := base.ResolveReference(&url.URL{Path: missingName})
		ask(PurposeMissing, missing.String(), request{})
	}
	if s.bytes != nil {
		return
	}
	x, ok := ask(PurposeRange, s.url, request{header: http.Header{"Range": {"bytes=0-99"}}})
	if etag := x.Header.Get("ETag"); ok && etag != "" {
		ask(PurposeConditional, s.url, request{header: http.Header{"If-None-Match": {etag}}})
	}
}

// newestWhole is the newest segment that is not a gap.
func (p *playlist) newestWhole() *segment {
	for i := len(p.segments) - 1; i >= 0; i-- {
		if !p.segments[i].gap {
			return &p.segments[i]
		}
	}
	return nil
}

// probeRemoved asks for the first few segments that leave a live playlist.
func (w *watch) probeRemoved(ctx context.Context, u string) {
	s, ok := w.judge.takeRemoved(u, w.now())
	if !ok {
		return
	}
	x, ok := w.get(ctx, PurposeRemoved, s.url, request{header: http.Header{"Range": {"bytes=0-0"}}, timeout: w.Timeout})
	if ok {
		w.observe(x)
	}
}

// takeRemoved returns a segment that left the playlist a moment ago, each once.
func (j *judge) takeRemoved(u string, now time.Time) (segment, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	r := j.renditions[u]
	if len(r.removed) == 0 {
		return segment{}, false
	}
	last := r.removed[len(r.removed)-1]
	r.removed = r.removed[:0]
	return last.segment, !last.gap && now.Sub(last.at) < last.duration/2
}

// hintGroup waits for the requests for hinted parts of one playlist.
type hintGroup struct{ sync.WaitGroup }

// hintLimit counts them: one at a time for each playlist, maxHints in all.
type hintLimit struct {
	mu    sync.Mutex
	asked map[string]int
	busy  map[string]bool
	seen  map[string]bool
}

func newHintLimit() *hintLimit {
	return &hintLimit{asked: map[string]int{}, busy: map[string]bool{}, seen: map[string]bool{}}
}

func (l *hintLimit) begin(u, target string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy[u] || l.seen[target] || l.asked[u] >= maxHints {
		return false
	}
	l.busy[u], l.seen[target] = true, true
	l.asked[u]++
	return true
}

func (l *hintLimit) end(u string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy[u] = false
}

// chaseHint asks for the part that p hints, as a player does, in a goroutine of the group.
func (w *watch) chaseHint(ctx context.Context, g *hintGroup, u string, p *playlist) {
	for _, h := range p.hints {
		if h.kind != "PART" || h.start > 0 || h.size > 0 || !w.hints.begin(u, h.url) {
			continue
		}
		g.Go(func() {
			defer w.hints.end(u)
			x, ok := w.get(ctx, PurposeHint, h.url, request{timeout: 3*p.target + 5*time.Second})
			if ok {
				w.observe(x)
			}
		})
	}
}
