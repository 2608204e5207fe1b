package record

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
)

const (
	maxAccount = 256  // bytes, DESIGN 2
	maxName    = 1024 // bytes of any other name; far below bbolt's limit of a key
	lastYear   = 9999 // the last that RFC 3339 and so JSON can write
)

var (
	errNoAccount   = errors.New("account id is empty")
	errLongAccount = fmt.Errorf("account id is longer than %d bytes", maxAccount)
	errLongName    = fmt.Errorf("name is longer than %d bytes", maxName)
	errNoHold      = errors.New("hold id is empty")
	errReceipt     = fmt.Errorf("receipt is longer than %d bytes", book.MaxReceipt)
	errNoSession   = errors.New("order has no session")
	errNotFinal    = errors.New("event is not settled in a final state")
	errTime        = fmt.Errorf("time is not in the years 1 to %d", lastYear)
)

// CheckAccount refuses ids that cannot name one account. The empty one is
// refused because it is what a visitor has who has no account.
func CheckAccount(id string) error {
	switch {
	case id == "":
		return errNoAccount
	case len(id) > maxAccount:
		return errLongAccount
	}
	return nil
}

// CheckNames refuses names of objects, orders, keys, grants and events that are
// longer than 1,024 bytes.
func CheckNames(names ...string) error {
	for _, name := range names {
		if len(name) > maxName {
			return errLongName
		}
	}
	return nil
}

// CheckCommit refuses what no store can write, and returns c with the times of
// its targets in UTC milliseconds. The slices of the result are its own.
func CheckCommit(c book.Commit) (book.Commit, error) {
	if err := CheckAccount(c.Account); err != nil {
		return c, err
	}
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
		if err := CheckEvent(c.Settle.Event); err != nil {
			return c, err
		}
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

// OwnCommit is CheckCommit for a commit that waits: it refuses a standing that cannot be written,
// too, and nothing of the result is the caller's, who may be gone by then.
func OwnCommit(c book.Commit) (book.Commit, error) {
	c, err := CheckCommit(c)
	if err == nil {
		_, err = Standing(c.Effect.Standing)
	}
	if err != nil {
		return c, fmt.Errorf("commit %s: %w", c.Object, err)
	}
	c.State = bytes.Clone(c.State)
	if c.Order != nil {
		order := *c.Order
		c.Order = &order
	}
	if c.Settle != nil {
		settle := *c.Settle
		settle.Event.Body, settle.Retention.Body = nil, bytes.Clone(settle.Retention.Body)
		c.Settle = &settle
	}
	return c, nil
}

// CheckBinding refuses a binding that cannot be stored.
func CheckBinding(b store.Binding) error {
	return errors.Join(CheckAccount(b.Account), CheckRef(b.Object), CheckNames(b.Order))
}

// CheckHold refuses a hold that cannot be stored.
func CheckHold(h book.Hold) error {
	if err := checkHold(h.Account, h.ID); err != nil {
		return err
	}
	if h.Amount < 0 || h.Amount > ledger.Max {
		return ledger.ErrRange
	}
	return CheckNames(h.By, h.Fingerprint)
}

// CheckEnd refuses an end that cannot be stored.
func CheckEnd(e book.End) error {
	if err := checkHold(e.Account, e.ID); err != nil {
		return err
	}
	if e.Captured < 0 || e.Captured > ledger.Max {
		return ledger.ErrRange
	}
	if len(e.Receipt) > book.MaxReceipt {
		return errReceipt
	}
	return CheckNames(e.By)
}

func checkHold(account, id string) error {
	if id == "" {
		return errNoHold
	}
	return errors.Join(CheckAccount(account), CheckNames(id))
}

// CheckRef refuses a reference that is too long to be stored.
func CheckRef(ref entitlement.Ref) error {
	if len(ref.Kind)+len(":")+len(ref.ID) > maxName {
		return errLongName
	}
	return nil
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

// Millis writes a time as UTC milliseconds since 1970, or "-" when it is zero.
func Millis(t time.Time) string { return string(AppendMillis(nil, t)) }

// AppendMillis appends what Millis writes.
func AppendMillis(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, '-')
	}
	return strconv.AppendInt(b, t.UnixMilli(), 10)
}

// ParseMillis reads what Millis wrote.
func ParseMillis(s string) (time.Time, error) {
	if s == "-" {
		return time.Time{}, nil
	}
	ms, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return time.Time{}, errDamaged("time", s)
	}
	return time.UnixMilli(ms).UTC(), nil
}

// errDamaged says that a stored value is not what this package wrote. Values
// may be about people, so only a short piece of it is shown.
func errDamaged(what, value string) error {
	return fmt.Errorf("stored %s is damaged: %.40q", what, value)
}
