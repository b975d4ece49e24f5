package relay

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	gosrt "github.com/datarhei/gosrt"

	"mediad/egress/srt"
	"mediad/live"
	"mediad/media"
)

// srtLink publishes to a target by SRT.
type srtLink struct {
	conn    gosrt.Conn
	program *srt.Program
	heard   sync.WaitGroup
}

// dialSRT calls the target. dialing bounds that, and ctx what comes after.
func (r *relay) dialSRT(dialing, ctx context.Context, host string, fail context.CancelCauseFunc) (link, error) {
	// Where nobody answers, gosrt need not be asked, which takes its time.
	if err := induce(dialing, host); err != nil {
		return nil, err
	}
	c := gosrt.DefaultConfig()
	c.StreamId, c.Passphrase = r.target.streamID, r.target.passphrase
	if r.target.keyLength > 0 {
		c.PBKeylen = r.target.keyLength
	}
	if r.target.latency > 0 {
		c.Latency = 0
		c.ReceiverLatency, c.PeerLatency = r.target.latency, r.target.latency
	}
	c.ConnectionTimeout, c.PeerIdleTimeout = r.o.DialTimeout, r.o.WriteTimeout
	conn, err := r.callSRT(dialing, host, c)
	if err != nil {
		return nil, timedOut(dialing, err)
	}
	l := &srtLink{conn: conn}
	l.program = srt.NewProgram(srt.Paced(ctx, &counted{w: conn, wrote: r.sent, held: func() uint64 {
		var s gosrt.Statistics
		conn.Stats(&s)
		return s.Instantaneous.ByteSendBuf
	}}))
	l.heard.Go(func() {
		_, _ = io.Copy(io.Discard, conn) // ends when the target leaves, is silent for too long, or the connection is closed
		fail(errors.New("the target has closed the connection"))
	})
	return l, nil
}

// callSRT is gosrt.DialWithContext, which cleans up behind it where that fails: in a goroutine, as it takes a while.
func (r *relay) callSRT(dialing context.Context, host string, c gosrt.Config) (gosrt.Conn, error) {
	log := &overseer{Logger: gosrt.NewLogger(nil)}
	log.calling.Store(true)
	c.Logger = log
	type answer struct {
		conn gosrt.Conn
		err  error
	}
	answered := make(chan answer)
	r.calls.Go(func() {
		conn, err := gosrt.DialWithContext(dialing, "srt", host, c)
		log.calling.Store(false)
		select {
		case answered <- answer{conn, err}:
		case <-dialing.Done():
			if err == nil {
				leaveSRT(conn)
			}
		}
	})
	select {
	case a := <-answered:
		return a.conn, a.err
	case <-dialing.Done():
		return nil, dialing.Err()
	}
}

// overseer is a log that gosrt is given, which shows where it is, as it leaves goroutines behind, and 40 KiB with each, where a call is refused:
//
//   - Its goroutine that reads the socket hands over why it ended, and waits for ever if nobody is there to take it. Close takes it, but only
//     from a goroutine that has come so far, and nothing makes it hurry. Between the mark that it is to end and the look whether it has, Close
//     says "closing socket": that is made to last until it has.
//   - The goroutine that works off what was read hands over the answer to each handshake, of which one is taken and one has room. A target that
//     sends more would keep it for ever: it ends at the third.
//
// The test of this is goleak's, which the package makes no exception from.
type overseer struct {
	gosrt.Logger
	calling    atomic.Bool
	handshakes atomic.Int32
}

const (
	// lookAgain is how often gosrt's reading goroutine looks whether it is to end, and some time for it to run on a busy machine.
	lookAgain = 3*time.Second + 500*time.Millisecond
	// maxHandshakes are the two answers that a call has: to its induction, and to its conclusion.
	maxHandshakes = 2
)

func (o *overseer) Print(topic string, _ uint32, _ int, message func() string) {
	switch topic {
	case "dial":
		if o.calling.Load() && message() == "closing socket" {
			time.Sleep(lookAgain)
		}
	case "handshake:recv:dump":
		if o.handshakes.Add(1) > maxHandshakes {
			runtime.Goexit()
		}
	}
}

// counted counts what is written.
type counted struct {
	w     io.Writer
	wrote func(int)
	// held is how many bytes lie in the sender's buffer. It is asked once a MiB.
	held  func() uint64
	asked int
}

// maxHeld bounds what is kept for a target that has not acknowledged it: eight seconds of 25 Mbit/s. How long gosrt keeps it is what the target asks
// for in the handshake, up to 80 s.
const maxHeld = 32 << 20

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.wrote(n)
	if c.asked += n; err == nil && c.asked >= 1<<20 {
		c.asked = 0
		if c.held() > maxHeld {
			return n, errStalled
		}
	}
	if errors.Is(err, io.EOF) {
		err = errStalled // gosrt's word for a queue that is full, and for a connection that is gone
	}
	return n, err
}

func (l *srtLink) takesOpus() bool { return true }

func (l *srtLink) begin(e *live.Epoch) (note string, err error) {
	left, err := l.program.Begin(e)
	if err != nil {
		return "", err
	}
	_, note, err = choose(e, func(c media.Codec) bool {
		for k, t := range e.Tracks {
			if t != nil && t.Codec == c {
				return left[k] == nil
			}
		}
		return false
	})
	return note, err
}

func (l *srtLink) write(au *media.AccessUnit) error { return l.program.Write(au) }

// close ends the connection, of which SRT itself tells the target.
func (l *srtLink) close(bool) {
	_ = l.conn.Close() // which ends the reading
	l.heard.Wait()
	leaveSRT(l.conn)
}

// leaveSRT closes a connection that nobody reads from, and takes from gosrt's reading goroutine why it ended: see overseer.
func leaveSRT(conn gosrt.Conn) {
	_ = conn.Close()
	for range 200 {
		if _, err := conn.Read(make([]byte, 1)); errors.Is(err, gosrt.ErrClientClosed) {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// induce asks a listener for the first half of a handshake (the induction phase), which costs it nothing, to see whether there is one.
func induce(ctx context.Context, host string) error {
	c, err := (&net.Dialer{}).DialContext(ctx, "udp", host)
	if err != nil {
		return err
	}
	defer c.Close()
	const control, handshake, version, extension, induction = 1 << 31, 0, 4, 2, 1
	ask := make([]byte, 0, 64)
	for _, v := range []uint32{
		control | handshake<<16, 0, 0, 0, // type, additional info, time, to whom: not known yet
		version, extension, 1, 1500, 8192, induction, // … initial sequence number, MTU, flow window
		1, 0, 0, 0, 0, 0, // our socket, cookie, our address
	} {
		ask = binary.BigEndian.AppendUint32(ask, v)
	}
	const again = 250 * time.Millisecond // a lost datagram is no answer
	answer := make([]byte, 1500)
	for ctx.Err() == nil {
		if _, err := c.Write(ask); err != nil {
			return err
		}
		if err := c.SetReadDeadline(time.Now().Add(again)); err != nil {
			return err
		}
		n, err := c.Read(answer)
		switch {
		case err == nil && n >= 64 && binary.BigEndian.Uint32(answer) == control|handshake<<16:
			return nil
		case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
			return fmt.Errorf("no SRT listener: %w", err)
		}
	}
	return timedOut(ctx, ctx.Err())
}
