package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/httpapi"
)

// visit is one request's view of its account: read when something needs it, at
// most once, and the same until the request ends.
type visit struct {
	ctx     context.Context   //nolint:containedctx // the request's
	site    *Gateway          // that made it
	account string            // empty: anonymous
	doubt   error             // why nobody can say whose the credentials are; nil: they are the account's, or there are none
	body    *trailerGuard     // of the request; nil for none
	refusal *httpapi.Handover // that a gate left to handle_errors; nil for none

	once sync.Once
	view *gateway.View
	err  error

	headers [headerCount]string // the values that the request is given

	waited  time.Duration // so far, for Dodo
	holds   int           // so far
	charged int64         // so far, in credits
	// silenced: what the app itself wrote of charges is gone.
	silenced bool
	// judged: a dodo_entitled was asked, so that the answer depends on the account.
	judged bool
	left   int64 // that can be spent, besides what is held for the request
	// known is what the store said of the account last, for who passes on that; nil
	// is the view as it was read.
	known *gateway.View
}

// read reads the account, but not for anonymous visitors, who have nothing. A visitor whose
// login cannot be asked is none of them.
func (v *visit) read() (*gateway.View, error) {
	v.once.Do(func() {
		switch {
		case errors.Is(v.doubt, gateway.ErrLoginUnavailable):
			v.err = v.doubt
			return
		case v.account == "":
			v.view = nobody
			return
		}
		v.view, v.err = v.site.app.accounts.View(visitContext{v}, v.account)
	})
	return v.view, v.err
}

// visitContext is the context of a visit's request. It takes the time for which the gateway
// waits for Dodo, without an allocation for each request.
type visitContext struct{ v *visit }

func (c visitContext) Deadline() (time.Time, bool) { return c.v.ctx.Deadline() }
func (c visitContext) Done() <-chan struct{}       { return c.v.ctx.Done() }
func (c visitContext) Err() error                  { return c.v.ctx.Err() }

func (c visitContext) Value(key any) any {
	if key == gateway.WaitedFor {
		return func(waited time.Duration) { c.v.waited += waited }
	}
	return c.v.ctx.Value(key)
}

// visitKey is the request variable that has the visit, for handlers and matchers
// that run later, in error routes too. Placeholders show variables, but of this one
// no more than a word.
const visitKey = "dodo_visit"

func (v *visit) enter(r *http.Request) { caddyhttp.SetVar(r.Context(), visitKey, v) }

// String is what {http.vars.dodo_visit} shows.
func (*visit) String() string { return "visit" }

// visitOf returns the visit that an earlier dodo_gateway made for this request. Without
// one the account is unknown: the operator must put a dodo_gateway before asks.
func visitOf(r *http.Request, asks string) (*visit, error) {
	if v, ok := caddyhttp.GetVar(r.Context(), visitKey).(*visit); ok {
		return v, nil
	}
	return nil, caddyhttp.Error(http.StatusInternalServerError,
		fmt.Errorf("%s needs a dodo_gateway that runs earlier in the request; there is none", asks))
}

// held records that credits are set aside for the request. Handlers that run later see
// the credits that can still be spent.
func (v *visit) held(r *http.Request, c *gateway.Charge) {
	known, err := v.read()
	if err != nil {
		return // dodo_gateway would not have let it through
	}
	now := known.Snapshot
	now.Credits = c.Available
	v.holds++
	v.left = c.Available
	v.show(r, now, c.Deferred())
	if !c.Deferred() {
		v.known = v.view
	}
}

// lastKnown is the account as the store last returned it; nil if the store never did.
func (v *visit) lastKnown() *gateway.View {
	if view, err := v.read(); err == nil && v.known == nil {
		v.known = view
	}
	return v.known
}

// brokeOff reports whether the client ended its request before the end.
func (v *visit) brokeOff() bool { return v.body != nil && v.body.broke.Load() }

// settled records the price at which a hold ends. It returns the credits that the client
// was charged so far, and those that are left, without what is still held for the request.
func (v *visit) settled(c *gateway.Charge, price int64) (charged, left int64) {
	v.charged += price
	v.left += c.Held() - price
	return v.charged, v.left
}

// settle asks Dodo about what is unpaid or unknown before the request is refused.
// Placeholders, headers and later handlers see the result from then on.
func (v *visit) settle(r *http.Request) (*gateway.View, []book.Order, error) {
	defer v.site.app.store.keep()()
	began := time.Now()
	now, waiting, err := v.site.app.events.ConfirmAccount(withAddress(r), v.account)
	v.waited += time.Since(began)
	if err != nil {
		return nil, nil, err
	}
	if now != v.view {
		v.show(r, now.Snapshot, false)
	}
	return now, waiting, nil
}

// show replaces the snapshot that placeholders, headers and later handlers see.
func (v *visit) show(r *http.Request, now entitlement.Snapshot, stale bool) {
	v.once.Do(func() {})
	v.view, v.err = v.site.app.accounts.NewView(v.account, now, stale), nil
	v.site.headers.set(r.Header, &v.headers, v.view)
}
