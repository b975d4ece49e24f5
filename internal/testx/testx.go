// Package testx is what tests of several packages need: waiting for a condition, free ports, and the check that no
// goroutine is left.
package testx

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

const (
	patience = 10 * time.Second // how long WaitFor waits; a loaded machine is slow, a broken test is rare
	pause    = 2 * time.Millisecond
)

// Main runs a package's tests and fails if a goroutine outlives them. Call it from TestMain.
func Main(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			os.Stderr.WriteString("goroutines left after the tests: " + err.Error() + "\n")
			code = 1
		}
	}
	os.Exit(code)
}

// NoLeaks fails t if, at its end, goroutines run that did not run at this call.
func NoLeaks(t testing.TB) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		if err := goleak.Find(before); err != nil {
			t.Errorf("goroutines left: %v", err)
		}
	})
}

// WaitFor returns when cond holds and fails t if that takes longer than ten seconds. what ends the sentence "waited
// in vain for …".
func WaitFor(t testing.TB, what string, cond func() bool) {
	t.Helper()
	if !poll(patience, cond) {
		t.Fatalf("waited in vain for %s", what)
	}
}

func poll(limit time.Duration, cond func() bool) bool {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	again := time.NewTicker(pause)
	defer again.Stop()
	for !cond() {
		select {
		case <-deadline.C:
			return false
		case <-again.C:
		}
	}
	return true
}

// WaitForServer returns when something accepts TCP connections at addr.
func WaitForServer(t testing.TB, addr string) {
	t.Helper()
	WaitFor(t, "a server at "+addr, func() bool {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err != nil {
			return false
		}
		return c.Close() == nil
	})
}

// FreeTCP is a loopback address on which nobody listened a moment ago. A test that can pass a listener, or listen on port
// 0, does that instead; this is for programs that are told their port.
func FreeTCP(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	return closed(t, l, err, func() net.Addr { return l.Addr() })
}

// FreeUDP is FreeTCP for UDP.
func FreeUDP(t testing.TB) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	return closed(t, c, err, func() net.Addr { return c.LocalAddr() })
}

func closed(t testing.TB, c interface{ Close() error }, err error, addr func() net.Addr) string {
	t.Helper()
	if err != nil {
		t.Fatalf("no free port: %v", err)
	}
	a := addr().String()
	if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Fatalf("free port %s: %v", a, err)
	}
	return a
}
