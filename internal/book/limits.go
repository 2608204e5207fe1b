package book

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
)

// What can be kept. Decisions refuse the rest.
const (
	MaxAccount = 256  // bytes of an account's id
	MaxName    = 1024 // bytes of any other name; far below bbolt's limit of a key
	lastYear   = 9999 // the last that RFC 3339 and so JSON can write
)

var (
	errNoAccount   = errors.New("account id is empty")
	errLongAccount = fmt.Errorf("account id is longer than %d bytes", MaxAccount)
	errLongName    = fmt.Errorf("name is longer than %d bytes", MaxName)
	errNoHold      = errors.New("hold id is empty")
	errReceipt     = fmt.Errorf("receipt is longer than %d bytes", MaxReceipt)
	errNoOrder     = errors.New("order id is empty")
	errNoSession   = errors.New("order has no session")
	errNoEvent     = errors.New("event id is empty")
	errNotFinal    = errors.New("event is not settled in a final state")
	errTime        = fmt.Errorf("time is not in the years 1 to %d", lastYear)
)

// CheckAccount refuses ids that cannot name one account. The empty id stands for
// a visitor without an account.
func CheckAccount(id string) error {
	switch {
	case id == "":
		return errNoAccount
	case len(id) > MaxAccount:
		return errLongAccount
	}
	return nil
}

// CheckNames refuses names of orders, keys, grants, events and notes that are longer than
// [MaxName].
func CheckNames(names ...string) error {
	for _, name := range names {
		if len(name) > MaxName {
			return errLongName
		}
	}
	return nil
}

// CheckRef refuses a reference that is longer than [MaxName].
func CheckRef(ref entitlement.Ref) error {
	if len(ref.Kind)+len(":")+len(ref.ID) > MaxName {
		return errLongName
	}
	return nil
}

// Check refuses an event whose names cannot be kept.
func (e Event) Check() error {
	if e.ID == "" {
		return errNoEvent
	}
	return CheckNames(e.ID, e.Type, e.Object, e.Account)
}

// Time is t in UTC milliseconds; zero stays zero.
func Time(t time.Time) (time.Time, error) {
	if t.IsZero() {
		return time.Time{}, nil
	}
	t = t.UTC().Truncate(time.Millisecond)
	if y := t.Year(); y < 1 || y > lastYear {
		return time.Time{}, errTime
	}
	return t, nil
}

func (h Hold) check() error {
	if h.ID == "" {
		return errNoHold
	}
	if h.Amount < 0 || h.Amount > ledger.Max {
		return ledger.ErrRange
	}
	return CheckNames(h.ID, h.By, h.Fingerprint)
}

func (e End) check() error {
	if e.ID == "" {
		return errNoHold
	}
	if e.Captured < 0 || e.Captured > ledger.Max {
		return ledger.ErrRange
	}
	if len(e.Receipt) > MaxReceipt {
		return errReceipt
	}
	return CheckNames(e.ID, e.By)
}

// checked is the commit with the times of its targets in UTC milliseconds, in a list of its own.
func (c Commit) checked() (Commit, error) {
	if err := errors.Join(CheckRef(c.Object), CheckNames(c.Cause)); err != nil {
		return c, err
	}
	if c.Order != nil {
		if err := CheckNames(c.Order.ID, c.Order.PaymentID); err != nil {
			return c, err
		}
	}
	if c.Settle != nil {
		if !c.Settle.Event.State.Final() {
			return c, errNotFinal
		}
		if err := c.Settle.Event.Check(); err != nil {
			return c, err
		}
	}
	if _, err := c.Effect.Standing.AppendJSON(nil); err != nil {
		return c, fmt.Errorf("standing: %w", err)
	}
	targets := make([]ledger.Target, len(c.Effect.Grants))
	for i, t := range c.Effect.Grants {
		if err := CheckNames(t.ID, t.Into); err != nil {
			return c, err
		}
		var err1, err2, err3 error
		t.StartsAt, err1 = Time(t.StartsAt)
		t.ExpiresAt, err2 = Time(t.ExpiresAt)
		t.CreatedAt, err3 = Time(t.CreatedAt)
		if err := errors.Join(err1, err2, err3); err != nil {
			return c, fmt.Errorf("grant %q: %w", t.ID, err)
		}
		targets[i] = t
	}
	c.Effect.Grants = targets
	return c, nil
}

// checked is the order with its times in UTC milliseconds.
func (o Order) checked(key Key) (Order, error) {
	if o.ID == "" {
		return o, errNoOrder
	}
	if err := CheckNames(o.ID, o.SessionID, key.Hash, key.Fingerprint); err != nil {
		return o, err
	}
	var err1, err2 error
	o.CreatedAt, err1 = Time(o.CreatedAt)
	o.ExpiresAt, err2 = Time(o.ExpiresAt)
	return o, errors.Join(err1, err2)
}

// Own is the commit without anything that is its caller's, who may have gone when it is decided.
func (c Commit) Own() Commit {
	c.State = bytes.Clone(c.State)
	c.Effect.Grants = slices.Clone(c.Effect.Grants)
	if c.Order != nil {
		order := *c.Order
		c.Order = &order
	}
	if c.Settle != nil {
		settle := *c.Settle
		settle.Event.Body, settle.Retention.Body = nil, bytes.Clone(settle.Retention.Body)
		c.Settle = &settle
	}
	return c
}

// Own is the order without anything that is its caller's.
func (o Order) Own() Order {
	o.Terms = maps.Clone(o.Terms)
	return o
}
