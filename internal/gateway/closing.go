package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
)

// Closed is what the closing of an account removed.
type Closed struct {
	Act book.Acted
	// Orders lost their e-mail address and their addresses at Dodo and at the site.
	Orders int
	// Events lost the personal data in their bodies.
	Events int
	// Addresses lead to the account no more. It has one that was typed by the operator, too.
	Addresses int
	// More: the account has more entries or orders than were looked through.
	More bool
}

// CloseAccount removes the personal data of an account: e-mail addresses of its orders, what
// leads from an address to it, and personal data in the bodies of its events. What money needs
// stays: its ledger, objects, orders and acts, under the account's id. addresses are those
// that the operator knows, besides those of the orders. Only the newest orders and entries are looked
// through.
func (a *Accounts) CloseAccount(ctx context.Context, d Doing, addresses ...string) (Closed, error) {
	if d.Account == "" || len(d.Account) > MaxAccount {
		return Closed{}, ErrAccount
	}
	d.Kind, d.ID = entitlement.ActClose, cmp.Or(d.ID, NewActID())
	if err := book.CheckAct(d.ID, d.Act); err != nil {
		return Closed{}, err
	}
	v, err := a.Inspect(ctx, d.Account)
	if err != nil {
		return Closed{}, err
	}
	if !v.Known() {
		return Closed{}, fmt.Errorf("account: never seen: %w", store.ErrNotFound)
	}
	var done Closed
	if done.Events, done.More, err = a.redactEvents(ctx, d.Account); err != nil {
		return done, err
	}
	reach := book.Reach{}
	for _, o := range v.Purchases {
		reach.Forget = append(reach.Forget, o.ID)
		if o.Email != "" {
			addresses = append(addresses, o.Email)
		}
	}
	done.Orders, done.More = len(reach.Forget), done.More || len(v.Purchases) >= book.MaxPurchases
	for _, address := range addresses {
		matched, err1 := a.emailRef(ctx, address)
		contact, err2 := a.contactRef(ctx, address)
		if err := errors.Join(err1, err2); err != nil {
			return done, err
		}
		for _, ref := range []entitlement.Ref{matched, contact} {
			owner, err := a.store.Owner(ctx, ref)
			if err != nil {
				return done, err
			}
			if owner == d.Account {
				reach.Free = append(reach.Free, ref)
				done.Addresses++
			}
		}
	}
	done.Act, err = a.actOn(ctx, d, func(*book.Book) (book.Reach, error) { return reach, nil })
	return done, err
}

// redactEvents removes personal data from the bodies of the account's events that are done: those
// that caused an entry.
func (a *Accounts) redactEvents(ctx context.Context, account string) (n int, more bool, err error) {
	seen := make(map[string]bool)
	looked := 0
	for before := MaxEntry; before > 0; {
		if looked >= maxJudged {
			return n, true, nil
		}
		var entries []ledger.Entry
		if entries, before, err = a.Entries(ctx, account, before, store.MaxEntries); err != nil {
			return n, false, err
		}
		looked += len(entries)
		for _, e := range entries {
			if seen[e.Cause] || e.Kind == ledger.KindCapture || !eventID.MatchString(e.Cause) {
				continue
			}
			seen[e.Cause] = true
			record, err := a.events.Event(ctx, e.Cause)
			if errors.Is(err, store.ErrNotFound) || err == nil && (!record.State.Final() || record.Account != account) {
				continue
			}
			if err == nil {
				keep := a.events.retention(record)
				keep.Body = dodo.Redact(record.Body)
				err = a.store.Settle(ctx, record, keep)
			}
			if err != nil {
				return n, false, fmt.Errorf("redact event %s: %w", e.Cause, err)
			}
			n++
		}
	}
	return n, false, nil
}
