package viewer

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// CameraOptions say what a browser publishes, or plays.
type CameraOptions struct {
	// Script is the path of web/tests/e2e/publish.mjs, or of whep.mjs beside it.
	Script string
	// URL is the WHIP or WHEP endpoint, Key the stream key if it wants one.
	URL, Key string
	// Args are further options of the script.
	Args []string
}

// Told is a line of the script.
type Told struct {
	Type      string // state, sent, played, restarted, stopped, problem
	State     string // of the connection
	Frames    int    // sent so far
	KeyFrames int
	Status    int    // of the answer to DELETE
	Text      string // of a problem

	// Packets sent so far, NACKs for packets, and packets that were sent once more for them.
	Packets, NACKs, Retransmitted int

	// What whep.mjs tells besides: pictures decoded so far, those that stood for long and the seconds that they did, and packets.
	Decoded, Freezes, Lost, Received int
	Frozen                           float64
}

// Camera is a browser that publishes by WHIP, or plays by WHEP.
type Camera struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	stderr bytes.Buffer // read after done is closed
	done   chan struct{}

	mu      sync.Mutex // guards the following
	told    []Told
	changed chan struct{} // closed and replaced at each line
}

// Film starts a browser that publishes until Stop or Kill.
func Film(o CameraOptions) (*Camera, error) {
	args := []string{o.Script, "--url", o.URL}
	if o.Key != "" {
		args = append(args, "--key", o.Key)
	}
	c := &Camera{cmd: exec.Command("node", append(args, o.Args...)...), done: make(chan struct{}), changed: make(chan struct{})}
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.cmd.Stderr = &c.stderr
	c.cmd.WaitDelay = 5 * time.Second
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("publish.mjs: %w", err)
	}
	go c.read(out)
	return c, nil
}

// read keeps what the script tells until it ends.
func (c *Camera) read(out io.Reader) {
	defer close(c.done)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var t Told
		if json.Unmarshal(lines.Bytes(), &t) != nil {
			t = Told{Type: "problem", Text: lines.Text()}
		}
		c.mu.Lock()
		c.told = append(c.told, t)
		close(c.changed)
		c.changed = make(chan struct{})
		c.mu.Unlock()
	}
	_ = c.cmd.Wait() // what it had to say it has said
}

// Await waits until the script has told something that satisfies cond; a problem ends the waiting.
func (c *Camera) Await(within time.Duration, what string, cond func(Told) bool) error {
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	for seen := 0; ; {
		c.mu.Lock()
		told, changed := c.told, c.changed
		c.mu.Unlock()
		for ; seen < len(told); seen++ {
			if told[seen].Type == "problem" {
				return errors.New("the publishing browser: " + told[seen].Text)
			}
			if cond(told[seen]) {
				return nil
			}
		}
		select {
		case <-changed:
		case <-c.done:
			return fmt.Errorf("the publishing browser ended before %s: %s", what, c.stderr.String())
		case <-deadline.C:
			return fmt.Errorf("waited %s for %s; told: %+v", within, what, told)
		}
	}
}

// Say gives the script a command.
func (c *Camera) Say(command string) error {
	_, err := io.WriteString(c.in, command+"\n")
	return err
}

// Stop ends the broadcast as the protocol says, and the browser.
func (c *Camera) Stop() error {
	if err := c.in.Close(); err != nil {
		return err
	}
	if err := c.Await(20*time.Second, "the end", func(t Told) bool { return t.Type == "stopped" }); err != nil {
		return err
	}
	<-c.done
	return nil
}

// Kill ends the browser without a word to anybody.
func (c *Camera) Kill() {
	_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL) // it may be gone
	<-c.done
}
