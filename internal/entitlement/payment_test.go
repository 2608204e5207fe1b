package entitlement_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

var offerTerms = map[string]entitlement.Terms{
	"pdt_pack":  {Credits: 10},
	"pdt_odd":   {Credits: 7, CreditsExpire: 30 * day},
	"pdt_pro":   {Plan: "pro", Lasts: 30 * day},
	"pdt_both":  {Plan: "pro", Lasts: 30 * day, Credits: 500},
	"pdt_pass":  {Credits: 100, CreditsMonthly: true, Plan: "pass", Lasts: 365 * day},
	"pdt_life":  {Plan: "life"},
	"pdt_giant": {Credits: ledger.Max},
}

// paid is a succeeded payment of 900 USD cents for the lines, "product×quantity".
func paid(lines ...entitlement.Line) entitlement.Payment {
	return entitlement.Payment{Status: entitlement.PaymentSucceeded, Total: 900, Currency: "USD", Cart: lines, CreatedAt: noon}
}

func line(product string, quantity int64) entitlement.Line {
	return entitlement.Line{ProductID: product, Quantity: quantity}
}

var payment1 = entitlement.Ref{Kind: entitlement.KindPayment, ID: "pay_1"}

func about(p entitlement.Payment) entitlement.Fact {
	return entitlement.Fact{Ref: payment1, Payment: p}
}

// refund is a fact with only one refund.
func refund(id string, status entitlement.RefundStatus, amount int64, full bool) entitlement.Payment {
	return entitlement.Payment{Refunds: map[string]entitlement.Refund{
		id: {Status: status, Amount: amount, Currency: "USD", Full: full},
	}}
}

