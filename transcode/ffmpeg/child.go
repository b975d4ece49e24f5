package ffmpeg

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"
)

// What may end a child besides itself. Child.Err wraps them.
var (
	// ErrWriteTimeout says that the child took no input for Options.WriteTimeout.
	ErrWriteTimeout = errors.New("takes no input")
	// ErrLogFlood says that the child wrote more messages than anyone could read.
	ErrLogFlood = errors.New("floods its log")
	// ErrKilled says that Kill was called.
	ErrKilled = errors.New("killed")
	// ErrStopTimeout says that the child did not exit in time after its input was closed.
	ErrStopTimeout = errors.New("does not stop")
	// ErrExited says that the child left by itself while it had input.
	ErrExited = errors.New("left by itself")
)

// Options configures a child. The zero value of a field means its default.
type Options struct {
	// Path is the program. Default ffmpeg, looked up in PATH.
	Path string
	// Args are its arguments, without the program's name.
	Args []string
	// Pipes is how many output pipes it has: file descriptors 3 and up.
	Pipes int
	// Progress adds -progress on one pipe more, behind the others; see Child.Progress.
	Progress bool

	// WriteTimeout is how long one Write may wait for the child. Default 5 s. Short: a machine that was asleep for a moment
	// costs a restart. Long: a child that hangs is noticed late.
	WriteTimeout time.Duration
	// StopTimeout is how long a child may take from the end of its input until it is killed. Default 2 s.
	StopTimeout time.Duration
	// MaxMemory bounds its address space in bytes. Default 4 GiB; a ladder from 1080p has 1 to 2. Negative: no bound.
	MaxMemory int64
	// Nice is its priority, 0 to 19. Default 5: viewers are served first. Negative: as the server's own.
	Nice int

	// Log gets the child's messages at level warn, a few a second. Nil: nobody does.
	Log *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.Path == "" {
		o.Path = "ffmpeg"
	}
	if o.WriteTimeout <= 0 {
		o.WriteTimeout = 5 * time.Second
	}
	if o.StopTimeout <= 0 {
		o.StopTimeout = 2 * time.Second
	}
	if o.MaxMemory == 0 {
		o.MaxMemory = 4 << 30
	}
	if o.Nice == 0 {
		o.Nice = 5
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// MaxPipes bounds Options.Pipes; a ladder has at most six rungs and a thumbnail.
const MaxPipes = 16

// Child is one running FFmpeg. Write and CloseInput belong to one goroutine, each pipe to one; the rest may be called from
// anywhere.
type Child struct {
	o     Options
	cmd   *exec.Cmd
	stdin *os.File
	pipes []*os.File
	owned sync.WaitGroup // wait, log, progress
	done  chan struct{}  // closed when it was waited for and its log is read

	log      logReader
	progress progressReader

	mu      sync.Mutex // guards what follows
	exited  bool       // waited for: its number may be another's now
	closing bool       // an end of input was asked for
	reason  error      // why it was killed
	waitErr error

	closeOnce sync.Once
	late      *time.Timer // closes the pipes, once the child is gone
}

// Start starts a child. Whoever gets one calls Close.
func Start(o Options) (*Child, error) {
	o = o.withDefaults()
	if o.Pipes < 0 || o.Pipes > MaxPipes {
		return nil, fmt.Errorf("ffmpeg: %d pipes", o.Pipes)
	}
	path, err := exec.LookPath(o.Path)
	if err != nil {
		return nil, fmt.Errorf("ffmpeg: %w", err)
	}
	c := &Child{o: o, done: make(chan struct{}), log: logReader{log: o.Log}}
	ends, err := c.open(path)
	if err != nil {
		ends.close()
		return nil, fmt.Errorf("ffmpeg: %w", err)
	}
	started := make(chan error)
	c.owned.Add(1)
	go c.run(started, ends)
	if err := <-started; err != nil {
		c.owned.Wait()
		return nil, fmt.Errorf("ffmpeg: %w", err)
	}
	c.owned.Add(1)
	go func() {
		defer c.owned.Done()
		c.progress.read(ends.progress) // nothing to read without Options.Progress
	}()
	return c, nil
}

// ends are the ends of a child's pipes, ours and its own, beside stdin and pipes.
type ends struct {
	theirs   []*os.File // to be closed here once it runs
	ours     []*os.File // to be closed here if it does not
	stderr   *os.File
	progress *os.File
}

func (e *ends) close() {
	for _, f := range append(e.theirs, e.ours...) {
		_ = f.Close()
	}
}

func (c *Child) open(path string) (e ends, err error) {
	pipe := func() (r, w *os.File) {
		if err != nil {
			return nil, nil
		}
		r, w, err = os.Pipe()
		return r, w
	}
	out := func() (r, w *os.File) {
		if r, w = pipe(); err == nil {
			e.theirs, e.ours = append(e.theirs, w), append(e.ours, r)
		}
		return r, w
	}
	in, stdin := pipe()
	if err != nil {
		return e, err
	}
	e.theirs, e.ours, c.stdin = append(e.theirs, in), append(e.ours, stdin), stdin

	stderrR, stderrW := out()
	e.stderr = stderrR
	args := append([]string(nil), c.o.Args...)
	cmd := &exec.Cmd{Path: path, Stdin: in, Stderr: stderrW, Env: environment(), SysProcAttr: attributes()}
	for range c.o.Pipes {
		r, w := out()
		c.pipes, cmd.ExtraFiles = append(c.pipes, r), append(cmd.ExtraFiles, w)
	}
	if c.o.Progress {
		r, w := out()
		cmd.ExtraFiles = append(cmd.ExtraFiles, w)
		e.progress = r
		args = append([]string{"-progress", fmt.Sprintf("pipe:%d", 2+len(cmd.ExtraFiles))}, args...)
	}
	cmd.Args = append([]string{path}, args...)
	c.cmd = cmd
	return e, err
}

// environment is what a child may know: nothing of ours, and no display or proxy either.
func environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "AV_LOG_FORCE_NOCOLOR=1"}
}

