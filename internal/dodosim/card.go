package dodosim

import (
	"cmp"
	"strings"
)

// Test cards, for [Simulator.Pay] and [Simulator.ReplaceCard]. The hosted page takes all
// of FACTS 5.2.
const (
	CardVisa              = "4242424242424242"
	CardMastercard        = "5555555555554444"
	CardDeclined          = "4000000000000002"
	CardInsufficientFunds = "4000000000009995"
	// CardFailsLater pays the checkout and then fails on renewals, plan changes and charges
	// on demand.
	CardFailsLater = "4000000000000341"
	// CardIndia pays the checkout at once; renewals and charges on demand are processing for
	// two days.
	CardIndia = "4576238912771450"
)

// card is a test instrument and its fate.
type card struct {
	number  string
	network string
	label   string // for the page's one-click choices; "": only by typing
	decline string // error_code of the payment (FACTS 5.3); "": accepted
	later   string // the same for charges without the customer
	slow    bool   // those take two days
}

var testCards = []card{
	{number: CardVisa, network: "visa", label: "Succeeds"},
	{number: CardDeclined, network: "visa", label: "Is declined", decline: "GENERIC_DECLINE"},
	{number: CardInsufficientFunds, network: "mastercard", label: "Has insufficient funds", decline: "INSUFFICIENT_FUNDS"},
	{number: CardFailsLater, network: "visa", label: "Succeeds, then fails on renewal", later: "GENERIC_DECLINE"},
	{number: CardMastercard, network: "mastercard"},
	{number: CardIndia, network: "visa", slow: true},
	{number: "5409162669381034", network: "mastercard", slow: true},
	{number: "4706131211212123", network: "visa", decline: "GENERIC_DECLINE"},
	{number: "5105105105105100", network: "mastercard", decline: "GENERIC_DECLINE"},
}

// declineMessages is what the customer reads, by error_code. The wording is ours.
var declineMessages = map[string]string{
	"GENERIC_DECLINE":    "Your card was declined. Try another one.",
	"INSUFFICIENT_FUNDS": "Your card has insufficient funds. Try another one.",
}

// forLater is the error code that a charge without the customer ends with, if any: a card
// that is declined at once is declined later, too.
func (c card) forLater() string { return cmp.Or(c.later, c.decline) }

// findCard looks a number up, written with or without spaces and dashes. Any other
// number than a test card's is refused before there is a payment: what Dodo's page does
// with one in test mode is UNCONFIRMED.
func findCard(number string) (card, *Error) {
	digits := strings.NewReplacer(" ", "", "-", "").Replace(number)
	for _, c := range testCards {
		if c.number == digits {
			return c, nil
		}
	}
	return card{}, refuse(codeInvalidParameters, "that is not the number of a test card")
}

// lastFour is what may be shown of a card.
func (c card) lastFour() string { return c.number[len(c.number)-4:] }

// spaced is the number as it is printed on a card.
func (c card) spaced() string {
	var b strings.Builder
	for i, digit := range c.number {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(digit)
	}
	return b.String()
}
