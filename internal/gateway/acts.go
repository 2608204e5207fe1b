package gateway

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
)

// What an operator does by hand. The rules are in package book; every act leaves a line in the
// account, and one in the log without its reason, which may be about people.

// mostHolds is how many of an account's holds are listed.
const mostHolds = 100

// MaxActs is how many of its acts an account is shown.
const MaxActs = book.MaxActs

// Doing is one act of an operator.
type Doing struct {
	Account string
	// ID makes it count once; empty: it gets a new one.
	ID string
	entitlement.Act
}

// Done is what came of it.
type Done struct {
	Account string
	book.Acted
	// New: nothing was known of the account before.
	New bool
}

// Act gives, takes or waives credits, undoes such an act, or releases a hold. It returns
// [ErrAccount], [book.ErrActInput], [book.ErrAct], [store.ErrNotFound] or [ledger.ErrRange].
func (a *Accounts) Act(ctx context.Context, d Doing) (Done, error) {
	if d.Account == "" || len(d.Account) > MaxAccount {
		return Done{}, ErrAccount
	}
	if plans := a.catalog.Ranking().Plans(); d.Plan != "" && !slices.Contains(plans, d.Plan) {
		return Done{}, fmt.Errorf("%w: no product gives the plan %.40q; the catalog's plans: %s", book.ErrActInput, d.Plan, cmp.Or(strings.Join(plans, ", "), "none"))
	}
	var err error
	if d.ExpiresAt, err = expiry(d.Expires, a.clock()); err != nil {
		return Done{}, err
	}
	before, err := a.store.Account(ctx, d.Account)
	if err != nil {
		return Done{}, err
	}
	done, err := a.act(ctx, d)
	return Done{Account: d.Account, Acted: done, New: !everWritten(before)}, err
}

// act does something by hand, and says so in the log. An account that is given something, or
// from which something is taken, gets its sign-up credits first: what has an entry gets none later.
func (p *parts) act(ctx context.Context, d Doing) (done book.Acted, err error) {
	d.ID = cmp.Or(d.ID, NewActID())
	return p.actOn(ctx, d, func(*book.Book) (book.Reach, error) { return book.Reach{}, nil })
}

// actOn is act with what else it changes.
func (p *parts) actOn(ctx context.Context, d Doing, reach func(*book.Book) (book.Reach, error)) (done book.Acted, err error) {
	signup := p.signup(d.Account)
	_, err = p.store.Update(ctx, d.Account, func(b *book.Book) (err error) {
		if (d.Kind == entitlement.ActGrant || d.Kind == entitlement.ActTake) && p.signupCredits > 0 {
			if err := b.SignUp(signup); err != nil {
				return err
			}
		}
		more, err := reach(b)
		if err != nil {
			return err
		}
		if done, err = b.ActOn(d.ID, d.Act, more); err != nil || !done.Repeated || more.Commit != nil || len(more.Free) == 0 {
			return err
		}
		// The first time may have ended before it was free.
		last, err := isLast(b, done)
		if err != nil || !last {
			return err
		}
		return b.Free(more.Free...)
	})
	p.views.Forget(d.Account) // also if it failed: it may be done, and the reply lost
	if err != nil {
		return book.Acted{}, err
	}
	p.logger.Info("an operator acted", "act", done.ID, "kind", done.Kind, "account", d.Account, "by", done.By, "credits", done.Credits,
		"object", done.Object, "repeated", done.Repeated)
	return done, nil
}

// isLast reports whether none of the account's newest acts is a later one about the same thing,
// such as an assignment that binds it again.
func isLast(b *book.Book, done book.Acted) (bool, error) {
	acts, err := b.Acts()
	if err != nil {
		return false, err
	}
	for _, a := range acts {
		if a.Object == done.Object && (a.Kind == done.Kind || a.Kind == entitlement.ActAssign) {
			return a.ID == done.ID, nil
		}
	}
	return false, nil
}

// NewActID makes an id for an act.
func NewActID() string { return "act_" + rand.Text() }

// Acts are the newest acts of an account, the newest first.
func (a *Accounts) Acts(ctx context.Context, account string) ([]book.Acted, error) {
	if account == "" || len(account) > MaxAccount {
		return nil, ErrAccount
	}
	return a.store.Acts(ctx, account)
}

// Holds are the account's holds that go on, those first that end first, up to a hundred.
func (a *Accounts) Holds(ctx context.Context, account string) ([]*book.PlacedHold, error) {
	if account == "" || len(account) > MaxAccount {
		return nil, ErrAccount
	}
	holds, err := a.store.Holds(ctx, account, mostHolds)
	now := a.clock()
	return slices.DeleteFunc(holds, func(h *book.PlacedHold) bool { return h.Expired(now) }), err
}

// expiry reads when something expires: a period from now on, or a time.
func expiry(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	period, err := config.ParseDuration(text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: expires must be a period such as 30d, or a time such as 2027-01-31T00:00:00Z: %.40q", book.ErrActInput, text)
	}
	return now.Add(period.Std()), nil
}
