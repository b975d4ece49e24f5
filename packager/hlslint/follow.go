package hlslint

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// Every so many reloads one is by delta, and one without directives.
const (
	deltaEvery = 3
	plainEvery = 8
)

// follow reloads one live playlist until polling ends, by blocking reloads where the origin has them.
func (w *watch) follow(polling, media context.Context, u string) {
	var hints hintGroup
	defer hints.Wait()
	for n := 1; polling.Err() == nil; n++ {
		p := w.judge.state(u)
		if !p.live() {
			return
		}
		w.chaseHint(polling, &hints, u, p)
		x, ok := w.reload(polling, u, p, n)
		if !ok {
			// The run is over. Had it been held beyond all bounds by then, that is worth telling.
			if x.Purpose == PurposeReload && x.took() > 3*p.target+time.Second {
				x.Status, x.Err = 0, "no answer until the end"
				w.observe(x)
			}
			return
		}
		w.observe(x)
		w.fetchNew(media, u)
		w.probeRemoved(media, u)
		if x.Status != http.StatusOK || x.Purpose != PurposePlaylist && w.judge.state(u).edge() == p.edge() {
			// Refused, or nothing new though held: do not turn in a circle.
			w.sleep(polling, max(p.target/2, time.Second/4))
		}
	}
}

// reload makes the n-th request for a playlist whose newest state is p.
func (w *watch) reload(ctx context.Context, u string, p *playlist, n int) (Exchange, bool) {
	if !p.control.canBlock {
		// Without blocking: after a target duration, after half of one when nothing had changed.
		wait := p.target
		if n > 1 && w.judge.unchanged(u) {
			wait /= 2
		}
		if !w.sleep(ctx, max(wait, time.Second/4)) {
			return Exchange{}, false
		}
		return w.get(ctx, PurposePlaylist, u, request{timeout: w.Timeout})
	}
	if n%plainEvery == 0 {
		return w.get(ctx, PurposePlaylist, u, request{timeout: w.Timeout})
	}
	e := p.edge()
	params := []string{fmt.Sprintf("_HLS_msn=%d", e.msn)}
	if p.lowLatency() && p.hasPartInf {
		params = append(params, fmt.Sprintf("_HLS_part=%d", e.part))
	}
	purpose := PurposeReload
	if p.control.hasSkip && n%deltaEvery == 0 {
		purpose = PurposeDelta
		params = append(params, "_HLS_skip=YES")
	}
	return w.get(ctx, purpose, withQuery(u, params...), request{timeout: 3*p.target + 2*time.Second})
}

// unchanged says whether the newest answer had nothing new.
func (j *judge) unchanged(u string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	e := j.renditions[u].edges
	return len(e) > 1 && e[len(e)-1].edge == e[len(e)-2].edge
}

// sleep waits for d; false when ctx ended first.
func (w *watch) sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
