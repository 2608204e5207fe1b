// Package redistest runs real redis-servers for tests, on free ports of
// 127.0.0.1 and in directories of the test's own. It imitates nothing: where
// there is no redis-server, the test fails and says so.
package redistest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/testing/freeport"
)

// patience is how long a server may take to come up on a busy machine.
const patience = 20 * time.Second

// Server is one redis-server process.
type Server struct {
	// Addr is its host and port, the same after a restart.
	Addr string

	t    testing.TB
	bin  string
	args []string
	env  []string // besides that of the test

	mu   sync.Mutex
	cmd  *exec.Cmd
	gone chan struct{} // closed when the process has ended
	log  *bytes.Buffer
}

// Start starts a server that writes an append-only file, and stops it when t
// ends. More arguments are as on redis-server's command line, such as
// "--requirepass", "secret".
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	return StartWith(t, nil, args...)
}

// StartWith is Start with more environment variables, such as "LD_PRELOAD=…".
func StartWith(t testing.TB, env []string, args ...string) *Server {
	t.Helper()
	return start(t, env, func(port, dir string) []string {
		return append([]string{
			"--bind", "127.0.0.1", "--port", port, "--dir", dir, "--save", "", "--daemonize", "no",
			"--appendonly", "yes", "--appendfsync", "everysec", "--loglevel", "warning",
		}, args...)
	})
}

func start(t testing.TB, env []string, args func(port, dir string) []string) *Server {
	t.Helper()
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatal("these tests need a real redis-server: install Redis, or run them by `make test`, which brings one")
	}
	s := &Server{t: t, bin: bin, env: append(os.Environ(), env...)}
	dir := t.TempDir() // before the cleanup, so that it is removed after it
	t.Cleanup(s.Kill)
	for range 5 { // somebody else may take the port first
		s.Addr = "127.0.0.1:" + freeport.Get(t)
		_, port, _ := net.SplitHostPort(s.Addr)
		s.args = args(port, dir)
		if err = s.start(); err == nil {
			return s
		}
	}
	t.Fatalf("redis-server does not start: %v\n%s", err, s.log)
	return nil
}

// URL is the server's address as the store takes it.
func (s *Server) URL() string { return "redis://" + s.Addr }

// Kill ends the server as a power cut would, but for what the kernel holds. It
// does nothing when there is none.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	<-s.gone
	s.cmd = nil
}

// Restart kills the server and starts it again on the same port and files. It
// returns when they are loaded.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	var err error
	for range 20 { // until the kernel gives the port back
		if err = s.start(); err == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.t.Fatalf("redis-server does not start again: %v\n%s", err, s.log)
}

// Freeze stops the server in the middle of what it does, until Thaw or Kill. The
// kernel goes on taking connections and commands for it.
func (s *Server) Freeze() { s.signal(syscall.SIGSTOP) }

// Thaw lets a frozen server go on.
func (s *Server) Thaw() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

func (s *Server) start() error {
	cmd := exec.Command(s.bin, s.args...) //nolint:noctx // it is killed when the test ends
	log := new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env, cmd.SysProcAttr = s.env, dieWithParent()
	if err := cmd.Start(); err != nil {
		return err
	}
	gone := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(gone)
	}()
	s.mu.Lock()
	s.cmd, s.gone, s.log = cmd, gone, log
	s.mu.Unlock()
	for begin := time.Now(); time.Since(begin) < patience; time.Sleep(5 * time.Millisecond) {
		select {
		case <-gone:
			s.Kill()
			return fmt.Errorf("redis-server ended at once")
		default:
		}
		// One with a password answers too, that it wants it.
		reply, err := s.Do("PING")
		if err == nil && (reply == "PONG" || strings.HasPrefix(reply, "NOAUTH")) {
			return nil
		}
	}
	s.Kill()
	return fmt.Errorf("redis-server did not answer for %v", patience)
}
