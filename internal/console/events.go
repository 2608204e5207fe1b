package console

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store"
)

// maxEvents is how many parked events a page has.
const maxEvents = 50

// parkedPage is the data of parked.html.
type parkedPage struct {
	Events []parked
	Next   string // address of the page that follows; empty: there is none
}

// parked is an event with what its reason means and what can be done.
type parked struct {
	book.Event
	Means string
	// Assign: it waits for somebody to say whose it is.
	Assign bool
}

// acts is the data of the forms of an event.
type acts struct {
	Token string
	Event parked
}

// meanings of the reasons why an event is parked, and what helps.
var meanings = map[string]string{
	gateway.ReasonUnclear:        "Its body cannot be read. Look at it in Dodo's dashboard.",
	gateway.ReasonUnknownAccount: "Nothing says whose it is. Assign it to an account.",
	gateway.ReasonUnknownProduct: "The catalog does not have the product. Add it, reload, and try again.",
	gateway.ReasonUnknownAddon:   "The catalog does not have the add-on. Add it, reload, and try again.",
	gateway.ReasonOutOfRange:     "It gives more credits than can be counted. Look at the product in the catalog.",
	gateway.ReasonUnderpaid:      "Less than min_amount was paid. Decide by hand: grant something, refund it, or dismiss it.",
	gateway.ReasonGivesNothing:   "Somebody paid, and nothing says what for. Add the product, or refund it.",
	gateway.ReasonOtherBusiness:  "It is of another business at Dodo. Name that in the option business, or dismiss it.",
	gateway.ReasonDamaged:        "The records of its account are damaged. Mend them with dodogate dodo rebuild, then try again.",
	gateway.ReasonImported:       "It is about a payment whose credits were imported. Take them back by hand, or dismiss it.",
}

func parkedOf(e book.Event) parked {
	return parked{e, meanings[e.Reason], e.State == book.EventParked && e.Reason == gateway.ReasonUnknownAccount}
}

func listParked(r *request) (view, error) {
	after, err := base64.RawURLEncoding.DecodeString(r.input.Get("after"))
	if err != nil {
		return view{}, fmt.Errorf("%w: after must be from a link of the console", errInput)
	}
	events, next, err := r.Events.ParkedEvents(r.Context(), string(after), maxEvents)
	if err != nil {
		return view{}, fmt.Errorf("read what is parked: %w", err)
	}
	p := parkedPage{}
	for _, e := range events {
		p.Events = append(p.Events, parkedOf(e))
	}
	if next != "" {
		p.Next = Pages + "parked?" + url.Values{"after": {base64.RawURLEncoding.EncodeToString([]byte(next))}}.Encode()
	}
	return view{Title: "Parked events", page: "parked.html", Data: p}, nil
}

func showEvent(r *request) (view, error) {
	e, err := r.Events.Event(r.Context(), r.input.Get("id"))
	if err != nil {
		return view{}, noEvent(err)
	}
	return view{Title: "Event " + shown(e.ID), page: "event.html", Data: parkedOf(e)}, nil
}

// noEvent says of an event that is not there what that means.
func noEvent(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("this event is not in the journal: the id is another one, the event never arrived, or it is older than keep_events: %w", err)
	}
	return fmt.Errorf("read the event: %w", err)
}

// done is the data of done.html: what an act did.
type done struct {
	Said    []string
	Account string // to go to; empty: none
	Event   string
}

// redrive tries an event again, or everything that is parked if none is named.
func redrive(r *request) (view, error) {
	id := r.input.Get("id")
	if id == "" {
		return redriveAll(r)
	}
	outcome, e, err := r.Events.RedriveEvent(r.Context(), id)
	if err != nil {
		return view{}, noEvent(err)
	}
	d := done{Said: []string{fmt.Sprintf("The event %s was tried again: it is %s now.", id, outcome)}, Account: e.Account, Event: id}
	if e.State == book.EventParked {
		d.Said = append(d.Said, "It stays parked: "+e.Reason+". "+meanings[e.Reason])
	}
	return view{Title: "Tried again", page: "done.html", Data: d}, nil
}

func redriveAll(r *request) (view, error) {
	did, err := r.Events.RedriveAll(r.Context())
	if did.Parked != nil {
		r.Redriven(did.Parked)
	}
	if err != nil {
		return view{}, fmt.Errorf("of %d parked events %d were applied: %w", did.Tried, did.Applied, err)
	}
	d := done{Said: []string{fmt.Sprintf("%d events were tried again, and %d of them are parked no more.", did.Tried, did.Applied)}}
	var reasons []string
	for reason, n := range did.Parked {
		reasons = append(reasons, fmt.Sprintf("%s: %d.", reason, n))
	}
	slices.Sort(reasons)
	if len(reasons) > 0 {
		d.Said = append(d.Said, "Those that stay, by reason: "+strings.Join(reasons, " "))
	}
	return view{Title: "Tried again", page: "done.html", Data: d}, nil
}

// doing is what a form has an operator do to the thing that a field names.
func (r *request) doing(field string) gateway.Doing {
	return gateway.Doing{Account: r.input.Get("account"), Act: entitlement.Act{
		By: r.By, Object: r.input.Get(field), Reason: cmp.Or(strings.TrimSpace(r.input.Get("reason")), "in the console, without a reason"),
	}}
}

// assign says whose a purchase is.
func assign(r *request) (view, error) {
	did, err := r.Events.Assign(r.Context(), r.doing("what"))
	if errors.Is(err, store.ErrNotFound) {
		return view{}, noEvent(err)
	}
	if err != nil {
		return view{}, err
	}
	d := done{Said: []string{fmt.Sprintf("%s belongs to %s now.", did.Object, shown(did.Account))}, Account: did.Account}
	if did.Unread != "" {
		d.Said = append(d.Said, "What it gives is not known yet: "+did.Unread)
	}
	return view{Title: "Assigned", page: "done.html", Data: d}, nil
}

// dismiss says that nothing is to be done about an event.
func dismiss(r *request) (view, error) {
	e, err := r.Events.Dismiss(r.Context(), r.doing("id"))
	if err != nil {
		return view{}, noEvent(err)
	}
	return view{Title: "Dismissed", page: "done.html", Data: done{
		Said:  []string{fmt.Sprintf("Nothing is to be done about the event %s. To take it up again, try it again.", e.ID)},
		Event: e.ID,
	}}, nil
}
