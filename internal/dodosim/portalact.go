package dodosim

import (
	"net/http"
	"net/url"
)

// portalNotices are the portal's messages after an action, by the word in the query of the
// next page. Anybody can change that word and see an untrue message, so none of them asks for
// anything.
var portalNotices = map[string]string{
	"cancelled": "Your subscription has ended.",
	"ending":    "Your subscription will end with the period that you have paid for.",
	"kept":      "Your subscription goes on.",
	"paused":    "Your subscription is paused.",
	"resumed":   "Your subscription goes on.",
	"changed":   "You are on the new plan.",
	"planned":   "Your plan will change on the next billing date.",
	"unplanned": "Your plan stays as it is.",
	"method":    "Your payment method has been replaced.",
	"removed":   "The payment method is gone.",
}

// portalProblems are the messages for a declined payment, which is not a refusal.
var portalProblems = map[string]string{
	"plan-declined":   "The payment for the new plan was declined, so your plan stays as it is.",
	"method-declined": "The payment was declined. Try another payment method.",
}

// serveCustomer does what a form of the portal says, with the same code as the API, and
// returns where to go. The caller holds s.mu.
func (s *Simulator) serveCustomer(link portal, r *http.Request) (string, *Error) {
	form := r.PostForm
	if form.Get("action") == "remove" {
		return link.page("", "removed"), s.removeMethod(link.customerID, form.Get("method"))
	}
	sub, refusal := s.ownSubscription(link, form.Get("subscription"))
	if refusal != nil {
		return "", refusal
	}
	done := ""
	switch form.Get("action") {
	case "cancel":
		done, refusal = s.cancelFor(sub, form)
	case "keep":
		done, refusal = "kept", s.patchAtomically(sub, patchRequest{CancelAtNext: new(false)})
	case "pause":
		done, refusal = "paused", s.patchAtomically(sub, patchRequest{Status: new("paused")})
	case "resume":
		done, refusal = "resumed", s.patchAtomically(sub, patchRequest{Status: new("active")})
	case "change":
		done, refusal = s.changeFor(sub, form)
	case "unplan":
		done, refusal = "unplanned", s.unschedule(sub)
	case "method":
		if form.Get("method") == "new" {
			return s.newMethodFor(link, sub, r)
		}
		done, refusal = s.useFor(sub, form.Get("method"))
	default:
		refusal = refuse(codeInvalidParameters, "the form has no such button")
	}
	return link.page(sub.SubscriptionID, done), refusal
}

// page is a page of the portal, relative to /portal/.
func (link portal) page(subscriptionID, done string) string {
	query := url.Values{"done": {done}}
	if subscriptionID != "" {
		query.Set("subscription", subscriptionID)
	}
	return link.id + "?" + query.Encode()
}

// cancelFor cancels immediately or at the end of the paid period.
func (s *Simulator) cancelFor(sub *subscription, form url.Values) (string, *Error) {
	request := patchRequest{CancelReason: new("cancelled_by_customer")}
	if feedback := form.Get("feedback"); feedback != "" {
		request.Feedback = &feedback
	}
	if comment := form.Get("comment"); comment != "" {
		request.Comment = &comment
	}
	done := "ending"
	switch form.Get("when") {
	case "end":
		request.CancelAtNext = new(true)
	case "now":
		request.Status, done = new("cancelled"), "cancelled"
	default:
		return "", refuse(codeInvalidParameters, "say when the subscription is to end")
	}
	if refusal := request.check(); refusal != nil {
		return "", refusal
	}
	return done, s.patchAtomically(sub, request)
}

// planRequest is a customer's change of plan: immediately, less the unused part of the old
// plan, or on the next billing date. At Dodo merchants decide what they offer.
func (sub *subscription) planRequest(productID, when string) planChangeRequest {
	request := planChangeRequest{ProductID: &productID, Quantity: new(sub.Quantity), Mode: new(prorated)}
	if when == "later" {
		request.Mode, request.EffectiveAt = new(full), new(nextBillingDate)
	}
	return request
}

// changeFor changes the plan. If the charge is declined, the old plan stays.
func (s *Simulator) changeFor(sub *subscription, form url.Values) (string, *Error) {
	when := form.Get("when")
	if when != "now" && when != "later" {
		return "", refuse(codeInvalidParameters, "say when the plan is to change")
	}
	request := sub.planRequest(form.Get("product"), when)
	_, plan, refusal := s.planFor(sub.SubscriptionID, request)
	if refusal != nil {
		return "", refusal
	}
	s.toPlan(sub, plan, request)
	switch {
	case sub.ScheduledChange != nil:
		return "planned", nil
	case sub.ProductID != *request.ProductID:
		return "plan-declined", nil
	}
	return "changed", nil
}

// newMethodFor leads to the page for another card, like POST
// /subscriptions/{id}/update-payment-method.
func (s *Simulator) newMethodFor(link portal, sub *subscription, r *http.Request) (string, *Error) {
	if refusal := sub.cardReplaceable(s.now()); refusal != nil {
		return "", refusal
	}
	back := s.publicURL(r) + "/portal/" + link.id + "?subscription=" + url.QueryEscape(sub.SubscriptionID)
	session := s.cardSession(sub, back)
	session.cancelURL = back
	return "../session/" + session.id, nil
}

// useFor moves the subscription to one of the customer's saved methods.
func (s *Simulator) useFor(sub *subscription, methodID string) (string, *Error) {
	if refusal := sub.cardReplaceable(s.now()); refusal != nil {
		return "", refusal
	}
	m, refusal := s.findMethod(sub.Customer.CustomerID, methodID)
	if refusal != nil {
		return "", refuse(codeNotFound, "choose a payment method")
	}
	s.useSaved(sub, m)
	if sub.owes() {
		return "method-declined", nil
	}
	return "method", nil
}
