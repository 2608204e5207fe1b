package dodosim

import (
	"net/http"
	"slices"
)

// checkoutRequest is the part of POST /checkouts that the simulator uses (FACTS 2.1). Pointers
// distinguish an absent field from an empty one.
type checkoutRequest struct {
	ProductCart     []cartRequest    `json:"product_cart"`
	Customer        *customerRequest `json:"customer"`
	BillingAddress  *billing         `json:"billing_address"`
	BillingCurrency *string          `json:"billing_currency"`
	ReturnURL       *string          `json:"return_url"`
	CancelURL       *string          `json:"cancel_url"`
	Metadata        metadata         `json:"metadata"`
	DiscountCodes   []string         `json:"discount_codes"`
	DiscountCode    *string          `json:"discount_code"`
	Confirm         bool             `json:"confirm"`
	PaymentMethodID *string          `json:"payment_method_id"`
	MinimalAddress  bool             `json:"minimal_address"`
	Force3DS        *bool            `json:"force_3ds"`
	MethodTypes     []string         `json:"allowed_payment_method_types"`
	Terms           terms            `json:"subscription_data"`
	Flags           flags            `json:"feature_flags"`

	maxLines int // of the cart
}

type cartRequest struct {
	ProductID          *string            `json:"product_id"`
	Quantity           *int32             `json:"quantity"`
	Addons             []addonRequestItem `json:"addons"`
	CreditEntitlements []creditOverride   `json:"credit_entitlements"`
}

// customerRequest is an existing customer by id, or a new one by e-mail. With both, the
// id wins: UNCONFIRMED.
type customerRequest struct {
	CustomerID *string `json:"customer_id"`
	Email      *string `json:"email"`
	Name       *string `json:"name"`
	Phone      *string `json:"phone_number"`
}

// flags are the feature flags that change the page. The two about editing have no documented
// default; here they are on, because without an address nobody could pay.
type flags struct {
	AllowDiscountCode       *bool `json:"allow_discount_code"`
	AlwaysCreateNewCustomer *bool `json:"always_create_new_customer"`
	AllowEditingEmail       *bool `json:"allow_customer_editing_email"`
	AllowEditingName        *bool `json:"allow_customer_editing_name"`
}

type checkoutResponse struct {
	SessionID      string  `json:"session_id"`
	CheckoutURL    *string `json:"checkout_url"`
	PaymentID      *string `json:"payment_id"`
	ClientSecret   *string `json:"client_secret"`
	PublishableKey *string `json:"publishable_key"`
}

