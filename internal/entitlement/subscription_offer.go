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
	since   time.Time // the start of the period that it came in with
	end     time.Time // and its end
	granted bool      // an earlier release counted it
}

// offers are what was subscribed to in a period, the oldest first. What only a charge
// speaks for is a guess: nobody has seen it when the period began.
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

// priceOf is the price of a choice by everything that Dodo said.
func (s Subscription) priceOf(key string) config.Amounts {
	var price config.Amounts
	for _, periods := range []map[string]Period{s.Periods, s.Seen} {
		for _, p := range periods {
			price = unite(price, p.Choices[key].Price, larger)
		}
	}
	return price
}

// chosenBy is what a charge was made for: the choice that came in soonest after it. What
// the cycle began with has a charge already, so that one that came in at the same time
// goes before it. A choice that was seen before and since is the one if no other came in
// promptly: a change may have been made back to it. If that holds for several, nobody
// knows which one; then it is the cheapest.
func chosenBy(offers []offer, began string, p Payment) (found offer, ok bool) {
	var least time.Duration
	earliest := p.CreatedAt.Add(-startsTogether)
	for _, o := range offers {
		apart := o.First.Sub(p.CreatedAt).Abs()
		switch {
		case o.Last.Before(earliest):
			continue
		case o.First.Before(earliest):
			apart = min(o.Last.Sub(p.CreatedAt).Abs(), startsTogether)
		case o.key() == began:
			apart += startsTogether
		}
		if !ok || apart < least || apart == least && o.Price[p.Currency] < found.Price[p.Currency] {
			found, ok, least = o, true, apart
		}
	}
	return found, ok
}

// seenBy reports whether a choice is known to have been made when a cycle began.
func (o offer) seenBy(start time.Time) bool {
	return o.granted || o.First.Sub(start) < startsTogether
}

// opening is what a cycle began with, and the money that counts for it.
type opening struct {
	offer
	currency string // of the price; empty if that is not known
	price    int64  // of a whole cycle
	paid     int64  // as much of the price as counts as paid
	whole    bool   // it gives its credits whole, whatever was paid
	charged  bool   // by more than nothing
	renewal  bool   // of the same choice
}

// openBy says what the cycle began with, by the charge that opened it and by what was
// subscribed to before. A charge that is smaller than the price pays for a share, unless
// the choice was seen when the cycle began: then there was a discount. A renewal of the
// same choice may also be paid by what Dodo owes the customer, so that it counts as paid.
func (c *cycle) openBy(charge *Payment, before *offer, renewal bool) {
	if len(c.offers) == 0 {
		return
	}
	first := c.offers[0]
	if charge == nil || charge.net() == 0 {
		currency := ""
		if said := slices.Sorted(maps.Keys(first.Price)); len(said) > 0 {
			currency = said[0]
		}
		c.opening = first.opens(currency)
		return
	}
	price := func(o offer) int64 { return o.Price[charge.Currency] }
	covers := func(o offer) bool { return price(o) > 0 && charge.net() >= price(o) }
	choice := first
	for _, o := range c.offers { // a body may be newer than its event (FACTS 3.1)
		if o.First.Sub(first.First) < startsTogether && covers(o) && (!covers(choice) || price(o) > price(choice)) {
			choice = o
		}
	}
	same := before != nil && before.key() == choice.key()
	prompt := charge.CreatedAt.Sub(c.Start).Abs() < startsTogether // else dates may have moved in between
	seen := same || choice.granted || choice.seenBy(c.Start) && prompt
	if !covers(choice) && before != nil && covers(*before) && (!seen || charge.net() == price(*before)) {
		choice, seen = *before, true
		c.offers = append(c.offers, choice)
	}
	c.opening = choice.opens(charge.Currency)
	c.opening.charged, c.opening.renewal = true, same && renewal
	if c.opening.price > 0 && !c.opening.renewal {
		c.opening.paid = min(c.opening.price, charge.net())
		c.opening.whole = seen || c.opening.paid == c.opening.price
	}
}

// mayBeLater is for an opening choice that was seen only after a further charge: it may
// have come in by a change. Then it gives what was paid, and after a trial nothing.
func (o *opening) mayBeLater(start time.Time) {
	switch {
	case o.price == 0 || o.renewal:
	case o.charged:
		o.whole = o.paid == o.price
	case !o.seenBy(start):
		o.paid, o.whole = 0, false
	}
}

// opens is an opening by a choice that counts as paid.
func (o offer) opens(currency string) opening {
	price := min(max(o.Price[currency], 0), mostPieces)
	if price == 0 {
		currency = ""
	}
	return opening{offer: o, currency: currency, price: price, paid: price, whole: true}
}
