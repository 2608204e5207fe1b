// Package simcontrol puts a control API under /__sim/ of a simulator: for a developer,
// or a test in any language, that decides what happens, when, and what goes wrong. It
// offers over HTTP what package dodosim offers to Go, as JSON; docs/simulator.md has the
// routes.
//
// Whoever uses it can mark orders as paid. So it answers without a key only to this
// machine, and never to a web page of another site: see [Server.ServeHTTP].
package simcontrol

import (
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// Prefix is where the control API is.
const Prefix = "/__sim/"

// Server is a simulator and its control API. Make one with [New], serve it as a handler,
// and [Server.Close] it. All methods may be called at the same time.
type Server struct {
	options dodosim.Options
	control http.Handler
	origins *http.CrossOriginProtection

	changing sync.Mutex // one Reset at a time, and none after Close
	closed   bool
	current  atomic.Pointer[dodosim.Simulator]
	log      atomic.Pointer[slog.Logger] // for the simulator that follows a Reset
}

// New starts a simulator, or says which of its options cannot be used.
func New(options dodosim.Options) (*Server, error) {
	simulator, err := dodosim.New(options)
	if err != nil {
		return nil, err
	}
	s := &Server{options: options, origins: http.NewCrossOriginProtection()}
	s.current.Store(simulator)
	s.log.Store(options.Logger)
	s.control = s.routes()
	return s, nil
}

// Simulator is the one that runs now: another one after each [Server.Reset].
func (s *Server) Simulator() *dodosim.Simulator { return s.current.Load() }

// Close stops the simulator, see [dodosim.Simulator.Close].
func (s *Server) Close() error {
	s.changing.Lock()
	defer s.changing.Unlock()
	s.closed = true
	return s.Simulator().Close()
}

// Reset begins anew, with the catalog and the secrets of the start. What was sold is
// forgotten, and what had not been delivered never is.
func (s *Server) Reset() error {
	s.changing.Lock()
	defer s.changing.Unlock()
	if s.closed {
		return http.ErrServerClosed
	}
	fresh, err := dodosim.New(s.options)
	if err != nil {
		return err
	}
	fresh.SetLogger(s.log.Load())
	return s.current.Swap(fresh).Close()
}

// SetLogger is [dodosim.Simulator.SetLogger].
func (s *Server) SetLogger(logger *slog.Logger) {
	s.changing.Lock()
	defer s.changing.Unlock()
	s.log.Store(logger)
	s.Simulator().SetLogger(logger)
}

// ServeHTTP serves the control API below [Prefix], and everything else by the simulator.
//
// The control API wants the simulator's own key (Authorization: Bearer …), except from
// this machine: from a loopback address, to a loopback host name, with no sign of a proxy
// in between. The host name is what a page keeps that resolves its own name to this
// machine, and a tunnel to here is a proxy. Browsers that come from another site are
// refused in any case.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.URL.Path+"/", Prefix) {
		s.Simulator().ServeHTTP(w, r)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if err := s.admit(r); err != nil {
		writeProblem(w, err)
		return
	}
	s.control.ServeHTTP(w, r)
}
