package gateway

import (
	"context"
	"maps"
	"slices"
	"time"
)

// ReconcileStatus is how far the passes over Dodo's lists have come, whichever gateway made them.
type ReconcileStatus struct {
	Lists []ListStatus // in the order of [ListNames]
	// Unread are the objects that are kept apart because they could not be read or applied, by
	// their names, such as payment:pay_1.
	Unread []string
}

// ListStatus is how far the passes have come with one list.
type ListStatus struct {
	Name ListName
	// Mark is from when on the next pass reads; zero if none has come to the end of the list.
	Mark time.Time
	// FullAt is when a walk began that read the whole list; zero if none has come to its end.
	FullAt time.Time
	// Walking: a walk of the whole list is under way, and everything made before WalkedTo is
	// done.
	Walking  bool
	WalkedTo time.Time
	Gaps     int    // windows that are kept apart because they could not be read
	Unread   int    // objects of it that are kept apart
	Error    string // why the list could not be read in the last pass
	ErrorAt  time.Time
}

// ReconcileStatus reads how far the passes have come.
func (e *Events) ReconcileStatus(ctx context.Context) (ReconcileStatus, error) {
	r := newReconciliation(e, passRequest{})
	if err := r.load(ctx); err != nil {
		return ReconcileStatus{}, err
	}
	s := ReconcileStatus{Unread: slices.Sorted(maps.Keys(r.unread.byRef))}
	for _, w := range r.walks {
		l := ListStatus{
			Name: w.list.name, Mark: second(w.state.Mark), FullAt: second(w.state.FullAt),
			Gaps: len(w.gaps), Unread: r.unread.of(w.list.kind), Error: w.state.Error, ErrorAt: second(w.state.ErrorAt),
		}
		if full := w.state.Full; full != nil && full.Next+full.Step > 0 {
			l.Walking, l.WalkedTo = true, second(full.Next)
		}
		s.Lists = append(s.Lists, l)
	}
	return s, nil
}
