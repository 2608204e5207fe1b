package caddymodule

import (
	"context"
	"strconv"
	"strings"
	"sync"

	"github.com/dodogate/dodogate/internal/entitlement"
)

// visit is one request's view of its account: read when something needs it, at
// most once, and the same until the request ends.
type visit struct {
	site    *Gateway // that read it
	account string   // empty: anonymous
	read    func() (entitlement.Snapshot, error)
}

// newVisit reads by the site's gateway, but not for anonymous visitors, who have
// nothing.
func newVisit(ctx context.Context, site *Gateway, account string) *visit {
	v := &visit{site: site, account: account, read: func() (entitlement.Snapshot, error) { return nothing, nil }}
	if account != "" {
		v.read = sync.OnceValues(func() (entitlement.Snapshot, error) { return site.app.gateway.Entitlement(ctx, account) })
	}
	return v
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
	show, known := shown[name]
	if !known {
		return nil, false
	}
	snapshot, err := v.read()
	if err != nil {
		return "", true
	}
	return show(snapshot), true
}

var shown = map[string]func(entitlement.Snapshot) string{
	"credits":         func(s entitlement.Snapshot) string { return strconv.FormatInt(s.Credits, 10) },
	"has_paid":        func(s entitlement.Snapshot) string { return strconv.FormatBool(s.HasPaid) },
	"plan":            func(s entitlement.Snapshot) string { return s.Plan },
	"plan_status":     func(s entitlement.Snapshot) string { return string(s.PlanStatus) },
	"plan_expires_at": formatExpiry,
	"features":        func(s entitlement.Snapshot) string { return encodeFeatures(s.Features, ","+unsafeInText) },
}
