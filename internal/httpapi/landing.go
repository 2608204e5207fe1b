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

// The query of GET /return. What Dodo adds to it (status, payment_id, email, …)
// is a hint that anybody can forge (FACTS 2.3); it is neither read nor shown.
const (
	orderParam     = "order"
	cancelledParam = "cancelled" // "1" behind the checkout's back button
	tryParam       = "try"       // how often the page has refreshed itself
)

// How long the page waits before each time that it refreshes itself, in seconds.
// Then it stops and says so.
var (
	// An order that is not paid yet: two minutes in all. Dodo is not asked more
	// often than the gateway allows, however many pages are open.
	processingWaits = []int{2, 2, 3, 3, 5, 8, 13, 20, 30, 30}
	// No order that this visitor can see. Coming back from Dodo is a cross-site
	// navigation, which leaves a SameSite=Strict cookie of the login behind; the
	// page's own refresh brings it along.
	unknownWaits = []int{1, 2, 3}
)

// pagePatience is how long a page waits for Dodo before it shows what is known.
const pagePatience = 3 * time.Second

const forwardWait = 5 // seconds before a paid order leads on

// orderState is what pages/order.html shows.
type orderState string

const (
	stateChecking   orderState = "checking"   // it is not known yet who asks
	stateSignIn     orderState = "sign_in"    // still not
	stateProcessing orderState = "processing" // open, and soon paid
	stateLate       orderState = "late"       // open, and nothing came
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

// orderPage is the data of pages/order.html. Empty addresses have no link.
type orderPage struct {
	State   orderState
	Title   string
	Refresh *refresh

	Product  string // what it is about, for people
	Quantity int64
	Credits  int64 // that it gives
	Monthly  bool  // each month
	Plan     string
	Balance  *int64 // the account's credits now; nil: not known

	Continue string // the landing place
	Checkout string // where it can still be paid
	Again    string // this page, from the beginning
	Home     string // the site
	SignIn   string // where to sign in
}

// landing serves GET /return, where Dodo sends the customer after a checkout. It
// asks Dodo itself and believes nothing in the address but which order it is about. The
// order's id cannot be guessed, so whoever has it sees what became of the order, signed in
// or not; things of the account are for the account. A JSON client gets what POST /confirm
// gives.
//
// An order that does not exist looks like one that is not known yet: a page that tries
// again and then asks to sign in, always 200, because the page is there whatever it is
// about.
func (a *API) landing(w http.ResponseWriter, r *http.Request) error {
	varyByAccept(w.Header())
	v := readVisit(r.URL.Query())
	v.signIn = a.signInURL
	if wants(r) == wantsJSON {
		order, _, err := a.lookUp(r.Context(), v.order)
		if err != nil {
			return err
		}
		return writeJSON(w, http.StatusOK, answerOf(order))
	}
	ctx, cancel := context.WithTimeout(r.Context(), pagePatience)
	order, own, err := a.lookUp(ctx, v.order)
	cancel()
	switch {
	case errors.Is(err, store.ErrNotFound):
		writePage(w, http.StatusOK, "order", v.unknown(a.site.Path("/")))
		return nil
	case err != nil && order.ID == "":
		return err
	case err != nil: // Dodo could not say; what we know is shown, and soon asked again
		a.logger.Warn("order could not be confirmed", "order", order.ID, "error", err)
	}
	if to := a.compat.banner(v, order); to != "" {
		redirect(w, to)
		return nil
	}
	page := a.orderPage(r.Context(), v, order, own)
	writePage(w, http.StatusOK, "order", page)
	return nil
}

// lookUp confirms an order for whoever has its address. own says that it is the visitor's.
func (a *API) lookUp(ctx context.Context, id string) (order book.Order, own bool, err error) {
	if who, doubt := signedIn(ctx); doubt == nil {
		order, err = a.events.Confirm(ctx, who.Account, id)
		if !errors.Is(err, store.ErrNotFound) {
			return order, true, err
		}
	}
	order, err = a.events.ConfirmAddressed(ctx, id)
	return order, false, err
}

// visit is what the query says.
type visit struct {
	order     string
	cancelled bool
	try       int
	signIn    string // where to sign in; not of the query
}

func readVisit(query url.Values) visit {
	v := visit{order: query.Get(orderParam), cancelled: query.Get(cancelledParam) == "1"}
	const most = 64 // more than any id of ours, and little to carry along
	if len(v.order) > most {
		v.order = ""
	}
	if try, err := strconv.Atoi(query.Get(tryParam)); err == nil && try > 0 {
		v.try = try
	}
	return v
}

// address is this page's own address at the given try.
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

// next is when to look again; nil when it was often enough.
func (v visit) next(waits []int) *refresh {
	if v.try >= len(waits) {
		return nil
	}
	return &refresh{Seconds: waits[v.try], URL: v.address(v.try + 1)}
}

// unknown is the page of an order that this visitor cannot see, if it exists.
func (v visit) unknown(home string) orderPage {
	p := orderPage{State: stateChecking, Refresh: v.next(unknownWaits), Again: v.address(0), Home: home}
	if p.Refresh == nil {
		p.State, p.SignIn = stateSignIn, v.signIn
	}
	p.Title = orderTitles[p.State]
	return p
}

// orderPage is the page of an order. What only its owner may see is left out unless it is
// the visitor's own: the balance, and the checkout, which shows whose it is.
func (a *API) orderPage(ctx context.Context, v visit, order book.Order, own bool) orderPage {
	// The landing place is only for those who paid: an app may take a visit there for
	// success. Everybody else is led to the front page.
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
		p.State, p.Refresh = stateProcessing, v.next(processingWaits)
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
