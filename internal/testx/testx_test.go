package testx

import (
	"net"
	"sync/atomic"
	"testing"
	"time"
)

func TestMain(m *testing.M) { Main(m) }

func TestWaitForSeesALateCondition(t *testing.T) {
	var n atomic.Int32
	WaitFor(t, "the third look", func() bool { return n.Add(1) == 3 })
}

func TestPollGivesUp(t *testing.T) {
	if poll(5*time.Millisecond, func() bool { return false }) {
		t.Fatal("a condition that never holds was seen")
	}
}

func TestFreeAddressesCanBeListenedOn(t *testing.T) {
	NoLeaks(t)
	l, err := net.Listen("tcp", FreeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	WaitForServer(t, l.Addr().String())
	c, err := net.ListenPacket("udp", FreeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
}
