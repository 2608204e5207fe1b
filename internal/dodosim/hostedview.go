package dodosim

import (
	"cmp"
	"net/http"
)

// checkoutView is what the checkout page shows. A closed page has only title, problem and a
// way back.
type checkoutView struct {
	Title, Problem      string
	Back                string // to the merchant, once there is something to tell or nothing left to do
	Closed, Paid, Free  bool
	Saved               bool   // is all that a paid session did to a card
	Order               string // what the list of lines is called
	Challenge           string // what the customer is asked to confirm the payment with; "": he is not
	Lines               []lineView
	Discounts           []discountView
	Total, Button       string
	Email, Name         string
	EditEmail, EditName bool
	AllowCode, Cancel   bool
	Code, Number        string // as typed, when they were refused
	UPI, Force3DS       bool
	Cards, IndianCards  []cardView
	Indian              bool // is the customer
	Soft, Hard          []string
}

type (
	lineView struct {
		Name, Description, Terms, Amount string
		Quantity                         int64
	}
	discountView struct{ Code, Share string }
	cardView     struct {
		Number, Spaced, Brand, Label string
		Good                         bool
	}
)

// view describes a session to its customer. The caller holds s.mu.
func (s *Simulator) view(session *session) checkoutView {
	if session.recharges != nil && !session.paid() && session.challenged == nil {
		session.bill = s.owed(session.recharges)
	}
	v := checkoutView{
		Title:     "Checkout",
		Order:     "Your order",
		Total:     money(session.bill.total, session.bill.currency),
		Free:      !session.needsCard(),
		Email:     session.buyer.email,
		Name:      session.buyer.name,
		EditEmail: session.editEmail || session.buyer.email == "",
		EditName:  session.editName || session.buyer.name == "",
		AllowCode: session.allowCode,
		Cancel:    session.cancelURL != "",
		Back:      s.redirect(session),
		Force3DS:  session.force3DS,
		Indian:    session.billing.Country == "IN",
		UPI:       session.takesUPI(),
		Soft:      softReasons,
		Hard:      hardReasons,
	}
	v.Button = "Pay " + v.Total
	v.list(session)
	v.offerCards(session)
	refusal := session.usable(s.now())
	switch {
	case session.paid():
		v.Title, v.Closed, v.Paid = "Paid", true, true
		if session.recharges != nil && session.last.TotalAmount == 0 {
			v.Title, v.Saved = "Saved", true
		}
	case refusal != nil:
		v.Title, v.Problem, v.Closed = "Expired", "This checkout has expired. Go back to the shop and start again.", true
	case session.challenged != nil:
		v.Title, v.Challenge, v.Back = "Confirm your payment", session.with.name(), ""
	case session.last != nil:
		v.Problem = valueOrEmpty(session.last.ErrorMessage)
	}
	if v.Closed && v.Back == "" {
		v.Back = cmp.Or(session.cancelURL, session.returnURL)
	}
	return v
}

// list shows what the customer pays for.
func (v *checkoutView) list(session *session) {
	if sub := session.recharges; sub != nil {
		product := sub.plan.lines[0].product
		l := lineView{Name: product.Name, Terms: "Nothing is charged now. The new card pays from the next billing date on.", Amount: v.Total}
		if session.bill.total > 0 {
			l.Terms = "The last payment failed. It is charged to the new card now."
		} else {
			v.Button = "Save card"
		}
		v.Title, v.Order, v.Lines = "Payment method", "Your subscription", []lineView{l}
		return
	}
	for _, l := range session.bill.lines {
		v.Lines = append(v.Lines, lineView{
			Name:        l.product.Name,
			Description: l.product.Description,
			Terms:       session.terms.sentence(l),
			Amount:      money(l.full, session.bill.currency),
			Quantity:    l.quantity,
		})
	}
	for i, d := range session.bill.codes {
		v.Discounts = append(v.Discounts, discountView{d.Code, money(session.bill.cuts[i], session.bill.currency)})
	}
}

// offerCards shows the test cards that matter in the session.
func (v *checkoutView) offerCards(session *session) {
	_, recurring := session.bill.recurring()
	for _, c := range testCards {
		if c.upi() && !v.UPI || c.later != "" && !recurring {
			continue
		}
		shown := cardView{c.number, c.spaced(), c.brand(), c.label, c.forLater() == ""}
		if c.indian {
			v.IndianCards = append(v.IndianCards, shown)
		} else {
			v.Cards = append(v.Cards, shown)
		}
	}
}

// refill shows the customer's own input again.
func (v *checkoutView) refill(r *http.Request) {
	if v.EditEmail {
		v.Email = r.PostForm.Get("email")
	}
	if v.EditName {
		v.Name = r.PostForm.Get("name")
	}
}

// problemOnlyView is a page with only a problem on it.
func problemOnlyView(title, problem string) checkoutView {
	return checkoutView{Title: title, Problem: problem, Closed: true}
}

var notFoundPage = problemOnlyView("Not found", "There is no such page. The simulator forgets everything when it restarts.")
