package dodosim

import (
	"cmp"
	"slices"
	"strings"
)

// Test cards, for [Simulator.Pay] and [Simulator.ReplaceCard]. The hosted page also accepts
// all of FACTS 5.2.
const (
	CardVisa              = "4242424242424242"
	CardMastercard        = "5555555555554444"
	CardDeclined          = "4000000000000002"
	CardInsufficientFunds = "4000000000009995"
	// CardFailsLater pays the checkout and then fails for renewals, plan changes and on-demand
	// charges.
	CardFailsLater = "4000000000000341"
	// CardIndia pays the checkout immediately; renewals and on-demand charges process for two
	// days.
	CardIndia = "4576238912771450"
	// CardIndiaFailsLater pays the checkout immediately; renewals and on-demand charges
	// process for two days, and then fail. It is the simulator's own: Dodo has no such card.
	CardIndiaFailsLater = "4000003560000123"
)

// card is a test instrument and its behaviour.
type card struct {
	number  string // with UPI, an address
	network string // empty: UPI
	label   string // for the page's one-click choices
	indian  bool
	decline string // error_code of the payment (FACTS 5.3); empty: accepted
	later   string // the same for charges without the customer
	slow    bool   // charges without the customer take two days
}

// testCards are all cards of FACTS 5.2, and CardIndiaFailsLater, in the order of the page. The
// error code of UPI is UNCONFIRMED.
var testCards = []card{
	{number: CardVisa, network: "visa", label: "Succeeds"},
	{number: CardMastercard, network: "mastercard", label: "Succeeds"},
	{number: CardDeclined, network: "visa", label: "Declined", decline: "GENERIC_DECLINE"},
	{number: CardInsufficientFunds, network: "mastercard", label: "Insufficient funds", decline: "INSUFFICIENT_FUNDS"},
	{number: CardFailsLater, network: "visa", label: "Fails on renewal", later: "GENERIC_DECLINE"},
	{number: CardIndia, network: "visa", label: "Succeeds", indian: true, slow: true},
	{number: "5409162669381034", network: "mastercard", label: "Succeeds", indian: true, slow: true},
	{number: CardIndiaFailsLater, network: "visa", label: "Fails on renewal", indian: true, slow: true, later: slowDecline},
	{number: "4706131211212123", network: "visa", label: "Declined", indian: true, decline: "GENERIC_DECLINE"},
	{number: "5105105105105100", network: "mastercard", label: "Declined", indian: true, decline: "GENERIC_DECLINE"},
	{number: "success@upi", label: "Succeeds", indian: true, slow: true},
	{number: "failure@upi", label: "Declined", indian: true, decline: "GENERIC_DECLINE"},
}

// upi reports whether it is a UPI account, named by an address, and not a card.
func (c card) upi() bool { return c.network == "" }

// forLater is the error code of charges without the customer; empty if they succeed. A card
// that is declined at the checkout is declined later, too.
func (c card) forLater() string { return cmp.Or(c.later, c.decline) }

// findCard looks up a number, written with or without spaces and dashes. A number other than a
// test card's is refused before a payment is made: what Dodo's page does with one in test mode
// is UNCONFIRMED.
func findCard(number string) (card, *Error) {
	plain := strings.ToLower(strings.NewReplacer(" ", "", "-", "").Replace(number))
	for _, c := range testCards {
		if c.number == plain {
			return c, nil
		}
	}
	return card{}, refuse(codeInvalidParameters, "that is not the number of a test card")
}

// takesUPI reports whether UPI is available (FACTS 5.2).
func takesUPI(address billing, currency string) bool {
	return address.Country == "IN" && currency == "INR"
}

// takesUPI reports whether UPI is available in this session: merchants can exclude it.
func (session *session) takesUPI() bool {
	return takesUPI(session.billing, session.bill.currency) &&
		(session.methodTypes == nil || slices.Contains(session.methodTypes, "upi_collect"))
}

// instrument is findCard for the instruments of this session.
func (session *session) instrument(number string) (card, *Error) {
	with, refusal := findCard(number)
	if refusal == nil && with.upi() && !session.takesUPI() {
		return card{}, noUPI()
	}
	return with, refusal
}

func noUPI() *Error {
	return refuse(codeInvalidParameters, "UPI needs the billing country IN, a price in INR, and a merchant who takes it")
}

// lastFour are the digits of a card that may be shown.
func (c card) lastFour() string { return c.number[len(c.number)-4:] }

// spaced is the number as it is printed on a card.
func (c card) spaced() string {
	if c.upi() {
		return c.number
	}
	var b strings.Builder
	for i, digit := range c.number {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(digit)
	}
	return b.String()
}

// brand is the network's name for customers.
func (c card) brand() string {
	switch c.network {
	case "visa":
		return "Visa"
	case "mastercard":
		return "Mastercard"
	}
	return "UPI"
}

// name is how customers recognize their instrument.
func (c card) name() string {
	if c.upi() {
		return "UPI " + c.number
	}
	return c.brand() + " ending in " + c.lastFour()
}
