package caddymodule

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"

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

	holds   int   // so far
	charged int64 // so far, in credits
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
		v.view, v.err = v.site.app.gateway.View(v.ctx, v.account)
	})
	return v.view, v.err
}

const placeholderPrefix = "http.dodo."

// unsafeInText is what HTML, templates and Caddy's replacer read more into.
const unsafeInText = "%{}<>&\"'`\\"

// placeholder is a provider for Caddy's replacer, see [Gateway] for the names.
// Where the account cannot be read everything is empty, which is never "true" and
// never the name of a plan.
func (v *visit) placeholder(key string) (any, bool) {
	name, ours := strings.CutPrefix(key, placeholderPrefix)
	if !ours {
		return nil, false
	}
	if name == "account" {
		return encodeAccount(v.account, unsafeInText), true
	}
	if strings.HasPrefix(name, refusalPrefix) {
		return v.refusalText(name)
	}
	show, known := shown[name]
	if !known {
		return nil, false
	}
	view, err := v.read()
	if err != nil {
		return "", true
	}
	return show(view.Snapshot), true
}

var shown = map[string]func(entitlement.Snapshot) string{
	"credits":         func(s entitlement.Snapshot) string { return strconv.FormatInt(s.Credits, 10) },
	"has_paid":        func(s entitlement.Snapshot) string { return strconv.FormatBool(s.HasPaid) },
	"plan":            func(s entitlement.Snapshot) string { return s.Plan },
	"plans":           func(s entitlement.Snapshot) string { return encodeNames(s.PlanNames(), ","+unsafeInText) },
	"plan_status":     func(s entitlement.Snapshot) string { return string(s.PlanStatus) },
	"plan_expires_at": formatExpiry,
	"seats":           func(s entitlement.Snapshot) string { return strconv.FormatInt(s.Seats, 10) },
	"features":        func(s entitlement.Snapshot) string { return encodeNames(s.Features, ","+unsafeInText) },
}
