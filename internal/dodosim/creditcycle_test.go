package dodosim_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// studio is a magazine with a plan that gives 100 pictures a month, by some terms.
func studio(t *testing.T, pictures dodosim.ProductCredit) *shop {
	pictures.Name, pictures.Unit, pictures.Amount = "Pictures", "picture", "100"
	return magazine(t, func(o *dodosim.Options) {
		o.Products = append(o.Products, dodosim.Product{
			ID: "pdt_studio", Price: 3000, Currency: "USD", Every: monthly, Credits: []dodosim.ProductCredit{pictures},
		})
	})
}

// pictures is the path of the balance that a subscription feeds.
func (s *shop) pictures(sub string) string {
	s.t.Helper()
	object := s.ask("GET", "/subscriptions/"+sub, "")
	cart := object["credit_entitlement_cart"].([]any)[0].(map[string]any)
	owner := object["customer"].(map[string]any)["customer_id"]
	return fmt.Sprintf("/credit-entitlements/%s/balances/%s", cart["credit_entitlement_id"], owner)
}

// use takes credits by the API.
func (s *shop) use(balance, amount string) {
	s.t.Helper()
	s.ask("POST", balance+"/ledger-entries", fmt.Sprintf(`{"entry_type":"debit","amount":%q}`, amount))
}

// ledger is what happened to a balance, oldest first, as "transaction amount = balance,
// overage". Each line has to begin where the one before ended.
func (s *shop) ledger(balance string) []string {
	s.t.Helper()
	items := s.ask("GET", balance+"/ledger?page_size=100", "")["items"].([]any)
	slices.Reverse(items)
	var lines []string
	last := map[string]any{"balance_after": "0", "overage_after": "0"}
	for _, item := range items {
		e := item.(map[string]any)
		if e["balance_before"] != last["balance_after"] || e["overage_before"] != last["overage_after"] {
			s.t.Errorf("%v does not follow %v", e, last)
		}
		lines = append(lines, fmt.Sprintf("%s %s = %s, %s", e["transaction_type"], e["amount"], e["balance_after"], e["overage_after"]))
		last = e
	}
	return lines
}

