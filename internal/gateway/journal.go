package gateway

import (
	"context"
	"regexp"

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

// ParkedEvents reads what is parked, see [store.Journal].
func (e *Events) ParkedEvents(ctx context.Context, after string, limit int) (events []book.Event, next string, err error) {
	return e.store.Parked(ctx, "", after, limit)
}
