//go:build e2e

package e2e

import (
	"bufio"
	"fmt"
	"io"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// mailbox is an SMTP server that keeps the links of the mails that it is given.
type mailbox struct {
	addr string // host:port of SMTP
	url  string // GET ?to=ADDRESS answers with the newest link that was mailed there, 404 where there is none

	mu    sync.Mutex // guards links
	links map[string]string
}

// openMailbox runs one until the test ends.
func openMailbox(t *testing.T) *mailbox {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	m := &mailbox{addr: l.Addr().String(), links: map[string]string{}}
	web := httptest.NewServer(m)
	m.url = web.URL
	var open sync.WaitGroup
	open.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() {
				defer conn.Close()
				m.serve(conn)
			})
		}
	})
	t.Cleanup(func() {
		web.Close()
		l.Close()
		open.Wait()
	})
	return m
}

func (m *mailbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	link := m.links[r.URL.Query().Get("to")]
	m.mu.Unlock()
	if link == "" {
		http.NotFound(w, r)
		return
	}
	fmt.Fprint(w, link)
}

var linkRule = regexp.MustCompile(`https?://\S+`)

// serve speaks as much of SMTP as handing in a mail needs.
func (m *mailbox) serve(conn net.Conn) {
	r := bufio.NewReader(conn)
	fmt.Fprint(conn, "220 test\r\n")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		switch {
		case strings.HasPrefix(line, "DATA"):
			fmt.Fprint(conn, "354 go on\r\n")
			var text strings.Builder
			for line, err = r.ReadString('\n'); err == nil && line != ".\r\n"; line, err = r.ReadString('\n') {
				text.WriteString(strings.TrimPrefix(line, "."))
			}
			m.keep(text.String())
		case strings.HasPrefix(line, "QUIT"):
			fmt.Fprint(conn, "221 bye\r\n")
			return
		}
		fmt.Fprint(conn, "250 ok\r\n")
	}
}

func (m *mailbox) keep(text string) {
	message, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		return
	}
	body, err := io.ReadAll(quotedprintable.NewReader(message.Body))
	to, bad := mail.ParseAddress(message.Header.Get("To"))
	if err != nil || bad != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.links[to.Address] = linkRule.FindString(string(body))
}
