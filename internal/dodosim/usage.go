package dodosim

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"
	"unicode/utf8"
)

// The limits of FACTS 2.12.
const (
	maxUsageEvents = 1000
	maxUsageKey    = 100
	maxUsageAge    = time.Hour
	maxUsageAhead  = 5 * time.Minute
)

// usageEvent is an event of POST /events/ingest (FACTS 2.12).
type usageEvent struct {
	BusinessID string    `json:"business_id"`
	EventID    string    `json:"event_id"`
	CustomerID string    `json:"customer_id"`
	EventName  string    `json:"event_name"`
	Timestamp  time.Time `json:"timestamp"`
	Metadata   metadata  `json:"metadata"`
}

// ingestRequest is the body of POST /events/ingest.
type ingestRequest struct {
	Events *[]struct {
		EventID    *string    `json:"event_id"`
		CustomerID *string    `json:"customer_id"`
		EventName  *string    `json:"event_name"`
		Timestamp  *time.Time `json:"timestamp"`
		Metadata   metadata   `json:"metadata"`
	} `json:"events"`
}

type ingestResponse struct {
	Count int `json:"ingested_count"`
}

// ingest answers POST /events/ingest: it accepts all events of the request or none. The count
// leaves out duplicates of earlier requests, and no meter has to know an event's name: both
// UNCONFIRMED.
func (s *Simulator) ingest(r *http.Request) (any, error) {
	request, refusal := readJSON[ingestRequest](r)
	switch {
	case refusal != nil:
		return nil, refusal
	case request.Events == nil:
		return nil, refuse(codeInvalidBody, "events is required")
	case len(*request.Events) == 0 || len(*request.Events) > maxUsageEvents:
		return nil, refuse(codeInvalidParameters, "events has 1 to %d events", maxUsageEvents)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now, seen := s.now(), make(map[string]bool)
	var fresh []usageEvent
	for _, e := range *request.Events {
		switch {
		case valueOrEmpty(e.EventID) == "" || valueOrEmpty(e.CustomerID) == "" || valueOrEmpty(e.EventName) == "":
			return nil, refuse(codeInvalidBody, "each event needs event_id, customer_id and event_name")
		case seen[*e.EventID]:
			return nil, malformedEvent("event_id is in the request twice")
		case e.Timestamp != nil && (e.Timestamp.Before(now.Add(-maxUsageAge)) || e.Timestamp.After(now.Add(maxUsageAhead))):
			return nil, malformedEvent("timestamp is more than an hour old or five minutes ahead")
		}
		if _, refusal := s.findCustomer(*e.CustomerID); refusal != nil {
			return nil, malformedEvent("a customer does not exist")
		}
		if refusal := checkUsageMetadata(e.Metadata); refusal != nil {
			return nil, refusal
		}
		seen[*e.EventID] = true
		if s.usageIDs[*e.EventID] {
			continue
		}
		at := now
		if e.Timestamp != nil {
			at = e.Timestamp.UTC().Truncate(time.Microsecond)
		}
		fresh = append(fresh, usageEvent{s.business, *e.EventID, *e.CustomerID, *e.EventName, at, e.Metadata.orEmpty()})
	}
	for _, e := range fresh {
		s.usageIDs[e.EventID] = true
	}
	s.usage = append(s.usage, fresh...)
	if len(s.meters()) > 0 {
		s.schedule(now.Add(creditDelay), func(at time.Time) bool {
			taken := false
			for _, sub := range s.subscriptionOrder {
				taken = s.takeForUsage(sub, at, at) || taken
			}
			return taken
		})
	}
	return ingestResponse{len(fresh)}, nil
}

// malformedEvent is a 400. Dodo's status for an unacceptable event is UNCONFIRMED.
func malformedEvent(message string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: codeInvalidParameters, Message: message}
}

// checkUsageMetadata applies the limits of usage events, which differ from those of other
// metadata.
func checkUsageMetadata(m metadata) *Error {
	if len(m) > maxMetadataPairs {
		return refuse(codeTooManyKeys, "metadata has %d pairs, at most %d are allowed", len(m), maxMetadataPairs)
	}
	for key, raw := range m {
		var value any
		if json.Unmarshal(raw, &value) != nil || key == "" || utf8.RuneCountInString(key) > maxUsageKey {
			return malformedEvent("a metadata key has 1 to 100 characters")
		}
		switch v := value.(type) {
		case string:
			if utf8.RuneCountInString(v) > maxMetadataValue {
				return malformedEvent("a metadata value has at most 500 characters")
			}
		case float64, bool:
		default:
			return refuse(codeInvalidBody, "a metadata value must be a string, number or boolean")
		}
	}
	return nil
}

// getUsage answers GET /events/{id}.
func (s *Simulator) getUsage(r *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.usage {
		if e.EventID == r.PathValue("id") {
			return e, nil
		}
	}
	return nil, refuse(codeNotFound, "there is no event %s", r.PathValue("id"))
}

// listUsage answers GET /events, newest first by receipt: UNCONFIRMED.
func (s *Simulator) listUsage(r *http.Request) (any, error) {
	q := query{values: r.URL.Query()}
	window, customer, name := q.page(), q.text("customer_id"), q.text("event_name")
	from, to := q.instant("start"), q.instant("end")
	if q.refusal != nil {
		return nil, q.refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if id := q.text("meter_id"); id != "" {
		m, refusal := s.findMeter(id)
		switch {
		case refusal != nil:
			return nil, refusal
		case name != "" && name != m.EventName:
			return nil, malformedEvent("event_name is not the meter's")
		}
		name = m.EventName
	}
	items := []usageEvent{}
	for _, e := range slices.Backward(s.usage) {
		if (customer == "" || customer == e.CustomerID) && (name == "" || name == e.EventName) && within(e.Timestamp, from, to) {
			items = append(items, e)
		}
	}
	return list[usageEvent]{Items: slicePage(items, window)}, nil
}