// createCheckout answers POST /checkouts.
func (s *Simulator) createCheckout(r *http.Request) (any, error) {
	request, refusal := readJSON[checkoutRequest](r)
	if refusal != nil {
		return nil, refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	session, refusal := s.newSession(request)
	if refusal != nil {
		return nil, refusal
	}
	answer := checkoutResponse{SessionID: session.id, CheckoutURL: new(s.publicURL(r) + "/session/" + session.id)}
	s.sessions[session.id] = session
	s.logger().Info("checkout session created",
		"session", session.id, "total", session.bill.total, "currency", session.bill.currency)
	if !request.Confirm {
		return answer, nil
	}
	if request.PaymentMethodID != nil {
		p, refusal := s.paySaved(session)
		if refusal != nil {
			delete(s.sessions, session.id)
			return nil, refusal
		}
		answer.CheckoutURL, answer.PaymentID = nil, new(p.PaymentID)
		return answer, nil
	}
	p := s.await(session)
	answer.PaymentID, answer.ClientSecret = new(p.PaymentID), new(clientSecret(p))
	answer.PublishableKey = new("pk_simulator")
	return answer, nil
}

// newSession checks a request and makes its session, which is not shared yet. The caller holds
// s.mu.
func (s *Simulator) newSession(request checkoutRequest) (*session, *Error) {
	cart, refusal := request.cart()
	if refusal != nil {
		return nil, refusal
	}
	if refusal := request.check(); refusal != nil {
		return nil, refusal
	}
	session, refusal := s.priceSession(request, cart)
	if refusal != nil {
		return nil, refusal
	}
	if refusal := s.attachCustomer(session, request.Customer); refusal != nil {
		return nil, refusal
	}
	if _, recurring := session.bill.recurring(); recurring && s.options.OneSubscription && s.subscribed(session.customer) {
		return nil, refuse(codeSubscribed, "the customer has a subscription")
	}
	if request.Confirm {
		session.expires = session.created.Add(confirmedLife)
		if refusal := request.confirmable(session); refusal != nil {
			return nil, refusal
		}
	}
	if request.PaymentMethodID != nil {
		session.method, refusal = s.findMethod(session.customer.CustomerID, *request.PaymentMethodID)
		if refusal != nil {
			return nil, refusal
		}
	}
	if session.customer != nil || session.buyer.email != "" {
		if refusal := s.redeemable(session, session.buyer); refusal != nil {
			return nil, refusal
		}
	}
	return session, nil
}

// priceSession makes the session of a cart.
func (s *Simulator) priceSession(request checkoutRequest, cart []cartItem) (*session, *Error) {
	codes, refusal := s.findDiscounts(request.codes())
	if refusal != nil {
		return nil, refusal
	}
	priced, refusal := s.price(cart, codes, request.Terms)
	if refusal != nil {
		return nil, refusal
	}
	now := s.now()
	session := &session{
		id:        newID("cks_"),
		created:   now,
		expires:   now.Add(sessionLife),
		cart:      cart,
		terms:     request.Terms,
		bill:      priced,
		billing:   billing{Country: countryOf(priced)},
		metadata:  request.Metadata.orEmpty(),
		returnURL: valueOrEmpty(request.ReturnURL),
		cancelURL: valueOrEmpty(request.CancelURL),

		allowCode: !isSetFalse(request.Flags.AllowDiscountCode),
		editEmail: !isSetFalse(request.Flags.AllowEditingEmail),
		editName:  !isSetFalse(request.Flags.AllowEditingName),
		alwaysNew: isSetTrue(request.Flags.AlwaysCreateNewCustomer),
		force3DS:  isSetTrue(request.Force3DS),

		methodTypes: request.MethodTypes,
	}
	if request.BillingAddress != nil {
		session.billing = *request.BillingAddress
	}
	return session, nil
}

// countryOf guesses the customer's country if nobody sent an address, because the page does
// not ask for it. Rupees are only for India, so that UPI can be tried.
func countryOf(b bill) string {
	if b.currency == "INR" {
		return "IN"
	}
	return "US"
}

// cart checks the lines and returns them as payments will show them.
func (request checkoutRequest) cart() ([]cartItem, *Error) {
	switch {
	case request.ProductCart == nil:
		return nil, refuse(codeInvalidBody, "product_cart is required")
	case len(request.ProductCart) == 0:
		return nil, refuse(codeCartEmpty, "product_cart is empty")
	case len(request.ProductCart) > max(request.maxLines, maxCartLines):
		return nil, refuse(codeInvalidParameters, "product_cart has too many lines")
	}
	var cart []cartItem
	for _, item := range request.ProductCart {
		switch {
		case item.ProductID == nil || item.Quantity == nil:
			return nil, refuse(codeInvalidBody, "each line of product_cart needs product_id and quantity")
		case *item.Quantity < 1:
			return nil, refuse(codeInvalidQuantity, "quantity must be at least 1")
		}
		cart = append(cart, cartItem{ProductID: *item.ProductID, Quantity: *item.Quantity, credits: item.CreditEntitlements, addons: item.Addons})
	}
	return cart, nil
}

// subscribed reports whether a customer has a subscription that is not over. It cannot see a
// customer whose e-mail is known only at payment.
func (s *Simulator) subscribed(c *customer) bool {
	return c != nil && slices.ContainsFunc(s.subscriptionOrder, func(sub *subscription) bool {
		return sub.Customer.CustomerID == c.CustomerID && !sub.over() && sub.Status != SubscriptionPending
	})
}

// confirmable reports whether a session with confirm has everything that its page would ask
// for. The code for a missing value is UNCONFIRMED.
func (request checkoutRequest) confirmable(session *session) *Error {
	address := request.BillingAddress
	switch {
	case request.PaymentMethodID != nil && session.customer == nil:
		return refuse(codeInvalidParameters, "payment_method_id needs customer.customer_id")
	case session.buyer.email == "" || session.buyer.name == "":
		return refuse(codeInvalidParameters, "confirm needs the customer's email and name")
	case address == nil || valueOrEmpty(address.Zipcode) == "":
		return refuse(codeInvalidParameters, "confirm needs billing_address, with a zipcode")
	case !request.MinimalAddress && (valueOrEmpty(address.City) == "" || valueOrEmpty(address.State) == "" || valueOrEmpty(address.Street) == ""):
		return refuse(codeInvalidParameters, "confirm needs all of billing_address, unless minimal_address is set")
	}
	return nil
}

// check covers the rest of the request.
func (request checkoutRequest) check() *Error {
	if request.PaymentMethodID != nil && !request.Confirm {
		return refuse(codeInvalidParameters, "payment_method_id needs confirm")
	}
	if request.DiscountCode != nil && request.DiscountCodes != nil {
		return refuse(codeInvalidParameters, "discount_code and discount_codes exclude each other")
	}
	if request.BillingAddress != nil && !knownCountry(request.BillingAddress.Country) {
		return refuse(codeUnsupportedCountry, "billing_address.country must be an ISO 3166-1 alpha-2 code")
	}
	// Only effective with adaptive currency, which the simulator does not have.
	if request.BillingCurrency != nil && !knownCurrency(*request.BillingCurrency) {
		return refuse(codeUnsupportedMoney, "billing_currency must be an ISO 4217 code")
	}
	for name, target := range map[string]*string{"return_url": request.ReturnURL, "cancel_url": request.CancelURL} {
		// Dodo also takes the URLs of apps; a browser cannot open those from here.
		if target != nil && checkWebURL(*target) != nil {
			return refuse(codeInvalidParameters, "%s must be an absolute http or https URL", name)
		}
	}
	// The simulator has cards, and UPI only beside them.
	if request.MethodTypes != nil && !slices.Contains(request.MethodTypes, "credit") && !slices.Contains(request.MethodTypes, "debit") {
		return refuse(codeNoMethods, "allowed_payment_method_types has neither credit nor debit")
	}
	if refusal := request.Terms.check(); refusal != nil {
		return refusal
	}
	if request.Terms.OnDemand != nil && len(request.codes()) > 0 {
		return refuse(codeDiscountOnDemand, "discounts cannot be used on demand")
	}
	return request.Metadata.check()
}

func (request checkoutRequest) codes() []string {
	if request.DiscountCode != nil {
		return []string{*request.DiscountCode}
	}
	return request.DiscountCodes
}

// attachCustomer sets the customer that the merchant named. The caller holds s.mu.
func (s *Simulator) attachCustomer(session *session, request *customerRequest) *Error {
	switch {
	case request == nil:
		return nil
	case request.CustomerID != nil:
		known, refusal := s.findCustomer(*request.CustomerID)
		if refusal != nil {
			return refusal
		}
		session.customer = &known
		session.buyer = buyer{email: known.Email, name: known.Name, phone: known.Phone}
		session.editEmail, session.editName = false, false
		return nil
	case request.Email == nil:
		return refuse(codeInvalidBody, "customer needs customer_id or email")
	case !validEmail(*request.Email):
		return refuse(codeInvalidParameters, "customer.email must be an e-mail address")
	}
	session.buyer = buyer{email: *request.Email, name: valueOrEmpty(request.Name), phone: request.Phone}
	return nil
}

func valueOrEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func isSetFalse(flag *bool) bool { return flag != nil && !*flag }

func isSetTrue(flag *bool) bool { return flag != nil && *flag }
