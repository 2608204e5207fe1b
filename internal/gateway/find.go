package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store"
)

// Match is something that a search has found.
type Match struct {
	What    string // what the text is: account, payment, event, e-mail address…
	ID      string // of it; empty for an e-mail address
	Account string // that it belongs to; empty: nobody's yet
	About   string // what it is about, with amounts and products
}

// findable are the kinds of object that a bare id may be of.
var findable = []entitlement.Kind{
	entitlement.KindPayment, entitlement.KindSubscription, entitlement.KindCustomer, entitlement.KindSession,
	entitlement.KindOrder, entitlement.KindFeature,
}

// Find looks for whatever an operator may have: an account's id, an e-mail address that the
// login vouched for, Dodo's id of a payment, subscription, customer or checkout session, an
// order, an event, or the id of a charge. Nothing is written. It returns nothing if none of
// these was ever seen.
func (a *Accounts) Find(ctx context.Context, text string) ([]Match, error) {
	f := finding{Accounts: a, ctx: ctx, text: strings.TrimSpace(text)}
	if f.text == "" || len(f.text) > book.MaxName/2 {
		return nil, nil
	}
	for _, step := range []func() error{f.account, f.email, f.objects, f.event, f.charge} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return f.matches, nil
}

// finding is a search under way.
type finding struct {
	*Accounts
	ctx     context.Context
	text    string
	matches []Match
}

func (f *finding) add(m Match) {
	if !slices.Contains(f.matches, m) {
		f.matches = append(f.matches, m)
	}
}

func (f *finding) account() error {
	if len(f.text) > MaxAccount {
		return nil
	}
	v, err := f.Inspect(f.ctx, f.text)
	if err != nil {
		return fmt.Errorf("look for an account: %w", err)
	}
	if v.Known() {
		verdict, err := f.Verdict(f.ctx, f.text, v)
		if err != nil {
			return err
		}
		f.add(Match{What: "account", ID: f.text, Account: f.text, About: verdict})
	}
	return nil
}

// email finds accounts by an address: those that the login vouched for, and parked purchases
// with which a customer has typed it.
func (f *finding) email() error {
	if !strings.Contains(f.text, "@") || len(f.text) > maxEmail {
		return nil
	}
	matched, err1 := f.emailRef(f.ctx, f.text)
	contact, err2 := f.contactRef(f.ctx, f.text)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	for _, ref := range []entitlement.Ref{contact, matched} {
		account, err := f.store.Owner(f.ctx, ref)
		if err != nil {
			return fmt.Errorf("look for an e-mail address: %w", err)
		}
		if account != "" {
			f.add(Match{What: "e-mail address", Account: account, About: "the login vouched for it"})
		}
	}
	return f.eachParked(func(e book.Event, fact *dodo.Fact) {
		if fact != nil && strings.EqualFold(fact.Clues.CustomerEmail, f.text) {
			f.add(f.eventMatch(e))
		}
	})
}

// eachParked calls each for the oldest parked events.
func (f *finding) eachParked(each func(book.Event, *dodo.Fact)) error {
	after := ""
	for range maxSearched {
		page, next, err := f.store.Parked(f.ctx, "", after, redrivePage)
		if err != nil {
			return fmt.Errorf("read parked events: %w", err)
		}
		for _, e := range page {
			event, _ := dodo.Decode(e.Body) // one that is unclear has no fact
			each(e, event.Fact)
		}
		if after = next; next == "" {
			break
		}
	}
	return nil
}

// objects finds things at Dodo and orders, by the bare id or as kind:id, and what is parked
// under them.
func (f *finding) objects() error {
	kinds, id := findable, f.text
	if ref, ok := entitlement.ParseRef(f.text); ok && slices.Contains(findable, ref.Kind) {
		kinds, id = []entitlement.Kind{ref.Kind}, ref.ID
	}
	if !eventID.MatchString(id) {
		return nil
	}
	for _, kind := range kinds {
		ref := entitlement.Ref{Kind: kind, ID: id}
		account, err := f.store.Owner(f.ctx, ref)
		if err != nil {
			return fmt.Errorf("look for a %s: %w", kind, err)
		}
		if account != "" {
			about, err := f.about(account, ref)
			if err != nil {
				return err
			}
			f.add(Match{What: string(kind), ID: id, Account: account, About: about})
		}
		parked, _, err := f.store.Parked(f.ctx, ref.String(), "", redrivePage)
		if err != nil {
			return fmt.Errorf("read parked events: %w", err)
		}
		for _, e := range parked {
			f.add(f.eventMatch(e))
		}
	}
	return nil
}

