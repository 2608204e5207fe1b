package simcontrol

import (
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// apiFault is a [dodosim.Fault] in JSON. Kind is one of the kinds below; other fields override
// its values.
type apiFault struct {
	Kind       string            `json:"kind,omitempty"`
	Status     int               `json:"status,omitempty"`
	Header     map[string]string `json:"header,omitempty"`
	Body       string            `json:"body,omitempty"`
	RetryAfter *int              `json:"retry_after,omitempty"` // seconds
	Location   string            `json:"location,omitempty"`
	Delay      dodosim.Duration  `json:"delay,omitzero"`
	SlowBody   dodosim.Duration  `json:"slow_body,omitzero"`
	LoseReply  bool              `json:"lose_reply,omitempty"`
	Cut        bool              `json:"cut,omitempty"`
	Endless    bool              `json:"endless,omitempty"`

	Calls  int     `json:"calls,omitempty"` // how many calls it affects; 0: until it is cleared
	Method string  `json:"method,omitempty"`
	Path   string  `json:"path,omitempty"`
	Share  float64 `json:"share,omitempty"` // fraction of the calls; 0 is all
	Seed   uint64  `json:"seed,omitempty"`
}

// kinds of faults, as seen from Dodo (FACTS 1.3, 1.4) or from networks.
var kinds = map[string]apiFault{
	"429":        {Status: http.StatusTooManyRequests, RetryAfter: new(1)}, // with no body at all
	"500":        {Status: http.StatusInternalServerError, Body: "<html><body><h1>Internal Server Error</h1></body></html>", Header: html},
	"502":        {Status: http.StatusBadGateway, Body: "<html><body><h1>Bad Gateway</h1></body></html>", Header: html},
	"503":        {Status: http.StatusServiceUnavailable, Body: `{"code":"INTERNAL_SERVER_ERROR","message":"try again later"}`},
	"redirect":   {Status: http.StatusTemporaryRedirect, Location: "/"},
	"lost_reply": {LoseReply: true},
	"cut":        {Cut: true},
	"endless":    {Endless: true},
	"delay":      {Delay: dodosim.Duration(30 * time.Second)},
	"slow":       {SlowBody: dodosim.Duration(30 * time.Second)},
}

var html = map[string]string{"Content-Type": "text/html; charset=utf-8"}

// withKind is the fault with the defaults of its kind.
func (f apiFault) withKind() (apiFault, error) {
	if f.Kind == "" {
		return f, nil
	}
	kind, known := kinds[f.Kind]
	if !known {
		return f, invalid("kind is 429, 500, 502, 503, redirect, lost_reply, cut, endless, delay or slow")
	}
	if f.Status == 0 {
		f.Status = kind.Status
	}
	if f.Body == "" {
		f.Body = kind.Body
	}
	if f.Header == nil {
		f.Header = kind.Header
	}
	if f.RetryAfter == nil {
		f.RetryAfter = kind.RetryAfter
	}
	if f.Location == "" {
		f.Location = kind.Location
	}
	if f.Delay == 0 {
		f.Delay = kind.Delay
	}
	if f.SlowBody == 0 {
		f.SlowBody = kind.SlowBody
	}
	f.LoseReply = f.LoseReply || kind.LoseReply
	f.Cut = f.Cut || kind.Cut
	f.Endless = f.Endless || kind.Endless
	return f, nil
}

// fault converts it for the simulator, with the number of calls.
func (f apiFault) fault() (dodosim.Fault, int) {
	header := make(http.Header)
	for name, value := range f.Header {
		header.Set(name, value)
	}
	if f.RetryAfter != nil {
		header.Set("Retry-After", strconv.Itoa(*f.RetryAfter))
	}
	if f.Location != "" {
		header.Set("Location", f.Location)
	}
	calls := f.Calls
	if calls == 0 {
		calls = math.MaxInt
	}
	return dodosim.Fault{
		Method: f.Method, Path: f.Path, Share: f.Share, Seed: f.Seed, Status: f.Status, Header: header, Body: f.Body,
		Delay: time.Duration(f.Delay), SlowBody: time.Duration(f.SlowBody), LoseReply: f.LoseReply, Cut: f.Cut, Endless: f.Endless,
	}, calls
}

// setAPIFault replaces the current fault.
func (s *Server) setAPIFault(_ *http.Request, request apiFault) (any, error) {
	request, err := request.withKind()
	if err != nil {
		return nil, err
	}
	if request.Status == 0 && !request.LoseReply && !request.Cut && !request.Endless && request.Delay == 0 && request.SlowBody == 0 {
		return nil, invalid("the fault does nothing: it needs a kind, a status, lose_reply, cut, endless, delay or slow_body")
	}
	if request.Calls < 0 {
		return nil, invalid("calls must not be negative")
	}
	fault, calls := request.fault()
	if err := s.Simulator().CheckFault(fault); err != nil {
		return nil, invalid(err.Error())
	}
	s.Simulator().SetFault(fault, calls)
	return s.faults(), nil
}

func (s *Server) clearAPIFault(*http.Request) (any, error) {
	s.Simulator().SetFault(dodosim.Fault{}, 0)
	return s.faults(), nil
}

// mischief is a [dodosim.Mischief] in JSON.
type mischief struct {
	dodosim.Mischief
	SlowFor  dodosim.Duration `json:"slow_for,omitzero"`
	MaxDelay dodosim.Duration `json:"max_delay,omitzero"`
}

// setMischief replaces the current mischief, for events from now on.
func (s *Server) setMischief(_ *http.Request, request mischief) (any, error) {
	m := request.Mischief
	m.SlowFor, m.MaxDelay = time.Duration(request.SlowFor), time.Duration(request.MaxDelay)
	if err := m.Check(); err != nil {
		return nil, invalid(err.Error())
	}
	s.Simulator().SetMischief(m)
	return s.faults(), nil
}

func (s *Server) clearMischief(*http.Request) (any, error) {
	s.Simulator().SetMischief(dodosim.Mischief{})
	return s.faults(), nil
}

func (s *Server) clearFaults(r *http.Request) (any, error) {
	_, _ = s.clearAPIFault(r)
	return s.clearMischief(r)
}

// faults are the current faults.
type faults struct {
	API      *apiFault `json:"api"` // null: none
	Webhooks *mischief `json:"webhooks"`
	Held     bool      `json:"webhooks_held"`
}

func (s *Server) getFaults(*http.Request) (any, error) { return s.faults(), nil }

func (s *Server) faults() faults {
	sim := s.Simulator()
	now := faults{Held: sim.Held()}
	if f, left := sim.Fault(); left > 0 {
		now.API = &apiFault{
			Status: f.Status, Body: f.Body, Delay: dodosim.Duration(f.Delay), SlowBody: dodosim.Duration(f.SlowBody), LoseReply: f.LoseReply,
			Cut: f.Cut, Endless: f.Endless, Method: f.Method, Path: f.Path, Share: f.Share, Seed: f.Seed, Header: make(map[string]string),
		}
		if left < math.MaxInt/2 { // or it hits until it is cleared
			now.API.Calls = left
		}
		for name := range f.Header {
			now.API.Header[name] = f.Header.Get(name)
		}
	}
	if m := sim.Mischief(); m != (dodosim.Mischief{}) {
		now.Webhooks = &mischief{m, dodosim.Duration(m.SlowFor), dodosim.Duration(m.MaxDelay)}
	}
	return now
}
