package caddymodule

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/gateway/cache"
)

// entitlementHeaders are the headers that tell the app what is true.
type entitlementHeaders struct {
	sent []sentHeader
}

// sentHeader is a header that the site wants.
type sentHeader struct {
	name  string
	value int // its place in headerValues, with Credits and Stale behind them
}

// headerCount is how many headers say what an account may do.
const headerCount = 10

// newEntitlementHeaders makes the headers that are wanted: their names without the prefix,
// or all of them when there is none. Seats is among them only if the catalog has any.
func newEntitlementHeaders(prefix string, wanted []string, seats bool) (entitlementHeaders, error) {
	names, err := config.NewHeaderNames(prefix)
	if err != nil {
		return entitlementHeaders{}, err
	}
	chosen, err := names.Chosen(wanted)
	if err != nil {
		return entitlementHeaders{}, err
	}
	if !seats {
		if len(wanted) > 0 && slices.Contains(chosen, names.Seats) {
			return entitlementHeaders{}, errors.New("headers: Seats is never sent, because no product and no addon has seats")
		}
		chosen = slices.DeleteFunc(chosen, func(name string) bool { return name == names.Seats })
	}
	var h entitlementHeaders
	for i, name := range [headerCount]string{
		names.User, names.HasPaid, names.Plan, names.Plans, names.PlanStatus, names.PlanExpiresAt, names.Features, names.Seats, names.Credits, names.Stale,
	} {
		if slices.Contains(chosen, name) {
			h.sent = append(h.sent, sentHeader{name, i})
		}
	}
	return h, nil
}

// headerValues returns the values of all headers except Credits and Stale. It is called when
// an account is read, and the result is remembered with the account.
func headerValues(account string, s entitlement.Snapshot) []string {
	return []string{
		encodeAccount(account, "%"),
		strconv.FormatBool(s.HasPaid),
		s.Plan,
		encodeNames(s.PlanNames(), "%,"),
		string(s.PlanStatus),
		formatExpiry(s),
		encodeNames(s.Features, "%,"),
		strconv.FormatInt(s.Seats, 10),
	}
}

// set says what the account may do, one value for each name. The values are in an
// array of the request's own, and each slice of it has no room behind its value:
// handlers behind us may change and append to what they find.
func (h entitlementHeaders) set(header http.Header, values *[headerCount]string, v *gateway.View) {
	copy(values[:], v.Words())
	values[headerCount-2] = v.CreditsText()
	values[headerCount-1] = "false"
	if v.Stale {
		values[headerCount-1] = "true"
	}
	for _, h := range h.sent {
		header[h.name] = values[h.value : h.value+1 : h.value+1]
	}
}

// nobody is what an anonymous visitor may do.
var nobody = func() *gateway.View {
	nothing := entitlement.Snapshot{Plan: entitlement.NoPlan, PlanStatus: entitlement.PlanNone}
	return cache.NewView(nothing, false, "", headerValues)
}()

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
	plain := func(c byte) bool { return c > ' ' && c < 0x7f && strings.IndexByte(reserved, c) < 0 }
	first := 0
	for first < len(account) && plain(account[first]) {
		first++
	}
	if first == len(account) {
		return account // as nearly all are
	}
	var b strings.Builder
	for i := range len(account) {
		c := account[i]
		if plain(c) {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
	return b.String()
}
