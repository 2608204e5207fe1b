package caddymodule

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/console"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
)

func init() {
	caddy.RegisterModule(adminAPI{})
}

// adminAPI adds to Caddy's admin API what an operator needs to explain and repair:
// GET only looks, POST changes something, except for find. The app is that of the config that runs
// when the request comes. No answer has a secret, an event's body or an e-mail
// address in it.
//
//	GET  /dodo/health                                    whether this gateway can do its work
//	GET  /dodo/                                          the console, see internal/console
//	GET  /dodo/find?q=                                   what an id belongs to
//	POST /dodo/find                                      likewise, or an e-mail address, which no log shows
//	GET  /dodo/sales?days=                               what was sold, by product and by day
//	GET  /dodo/parked?after=&limit=                      events that could not be applied
//	GET  /dodo/events?after=&limit=                      the journal; also account=, state=, type=, since=
//	GET  /dodo/events/<id>                               one event
//	POST /dodo/redrive                                   try all that is parked again
//	POST /dodo/redrive/<id>                              try one event again
//	GET  /dodo/reconcile                                 passes over Dodo's lists
//	POST /dodo/reconcile                                 begin one
//	POST /dodo/rebuild                                   begin one that goes back to the beginning
//	POST /dodo/rebuild/<account>                         mend the records of an account
//	GET  /dodo/check?after=&limit=                       look for damaged records
//	GET  /dodo/check/<account>                           likewise, of one account
//	POST /dodo/assign                                    say whose a purchase is
//	POST /dodo/unassign                                  say that it is not that account's
//	POST /dodo/dismiss/<id>                              say that nothing is to be done about an event
//	POST /dodo/import                                    bring customers along, or say what that would change
//	GET  /dodo/accounts?after=&limit=                    all accounts
//	GET  /dodo/accounts/<account>                        an account
//	GET  /dodo/accounts/<account>/entries?before=&limit= its ledger
//	GET  /dodo/accounts/<account>/acts                   what operators did to it
//	GET  /dodo/accounts/<account>/holds                  what requests hold of it
//	POST /dodo/grant, take, waive, undo, release         act by hand
//	POST /dodo/close                                     remove an account's personal data
type adminAPI struct{}

// CaddyModule returns the Caddy module information.
func (adminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.dodo",
		New: func() caddy.Module { return new(adminAPI) },
	}
}

// Routes implements [caddy.AdminRouter].
func (adminAPI) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{
		{Pattern: "/dodo/", Handler: caddy.AdminHandlerFunc(noAdminRoute)},
		{Pattern: "/dodo/health", Handler: adminRoute{http.MethodGet: showHealth}},
		{Pattern: console.Root + "{$}", Handler: caddy.AdminHandlerFunc(serveConsole)},
		{Pattern: console.Pages, Handler: caddy.AdminHandlerFunc(serveConsole)},
		{Pattern: "/dodo/find", Handler: adminRoute{http.MethodGet: find, http.MethodPost: findPosted}},
		{Pattern: "/dodo/sales", Handler: adminRoute{http.MethodGet: showSales}},
		{Pattern: "/dodo/parked", Handler: adminRoute{http.MethodGet: listParked}},
		{Pattern: "/dodo/events", Handler: adminRoute{http.MethodGet: listEvents}},
		{Pattern: "/dodo/events/{id}", Handler: adminRoute{http.MethodGet: showEvent}},
		{Pattern: "/dodo/redrive", Handler: adminRoute{http.MethodPost: redriveAll}},
		{Pattern: "/dodo/redrive/{id}", Handler: adminRoute{http.MethodPost: redriveOne}},
		{Pattern: "/dodo/reconcile", Handler: adminRoute{http.MethodGet: listPasses, http.MethodPost: askFor(passReconcile)}},
		{Pattern: "/dodo/rebuild", Handler: adminRoute{http.MethodPost: askFor(passRebuild)}},
		{Pattern: "/dodo/rebuild/{account}", Handler: adminRoute{http.MethodPost: rebuildOne}},
		{Pattern: "/dodo/check", Handler: adminRoute{http.MethodGet: checkAll}},
		{Pattern: "/dodo/check/{account}", Handler: adminRoute{http.MethodGet: checkOne}},
		{Pattern: "/dodo/assign", Handler: adminRoute{http.MethodPost: assign}},
		{Pattern: "/dodo/unassign", Handler: adminRoute{http.MethodPost: unassign}},
		{Pattern: "/dodo/dismiss/{id}", Handler: adminRoute{http.MethodPost: dismissEvent}},
		{Pattern: "/dodo/import", Handler: adminRoute{http.MethodPost: importRows}},
		{Pattern: "/dodo/accounts", Handler: adminRoute{http.MethodGet: listAccounts}},
		{Pattern: "/dodo/accounts/{account}", Handler: adminRoute{http.MethodGet: showAccount}},
		{Pattern: "/dodo/accounts/{account}/entries", Handler: adminRoute{http.MethodGet: listEntries}},
		{Pattern: "/dodo/accounts/{account}/acts", Handler: adminRoute{http.MethodGet: listActs}},
		{Pattern: "/dodo/accounts/{account}/holds", Handler: adminRoute{http.MethodGet: listHolds}},
		{Pattern: "/dodo/grant", Handler: adminRoute{http.MethodPost: doAct(entitlement.ActGrant)}},
		{Pattern: "/dodo/take", Handler: adminRoute{http.MethodPost: doAct(entitlement.ActTake)}},
		{Pattern: "/dodo/waive", Handler: adminRoute{http.MethodPost: doAct(entitlement.ActWaive)}},
		{Pattern: "/dodo/undo", Handler: adminRoute{http.MethodPost: doAct(entitlement.ActUndo)}},
		{Pattern: "/dodo/close", Handler: adminRoute{http.MethodPost: closeAccount}},
		{Pattern: "/dodo/release", Handler: adminRoute{http.MethodPost: doAct(entitlement.ActRelease)}},
	}
}

