package dodosim

import (
	"math"
	"net/http"
	"slices"
	"strings"
	"time"
)

// coupon is a discount as GET /discounts/{id} shows it, without its usage. It is immutable and
// is replaced on change: a checkout keeps the terms under which a code was applied.
type coupon struct {
	DiscountID           string           `json:"discount_id"`
	BusinessID           string           `json:"business_id"`
	Type                 string           `json:"type"`
	Code                 string           `json:"code"`
	Amount               int              `json:"amount"` // basis points
	Name                 *string          `json:"name"`
	StartsAt             *time.Time       `json:"starts_at"`
	ExpiresAt            *time.Time       `json:"expires_at"`
	UsageLimit           *int             `json:"usage_limit"`
	PerCustomerLimit     *int             `json:"per_customer_usage_limit"`
	RestrictedTo         []string         `json:"restricted_to"`
	SubscriptionCycles   *int             `json:"subscription_cycles"`
	PreserveOnPlanChange bool             `json:"preserve_on_plan_change"`
	CustomerEligibility  string           `json:"customer_eligibility"`
	CurrencyOptions      []currencyOption `json:"currency_options"`
	Metadata             metadata         `json:"metadata"`
	CreatedAt            time.Time        `json:"created_at"`
}

// currencyOption is what a code does in one currency. For flat codes the maximum is the amount
// that it takes off.
type currencyOption struct {
	Currency        string `json:"currency"`
	IsDefault       bool   `json:"is_default"`
	MaxAmount       *int64 `json:"max_amount_possible"`
	MinimumSubtotal int64  `json:"minimum_subtotal"`
}

// redemptions is the usage of a discount, and who may use it. Guarded by [Simulator.mu].
type redemptions struct {
	total      int
	byCustomer map[string]int
	eligible   []string // the customers who may, if CustomerEligibility is specific
}

type discountObject struct {
	*coupon
	TimesUsed int `json:"times_used"`
}

func (s *Simulator) newCoupon(kind, code string, basisPoints int) *coupon {
	c := &coupon{
		DiscountID: newID("dsc_"), BusinessID: s.business, Type: kind, Code: code, Amount: basisPoints, RestrictedTo: []string{},
		CustomerEligibility: "any", CurrencyOptions: []currencyOption{}, Metadata: metadata{}, CreatedAt: s.now(),
	}
	s.redemptions[c.DiscountID] = &redemptions{byCustomer: make(map[string]int)}
	return c
}

func (s *Simulator) discountObject(c *coupon) discountObject {
	return discountObject{c, s.redemptions[c.DiscountID].total}
}

// lowers reports whether the code applies to a line. It does not apply to a paid trial
// (trial_apply_discounts is false, FACTS 2.8).
func (c *coupon) lowers(l line) bool { return c.covers(l.product) && !l.trial }

// covers reports whether a code may lower the price of a product.
func (c *coupon) covers(p Product) bool {
	return len(c.RestrictedTo) == 0 || slices.Contains(c.RestrictedTo, p.ID)
}

// option is the code's option for a currency, or nil.
func (c *coupon) option(currency string) *currencyOption {
	for i := range c.CurrencyOptions {
		if c.CurrencyOptions[i].Currency == currency {
			return &c.CurrencyOptions[i]
		}
	}
	return nil
}

// off is what the code takes off an amount that it covers.
func (c *coupon) off(base int64, currency string) int64 {
	cut := base
	if c.Type == "percentage" {
		cut = base * int64(c.Amount) / fullDiscount
	}
	if option := c.option(currency); option != nil && option.MaxAmount != nil {
		cut = min(cut, *option.MaxAmount)
	}
	return cut
}

// checkCodes checks whether the bill's codes fit its products. The minimum is compared with
// the prices before any code: UNCONFIRMED.
func (b *bill) checkCodes() *Error {
	undiscounted := bill{lines: slices.Clone(b.lines)}
	undiscounted.discount()
	for _, code := range b.codes {
		option := code.option(b.currency)
		switch {
		case !slices.ContainsFunc(b.lines, func(l line) bool { return code.covers(l.product) }):
			return refuse(codeDiscountProduct, "discount code %s is for other products", code.Code)
		case code.Type == "flat" && (option == nil || option.MaxAmount == nil):
			return refuse(codeUnsupportedMoney, "the simulator converts no currency: discount code %s has none for %s", code.Code, b.currency)
		case option != nil && undiscounted.covered(code) < option.MinimumSubtotal:
			return refuse(codeDiscountMinimum, "the cart is too small for discount code %s", code.Code)
		}
	}
	return nil
}

