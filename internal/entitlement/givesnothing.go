package entitlement

import (
	"github.com/dodogate/dodogate/config"
)

// The operator must see a payment that gives nothing. The two methods of Record here look
// only at what the given fact is about, after the fact was folded into the record. So an old
// purchase does not flag the events of today.

// UnknownAddon reports whether the subscription that a fact is about has an add-on without
// terms.
func (r Record) UnknownAddon(fact Fact) bool {
	if fact.Ref.Kind != KindSubscription {
		return false
	}
	s := fact.Subscription.State
	for _, p := range fact.Subscription.Charges {
		if now := r.Subscription.State; p.pays() && !now.PeriodStart.IsZero() && now.period().mayContain(p.CreatedAt) {
			s = now
		}
	}
	if s.Status != SubscriptionActive {
		return false
	}
	for id := range s.Addons.All() {
		if _, known := r.termsOf(id, s.PeriodStart); !known {
			return true
		}
	}
	return false
}

// GivesNothing reports whether a fact is about money for which its account got nothing: a cart
// line or a period whose product gives nothing, an on-demand charge without a rate, or a
// charge within a period that no rule counts. A product without terms is [ErrUnknownProduct]
// instead. Money that was refunded in full does not count as paid.
func (r Record) GivesNothing(fact Fact, policy config.DisputePolicy) bool {
	if fact.Ref.Kind != KindSubscription {
		return r.Payment.buysNothing(r.Terms, policy)
	}
	if s := fact.Subscription.State; s.Status == SubscriptionActive && s.Price > 0 && !s.OnDemand && r.offerGivesNothing(s.offer()) {
		return true
	}
	for id := range fact.Subscription.Charges {
		p := r.Subscription.Charges[id]
		if _, full := p.reversed(policy); p.pays() && p.net() > 0 && !full && r.chargeGivesNothing(id, p, policy) {
			return true
		}
	}
	return false
}

// buysNothing reports whether a cart line was paid for and gives nothing.
func (p Payment) buysNothing(terms map[string]Terms, policy config.DisputePolicy) bool {
	if p.Status != PaymentSucceeded || p.Subscription != "" || p.net() == 0 {
		return false
	}
	if _, full := p.reversed(policy); full {
		return false
	}
	for _, line := range p.Cart {
		if t, known := terms[line.ProductID]; known && !t.givesSomething() {
			return true
		}
	}
	return false
}

// offer is what is subscribed to in this state.
func (s SubscriptionState) offer() offer {
	return offer{Choice: Choice{ProductID: s.ProductID, Quantity: s.Quantity, Addons: s.Addons}, since: s.PeriodStart}
}

// offerGivesNothing reports whether the terms of an offer are known and give nothing.
func (r Record) offerGivesNothing(o offer) bool {
	t, known := r.termsOf(o.ProductID, o.since)
	if !known || t.givesSomething() {
		return false
	}
	for id := range o.Addons.All() {
		if t, known := r.termsOf(id, o.since); !known || t.givesSomething() {
			return false
		}
	}
	return true
}

// chargeGivesNothing judges a charge by the cycle that it was made in. A charge outside every
// cycle is for a period that Dodo has not reported yet.
func (r Record) chargeGivesNothing(id string, p Payment, policy config.DisputePolicy) bool {
	s := r.Subscription
	if t, known := r.termsOf(onChargeKey(s.State.ProductID, id), p.CreatedAt); known {
		if credits, err := t.creditsForCharge(p); credits > 0 || err != nil {
			return false
		}
	}
	for _, c := range s.cycles() {
		for i, charged := range c.charges {
			if charged != id || !p.CreatedAt.Before(c.End.Add(-sameStart)) {
				continue
			}
			if c.charged && i == 0 {
				return r.openingGivesNothing(c)
			}
			return s.State.OnDemand || !r.chargeAddsSomething(c, id, policy)
		}
	}
	return false
}

// openingGivesNothing reports whether the charge that opened a cycle bought something that
// gives nothing.
func (r Record) openingGivesNothing(c cycle) bool {
	for _, o := range c.offers {
		if !r.offerGivesNothing(o) {
			return false
		}
	}
	return len(c.offers) > 0
}

// chargeAddsSomething reports whether a further charge of a cycle bought something: it was
// made for another choice than the opening one, or the cycle gives fewer credits without it.
func (r Record) chargeAddsSomething(c cycle, id string, policy config.DisputePolicy) bool {
	s := r.Subscription
	p := s.Charges[id]
	if o, known := choiceFor(c.offers, c.opening.key(), p); known && o.key() != c.opening.key() {
		return true
	}
	all := s.termsUnlessShort(r.termsOf, func(string) bool { return false })
	with, err := s.creditsOf(c, all, policy)
	if err != nil {
		return true
	}
	without := c
	without.charges = nil
	for _, other := range c.charges {
		if other != id {
			without.charges = append(without.charges, other)
		}
	}
	fewer, err := s.creditsOf(without, all, policy)
	return err != nil || fewer.credits < with.credits
}