func TestPaymentEffect(t *testing.T) {
	succeeded := entitlement.RefundSucceeded
	for name, c := range map[string]struct {
		facts  []entitlement.Payment
		grants string // "id=amount" of each, in order
		paid   bool
		passes string
	}{
		"a pack":                        {facts: []entitlement.Payment{paid(line("pdt_pack", 1))}, grants: "[payment:pay_1/0=10]", paid: true, passes: "[]"},
		"three packs":                   {facts: []entitlement.Payment{paid(line("pdt_pack", 3))}, grants: "[payment:pay_1/0=30]", paid: true, passes: "[]"},
		"two lines":                     {facts: []entitlement.Payment{paid(line("pdt_pack", 1), line("pdt_odd", 2))}, grants: "[payment:pay_1/0=10 payment:pay_1/1=14]", paid: true, passes: "[]"},
		"a plan":                        {facts: []entitlement.Payment{paid(line("pdt_pro", 1))}, grants: "[]", passes: "[pro 720h0m0s]"},
		"two months of a plan":          {facts: []entitlement.Payment{paid(line("pdt_pro", 2))}, grants: "[]", passes: "[pro 1440h0m0s]"},
		"a plan with credits":           {facts: []entitlement.Payment{paid(line("pdt_both", 1))}, grants: "[payment:pay_1/0=500]", passes: "[pro 720h0m0s]"},
		"a third refunded":              {facts: []entitlement.Payment{paid(line("pdt_pack", 3)), refund("r", succeeded, 300, false)}, grants: "[payment:pay_1/0=20]", paid: true, passes: "[]"},
		"a third refunded, rounds down": {facts: []entitlement.Payment{paid(line("pdt_pack", 1)), refund("r", succeeded, 300, false)}, grants: "[payment:pay_1/0=6]", paid: true, passes: "[]"},
		"three thirds refunded":         {facts: []entitlement.Payment{paid(line("pdt_both", 1)), refund("r", succeeded, 300, false), refund("s", succeeded, 300, false), refund("t", succeeded, 300, false)}, grants: "[payment:pay_1/0=0]", passes: "[]"},
		"refunds beyond the total":      {facts: []entitlement.Payment{paid(line("pdt_pack", 1)), refund("r", succeeded, 800, false), refund("s", succeeded, 800, false)}, grants: "[payment:pay_1/0=0]", passes: "[]"},
		"refunded in full":              {facts: []entitlement.Payment{paid(line("pdt_both", 1)), refund("r", succeeded, 0, true)}, grants: "[payment:pay_1/0=0]", passes: "[]"},
		"refunded says the payment":     {facts: []entitlement.Payment{paid(line("pdt_pack", 1)), {RefundedFully: true}}, grants: "[payment:pay_1/0=0]", passes: "[]"},
		"a refund that failed":          {facts: []entitlement.Payment{paid(line("pdt_pack", 1)), refund("r", entitlement.RefundFailed, 900, true)}, grants: "[payment:pay_1/0=10]", paid: true, passes: "[]"},
		"a refund under review":         {facts: []entitlement.Payment{paid(line("pdt_pack", 1)), refund("r", entitlement.RefundReview, 900, true)}, grants: "[payment:pay_1/0=10]", paid: true, passes: "[]"},
		"a refund that failed at first": {facts: []entitlement.Payment{paid(line("pdt_pack", 3)), refund("r", entitlement.RefundFailed, 300, false), refund("r", succeeded, 300, false)}, grants: "[payment:pay_1/0=20]", paid: true, passes: "[]"},
		"a failure that is told late":   {facts: []entitlement.Payment{paid(line("pdt_pack", 3)), refund("r", succeeded, 300, false), refund("r", entitlement.RefundFailed, 300, false)}, grants: "[payment:pay_1/0=20]", paid: true, passes: "[]"},
		"a part refunded keeps a plan":  {facts: []entitlement.Payment{paid(line("pdt_pro", 1)), refund("r", succeeded, 899, false)}, grants: "[]", passes: "[pro 720h0m0s]"},
		"failed":                        {facts: []entitlement.Payment{{Status: "failed", Cart: []entitlement.Line{line("pdt_pack", 1)}}}, grants: "[]", passes: "[]"},
		"failed, then succeeded":        {facts: []entitlement.Payment{{Status: "failed"}, paid(line("pdt_pack", 1))}, grants: "[payment:pay_1/0=10]", paid: true, passes: "[]"},
		"a status nobody knows":         {facts: []entitlement.Payment{{Status: "celebrated", Cart: []entitlement.Line{line("pdt_pack", 1)}}}, grants: "[]", passes: "[]"},
		"a subscription's charge":       {facts: []entitlement.Payment{{Status: "succeeded", Subscription: "sub_1", Cart: []entitlement.Line{line("pdt_pack", 1)}}}, grants: "[]", passes: "[]"},
		"free of charge":                {facts: []entitlement.Payment{{Status: "succeeded", Cart: []entitlement.Line{line("pdt_pack", 1)}, CreatedAt: noon}}, grants: "[payment:pay_1/0=10]", paid: true, passes: "[]"},
		"nothing in the cart":           {facts: []entitlement.Payment{paid()}, grants: "[]", passes: "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			var p entitlement.Payment
			for _, f := range c.facts {
				p = p.Merge(f)
			}
			e, err := p.Effect("pay_1", offerTerms, config.DisputeFreeze)
			if err != nil {
				t.Fatal(err)
			}
			if got := grants(e); got != c.grants {
				t.Errorf("grants %s, want %s", got, c.grants)
			}
			if e.Standing.Paid != c.paid {
				t.Errorf("paid %v, want %v", e.Standing.Paid, c.paid)
			}
			if got := passes(e); got != c.passes {
				t.Errorf("passes %s, want %s", got, c.passes)
			}
		})
	}
}

func grants(e entitlement.Effect) string {
	out := []string{}
	for _, g := range e.Grants {
		out = append(out, fmt.Sprintf("%s=%d", g.ID, g.Amount))
	}
	return fmt.Sprint(out)
}

func passes(e entitlement.Effect) string {
	out := []string{}
	for _, p := range e.Standing.Passes {
		out = append(out, fmt.Sprintf("%s %v", p.Plan, p.Lasts))
	}
	return fmt.Sprint(out)
}