// findCoupon looks up a discount by its id. The caller holds s.mu.
func (s *Simulator) findCoupon(id string) (*coupon, *Error) {
	for _, c := range s.coupons {
		if c.DiscountID == id {
			return c, nil
		}
	}
	return nil, refuse(codeNotFound, "there is no discount %s", id)
}

// couponOf looks up a code, ignoring case; nil if there is none.
func (s *Simulator) couponOf(code string) *coupon {
	code = strings.ToUpper(strings.TrimSpace(code)) // Dodo stores them so (FACTS 2.10)
	for _, c := range s.coupons {
		if c.Code == code {
			return c
		}
	}
	return nil
}

// checkDates refuses a discount outside its dates or above its usage limit. The caller holds
// s.mu.
func (s *Simulator) checkDates(c *coupon, now time.Time) *Error {
	switch {
	case c.ExpiresAt != nil && !now.Before(*c.ExpiresAt):
		return refuse(codeDiscountExpired, "discount code %s has expired", c.Code)
	case c.StartsAt != nil && now.Before(*c.StartsAt):
		return refuse(codeDiscountEarly, "discount code %s is not valid yet", c.Code)
	}
	return s.checkUnused(c)
}

func (s *Simulator) checkUnused(c *coupon) *Error {
	if c.UsageLimit != nil && s.redemptions[c.DiscountID].total >= *c.UsageLimit {
		return refuse(codeDiscountUsedUp, "discount code %s is used up", c.Code)
	}
	return nil
}

// findDiscounts looks up codes that can be used now. A repeated code is refused: UNCONFIRMED.
// The caller holds s.mu.
func (s *Simulator) findDiscounts(codes []string) ([]*coupon, *Error) {
	if len(codes) > maxCodes {
		return nil, refuse(codeInvalidParameters, "at most %d discount codes are allowed", maxCodes)
	}
	var found []*coupon
	for _, code := range codes {
		c := s.couponOf(code)
		if c == nil {
			return nil, refuse(codeInvalidDiscount, "there is no such discount code")
		}
		if slices.ContainsFunc(found, func(before *coupon) bool { return before.DiscountID == c.DiscountID }) {
			return nil, refuse(codeInvalidDiscount, "discount code %s is already applied", c.Code)
		}
		if refusal := s.checkDates(c, s.now()); refusal != nil {
			return nil, refusal
		}
		found = append(found, c)
	}
	return found, nil
}

// redeemable reports whether a buyer may use the codes of a session. That limits are checked
// when the session is paid, but the dates of a code only when it is applied, is UNCONFIRMED.
// The caller holds s.mu.
func (s *Simulator) redeemable(session *session, by buyer) *Error {
	customerID := ""
	if session.customer != nil && strings.EqualFold(session.customer.Email, by.email) {
		customerID = session.customer.CustomerID
	} else if known, ok := s.customerOf(by.email); ok && !session.alwaysNew {
		customerID = known.CustomerID
	}
	for _, code := range session.bill.codes {
		if refusal := s.checkUnused(code); refusal != nil {
			return refusal
		}
		uses := s.redemptions[code.DiscountID]
		if code.PerCustomerLimit != nil && uses.byCustomer[customerID] >= *code.PerCustomerLimit {
			return refuse(codeDiscountCustomer, "this customer has used discount code %s already", code.Code)
		}
		eligible := true
		switch code.CustomerEligibility {
		case "first_time":
			eligible = !s.hasPaid(customerID)
		case "existing":
			eligible = s.hasPaid(customerID)
		case "specific":
			eligible = slices.Contains(uses.eligible, customerID)
		}
		if !eligible {
			return refuse(codeNotEligible, "discount code %s is for other customers", code.Code)
		}
	}
	return nil
}

// hasPaid reports whether a customer has ever made a successful payment.
func (s *Simulator) hasPaid(customerID string) bool {
	return slices.ContainsFunc(s.paymentOrder, func(p *payment) bool {
		return p.Customer.CustomerID == customerID && p.Status == Succeeded
	})
}

// redeem counts the codes of a successful payment.
func (s *Simulator) redeem(p *payment) {
	for _, code := range p.codes {
		uses := s.redemptions[code.DiscountID]
		uses.total++
		uses.byCustomer[p.Customer.CustomerID]++
	}
}

