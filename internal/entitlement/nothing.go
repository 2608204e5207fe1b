package entitlement

import (
	"github.com/dodogate/dodogate/config"
)

// Whatever is paid and gives nothing is for the operator to see. The two questions here are
// asked of a record that a fact was folded into, and answered only for what that fact
// tells of: so a purchase of long ago says nothing about the events of today.

// UnknownAddon reports whether the subscription that a fact tells of has an add-on without
// terms.
func (r Record) UnknownAddon(fact Fact) bool {
	if fact.Ref.Kind != KindSubscription {
		return false
	}
	s := fact.Subscription.State
	for _, p := range fact.Subscription.Charges {
		if now := r.Subscription.State; p.pays() && !now.PeriodStart.IsZero() && now.period().mayHold(p.CreatedAt) {
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

// GivesNothing reports whether a fact tells of money for which its account got nothing: a
// cart line or a period whose product gives nothing, a charge on demand without a rate, or a
// charge in the middle of a period that no rule counts. Products without terms are
// [ErrUnknownProduct]. What was given back in full was not paid.
func (r Record) GivesNothing(fact Fact, policy config.DisputePolicy) bool {
	if fact.Ref.Kind != KindSubscription {
		return r.Payment.buysNothing(r.Terms, policy)
	}
	if s := fact.Subscription.State; s.Status == SubscriptionActive && s.Price > 0 && !s.OnDemand && r.nothingIn(s.offer()) {
		return true
	}
	for id := range fact.Subscription.Charges {
		p := r.Subscription.Charges[id]
		if _, full := p.undone(policy); p.pays() && p.net() > 0 && !full && r.chargeGivesNothing(id, p, policy) {
			return true
		}
	}
	return false
}

// buysNothing reports whether a line of the cart was paid for and gives nothing.
func (p Payment) buysNothing(terms map[string]Terms, policy config.DisputePolicy) bool {
	if p.Status != PaymentSucceeded || p.Subscription != "" || p.net() == 0 {
		return false
	}
	if _, full := p.undone(policy); full {
		return false
	}
	for _, line := range p.Cart {
		if t, known := terms[line.ProductID]; known && !t.gives() {
			return true
		}
	}
	return false
}

// offer is what a body says that is subscribed to.
func (s SubscriptionState) offer() offer {
	return offer{Choice: Choice{ProductID: s.ProductID, Quantity: s.Quantity, Addons: s.Addons}, since: s.PeriodStart}
}

// nothingIn reports whether an offer is known to give nothing.
func (r Record) nothingIn(o offer) bool {
	t, known := r.termsOf(o.ProductID, o.since)
	if !known || t.gives() {
		return false
	}
	for id := range o.Addons.All() {
		if t, known := r.termsOf(id, o.since); !known || t.gives() {
			return false
		}
	}
	return true
}

// chargeGivesNothing judges a charge by the cycle that it was made in. One that no cycle
// holds is for a period that was not heard of yet.
func (r Record) chargeGivesNothing(id string, p Payment, policy config.DisputePolicy) bool {
	s := r.Subscription
	if t, known := r.termsOf(onCharge(s.State.ProductID, id), p.CreatedAt); known {
		if credits, err := t.rated(p); credits > 0 || err != nil {
			return false
		}
	}
	for _, c := range s.cycles() {
		for i, charged := range c.charges {
			if charged != id || !p.CreatedAt.Before(c.End.Add(-startsTogether)) {
				continue
			}
			if c.charged && i == 0 {
				return r.openedNothing(c)
			}
			return s.State.OnDemand || !r.changes(c, id, policy)
		}
	}
	return false
}

// openedNothing reports whether the charge that opened a cycle bought something that gives
// nothing.
func (r Record) openedNothing(c cycle) bool {
	for _, o := range c.offers {
		if !r.nothingIn(o) {
			return false
		}
	}
	return len(c.offers) > 0
}

// changes reports whether a further charge of a cycle was made for something: for another
// choice than the cycle began with, or its credits are fewer without it.
func (r Record) changes(c cycle, id string, policy config.DisputePolicy) bool {
	s := r.Subscription
	p := s.Charges[id]
	if o, known := chosenBy(c.offers, c.opening.key(), p); known && o.key() != c.opening.key() {
		return true
	}
	all := s.priced(r.termsOf, func(string) bool { return false })
	with, err := s.gives(c, all, policy)
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
	fewer, err := s.gives(without, all, policy)
	return err != nil || fewer.credits < with.credits
}
