// Package redistest runs real Redis servers for tests, of the version that is installed.
//
//	test process ── pipe ──► sh ──► redis-server      loopback port, nothing kept
//
// The shell ends its server when the pipe closes: at the end of the test, and just as well when the test process is killed.
package redistest

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"mediad/internal/testx"
)

// Server is one that runs, open to everybody who reaches it.
type Server struct {
	URL  string
	addr string
	port string
	cmd  *exec.Cmd
	life *os.File // closing it ends the server
	pid  int
}

// keeper says the server's process id, and ends the server with its input.
const keeper = `redis-server --bind 127.0.0.1 --port "$1" --save "" --appendonly no --dir "$2" >/dev/null 2>&1 & pid=$!
echo $pid; exec >/dev/null; read -r word || true; kill -KILL $pid 2>/dev/null; wait $pid`

// Start runs a server of the test's own until the test ends. Where Redis is not installed the test is skipped; in CI it is, so
// there the test fails.
func Start(t testing.TB) *Server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("Redis is not installed: run deploy/deps.sh test")
	}
	s := &Server{addr: testx.FreeAddr(t)}
	_, s.port, _ = net.SplitHostPort(s.addr)
	s.URL = "redis://" + s.addr + "/0"
	s.Run(t)
	t.Cleanup(func() { s.Stop(t) })
	return s
}

// Run starts the server, again after Stop, and returns when it answers. It has forgotten everything.
func (s *Server) Run(t testing.TB) {
	t.Helper()
	in, life, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	cmd := exec.Command("/bin/sh", "-c", keeper, "keeper", s.port, t.TempDir())
	cmd.Stdin = in
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(errors.Join(err, life.Close()))
	}
	s.cmd, s.life = cmd, life
	var line [32]byte
	n, err := out.Read(line[:])
	if err != nil {
		t.Fatal(err)
	}
	for _, digit := range strings.TrimSpace(string(line[:n])) {
		s.pid = s.pid*10 + int(digit-'0')
	}
	testx.WaitForServer(t, s.addr)
}

// Stop kills the server. Nothing where it does not run.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	if s.cmd == nil {
		return
	}
	if err := s.life.Close(); err != nil {
		t.Error(err)
	}
	_ = s.cmd.Wait() // with the server's own status
	s.cmd, s.pid = nil, 0
}

// Pause stops the server where it stands, so that connections hang; Resume lets it go on.
func (s *Server) Pause(t testing.TB) { s.signal(t, syscall.SIGSTOP) }

// Resume is the end of Pause.
func (s *Server) Resume(t testing.TB) { s.signal(t, syscall.SIGCONT) }

func (s *Server) signal(t testing.TB, what syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(s.pid, what); err != nil {
		t.Fatal(err)
	}
}
