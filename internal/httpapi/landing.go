package httpapi

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/store"
)

// The query of GET /return. Dodo adds more to it (status, payment_id, email, …), which
// anybody can forge (FACTS 2.3); it is neither read nor shown.
const (
	orderParam     = "order"
	cancelledParam = "cancelled" // "1" for the checkout's back button
	tryParam       = "try"       // how often the page has refreshed itself
)

// The seconds before each automatic refresh of the page. After the last one it stops and
// says so.
var (
	// processingWaits is for an order that is not paid yet: two minutes in all. The gateway
	// limits how often Dodo is asked, however many pages are open.
	processingWaits = []int{2, 2, 3, 3, 5, 8, 13, 20, 30, 30}
	// missingOrderWaits is for an order that this visitor cannot see. The return from Dodo is
	// a cross-site navigation, which leaves out a SameSite=Strict cookie of the login; the
	// page's own refresh sends it.
	missingOrderWaits = []int{1, 2, 3}
)

// pagePatience is how long a page waits for Dodo before it shows the stored state.
const pagePatience = 3 * time.Second

const forwardWait = 5 // seconds before the page of a paid order redirects

// orderState is the state that pages/order.html shows.
type orderState string

const (
	stateChecking   orderState = "checking"   // the visitor's identity is not known yet
	stateSignIn     orderState = "sign_in"    // it is still unknown after all refreshes
	stateProcessing orderState = "processing" // open, and probably paid soon
	stateLate       orderState = "late"       // open, and still unpaid after all refreshes
	statePaid       orderState = "paid"
	stateFailed     orderState = "failed"
	stateCancelled  orderState = "cancelled"
)

var orderTitles = map[orderState]string{
	stateChecking:   "Checking your order",
	stateSignIn:     "Please sign in",
	stateProcessing: "Confirming your payment",
	stateLate:       "Still waiting for your payment",
	statePaid:       "Payment confirmed",
	stateFailed:     "Payment not completed",
	stateCancelled:  "Checkout not completed",
}

// orderPage is the data of pages/order.html. An empty address means no link.
type orderPage struct {
	State   orderState
	Title   string
	Refresh *refresh

	Product  string // its name for customers
	Quantity int64
	Credits  int64 // that it gives
	Monthly  bool  // each month
	Plan     string
	Balance  *int64 // the account's credits now; nil: unknown

	Continue string // the landing place
	Checkout string // where the order can still be paid
	Again    string // this page, without its try counter
	Home     string // the site
	SignIn   string // where to sign in
}

// landing serves GET /return, where Dodo sends the customer after a checkout. It asks Dodo and
// trusts nothing in the address except which order it is about. The order's id cannot be
// guessed, so anybody who has it sees the result of the order, signed in or not; details of
// the account are only for the account. A JSON client gets the answer of POST /confirm.
//
// An order that does not exist looks like one that is not known yet: a page that tries again
// and then asks the visitor to sign in. The status is always 200, because the page exists for
// any order.
func (a *API) landing(w http.ResponseWriter, r *http.Request) error {
	varyByAccept(w.Header())
	v := readVisit(r.URL.Query())
	v.signIn = a.signInURL
	if wants(r) == wantsJSON {
		order, _, err := a.confirmVisible(r.Context(), v.order)
		if err != nil {
			return err
		}
		return writeJSON(w, http.StatusOK, orderAnswerOf(order))
	}
	ctx, cancel := context.WithTimeout(r.Context(), pagePatience)
	order, own, err := a.confirmVisible(ctx, v.order)
	cancel()
	switch {
	case errors.Is(err, store.ErrNotFound):
		writePage(w, http.StatusOK, "order", v.unknown(a.site.Path("/")))
		return nil
	case err != nil && order.ID == "":
		return err
	case err != nil: // Dodo did not answer: show the stored state and ask again soon
		a.logger.Warn("order could not be confirmed", "order", order.ID, "error", err)
	}
	if to := a.compat.bannerURL(v, order); to != "" {
		redirect(w, to)
		return nil
	}
	page := a.orderPage(r.Context(), v, order, own)
	writePage(w, http.StatusOK, "order", page)
	return nil
}