// discountDetail is an entry of payment.discounts and subscription.discounts.
type discountDetail struct {
	Position             int        `json:"position"`
	DiscountID           string     `json:"discount_id"`
	BusinessID           string     `json:"business_id"`
	Type                 string     `json:"type"`
	Code                 string     `json:"code"`
	Name                 *string    `json:"name"`
	Amount               int        `json:"amount"`
	TimesUsed            int        `json:"times_used"`
	UsageLimit           *int       `json:"usage_limit"`
	RestrictedTo         []string   `json:"restricted_to"`
	CreatedAt            time.Time  `json:"created_at"`
	ExpiresAt            *time.Time `json:"expires_at"`
	PreserveOnPlanChange bool       `json:"preserve_on_plan_change"`
	SubscriptionCycles   *int       `json:"subscription_cycles"`
	CyclesRemaining      *int       `json:"cycles_remaining"`
	Metadata             metadata   `json:"metadata"`
}

// details describes the codes as a payment shows them; null if there are none, as in the
// published samples. The caller holds s.mu.
func (s *Simulator) details(codes []*coupon) []discountDetail {
	var details []discountDetail
	for i, c := range codes {
		details = append(details, discountDetail{
			Position: i, DiscountID: c.DiscountID, BusinessID: s.business, Type: c.Type, Code: c.Code, Name: c.Name, Amount: c.Amount,
			TimesUsed: s.redemptions[c.DiscountID].total, UsageLimit: c.UsageLimit, RestrictedTo: c.RestrictedTo,
			CreatedAt: c.CreatedAt, ExpiresAt: c.ExpiresAt, PreserveOnPlanChange: c.PreserveOnPlanChange,
			SubscriptionCycles: c.SubscriptionCycles, Metadata: c.Metadata,
		})
	}
	return details
}

// discountRequest is the body of POST and PATCH /discounts. In a patch, an absent or null
// field changes nothing; that null does not clear a value is UNCONFIRMED.
type discountRequest struct {
	Type                 *string           `json:"type"`
	Amount               *int              `json:"amount"`
	Code                 *string           `json:"code"`
	Name                 *string           `json:"name"`
	StartsAt             *time.Time        `json:"starts_at"`
	ExpiresAt            *time.Time        `json:"expires_at"`
	UsageLimit           *int              `json:"usage_limit"`
	PerCustomerLimit     *int              `json:"per_customer_usage_limit"`
	RestrictedTo         *[]string         `json:"restricted_to"`
	SubscriptionCycles   *int              `json:"subscription_cycles"`
	PreserveOnPlanChange *bool             `json:"preserve_on_plan_change"`
	CustomerEligibility  *string           `json:"customer_eligibility"`
	CurrencyOptions      *[]currencyOption `json:"currency_options"`
	Metadata             metadata          `json:"metadata"`
}

func setIfPresent[T any](into *T, value *T) {
	if value != nil {
		*into = *value
	}
}

func setPointer[T any](into **T, value *T) {
	if value != nil {
		*into = value
	}
}

// change applies the request to a coupon.
func (request discountRequest) change(c *coupon) {
	setIfPresent(&c.Type, request.Type)
	setIfPresent(&c.Amount, request.Amount)
	setIfPresent(&c.RestrictedTo, request.RestrictedTo)
	setIfPresent(&c.PreserveOnPlanChange, request.PreserveOnPlanChange)
	setIfPresent(&c.CustomerEligibility, request.CustomerEligibility)
	setIfPresent(&c.CurrencyOptions, request.CurrencyOptions)
	setPointer(&c.Name, request.Name)
	setPointer(&c.StartsAt, request.StartsAt)
	setPointer(&c.ExpiresAt, request.ExpiresAt)
	setPointer(&c.UsageLimit, request.UsageLimit)
	setPointer(&c.PerCustomerLimit, request.PerCustomerLimit)
	setPointer(&c.SubscriptionCycles, request.SubscriptionCycles)
	if request.Code != nil {
		c.Code = strings.ToUpper(strings.TrimSpace(*request.Code))
	}
	if request.Metadata != nil {
		c.Metadata = request.Metadata
	}
}

var (
	discountTypes = wordSet("flat percentage")
	eligibilities = wordSet("any first_time existing specific")
)

// checkCoupon checks the settings of a coupon. The caller holds s.mu.
func (s *Simulator) checkCoupon(c *coupon) *Error {
	positive := func(n *int) bool { return n == nil || *n >= 1 && *n <= math.MaxInt32 }
	taken := s.couponOf(c.Code)
	switch {
	case !discountTypes[c.Type] || !eligibilities[c.CustomerEligibility]:
		return refuse(codeInvalidBody, "type or customer_eligibility has no such value")
	case c.Amount < 1 || c.Amount > fullDiscount:
		return refuse(codeInvalidParameters, "amount must be between 1 and %d basis points", fullDiscount)
	case len(c.Code) < 3:
		return refuse(codeInvalidParameters, "code must have 3 characters or more")
	case taken != nil && taken.DiscountID != c.DiscountID:
		return refuse(codeInvalidParameters, "code %s is taken", c.Code)
	case !positive(c.UsageLimit) || !positive(c.PerCustomerLimit) || !positive(c.SubscriptionCycles):
		return refuse(codeInvalidParameters, "limits and cycles must be at least 1")
	case c.UsageLimit != nil && c.PerCustomerLimit != nil && *c.PerCustomerLimit > *c.UsageLimit:
		return refuse(codeInvalidParameters, "per_customer_usage_limit must not exceed usage_limit")
	case c.StartsAt != nil && c.ExpiresAt != nil && !c.StartsAt.Before(*c.ExpiresAt):
		return refuse(codeInvalidParameters, "starts_at must be before expires_at")
	}
	return c.checkOptions()
}