// about says what an object is about.
func (f *finding) about(account string, ref entitlement.Ref) (string, error) {
	if ref.Kind == entitlement.KindOrder {
		o, err := f.store.Order(f.ctx, account, ref.ID)
		if errors.Is(err, store.ErrNotFound) {
			return "", nil
		}
		return orderText(o), err
	}
	r, err := f.record(f.ctx, account, ref)
	if err != nil {
		return "", err
	}
	return f.recordText(r), nil
}

func orderText(o book.Order) string {
	return fmt.Sprintf("%d × %s, %s, made on %s", o.Quantity, o.Product, o.State, day(o.CreatedAt))
}

// recordText says what is known of a payment or subscription.
func (p *parts) recordText(r entitlement.Record) string {
	switch pay, sub := r.Payment, r.Subscription.State; {
	case pay.Status != "", len(pay.Refunds)+len(pay.Disputes) > 0:
		return p.paymentText(pay)
	case sub.Status != "":
		text := fmt.Sprintf("%s, %s, until %s", p.productText(sub.ProductID, sub.Quantity), sub.Status, day(sub.PeriodEnd))
		if sub.Currency != "" {
			text += ", " + Money(sub.Price, sub.Currency)
		}
		return text
	default:
		return ""
	}
}

func (p *parts) paymentText(pay entitlement.Payment) string {
	var said []string
	if pay.Status != "" {
		said = append(said, string(pay.Status))
	}
	if pay.Currency != "" {
		said = append(said, Money(pay.Total, pay.Currency))
	}
	for _, line := range pay.Cart {
		said = append(said, p.productText(line.ProductID, line.Quantity))
	}
	if pay.Subscription != "" {
		said = append(said, "of "+pay.Subscription)
	}
	if !pay.CreatedAt.IsZero() {
		said = append(said, "made on "+day(pay.CreatedAt))
	}
	for _, r := range pay.Refunds {
		switch {
		case r.Status != entitlement.RefundSucceeded:
			said = append(said, "refund "+string(r.Status))
		case r.Currency != "":
			said = append(said, "refunded "+Money(r.Amount, r.Currency))
		default:
			said = append(said, "refunded")
		}
	}
	for _, status := range pay.Disputes {
		said = append(said, "dispute "+string(status))
	}
	return strings.Join(said, ", ")
}

// productText names a product as the catalog does, or by Dodo's id.
func (p *parts) productText(id string, quantity int64) string {
	name := id
	if product, known := p.catalog.ByID(id); known {
		name = product.Name
	}
	return fmt.Sprintf("%d × %s", quantity, name)
}

func (f *finding) event() error {
	e, err := f.events.Event(f.ctx, f.text)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("look for an event: %w", err)
	}
	f.add(f.eventMatch(e))
	return nil
}

func (p *parts) eventMatch(e book.Event) Match {
	return Match{What: "event", ID: e.ID, Account: e.Account, About: p.EventText(e)}
}

// EventText says what an event is about: its type, what became of it, and its amount and
// products, as far as its body still has them. It has nothing about people.
func (p *parts) EventText(e book.Event) string {
	text := fmt.Sprintf("%s, %s", e.Type, e.State)
	if e.Reason != "" {
		text += " (" + e.Reason + ")"
	}
	if about := p.eventAbout(e); about != "" {
		text += ": " + about
	}
	if e.Object != "" {
		text += ", " + e.Object
	}
	return text
}

// eventAbout is the amount and the products of an event; empty if its body has none.
func (p *parts) eventAbout(e book.Event) string {
	event, err := dodo.Decode(e.Body)
	if err != nil || event.Fact == nil {
		return ""
	}
	return p.recordText(entitlement.Record{Payment: event.Fact.Payment, Subscription: event.Fact.Subscription})
}
