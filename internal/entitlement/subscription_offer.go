package entitlement

import (
	"maps"
	"slices"
	"time"

	"github.com/dodogate/dodogate/config"
)

// offer is a choice in one period.
type offer struct {
	Choice
	since   time.Time // start of the period in which it was first seen
	end     time.Time // end of that period
	granted bool      // an earlier release counted it
}

// offers are what was subscribed to in a period, oldest first. If only a charge shows the
// period, they are a guess: no report has shown them at its start.
func (s Subscription) offers(p Period) []offer {
	offers := make([]offer, 0, len(p.Bought))
	if len(p.Choices) > 0 {
		for _, c := range p.choices() {
			offers = append(offers, offer{Choice: c, since: p.Start, end: p.End})
		}
		return offers
	}
	_, granted := s.Granted[periodKey(p.Start)]
	for _, id := range slices.Sorted(maps.Keys(p.Bought)) {
		c := Choice{ProductID: id, Quantity: p.Bought[id], First: p.End, Last: p.End}
		if granted {
			c.First, c.Last = p.Start, p.Start
		}
		c.Price = s.priceOf(c.key())
		offers = append(offers, offer{c, p.Start, p.End, granted})
	}
	return offers
}

// priceOf is the price of a choice, by all that Dodo has reported.
func (s Subscription) priceOf(key string) config.Amounts {
	var price config.Amounts
	for _, periods := range []map[string]Period{s.Periods, s.Seen} {
		for _, p := range periods {
			price = mergeMaps(price, p.Choices[key].Price, maxOf)
		}
	}
	return price
}

// choiceFor is the choice that a charge was made for: the one that was first seen soonest
// after it. A choice that was seen both before and after the charge counts only if no other
// appeared promptly, because a change may have gone back to it. The cycle's opening choice
// already has a charge, so another choice that appeared at the same time wins. If several fit
// equally well, it is the cheapest.
func choiceFor(offers []offer, began string, p Payment) (found offer, ok bool) {
	var least time.Duration
	earliest := p.CreatedAt.Add(-sameStart)
	for _, o := range offers {
		apart := o.First.Sub(p.CreatedAt).Abs()
		switch {
		case o.Last.Before(earliest):
			continue
		case o.First.Before(earliest):
			apart = min(o.Last.Sub(p.CreatedAt).Abs(), sameStart)
		case o.key() == began:
			apart += sameStart
		}
		if !ok || apart < least || apart == least && o.Price[p.Currency] < found.Price[p.Currency] {
			found, ok, least = o, true, apart
		}
	}
	return found, ok
}

// seenAtStart reports whether a choice is known to have been made when a cycle began.
func (o offer) seenAtStart(start time.Time) bool {
	return o.granted || o.First.Sub(start) < sameStart
}

// opening is the choice that a cycle began with, and the money that counts for it.
type opening struct {
	offer
	currency    string // of the price; empty if unknown
	price       int64  // of a whole cycle
	paid        int64  // the part of the price that counts as paid
	fullCredits bool   // it gives all its credits, whatever was paid
	charged     bool   // by more than 0
	renewal     bool   // of the same choice
}

// setOpening decides what the cycle began with, from the charge that opened it and the choice
// before. A charge that is smaller than the price pays for a share, unless the choice was seen
// when the cycle began: then there was a discount. A renewal of the same choice counts as paid
// in full, because Dodo may use the customer's balance for it.
func (c *cycle) setOpening(charge *Payment, before *offer, renewal bool) {
	if len(c.offers) == 0 {
		return
	}
	first := c.offers[0]
	if charge == nil || charge.net() == 0 {
		currency := ""
		if said := slices.Sorted(maps.Keys(first.Price)); len(said) > 0 {
			currency = said[0]
		}
		c.opening = first.asOpening(currency)
		return
	}
	price := func(o offer) int64 { return o.Price[charge.Currency] }
	covers := func(o offer) bool { return price(o) > 0 && charge.net() >= price(o) }
	choice := first
	for _, o := range c.offers { // a body may be newer than its event (FACTS 3.1)
		if o.First.Sub(first.First) < sameStart && covers(o) && (!covers(choice) || price(o) > price(choice)) {
			choice = o
		}
	}
	same := before != nil && before.key() == choice.key()
	prompt := charge.CreatedAt.Sub(c.Start).Abs() < sameStart // else dates may have moved since
	seen := same || choice.granted || choice.seenAtStart(c.Start) && prompt
	if !covers(choice) && before != nil && covers(*before) && (!seen || charge.net() == price(*before)) {
		choice, seen = *before, true
		c.offers = append(c.offers, choice)
	}
	c.opening = choice.asOpening(charge.Currency)
	c.opening.charged, c.opening.renewal = true, same && renewal
	if c.opening.price > 0 && !c.opening.renewal {
		c.opening.paid = min(c.opening.price, charge.net())
		c.opening.fullCredits = seen || c.opening.paid == c.opening.price
	}
}

// distrustLateChoice is called if the opening choice was seen only after a further charge, so
// that a change may have brought it. Then it gives only what was paid, and nothing after a
// trial.
func (o *opening) distrustLateChoice(start time.Time) {
	switch {
	case o.price == 0 || o.renewal:
	case o.charged:
		o.fullCredits = o.paid == o.price
	case !o.seenAtStart(start):
		o.paid, o.fullCredits = 0, false
	}
}

// asOpening returns an opening with this choice, counted as paid.
func (o offer) asOpening(currency string) opening {
	price := min(max(o.Price[currency], 0), maxSum)
	if price == 0 {
		currency = ""
	}
	return opening{offer: o, currency: currency, price: price, paid: price, fullCredits: true}
}
