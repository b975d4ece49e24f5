package rtmp

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"mediad/live"
	"mediad/media/chunk"
)

const (
	// handshakeIn is C0, C1 and C2; the server's half has the same sizes (5.2).
	handshakeIn = 1 + 1536 + 1536
	rtmpVersion = 3
	// inputBuffer is what one read from the socket may bring. Larger costs memory for every connection; smaller
	// costs reads. A payload with more than this to come is read past the buffer, straight into its message.
	inputBuffer = 16 << 10
	// outChunkSize is what we announce and use for sending. FFmpeg takes it for its own chunks too, which saves it
	// and us a header for every 128 bytes.
	outChunkSize = 64 << 10
	// ackWindow is the window we ask acknowledgements for, and assume until the peer names its own.
	ackWindow = 2_500_000
	// linger is how long a connection that was told why it ends may take to read that.
	linger = 700 * time.Millisecond
	// lastResort is when a connection that was told to end is cut, whatever it does.
	lastResort = time.Second
)

// Chunk streams for what we send. Every message is sent with a full header, so they carry no state.
const (
	controlChunks = 2 // 5.4
	commandChunks = 3
	statusChunks  = 5
)

// wire is the net.Conn that go-rtmp is given. What it reads from it was normalised:
//
//   - handshake bytes as they are, then one Set Chunk Size large enough for every message;
//   - commands that receive let through, each as a type-0 chunk with the whole message.
//
// What it writes is taken apart into messages again, shown to sent, and put on the socket with full headers, each
// message in one write, so that ours can go between.
type wire struct {
	net.Conn // the socket, or TLS on it

	readTimeout, writeTimeout time.Duration
	now                       func() time.Time

	// receive takes every message of the peer, in go-rtmp's reading goroutine. It forwards what is for go-rtmp.
	receive func(chunk.Message) error
	// failed is told why reading ends, once; what it returns is what go-rtmp gets to see.
	failed func(error) error
	// sent looks at what go-rtmp writes, in its writing goroutine, with mu held: false drops the message.
	sent func(chunk.Message) (chunk.Message, bool)
	// closed is called when go-rtmp is done with the connection.
	closed func()

	// Reading: go-rtmp's reading goroutine only.
	buf       *bufio.Reader
	in        *chunk.Reader
	forwarded []byte // what go-rtmp has still to read
	greeting  int    // handshake bytes still to pass
	received  uint64 // bytes from the socket
	acked     uint64 // received at the last acknowledgement
	window    uint64 // the peer's acknowledgement window
	phase     phase
	deadline  time.Time // what the read deadline was last set to

	stopMu sync.Mutex // guards stop, and setting the read deadline against it
	stop   error
	cut    *time.Timer

	mu      sync.Mutex // guards writing
	out     []byte
	raw     bytes.Buffer  // what go-rtmp wrote
	outward *chunk.Reader // reads raw
	reply   int           // handshake bytes still to send
	outSize int           // chunk size we send with
	muted   bool          // nothing more is sent
	told    bool          // a last word was sent
}

// phase is a stretch of a connection that must be over at a time, if that is not zero.
type phase struct {
	until time.Time
	err   error
}

func newWire(c net.Conn, limit func(uint8) uint32, maxPending int) *wire {
	w := &wire{Conn: c, now: time.Now, greeting: handshakeIn, reply: handshakeIn, window: ackWindow, outSize: chunk.DefaultSize}
	w.buf = bufio.NewReaderSize(readerFunc(w.fill), inputBuffer)
	w.in = chunk.NewReader(w.buf, limit, maxPending)
	w.outward = chunk.NewReader(bufio.NewReaderSize(&w.raw, 512), func(uint8) uint32 { return 1 << 20 }, 1<<20)
	return w
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// Read gives go-rtmp its next bytes, of one message at most: it has worked off a command before the next message
// of the peer is looked at.
func (w *wire) Read(p []byte) (n int, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = panicked(v)
		}
		if err != nil {
			n, err = 0, w.failed(err)
		}
	}()
	if w.greeting > 0 {
		return w.greet(p)
	}
	for len(w.forwarded) == 0 {
		m, err := w.in.Next()
		if err != nil {
			return 0, err
		}
		if err := w.receive(m); err != nil {
			return 0, err
		}
	}
	n = copy(p, w.forwarded)
	w.forwarded = w.forwarded[n:]
	return n, nil
}

// greet passes the handshake on.
func (w *wire) greet(p []byte) (int, error) {
	n, err := w.buf.Read(p[:min(len(p), w.greeting)])
	if n > 0 && w.greeting == handshakeIn && p[0] != rtmpVersion {
		return 0, fmt.Errorf("%w: version %d", chunk.ErrProtocol, p[0])
	}
	if w.greeting -= n; w.greeting == 0 {
		size := binary.BigEndian.AppendUint32(nil, chunk.MaxSize)
		w.forwarded = chunk.Append(nil, controlChunks, chunk.Message{Type: chunk.TypeSetChunkSize, Payload: size}, chunk.MaxSize)
	}
	return n, err
}

