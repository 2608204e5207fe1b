package dodosim

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Fault is how API calls go wrong. Its parts combine: a delay precedes whatever else it
// says, and the zero Fault does nothing. The hosted page and webhooks are never hit.
//
// What has been seen of Dodo (FACTS 1.3, 1.4), and what a network can do to anybody:
//
//	Fault{Status: 429, Header: http.Header{"Retry-After": {"3"}}} // rate limit, empty body
//	Fault{Status: 502, Body: "<html>Bad gateway</html>",
//		Header: http.Header{"Content-Type": {"text/html"}}}       // a proxy in between
//	Fault{LoseReply: true}    // done, but nobody hears of it
//	Fault{Endless: true}      // never stops talking
//	Fault{Delay: time.Minute} // slow to begin
//	Fault{SlowBody: time.Minute} // and to end
//	Fault{Status: 307, Header: http.Header{"Location": {"/elsewhere"}}}
type Fault struct {
	// Method and Path say which calls it hits, as in [Simulator.Calls]: empty is any.
	Method, Path string
	// Share is how many of those calls it hits, by chance that Seed repeats: above 0, up to
	// 1. 0 is all.
	Share float64
	Seed  uint64

	// Status is answered without executing the call. 0: the call is executed.
	Status int
	// Header is added to that answer. Its Content-Type is application/json unless said
	// otherwise here.
	Header http.Header
	// Body of that answer, to the byte; Dodo's own form is {"code":"…","message":"…"}.
	Body string

	// Delay is waited (by Options.After) before anything else happens.
	Delay time.Duration
	// SlowBody is the time over which the answer's body is sent, bit by bit, whatever it is.
	SlowBody time.Duration
	// LoseReply executes the call and then drops the connection without an answer.
	LoseReply bool
	// Endless answers 200 with JSON that ends when the caller hangs up.
	Endless bool
}

// SetFault makes the next calls to the API that it concerns go wrong, then all is well
// again. It replaces an earlier fault; 0 calls only removes that.
func (s *Simulator) SetFault(fault Fault, calls int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault, s.faultsLeft = fault, calls
	s.faultChance = rand.New(rand.NewPCG(fault.Seed, 0)) //nolint:gosec // chance that can be repeated, not a secret
}

// Fault returns what SetFault has set, and how many calls it will still hit.
func (s *Simulator) Fault() (Fault, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault, s.faultsLeft
}

// CheckFault says what of a fault makes no sense: a status that is none, or a route that
// the simulator does not have.
func (s *Simulator) CheckFault(fault Fault) error {
	if fault.Status != 0 && (fault.Status < 200 || fault.Status > 599) {
		return fmt.Errorf("%d is no status of an answer", fault.Status)
	}
	if !(fault.Share >= 0 && fault.Share <= 1) {
		return fmt.Errorf("%v is not a share between 0 and 1", fault.Share)
	}
	if fault.Delay < 0 || fault.SlowBody < 0 {
		return errors.New("a delay must not be negative")
	}
	for name, values := range fault.Header {
		if !headerName.MatchString(name) || slices.ContainsFunc(values, func(v string) bool { return strings.ContainsFunc(v, unicode.IsControl) }) {
			return fmt.Errorf("header %q cannot be set", name)
		}
	}
	if !slices.ContainsFunc(s.known, fault.hits) {
		return fmt.Errorf("no call is a %s %s, such as POST /checkouts or GET /payments/{id}", fault.Method, fault.Path)
	}
	return nil
}

// hits reports whether the fault concerns calls to a route.
func (fault Fault) hits(route apiCall) bool {
	return (fault.Method == "" || fault.Method == route.method) && (fault.Path == "" || fault.Path == route.path)
}

// takeFault uses one of the calls that a fault is set for. The caller holds s.mu.
func (s *Simulator) takeFault(route apiCall) (Fault, bool) {
	if s.faultsLeft <= 0 || !s.fault.hits(route) {
		return Fault{}, false
	}
	if s.fault.Share > 0 && s.faultChance.Float64() >= s.fault.Share {
		return Fault{}, false
	}
	s.faultsLeft--
	return s.fault, true
}

func (s *Simulator) misbehave(w http.ResponseWriter, r *http.Request, fault Fault, do endpoint) {
	if !s.pause(r.Context(), fault.Delay) {
		return
	}
	if fault.SlowBody > 0 && !fault.Endless {
		slow := &trickler{ResponseWriter: w, wait: func() bool { return s.pause(r.Context(), fault.SlowBody/trickleParts) }}
		defer slow.finish()
		w = slow
	}
	switch {
	case fault.Status != 0:
		fault.answer(w)
	case fault.Endless:
		s.ramble(w, r)
	case fault.LoseReply:
		s.serve(&deaf{header: make(http.Header)}, r, do)
		panic(http.ErrAbortHandler) // how net/http drops a connection
	default:
		s.serve(w, r, do)
	}
}

func (fault Fault) answer(w http.ResponseWriter) {
	header := w.Header()
	header.Set("Content-Type", "application/json")
	for name, values := range fault.Header {
		header[http.CanonicalHeaderKey(name)] = values
	}
	w.WriteHeader(fault.Status)
	_, _ = io.WriteString(w, fault.Body)
}

// ramble writes until nobody listens.
func (s *Simulator) ramble(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, err := io.WriteString(w, `{"items":[`)
	chunk := strings.Repeat(`{"payment_id":"pay_000000000000000000000"},`, 100)
	for err == nil && r.Context().Err() == nil && s.ctx.Err() == nil {
		_, err = io.WriteString(w, chunk)
	}
}

// deaf is a response that goes nowhere.
type deaf struct{ header http.Header }

func (d *deaf) Header() http.Header         { return d.header }
func (d *deaf) WriteHeader(int)             {}
func (d *deaf) Write(b []byte) (int, error) { return len(b), nil }
