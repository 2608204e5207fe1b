package caddymodule

import (
	"strconv"
	"strings"

	"github.com/dodogate/dodogate/internal/entitlement"
)

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
