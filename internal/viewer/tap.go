package viewer

import (
	"io"
	"net"
	"sync"
	"time"
)

// firstFrame is how many bytes a publisher has sent at most before its first picture: RTMP's handshake takes 3 KB, commands,
// metadata and decoder configurations less than another.
const firstFrame = 8 << 10

// Tap stands between a publisher and a server and notes when the first frame passes, so that what comes after can be measured
// from there and not from the start of an encoder.
type Tap struct {
	listener net.Listener
	target   string
	wg       sync.WaitGroup

	mu    sync.Mutex // guards the following
	conns map[net.Conn]struct{}
	first chan time.Time
}

// NewTap listens on a free loopback port and forwards to target until Close.
func NewTap(target string) (*Tap, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	t := &Tap{listener: l, target: target, conns: map[net.Conn]struct{}{}, first: make(chan time.Time, 16)}
	t.wg.Go(t.accept)
	return t, nil
}

// Addr is what the publisher connects to.
func (t *Tap) Addr() string { return t.listener.Addr().String() }

// FirstFrame gives the time of the first frame of each connection. It keeps 16; what nobody takes is not kept.
func (t *Tap) FirstFrame() <-chan time.Time { return t.first }

// Close ends all connections.
func (t *Tap) Close() {
	_ = t.listener.Close()
	t.mu.Lock()
	for c := range t.conns {
		_ = c.Close()
	}
	t.mu.Unlock()
	t.wg.Wait()
}

func (t *Tap) accept() {
	for {
		c, err := t.listener.Accept()
		if err != nil {
			return
		}
		t.wg.Go(func() { t.forward(c) })
	}
}

func (t *Tap) keep(c net.Conn) func() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.conns[c] = struct{}{}
	return func() {
		_ = c.Close()
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.conns, c)
	}
}

func (t *Tap) forward(publisher net.Conn) {
	defer t.keep(publisher)()
	server, err := net.Dial("tcp", t.target)
	if err != nil {
		return
	}
	defer t.keep(server)()
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(publisher, server)
		_ = publisher.Close()
	})
	if _, err := io.CopyN(server, publisher, firstFrame); err == nil {
		select {
		case t.first <- time.Now():
		default:
		}
		_, _ = io.Copy(server, publisher)
	}
	_ = server.Close()
	back.Wait()
}
