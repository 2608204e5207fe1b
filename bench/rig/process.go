// Package rig runs the processes that a benchmark compares, on free ports of
// 127.0.0.1 and in a folder of its own, and reads what they cost. It ends those
// that it started and no others.
package rig

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Spec says what to run.
type Spec struct {
	Name string // for its folder and for errors
	Bin  string
	Args []string
	Env  []string // on top of ours, less the settings of Go's runtime
	Dir  string   // a folder for its log
	// Ready is asked until it says nil.
	Ready func() error
}

// Process is a process that runs.
type Process struct {
	name string
	cmd  *exec.Cmd
	gone chan struct{}
	log  string
}

const (
	starting = 60 * time.Second
	stopping = 10 * time.Second
)

// Start runs a process and waits until it is ready.
func Start(s Spec) (*Process, error) {
	log, err := os.Create(filepath.Join(s.Dir, s.Name+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(s.Bin, s.Args...) //nolint:noctx // it lives until Stop
	cmd.Env = append(environment(), s.Env...)
	cmd.Dir = s.Dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = dieWithParent()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", s.Name, err)
	}
	p := &Process{name: s.Name, cmd: cmd, gone: make(chan struct{}), log: log.Name()}
	go func() {
		_ = cmd.Wait()
		close(p.gone)
	}()
	for begin := time.Now(); time.Since(begin) < starting; time.Sleep(20 * time.Millisecond) {
		if err = s.Ready(); err == nil {
			return p, nil
		}
		select {
		case <-p.gone:
			return nil, fmt.Errorf("%s ended at once; it said:\n%s", s.Name, p.said())
		default:
		}
	}
	p.Stop()
	return nil, fmt.Errorf("%s does not answer: %w; it said:\n%s", s.Name, err, p.said())
}

// environment is ours without what decides how Go programs collect garbage, so
// that every contestant gets what its Spec says.
func environment() []string {
	var env []string
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		switch name {
		case "GOGC", "GOMEMLIMIT", "GODEBUG", "GOMAXPROCS":
		default:
			env = append(env, v)
		}
	}
	return env
}

func (p *Process) said() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4000):])
}

// Name is what its Spec calls it.
func (p *Process) Name() string { return p.name }

// Stop asks the process to end, and ends it when it does not.
func (p *Process) Stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.gone:
	case <-time.After(stopping):
		_ = p.cmd.Process.Kill()
		<-p.gone
	}
}

// Accepts is ready when something listens at addr.
func Accepts(addr string) func() error {
	return func() error {
		c, err := net.DialTimeout("tcp", addr, time.Second) //nolint:noctx // it has a timeout
		if err == nil {
			_ = c.Close()
		}
		return err
	}
}

// Answers is ready when address is answered with 200.
func Answers(address string) func() error {
	return func() error {
		_, err := Get(address)
		return err
	}
}

var client = http.Client{Timeout: 2 * time.Minute}

// Get reads what is at address.
func Get(address string) ([]byte, error) {
	response, err := client.Get(address) //nolint:noctx // the client has a timeout
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(response.Status)
	}
	return body, err
}
