package store

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
)

// Client has the operations on a store by name: those of package book, each as one step, and
// short forms of reading.
type Client struct{ Store }

// Hold is [book.Book.Hold].
func (c Client) Hold(ctx context.Context, h book.Hold) (book.Held, error) {
	var held book.Held
	done, err := c.Update(ctx, h.Account, func(b *book.Book) (err error) {
		held, err = b.Hold(h)
		return err
	})
	if err != nil {
		return book.Held{}, err
	}
	held.Account = done.Account
	return held, nil
}

// End is [book.Book.End].
func (c Client) End(ctx context.Context, e book.End) (book.Ended, error) {
	e.Receipt = bytes.Clone(e.Receipt)
	var ended book.Ended
	done, err := c.Update(ctx, e.Account, func(b *book.Book) (err error) {
		ended, err = b.End(e)
		return err
	})
	if err != nil {
		return book.Ended{}, err
	}
	ended.Account = done.Account
	return ended, nil
}

// Committed is what a commit did.
type Committed struct {
	Entries []ledger.Entry // that it added
	Updated
}

// Commit is [book.Book.Commit].
func (c Client) Commit(ctx context.Context, of book.Commit) (Committed, error) {
	of = of.Own()
	var done Committed
	var err error
	done.Updated, err = c.Update(ctx, of.Account, func(b *book.Book) (err error) {
		done.Entries, err = b.Commit(of)
		return err
	})
	if err != nil {
		return Committed{}, err
	}
	return done, nil
}

// Act is [book.Book.Act].
func (c Client) Act(ctx context.Context, account, id string, a entitlement.Act) (book.Acted, error) {
	var done book.Acted
	_, err := c.Update(ctx, account, func(b *book.Book) (err error) {
		done, err = b.Act(id, a)
		return err
	})
	if err != nil {
		return book.Acted{}, err
	}
	return done, nil
}

// Acts is [book.Book.Acts].
func (c Client) Acts(ctx context.Context, account string) (acts []book.Acted, err error) {
	_, err = c.View(ctx, account, func(b *book.Book) (err error) {
		acts, err = b.Acts()
		return err
	})
	return acts, err
}

// Holds is [book.Book.Holds].
func (c Client) Holds(ctx context.Context, account string, limit int) (holds []*book.PlacedHold, err error) {
	_, err = c.View(ctx, account, func(b *book.Book) (err error) {
		holds, err = b.Holds(limit)
		return err
	})
	return holds, err
}

// Account reads an account, with its standings.
func (c Client) Account(ctx context.Context, account string) (entitlement.Account, error) {
	return c.View(ctx, account, nil)
}

// SignUp is Account for a visitor who may be new: when the account's ledger has no entry and
// of.Object was never written, it is committed first. The look and the commit are one step.
func (c Client) SignUp(ctx context.Context, of book.Commit) (entitlement.Account, error) {
	of.Version, of.Order, of.Settle = 0, nil, nil
	read, err := c.Account(ctx, of.Account) // most are not new
	if err != nil || read.Ledger.Seq > 0 {
		return read, err
	}
	of = of.Own()
	done, err := c.Update(ctx, of.Account, func(b *book.Book) error { return b.SignUp(of) })
	if err != nil {
		return entitlement.Account{}, err
	}
	if done.Account.StandingsRev != read.StandingsRev && !of.Effect.Standing.IsZero() {
		return c.Account(ctx, of.Account)
	}
	if done.Account.Ledger.Holds == nil {
		done.Account.Ledger.Holds = read.Ledger.Holds
	}
	done.Account.Standings = read.Standings
	return done.Account, nil
}

// Object reads the merged state of one of an account's objects; the zero one if it was never
// written.
func (c Client) Object(ctx context.Context, account string, ref entitlement.Ref) (book.Object, error) {
	var object book.Object
	_, err := c.View(ctx, account, func(b *book.Book) (err error) {
		object, err = b.Object(ref)
		return err
	})
	if err != nil {
		return book.Object{}, err
	}
	return object, nil
}

