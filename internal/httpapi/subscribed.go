package httpapi

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/dodogate/dodogate/internal/gateway"
)

// membersOf are the extra members of a problem with subscriptions: the subscriptions and, for
// a customer who would pay twice, the requests that manage them.
func (a *API) membersOf(e *gateway.SubscriptionsError) map[string]any {
	members := map[string]any{"subscriptions": subscriptionsOf(e.Held)}
	if !errors.Is(e, gateway.ErrSubscribed) {
		return members
	}
	members["portal"] = a.actionAt(portalRoute, struct{}{})
	if len(e.Held) > 0 {
		members["cancel"] = a.actionAt(cancelRoute, cancelBody{Subscription: e.Held[0].ID})
	}
	if e.CanChange {
		members["change"] = a.actionAt(changeRoute, changeBody{Product: e.Product.Name, Subscription: e.Held[0].ID})
	}
	if e.Unfulfilled != "" {
		members["pending"] = []string{e.Unfulfilled}
	}
	return members
}

// wantsPage reports whether to answer with a page: for a browser, and for a form without
// another preference.
func wantsPage(r *http.Request) bool {
	preferred := wants(r)
	return preferred == wantsHTML || preferred == wantsEither && mediaOf(r) == mediaForm
}

// subscribedPage is the data of pages/subscribed.html.
type subscribedPage struct {
	Title, Detail, Code string
	Refresh             *refresh // always nil; the template's head needs the field
	Home                string   // the site
	Waiting             string   // the page of the order whose subscription has not arrived yet
	Forms               []form
}

// writeSubscribed answers a browser that would buy a second subscription.
func (a *API) writeSubscribed(w http.ResponseWriter, p Problem, e *gateway.SubscriptionsError) {
	page := subscribedPage{Title: "You have this already", Detail: p.Detail, Code: p.Code, Home: p.Home}
	if e.Unfulfilled != "" {
		page.Waiting = a.base.link("/return", url.Values{orderParam: {e.Unfulfilled}})
	}
	if e.CanChange {
		page.Title = "You have a subscription already"
		page.Forms = append(page.Forms, form{
			URL: a.base.links + changeRoute, Label: "Change to " + a.titleOf(e.Product.ID, e.Product.Name), Note: "You see what it costs before anything is charged.",
			Fields: []formField{{"product", e.Product.Name}, {"subscription", e.Held[0].ID}},
		})
	}
	page.Forms = append(page.Forms, form{URL: a.base.links + portalRoute, Label: "Manage my subscription"})
	if len(e.Held) > 0 {
		f := form{URL: a.base.links + cancelRoute, Label: "Cancel my subscription", Fields: []formField{{"subscription", e.Held[0].ID}}}
		if end := e.Held[0].PeriodEnd; !end.IsZero() {
			f.Note = "You keep it until " + end.UTC().Format("2 January 2006") + "."
		}
		page.Forms = append(page.Forms, f)
	}
	varyByAccept(w.Header())
	p.writeHeader(w)
	writePageOf(w, p.Status, "subscribed", page, formPolicy)
}
