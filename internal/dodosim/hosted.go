package dodosim

import (
	"net/http"
	"strings"
)

// maxForm bounds what a page's form may send.
const maxForm = 16 << 10

// showPage answers GET /session/{id}.
func (s *Simulator) showPage(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	session, refusal := s.findSession(r.PathValue("id"))
	if refusal != nil {
		s.mu.Unlock()
		writePage(w, http.StatusNotFound, checkoutPage, notFoundPage)
		return
	}
	v, status := s.view(session), http.StatusOK
	if v.Closed && !session.paid() {
		status = http.StatusGone
	}
	s.mu.Unlock()
	writePage(w, status, checkoutPage, v)
}

// submitPage answers POST /session/{id}, the page's only form. Page and form share a URL, so
// that they work wherever the simulator is mounted.
func (s *Simulator) submitPage(w http.ResponseWriter, r *http.Request) {
	if !readForm(w, r) {
		return
	}
	s.mu.Lock()
	session, refusal := s.findSession(r.PathValue("id"))
	if refusal != nil {
		s.mu.Unlock()
		writePage(w, http.StatusNotFound, checkoutPage, notFoundPage)
		return
	}
	target, refusal := s.handleAction(session, r)
	v := s.view(session)
	s.mu.Unlock()

	switch {
	case refusal != nil:
		v.Problem = sentence(refusal.Message)
		v.refill(r)
		v.Code, v.Number = r.PostForm.Get("discount_code"), r.PostForm.Get("number")
		writePage(w, refusal.Status, checkoutPage, v)
	case target == "":
		v.refill(r)
		writePage(w, http.StatusOK, checkoutPage, v)
	default:
		seeOther(w, target)
	}
}

// handleAction does what the pressed button says and returns where to go: "" is this page
// again. The caller holds s.mu.
func (s *Simulator) handleAction(session *session, r *http.Request) (string, *Error) {
	number, action, code := r.PostForm.Get("card"), r.PostForm.Get("action"), r.PostForm.Get("discount_code")
	if number == "" {
		number = r.PostForm.Get("number")
	} else {
		action = "pay" // a test card's own button
	}
	switch {
	case action == "cancel" && session.cancelURL != "":
		return session.cancelURL, nil // the session can still be paid
	case action == "confirm" || action == "refuse":
		return s.answerChallenge(session, action == "confirm")
	case session.challenged != nil:
		return session.id, nil // a page from before: the bank waits
	case action == "discount", action == "pay" && code != "":
		// Whoever types a code and presses Enter, which browsers take for the first
		// button, gets to see the new total before paying it.
		return "", s.applyCode(session, code)
	case action == "pay", action == "decline":
		by, refusal := s.typedBuyer(session, r)
		if refusal != nil {
			return "", refusal
		}
		with, refusal := session.chosenCard(action, number, r.PostForm.Get("reason"))
		if refusal != nil {
			return "", refusal
		}
		return s.payForm(session, with, by, r.PostForm.Get("challenge") != "")
	}
	return "", refuse(codeInvalidParameters, "the form has no such button")
}

// chosenCard is the card of a form; any card if none is needed.
func (session *session) chosenCard(action, number, reason string) (card, *Error) {
	switch {
	case !session.needsCard():
		return card{}, nil
	case action == "decline":
		return declining(reason)
	}
	return session.instrument(number)
}

// payForm pays with the customer's input. A success redirects to the merchant immediately,
// without the page in between that Dodo shows unless redirect_immediately is set. A decline
// redirects to this page, so that reloading does not pay again.
func (s *Simulator) payForm(session *session, with card, by buyer, challenge bool) (string, *Error) {
	if session.needsCard() && !with.upi() && (challenge || session.force3DS) {
		return session.id, s.challenge(session, with, by)
	}
	p, refusal := s.pay(session, with, by)
	if refusal != nil {
		return "", refusal
	}
	return s.pageAfter(session, p), nil
}

// answerChallenge passes on the customer's answer to the bank.
func (s *Simulator) answerChallenge(session *session, confirmed bool) (string, *Error) {
	if refusal := session.usable(s.now()); refusal != nil {
		return "", refusal
	}
	p, refusal := s.decide(session, confirmed)
	if refusal != nil {
		return "", refusal
	}
	return s.pageAfter(session, p), nil
}

// pageAfter is the page after an attempt to pay.
func (s *Simulator) pageAfter(session *session, p *payment) string {
	if target := s.redirect(session); target != "" && p.Status == Succeeded {
		return target
	}
	return session.id // relative to /session/
}

// typedBuyer is the buyer from the form, as far as the merchant lets the customer edit it. The
// caller holds s.mu.
func (s *Simulator) typedBuyer(session *session, r *http.Request) (buyer, *Error) {
	if refusal := session.usable(s.now()); refusal != nil {
		return buyer{}, refusal
	}
	by := session.buyer
	if session.editEmail || by.email == "" {
		by.email = strings.TrimSpace(r.PostForm.Get("email"))
	}
	if session.editName || by.name == "" {
		by.name = strings.TrimSpace(r.PostForm.Get("name"))
	}
	switch {
	case !validEmail(by.email):
		return buyer{}, refuse(codeInvalidParameters, "please enter an e-mail address")
	case by.name == "" || len(by.name) > 200:
		return buyer{}, refuse(codeInvalidParameters, "please enter a name")
	}
	return by, nil
}

// applyCode adds a discount code to the session.
func (s *Simulator) applyCode(session *session, code string) *Error {
	if refusal := session.usable(s.now()); refusal != nil {
		return refusal
	}
	if !session.allowCode {
		return refuse(codeInvalidDiscount, "this checkout takes no discount codes")
	}
	var codes []string
	for _, d := range session.bill.codes {
		codes = append(codes, d.Code)
	}
	discounts, refusal := s.findDiscounts(append(codes, code))
	if refusal != nil {
		return refusal
	}
	if session.terms.OnDemand != nil {
		return refuse(codeDiscountOnDemand, "discounts cannot be used on demand")
	}
	priced, refusal := s.price(session.cart, discounts, session.terms)
	if refusal != nil {
		return refusal
	}
	session.bill = priced
	return nil
}
