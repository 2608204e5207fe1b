// Package simcontrol adds a control API under /__sim/ to a simulator. A developer, or a test
// in any language, uses it to decide what happens, when, and what fails. It offers the
// features of package dodosim over HTTP, as JSON; docs/simulator.md lists the routes.
//
// Its users can mark orders as paid. So it answers without a key only to this machine, and
// never to a web page of another site: see [Server.ServeHTTP].
package simcontrol

import (
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// Prefix is the path of the control API.
const Prefix = "/__sim/"

// Server is a simulator and its control API. Make one with [New], serve it as a handler, and
// [Server.Close] it. It is safe for concurrent use.
type Server struct {
	options dodosim.Options
	control http.Handler
	origins *http.CrossOriginProtection

	changing sync.Mutex // one Reset at a time, and none after Close
	closed   bool
	current  atomic.Pointer[dodosim.Simulator]
	log      atomic.Pointer[slog.Logger] // for the simulator that follows a Reset
}

// New starts a simulator, or returns an error that names the unusable option.
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

// Simulator is the current simulator, which each [Server.Reset] replaces.
func (s *Server) Simulator() *dodosim.Simulator { return s.current.Load() }

// Close stops the simulator, see [dodosim.Simulator.Close].
func (s *Server) Close() error {
	s.changing.Lock()
	defer s.changing.Unlock()
	s.closed = true
	return s.Simulator().Close()
}

// Reset starts again with the original catalog and secrets. Sales are forgotten, and
// undelivered webhooks are never sent.
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

// ServeHTTP serves the control API below [Prefix]; the simulator serves everything else.
//
// The control API requires the simulator's own key (Authorization: Bearer …), except from
// this machine: from a loopback address, to a loopback host name, and without headers of a
// proxy. The host name is checked because a page of another site can point its own name to
// this machine; proxies are refused because a tunnel to this machine is one. Browsers that
// come from another site are always refused.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.URL.Path+"/", Prefix) {
		s.Simulator().ServeHTTP(w, r)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if err := s.authorize(r); err != nil {
		writeProblem(w, err)
		return
	}
	s.control.ServeHTTP(w, r)
}
