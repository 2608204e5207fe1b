package dodo

// The fields of Dodo's JSON that are read (FACTS 2, 3.8). One type has the fields of several
// kinds of objects; each kind has a part of them.

// envelope is the body of a webhook. Its data may come before its type, so they are read
// before the kind of object is known.
type envelope struct {
	Type       text            `json:"type"`
	BusinessID id              `json:"business_id"`
	Timestamp  moment          `json:"timestamp"`
	Data       object[details] `json:"data"`
}

// page is a page of a list.
type page[T any] struct {
	Items list[object[T], upTo100] `json:"items"`
}

// details is a payment, refund, dispute, subscription or feature grant.
type details struct {
	listItem

	PayloadType text `json:"payload_type"`
	BusinessID  id   `json:"business_id"`

	Total           whole                                   `json:"total_amount"`
	Tax             whole                                   `json:"tax"`
	Cart            list[object[cartItem], upTo1000]        `json:"product_cart"`
	SubscriptionIDs list[text, upTo1000]                    `json:"subscription_ids"`
	SessionID       id                                      `json:"checkout_session_id"`
	MethodOnly      flag                                    `json:"is_update_payment_method"`
	RefundStatus    word                                    `json:"refund_status"`
	Refunds         list[object[refundOrDispute], upTo1000] `json:"refunds"`
	Disputes        list[object[refundOrDispute], upTo1000] `json:"disputes"`

	PeriodStart moment                           `json:"previous_billing_date"`
	ExpiresAt   moment                           `json:"expires_at"`
	GraceEnd    moment                           `json:"past_due_ends_at"`
	PausedAt    moment                           `json:"paused_at"`
	CancelledAt moment                           `json:"cancelled_at"`
	OnDemand    flag                             `json:"on_demand"`
	Price       whole                            `json:"recurring_pre_tax_amount"`
	DiscountID  id                               `json:"discount_id"`
	Discounts   list[text, upTo1000]             `json:"discounts"`
	TrialDays   whole                            `json:"trial_period_days"`
	Addons      list[object[addonItem], upTo100] `json:"addons"`
	billing
}

// listItem has the fields that lists include for the same objects.
type listItem struct {
	refundOrDispute
	Customer object[customer] `json:"customer"`
	Metadata metadata         `json:"metadata"`

	PaymentID      id       `json:"payment_id"`
	SubscriptionID id       `json:"subscription_id"`
	ProductID      id       `json:"product_id"`
	Quantity       quantity `json:"quantity"`
	PeriodEnd      moment   `json:"next_billing_date"`
	CancelAtEnd    flag     `json:"cancel_at_next_billing_date"`

	ID          id              `json:"id"`
	CustomerID  id              `json:"customer_id"`
	Integration word            `json:"integration_type"`
	Feature     object[feature] `json:"feature"`
	UpdatedAt   moment          `json:"updated_at"`
	DeliveredAt moment          `json:"delivered_at"`
	RevokedAt   moment          `json:"revoked_at"`
}

// refundOrDispute is a refund or a dispute, also as an item of a payment's own lists.
type refundOrDispute struct {
	CreatedAt     moment   `json:"created_at"`
	RefundID      id       `json:"refund_id"`
	Status        word     `json:"status"`
	Amount        whole    `json:"amount"`
	Currency      currency `json:"currency"`
	IsPartial     flag     `json:"is_partial"`
	DisputeID     id       `json:"dispute_id"`
	DisputeStatus word     `json:"dispute_status"`
}

type cartItem struct {
	ProductID id       `json:"product_id"`
	Quantity  quantity `json:"quantity"`
}

type addonItem struct {
	AddonID  id    `json:"addon_id"`
	Quantity whole `json:"quantity"`
}

type customer struct {
	CustomerID id    `json:"customer_id"`
	Email      email `json:"email"`
}

type feature struct {
	Type word `json:"feature_type"`
	ID   text `json:"feature_id"`
}

// billing is the billing interval of a subscription.
type billing struct {
	Count    whole `json:"payment_frequency_count"`
	Interval word  `json:"payment_frequency_interval"`
}

// product is an item of the list of products (FACTS 2.8). The price appears in two places, and
// either may be empty.
type product struct {
	ProductID    id                                        `json:"product_id"`
	Name         text                                      `json:"name"`
	Description  text                                      `json:"description"`
	Currency     currency                                  `json:"currency"`
	IsRecurring  flag                                      `json:"is_recurring"`
	Price        whole                                     `json:"price"`
	Detail       object[priceDetail]                       `json:"price_detail"`
	Entitlements list[object[productEntitlement], upTo100] `json:"entitlements"`
}

type priceDetail struct {
	Currency  currency `json:"currency"`
	Price     whole    `json:"price"`
	TrialDays whole    `json:"trial_period_days"`
	billing
}

// productEntitlement is an entitlement that a product grants.
type productEntitlement struct {
	Integration word            `json:"integration_type"`
	Config      object[feature] `json:"integration_config"`
}

// session is a checkout session, as returned on creation and on a later read.
type session struct {
	SessionID     id   `json:"session_id"`
	CheckoutURL   text `json:"checkout_url"`
	ID            id   `json:"id"`
	PaymentID     id   `json:"payment_id"`
	PaymentStatus word `json:"payment_status"`
}

type portal struct {
	Link text `json:"link"`
}

// preview is what a change of plan would charge, and the new plan.
type preview struct {
	Charge object[struct {
		Summary object[struct {
			Total    whole    `json:"total_amount"`
			Tax      whole    `json:"tax"`
			Currency currency `json:"currency"`
		}] `json:"summary"`
	}] `json:"immediate_charge"`
	NewPlan object[struct {
		Price         whole    `json:"recurring_pre_tax_amount"`
		Currency      currency `json:"currency"`
		NextBillingAt moment   `json:"next_billing_date"`
	}] `json:"new_plan"`
}

type refusal struct {
	Code text `json:"code"`
}
