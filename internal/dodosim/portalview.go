package dodosim

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// maxHistory bounds the payments that the portal lists.
const maxHistory = 50

// portalView is what a page of the portal shows. Without One it is the first page.
type portalView struct {
	Title, Problem, Notice string
	Self                   string // the first page, relative
	Back                   string
	Name, Email            string
	Subscriptions          []subscriptionView
	Methods                []methodView
	History                []historyView
	More                   bool // of the history than is shown

	One       *subscriptionView
	Step      string // of something that is being done to One
	Plans     []planView
	Plan      planView // that One is to change to
	Feedbacks []choice
}

type (
	subscriptionView struct {
		ID, Product, Description, Price, Status, Tone, Next, Method, Planned string

		// What can be done.
		Pause, Resume, Keep, Cancel, CancelLater, Change, Replace, Owes bool
		Until                                                           string // what was paid for lasts
	}
	methodView struct {
		ID, Name, Used string
		Current        bool // of One
	}
	historyView struct {
		Date, What, Amount, Status, Tone, Invoice string
		Refunds                                   []refundView
	}
	refundView struct{ Date, Amount, Status, Tone, Note string }
	planView   struct {
		ID, Name, Description, Price string

		Now, NextNow string // what is charged at once, and the billing date after that
		Nothing      bool   // is charged
		Later        string // the date of a change that waits
	}
	choice struct{ Value, Label string }
)

var feedbackChoices = []choice{
	{"too_expensive", "It is too expensive"}, {"missing_features", "Something is missing"},
	{"switched_service", "I use another service now"}, {"unused", "I do not use it"},
	{"customer_service", "The customer service"}, {"low_quality", "The quality"},
	{"too_complex", "It is too complicated"}, {"other", "Something else"},
}

// date is a day for customers, in UTC, as the page says.
func date(t time.Time) string { return t.UTC().Format("2 January 2006") }

// portalView describes the page that the query names. With a refusal it is the first page. The
// caller holds s.mu.
func (s *Simulator) portalView(link portal, query url.Values) (portalView, *Error) {
	owner := s.customers[link.customerID]
	v := portalView{
		Title: "Your account", Self: link.id, Back: link.back, Name: owner.Name, Email: owner.Email,
		Notice: portalNotices[query.Get("done")], Problem: portalProblems[query.Get("done")], Feedbacks: feedbackChoices,
	}
	for _, sub := range slices.Backward(s.subscriptionOrder) {
		if sub.Customer.CustomerID == link.customerID && sub.Status != SubscriptionFailed { // those were never the customer's
			v.Subscriptions = append(v.Subscriptions, s.subscriptionView(sub))
		}
	}
	slices.SortStableFunc(v.Subscriptions, func(a, b subscriptionView) int { return over(a) - over(b) })
	for _, m := range slices.Backward(s.methods[link.customerID]) {
		v.Methods = append(v.Methods, s.methodView(link.customerID, m))
	}
	s.addHistory(&v, link.customerID)
	if id := query.Get("subscription"); id != "" {
		sub, refusal := s.ownSubscription(link, id)
		if refusal != nil {
			return v, refusal
		}
		s.focus(&v, sub, query)
	}
	return v, nil
}

// over sorts usable subscriptions before ended ones.
func over(v subscriptionView) int {
	if v.Cancel {
		return 0
	}
	return 1
}

// focus shows one subscription and the step that the query names. It leaves out impossible
// steps.
func (s *Simulator) focus(v *portalView, sub *subscription, query url.Values) {
	v.One = new(s.subscriptionView(sub))
	v.Title = v.One.Product
	for i := range v.Methods {
		v.Methods[i].Current = v.Methods[i].ID == valueOrEmpty(sub.PaymentMethodID)
	}
	possible := false
	switch v.Step = query.Get("step"); v.Step {
	case "cancel":
		possible, v.Title = v.One.Cancel, "Cancel "+v.One.Product
	case "method":
		possible, v.Title = v.One.Replace, "Payment method for "+v.One.Product
	case "plans":
		possible, v.Title = v.One.Change, "Change your plan"
		v.Plans = s.plansFor(sub)
	case "plan":
		v.Title = "Change your plan"
		v.Plan, possible = s.planFrom(sub, query.Get("product"))
	}
	if !possible {
		v.Step, v.Title = "", v.One.Product
	}
}

