package simcontrol

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// instant reads an RFC 3339 time, or a duration before now.
func instant(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := dodosim.ParseDuration(text); err == nil {
		return now.Add(-ago), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, invalid(text + " is neither a time by RFC 3339 nor how long ago, such as 2h")
	}
	return at, nil
}

// listEvents answers GET /__sim/events?type=&state=&since=&limit=, the newest last.
func (s *Server) listEvents(r *http.Request) (any, error) {
	query := r.URL.Query()
	sim := s.Simulator()
	since, err := instant(query.Get("since"), sim.Now())
	if err != nil {
		return nil, err
	}
	limit, err := limitOf(r)
	if err != nil {
		return nil, err
	}
	events := slices.DeleteFunc(sim.Events(), func(e dodosim.Event) bool {
		return e.At.Before(since) || query.Has("type") && query.Get("type") != e.Type || query.Has("state") && query.Get("state") != string(e.State)
	})
	return triggered{last(events, limit)}, nil
}

// limitOf is the number of wanted items: all, unless limit is set.
func limitOf(r *http.Request) (int, error) {
	given := r.URL.Query().Get("limit")
	if given == "" {
		return 0, nil
	}
	limit, err := strconv.Atoi(given)
	if err != nil || limit < 1 {
		return 0, invalid("limit is a number, from 1")
	}
	return limit, nil
}

func last[T any](list []T, limit int) []T {
	if limit == 0 || limit > len(list) {
		return list
	}
	return list[len(list)-limit:]
}

// delivery is a [dodosim.Delivery] in JSON. Its body is text, because it may be corrupt.
type delivery struct {
	EventID   string    `json:"event_id"`
	WebhookID string    `json:"webhook_id"`
	Type      string    `json:"type"`
	Attempt   int       `json:"attempt"`
	At        time.Time `json:"at"`
	Status    int       `json:"status,omitempty"`
	Error     string    `json:"error,omitempty"`
	Body      string    `json:"body,omitempty"`
}

type deliveries struct {
	Deliveries []delivery `json:"deliveries"`
}

func shown(made []dodosim.Delivery) deliveries {
	list := make([]delivery, 0, len(made))
	for _, d := range made {
		one := delivery{EventID: d.EventID, WebhookID: d.WebhookID, Type: d.Type, Attempt: d.Attempt, At: d.At, Status: d.Status, Body: string(d.Body)}
		if d.Err != nil {
			one.Error = d.Err.Error()
		}
		list = append(list, one)
	}
	return deliveries{list}
}

// listDeliveries answers GET /__sim/deliveries?event=&limit=, the newest last.
func (s *Server) listDeliveries(r *http.Request) (any, error) {
	limit, err := limitOf(r)
	if err != nil {
		return nil, err
	}
	query := r.URL.Query()
	made := slices.DeleteFunc(s.Simulator().Deliveries(), func(d dodosim.Delivery) bool {
		return query.Has("event") && query.Get("event") != d.EventID
	})
	return shown(last(made, limit)), nil
}

// replayRequest is a [dodosim.ReplayFilter] in JSON.
type replayRequest struct {
	Events   []string `json:"events"`
	Object   string   `json:"object"`
	Endpoint string   `json:"endpoint"`
	Types    []string `json:"types"`
	Since    string   `json:"since"`
	Until    string   `json:"until"`
	Failed   bool     `json:"failed"`
	Missing  bool     `json:"missing"`
}

func (s *Server) replay(r *http.Request, request replayRequest) (any, error) {
	sim := s.Simulator()
	since, err := instant(request.Since, sim.Now())
	if err != nil {
		return nil, err
	}
	until, err := instant(request.Until, sim.Now())
	if err != nil {
		return nil, err
	}
	filter := dodosim.ReplayFilter{
		EventIDs: request.Events, ObjectID: request.Object, EndpointID: request.Endpoint, Types: request.Types,
		Since: since, Until: until, Missing: request.Missing,
	}
	if request.Failed {
		filter.States = []dodosim.EventState{dodosim.EventFailed}
	}
	sent, err := sim.Replay(r.Context(), filter)
	if err != nil {
		return nil, err
	}
	return shown(sent), nil
}

func (s *Server) hold(*http.Request) (any, error) {
	s.Simulator().HoldWebhooks(true)
	return s.faults(), nil
}

// releaseRequest says in which order to release webhooks.
type releaseRequest struct {
	Shuffle bool `json:"shuffle"`
	mischief
}

// release sends all held webhooks at once; or, with shuffle, one after the other with the
// given faults, and then later ones freely.
func (s *Server) release(r *http.Request, request releaseRequest) (any, error) {
	sim, m := s.Simulator(), request.Mischief
	m.SlowFor = time.Duration(request.SlowFor)
	if !request.Shuffle {
		if m != (dodosim.Mischief{}) || request.MaxDelay != 0 {
			return nil, invalid("faults need shuffle; otherwise set them by PUT " + Prefix + "faults/webhooks")
		}
		sim.HoldWebhooks(false)
		return deliveries{[]delivery{}}, nil
	}
	if err := m.Check(); err != nil {
		return nil, invalid(err.Error())
	}
	sent, err := sim.DeliverShuffled(r.Context(), m)
	if err != nil {
		return nil, err
	}
	sim.HoldWebhooks(false)
	return shown(sent), nil
}

type rotateRequest struct {
	Endpoint string `json:"endpoint"` // default: the first
}

type rotated struct {
	Endpoint string `json:"endpoint"`
	Secret   string `json:"secret"`
}

// rotate is the only route that shows a secret, because nobody else knows the new one yet.
func (s *Server) rotate(_ *http.Request, request rotateRequest) (any, error) {
	sim := s.Simulator()
	if request.Endpoint == "" {
		if request.Endpoint = sim.FirstEndpoint(); request.Endpoint == "" {
			return nil, &problem{http.StatusNotFound, "NOT_FOUND", "there is no webhook endpoint"}
		}
	}
	secret, err := sim.RotateWebhookSecret(request.Endpoint)
	return rotated{request.Endpoint, secret}, err
}
