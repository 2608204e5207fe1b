package caddymodule

import (
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store"
)

// visitKey is the request variable that has the visit, for handlers and matchers
// that run later, in error routes too. Placeholders show variables, but of this one
// no more than a word.
const visitKey = "dodo_visit"

func (v *visit) enter(r *http.Request) { caddyhttp.SetVar(r.Context(), visitKey, v) }

// String is what {http.vars.dodo_visit} shows.
func (*visit) String() string { return "visit" }

// visitOf is the visit that a dodo_gateway earlier in the request made. Without one
// nobody knows who asks, and that is the operator's to mend.
func visitOf(r *http.Request, asks string) (*visit, error) {
	if v, ok := caddyhttp.GetVar(r.Context(), visitKey).(*visit); ok {
		return v, nil
	}
	return nil, caddyhttp.Error(http.StatusInternalServerError,
		fmt.Errorf("%s needs a dodo_gateway that runs earlier in the request; there is none", asks))
}

// held is told of credits that were set aside for the request: everybody behind sees
// what can be spent beside them.
func (v *visit) held(r *http.Request, c *gateway.Charge) {
	known, err := v.read()
	if err != nil {
		return // dodo_gateway would not have let it through
	}
	now := known.Snapshot
	now.Credits = c.Available
	v.holds++
	v.left = c.Available
	v.show(r, now, c.Late())
	if !c.Late() {
		v.known = v.view
	}
}

// lastKnown is what the store said of the account last; nil is nothing.
func (v *visit) lastKnown() *gateway.View {
	if view, err := v.read(); err == nil && v.known == nil {
		v.known = view
	}
	return v.known
}

// brokeOff reports whether the client ended its request before the end.
func (v *visit) brokeOff() bool { return v.body != nil && v.body.broke.Load() }

// settled is told what a hold became. It returns what the client has been charged
// so far, and what it has left, besides what is held for the request still.
func (v *visit) settled(c *gateway.Charge, price int64) (charged, left int64) {
	v.charged += price
	v.left += c.Held() - price
	return v.charged, v.left
}

// settle is asked before the request is refused. What comes of it is what the
// placeholders, the headers and everybody behind see from then on.
func (v *visit) settle(r *http.Request) (entitlement.Snapshot, []store.Order, error) {
	defer v.site.app.store.keep()()
	now, waiting, err := v.site.app.gateway.Settle(withAddress(r), v.account)
	if err != nil {
		return entitlement.Snapshot{}, nil, err
	}
	if now != v.view {
		v.show(r, now.Snapshot, false)
	}
	return now.Snapshot, waiting, nil
}

// show lets everybody behind see another snapshot.
func (v *visit) show(r *http.Request, now entitlement.Snapshot, stale bool) {
	v.once.Do(func() {})
	v.view, v.err = v.site.app.gateway.NewView(v.account, now, stale), nil
	v.site.headers.set(r.Header, &v.headers, v.view)
}
