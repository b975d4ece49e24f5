// Package ffmpeg runs FFmpeg as a supervised child process. It alone starts that program on the live path.
//
//	         Write ──► stdin  ┌────────┐ fd 3 ──► Pipe(0) ──► reader's goroutine
//	owner                     │ ffmpeg │ fd 4 ──► Pipe(1) ──► reader's goroutine
//	      CloseInput ──► EOF  │        │ fd 5 ──► progress, read here (Options.Progress)
//	      Kill ──► SIGKILL    └────────┘ stderr ─► log reader: bounded lines, bounded rate
//
// How to use it:
//
//	c, err := ffmpeg.Start(ffmpeg.Options{Args: args, Pipes: 2, Log: log}) // args name pipe:0, pipe:3, pipe:4
//	go read(c.Pipe(0)); go read(c.Pipe(1))                               // until io.EOF: each its own goroutine, always
//	_, err = c.Write(bytes)                                              // blocks at most Options.WriteTimeout
//	c.CloseInput()                                                       // no more input: it flushes and exits
//	<-c.Done(); err = c.Err()                                            // nil after a clean exit that was asked for
//	c.Close()                                                            // always, at the end: see below
//
// A child has a process group of its own, so that a ^C at the server's terminal is not its end, and dies with the server,
// even with kill -9. No shell is involved, the environment is empty but for PATH and HOME, and Protect's flags restrict it to
// pipes. It may not take more memory than Options.MaxMemory nor say more than maxLogRate; both end it.
//
// The states of a child; there is no way back, a new one is started instead:
//
//	running ──CloseInput──► draining ──► exited
//	   └──Kill, write timeout, log flood, StopTimeout over──► killed ──► exited
//
// Goroutines: three a child (wait, log, progress); Close waits for all of them. Close may be called at any time, more than
// once and from anywhere: it closes the input, waits StopTimeout, kills what is still there, and closes the pipes. A reader
// sees the rest of what was written, then io.EOF or os.ErrClosed.
package ffmpeg