func TestPaymentEffectCannotBeTold(t *testing.T) {
	e, err := paid(line("pdt_new", 1), line("pdt_pack", 1)).Effect("pay_1", offerTerms, config.DisputeFreeze)
	if !errors.Is(err, entitlement.ErrUnknownProduct) || grants(e) != "[payment:pay_1/1=10]" {
		t.Errorf("a new product beside a known one: %v, %v", grants(e), err)
	}
	e, err = paid(line("pdt_giant", 2), line("pdt_pack", 1)).Effect("pay_1", offerTerms, config.DisputeFreeze)
	if !errors.Is(err, ledger.ErrRange) || len(e.Grants) != 0 {
		t.Errorf("more than can be counted: %v, %v", grants(e), err)
	}
	e, err = paid(line("pdt_pack", -1)).Effect("pay_1", offerTerms, config.DisputeFreeze)
	if !errors.Is(err, ledger.ErrRange) || len(e.Grants) != 0 {
		t.Errorf("fewer pieces than none: %v, %v", grants(e), err)
	}
}

func TestRefundInAnotherCurrency(t *testing.T) {
	r := refund("r", entitlement.RefundSucceeded, 300, false)
	r.Refunds["r"] = entitlement.Refund{Status: entitlement.RefundSucceeded, Amount: 300, Currency: "BRL"}
	if amount, full := paid(line("pdt_pack", 1)).Merge(r).Refunded(); amount != 0 || full {
		t.Errorf("300 BRL of 900 USD counted as %d", amount)
	}
}

// TestRefundWithoutCurrency: a refund without a currency has that of its payment, and refunds
// never exceed the payment.
func TestRefundWithoutCurrency(t *testing.T) {
	refunds := func(currency string, amounts ...int64) (p entitlement.Payment) {
		p = paid(line("pdt_pack", 1))
		p.Refunds = make(map[string]entitlement.Refund)
		for i, amount := range amounts {
			p.Refunds[fmt.Sprint(i)] = entitlement.Refund{Status: entitlement.RefundSucceeded, Amount: amount, Currency: currency}
		}
		return p
	}
	unpriced := refunds("EUR", 300)
	unpriced.Currency = ""
	for name, c := range map[string]struct {
		payment entitlement.Payment
		amount  int64
		full    bool
	}{
		"no currency":                {refunds("", 300), 300, false},
		"a payment without one":      {unpriced, 300, false},
		"another currency":           {refunds("EUR", 300), 0, false},
		"of nothing":                 {refunds("USD", 0), 0, false},
		"all but a cent":             {refunds("USD", 899), 899, false},
		"all":                        {refunds("USD", 900), 900, true},
		"more than that":             {refunds("USD", 901), 900, true},
		"more than that, in two":     {refunds("USD", 800, 800), 900, true},
		"far more, in three":         {refunds("USD", 1<<62, 1<<62, 1<<62), 900, true},
		"of a payment of nothing":    {entitlement.Payment{Status: "succeeded", Refunds: refunds("USD", 5).Refunds}, 0, false},
		"that says it is not a part": {paid().Merge(refund("r", entitlement.RefundSucceeded, 1, true)), 900, true},
	} {
		if amount, full := c.payment.Refunded(); amount != c.amount || full != c.full {
			t.Errorf("%s: %d, full %t; want %d, %t", name, amount, full, c.amount, c.full)
		}
	}
}

// TestLongPasses: several pieces of a plan last as long as all of them, up to the longest
// duration.
func TestLongPasses(t *testing.T) {
	const longest = time.Duration(1<<63 - 1)
	for _, c := range []struct {
		lasts    time.Duration
		quantity int64
		want     time.Duration
	}{
		{longest, 1, longest}, {longest / 2, 2, longest - 1}, {longest/2 + 1, 2, longest}, {day, 1 << 62, longest}, {0, 9, 0},
	} {
		e, err := paid(line("pdt", c.quantity)).Effect("pay_1", map[string]entitlement.Terms{"pdt": {Plan: "pro", Lasts: c.lasts}}, freeze)
		if err != nil || len(e.Standing.Passes) != 1 || e.Standing.Passes[0].Lasts != c.want {
			t.Errorf("%d of %v: %+v, %v; want %v", c.quantity, c.lasts, e.Standing.Passes, err, c.want)
		}
	}
}