// adminRoute is what each method of a route does.
type adminRoute map[string]func(a *App, r *http.Request) (answer any, err error)

// ServeHTTP implements [caddy.AdminHandler].
func (route adminRoute) ServeHTTP(w http.ResponseWriter, r *http.Request) error {
	serve, ok := route[r.Method]
	if !ok {
		for method := range route {
			w.Header().Add("Allow", method)
		}
		return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: fmt.Errorf("method not allowed: %.20q", r.Method)}
	}
	if sentByHiddenSite(r.Header) {
		return caddy.APIError{HTTPStatus: http.StatusForbidden, Err: errors.New("another site sent this request, and hides which one")}
	}
	app, err := configuredApp(caddy.ActiveContext())
	if err != nil {
		return caddy.APIError{HTTPStatus: http.StatusNotFound, Err: err}
	}
	defer app.store.keep()()
	answer, err := serve(app, r)
	if err != nil {
		return caddy.APIError{HTTPStatus: adminStatus(err), Err: err}
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if own, ok := answer.(statusAnswer); ok {
		w.WriteHeader(own.status())
	}
	_, err = w.Write(append(body, '\n'))
	return err
}

// sentByHiddenSite reports whether a page of another site made a browser send a request that
// names no origin. Caddy admits it if the admin's origins include "", as the console needs.
// The page cannot read the answer, but it could load the store, or learn from the status
// whether there is an event of an id.
func sentByHiddenSite(h http.Header) bool {
	if h.Get("Origin") != "" || h.Get("Referer") != "" {
		return false // Caddy has compared it with the origins
	}
	site := h.Get("Sec-Fetch-Site")
	return site == "cross-site" || site == "same-site"
}

// statusAnswer is an answer with a status of its own. All others have 200.
type statusAnswer interface{ status() int }

func noAdminRoute(_ http.ResponseWriter, r *http.Request) error {
	return caddy.APIError{HTTPStatus: http.StatusNotFound, Err: fmt.Errorf("no such route: %.100q", r.URL.Path)}
}

var errAdminRequest = errors.New("invalid request")

// adminStatus is the HTTP status of an error; the first that fits counts.
func adminStatus(err error) int {
	for _, row := range []struct {
		sentinel error
		status   int
	}{
		{errAdminRequest, http.StatusBadRequest},
		{gateway.ErrAccount, http.StatusBadRequest},
		{gateway.ErrAssign, http.StatusConflict},
		{gateway.ErrSales, http.StatusBadRequest},
		{gateway.ErrNotParked, http.StatusConflict},
		{book.ErrActInput, http.StatusBadRequest},
		{book.ErrAct, http.StatusConflict},
		{ledger.ErrRange, http.StatusConflict},
		{store.ErrNotFound, http.StatusNotFound},
		{store.ErrDamaged, http.StatusInternalServerError},
		{store.ErrUnavailable, http.StatusServiceUnavailable},
	} {
		if errors.Is(err, row.sentinel) {
			return row.status
		}
	}
	return http.StatusInternalServerError
}

const (
	adminPage    = 50
	maxAdminPage = 100
)

// pageQuery reads the query of a list: where the page begins, by the given name,
// and how long it may be.
func pageQuery(r *http.Request, name string, others ...string) (from string, limit int, err error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return "", 0, fmt.Errorf("%w: the query cannot be read", errAdminRequest)
	}
	for given, v := range values {
		switch {
		case given != name && given != "limit" && !slices.Contains(others, given):
			return "", 0, fmt.Errorf("%w: %.40q is not a parameter; there are %s and limit", errAdminRequest, given, strings.Join(append([]string{name}, others...), ", "))
		case len(v) > 1:
			return "", 0, fmt.Errorf("%w: %s is given more than once", errAdminRequest, given)
		}
	}
	limit = adminPage
	if text := values.Get("limit"); text != "" {
		limit, err = strconv.Atoi(text)
		if err != nil || limit < 1 || limit > maxAdminPage {
			return "", 0, fmt.Errorf("%w: limit must be a whole number from 1 to %d", errAdminRequest, maxAdminPage)
		}
	}
	return values.Get(name), limit, nil
}

// pageAfter is pageQuery for a list whose store says by any bytes where a page ends; the
// answers carry them as base64.
func pageAfter(r *http.Request, others ...string) (after string, limit int, err error) {
	text, limit, err := pageQuery(r, "after", others...)
	if err != nil {
		return "", 0, err
	}
	end, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return "", 0, fmt.Errorf("%w: after must be the next of an earlier answer", errAdminRequest)
	}
	return string(end), limit, nil
}

// viewsOf is what is shown of each thing; never null.
func viewsOf[T, V any](things []T, show func(T) V) []V {
	views := make([]V, 0, len(things))
	for _, t := range things {
		views = append(views, show(t))
	}
	return views
}

// Interface guards
var (
	_ caddy.AdminRouter  = (*adminAPI)(nil)
	_ caddy.AdminHandler = (adminRoute)(nil)
)
