package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
)

// damagedRef is the payment that most of what ann has comes from.
var damagedRef = entitlement.Ref{Kind: entitlement.KindPayment, ID: "pay_1"}

// annHas is what ann can spend after LiveOn.
const annHas = 93

// LiveOn gives the accounts ann and bob something that can be damaged: ann bought 100 credits by the
// order ord_1 and payment:pay_1, spent 7 of them by the hold spent, and bought and returned 5 by
// payment:pay_2. bob has 10.
func LiveOn(t *testing.T, s store.Store) {
	t.Helper()
	c := store.Client{Store: s}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	give := func(account, object string, version, amount int64, order *book.OrderResult) {
		_, err := c.Commit(t.Context(), book.Commit{
			Account: account, Object: entitlement.Ref{Kind: entitlement.KindPayment, ID: object}, Version: version, State: []byte("{}"), Cause: "evt_" + object,
			Effect: entitlement.Effect{
				Grants:   []ledger.Target{{ID: "payment:" + object + "/0", Amount: amount, CreatedAt: time.UnixMilli(1_700_000_000_000)}},
				Standing: entitlement.Standing{Paid: amount > 0},
			}, Order: order,
		})
		must(err)
	}
	order := book.Order{ID: "ord_1", Account: "ann", Product: "pack", Quantity: 1, ExpiresAt: time.Now().Add(time.Hour)}
	key := book.Key{Hash: "hash", Fingerprint: "f", Lease: time.Minute, Keep: time.Hour}
	made, _, err := c.CreateOrder(t.Context(), order, key)
	must(err)
	made.SessionID, made.CheckoutURL = "cks_1", "https://checkout.test/"
	must(c.OpenOrder(t.Context(), made, key))
	give("ann", "pay_1", 0, 100, &book.OrderResult{ID: "ord_1", State: book.OrderPaid, PaymentID: "pay_1"})
	held, err := c.Hold(t.Context(), book.Hold{Account: "ann", ID: "spent", By: "me", Amount: 7, TTL: time.Minute})
	must(err)
	_, err = c.End(t.Context(), book.End{Account: "ann", ID: "spent", By: "me", Captured: 7, Keep: time.Hour, Placed: held.Placed})
	must(err)
	give("ann", "pay_2", 0, 5, nil)
	give("ann", "pay_2", 1, 0, nil)
	give("bob", "pay_3", 0, 10, nil)
}

// Damage says what is expected of a store whose records of ann were damaged after [LiveOn].
type Damage struct {
	// Unmended: the rest does not say what the balance was, so that mending it must say so.
	Unmended bool
}

// Want holds a store with damaged records of ann to it: the damage is found, ann is never shown as
// she is not, passes nothing that she has not, and is mended; bob is as before.
func (d Damage) Want(t *testing.T, s store.Store) {
	t.Helper()
	c := store.Client{Store: s}
	m, err := c.Mender()
	if err != nil {
		t.Fatal(err)
	}
	r, err := m.Records(t.Context(), "ann")
	if err != nil {
		t.Fatalf("read the records: %v", err)
	}
	if wrong := r.Wrong(); len(wrong) == 0 {
		t.Error("nothing is found")
	} else {
		t.Log(wrong)
	}
	isRight := func(a entitlement.Account) bool {
		return a.Ledger.Available(time.Now()) == annHas && a.Standings[damagedRef.String()].Paid
	}
	a, err := c.Account(t.Context(), "ann")
	if err == nil && !isRight(a) {
		t.Errorf("ann is shown as %+v", a)
	}
	wantDamaged(t, err)
	h, err := c.Hold(t.Context(), book.Hold{Account: "ann", ID: "more", By: "me", Amount: annHas + 1, TTL: time.Minute})
	if err == nil && h.Outcome == book.HoldPlaced {
		t.Errorf("%d credits are held", annHas+1)
	}
	wantDamaged(t, err)
	if b, err := c.Account(t.Context(), "bob"); err != nil || b.Ledger.Available(time.Now()) != 10 {
		t.Errorf("bob is shown as %+v, %v", b, err)
	}

	with, entries, notes, certain := r.Ledger.Mend()
	if certain == d.Unmended {
		t.Errorf("certain is %t: %q", certain, notes)
	}
	if err := m.Replace(t.Context(), "ann", r, with, entries); err != nil {
		t.Fatalf("replace: %v", err)
	}
	if a, err = c.Account(t.Context(), "ann"); err != nil || !d.Unmended && a.Ledger.Available(time.Now()) != annHas {
		t.Errorf("when it is mended, ann is shown as %+v, %v", a, err)
	}
	if r, err = m.Records(t.Context(), "ann"); err != nil || len(r.Ledger.Check()) > 0 || !r.There {
		t.Errorf("when it is mended, this is wrong: %v, %v", r.Ledger.Check(), err)
	}
	if _, err := c.Hold(t.Context(), book.Hold{Account: "ann", ID: "less", By: "me", Amount: 0, TTL: time.Minute}); err != nil {
		t.Errorf("when it is mended: %v", err)
	}
}

func wantDamaged(t *testing.T, err error) {
	t.Helper()
	damaged, is := errors.AsType[*store.DamagedError](err)
	if err != nil && (!is || damaged.Account != "ann" || errors.Is(err, store.ErrUnavailable)) {
		t.Errorf("%v; want an error about ann's records", err)
	}
}
