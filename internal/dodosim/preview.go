package dodosim

import (
	"cmp"
	"net/http"
	"time"
)

// checkoutPreview is the body of POST /checkouts/preview (FACTS 2.1).
type checkoutPreview struct {
	BillingCountry   string        `json:"billing_country"`
	Currency         string        `json:"currency"`
	CurrentBreakup   breakup       `json:"current_breakup"`
	RecurringBreakup *breakup      `json:"recurring_breakup"`
	ProductCart      []previewLine `json:"product_cart"`
	TotalPrice       int64         `json:"total_price"`
	TotalTax         int64         `json:"total_tax"`
	NextBillingDate  *time.Time    `json:"next_billing_date"`
	TrialDays        *int          `json:"trial_period_days"`
	TrialAmount      *int64        `json:"trial_amount"`
	IsBYOP           bool          `json:"is_byop"`
}

// breakup is the composition of an amount.
type breakup struct {
	Subtotal int64 `json:"subtotal"`
	Discount int64 `json:"discount"`
	Tax      int64 `json:"tax"`
	Total    int64 `json:"total_amount"`
}

func (b *bill) breakup() breakup {
	return breakup{Subtotal: b.subtotal, Discount: b.subtotal - b.total, Total: b.total}
}

// previewLine is a product of the cart with the prices of the whole line (UNCONFIRMED).
type previewLine struct {
	ProductID       string          `json:"product_id"`
	Name            *string         `json:"name"`
	Description     *string         `json:"description"`
	Quantity        int64           `json:"quantity"`
	Currency        string          `json:"currency"`
	Price           int64           `json:"og_price"`
	PriceCurrency   string          `json:"og_currency"`
	DiscountedPrice int64           `json:"discounted_price"`
	DiscountAmount  *int            `json:"discount_amount"`
	DiscountCycle   *int            `json:"discount_cycle"`
	IsSubscription  bool            `json:"is_subscription"`
	IsUsageBased    bool            `json:"is_usage_based"`
	Tax             int64           `json:"tax"`
	TaxCategory     string          `json:"tax_category"`
	TaxInclusive    bool            `json:"tax_inclusive"`
	TaxRate         int             `json:"tax_rate"`
	Meters          []previewMeter  `json:"meters"`
	Credits         []previewCredit `json:"credit_entitlements"`
	Addons          []previewAddon  `json:"addons"`
}

// previewMeter and previewCredit are a product's meters and credits.
type previewMeter struct {
	Name          string `json:"name"`
	Unit          string `json:"measurement_unit"`
	FreeThreshold int64  `json:"free_threshold"`
	PricePerUnit  string `json:"price_per_unit"`
}

type previewCredit struct {
	CreditID string  `json:"credit_entitlement_id"`
	Name     string  `json:"credit_entitlement_name"`
	Unit     string  `json:"credit_entitlement_unit"`
	Amount   decimal `json:"credits_amount"`
}

// previewAddon is an add-on of a subscription, with the prices of the whole line.
type previewAddon struct {
	AddonID         string  `json:"addon_id"`
	Name            string  `json:"name"`
	Description     *string `json:"description"`
	Quantity        int64   `json:"quantity"`
	UnitPrice       int64   `json:"single_quantity_price"`
	Price           int64   `json:"og_price"`
	PriceCurrency   string  `json:"og_currency"`
	DiscountedPrice int64   `json:"discounted_price"`
	Currency        string  `json:"currency"`
	DiscountAmount  *int    `json:"discount_amount"`
	Tax             int64   `json:"tax"`
	TaxCategory     string  `json:"tax_category"`
	TaxInclusive    bool    `json:"tax_inclusive"`
	TaxRate         int     `json:"tax_rate"`
}

func (b *bill) previewAddons() []previewAddon {
	addons := []previewAddon{}
	for _, l := range b.addons() {
		shown := previewAddon{
			AddonID: l.product.ID, Name: l.product.Name, Description: l.product.description(), Quantity: l.quantity,
			UnitPrice: int64(l.product.Price), Price: l.full, PriceCurrency: l.product.Currency, DiscountedPrice: l.paid,
			Currency: b.currency, TaxCategory: taxCategory,
		}
		for _, code := range b.codes {
			if code.covers(l.product) && shown.DiscountAmount == nil && code.Type == "percentage" {
				shown.DiscountAmount = new(code.Amount)
			}
		}
		addons = append(addons, shown)
	}
	return addons
}

