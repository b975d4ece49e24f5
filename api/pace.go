package api

import (
	"io"
	"net/http"
	"time"
)

const (
	// bodyRate is how quickly a body has to come at least, in bytes a second: any line of today brings more, and who trickles holds what
	// others wait for.
	bodyRate = 8 << 10
	// bodyTime is for all of it.
	bodyTime = 30 * time.Second
)

// pacedBody is a body that breaks off once it is too slow: grace behind bodyRate, or silent for grace.
type pacedBody struct {
	io.ReadCloser
	rc    *http.ResponseController
	grace time.Duration
	began time.Time
	came  int64
	ended bool
}

// paced bounds how long a body may take to come.
func paced(w http.ResponseWriter, body io.ReadCloser, grace time.Duration) *pacedBody {
	return &pacedBody{ReadCloser: body, rc: http.NewResponseController(w), grace: grace, began: time.Now(), ended: body == nil || body == http.NoBody}
}

// leave bounds how long the server waits for what nobody has read, which it does before it answers.
func (p *pacedBody) leave() {
	if !p.ended {
		_ = p.rc.SetReadDeadline(time.Now().Add(p.grace))
	}
}

// Read implements io.Reader.
func (p *pacedBody) Read(b []byte) (int, error) {
	now := time.Now()
	until := now.Add(p.grace)
	if due := p.began.Add(p.grace + time.Duration(p.came)*time.Second/bodyRate); due.Before(until) {
		until = due
	}
	// A writer that has no connection has nobody who is slow.
	_ = p.rc.SetReadDeadline(until)
	n, err := p.ReadCloser.Read(b)
	p.came += int64(n)
	if err != nil {
		p.ended = true
		// The server reads on to see whether the caller leaves, and would take our deadline for that.
		_ = p.rc.SetReadDeadline(p.began.Add(bodyTime))
	}
	return n, err
}
