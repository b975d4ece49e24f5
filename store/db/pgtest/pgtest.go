// Package pgtest runs real PostgreSQL servers for tests, of the version that is installed.
//
//	test process ── pipe ──► sh ──► postgres      unix socket and loopback port, data in a temporary folder
//
// The shell ends its server and removes the folder when the pipe closes: at the end of the test, and just as well when the test
// process is killed. Servers run as another user where the tests run as root, which PostgreSQL refuses.
package pgtest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"mediad/internal/testx"
)

// Server is one that runs, open to everybody who reaches it.
type Server struct {
	Dir  string // its data, its socket and its log
	addr string // 127.0.0.1:port

	bin  string
	mu   sync.Mutex // guards the following
	cmd  *exec.Cmd
	life *os.File // closing it ends the server
}

// patience is how long a server may take to start or end on a busy machine.
const patience = 60 * time.Second

// binaries is the folder of PostgreSQL's programs; Debian keeps them out of the path.
func binaries() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path), nil
		}
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", errors.New("PostgreSQL is not installed: run deploy/deps.sh test")
	}
	return filepath.Dir(found[len(found)-1]), nil
}

// Installed says whether there is a PostgreSQL to run. In CI there is, so there its absence fails the test.
func Installed(t testing.TB) bool {
	t.Helper()
	_, err := binaries()
	if err != nil && os.Getenv("CI") != "" {
		t.Fatal(err)
	}
	return err == nil
}

// Start runs a server of the test's own until the test ends; settings are lines such as "max_connections = 20". Where
// PostgreSQL is not installed the test is skipped.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	return start(t, settings, nil)
}

// StartTLS is Start with TLS offered, by a certificate that lies as server.crt in Dir.
func StartTLS(t testing.TB, cert tls.Certificate) *Server {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return start(t, []string{"ssl = on", "ssl_cert_file = '../server.crt'", "ssl_key_file = '../server.key'"}, map[string][]byte{
		"server.crt": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}),
		"server.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
	})
}

func start(t testing.TB, settings []string, files map[string][]byte) *Server {
	t.Helper()
	if !Installed(t) {
		t.Skip("PostgreSQL is not installed: run deploy/deps.sh test")
	}
	s, err := create(testx.FreeAddr(t), settings)
	for name, text := range files {
		if err == nil {
			err = s.put(name, text)
		}
	}
	if err == nil {
		err = s.Run()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.end(t) })
	return s
}

func (s *Server) end(t testing.TB) {
	if t.Failed() {
		t.Logf("PostgreSQL said:\n%s", s.said())
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	_ = os.RemoveAll(s.Dir) // the shell does the same
}

var shared = sync.OnceValues(func() (*Server, error) {
	s, err := create("", nil)
	if err != nil {
		return nil, err
	}
	return s, s.Run()
})

// Shared is the one server of this process that tests have databases on. It ends with the process and listens on its socket
// alone.
func Shared() (*Server, error) { return shared() }

// create makes a server's folder. Its databases sort as people of some language do, which no query of ours may notice; and
// nothing is synced, as nothing outlives a test.
func create(addr string, settings []string) (*Server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	dir, err := folder()
	if err != nil {
		return nil, err
	}
	s := &Server{Dir: dir, addr: addr, bin: bin}
	if err := s.initialise("--locale-provider=icu", "--icu-locale=en-US", "--locale=C.UTF-8"); err != nil {
		if err = s.initialise("--locale=C.UTF-8"); err != nil { // a version without ICU, or before 15
			return nil, err
		}
	}
	return s, s.configure(settings)
}

func folder() (string, error) {
	dir, err := os.MkdirTemp("", "mediad-pg-")
	if err != nil {
		return "", err
	}
	if c := credential(); c != nil {
		err = os.Chown(dir, int(c.Uid), int(c.Gid))
	}
	return dir, err
}

// put writes a file for the server's user alone.
func (s *Server) put(name string, text []byte) error {
	path := filepath.Join(s.Dir, name)
	err := os.WriteFile(path, text, 0o600)
	if c := credential(); err == nil && c != nil {
		err = os.Chown(path, int(c.Uid), int(c.Gid))
	}
	return err
}

func (s *Server) data() string { return filepath.Join(s.Dir, "data") }

func (s *Server) initialise(locale ...string) error {
	_ = os.RemoveAll(s.data())
	return s.Program("initdb", append([]string{"-D", s.data(), "-A", "trust", "-U", "mediad", "-E", "UTF8", "--no-sync"}, locale...)...)
}

func (s *Server) configure(settings []string) error {
	lines := append([]string{
		"fsync = off", "full_page_writes = off", "shared_buffers = 32MB", "max_connections = 100", "max_wal_senders = 4", "autovacuum = off", "synchronous_commit = off", "log_min_messages = warning",
		fmt.Sprintf("unix_socket_directories = '%s'", s.Dir), "listen_addresses = ''",
	}, settings...)
	if s.addr != "" {
		host, port, _ := strings.Cut(s.addr, ":")
		lines = append(lines, fmt.Sprintf("listen_addresses = '%s'", host), "port = "+port)
	}
	f, err := os.OpenFile(filepath.Join(s.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(strings.Join(lines, "\n") + "\n")
	return errors.Join(err, f.Close())
}

// credential is who runs the server: nil is who runs the tests.
func credential() *syscall.Credential {
	if os.Getuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
			gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
			if uidErr == nil && gidErr == nil {
				return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
			}
		}
	}
	return nil
}

func (s *Server) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Dir = s.Dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential(), Setpgid: true}
	return cmd
}