// TestWhatWasForgottenCountsLater: terms that give nothing are looked up again; terms that
// give something never are.
func TestWhatWasForgottenCountsLater(t *testing.T) {
	of := func(credits int64) entitlement.TermsOf {
		return func(string, time.Time) (entitlement.Terms, bool) { return entitlement.Terms{Credits: credits}, true }
	}
	none := func(string, time.Time) (entitlement.Terms, bool) { return entitlement.Terms{}, false }
	for ref, fact := range map[entitlement.Ref]entitlement.Fact{
		payment1:      about(paid(line("pdt", 1))),
		subscription1: {Ref: subscription1, Subscription: body("active", "pdt", 0)},
	} {
		var record entitlement.Record
		for i, step := range []struct {
			terms entitlement.TermsOf
			want  int64
		}{{none, 0}, {of(0), 0}, {of(10), 10}, {of(90), 10}, {none, 10}} {
			record = record.Fold(fact, step.terms)
			e, err := record.Effect(ref, entitlement.Record{}, freeze)
			var got int64
			for _, g := range e.Grants {
				got += g.Amount
			}
			if got != step.want || (err != nil) != (i == 0) {
				t.Errorf("%s, step %d: %d credits, %v; want %d", ref, i, got, err, step.want)
			}
		}
	}
}

// TestCatalogChangesNothingBought: terms are frozen when a payment is applied.
func TestCatalogChangesNothingBought(t *testing.T) {
	ten := func(string, time.Time) (entitlement.Terms, bool) { return entitlement.Terms{Credits: 10}, true }
	ninety := func(string, time.Time) (entitlement.Terms, bool) { return entitlement.Terms{Credits: 90}, true }
	bought := entitlement.Record{}.Fold(about(paid(line("pdt_pack", 1))), ten)
	refunded := bought.Fold(about(refund("r", entitlement.RefundSucceeded, 300, false)), ninety)
	e, err := refunded.Effect(payment1, bought, config.DisputeFreeze)
	if err != nil || grants(e) != "[payment:pay_1/0=6]" {
		t.Errorf("%s, %v", grants(e), err)
	}
}

// facts draws what may be reported about one payment, consistent or not.
var facts = rapid.Custom(func(t *rapid.T) entitlement.Payment {
	p := entitlement.Payment{
		Status:        rapid.SampledFrom([]entitlement.PaymentStatus{"", "processing", "failed", "cancelled", "succeeded", "novel"}).Draw(t, "status"),
		Total:         rapid.Int64Range(0, 3).Draw(t, "total"),
		Tax:           rapid.Int64Range(0, 1).Draw(t, "tax"),
		MethodOnly:    rapid.Bool().Draw(t, "method only"),
		Currency:      rapid.SampledFrom([]string{"", "USD", "EUR"}).Draw(t, "currency"),
		Subscription:  rapid.SampledFrom([]string{"", "", "sub_1"}).Draw(t, "subscription"),
		CreatedAt:     noon.Add(time.Duration(rapid.IntRange(0, 1).Draw(t, "created"))),
		RefundedFully: rapid.Bool().Draw(t, "refunded"),
	}
	for range rapid.IntRange(0, 2).Draw(t, "lines") {
		p.Cart = append(p.Cart, line(rapid.SampledFrom([]string{"pdt_pack", "pdt_odd", "pdt_pro"}).Draw(t, "product"), rapid.Int64Range(1, 2).Draw(t, "quantity")))
	}
	for range rapid.IntRange(0, 2).Draw(t, "refunds") {
		if p.Refunds == nil {
			p.Refunds = map[string]entitlement.Refund{}
		}
		p.Refunds[rapid.SampledFrom([]string{"r", "s"}).Draw(t, "refund")] = entitlement.Refund{
			Status:   rapid.SampledFrom([]entitlement.RefundStatus{"", "pending", "review", "failed", "succeeded", "novel"}).Draw(t, "refund status"),
			Amount:   rapid.Int64Range(0, 2).Draw(t, "amount"),
			Currency: rapid.SampledFrom([]string{"", "USD"}).Draw(t, "refund currency"),
			Full:     rapid.Bool().Draw(t, "full"),

			CreatedAt: noon.Add(time.Duration(rapid.IntRange(0, 1).Draw(t, "refunded at"))),
		}
	}
	return p
})

