// Package testx is what tests of several packages need: waiting for a condition, free ports, and the check that no
// goroutine is left.
package testx

import (
	"net"
	"os"
	"strconv"
	"sync/atomic"
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

// nextPort is where FreePorts looks next.
var nextPort atomic.Int64

// FreePorts are n loopback ports that nobody has, neither for TCP nor for UDP: for programs that are told their ports. A test that can pass a
// listener, or listen on port 0, does that instead. They lie below those that the system gives to whoever calls somebody, one of which could be
// gone by the time that the program listens.
func FreePorts(t testing.TB, n int) []int {
	t.Helper()
	const first, many = 16_000, 16_000
	nextPort.CompareAndSwap(0, int64(os.Getpid())*50) // tests of other packages run beside
	var ports []int
	for range many {
		port := first + int(nextPort.Add(1)%many)
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		stream, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		packets, err := net.ListenPacket("udp", addr)
		_ = stream.Close()
		if err != nil {
			continue
		}
		_ = packets.Close()
		if ports = append(ports, port); len(ports) == n {
			return ports
		}
	}
	t.Fatal("no ports are free")
	return nil
}

// FreeAddr is one of them with its host.
func FreeAddr(t testing.TB) string {
	t.Helper()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(FreePorts(t, 1)[0]))
}
