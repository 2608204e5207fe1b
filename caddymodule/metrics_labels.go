package caddymodule

import (
	"errors"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/httpapi"
	"github.com/dodogate/dodogate/internal/store"
)

// otherValue is the label of what is in none of the sets below.
const otherValue = "error"

// What labels can be. The lists of errors are labels of errorLabels.
var (
	refusalReasons  = []string{"signature", "stale", "malformed", "too_large", "too_slow", "too_many", "not_durable", "store_unavailable", "account_damaged", otherValue}
	checkoutResults = []string{
		"ok", "anonymous", "account_invalid", "invalid", "discount_code", "return_to", "public_url_missing", "key_running", "key_mismatch",
		"too_many_requests", "too_many_orders", "not_durable", "store_unavailable", "account_damaged", "dodo_unavailable", "dodo_refused", "dodo_unauthorized", otherValue,
	}
	requestKinds = []string{"known", "anonymous", "not_durable", "store_unavailable", "account_damaged", "account_invalid", "login_unavailable", otherValue}
	refusedCodes = []string{
		"unauthenticated", "credentials_invalid", "login_unavailable", "payment_required", "plan_required", "feature_required",
		"insufficient_credits", "payment_unconfirmed", "too_early", "cross_origin", "tunnel_refused", "invalid_idempotency_key",
		"idempotency_key_in_use", "idempotency_key_finished", "idempotency_key_reused", "account_invalid", "store_unavailable", "account_damaged", "timeout",
		"internal", "other",
	}
	chargeResults = []string{"captured", "late", "released", "lost", "replayed"}
	passResults   = []string{"ok", "not_durable", "store_unavailable", "dodo_unavailable", "dodo_refused", "dodo_unauthorized", otherValue}
)

// The handlers whose time is measured.
const (
	timedGateway = "dodo_gateway"
	timedRequire = "dodo_require"
	timedCharge  = "dodo_charge"
	timedWebhook = "webhook"
)

// labelOf names an error; the first that fits counts.
func labelOf(err error) string {
	if err == nil {
		return "ok"
	}
	for _, row := range errorLabels {
		if errors.Is(err, row.sentinel) {
			return row.label
		}
	}
	return otherValue
}

var errorLabels = []struct {
	sentinel error
	label    string
}{
	{dodo.ErrSignature, "signature"},
	{dodo.ErrStale, "stale"},
	{dodo.ErrMalformed, "malformed"},
	{httpapi.ErrBodyTooLarge, "too_large"},
	{httpapi.ErrSlowBody, "too_slow"},
	{httpapi.ErrTooManyBodies, "too_many"},

	{gateway.ErrAnonymous, "anonymous"},
	{gateway.ErrAccount, "account_invalid"},
	{gateway.ErrCredentials, "credentials_invalid"},
	{gateway.ErrLoginUnavailable, "login_unavailable"},
	{gateway.ErrUnknownProduct, "invalid"},
	{gateway.ErrChoice, "invalid"},
	{gateway.ErrQuantity, "invalid"},
	{gateway.ErrDiscountCode, "discount_code"},
	{config.ErrReturnTo, "return_to"},
	{gateway.ErrNoPublicURL, "public_url_missing"},
	{gateway.ErrKeyRunning, "key_running"},
	{gateway.ErrKeyMismatch, "key_mismatch"},

	{gateway.ErrTooManyRequests, "too_many_requests"},
	{store.ErrTooManyOrders, "too_many_orders"},
	{store.ErrDamaged, "account_damaged"},
	{store.ErrNotDurable, "not_durable"},
	{store.ErrUnavailable, "store_unavailable"},
	{dodo.ErrUnavailable, "dodo_unavailable"},
	{dodo.ErrBadAnswer, "dodo_refused"},
	{dodo.ErrRejected, "dodo_refused"},
	{dodo.ErrNotFound, "dodo_refused"},
	{dodo.ErrUnauthorized, "dodo_unauthorized"},
}