// TestMergeIsAJoin: order, grouping and repetition of facts do not matter.
func TestMergeIsAJoin(t *testing.T) { checkJoin(t, facts, entitlement.Payment.Merge) }

// checkJoin checks that a merge is commutative, associative and idempotent.
func checkJoin[T any](t *testing.T, draw *rapid.Generator[T], merge func(T, T) T) {
	text := func(v T) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := draw.Draw(t, "a"), draw.Draw(t, "b"), draw.Draw(t, "c")
		if x, y := text(merge(a, b)), text(merge(b, a)); x != y {
			t.Fatalf("not commutative:\n%s\n%s", x, y)
		}
		if x, y := text(merge(merge(a, b), c)), text(merge(a, merge(b, c))); x != y {
			t.Fatalf("not associative:\n%s\n%s", x, y)
		}
		if x, y := text(merge(merge(a, b), a)), text(merge(a, b)); x != y {
			t.Fatalf("not idempotent:\n%s\n%s", x, y)
		}
	})
}

// TestOrderOfFactsDoesNotMatter works like the gateway, with a commit after each fact, and
// compares the resulting accounts.
func TestOrderOfFactsDoesNotMatter(t *testing.T) {
	story := []entitlement.Payment{
		{Status: "processing"},
		paid(line("pdt_pack", 3), line("pdt_both", 1)),
		refund("r", entitlement.RefundPending, 300, false),
		refund("r", entitlement.RefundSucceeded, 300, false),
		refund("s", entitlement.RefundSucceeded, 150, false),
	}
	var want string
	permute(story, func(order []entitlement.Payment) {
		var (
			record  entitlement.Record
			account ledger.Account
			effect  entitlement.Effect
			err     error
		)
		for _, fact := range append(order, order[0]) {
			next := record.Fold(about(fact), func(id string, _ time.Time) (entitlement.Terms, bool) { tm, ok := offerTerms[id]; return tm, ok })
			if effect, err = next.Effect(payment1, record, config.DisputeFreeze); err != nil {
				t.Fatal(err)
			}
			if account, _, err = account.Apply(effect.Grants, ledger.PolicyDebt, "", noon); err != nil {
				t.Fatal(err)
			}
			record = next
		}
		snapshot := entitlement.Account{Ledger: account, Standings: map[string]entitlement.Standing{"payment:pay_1": effect.Standing}}.Snapshot(noon, ranking)
		got := fmt.Sprintf("%+v %+v", snapshot, account.Grants)
		if want == "" {
			want = got
		}
		if got != want {
			t.Fatalf("order %+v ends in\n%s, not in\n%s", order, got, want)
		}
	})
	if want == "" {
		t.Fatal("no order was tried")
	}
}

// permute calls f with every order of list.
func permute[T any](list []T, f func([]T)) {
	var step func(done, rest []T)
	step = func(done, rest []T) {
		if len(rest) == 0 {
			f(append([]T(nil), done...))
		}
		for i := range rest {
			others := append(append([]T(nil), rest[:i]...), rest[i+1:]...)
			step(append(append([]T(nil), done...), rest[i]), others)
		}
	}
	step(nil, list)
}
