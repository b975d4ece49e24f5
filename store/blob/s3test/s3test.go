// Package s3test runs real S3 servers for tests: MinIO, and versitygw, which differs from it in most of what the protocol
// leaves open. deploy/deps.sh builds them once into a folder outside the tree.
package s3test

import (
	"crypto/rand"
	"crypto/tls"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mediad/internal/testx"
)

// Kind is a program that serves S3.
type Kind string

// The servers there are.
const (
	MinIO     Kind = "minio"
	VersityGW Kind = "versitygw"
)

// Kinds are all of them.
var Kinds = []Kind{MinIO, VersityGW}

// Server is one that runs, with the credentials of its owner.
type Server struct {
	Kind                 Kind
	Endpoint             string // http://127.0.0.1:port
	AccessKey, SecretKey string
	Dir                  string // what it keeps

	args, env []string
	mu        sync.Mutex // guards cmd
	cmd       *exec.Cmd
	ended     chan struct{} // closed when cmd has ended
	log       string
}

// patience is how long a server may take to answer or end; on a busy machine MinIO takes seconds.
const patience = 60 * time.Second

// Region is what both servers are told to be.
const Region = "eu-test-1"

// KMSKey is the id of the key that MinIO encrypts with.
const KMSKey = "test-key"

// Start runs a server in a folder of its own until the test ends, and skips the test where the program is not installed. In
// CI MinIO is, so there it fails. env is added to its environment.
func Start(t testing.TB, kind Kind, env ...string) *Server {
	t.Helper()
	program, err := find(kind)
	if err != nil {
		const say = "%s is not installed: run deploy/deps.sh s3, which builds it once"
		if os.Getenv("CI") != "" && kind == MinIO {
			t.Fatalf(say, kind)
		}
		t.Skipf(say, kind)
	}
	addr, dir := testx.FreeAddr(t), t.TempDir()
	s := &Server{Kind: kind, Endpoint: "http://" + addr, AccessKey: "tester", SecretKey: "secret-" + rand.Text(),
		Dir: filepath.Join(dir, "data")}
	s.log = filepath.Join(dir, "log")
	if err := os.Mkdir(s.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	switch kind {
	case MinIO:
		s.args = []string{program, "server", "--quiet", "--address", addr, s.Dir}
		s.env = []string{"MINIO_ROOT_USER=" + s.AccessKey, "MINIO_ROOT_PASSWORD=" + s.SecretKey, "MINIO_BROWSER=off",
			"MINIO_UPDATE=off",
			"MINIO_SITE_REGION=" + Region, "MINIO_CI_CD=on", "MINIO_KMS_SECRET_KEY=" + KMSKey + ":" + strings.Repeat("A", 43) + "="}
	case VersityGW:
		s.args = []string{program, "--quiet", "--keep-alive", "--region", Region, "--port", addr, "posix", s.Dir}
		s.env = []string{"ROOT_ACCESS_KEY=" + s.AccessKey, "ROOT_SECRET_KEY=" + s.SecretKey}
	}
	s.env = append(append(os.Environ(), s.env...), env...)
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if t.Failed() {
			text, _ := os.ReadFile(s.log)
			t.Logf("%s said:\n%s", kind, text)
		}
	})
	if err := s.Run(); err != nil {
		t.Fatalf("%s: %v", kind, err)
	}
	return s
}

func find(kind Kind) (string, error) {
	cache := os.Getenv("XDG_CACHE_HOME")
	if cache == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		cache = filepath.Join(home, ".cache")
	}
	return exec.LookPath(filepath.Join(cache, "mediad", "bin", string(kind)))
}

// Run starts the server, again after Stop, and returns when it answers.
func (s *Server) Run() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(s.args[0], s.args[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = s.env, log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // killed, mostly
	}()
	s.cmd, s.ended = cmd, ended
	return s.waitReady()
}

// waitReady asks until the server answers anything but that it is not up yet.
func (s *Server) waitReady() error {
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // a server of the test's own
	path := "/"
	if s.Kind == MinIO {
		path = "/minio/health/cluster"
	}
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		if answer, err := client.Get(s.Endpoint + path); err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode < 500 {
				return nil
			}
		}
		select {
		case <-again.C:
		case <-s.ended:
			return errors.New("ended before it answered")
		case <-deadline.C:
			return errors.New("does not answer")
		}
	}
}

// Stop kills the server, as a crash would; nothing where it does not run.
func (s *Server) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return nil
	}
	defer func() { s.cmd = nil }()
	if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-s.ended
	return nil
}

// Pause stops the server's process where it stands, so that connections come up and nothing answers; Resume lets it go on.
func (s *Server) Pause() error { return s.signal(syscall.SIGSTOP) }

// Resume is the end of Pause.
func (s *Server) Resume() error { return s.signal(syscall.SIGCONT) }

func (s *Server) signal(what os.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return errors.New("does not run")
	}
	return s.cmd.Process.Signal(what)
}