// forward lets go-rtmp read m next.
func (w *wire) forward(m chunk.Message) {
	w.forwarded = chunk.Append(w.forwarded, commandChunks, m, chunk.MaxSize)
}

// fill reads from the socket: the one place where deadlines are set and bytes counted.
func (w *wire) fill(p []byte) (int, error) {
	if err := w.arm(); err != nil {
		return 0, err
	}
	n, err := w.Conn.Read(p)
	w.received += uint64(n)
	if err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = w.late()
		}
		return n, err
	}
	// Half the window is what other servers wait for, so a sender that counts never has to stop.
	if w.received-w.acked >= (w.window+1)/2 {
		w.acked = w.received
		seq := binary.BigEndian.AppendUint32(nil, uint32(w.received))
		err = w.send(controlChunks, chunk.Message{Type: chunk.TypeAck, Payload: seq})
	}
	return n, err
}

// arm sets the read deadline, but not for every read: it may come an eighth early.
func (w *wire) arm() error {
	now := w.now()
	if w.phase.err != nil && !now.Before(w.phase.until) {
		return w.phase.err
	}
	due := now.Add(w.readTimeout)
	if w.phase.err != nil && due.After(w.phase.until) {
		due = w.phase.until
	}
	if early := due.Sub(w.deadline); early >= 0 && early < w.readTimeout/8 {
		return nil
	}
	w.stopMu.Lock()
	defer w.stopMu.Unlock()
	if w.stop != nil {
		return w.stop
	}
	w.deadline = due
	return w.SetReadDeadline(due)
}

// late tells what an expired read deadline means.
func (w *wire) late() error {
	w.stopMu.Lock()
	defer w.stopMu.Unlock()
	switch {
	case w.stop != nil:
		return w.stop
	case w.phase.err != nil && !w.now().Before(w.phase.until):
		return w.phase.err
	default:
		return live.Refuse(live.ReasonReadTimeout, fmt.Errorf("no bytes for %v", w.readTimeout))
	}
}

// enter begins a phase that must be over within d: reading fails with err then. A zero d ends the phase.
func (w *wire) enter(d time.Duration, err error) {
	if d == 0 {
		w.phase = phase{}
		return
	}
	w.phase = phase{until: w.now().Add(d), err: err}
}

// interrupt makes reading fail with err, from any goroutine. The first one counts.
func (w *wire) interrupt(err error) {
	w.stopMu.Lock()
	defer w.stopMu.Unlock()
	if w.stop != nil {
		return
	}
	w.stop = err
	_ = w.SetReadDeadline(time.Unix(1, 0))
	w.cutSoon()
}

// dismiss tells the peer m and makes reading fail with err, from any goroutine. Both are over in lastResort, even with a
// peer that takes nothing.
func (w *wire) dismiss(m chunk.Message, err error) {
	w.stopMu.Lock()
	w.cutSoon()
	w.stopMu.Unlock()
	w.sendLast(statusChunks, m)
	w.interrupt(err)
}

// cutSoon closes the socket in lastResort, whatever is going on. stopMu is held.
func (w *wire) cutSoon() {
	if w.cut == nil && !errors.Is(w.stop, net.ErrClosed) {
		w.cut = time.AfterFunc(lastResort, func() { _ = w.Conn.Close() })
	}
}

// Close ends the connection. A peer that was told why gets a moment to read it: closing a socket with unread input
// resets the connection, and the reset throws away what was written.
func (w *wire) Close() error {
	w.stopMu.Lock()
	if w.cut != nil {
		w.cut.Stop()
	}
	if w.stop == nil {
		w.stop = net.ErrClosed
	}
	w.stopMu.Unlock()
	w.mu.Lock()
	told := w.told
	w.muted = true
	w.mu.Unlock()
	if told {
		w.lingerOn()
	}
	err := w.Conn.Close()
	w.closed()
	return err
}

func (w *wire) lingerOn() {
	type halfCloser interface{ CloseWrite() error }
	socket := w.Conn
	if t, ok := socket.(interface{ NetConn() net.Conn }); ok {
		if h, ok := socket.(halfCloser); ok {
			_ = h.CloseWrite()
		}
		socket = t.NetConn()
	}
	if h, ok := socket.(halfCloser); ok {
		_ = h.CloseWrite()
	}
	_ = socket.SetReadDeadline(w.now().Add(linger))
	_, _ = io.Copy(io.Discard, socket)
}