func (s *shop) wantLedger(balance string, want ...string) {
	s.t.Helper()
	if got := s.ledger(balance); !slices.Equal(got, want) {
		s.t.Errorf("the ledger is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Half of what is left is carried, once; after that it is forfeited.
func TestRollover(t *testing.T) {
	shop := studio(t, dodosim.ProductCredit{ExpiresAfterDays: 30, Rollover: &dodosim.Rollover{
		Percent: 50, MaxCount: 1, Timeframe: dodosim.Period{Count: 10, Interval: dodosim.Day},
	}})
	id := shop.subscribe("pdt_studio", dodosim.CardVisa)
	balance := shop.pictures(id)
	shop.use(balance, "39")
	shop.news()
	shop.sim.Advance(31 * day) // expires a day before the renewal
	if got := shop.news(); got != "credit.expired credit.rolled_over payment.succeeded subscription.renewed subscription.updated credit.added" {
		t.Error(got)
	}
	grants := shop.ask("GET", balance+"/grants", "")["items"].([]any)
	rolled := grants[1].(map[string]any)
	if rolled["source_type"] != "rollover" || rolled["initial_amount"] != "30.5" || rolled["rollover_count"] != 1.0 ||
		rolled["parent_grant_id"] != grants[2].(map[string]any)["id"] || rolled["expires_at"] != "2030-04-10T12:00:00Z" {
		t.Error(rolled)
	}
	shop.sim.Advance(10 * day)
	if got := shop.news(); got != "credit.rollover_forfeited" {
		t.Error(got)
	}
	shop.wantLedger(balance,
		"credit_added 100 = 100, 0", "credit_deducted 39 = 61, 0",
		"credit_expired 61 = 0, 0", "credit_rolled_over 30.5 = 30.5, 0",
		"credit_added 100 = 130.5, 0", "rollover_forfeited 30.5 = 100, 0")
	shop.flush()
}

// Nothing is carried over the end of the subscription.
func TestNoRolloverAfterTheEnd(t *testing.T) {
	shop := studio(t, dodosim.ProductCredit{ExpiresAfterDays: 30, Rollover: &dodosim.Rollover{Percent: 100}})
	id := shop.subscribe("pdt_studio", dodosim.CardVisa)
	balance := shop.pictures(id)
	shop.patch(id, `{"status":"cancelled"}`)
	shop.sim.Advance(40 * day)
	shop.wantLedger(balance, "credit_added 100 = 100, 0", "credit_expired 100 = 0, 0")
	shop.flush()
}

// What becomes of 20 credits too many at the end of the cycle, and what that costs.
func TestOverage(t *testing.T) {
	begin := []string{"credit_added 100 = 100, 0", "credit_deducted 120 = 0, 20"}
	for name, test := range map[string]struct {
		overage dodosim.Overage
		total   float64
		news    string
		ledger  []string
	}{
		"forgiven": {dodosim.Overage{}, 3000, "credit.overage_reset credit.added",
			[]string{"overage_reset 20 = 0, 0", "credit_added 100 = 100, 0"}},
		"invoiced": {dodosim.Overage{Behavior: dodosim.InvoiceAtBilling, Price: "12.55"}, 3251, "credit.overage_charged credit.overage_reset credit.added",
			[]string{"overage_charged 20 = 0, 20", "overage_reset 20 = 0, 0", "credit_added 100 = 100, 0"}},
		"carried": {dodosim.Overage{Behavior: dodosim.CarryDeficit}, 3000, "credit.added",
			[]string{"credit_added 100 = 100, 20"}},
		"repaid": {dodosim.Overage{Behavior: dodosim.CarryDeficitAutoRepay}, 3000, "credit.added",
			[]string{"credit_added 100 = 80, 0"}},
	} {
		t.Run(name, func(t *testing.T) {
			test.overage.Limit = 25
			shop := studio(t, dodosim.ProductCredit{Overage: &test.overage})
			id := shop.subscribe("pdt_studio", dodosim.CardVisa)
			balance := shop.pictures(id)
			shop.use(balance, "120")
			shop.refuses(refusal{"POST", balance + "/ledger-entries", `{"entry_type":"debit","amount":"6"}`, 400, "OVERAGE_LIMIT_EXCEEDED"})
			shop.news()
			shop.sim.Advance(31 * day)
			if got := shop.news(); got != "payment.succeeded subscription.renewed subscription.updated "+test.news {
				t.Error(got)
			}
			paid := shop.payments(id)
			if got := paid[len(paid)-1]["total_amount"]; got != test.total {
				t.Error("charged", got)
			}
			shop.wantLedger(balance, append(slices.Clone(begin), test.ledger...)...)
			shop.sim.Advance(31 * day) // and no more of it the next time
			if paid = shop.payments(id); paid[len(paid)-1]["total_amount"] != 3000.0 {
				t.Error(paid[len(paid)-1])
			}
			shop.flush()
		})
	}
}

func TestBalanceLow(t *testing.T) {
	shop := studio(t, dodosim.ProductCredit{LowBalancePercent: 20})
	id := shop.subscribe("pdt_studio", dodosim.CardVisa)
	balance := shop.pictures(id)
	shop.news()
	shop.use(balance, "80") // 20 is not under 20
	shop.use(balance, "0.5")
	shop.use(balance, "0.5") // said before
	if got := shop.news(); got != "credit.deducted credit.deducted credit.balance_low credit.deducted" {
		t.Error(got)
	}
	low := shop.lastBody("credit.balance_low")
	if low["subscription_id"] != id || low["threshold_amount"] != "20" || low["threshold_percent"] != 20.0 ||
		low["subscription_credits_amount"] != "100" || low["credit_entitlement_name"] != "Pictures" {
		t.Error(low)
	}
	shop.sim.HoldWebhooks(true)
	shop.sim.Advance(31 * day)
	shop.use(balance, "100")
	shop.use(balance, "10")
	shop.sim.HoldWebhooks(false)
	if low := shop.lastBody("credit.balance_low"); low["available_balance"] != "9" { // as of now
		t.Error(low)
	}
}

func TestAdjustCredits(t *testing.T) {
	shop := studio(t, dodosim.ProductCredit{})
	id := shop.subscribe("pdt_studio", dodosim.CardVisa)
	balance := shop.pictures(id)
	parts := strings.Split(balance, "/")
	shop.news()
	for _, amount := range []string{"5.5", "-105.5"} {
		if err := shop.sim.AdjustCredits(parts[2], parts[4], amount); err != nil {
			t.Fatal(err)
		}
	}
	if got := shop.news(); got != "credit.manual_adjustment credit.manual_adjustment" {
		t.Error(got)
	}
	for _, wrong := range [][3]string{
		{parts[2], parts[4], "-1"}, {parts[2], parts[4], "0"}, {parts[2], parts[4], "much"}, {"cde_0", parts[4], "1"}, {parts[2], "cus_0", "1"},
	} {
		if shop.sim.AdjustCredits(wrong[0], wrong[1], wrong[2]) == nil {
			t.Error("adjusted", wrong)
		}
	}
	shop.wantLedger(balance, "credit_added 100 = 100, 0", "manual_adjustment 5.5 = 105.5, 0", "manual_adjustment 105.5 = 0, 0")
	shop.flush()
}

// The other reading of FACTS 3.3: an entry by the API is a manual adjustment.
func TestManualEntries(t *testing.T) {
	shop := magazine(t, func(o *dodosim.Options) { o.ManualEntries = true })
	balance := shop.credits(false, "")
	shop.ask("POST", balance+"/ledger-entries", `{"entry_type":"credit","amount":"10"}`)
	shop.use(balance, "4")
	if got := shop.news(); got != "credit.manual_adjustment credit.manual_adjustment" {
		t.Error(got)
	}
	shop.wantLedger(balance, "manual_adjustment 10 = 10, 0", "manual_adjustment 4 = 6, 0")
	shop.flush()
}

// A trial has credits of its own, which may end with it.
func TestTrialCredits(t *testing.T) {
	for _, expire := range []bool{false, true} {
		t.Run(fmt.Sprint("expire ", expire), func(t *testing.T) {
			shop := magazine(t, func(o *dodosim.Options) {
				o.Products = append(o.Products, dodosim.Product{
					ID: "pdt_studio", Price: 3000, Currency: "USD", Every: monthly, TrialDays: 7, TrialPrice: 150,
					Credits: []dodosim.ProductCredit{{Name: "Pictures", Unit: "picture", Amount: "100", TrialAmount: "5", TrialExpires: expire}},
				})
			})
			shop.get("/products/pdt_studio")
			id := shop.subscribe("pdt_studio", dodosim.CardVisa)
			shop.sim.Advance(8 * day)
			want := []string{"credit_added 5 = 5, 0", "credit_added 100 = 105, 0"}
			if expire {
				want = []string{"credit_added 5 = 5, 0", "credit_expired 5 = 0, 0", "credit_added 100 = 100, 0"}
			}
			shop.wantLedger(shop.pictures(id), want...)
			shop.flush()
		})
	}
}

// A merchant changes the credits of one subscription.
func TestPatchedCredits(t *testing.T) {
	shop := studio(t, dodosim.ProductCredit{ExpiresAfterDays: 365})
	id := shop.subscribe("pdt_studio", dodosim.CardVisa)
	balance := shop.pictures(id)
	credit := strings.Split(balance, "/")[2]
	patch := func(fields string) string {
		return fmt.Sprintf(`{"credit_entitlement_cart":[{"credit_entitlement_id":%q,%s}]}`, credit, fields)
	}
	shop.patch(id, patch(`"credits_amount":"50","low_balance_threshold_percent":10`))
	shop.patch(id, patch(`"overage_enabled":true,"overage_limit":"5","expires_after_days":20,"rollover_enabled":true,"max_rollover_count":2,
		"rollover_percentage":100,"rollover_timeframe_count":1,"rollover_timeframe_interval":"Week"`))
	item := shop.ask("GET", "/subscriptions/"+id, "")["credit_entitlement_cart"].([]any)[0].(map[string]any)
	for field, want := range map[string]any{
		"credits_amount": "50", "low_balance_threshold_percent": 10.0, "overage_enabled": true, "overage_limit": "5", "expires_after_days": 20.0,
		"rollover_enabled": true, "max_rollover_count": 2.0, "rollover_percentage": 100.0, "rollover_timeframe_interval": "Week",
	} {
		if item[field] != want {
			t.Errorf("%s is %v, want %v", field, item[field], want)
		}
	}
	if usage := shop.ask("GET", "/subscriptions/"+id+"/credit-usage", "")["items"].([]any)[0].(map[string]any); usage["overage_limit"] != "5" {
		t.Error(usage)
	}
	shop.sim.Advance(31 * day)
	shop.use(balance, "155")
	shop.wantLedger(balance, "credit_added 100 = 100, 0", "credit_added 50 = 150, 0", "credit_deducted 155 = 0, 5")
	for body, code := range map[string]string{
		patch(`"credits_amount":"0"`):                                                       "INVALID_REQUEST_PARAMETERS",
		patch(`"rollover_percentage":101`):                                                  "INVALID_REQUEST_PARAMETERS",
		patch(`"rollover_timeframe_interval":"Moon"`):                                       "INVALID_REQUEST_BODY",
		`{"credit_entitlement_cart":[{"credits_amount":"5"}]}`:                              "INVALID_REQUEST_BODY",
		`{"credit_entitlement_cart":[{"credit_entitlement_id":"cde_0"}]}`:                   "INVALID_REQUEST_PARAMETERS",
		strings.Replace(patch(`"credits_amount":"5"`), "{", `{"status":"paused",`, 1):       "INVALID_REQUEST_PARAMETERS",
		`{"credit_entitlement_cart":[{"credit_entitlement_id":"` + credit + `","x":1},{}]}`: "INVALID_REQUEST_BODY",
	} {
		shop.refuses(refusal{"PATCH", "/subscriptions/" + id, body, 422, code})
	}
	shop.flush()
}

// A checkout gives other credits than the product would.
func TestCheckoutCredits(t *testing.T) {
	shop := studio(t, dodosim.ProductCredit{})
	first := shop.ask("GET", "/products/pdt_studio", "")["credit_entitlements"].([]any)[0].(map[string]any)
	cart := func(credits string) string {
		return `{"product_cart":[{"product_id":"pdt_studio","quantity":2,"credit_entitlements":[` + credits + `]}]}`
	}
	credit := fmt.Sprintf(`{"credit_entitlement_id":%q,"credits_amount":"7.5"}`, first["credit_entitlement_id"])
	shown := shop.ask("POST", "/checkouts/preview", cart(credit))["product_cart"].([]any)[0].(map[string]any)
	if got := shown["credit_entitlements"].([]any)[0].(map[string]any); got["credits_amount"] != "7.5" {
		t.Error(shown)
	}
	id := shop.pay(shop.checkout(cart(credit))).SubscriptionID
	balance := shop.pictures(id)
	shop.sim.Advance(31 * day)
	shop.wantLedger(balance, "credit_added 15 = 15, 0", "credit_added 15 = 30, 0")
	for credits, code := range map[string]string{
		`{"credit_entitlement_id":"cde_0","credits_amount":"1"}`: "INVALID_REQUEST_PARAMETERS",
		`{"credit_entitlement_id":"cde_0"}`:                      "INVALID_REQUEST_BODY",
		strings.Replace(credit, "7.5", "0", 1):                   "INVALID_REQUEST_PARAMETERS",
		strings.Replace(credit, "7.5", "-1", 1):                  "INVALID_REQUEST_PARAMETERS",
	} {
		shop.refuses(refusal{"POST", "/checkouts", cart(credits), 422, code})
	}
	shop.flush()
}

func TestProductCreditsAreChecked(t *testing.T) {
	for name, credit := range map[string]dodosim.ProductCredit{
		"no amount":         {Name: "a", Unit: "a"},
		"trial":             {Name: "a", Unit: "a", Amount: "1", TrialAmount: "1"},
		"trial expires":     {Name: "a", Unit: "a", Amount: "1", TrialExpires: true},
		"expiry":            {Name: "a", Unit: "a", Amount: "1", ExpiresAfterDays: -1},
		"threshold":         {Name: "a", Unit: "a", Amount: "1", LowBalancePercent: 101},
		"behaviour":         {Name: "a", Unit: "a", Amount: "1", Overage: &dodosim.Overage{Behavior: "pray"}},
		"no price":          {Name: "a", Unit: "a", Amount: "1", Overage: &dodosim.Overage{Behavior: dodosim.InvoiceAtBilling}},
		"a price":           {Name: "a", Unit: "a", Amount: "1", Overage: &dodosim.Overage{Price: "1"}},
		"roll-over of what": {Name: "a", Unit: "a", Amount: "1", Rollover: &dodosim.Rollover{Percent: 50}},
		"share":             {Name: "a", Unit: "a", Amount: "1", ExpiresAfterDays: 1, Rollover: &dodosim.Rollover{Percent: 101}},
		"timeframe":         {Name: "a", Unit: "a", Amount: "1", ExpiresAfterDays: 1, Rollover: &dodosim.Rollover{Percent: 1, Timeframe: dodosim.Period{Count: 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			o := options()
			o.Products = append(o.Products, dodosim.Product{
				ID: "pdt_this", Currency: "USD", Every: monthly, Credits: []dodosim.ProductCredit{credit},
			})
			if _, err := dodosim.New(o); err == nil {
				t.Error("accepted")
			}
		})
	}
}
