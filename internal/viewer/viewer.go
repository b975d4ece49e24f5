// Package viewer plays streams in headless Chromium and tells what is seen there. Tests and benchmarks use it; the server
// does not.
//
//	test ── Start ──► node web/tests/e2e/play.mjs ──► Chromium: a player and probe.js
//	  ▲                            │ a JSON object a line
//	  └── Await, Last, Events ◄────┘ one goroutine reads them
//
// A viewer plays until Stop closes its input; then it tells its summary and ends. Do lets it press, seek and leave.
package viewer

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Options say what is played.
type Options struct {
	// Script is the path of web/tests/e2e/play.mjs.
	Script string
	// Player is hlsjs, videojs or shaka, page for our own watch page, embed for our embed page in a frame on another site.
	Player string
	// URL is a multivariant playlist for the players, else the address of our page.
	URL string
	// Tabs is the number of pages in one browser; default 1.
	Tabs int
	// Seconds ends the playback by itself; 0 plays until Stop.
	Seconds int
	// Args are further options of the script.
	Args []string
}

// Viewer is one browser that plays.
type Viewer struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	stderr bytes.Buffer // read after done is closed
	done   chan struct{}

	mu      sync.Mutex // guards the following
	last    map[int]Sample
	events  []Event
	joins   []Tab
	summary *Summary
	err     error
	changed chan struct{} // closed and replaced at each line
}

// Start runs a browser; what it shows is told from then on.
func Start(o Options) (*Viewer, error) {
	args := []string{o.Script, "--player", o.Player, "--url", o.URL, "--tabs", strconv.Itoa(max(1, o.Tabs)), "--seconds", strconv.Itoa(o.Seconds)}
	v := &Viewer{cmd: exec.Command("node", append(args, o.Args...)...), done: make(chan struct{}), last: map[int]Sample{}, changed: make(chan struct{})}
	v.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	v.cmd.Stderr = &v.stderr
	v.cmd.WaitDelay = 5 * time.Second
	out, err := v.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if v.in, err = v.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := v.cmd.Start(); err != nil {
		return nil, fmt.Errorf("play.mjs: %w", err)
	}
	go v.read(out)
	return v, nil
}

// read keeps what the script tells until it ends.
func (v *Viewer) read(out io.Reader) {
	defer close(v.done)
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 4<<20)
	var readErr error
	for lines.Scan() && readErr == nil {
		readErr = v.line(lines.Bytes())
	}
	readErr = errors.Join(readErr, lines.Err())
	err := v.cmd.Wait()
	v.mu.Lock()
	defer v.mu.Unlock()
	// With a summary the exit code only repeats its verdict.
	if v.summary == nil {
		v.err = errors.Join(readErr, fmt.Errorf("play.mjs ended without a summary: %w: %s", err, v.stderr.String()))
	}
	close(v.changed)
}

func (v *Viewer) line(text []byte) error {
	var kind struct {
		Type string `json:"type"`
		Tab  int    `json:"tab"`
	}
	if err := json.Unmarshal(text, &kind); err != nil {
		return fmt.Errorf("play.mjs said %q: %w", text, err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	var err error
	switch kind.Type {
	case "sample":
		var s Sample
		err = json.Unmarshal(text, &s)
		v.last[kind.Tab] = s
	case "join":
		var t Tab
		err = json.Unmarshal(text, &t)
		v.joins = append(v.joins, t)
	case "summary":
		var s Summary
		err = json.Unmarshal(text, &s)
		v.summary = &s
	default:
		var e Event
		err = json.Unmarshal(text, &e)
		v.events = append(v.events, e)
	}
	close(v.changed)
	v.changed = make(chan struct{})
	return err
}

// Do lets the viewer do what a line of play.mjs's input says, in the first page. What cannot be done is told as a problem.
func (v *Viewer) Do(line string) error {
	_, err := io.WriteString(v.in, line+"\n")
	return err
}

// Last is what a page showed last; false until there was a video element.
func (v *Viewer) Last(tab int) (Sample, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s, ok := v.last[tab]
	return s, ok
}

// Events are the stalls, leaps and problems so far.
func (v *Viewer) Events() []Event {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]Event(nil), v.events...)
}

// Joins are the summaries of the pages that have been closed, where --joins is given.
func (v *Viewer) Joins() []Tab {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]Tab(nil), v.joins...)
}

// Await waits until the last sample of a page satisfies cond.
func (v *Viewer) Await(tab int, within time.Duration, what string, cond func(Sample) bool) error {
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	for {
		v.mu.Lock()
		s, ok := v.last[tab]
		changed := v.changed
		v.mu.Unlock()
		if ok && cond(s) {
			return nil
		}
		select {
		case <-changed:
		case <-v.done:
			return fmt.Errorf("the browser ended before %s: %w", what, v.err)
		case <-deadline.C:
			return fmt.Errorf("waited %s for %s; last seen: %+v; events: %+v", within, what, s, v.Events())
		}
	}
}

// AwaitEvent waits for an event that satisfies cond.
func (v *Viewer) AwaitEvent(within time.Duration, what string, cond func(Event) bool) (Event, error) {
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	for seen := 0; ; {
		v.mu.Lock()
		events, changed := v.events, v.changed
		v.mu.Unlock()
		for ; seen < len(events); seen++ {
			if cond(events[seen]) {
				return events[seen], nil
			}
		}
		select {
		case <-changed:
		case <-v.done:
			return Event{}, fmt.Errorf("the browser ended before %s: %w", what, v.err)
		case <-deadline.C:
			s, _ := v.Last(0)
			return Event{}, fmt.Errorf("waited %s for %s; last seen: %+v; events: %+v", within, what, s, events)
		}
	}
}

// Wait returns the summary once the script has ended by itself.
func (v *Viewer) Wait() (Summary, error) {
	<-v.done
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.summary == nil {
		return Summary{}, v.err
	}
	return *v.summary, nil
}

// Stop ends the playback and returns its summary.
func (v *Viewer) Stop() (Summary, error) {
	_ = v.in.Close() // an error means that it has ended already
	select {
	case <-v.done:
	case <-time.After(20 * time.Second):
		v.Kill()
	}
	return v.Wait()
}

// Kill ends the browser at once, for cleaning up.
func (v *Viewer) Kill() {
	_ = syscall.Kill(-v.cmd.Process.Pid, syscall.SIGKILL)
	<-v.done
}