// subscriptionView describes a subscription to its customer.
func (s *Simulator) subscriptionView(sub *subscription) subscriptionView {
	l := sub.plan.lines[0]
	active, leaving := sub.Status == SubscriptionActive, sub.CancelAtNextBillingDate
	v := subscriptionView{
		ID: sub.SubscriptionID, Product: l.product.Name, Description: l.product.Description, Price: sub.price(),
		Pause: active && !leaving, Resume: sub.Status == SubscriptionPaused, Keep: active && leaving,
		Cancel: !sub.over(), CancelLater: active && !leaving, Until: date(sub.NextBillingDate),
		Change: sub.changeable(sub.plan) == nil && len(s.plansFor(sub)) > 0, Replace: sub.cardReplaceable(s.now()) == nil,
		Owes: sub.owes(),
	}
	if l.quantity > 1 {
		v.Product = fmt.Sprintf("%s × %d", v.Product, l.quantity)
	}
	if !sub.over() && sub.card.number != "" {
		v.Method = sub.card.name()
	}
	if change := sub.ScheduledChange; change != nil {
		v.Planned = fmt.Sprintf("Changes to %s on %s.", valueOrEmpty(change.ProductName), date(change.EffectiveAt))
	}
	v.Status, v.Tone, v.Next = sub.standing()
	return v
}

// price is what a cycle costs.
func (sub *subscription) price() string {
	if sub.OnDemand {
		return "Charged on demand"
	}
	price := money(sub.RecurringPreTaxAmount, sub.Currency) + " " + sub.cycle().each()
	if len(sub.plan.lines[0].product.Meters) > 0 {
		price += ", and what you use"
	}
	return price
}

// standing describes the status: one or two words, a tone, and a sentence about what comes
// next.
func (sub *subscription) standing() (status, tone, next string) {
	switch sub.Status {
	case SubscriptionPending:
		return "Not paid yet", "bad", "Begins when you pay the first time."
	case SubscriptionActive:
		switch {
		case sub.CancelAtNextBillingDate:
			return "Ends soon", "bad", "Ends on " + date(sub.NextBillingDate) + ". You will not be charged again."
		case sub.processing != nil:
			return "Active", "good", "Your bank is processing the payment."
		case sub.OnDemand:
			return "Active", "good", "There is no billing date."
		case !sub.ExpiresAt.After(sub.NextBillingDate):
			return "Active", "good", "Ends on " + date(sub.ExpiresAt) + "."
		case sub.inTrial() && sub.TrialAmount != nil:
			return "Trial", "good", "The next payment of " + money(sub.RecurringPreTaxAmount, sub.Currency) + " is on " + date(sub.NextBillingDate) + "."
		case sub.inTrial():
			return "Free trial", "good", "The first payment of " + money(sub.RecurringPreTaxAmount, sub.Currency) + " is on " + date(sub.NextBillingDate) + "."
		}
		return "Active", "good", "The next payment is on " + date(sub.NextBillingDate) + "."
	case SubscriptionPastDue:
		return "Payment failed", "bad", "Replace your payment method by " + date(*sub.grace) + ", or you lose access."
	case SubscriptionOnHold:
		return "On hold", "bad", "The last payment failed. Replace your payment method to go on."
	case SubscriptionPaused:
		return "Paused", "bad", "Nothing is charged until you resume."
	case SubscriptionExpired:
		return "Ended", "over", "Ended on " + date(sub.ExpiresAt) + "."
	}
	if sub.CancelledAt != nil {
		return "Cancelled", "over", "Ended on " + date(*sub.CancelledAt) + "."
	}
	return "Cancelled", "over", ""
}

