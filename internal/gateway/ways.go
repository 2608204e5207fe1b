package gateway

import (
	"slices"

	"github.com/dodogate/dodogate/config"
)

// Action is what an account can do to get a product.
type Action string

// The actions.
const (
	ActionBuy    Action = "buy"    // a checkout
	ActionChange Action = "change" // change a subscription to the product
	ActionManage Action = "manage" // resume, repair or end a subscription in the customer portal
)

// Way is one way for an account to get a product.
type Way struct {
	Action Action
	From   Held // the subscription that is changed or managed; zero for a checkout
}

// InTheWay are the subscriptions because of which a product is not sold to their account:
// they are charged again, and are for the same product or give the same plan. The customer
// would pay twice for one thing. A product with AllowMultiple is always sold, so is every
// other plan, and so is a plan that the account was promised and does not have.
func InTheWay(p config.Product, held []Held) []Held {
	if p.AllowMultiple {
		return nil
	}
	var all []Held
	for _, h := range held {
		if h.Renews() && !h.Withheld && h.gives(p) {
			all = append(all, h)
		}
	}
	return all
}

// gives reports whether a subscription is for a product, or for another one with its plan.
func (h Held) gives(p config.Product) bool {
	return h.Product.ID == p.ID || p.Plan != "" && p.Plan == h.Product.Plan
}

// Ways are the ways for an account with these subscriptions to get a product, the best
// first; none if it has the product. recurring says whether Dodo sells the product as a
// subscription.
//
// A change comes before a second purchase, because most customers want one plan. It is only
// there if it is clear which subscription would change. A subscription for the product that
// has stopped comes before both: it may go on, and would be charged in addition to the new one.
func Ways(p config.Product, recurring bool, held []Held) []Way {
	inTheWay := InTheWay(p, held)
	var ways []Way
	stopped := slices.IndexFunc(held, func(h Held) bool { return h.stopped() && h.gives(p) && !p.AllowMultiple })
	if stopped >= 0 {
		ways = append(ways, Way{ActionManage, held[stopped]})
	} else if from, ok := changesTo(p, recurring, held, inTheWay); ok {
		ways = append(ways, Way{ActionChange, from})
	}
	if len(inTheWay) == 0 {
		ways = append(ways, Way{Action: ActionBuy})
	}
	return ways
}

// changesTo finds the one subscription that can change to a product. With several in the way
// there is none: the others would refuse the change.
func changesTo(p config.Product, recurring bool, held, inTheWay []Held) (Held, bool) {
	if !recurring || p.AllowMultiple || len(inTheWay) > 1 {
		return Held{}, false
	}
	among := held
	if len(inTheWay) > 0 {
		among = inTheWay
	}
	var found []Held
	for _, h := range among {
		if h.Changeable() && h.Product.ID != p.ID {
			found = append(found, h)
		}
	}
	if len(found) != 1 {
		return Held{}, false
	}
	return found[0], true
}
