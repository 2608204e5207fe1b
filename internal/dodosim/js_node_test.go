package dodosim_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// script is a running script of testdata/dodojs.
type script struct {
	name      string
	command   *exec.Cmd
	complaint strings.Builder
}

// startNode starts a script of testdata/dodojs, whose packages `npm ci` installs there
// (.ci/deps does).
func startNode(t *testing.T, name string, args ...string) (*script, io.WriteCloser, io.Reader) {
	t.Helper()
	dir := filepath.Join("testdata", "dodojs")
	skip := t.Skipf
	if os.Getenv("CI") == "true" {
		skip = t.Fatalf
	}
	path, err := exec.LookPath("node")
	if err != nil {
		skip("no node to run Dodo's packages: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err != nil {
		skip("run npm ci in internal/dodosim/%s: %v", dir, err)
	}
	s := &script{name: name, command: exec.CommandContext(t.Context(), path, append([]string{name}, args...)...)}
	s.command.Dir = dir
	s.command.Stderr = &s.complaint
	input, err := s.command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := s.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.command.Start(); err != nil {
		t.Fatal(err)
	}
	return s, input, output
}

// wait returns when the script has ended, with what it complained of if that was not well.
// All of its output has to be read before.
func (s *script) wait() error {
	if err := s.command.Wait(); err != nil {
		return fmt.Errorf("node %s: %w\n%s", s.name, err, s.complaint.String())
	}
	return nil
}

// node shows lines to a script that answers each with one, and returns those.
func node(t *testing.T, name, input string) []string {
	t.Helper()
	s, in, out := startNode(t, name)
	go func() {
		_, _ = io.WriteString(in, input) // a script that ends early says so itself
		_ = in.Close()
	}()
	printed, err := io.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.wait(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(printed)), "\n")
	if len(lines) != strings.Count(input, "\n") {
		t.Fatalf("node %s printed %d lines:\n%s", name, len(lines), printed)
	}
	return lines
}
