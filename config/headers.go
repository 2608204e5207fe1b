package config

import (
	"errors"
	"fmt"
	"net/textproto"
	"regexp"
	"slices"
	"strings"
)

// DefaultHeaderPrefix begins the names of the entitlement headers.
const DefaultHeaderPrefix = "X-Entitlement-"

// HeaderNames are the names of the request headers that tell the upstream what
// an account may do, in canonical form.
type HeaderNames struct {
	prefix        string // canonical
	User          string // account id, percent-encoded; empty for anonymous
	Credits       string // available credits, decimal
	HasPaid       string // "true" or "false"
	Plan          string // name of the highest plan that gives access now, or "none"
	Plans         string // names of all plans that do, highest first, between commas, or empty
	PlanStatus    string // "active", "expired", "none", …
	PlanExpiresAt string // RFC 3339 in UTC, or empty
	Features      string // percent-encoded names between commas, or empty
	Stale         string // "true" only when served from memory
	Seats         string // decimal; only where something of the catalog gives seats
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
		prefix: name(""),
		User:   name("User"), Credits: name("Credits"), HasPaid: name("Has-Paid"),
		Plan: name("Plan"), Plans: name("Plans"), PlanStatus: name("Plan-Status"), PlanExpiresAt: name("Plan-Expires-At"),
		Features: name("Features"), Stale: name("Stale"),
		Seats: name("Seats"), Token: name("Token"),
	}, nil
}

// Set are the names of the headers that say what an account may do.
func (n HeaderNames) Set() []string {
	return []string{n.User, n.Credits, n.HasPaid, n.Plan, n.Plans, n.PlanStatus, n.PlanExpiresAt, n.Features, n.Seats, n.Stale}
}

// All are all the names, for removing what a client sent under them.
func (n HeaderNames) All() []string { return append(n.Set(), n.Token) }

// Chosen are those of [HeaderNames.Set] that a site wants: wanted names them without the
// prefix, in any case. Without a wish it is all of them. A name that is not in the set,
// and one that is given twice, is refused.
func (n HeaderNames) Chosen(wanted []string) ([]string, error) {
	set := n.Set()
	if len(wanted) == 0 {
		return set, nil
	}
	var known, chosen []string
	for _, name := range set {
		known = append(known, strings.TrimPrefix(name, n.prefix))
	}
	for _, word := range wanted {
		i := slices.IndexFunc(known, func(name string) bool { return strings.EqualFold(name, word) })
		switch {
		case i < 0:
			return nil, fmt.Errorf("headers: there is no %q; there are %s", word, strings.Join(known, ", "))
		case slices.Contains(chosen, set[i]):
			return nil, fmt.Errorf("headers: %s is named twice", known[i])
		}
		chosen = append(chosen, set[i])
	}
	return chosen, nil
}
