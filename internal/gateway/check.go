package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store"
)

// Checked is what looking through all records of an account found.
type Checked struct {
	Account string
	Known   bool     // there is something of it
	Wrong   []string // what is wrong; nothing if all is well
}

// Checker looks through all records of a store. It changes nothing.
type Checker struct{ Store store.Client }

// Check looks through all records of an account.
func (c Checker) Check(ctx context.Context, account string) (Checked, error) {
	if len(account) > MaxAccount {
		return Checked{}, ErrAccount
	}
	_, checked, err := c.check(ctx, account)
	return checked, err
}

func (c Checker) check(ctx context.Context, account string) (store.Records, Checked, error) {
	m, err := c.Store.Mender()
	if err != nil {
		return store.Records{}, Checked{}, err
	}
	r, err := m.Records(ctx, account)
	if err != nil {
		return store.Records{}, Checked{}, fmt.Errorf("check account: %w", err)
	}
	checked := Checked{Account: account, Wrong: r.Wrong(), Known: r.There || len(r.Objects)+len(r.Orders)+len(r.Ledger.Entries) > 0}
	for ref, object := range r.Objects {
		if _, err := recordOf(ref, object); err != nil {
			checked.Wrong = append(checked.Wrong, err.Error())
		}
	}
	if len(checked.Wrong) == 0 {
		_, err = c.Store.Account(ctx, account) // as requests read it
		if damaged, is := errors.AsType[*store.DamagedError](err); is {
			checked.Wrong = []string{damaged.What}
		} else if err != nil {
			return store.Records{}, Checked{}, err
		}
	}
	return r, checked, nil
}

// The two parts of a check of everything, as its pages begin.
const (
	checkAccounts = "accounts "
	checkBindings = "bindings "
)

// Page checks accounts page by page, and then looks whether every account that something is
// bound to is there. after is "" for the first page and then the next of the page before, which is
// "" after the last. It returns those with which something is wrong, and how many it looked at.
func (c Checker) Page(ctx context.Context, after string, limit int) (wrong []Checked, looked int, next string, err error) {
	if from, is := strings.CutPrefix(after, checkBindings); is {
		wrong, next, err = c.bindings(ctx, from, limit)
		if next != "" {
			next = checkBindings + next
		}
		return wrong, 0, next, err
	}
	ids, next, err := c.Store.AccountIDs(ctx, strings.TrimPrefix(after, checkAccounts), limit)
	if err != nil {
		return nil, 0, "", err
	}
	for _, id := range ids {
		checked, err := c.Check(ctx, id)
		if err != nil {
			return nil, 0, "", err
		}
		if len(checked.Wrong) > 0 {
			wrong = append(wrong, checked)
		}
	}
	if next == "" {
		return wrong, len(ids), checkBindings, nil
	}
	return wrong, len(ids), checkAccounts + next, nil
}

// givers are the kinds of object whose account cannot be without a record. A checkout session is
// none of them: earlier releases kept it for ever, also when its order was forgotten.
var givers = []entitlement.Kind{"", entitlement.KindPayment, entitlement.KindSubscription, entitlement.KindFeature}

func (c Checker) bindings(ctx context.Context, after string, limit int) (wrong []Checked, next string, err error) {
	m, err := c.Store.Mender()
	if err != nil {
		return nil, "", err
	}
	page, next, err := m.Bindings(ctx, after, limit)
	if err != nil {
		return nil, "", err
	}
	for _, b := range page {
		if !slices.Contains(givers, b.Ref.Kind) || b.Account == "" || len(b.Account) > MaxAccount {
			continue
		}
		read, err := c.Store.Account(ctx, b.Account)
		if err == nil && read.Rev > 0 {
			continue
		}
		if err != nil && !errors.Is(err, store.ErrDamaged) {
			return nil, "", err
		}
		checked, err := c.Check(ctx, b.Account)
		if err != nil {
			return nil, "", err
		}
		if len(checked.Wrong) == 0 && !checked.Known {
			checked.Wrong = []string{fmt.Sprintf("%s belongs to it, but it has no record", b.Ref)}
		}
		if len(checked.Wrong) > 0 {
			wrong = append(wrong, checked)
		}
	}
	return wrong, next, nil
}
