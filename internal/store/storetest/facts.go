package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"pgregory.net/rapid"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
)

// What the model check's random facts are about. Amounts are small, so that
// refunds and spending meet.
var factTerms = map[string]entitlement.Terms{
	"pdt_pack": {Credits: 10},
	"pdt_week": {Credits: 7, CreditsExpire: time.Hour},
	"pdt_pro":  {Plan: "pro", Credits: 20},
	"pdt_team": {Plan: "team", Credits: 30, CreditsStay: true},
}

func termsOfFacts(id string, _ time.Time) (entitlement.Terms, bool) {
	t, ok := factTerms[id]
	return t, ok
}

// drawFact is a fact about one of two payments or of two subscriptions. Periods
// last some minutes, so that credits lapse and come back as the clock moves.
func (m *model) drawFact(t *rapid.T) entitlement.Fact {
	const each = 20 * time.Minute
	at := func(what string) time.Time { // few times, some of them moments apart
		periods := rapid.IntRange(-2, 0).Draw(t, what)
		return m.rig.now().Truncate(each).Add(time.Duration(periods)*each + time.Duration(rapid.IntRange(0, 1).Draw(t, "half minutes"))*30*time.Second)
	}
	id := rapid.SampledFrom([]string{"1", "2"}).Draw(t, "id")
	if rapid.Bool().Draw(t, "about a payment") {
		return entitlement.Fact{Ref: payment("fact_" + id), Payment: drawPayment(t, at("paid at"))}
	}
	fact := entitlement.Fact{Ref: entitlement.Ref{Kind: entitlement.KindSubscription, ID: id}}
	if rapid.Bool().Draw(t, "about a charge") {
		charge := drawPayment(t, at("charged at"))
		charge.Cart, charge.Subscription = nil, id
		fact.Subscription.Charges = map[string]entitlement.Payment{rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "charge"): charge}
		return fact
	}
	start := at("period")
	fact.Subscription = entitlement.Observed(entitlement.SubscriptionState{
		At: start, ProductID: rapid.SampledFrom([]string{"pdt_pro", "pdt_team"}).Draw(t, "product"), Quantity: rapid.Int64Range(1, 2).Draw(t, "quantity"),
		Status: rapid.SampledFrom([]entitlement.SubscriptionStatus{
			entitlement.SubscriptionActive, entitlement.SubscriptionActive, entitlement.SubscriptionOnHold, entitlement.SubscriptionCancelled,
		}).Draw(t, "status"),
		CreatedAt: start, PeriodStart: start, PeriodEnd: start.Add(time.Duration(rapid.IntRange(1, 60).Draw(t, "minutes")) * time.Minute),
		Cycle: 30 * time.Minute,
	})
	return fact
}

func drawPayment(t *rapid.T, at time.Time) entitlement.Payment {
	p := entitlement.Payment{Status: entitlement.PaymentSucceeded, Total: 100, Currency: "USD", CreatedAt: at}
	p.Cart = []entitlement.Line{{ProductID: rapid.SampledFrom([]string{"pdt_pack", "pdt_week"}).Draw(t, "product"), Quantity: rapid.Int64Range(1, 3).Draw(t, "quantity")}}
	switch rapid.IntRange(0, 5).Draw(t, "what happened") {
	case 0:
		p.Status = entitlement.PaymentFailed
	case 1:
		p.Refunds = map[string]entitlement.Refund{rapid.SampledFrom([]string{"r", "s"}).Draw(t, "refund"): {
			Status: entitlement.RefundSucceeded, Amount: rapid.Int64Range(1, 100).Draw(t, "refunded"), Currency: "USD",
		}}
	case 2:
		p.Disputes = map[string]entitlement.DisputeStatus{"d": rapid.SampledFrom([]entitlement.DisputeStatus{
			entitlement.DisputeOpened, entitlement.DisputeWon, entitlement.DisputeLost,
		}).Draw(t, "dispute")}
	}
	return p
}

// fact applies a fact as the gateway does, and then once more, which must change
// nothing.
func (m *model) fact(t *rapid.T) {
	fact := m.drawFact(t)
	policy := rapid.SampledFrom([]ledger.Policy{ledger.PolicyDebt, ledger.PolicyFloor}).Draw(t, "policy")
	for again := range rapid.IntRange(1, 2).Draw(t, "times") {
		object := m.objects[fact.Ref]
		var prior entitlement.Record
		if object.Version > 0 {
			if err := json.Unmarshal(object.State, &prior); err != nil {
				t.Fatal(err)
			}
		}
		next := prior.Fold(fact, termsOfFacts)
		effect, err := next.Effect(fact.Ref, prior, "")
		if err != nil {
			t.Fatal(err)
		}
		state, err := json.Marshal(next)
		if err != nil {
			t.Fatal(err)
		}
		entries := len(m.entries)
		if !m.commitOf(t, book.Commit{
			Account: m.name, Object: fact.Ref, Version: object.Version, State: state, Effect: effect, Policy: policy, Cause: "a fact",
		}) {
			return
		}
		if got := m.entries[entries:]; again == 1 && len(got) > 0 {
			t.Fatalf("a fact that was known entered %+v", got)
		}
	}
}

// commitOf commits to the store and to the model. It is false when the store
// refused it as the model does.
func (m *model) commitOf(t *rapid.T, c book.Commit) bool {
	done, err := m.rig.Commit(m.rig.ctx(), c)
	next, want, wantErr := m.ledger.Apply(c.Effect.Grants, c.Policy, c.Cause, m.rig.clock.Now())
	if wantErr != nil {
		if !errors.Is(err, ledger.ErrRange) {
			t.Fatalf("commit: %v, want %v", err, wantErr)
		}
		return false
	}
	if err != nil {
		t.Fatalf("commit: %v", err)
	}
	if len(done.Entries)+len(want) > 0 && fmt.Sprint(done.Entries) != fmt.Sprint(want) {
		t.Fatalf("entries:\n got %+v\nwant %+v", done.Entries, want)
	}
	m.wrote(next, want)
	m.objects[c.Object] = book.Object{Version: c.Version + 1, State: c.State}
	m.standings[c.Object.String()] = c.Effect.Standing
	if c.Effect.Standing.IsZero() {
		delete(m.standings, c.Object.String())
	}
	return true
}
