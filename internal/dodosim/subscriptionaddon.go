package dodosim

import "slices"

// addonRequestItem is a requested add-on of a subscription.
type addonRequestItem struct {
	AddonID  *string `json:"addon_id"`
	Quantity *int32  `json:"quantity"`
}

// addonItem is an add-on of a subscription.
type addonItem struct {
	AddonID  string `json:"addon_id"`
	Quantity int64  `json:"quantity"`
}

// scheduledAddon is an add-on of a scheduled plan change.
type scheduledAddon struct {
	AddonID  string `json:"addon_id"`
	Name     string `json:"name"`
	Quantity int64  `json:"quantity"`
}

// addonLines are the requested add-ons as lines of a cycle's bill, one for each add-on. Their
// quantities are for the whole subscription, not for each of its pieces: UNCONFIRMED. The
// caller holds s.mu.
func (s *Simulator) addonLines(items []addonRequestItem, to Product) ([]line, *Error) {
	var b bill
	for _, item := range items {
		switch {
		case item.AddonID == nil || item.Quantity == nil:
			return nil, refuse(codeInvalidBody, "each of addons needs addon_id and quantity")
		case *item.Quantity < 1:
			return nil, refuse(codeInvalidQuantity, "the quantity of an add-on must be at least 1")
		case !to.recurring():
			return nil, refuse(codeInvalidParameters, "product %s is no subscription, and add-ons are for subscriptions only", to.ID)
		}
		x, refusal := s.findAddon(*item.AddonID)
		switch {
		case refusal != nil:
			return nil, refusal
		case x.Currency != to.Currency:
			return nil, refuse(codeUnsupportedMoney, "the simulator converts no currency: product %s is in %s, add-on %s in %s",
				to.ID, to.Currency, x.ID, x.Currency)
		}
		b.add(x.product(), int64(*item.Quantity), int64(x.Price)*int64(*item.Quantity))
	}
	for i := range b.lines {
		b.lines[i].addon = true
	}
	return b.lines, nil
}

// addons are the lines of a bill that are add-ons.
func (b *bill) addons() []line {
	var addons []line
	for _, l := range b.lines {
		if l.addon {
			addons = append(addons, l)
		}
	}
	return addons
}

// attach adds a subscription's add-ons to a bill, at their price or free. They are free in a
// trial, and for an on-demand subscription, which costs what the merchant charges. Both are
// UNCONFIRMED.
func (b *bill) attach(addons []line, free bool) {
	for _, l := range addons {
		l.full = int64(l.product.Price) * l.quantity
		if free {
			l.full = 0
		}
		b.subtotal += l.full
		i := slices.IndexFunc(b.lines, func(known line) bool { return known.addon && known.product.ID == l.product.ID })
		if i < 0 {
			b.lines = append(b.lines, l)
			continue
		}
		b.lines[i].quantity += l.quantity
		b.lines[i].full += l.full
	}
}

// addonItems are the add-ons of a plan as objects show them.
func (b *bill) addonItems() []addonItem {
	items := []addonItem{}
	for _, l := range b.addons() {
		items = append(items, addonItem{l.product.ID, l.quantity})
	}
	return items
}

func (b *bill) scheduledAddons() []scheduledAddon {
	items := []scheduledAddon{}
	for _, l := range b.addons() {
		items = append(items, scheduledAddon{l.product.ID, l.product.Name, l.quantity})
	}
	return items
}
