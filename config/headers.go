package config

import (
	"errors"
	"fmt"
	"net/textproto"
	"regexp"
	"strings"
)

// DefaultHeaderPrefix begins the names of the entitlement headers.
const DefaultHeaderPrefix = "X-Entitlement-"

// HeaderNames are the names of the request headers that tell the upstream what
// an account may do, in canonical form.
type HeaderNames struct {
	User          string // account id, percent-encoded; empty for anonymous
	Credits       string // available credits, decimal
	HasPaid       string // "true" or "false"
	Plan          string // name of the plan that gives access now, or "none"
	PlanStatus    string // "active", "expired", "none", …
	PlanExpiresAt string // RFC 3339 in UTC, or empty
	Features      string // percent-encoded names between commas, or empty
	Stale         string // "true" only when served from memory
	Token         string // never set by this version, but always removed
}

var headerPrefix = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,48}-$`)

// NewHeaderNames makes the names from a prefix, which must end in "-"; the empty
// prefix means [DefaultHeaderPrefix].
func NewHeaderNames(prefix string) (HeaderNames, error) {
	if prefix == "" {
		prefix = DefaultHeaderPrefix
	}
	if !headerPrefix.MatchString(prefix) {
		return HeaderNames{}, fmt.Errorf("header_prefix %q must be letters, digits and '-', begin with a letter and end with '-'", prefix)
	}
	if h := strings.ToLower(prefix); strings.HasPrefix(h, "webhook-") || strings.HasPrefix(h, "sec-") || strings.HasPrefix(h, "proxy-") {
		return HeaderNames{}, errors.New("header_prefix must not begin with webhook-, sec- or proxy-, which have a meaning of their own")
	}
	name := func(s string) string { return textproto.CanonicalMIMEHeaderKey(prefix + s) }
	return HeaderNames{
		User: name("User"), Credits: name("Credits"), HasPaid: name("Has-Paid"),
		Plan: name("Plan"), PlanStatus: name("Plan-Status"), PlanExpiresAt: name("Plan-Expires-At"),
		Features: name("Features"),
		Stale:    name("Stale"), Token: name("Token"),
	}, nil
}

// All are all the names, for removing what a client sent under them.
func (n HeaderNames) All() []string {
	return []string{n.User, n.Credits, n.HasPaid, n.Plan, n.PlanStatus, n.PlanExpiresAt, n.Features, n.Stale, n.Token}
}