// confirmVisible confirms an order for a visitor who has its address. own reports whether it
// is the visitor's.
func (a *API) confirmVisible(ctx context.Context, id string) (order book.Order, own bool, err error) {
	if who, err := signedIn(ctx); err == nil {
		order, err = a.events.Confirm(ctx, who.Account, id)
		if !errors.Is(err, store.ErrNotFound) {
			return order, true, err
		}
	}
	order, err = a.events.ConfirmAddressed(ctx, id)
	return order, false, err
}

// visit is the content of the query.
type visit struct {
	order     string
	cancelled bool
	try       int
	signIn    string // where to sign in; not from the query
}

func readVisit(query url.Values) visit {
	v := visit{order: query.Get(orderParam), cancelled: query.Get(cancelledParam) == "1"}
	const limit = 64 // longer than any of our ids
	if len(v.order) > limit {
		v.order = ""
	}
	if try, err := strconv.Atoi(query.Get(tryParam)); err == nil && try > 0 {
		v.try = try
	}
	return v
}

// address is the address of this page with the given try.
func (v visit) address(try int) string {
	query := url.Values{orderParam: {v.order}}
	if v.cancelled {
		query.Set(cancelledParam, "1")
	}
	if try > 0 {
		query.Set(tryParam, strconv.Itoa(try))
	}
	return "?" + query.Encode()
}

// refreshAfter is the next automatic refresh; nil after the last one.
func (v visit) refreshAfter(waits []int) *refresh {
	if v.try >= len(waits) {
		return nil
	}
	return &refresh{Seconds: waits[v.try], URL: v.address(v.try + 1)}
}

// unknown is the page for an order that does not exist or that this visitor cannot see.
func (v visit) unknown(home string) orderPage {
	p := orderPage{State: stateChecking, Refresh: v.refreshAfter(missingOrderWaits), Again: v.address(0), Home: home}
	if p.Refresh == nil {
		p.State, p.SignIn = stateSignIn, v.signIn
	}
	p.Title = orderTitles[p.State]
	return p
}

// orderPage is the page of an order. It shows the balance and the checkout, which reveals the
// buyer, only to the owner.
func (a *API) orderPage(ctx context.Context, v visit, order book.Order, own bool) orderPage {
	// Only paid orders link to the landing place, because an app may treat a visit there as
	// success. Other orders link to the front page.
	p := orderPage{Quantity: order.Quantity, Again: v.address(0), Home: a.site.Home(order.ReturnTo)}
	product, _ := a.shop.Catalog().Named(order.Product)
	p.Product = cmp.Or(product.Title, order.Product)
	for _, t := range order.Terms {
		p.Credits += t.AtOnce(order.Quantity)
		p.Monthly = p.Monthly || t.CreditsMonthly
		p.Plan = t.Plan
	}
	if !own {
		p.SignIn = v.signIn
	} else if a.events.Now().Before(order.ExpiresAt) {
		p.Checkout = order.CheckoutURL
	}
	switch order.State {
	case book.OrderPaid:
		p.State, p.Checkout, p.Continue = statePaid, "", order.ReturnTo
		p.Refresh = &refresh{Seconds: forwardWait, URL: order.ReturnTo}
		if !own {
			break
		}
		if now, err := a.accounts.Entitlement(ctx, order.Account); err == nil {
			p.Balance = &now.Credits
		}
	case book.OrderFailed:
		p.State = stateFailed
	case book.OrderCancelled:
		p.State = stateCancelled
	default:
		p.State, p.Refresh = stateProcessing, v.refreshAfter(processingWaits)
		switch {
		case v.cancelled:
			p.State, p.Refresh = stateCancelled, nil
		case p.Refresh == nil:
			p.State = stateLate
		}
	}
	p.Title = orderTitles[p.State]
	return p
}