func (c *coupon) checkOptions() *Error {
	defaults, seen := 0, make(map[string]bool)
	for _, o := range c.CurrencyOptions {
		switch {
		case !knownCurrency(o.Currency):
			return refuse(codeUnsupportedMoney, "a currency option must have an ISO 4217 code")
		case seen[o.Currency] || o.MinimumSubtotal < 0 || o.MinimumSubtotal > math.MaxInt32:
			return refuse(codeInvalidParameters, "a currency option is given twice or has a wrong minimum")
		case o.MaxAmount != nil && (*o.MaxAmount < 1 || *o.MaxAmount > math.MaxInt32), c.Type == "flat" && o.MaxAmount == nil:
			return refuse(codeInvalidParameters, "max_amount_possible must be positive, and flat codes need it")
		}
		seen[o.Currency] = true
		if o.IsDefault {
			defaults++
		}
	}
	if defaults > 1 || c.Type == "flat" && defaults == 0 {
		return refuse(codeInvalidParameters, "at most one currency option is the default, and flat codes need one")
	}
	return nil
}

// createDiscount answers POST /discounts.
func (s *Simulator) createDiscount(r *http.Request) (any, error) {
	request, refusal := readJSON[discountRequest](r)
	switch {
	case refusal != nil:
		return nil, refusal
	case request.Type == nil || request.Amount == nil:
		return nil, refuse(codeInvalidBody, "type and amount are required")
	}
	if refusal := request.Metadata.check(); refusal != nil {
		return nil, refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.newCoupon(*request.Type, strings.ToUpper(newID("")[:16]), *request.Amount)
	request.change(c)
	if refusal := s.checkCoupon(c); refusal != nil {
		delete(s.redemptions, c.DiscountID)
		return nil, refusal
	}
	s.coupons = append(s.coupons, c)
	return snapshot(s.discountObject(c))
}

// getDiscount answers GET /discounts/{id}.
func (s *Simulator) getDiscount(r *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, refusal := s.findCoupon(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	return snapshot(s.discountObject(c))
}

// patchDiscount answers PATCH /discounts/{id}.
func (s *Simulator) patchDiscount(r *http.Request) (any, error) {
	request, refusal := readJSON[discountRequest](r)
	if refusal != nil {
		return nil, refusal
	}
	if refusal := request.Metadata.check(); refusal != nil {
		return nil, refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old, refusal := s.findCoupon(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	changed := *old
	request.change(&changed)
	if refusal := s.checkCoupon(&changed); refusal != nil {
		return nil, refusal
	}
	s.coupons[slices.Index(s.coupons, old)] = &changed
	return snapshot(s.discountObject(&changed))
}

// deleteDiscount answers DELETE /discounts/{id}. Open checkouts and subscriptions keep the
// discount: UNCONFIRMED.
func (s *Simulator) deleteDiscount(r *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, refusal := s.findCoupon(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	i := slices.Index(s.coupons, c)
	s.coupons = slices.Delete(s.coupons, i, i+1)
	return emptyAnswer(http.StatusNoContent), nil
}

// listDiscounts answers GET /discounts, newest first like payments: UNCONFIRMED. The code must
// be complete, and a discount for all products matches every product.
func (s *Simulator) listDiscounts(r *http.Request) (any, error) {
	q := query{values: r.URL.Query()}
	window := q.page()
	code, kind, product := q.text("code"), q.oneOf("discount_type", discountTypes), q.text("product_id")
	active := q.choice("active")
	if q.refusal != nil {
		return nil, q.refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	items := []discountObject{}
	for _, c := range slices.Backward(s.coupons) {
		switch {
		case code != "" && !strings.EqualFold(code, c.Code),
			kind != "" && kind != c.Type,
			product != "" && !c.covers(Product{ID: product}),
			active != nil && *active != (s.checkDates(c, s.now()) == nil):
			continue
		}
		items = append(items, s.discountObject(c))
	}
	return snapshot(list[discountObject]{Items: slicePage(items, window)})
}