// previewCheckout answers POST /checkouts/preview. It creates nothing.
func (s *Simulator) previewCheckout(r *http.Request) (any, error) {
	request, refusal := readJSON[checkoutRequest](r)
	if refusal != nil {
		return nil, refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	session, refusal := s.newSession(request)
	if refusal != nil {
		return nil, refusal
	}
	b := session.bill
	answer := checkoutPreview{
		BillingCountry: session.billing.Country,
		Currency:       b.currency,
		CurrentBreakup: b.breakup(),
		ProductCart:    []previewLine{},
		TotalPrice:     b.total,
	}
	for _, l := range b.lines {
		if !l.addon {
			answer.ProductCart = append(answer.ProductCart, s.previewLine(&b, l))
		}
	}
	if plan, recurring := b.recurring(); recurring {
		cycle := planBill(plan.product, plan.quantity, b.addons(), b.codes)
		answer.RecurringBreakup = new(cycle.breakup())
		next := plan.product.Every.after(session.created)
		if days := session.terms.trial(plan.product); days > 0 {
			next = session.created.AddDate(0, 0, days)
			answer.TrialDays = new(days)
			if trial := plan.product.TrialPrice; trial > 0 {
				answer.TrialAmount = new(int64(trial) * plan.quantity)
			}
		}
		answer.NextBillingDate = &next
	}
	return answer, nil
}

// previewLine shows a line of a bill. The caller holds s.mu.
func (s *Simulator) previewLine(b *bill, l line) previewLine {
	shown := previewLine{
		ProductID: l.product.ID, Name: new(l.product.Name), Description: l.product.description(), Quantity: l.quantity,
		Currency: b.currency, Price: l.full, PriceCurrency: l.product.Currency, DiscountedPrice: l.paid,
		IsSubscription: l.product.recurring(), IsUsageBased: len(l.product.Meters) > 0, TaxCategory: taxCategory,
		Meters: []previewMeter{}, Credits: []previewCredit{},
	}
	for _, m := range l.product.Meters {
		shown.Meters = append(shown.Meters, previewMeter{m.Name, m.Unit, m.FreeThreshold, cmp.Or(m.PricePerUnit.String(), "0")})
	}
	for _, g := range s.given(l.product) {
		shown.Credits = append(shown.Credits, previewCredit{g.ID, g.Name, g.Unit, g.amount})
	}
	if l.product.recurring() {
		shown.Addons = b.previewAddons()
	}
	for _, code := range b.codes {
		if code.covers(l.product) && shown.DiscountAmount == nil && code.Type == "percentage" {
			shown.DiscountAmount, shown.DiscountCycle = new(code.Amount), code.SubscriptionCycles
		}
	}
	return shown
}

// planPreview is the body of POST /subscriptions/{id}/change-plan/preview.
type planPreview struct {
	ImmediateCharge immediateCharge `json:"immediate_charge"`
	NewPlan         *subscription   `json:"new_plan"`
}

type immediateCharge struct {
	EffectiveAt time.Time      `json:"effective_at"`
	LineItems   []planLineItem `json:"line_items"`
	Summary     planSummary    `json:"summary"`
}

// planLineItem is what the new plan, or with a negative factor the old one, adds to the
// charge.
type planLineItem struct {
	Type            string  `json:"type"`
	ID              string  `json:"id"`
	ProductID       *string `json:"product_id,omitempty"`   // of a subscription
	TaxCategory     *string `json:"tax_category,omitempty"` // of an add-on
	Name            string  `json:"name"`
	Description     *string `json:"description"`
	Currency        string  `json:"currency"`
	Quantity        int64   `json:"quantity"`
	UnitPrice       int64   `json:"unit_price"`
	ProrationFactor float64 `json:"proration_factor"`
	Tax             int64   `json:"tax"`
	TaxInclusive    bool    `json:"tax_inclusive"`
	TaxRate         float64 `json:"tax_rate"`
}

type planSummary struct {
	Currency           string `json:"currency"`
	CustomerCredits    int64  `json:"customer_credits"`
	SettlementAmount   int64  `json:"settlement_amount"`
	SettlementCurrency string `json:"settlement_currency"`
	SettlementTax      int64  `json:"settlement_tax"`
	Tax                int64  `json:"tax"`
	Total              int64  `json:"total_amount"`
}

// previewPlan answers POST /subscriptions/{id}/change-plan/preview with the effects of the
// change; it refuses whatever the change would refuse. How Dodo shows amounts that it gives
// back is UNCONFIRMED: here the old plan is a line with a negative factor.
func (s *Simulator) previewPlan(r *http.Request) (any, error) {
	request, refusal := readJSON[planChangeRequest](r)
	if refusal != nil {
		return nil, refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sub, plan, refusal := s.planFor(r.PathValue("id"), request)
	if refusal != nil {
		return nil, refusal
	}
	return snapshot(s.previewChange(sub, plan, request))
}

// previewChange describes the effects of a change that planFor has allowed. The caller holds
// s.mu.
func (s *Simulator) previewChange(sub *subscription, plan bill, request planChangeRequest) planPreview {
	now, mode := s.now(), *request.Mode
	later := valueOrEmpty(request.EffectiveAt) == nextBillingDate
	due := sub.dueNow(plan, mode, s.options.ProratedKeepsCycle, now)
	charge := immediateCharge{EffectiveAt: now, LineItems: []planLineItem{}}
	if later {
		charge.EffectiveAt = sub.NextBillingDate
		due.reducePrice(due.total)
	}
	charge.Summary = planSummary{
		Currency: plan.currency, SettlementAmount: due.total, SettlementCurrency: plan.currency, Total: due.total,
	}
	if mode != doNotBill && !later {
		charge.add(plan, 1)
		if back := sub.unused(mode, now); back > 0 {
			charge.add(sub.plan, -float64(back)/float64(sub.plan.total))
		}
	}
	after := *s.shown(sub)
	s.setPlan(&after, plan)
	after.CreditEntitlements = s.creditCart(&after)
	if mode != doNotBill && !later {
		after.begin(now)
	}
	return planPreview{charge, &after}
}

// add lists what a plan is made of.
func (c *immediateCharge) add(plan bill, factor float64) {
	for _, l := range plan.lines {
		c.LineItems = append(c.LineItems, planLine(l, plan.currency, factor))
	}
}

func planLine(l line, currency string, factor float64) planLineItem {
	of, productID, category := "subscription", new(l.product.ID), (*string)(nil)
	if l.addon {
		of, productID, category = "addon", nil, new(taxCategory)
	}
	return planLineItem{
		Type: of, ID: l.product.ID, ProductID: productID, TaxCategory: category, Name: l.product.Name, Description: l.product.description(),
		Currency: currency, Quantity: l.quantity, UnitPrice: l.paid / l.quantity, ProrationFactor: factor,
	}
}
