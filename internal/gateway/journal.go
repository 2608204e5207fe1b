package gateway

import (
	"context"
	"errors"
	"regexp"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/store"
)

var eventID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`)

// Event reads an event from the journal, or [store.ErrNotFound].
func (e *Events) Event(ctx context.Context, id string) (book.Event, error) {
	if !eventID.MatchString(id) {
		return book.Event{}, store.ErrNotFound
	}
	return e.store.Event(ctx, id)
}

// EventFilter chooses events of the journal. What is empty chooses all.
type EventFilter struct {
	Account, Type string
	State         book.EventState
	Since         time.Time // of the first delivery
}

func (f EventFilter) has(e book.Event) bool {
	return (f.Account == "" || e.Account == f.Account) && (f.Type == "" || e.Type == f.Type) &&
		(f.State == "" || e.State == f.State) && !e.ReceivedAt.Before(f.Since)
}

// JournalEvent is an event without its body.
type JournalEvent struct {
	book.Event
	About string // amounts and products, as far as the body has them; nothing about people
}

// ListEvents looks through a page of the journal, in an order of the store's own, and returns the
// events that the filter chooses, and how many it has looked at. next is the after of the page
// that follows; "" when there are no more. A page may repeat events.
func (e *Events) ListEvents(ctx context.Context, after string, limit int, filter EventFilter) (events []JournalEvent, looked int, next string, err error) {
	if e.lister == nil {
		return nil, 0, "", store.ErrNoLister
	}
	ids, next, err := e.lister.EventIDs(ctx, after, limit)
	if err != nil {
		return nil, 0, "", err
	}
	for _, id := range ids {
		event, err := e.store.Event(ctx, id)
		switch {
		case errors.Is(err, store.ErrNotFound): // it has ended meanwhile
		case err != nil:
			return nil, 0, "", err
		case filter.has(event):
			listed := JournalEvent{event, e.eventAbout(event)}
			listed.Body = nil
			events = append(events, listed)
		}
	}
	return events, len(ids), next, nil
}

// ParkedEvents reads what is parked, see [store.Journal].
func (e *Events) ParkedEvents(ctx context.Context, after string, limit int) (events []book.Event, next string, err error) {
	return e.store.Parked(ctx, "", after, limit)
}