// Order reads one of an account's orders, or [ErrNotFound].
func (c Client) Order(ctx context.Context, account, id string) (book.Order, error) {
	var order *book.Order
	_, err := c.View(ctx, account, func(b *book.Book) (err error) {
		order, err = b.Order(id)
		return err
	})
	switch {
	case err != nil:
		return book.Order{}, err
	case order == nil:
		return book.Order{}, fmt.Errorf("order: %w", ErrNotFound)
	}
	return *order, nil
}

// CreateOrder is [book.Book.CreateOrder].
func (c Client) CreateOrder(ctx context.Context, o book.Order, key book.Key) (book.Order, book.Start, error) {
	o = o.Own()
	var result book.Order
	var start book.Start
	_, err := c.Update(ctx, o.Account, func(b *book.Book) (err error) {
		result, start, err = b.CreateOrder(o, key)
		return err
	})
	if err != nil {
		return book.Order{}, "", err
	}
	return result, start, nil
}

// OpenOrder is [book.Book.OpenOrder]. What was claimed stays claimed if it is refused.
func (c Client) OpenOrder(ctx context.Context, o book.Order, key book.Key) error {
	var refused error
	_, err := c.Update(ctx, o.Account, func(b *book.Book) (err error) {
		refused, err = b.OpenOrder(o, key)
		return err
	})
	if err == nil && refused != nil {
		return fmt.Errorf("open order: %w", refused)
	}
	return err
}

// DropOrder is [book.Book.DropOrder].
func (c Client) DropOrder(ctx context.Context, o book.Order, key book.Key) error {
	_, err := c.Update(ctx, o.Account, func(b *book.Book) error { return b.DropOrder(o, key) })
	return err
}

// Owner is the account that ref is bound to; "" when it is not.
func (c Client) Owner(ctx context.Context, ref entitlement.Ref) (string, error) {
	return c.Claim(ctx, ref, "")
}

// Record stores a delivery of an event in the journal, and returns the event as it is stored now.
func (c Client) Record(ctx context.Context, e book.Event) (book.Event, error) {
	r, err := c.Receive(ctx, Delivery{Event: e}, nil)
	return r.Event, err
}

// noteTries is how often a note is replaced anew because somebody else has replaced it.
const noteTries = 16

// Set keeps text under name, whatever was kept.
func (c Client) Set(ctx context.Context, name, text string) error {
	seen := ""
	for range noteTries {
		kept, err := c.Note(ctx, name, seen, text)
		if err != nil || kept == text {
			return err
		}
		seen = kept
	}
	return fmt.Errorf("%w: set %s: it is changed all the time", ErrUnavailable, name)
}

// markPrefix begins the names of the notes that are marks.
const markPrefix = "mark:"

// never is the mark of the zero time.
const never = "-"

// Mark reads how far background work has come; zero when it was never noted.
func (c Client) Mark(ctx context.Context, name string) (time.Time, error) {
	text, err := c.Note(ctx, markPrefix+name, "", "")
	if err != nil || text == "" || text == never {
		return time.Time{}, err
	}
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: mark %s is damaged: %w", ErrUnavailable, name, err)
	}
	return time.UnixMilli(ms).UTC(), nil
}

// SetMark notes how far background work has come, to the millisecond. The last one that is set
// stays.
func (c Client) SetMark(ctx context.Context, name string, at time.Time) error {
	at, err := book.Time(at)
	if err != nil {
		return fmt.Errorf("set mark: %w", err)
	}
	text := never
	if !at.IsZero() {
		text = strconv.FormatInt(at.UnixMilli(), 10)
	}
	return c.Set(ctx, markPrefix+name, text)
}

// clockAccount is looked at to read the clock. It is never written.
const clockAccount = "dodogate's clock"

// Now is the time by the store's own clock.
func (c Client) Now(ctx context.Context) (now time.Time, err error) {
	_, err = c.View(ctx, clockAccount, func(b *book.Book) error {
		now = b.Now
		return nil
	})
	return now, err
}

// Pinger is a store that can tell whether it serves better than by a read.
type Pinger interface {
	Ping(ctx context.Context) error
}

// Ping reports whether the store can serve, by a cheap round trip.
func (c Client) Ping(ctx context.Context) error {
	if p, ok := c.Store.(Pinger); ok {
		return p.Ping(ctx)
	}
	_, err := c.Note(ctx, "format", "", "")
	return err
}