// Program runs one of PostgreSQL's programs to its end.
func (s *Server) Program(name string, args ...string) error {
	out, err := s.command(filepath.Join(s.bin, name), args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

// keeper waits for the end of its input, which comes at the latest with the test process, and then ends the server and removes
// what it kept, unless it is told to leave that: a line "keep".
const keeper = `"$1" -D "$2" >>"$3/log" 2>&1 & pid=$!
read -r word || true
kill -QUIT $pid 2>/dev/null; wait $pid
[ "$word" = keep ] || rm -rf "$3"`

// Run starts the server, again after Stop, and returns when it answers.
func (s *Server) Run() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	in, life, err := os.Pipe()
	if err != nil {
		return err
	}
	defer in.Close()
	cmd := s.command("/bin/sh", "-c", keeper, "keeper", filepath.Join(s.bin, "postgres"), s.data(), s.Dir)
	cmd.Stdin = in
	if err := cmd.Start(); err != nil {
		return errors.Join(err, life.Close())
	}
	s.cmd, s.life = cmd, life
	return s.waitReady()
}

func (s *Server) waitReady() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		conn, err := pgx.Connect(ctx, s.URL("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return fmt.Errorf("PostgreSQL does not answer: %w: %s", err, s.said())
		}
	}
}

func (s *Server) said() string {
	text, _ := os.ReadFile(filepath.Join(s.Dir, "log"))
	return string(text)
}

// Stop ends the server as a crash would (immediate); its data stays for Run. Nothing where it does not run.
func (s *Server) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return nil
	}
	_, err := s.life.WriteString("keep\n")
	err = errors.Join(err, s.life.Close())
	_ = s.cmd.Wait() // with the server's own status
	s.cmd = nil
	return err
}

// Pause stops the server's processes where they stand, so that connections hang; Resume lets them go on.
func (s *Server) Pause() error { return s.signal(syscall.SIGSTOP) }

// Resume is the end of Pause.
func (s *Server) Resume() error { return s.signal(syscall.SIGCONT) }

// signal reaches the server's processes. Each of them has a process group of its own, so they are told one by one.
func (s *Server) signal(what syscall.Signal) error {
	text, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	if err != nil {
		return err
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, what); err != nil {
		return err
	}
	// It makes no more of them now. One may just be going.
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for child := range strings.FieldsSeq(string(children)) {
		n, convErr := strconv.Atoi(child)
		if killErr := syscall.Kill(n, what); !errors.Is(killErr, syscall.ESRCH) {
			err = errors.Join(err, convErr, killErr)
		}
	}
	return err
}

// URL is of a database on the server: by TCP where it listens, else by its socket.
func (s *Server) URL(name string) string {
	u := url.URL{Scheme: "postgres", User: url.User("mediad"), Host: s.addr, Path: "/" + name}
	if s.addr == "" {
		u.RawQuery = url.Values{"host": {s.Dir}}.Encode()
	} else {
		u.RawQuery = "sslmode=prefer"
	}
	return u.String()
}

// Exec runs a statement in a database.
func (s *Server) Exec(name, statement string, args ...any) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL(name))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement, args...)
	return errors.Join(err, conn.Close(ctx))
}

// Database makes an empty database that goes with the test.
func (s *Server) Database(t testing.TB, name string) string {
	t.Helper()
	if err := s.Exec("postgres", "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
		t.Fatal(err)
	}
	return s.URL(name)
}

// Standby starts a hot standby of the server, made of a copy of it, until the test ends.
func (s *Server) Standby(t testing.TB) *Server {
	t.Helper()
	dir, err := folder()
	if err != nil {
		t.Fatal(err)
	}
	r := &Server{Dir: dir, addr: testx.FreeAddr(t), bin: s.bin}
	err = r.Program("pg_basebackup", "-d", s.URL("postgres"), "-D", r.data(), "-R", "-X", "stream", "-c", "fast", "--no-sync")
	if err == nil {
		err = r.configure(nil)
	}
	if err == nil {
		err = r.Run()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.end(t) })
	return r
}
