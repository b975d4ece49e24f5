package edge

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// pause is how long after a failed attempt to connect the next may be made.
const pause = 200 * time.Millisecond

// line is what is known of the way to the origin. While it cannot be reached, one request at a time tries, and the others are
// answered at once: a machine that is gone refuses nothing, it lets everybody wait.
type line struct {
	mu     sync.Mutex // guards the following
	down   error      // why the last attempt to connect failed; nil: it did not
	next   time.Time  // when the next may be made
	trying bool
	ever   bool // there was an answer
}

// may returns why a request need not be made. If it returns nil, one of answered and failed must follow.
func (l *line) may() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down == nil {
		return nil
	}
	if l.trying || time.Now().Before(l.next) {
		return l.down
	}
	l.trying = true
	return nil
}

// dialed tells how an attempt to connect ended.
func (l *line) dialed(err error) {
	if errors.Is(err, context.Canceled) {
		return // nobody wanted the connection any more
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down, l.trying = err, false
	if err != nil {
		l.next = time.Now().Add(pause)
	}
}

// answered tells that the origin did.
func (l *line) answered() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down, l.trying, l.ever = nil, false, true
}

// failed tells that a request got no answer.
func (l *line) failed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trying = false
}

// reached tells whether the origin ever answered.
func (l *line) reached() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ever
}

func (l *line) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}
	c, err := d.DialContext(ctx, network, addr)
	l.dialed(err)
	return c, err
}
