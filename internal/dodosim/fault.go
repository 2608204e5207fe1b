package dodosim

import (
	"io"
	"net/http"
	"strings"
	"time"
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
//	Fault{Delay: time.Minute} // slow
type Fault struct {
	// Status is answered without executing the call. 0: the call is executed.
	Status int
	// Header is added to that answer. Its Content-Type is application/json unless said
	// otherwise here.
	Header http.Header
	// Body of that answer, to the byte; Dodo's own form is {"code":"…","message":"…"}.
	Body string

	// Delay is waited (by Options.After) before anything else happens.
	Delay time.Duration
	// LoseReply executes the call and then drops the connection without an answer.
	LoseReply bool
	// Endless answers 200 with JSON that ends when the caller hangs up.
	Endless bool
}

// SetFault makes the next calls to the API, whatever they are, go wrong, then all is
// well again. It replaces an earlier fault; 0 calls only removes that.
func (s *Simulator) SetFault(fault Fault, calls int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault, s.faultsLeft = fault, calls
}

// takeFault uses one of the calls that a fault is set for. The caller holds s.mu.
func (s *Simulator) takeFault() (Fault, bool) {
	if s.faultsLeft <= 0 {
		return Fault{}, false
	}
	s.faultsLeft--
	return s.fault, true
}

func (s *Simulator) misbehave(w http.ResponseWriter, r *http.Request, fault Fault, do endpoint) {
	if fault.Delay > 0 {
		select {
		case <-s.options.After(fault.Delay):
		case <-r.Context().Done():
			return
		case <-s.ctx.Done():
			return
		}
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
