package simcontrol

import (
	"net/http"
	"time"

	"github.com/dodogate/dodogate/internal/dodosim"
)

func (s *Server) dump(*http.Request) (any, error) { return s.Simulator().Dump() }

func (s *Server) reset(*http.Request) (any, error) {
	return struct{}{}, s.Reset()
}

func (s *Server) getCatalog(*http.Request) (any, error) { return s.Simulator().Catalog(), nil }

// seed reads a catalog file. Its options work only at the start.
func (s *Server) seed(r *http.Request) (any, error) {
	file, err := readBody(r, "application/json", "application/yaml", "application/x-yaml", "text/yaml")
	if err != nil {
		return nil, err
	}
	c, err := dodosim.ParseCatalog(file)
	if err != nil {
		return nil, malformed(err.Error())
	}
	if c.Options != (dodosim.Behavior{}) {
		return nil, invalid("options cannot be changed while the simulator runs")
	}
	if err := s.Simulator().Seed(c.Products, c.Addons, c.Discounts); err != nil {
		return nil, invalid(err.Error())
	}
	return map[string]int{"products": len(c.Products), "addons": len(c.Addons), "discounts": len(c.Discounts)}, nil
}

type advanceRequest struct {
	By dodosim.Duration `json:"by"`
}

type advanced struct {
	Now      time.Time       `json:"now"`
	Happened int             `json:"happened"`
	Events   []dodosim.Event `json:"events"`
}

// maxAdvance keeps every date within the years of RFC 3339, and sums of durations within their
// type.
const maxAdvance = 100 * 365 * 24 * time.Hour

// advance moves the time forward and returns what happened.
func (s *Server) advance(_ *http.Request, request advanceRequest) (any, error) {
	sim := s.Simulator()
	switch by := time.Duration(request.By); {
	case by <= 0:
		return nil, invalid("by must be a length of time, such as 31d")
	case sim.Ahead()+by > maxAdvance:
		return nil, invalid("the time can be put forward by 100 years in all")
	}
	before := len(sim.Events())
	count := sim.Advance(time.Duration(request.By))
	return advanced{sim.Now(), count, sim.Events()[before:]}, nil
}

func (s *Server) eventTypes(*http.Request) (any, error) {
	return map[string][]string{"types": dodosim.EventTypes()}, nil
}

type triggered struct {
	Events []dodosim.Event `json:"events"`
}

func (s *Server) trigger(_ *http.Request, wish dodosim.Trigger) (any, error) {
	events, err := s.Simulator().Trigger(wish)
	return triggered{events}, err
}
