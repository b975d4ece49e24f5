package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"
)

// examineEdge looks at what a node in front of another needs: that server, its own cache, its doors.
func (d *doctor) examineEdge(ctx context.Context) {
	d.config = edgeConfig(d.config)
	d.examineConfig()
	d.examineData()
	d.examineCache()
	d.examineOrigin(ctx)
	running := askReady(ctx, d.config) == nil
	d.examinePorts(running)
	d.examineTLS()
	d.examineClock()
	d.examineURLs(ctx, running)
}

// examineOrigin asks the server that the edge stands in front of.
func (d *doctor) examineOrigin(ctx context.Context) {
	const name = "origin"
	origin := strings.TrimSuffix(d.config.Edge.Origin, "/")
	if origin == "" {
		d.say(finding{name: name, text: "edge.origin is not set", fails: true, advice: "name the server to stand in front of: MEDIAD_EDGE_ORIGIN=https://origin.example"})
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, origin+"/healthz", http.NoBody)
	if err != nil {
		d.say(finding{name: name, text: err.Error(), fails: true, advice: "edge.origin must be a URL: https://host or http://host:8080"})
		return
	}
	began := time.Now()
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		d.say(finding{name: name, text: err.Error(), fails: true,
			advice: "nothing answers there: check edge.origin, whether that server runs, DNS, firewall and its certificate"})
		return
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		d.say(finding{name: name, text: origin + " answers " + answer.Status, fails: true, advice: "edge.origin must lead to a mediad, with nothing in between that refuses"})
		return
	}
	d.say(finding{name: name, text: fmt.Sprintf("%s answers within %s", origin, time.Since(began).Round(time.Millisecond))})
}

// examineCache looks at the folder of media.
func (d *doctor) examineCache() {
	const name, gib = "cache", 1 << 30
	dir := d.config.Edge.CacheDir
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) && !d.fix {
		d.say(finding{name: name, text: dir + " does not exist yet", advice: "the first start makes it, or run mediad doctor --fix"})
		return
	}
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		err = writable(dir)
	}
	if err != nil {
		d.say(finding{name: name, text: err.Error(), advice: "viewers are then served from memory and the origin: give the folder to the user that runs mediad, or set edge.cache_dir"})
		return
	}
	free, _, err := diskSpace(dir)
	if err != nil {
		d.say(finding{name: name, text: err.Error(), advice: "free space could not be read"})
		return
	}
	f := finding{name: name, text: fmt.Sprintf("%s is writable; %.1f GiB free, edge.cache_size is %.1f GiB", dir, float64(free)/gib, float64(d.config.Edge.CacheSize)/gib)}
	// What the cache has already is part of neither.
	if free < 1<<29 {
		f.advice = "free some space, lower edge.cache_size, or set edge.cache_dir to another disk"
	}
	d.say(f)
}
