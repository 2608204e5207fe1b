package dodosim

import (
	"fmt"
	"net/http"
)

// Error is a refusal with Dodo's codes: the body of an API error (FACTS 1.3), and the error of
// the back doors if the API would have refused.
type Error struct {
	// Status is the HTTP status.
	Status int `json:"-"`
	// Code is one of Dodo's codes, such as CHECKOUT_SESSION_CONSUMED.
	Code string `json:"code"`
	// Message is a sentence for a developer. Dodo's own wording is not published, so do not
	// compare it.
	Message string `json:"message"`
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// The codes that the simulator answers with. The spelling of codeCartEmpty is Dodo's.
const (
	codeUnauthorized       = "UNAUTHORIZED"
	codeForbidden          = "FORBIDDEN" // not in Dodo's list, which has none for it
	codeNotFound           = "NOT_FOUND"
	codeInvalidBody        = "INVALID_REQUEST_BODY"
	codeInvalidParameters  = "INVALID_REQUEST_PARAMETERS"
	codeInvalidQuery       = "INVALID_QUERY_PARAMS"
	codeUnsupportedAction  = "UNSUPPORTED_ACTION"
	codeInternal           = "INTERNAL_SERVER_ERROR"
	codeTooManyKeys        = "MAXIMUM_KEYS_REACHED"
	codeIntegerConversion  = "INTEGER_CONVERSION_FAILURE"
	codeCartEmpty          = "PRODUCT_CART_EMTPY"
	codeInvalidQuantity    = "INVALID_QUANTITY"
	codeUnsupportedCountry = "UNSUPPORTED_COUNTRY"
	codeUnsupportedMoney   = "UNSUPPORTED_CURRENCY"
	codeInvalidDiscount    = "INVALID_DISCOUNT_CODE"
	codeDiscountOnDemand   = "DISCOUNT_NOT_AVAILABLE_FOR_ON_DEMAND"
	codeDiscountExpired    = "DISCOUNT_CODE_EXPIRED"
	codeDiscountUsedUp     = "DISCOUNT_CODE_USAGE_LIMIT_EXCEEDED"
	codeDiscountCustomer   = "DISCOUNT_PER_CUSTOMER_USAGE_LIMIT_EXCEEDED"
	codeNotEligible        = "DISCOUNT_CUSTOMER_NOT_ELIGIBLE"
	codeDiscountEarly      = "DISCOUNT_NOT_YET_ACTIVE"
	codeDiscountMinimum    = "DISCOUNT_MINIMUM_SUBTOTAL_NOT_MET"
	codeDiscountProduct    = "DISCOUNT_NOT_AVAILABLE_FOR_PRODUCT"
	codeProductDeleted     = "PRODUCT_IS_DELETED"
	codeNoMethods          = "NO_ELIGIBLE_PAYMENT_METHODS"
	codeSubscribed         = "CUSTOMER_HAS_EXISTING_SUBSCRIPTION"
	codeTooManyRetries     = "SUBSCRIPTION_PAYMENT_RETRY_LIMIT_EXCEEDED"
	codeCreditName         = "CREDIT_ENTITLEMENT_NAME_ALREADY_EXISTS"
	codeCreditDeleted      = "CREDIT_ENTITLEMENT_IS_DELETED"
	codeNegativeBalance    = "NEGATIVE_BALANCE_ADJUSTMENT"
	codeOverageLimit       = "OVERAGE_LIMIT_EXCEEDED"
	codeKeyUsed            = "IDEMPOTENCY_KEY_ALREADY_USED" // not in Dodo's list, which has none for it
	codeLicenseNotFound    = "LICENSE_KEY_NOT_FOUND"
	codeLicenseInactive    = "INACTIVE_LICENSE_KEY"
	codeLicenseLimit       = "LICENSE_KEY_LIMIT_REACHED"
	codeLicenseExists      = "LICENSE_KEY_ALREADY_EXISTS" // not in Dodo's list, which has none for it
	codePaymentPending     = "PREVIOUS_PAYMENT_PENDING"
	codeInactive           = "SUBSCRIPTION_INACTIVE"
	codeTermOver           = "SUBSCRIPTION_EXPIRED"
	codeNotOnDemand        = "SUBSCRIPTION_NOT_ON_DEMAND"
	codeChargeLeaving      = "CHARGE_NOT_ALLOWED_FOR_SCHEDULED_CANCELLATION"
	codeChangeInactive     = "INACTIVE_SUBSCRIPTION_PLAN_CHANGE_NOT_SUPPORTED"
	codeChangeOnDemand     = "ON_DEMAND_PLAN_CHANGE_NOT_SUPPORTED"
	codeChangeLeaving      = "PLAN_CHANGE_NOT_ALLOWED_FOR_SCHEDULED_CANCELLATION"
	codeChangeScheduled    = "SCHEDULED_PLAN_CHANGE_EXISTS"
	codeNoScheduledChange  = "SCHEDULED_PLAN_CHANGE_NOT_FOUND"
	codeChangeMode         = "INVALID_PRORATION_MODE_WITH_NEXT_BILLING_DATE"
	codeMethodInUse        = "PAYMENT_METHOD_IN_USE" // not in Dodo's list, which has none for it
	codeWalletFunds        = "INSUFFICIENT_WALLET_FUNDS"
	codeSessionConsumed    = "CHECKOUT_SESSION_CONSUMED"
	codeSessionExpired     = "CHECKOUT_SESSION_EXPIRED" // not in Dodo's list, which has none for it
	codeNotSucceeded       = "PAYMENT_NOT_SUCCEEDED"
	codeAlreadyRefunded    = "PAYMENT_ALREADY_REFUNDED"
	codeRefundRunning      = "EXISTING_REFUND_REQUEST_PROCESSING"
	codeZeroAmountRefund   = "ZERO_AMOUNT_PAYMENT_REFUND_NOT_ALLOWED"
	codeRefundTooLate      = "REFUND_WINDOW_EXPIRED"
	codeRefundTooHigh      = "REFUND_AMOUNT_EXCEEDS_PAID_AMOUNT"
	codeNothingToRefund    = "NOTHING_TO_REFUND"
	codeLineDuplicate      = "DUPLICATE_LINE_ITEMS_IN_REQUEST"
	codeLineNotFound       = "LINE_ITEM_NOT_FOUND"
	codeLineRefunded       = "LINE_ITEM_FULLY_REFUNDED"
	codeLineTooHigh        = "LINE_ITEM_REFUND_AMOUNT_TOO_HIGH"
	codeLineTooLow         = "LINE_ITEM_REFUND_AMOUNT_TOO_LOW"
)

// statusOf is the HTTP status of each code. Dodo documents codes without statuses, so most
// pairs are UNCONFIRMED (FACTS 1.3). The rule here: 422 for well-formed but wrong requests,
// the most common validation status of the API description; 400 for what cannot be parsed and,
// by the documentation's table, for refund parameters.
var statusOf = map[string]int{
	codeUnauthorized:       http.StatusUnauthorized,
	codeForbidden:          http.StatusForbidden,
	codeNotFound:           http.StatusNotFound,
	codeInvalidBody:        http.StatusUnprocessableEntity,
	codeInvalidParameters:  http.StatusUnprocessableEntity,
	codeInvalidQuery:       http.StatusUnprocessableEntity,
	codeUnsupportedAction:  http.StatusUnprocessableEntity,
	codeInternal:           http.StatusInternalServerError,
	codeTooManyKeys:        http.StatusUnprocessableEntity,
	codeIntegerConversion:  http.StatusUnprocessableEntity,
	codeCartEmpty:          http.StatusUnprocessableEntity,
	codeInvalidQuantity:    http.StatusUnprocessableEntity,
	codeUnsupportedCountry: http.StatusUnprocessableEntity,
	codeUnsupportedMoney:   http.StatusUnprocessableEntity,
	codeInvalidDiscount:    http.StatusUnprocessableEntity,
	codeDiscountOnDemand:   http.StatusUnprocessableEntity,
	codeDiscountExpired:    http.StatusUnprocessableEntity,
	codeDiscountUsedUp:     http.StatusUnprocessableEntity,
	codeDiscountCustomer:   http.StatusUnprocessableEntity,
	codeNotEligible:        http.StatusUnprocessableEntity,
	codeDiscountEarly:      http.StatusUnprocessableEntity,
	codeDiscountMinimum:    http.StatusUnprocessableEntity,
	codeDiscountProduct:    http.StatusUnprocessableEntity,
	codeNoMethods:          http.StatusUnprocessableEntity,
	codeSubscribed:         http.StatusUnprocessableEntity,
	codeTooManyRetries:     http.StatusUnprocessableEntity,
	codeProductDeleted:     http.StatusUnprocessableEntity,
	codeCreditName:         http.StatusUnprocessableEntity,
	codeCreditDeleted:      http.StatusGone,
	codeNegativeBalance:    http.StatusBadRequest,
	codeOverageLimit:       http.StatusBadRequest,
	codeKeyUsed:            http.StatusConflict,
	codeLicenseNotFound:    http.StatusNotFound,
	codeLicenseInactive:    http.StatusForbidden,
	codeLicenseLimit:       http.StatusUnprocessableEntity,
	codeLicenseExists:      http.StatusConflict,
	codePaymentPending:     http.StatusUnprocessableEntity,
	codeInactive:           http.StatusUnprocessableEntity,
	codeTermOver:           http.StatusUnprocessableEntity,
	codeNotOnDemand:        http.StatusUnprocessableEntity,
	codeChargeLeaving:      http.StatusUnprocessableEntity,
	codeChangeInactive:     http.StatusUnprocessableEntity,
	codeChangeOnDemand:     http.StatusUnprocessableEntity,
	codeChangeLeaving:      http.StatusUnprocessableEntity,
	codeChangeScheduled:    http.StatusConflict,
	codeNoScheduledChange:  http.StatusNotFound,
	codeChangeMode:         http.StatusUnprocessableEntity,
	codeMethodInUse:        http.StatusConflict,
	codeWalletFunds:        http.StatusBadRequest,
	codeSessionConsumed:    http.StatusConflict,
	codeSessionExpired:     http.StatusGone,
	codeNotSucceeded:       http.StatusBadRequest,
	codeAlreadyRefunded:    http.StatusBadRequest,
	codeRefundRunning:      http.StatusBadRequest,
	codeZeroAmountRefund:   http.StatusBadRequest,
	codeRefundTooLate:      http.StatusBadRequest,
	codeRefundTooHigh:      http.StatusBadRequest,
	codeNothingToRefund:    http.StatusBadRequest,
	codeLineDuplicate:      http.StatusBadRequest,
	codeLineNotFound:       http.StatusBadRequest,
	codeLineRefunded:       http.StatusBadRequest,
	codeLineTooHigh:        http.StatusBadRequest,
	codeLineTooLow:         http.StatusBadRequest,
}

// refuse makes the Error of a code.
func refuse(code, format string, args ...any) *Error {
	return &Error{Status: statusOf[code], Code: code, Message: fmt.Sprintf(format, args...)}
}
