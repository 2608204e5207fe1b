package caddymodule

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/entitlement"
)

// entitlementHeaders removes what clients send under our names and sets what is
// true instead.
type entitlementHeaders struct {
	config.HeaderNames
	own ownNames
}

func newEntitlementHeaders(prefix string) (entitlementHeaders, error) {
	names, err := config.NewHeaderNames(prefix)
	if err != nil {
		return entitlementHeaders{}, err
	}
	return entitlementHeaders{HeaderNames: names, own: newOwnNames(names.All())}, nil
}

// strip removes everything of ours from a request as the client sent it: headers
// and declared trailers in any spelling, trailers that arrive with the end of
// the body, and the names on Connection lines, by which a client could have the
// proxy drop what we set (RELIABILITY 0.3, 0.4, 6.1).
func (h entitlementHeaders) strip(r *http.Request) {
	h.own.removeFrom(r.Header)
	h.own.removeTokens(r.Header, "Connection")
	h.own.removeFrom(r.Trailer)
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = &trailerGuard{ReadCloser: r.Body, request: r, own: h.own}
	}
}

// set says what the account may do, one value for each name.
func (h entitlementHeaders) set(header http.Header, account string, s entitlement.Snapshot) {
	header[h.User] = []string{encodeAccount(account, "%")}
	header[h.Credits] = []string{strconv.FormatInt(s.Credits, 10)}
	header[h.HasPaid] = []string{strconv.FormatBool(s.HasPaid)}
	header[h.Plan] = []string{s.Plan}
	header[h.PlanStatus] = []string{string(s.PlanStatus)}
	header[h.PlanExpiresAt] = []string{formatExpiry(s)}
	header[h.Features] = []string{encodeFeatures(s.Features, "%,")}
	header[h.Stale] = []string{"false"}
}

// nothing is what an anonymous visitor may do.
var nothing = entitlement.Snapshot{Plan: entitlement.NoPlan, PlanStatus: entitlement.PlanNone}

func formatExpiry(s entitlement.Snapshot) string {
	if s.PlanExpiresAt.IsZero() {
		return ""
	}
	return s.PlanExpiresAt.UTC().Format(time.RFC3339)
}

// encodeAccount percent-encodes every byte of an account id that is not visible
// ASCII, and those in reserved, which must contain "%" so that no two ids look
// the same. Any URL library decodes it.
func encodeAccount(account, reserved string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(account) {
		c := account[i]
		if c > ' ' && c < 0x7f && strings.IndexByte(reserved, c) < 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
	return b.String()
}
