package dodosim

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Fault makes API calls fail. Its parts combine: a delay comes before the other effects, and
// the zero Fault does nothing. It affects neither the hosted page nor webhooks.
//
// Failures seen from Dodo (FACTS 1.3, 1.4), and failures of networks:
//
//	Fault{Status: 429, Header: http.Header{"Retry-After": {"3"}}} // rate limit, empty body
//	Fault{Status: 502, Body: "<html>Bad gateway</html>",
//		Header: http.Header{"Content-Type": {"text/html"}}}       // a proxy in between
//	Fault{LoseReply: true}       // executed, but the answer is lost
//	Fault{Cut: true}             // executed, but the answer breaks off in the middle
//	Fault{Endless: true}         // an answer without end
//	Fault{Delay: time.Minute}    // slow to start
//	Fault{SlowBody: time.Minute} // slow to finish
//	Fault{Status: 307, Header: http.Header{"Location": {"/elsewhere"}}}
type Fault struct {
	// Method and Path select the calls, as in [Simulator.Calls]: empty matches any.
	Method, Path string
	// Share is the fraction of those calls that fail, chosen at random but repeatably by Seed:
	// above 0, up to 1. 0 is all.
	Share float64
	Seed  uint64

	// Status is answered without executing the call. 0: the call is executed.
	Status int
	// Header is added to that answer. The default Content-Type is application/json.
	Header http.Header
	// Body is the exact body of that answer; Dodo's own form is
	// {"code":"…","message":"…"}.
	Body string

	// Delay is how long to wait (by Options.After) before anything else.
	Delay time.Duration
	// SlowBody is the time over which the body of any answer is sent, in parts.
	SlowBody time.Duration
	// LoseReply executes the call and then drops the connection without an answer.
	LoseReply bool
	// Cut executes the call and drops the connection after half of the answer's body.
	Cut bool
	// Endless answers 200 with JSON that ends only when the caller disconnects.
	Endless bool
}

// SetFault makes the next matching API calls fail; later ones work again. It replaces an
// earlier fault; 0 calls only removes that.
func (s *Simulator) SetFault(fault Fault, calls int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault, s.faultsLeft = fault, calls
	s.faultChance = rand.New(rand.NewPCG(fault.Seed, 0)) //nolint:gosec // chance that can be repeated, not a secret
}

// Fault returns the fault that is set, and how many more calls it affects.
func (s *Simulator) Fault() (Fault, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault, s.faultsLeft
}

// CheckFault returns what is wrong with a fault: an invalid status, or a route that the
// simulator does not have.
func (s *Simulator) CheckFault(fault Fault) error {
	if fault.Status != 0 && (fault.Status < 200 || fault.Status > 599) {
		return fmt.Errorf("%d is not the status of an answer", fault.Status)
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
		return fmt.Errorf("there is no call %s %s; write one such as POST /checkouts or GET /payments/{id}", fault.Method, fault.Path)
	}
	return nil
}

// hits reports whether the fault affects calls to a route.
func (fault Fault) hits(route apiCall) bool {
	return (fault.Method == "" || fault.Method == route.method) && (fault.Path == "" || fault.Path == route.path)
}

// nextFault returns the fault for a call, and counts the call. The caller holds s.mu.
func (s *Simulator) nextFault(route apiCall) (Fault, bool) {
	if s.faultsLeft <= 0 || !s.fault.hits(route) {
		return Fault{}, false
	}
	if s.fault.Share > 0 && s.faultChance.Float64() >= s.fault.Share {
		return Fault{}, false
	}
	s.faultsLeft--
	return s.fault, true
}

func (s *Simulator) serveFault(w http.ResponseWriter, r *http.Request, fault Fault, do endpoint) {
	if !s.waitAfter(r.Context(), fault.Delay) {
		return
	}
	if fault.SlowBody > 0 && !fault.Endless {
		slow := &slowWriter{ResponseWriter: w, wait: func() bool { return s.waitAfter(r.Context(), fault.SlowBody/slowParts) }}
		defer slow.finish()
		w = slow
	}
	switch {
	case fault.Status != 0:
		fault.answer(w)
	case fault.Endless:
		s.writeEndlessly(w, r)
	case fault.LoseReply:
		s.serve(&discardWriter{header: make(http.Header)}, r, do)
		panic(http.ErrAbortHandler) // how net/http drops a connection
	case fault.Cut:
		s.cut(w, r, do)
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

// cut sends half of an answer.
func (s *Simulator) cut(w http.ResponseWriter, r *http.Request, do endpoint) {
	whole := &kept{discardWriter: discardWriter{header: w.Header()}}
	s.serve(whole, r, do)
	w.Header().Set("Content-Length", strconv.Itoa(whole.body.Len()))
	w.WriteHeader(whole.status)
	_, _ = w.Write(whole.body.Bytes()[:whole.body.Len()/2])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// kept is a response that goes nowhere yet.
type kept struct {
	discardWriter
	status int
	body   bytes.Buffer
}

func (k *kept) WriteHeader(status int)      { k.status = status }
func (k *kept) Write(b []byte) (int, error) { return k.body.Write(b) }

// writeEndlessly writes until the caller disconnects.
func (s *Simulator) writeEndlessly(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, err := io.WriteString(w, `{"items":[`)
	chunk := strings.Repeat(`{"payment_id":"pay_000000000000000000000"},`, 100)
	for err == nil && r.Context().Err() == nil && s.ctx.Err() == nil {
		_, err = io.WriteString(w, chunk)
	}
}

// discardWriter is a response that is thrown away.
type discardWriter struct{ header http.Header }

func (d *discardWriter) Header() http.Header         { return d.header }
func (d *discardWriter) WriteHeader(int)             {}
func (d *discardWriter) Write(b []byte) (int, error) { return len(b), nil }
