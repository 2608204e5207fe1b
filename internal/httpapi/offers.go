package httpapi

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/gateway"
)

// offerAnswer is one way to get a product that would satisfy a requirement, with the request
// to send. The price is per piece; quantity is the number of pieces.
type offerAnswer struct {
	productAnswer
	Quantity int64 `json:"quantity"`
	// Action is what the request does: it buys, it shows what a change of the account's
	// subscription costs, or it opens the portal, where a stopped subscription can be
	// continued.
	Action  gateway.Action `json:"action"`
	Request action         `json:"request"`

	every dodo.Period
}

type offerBody struct {
	Product  string `json:"product"`
	Quantity int64  `json:"quantity"`
}

const checkoutRoute = "/checkout"

// offers are the products that would have satisfied the request, with the number of pieces
// needed and the ways to get them. Changes of a subscription come first, unless credits are
// missing; then the cheapest comes first.
func (a *API) offers(ctx context.Context, refusal Refusal, catalog []gateway.Offer) []offerAnswer {
	held := a.subscriptionsOf(ctx, refusal)
	var offers []offerAnswer
	for _, o := range catalog {
		quantity := refusal.Needs.Pieces(o.Product, o.Features, refusal.Has)
		if quantity == 0 || quantity > 1 && o.IsSubscription() && !o.AllowMultiple {
			continue
		}
		for _, way := range gateway.Ways(o.Product, o.IsSubscription(), held) {
			offer := offerAnswer{productAnswer: productOf(o), Quantity: quantity, Action: way.Action, every: o.Every}
			if refusal.Has.Subscribed && !o.TrialAgain {
				offer.TrialDays = 0
			}
			switch way.Action {
			case gateway.ActionBuy:
				offer.Request = a.actionAt(checkoutRoute, offerBody{Product: o.Name, Quantity: quantity})
			case gateway.ActionChange:
				offer.Request = a.actionAt(changeRoute, changeBody{Product: o.Name, Subscription: way.From.ID})
			case gateway.ActionManage:
				offer.Request = a.actionAt(portalRoute, struct{}{})
			}
			offers = append(offers, offer)
		}
	}
	sortOffers(offers, refusal.Needs.Credits == 0)
	return offers
}

// subscriptionsOf are the subscriptions of a refused account. If they cannot be read,
// everything is offered for sale, and the checkout refuses what would be a second
// subscription.
func (a *API) subscriptionsOf(ctx context.Context, refusal Refusal) []gateway.Held {
	if !refusal.Has.Subscribed {
		return nil
	}
	held, err := a.shop.Subscriptions(ctx, refusal.Account)
	if err != nil {
		a.logger.Warn("subscriptions could not be read for a refusal", "error", err)
	}
	return held
}

// sortOffers puts changes first if changesFirst, then the cheapest by the price of all pieces.
// Amounts of different currencies are not compared: the currency of the catalog's first offer
// comes first, and offers without a price come last.
func sortOffers(offers []offerAnswer, changesFirst bool) {
	currencies := make(map[string]int)
	for _, o := range offers {
		if _, seen := currencies[o.currency()]; !seen && o.priced() {
			currencies[o.currency()] = len(currencies)
		}
	}
	slices.SortStableFunc(offers, func(x, y offerAnswer) int {
		if one, other := x.Action == gateway.ActionChange, y.Action == gateway.ActionChange; changesFirst && one != other {
			return falseFirst(other, one)
		}
		switch {
		case !x.priced() || !y.priced():
			return falseFirst(!x.priced(), !y.priced())
		case x.currency() != y.currency():
			return cmp.Compare(currencies[x.currency()], currencies[y.currency()])
		}
		return cmp.Compare(*x.Price*x.Quantity, *y.Price*y.Quantity)
	})
}

func falseFirst(x, y bool) int {
	switch {
	case x == y:
		return 0
	case y:
		return -1
	}
	return 1
}

func (o offerAnswer) priced() bool { return o.Price != nil && o.Currency != nil }

func (o offerAnswer) currency() string {
	if o.Currency == nil {
		return ""
	}
	return *o.Currency
}

// Label is the text of the offer's button.
func (o offerAnswer) Label() string {
	label := cmp.Or(o.Title, o.Product)
	if o.Quantity > 1 {
		label = fmt.Sprintf("%d × %s", o.Quantity, label)
	}
	if o.Action == gateway.ActionChange {
		label = "Change to " + label
	}
	if o.priced() {
		label += ", " + gateway.Money(*o.Price*o.Quantity, *o.Currency) + periodText(o.every)
	}
	if o.TrialDays > 0 && o.Action == gateway.ActionBuy {
		label += fmt.Sprintf(", the first %s free", daysText(o.TrialDays))
	}
	return label
}

func daysText(n int64) string {
	if n == 1 {
		return "day"
	}
	return fmt.Sprintf("%d days", n)
}

// formsOf are the buttons of the offers. All offers that lead to the portal share one button.
func formsOf(offers []offerAnswer, returnTo string) []form {
	var (
		all    []form
		portal *form
	)
	changes := make(map[string]bool) // products that a subscription can change to
	for _, o := range offers {
		changes[o.Product] = changes[o.Product] || o.Action == gateway.ActionChange
	}
	for _, o := range offers {
		f := form{URL: o.Request.URL, Label: o.Label(), Note: o.Description, Fields: []formField{{"product", o.Product}}}
		switch body := o.Request.Body.(type) {
		case offerBody:
			if changes[o.Product] {
				f.Note = "A second subscription: you keep the one that you have, and pay for both."
			}
			if body.Quantity > 1 {
				f.Fields = append(f.Fields, formField{quantityField, strconv.FormatInt(body.Quantity, 10)})
			}
		case changeBody:
			f.Fields = append(f.Fields, formField{"subscription", body.Subscription})
		default:
			portal = &form{URL: o.Request.URL, Label: "Manage your subscription"}
			continue
		}
		if returnTo != "" {
			f.Fields = append(f.Fields, formField{"return_to", returnTo})
		}
		all = append(all, f)
	}
	if portal != nil {
		if returnTo != "" {
			portal.Fields = []formField{{"return_to", returnTo}}
		}
		all = append(all, *portal)
	}
	return all
}
