package dodosim

import "strings"

// The error codes of FACTS 5.3: after a soft decline a later attempt with the same card may
// succeed; after a hard one it is not retried.
var (
	softReasons = strings.Fields(`AUTHENTICATION_FAILURE AUTHENTICATION_REQUIRED AUTHENTICATION_TIMEOUT CARD_NOT_ACTIVATED
		CARD_VELOCITY_EXCEEDED CUSTOMER_CANCELLED GENERIC_DECLINE INCORRECT_CVC INCORRECT_NUMBER INSUFFICIENT_FUNDS INVALID_AMOUNT
		INVALID_CARD_NUMBER INVALID_CARD_OWNER INVALID_CVC INVALID_EXPIRY_YEAR INVALID_PIN INVALID_REQUEST INVALID_UPI_ID
		LIMIT_EXCEEDED LIVE_MODE_TEST_CARD MANDATE_INVALID MANDATE_REQUIRED NETWORK_ERROR NETWORK_TIMEOUT ORDER_CREATION_FAILED
		PROCESSING_ERROR REENTER_TRANSACTION TRY_AGAIN_LATER UNKNOWN_ERROR`)
	hardReasons = strings.Fields(`CARD_DECLINED DO_NOT_HONOR EXPIRED_CARD FRAUDULENT INVALID_ACCOUNT LOST_CARD
		MANDATE_REQUIRED_SYSTEM PAYMENT_METHOD_PROVIDER_DECLINED PAYMENT_METHOD_UNSUPPORTED PICKUP_CARD PROVIDER_UNSUPPORTED
		REVOCATION_OF_AUTHORIZATION STOLEN_CARD TRANSACTION_NOT_ALLOWED TRANSACTION_NOT_APPROVED`)
)

// Messages for groups of codes, and for codes that do not help customers.
const (
	declinedCard     = "Your card was declined. Try another one."
	badNumber        = "The card number is not right. Check it, or try another card."
	badSecurityCode  = "The security code is not right. Check it, or try another card."
	notAuthenticated = "Your bank could not make sure that it is you. Try again, or use another card."
	tryLater         = "The payment could not be processed. Try again in a moment."
	badMandate       = "Your bank did not allow charges without you. Try another card."
	unsupported      = "This way to pay is not possible here. Try another one."
)

// declineMessages are messages for customers, by error_code. The wording is ours. Codes that
// accuse the customer, or that help a thief (FACTS 5.3), are left out deliberately, see
// declineMessage.
var declineMessages = map[string]string{
	"AUTHENTICATION_FAILURE":      notAuthenticated,
	"AUTHENTICATION_REQUIRED":     notAuthenticated,
	"AUTHENTICATION_TIMEOUT":      "Your bank waited too long for your confirmation. Try again.",
	"CARD_NOT_ACTIVATED":          "Your card is not activated yet. Activate it, or try another one.",
	"CARD_VELOCITY_EXCEEDED":      "Your card was used too often in a short time. Try again later, or use another one.",
	"CUSTOMER_CANCELLED":          "You cancelled the payment, and nothing was charged.",
	"EXPIRED_CARD":                "Your card has expired. Try another one.",
	"INCORRECT_CVC":               badSecurityCode,
	"INCORRECT_NUMBER":            badNumber,
	"INSUFFICIENT_FUNDS":          "Your card has insufficient funds. Try another one.",
	"INVALID_AMOUNT":              "Your card cannot be charged with this amount. Try another one.",
	"INVALID_CARD_NUMBER":         badNumber,
	"INVALID_CARD_OWNER":          "The name on the card is not right. Check it, or try another card.",
	"INVALID_CVC":                 badSecurityCode,
	"INVALID_EXPIRY_YEAR":         "The expiry date is not right. Check it, or try another card.",
	"INVALID_PIN":                 "The PIN is not right. Try again, or use another card.",
	"INVALID_REQUEST":             tryLater,
	"INVALID_UPI_ID":              "The UPI ID is not right. Check it, or try another one.",
	"LIMIT_EXCEEDED":              "The amount is above the limit of your card. Try another one.",
	"LIVE_MODE_TEST_CARD":         "Test cards are not accepted here. Try a real one.",
	"MANDATE_INVALID":             badMandate,
	"MANDATE_REQUIRED":            badMandate,
	"MANDATE_REQUIRED_SYSTEM":     badMandate,
	"NETWORK_ERROR":               tryLater,
	"NETWORK_TIMEOUT":             tryLater,
	"ORDER_CREATION_FAILED":       tryLater,
	"PAYMENT_METHOD_UNSUPPORTED":  unsupported,
	"PROCESSING_ERROR":            tryLater,
	"PROVIDER_UNSUPPORTED":        unsupported,
	"REENTER_TRANSACTION":         tryLater,
	"REVOCATION_OF_AUTHORIZATION": badMandate,
	"TRY_AGAIN_LATER":             tryLater,
	"UNKNOWN_ERROR":               tryLater,
}

// declineMessage is the message of a decline for the customer.
func declineMessage(code string) string {
	if message, ok := declineMessages[code]; ok {
		return message
	}
	return declinedCard
}

// declining is a card that is declined for the given reason. Dodo has no test card for most
// reasons.
func declining(code string) (card, *Error) {
	for _, known := range append(softReasons[:len(softReasons):len(softReasons)], hardReasons...) {
		if known == code {
			return card{number: CardDeclined, network: "visa", decline: code}, nil
		}
	}
	return card{}, refuse(codeInvalidParameters, "there is no reason %q to decline a card", code)
}