// methodView describes a method, and which subscriptions it pays for.
func (s *Simulator) methodView(customerID string, m *method) methodView {
	v := methodView{ID: m.id, Name: m.card.name()}
	if !m.card.upi() {
		v.Name += ", expires 06/32" // FACTS 5.2
	}
	for _, sub := range s.subscriptionOrder {
		if sub.Customer.CustomerID == customerID && !sub.over() && valueOrEmpty(sub.PaymentMethodID) == m.id {
			if v.Used != "" {
				v.Used += ", "
			}
			v.Used += sub.plan.lines[0].product.Name
		}
	}
	return v
}

// plansFor are the products that a subscription can change to.
func (s *Simulator) plansFor(sub *subscription) []planView {
	var plans []planView
	for _, p := range s.offers {
		if p.recurring() && !p.Archived && p.ID != sub.ProductID && p.Currency == sub.Currency {
			plans = append(plans, planView{
				ID: p.ID, Name: p.Name, Description: p.Description,
				Price: money(int64(p.Price)*int64(sub.Quantity), p.Currency) + " " + p.Every.each(),
			})
		}
	}
	return plans
}

// planFrom is a plan that a customer considers, with the effects of the change.
func (s *Simulator) planFrom(sub *subscription, productID string) (planView, bool) {
	plans := s.plansFor(sub)
	i := slices.IndexFunc(plans, func(p planView) bool { return p.ID == productID })
	if i < 0 {
		return planView{}, false
	}
	v := plans[i]
	request := sub.planRequest(productID, "now")
	_, plan, refusal := s.planFor(sub.SubscriptionID, request)
	if refusal != nil {
		return planView{}, false
	}
	now := s.previewChange(sub, plan, request)
	v.Price = money(now.NewPlan.RecurringPreTaxAmount, now.NewPlan.Currency) + " " + now.NewPlan.cycle().each()
	v.Now, v.NextNow = money(now.ImmediateCharge.Summary.Total, sub.Currency), date(now.NewPlan.NextBillingDate)
	v.Nothing = now.ImmediateCharge.Summary.Total == 0
	later := s.previewChange(sub, plan, sub.planRequest(productID, "later"))
	v.Later = date(later.ImmediateCharge.EffectiveAt)
	return v, true
}

// addHistory lists the customer's payments, newest first, without those that nobody has
// attempted.
func (s *Simulator) addHistory(v *portalView, customerID string) {
	for _, p := range slices.Backward(s.paymentOrder) {
		if p.Customer.CustomerID != customerID || p.Status == Awaited {
			continue
		}
		if len(v.History) == maxHistory {
			v.More = true
			return
		}
		h := historyView{Date: date(p.settled), What: p.what(), Amount: money(p.TotalAmount, p.Currency)}
		h.Status, h.Tone = p.standing()
		if p.InvoiceID != nil {
			h.Invoice = "../invoices/payments/" + p.PaymentID
		}
		for _, r := range p.Refunds {
			shown := refundView{date(r.CreatedAt), money(r.Amount, r.Currency), "Pending", "over", ""}
			switch r.Status {
			case refundSucceeded:
				shown.Status, shown.Tone, shown.Note = "Refunded", "good", "../invoices/refunds/"+r.RefundID
			case refundFailed:
				shown.Status, shown.Tone = "Failed", "bad"
			}
			h.Refunds = append(h.Refunds, shown)
		}
		v.History = append(v.History, h)
	}
}

// standing describes the status, with a tone.
func (p *payment) standing() (status, tone string) {
	switch p.Status {
	case Succeeded:
		return "Paid", "good"
	case Failed:
		return "Declined", "bad"
	case ActionRequired:
		return "Waits for your bank", "bad"
	}
	words := strings.ReplaceAll(string(p.Status), "_", " ")
	return strings.ToUpper(words[:1]) + words[1:], "over"
}

// what names what a payment is for.
func (p *payment) what() string {
	if p.IsUpdateMethod && p.TotalAmount == 0 {
		return "New payment method"
	}
	names := ""
	for i, l := range p.lines {
		if i > 0 {
			names += ", "
		}
		names += l.product.Name
		if l.quantity > 1 {
			names += fmt.Sprintf(" × %d", l.quantity)
		}
	}
	return names
}
