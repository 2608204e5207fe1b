package caddymodule

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store"
)

// eventView is what is shown of an event: all but its body.
type eventView struct {
	ID         string          `json:"id"`
	Type       string          `json:"type"`
	State      book.EventState `json:"state"`
	Reason     string          `json:"reason,omitempty"` // why it is parked
	Object     string          `json:"object,omitempty"`
	Account    string          `json:"account,omitempty"`
	About      string          `json:"about,omitempty"` // amounts and products; only in a list of the journal
	ReceivedAt time.Time       `json:"received_at"`     // the first time
	Deliveries int64           `json:"deliveries"`
	// Dismissed is who dismissed it, when and why.
	Dismissed *gateway.Dismissal `json:"dismissed,omitempty"`
}

func showEventView(e book.Event) eventView {
	return eventView{
		ID: e.ID, Type: e.Type, State: e.State, Reason: e.Reason, Object: e.Object, Account: e.Account,
		ReceivedAt: e.ReceivedAt.UTC(), Deliveries: e.Deliveries,
	}
}

func showJournalEvent(e gateway.JournalEvent) eventView {
	v := showEventView(e.Event)
	v.About = e.About
	return v
}

// parkedPage is a page of what is parked, the oldest first.
type parkedPage struct {
	Events []eventView `json:"events"`
	Next   string      `json:"next,omitempty"` // the after of the page that follows
}

// listParked serves GET /dodo/parked. The store's own word for where a page ends
// may be any bytes.
func listParked(a *App, r *http.Request) (any, error) {
	after, limit, err := pageAfter(r)
	if err != nil {
		return nil, err
	}
	events, next, err := a.events.ParkedEvents(r.Context(), after, limit)
	if err != nil {
		return nil, err
	}
	return parkedPage{
		Events: viewsOf(events, showEventView),
		Next:   base64.RawURLEncoding.EncodeToString([]byte(next)),
	}, nil
}

// journalPage is a page of the journal, in an order of the store's own.
type journalPage struct {
	Events []eventView `json:"events"`
	Looked int         `json:"looked"`         // how many events were looked at
	Next   string      `json:"next,omitempty"` // the after of the page that follows
}

// listEvents serves GET /dodo/events. A page may be empty, and an event may be on two pages.
func listEvents(a *App, r *http.Request) (any, error) {
	after, limit, err := pageAfter(r, "account", "state", "type", "since")
	if err != nil {
		return nil, err
	}
	query := r.URL.Query()
	filter := gateway.EventFilter{Account: query.Get("account"), Type: query.Get("type"), State: book.EventState(query.Get("state"))}
	if text := query.Get("since"); text != "" {
		if filter.Since, err = time.Parse(time.RFC3339, text); err != nil {
			return nil, fmt.Errorf("%w: since must be a time such as 2026-11-30T09:00:00Z", errAdminRequest)
		}
	}
	switch filter.State {
	case "", book.EventReceived, book.EventApplied, book.EventIgnored, book.EventParked:
	default:
		return nil, fmt.Errorf("%w: state must be received, applied, ignored or parked", errAdminRequest)
	}
	events, looked, next, err := a.events.ListEvents(r.Context(), after, limit, filter)
	if err != nil {
		return nil, err
	}
	return journalPage{Events: viewsOf(events, showJournalEvent), Looked: looked, Next: base64.RawURLEncoding.EncodeToString([]byte(next))}, nil
}

// eventError says of an event that is not there what that means.
func eventError(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("this event is not in the journal: the id is another one, the event never arrived, or it is older than keep_events: %w", err)
	}
	return fmt.Errorf("event: %w", err)
}

// showEvent serves GET /dodo/events/<id>.
func showEvent(a *App, r *http.Request) (any, error) {
	e, err := a.events.Event(r.Context(), r.PathValue("id"))
	if err != nil {
		return nil, eventError(err)
	}
	return dismissedView(a, r, e)
}

// redriven is what came of trying all that is parked.
type redriven struct {
	Tried   int            `json:"tried"`
	Applied int            `json:"applied"`
	Parked  map[string]int `json:"parked"` // what stays, by reason
}

// redriveAll serves POST /dodo/redrive.
func redriveAll(a *App, r *http.Request) (any, error) {
	did, err := a.events.RedriveAll(r.Context())
	if did.Parked != nil {
		metrics.redriven(did.Parked)
	}
	if err != nil {
		return nil, fmt.Errorf("of %d parked events %d were applied: %w", did.Tried, did.Applied, err)
	}
	return redriven{Tried: did.Tried, Applied: did.Applied, Parked: did.Parked}, nil
}

// redrivenEvent is what came of trying one event.
type redrivenEvent struct {
	Outcome gateway.Outcome `json:"outcome"`
	Event   eventView       `json:"event"` // as it is now
}

// redriveOne serves POST /dodo/redrive/<id>.
func redriveOne(a *App, r *http.Request) (any, error) {
	outcome, e, err := a.events.RedriveEvent(r.Context(), r.PathValue("id"))
	if err != nil {
		return nil, eventError(err)
	}
	return redrivenEvent{Outcome: outcome, Event: showEventView(e)}, nil
}
