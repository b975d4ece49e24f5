package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"
)

// health answers the probes.
type health struct {
	stopping atomic.Bool
	draining atomic.Bool   // no new broadcast begins: nobody is to be sent here
	checks   []healthCheck // written before the listeners open

	mu      sync.Mutex // guards the following, and lets one run of the checks answer all who ask meanwhile
	asked   time.Time
	results map[string]checkResult
	ready   bool
}

type healthCheck struct {
	name string
	run  func(context.Context) error
	// advisory results are shown and keep nobody away: the server does its work without.
	advisory bool
}

type checkResult struct {
	OK        bool   `json:"ok"`
	LatencyMS int64  `json:"latency_ms"`
	Error     string `json:"error,omitempty"`
}

const (
	// checkTimeout is for all checks of one probe together.
	checkTimeout = 2 * time.Second
	// checkFor is how long results stand: anybody may ask, and the checks touch the disk.
	checkFor = time.Second
)

// run returns each check's result, and whether the server can do its work. The map is never changed once it is returned.
func (h *health) run(ctx context.Context) (map[string]checkResult, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.results != nil && time.Since(h.asked) < checkFor {
		return h.results, h.ready
	}
	// Others wait for the same answer: it does not end with the one who asked first.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTimeout)
	defer cancel()
	results, ready := map[string]checkResult{}, true
	for _, c := range h.checks {
		began := time.Now()
		err := c.run(ctx)
		result := checkResult{OK: err == nil, LatencyMS: time.Since(began).Milliseconds()}
		if err != nil {
			result.Error = err.Error()
			ready = ready && c.advisory
		}
		results[c.name] = result
	}
	h.asked, h.results, h.ready = time.Now(), results, ready
	return results, ready
}

// leaveNotice is how long the server goes on after probes are told that it stops, so that one of them can see it.
const leaveNotice = time.Second

// leave is the last task to start and so the first to be told of a stop: it tells the probes, before anything closes.
func (h *health) leave(ctx context.Context) error {
	<-ctx.Done()
	h.stopping.Store(true)
	notice := time.NewTimer(leaveNotice)
	defer notice.Stop()
	<-notice.C
	return nil
}

// state is what a probe is told in a word: ok, and where ready is asked for also shutting_down or unavailable.
func (h *health) state(ready, well bool) (word string, code int) {
	switch {
	case ready && h.stopping.Load():
		return "shutting_down", http.StatusServiceUnavailable
	case ready && h.draining.Load():
		return "draining", http.StatusServiceUnavailable
	case ready && !well:
		return "unavailable", http.StatusServiceUnavailable
	}
	return "ok", http.StatusOK
}

// status answers with the status alone: 200 while the process serves, and for ready 503 from a stop on or while a check fails.
func (h *health) status(ready bool) http.Handler {
	return reads(func(w http.ResponseWriter, r *http.Request) {
		well := true
		if ready && !h.stopping.Load() {
			_, well = h.run(r.Context())
		}
		word, code := h.state(ready, well)
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(code)
		_, _ = w.Write([]byte(word + "\n")) // the prober has gone: nobody is left to tell
	})
}

// details answers with every check's result, for the admin port.
func (h *health) details(ready bool) http.Handler {
	return reads(func(w http.ResponseWriter, r *http.Request) {
		results, well := h.run(r.Context())
		body := make(map[string]any, len(results)+1)
		for name, result := range results {
			body[name] = result
		}
		word, code := h.state(ready, well)
		body["status"] = word
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(body)
	})
}

// reads lets through what only reads.
func reads(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		next(w, r)
	})
}

func (n *node) healthChecks() []healthCheck {
	checks := []healthCheck{
		{name: "db", run: n.site.db.Ping},
		{name: "migrations", run: n.schemaUpToDate},
		{name: "cache", run: n.site.shared.check, advisory: true}, // each node decides alone without
		{name: "blob", run: func(context.Context) error { return writable(n.config.DataDir) }},
		{name: "disk", run: func(context.Context) error { return roomy(n.config.DataDir) }, advisory: true}, // live goes on from memory
		{name: "ffmpeg", run: installed, advisory: true},                                                    // live passes through without
	}
	if n.archive != nil {
		checks = append(checks, healthCheck{name: "bucket", run: n.bucketTrouble, advisory: true}) // live goes on from the disk
	}
	return checks
}

func (n *node) schemaUpToDate(ctx context.Context) error {
	all, err := n.site.db.Migrations(ctx)
	if err != nil {
		return err
	}
	for _, m := range all {
		if m.AppliedAt.IsZero() {
			return fmt.Errorf("%s is pending", m.Name)
		}
	}
	return nil
}

func writable(dir string) error {
	probe, err := os.CreateTemp(dir, ".ready-*")
	if err != nil {
		return errors.New("data_dir is not writable")
	}
	_ = probe.Close()
	return os.Remove(probe.Name())
}

// roomy fails with less than a gibibyte and less than a tenth of the disk left.
func roomy(dir string) error {
	free, total, err := diskSpace(dir)
	if err != nil {
		return err
	}
	if free < 1<<30 && free < total/10 {
		return fmt.Errorf("%d MiB are free", free>>20)
	}
	return nil
}

func installed(context.Context) error {
	_, err := exec.LookPath("ffmpeg")
	return err
}