// run starts the child and waits for it. It holds its thread, because the kernel ends the child with the thread that
// started it.
func (c *Child) run(started chan<- error, e ends) {
	defer c.owned.Done()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := c.cmd.Start()
	if err != nil {
		e.close()
		started <- err
		return
	}
	for _, f := range e.theirs {
		_ = f.Close()
	}
	restrict(c.cmd.Process.Pid, c.o)
	started <- nil

	var logged sync.WaitGroup
	logged.Go(func() {
		defer e.stderr.Close()
		if !c.log.read(e.stderr) {
			c.kill(ErrLogFlood)
			c.log.discard(e.stderr)
		}
	})
	err = c.cmd.Wait()
	c.mu.Lock()
	killGroup(c.cmd.Process.Pid) // whatever it may have started
	c.exited, c.waitErr = true, err
	c.mu.Unlock()
	_ = c.stdin.Close()
	// Whoever it started and let go of may hold the other ends for ever.
	_ = e.stderr.SetReadDeadline(time.Now().Add(restWithin))
	if e.progress != nil {
		_ = e.progress.SetReadDeadline(time.Now().Add(restWithin))
	}
	c.late = time.AfterFunc(pipesWithin, c.closePipes)
	logged.Wait()
	close(c.done)
}

const (
	// restWithin is how long what a child has said is waited for when it is gone.
	restWithin = time.Second
	// pipesWithin is how long its pipes can still be read then: what is in them is there, though its reader may have to wait for others.
	pipesWithin = 5 * time.Second
)

func (c *Child) closePipes() {
	for _, p := range c.pipes {
		_ = p.Close()
	}
}

// Write gives p to the child's standard input. On an error the child is as good as dead: Close it and see Err.
func (c *Child) Write(p []byte) (int, error) {
	if err := c.stdin.SetWriteDeadline(time.Now().Add(c.o.WriteTimeout)); err != nil {
		return 0, c.failed(err)
	}
	n, err := c.stdin.Write(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.kill(ErrWriteTimeout)
		return n, fmt.Errorf("ffmpeg: %w", ErrWriteTimeout)
	}
	if err != nil {
		return n, c.failed(err)
	}
	return n, nil
}

func (c *Child) failed(err error) error { return fmt.Errorf("ffmpeg: input: %w", err) }

// Pipe is the reading end of file descriptor 3+i. Whoever reads it goes on until an error, in a goroutine of its own: a full
// pipe stops the child for all others.
func (c *Child) Pipe(i int) *os.File { return c.pipes[i] }

// CloseInput ends the child's input: it encodes what it has and exits. Who waits for that without bound calls Close.
func (c *Child) CloseInput() {
	c.mu.Lock()
	c.closing = true
	c.mu.Unlock()
	_ = c.stdin.Close()
}

// Kill ends the child at once. It does not wait.
func (c *Child) Kill() { c.kill(ErrKilled) }

func (c *Child) kill(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.exited {
		return
	}
	if c.reason == nil {
		c.reason = why
	}
	killGroup(c.cmd.Process.Pid)
}

// Done is closed when the child is gone and all its messages are read. Its pipes may still hold output; some seconds later they are closed.
func (c *Child) Done() <-chan struct{} { return c.done }

// Pid is the child's process number, for logs and tests.
func (c *Child) Pid() int { return c.cmd.Process.Pid }

// CPU is the processor time that the child has used; false if that is not known, or not any more.
func (c *Child) CPU() (time.Duration, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.exited {
		return 0, false
	}
	return cpuTime(c.cmd.Process.Pid)
}

// Err says why the child ended, after Done: nil if it was asked to and did so cleanly, else what happened and its last words.
func (c *Child) Err() error {
	c.mu.Lock()
	reason, waitErr, closing := c.reason, c.waitErr, c.closing
	c.mu.Unlock()
	if reason == nil && waitErr == nil && closing {
		return nil
	}
	if reason == nil {
		reason = ErrExited
	}
	err := fmt.Errorf("ffmpeg: %w", reason)
	if waitErr != nil {
		err = fmt.Errorf("%w (%w)", err, waitErr)
	}
	if last := c.log.lastWords(); last != "" {
		err = fmt.Errorf("%w: %s", err, last)
	}
	return err
}

// Progress is what the child last told of itself; the zero value before, or without Options.Progress.
func (c *Child) Progress() Progress { return c.progress.last() }

// Close ends the child, the soft way first, and lets go of everything: process, pipes, goroutines. Readers of pipes must go
// on reading until it has returned or their pipe has ended.
func (c *Child) Close() {
	c.closeOnce.Do(func() {
		c.CloseInput()
		patience := time.NewTimer(c.o.StopTimeout)
		defer patience.Stop()
		select {
		case <-c.done:
		case <-patience.C:
			c.kill(ErrStopTimeout)
			<-c.done
		}
		c.late.Stop()
		c.closePipes()
	})
	c.owned.Wait()
}

var _ io.Writer = (*Child)(nil)
