package dodosim

import (
	"maps"
	"net/http"
	"time"
)

var (
	intervals     = wordSet(`Day Week Month Year`)
	cancelReasons = wordSet(`cancelled_by_customer cancelled_by_merchant cancelled_by_merchant_send_dunning dodo_team`)
	feedbacks     = wordSet(`too_expensive missing_features switched_service unused customer_service low_quality too_complex other`)
)

// patchRequest is the body of PATCH /subscriptions/{id} (FACTS 2.7). An absent or null field
// changes nothing.
type patchRequest struct {
	Status          *string    `json:"status"`
	CancelAtNext    *bool      `json:"cancel_at_next_billing_date"`
	CancelReason    *string    `json:"cancel_reason"`
	Feedback        *string    `json:"cancellation_feedback"`
	Comment         *string    `json:"cancellation_comment"`
	NextBillingDate *time.Time `json:"next_billing_date"`
	TermCount       *int       `json:"subscription_period_count"`
	TermInterval    *string    `json:"subscription_period_interval"`
	Metadata        metadata   `json:"metadata"`
	Billing         *billing   `json:"billing"`
	TaxID           *string    `json:"tax_id"`
	CustomerName    *string    `json:"customer_name"`
	BusinessName    *string    `json:"customer_business_name"`
	DisableOnDemand *struct {
		NextBillingDate *time.Time `json:"next_billing_date"`
	} `json:"disable_on_demand"`
	CreditEntitlements []creditChange `json:"credit_entitlement_cart"`
	Pause              *bool          `json:"pause"`
}

// patchSubscription answers PATCH /subscriptions/{id}: it makes the whole change or none.
func (s *Simulator) patchSubscription(r *http.Request) (any, error) {
	request, refusal := readJSON[patchRequest](r)
	if refusal != nil {
		return nil, refusal
	}
	if refusal := request.check(); refusal != nil {
		return nil, refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sub, refusal := s.findSubscription(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	if refusal := s.patchAtomically(sub, request); refusal != nil {
		return nil, refusal
	}
	return snapshot(s.shown(sub))
}

// patchAtomically makes a change that has passed its own check: all of it or nothing. The
// caller holds s.mu.
func (s *Simulator) patchAtomically(sub *subscription, request patchRequest) *Error {
	now := s.now()
	if refusal := request.checkFor(sub, now); refusal != nil {
		return refusal
	}
	if refusal := s.changeCredits(sub, request.CreditEntitlements); refusal != nil {
		return refusal
	}
	s.apply(request, sub, now)
	return nil
}

// check refuses values that are invalid for any subscription.
func (request patchRequest) check() *Error {
	switch {
	case request.Pause != nil:
		return refuse(codeInvalidParameters, "pause is gone: patch status to paused or active")
	case request.DisableOnDemand != nil && request.DisableOnDemand.NextBillingDate == nil:
		return refuse(codeInvalidBody, "disable_on_demand needs next_billing_date")
	case request.DisableOnDemand != nil && request.NextBillingDate != nil:
		return refuse(codeInvalidParameters, "next_billing_date is given twice")
	case request.resumes() && !request.alone():
		return refuse(codeInvalidParameters, "status %s must be the only field", *request.Status)
	case request.Status != nil && *request.Status != "cancelled" && !request.resumes():
		return refuse(codeInvalidParameters, "status can be patched to cancelled, paused or active")
	case request.CancelReason != nil && !cancelReasons[*request.CancelReason]:
		return refuse(codeInvalidBody, "cancel_reason has no such value")
	case request.Feedback != nil && !feedbacks[*request.Feedback]:
		return refuse(codeInvalidBody, "cancellation_feedback has no such value")
	case (request.CancelReason != nil || request.Feedback != nil || request.Comment != nil) && !request.cancels():
		return refuse(codeInvalidParameters, "reason, feedback and comment belong to a cancellation")
	case request.TermInterval != nil && !intervals[*request.TermInterval]:
		return refuse(codeInvalidBody, "subscription_period_interval has no such value")
	case request.Billing != nil && !knownCountry(request.Billing.Country):
		return refuse(codeUnsupportedCountry, "billing.country must be an ISO 3166-1 alpha-2 code")
	}
	for _, change := range request.CreditEntitlements {
		if refusal := change.check(); refusal != nil {
			return refusal
		}
	}
	return request.Metadata.check()
}

// resumes reports whether the request pauses or resumes.
func (request patchRequest) resumes() bool {
	return request.Status != nil && (*request.Status == "paused" || *request.Status == "active")
}

// cancels reports whether the request ends the subscription, now or later.
func (request patchRequest) cancels() bool {
	return request.Status != nil && *request.Status == "cancelled" || isSetTrue(request.CancelAtNext)
}

// alone reports whether the request changes only the status.
func (request patchRequest) alone() bool {
	return request.CancelAtNext == nil && request.CancelReason == nil && request.Feedback == nil && request.Comment == nil &&
		request.NextBillingDate == nil && request.TermCount == nil && request.TermInterval == nil && request.Metadata == nil &&
		request.DisableOnDemand == nil && request.Billing == nil && request.TaxID == nil && request.CustomerName == nil && request.BusinessName == nil &&
		len(request.CreditEntitlements) == 0
}

// checkFor refuses changes that are invalid in the subscription's current state, by the
// transitions of FACTS 3.6.
func (request patchRequest) checkFor(sub *subscription, now time.Time) *Error {
	status := valueOrEmpty(request.Status)
	inactive := refuse(codeInactive, "subscription %s is %s", sub.SubscriptionID, sub.Status)
	switch {
	case status == "paused" && sub.Status != SubscriptionActive,
		status == "active" && sub.Status != SubscriptionPaused,
		status == "cancelled" && sub.over(),
		request.CancelAtNext != nil && sub.Status != SubscriptionActive,
		(request.NextBillingDate != nil || request.DisableOnDemand != nil) && sub.Status != SubscriptionActive,
		request.TermCount != nil && sub.over():
		return inactive
	case request.DisableOnDemand != nil && !sub.OnDemand:
		return refuse(codeNotOnDemand, "subscription %s is not on demand", sub.SubscriptionID)
	case request.DisableOnDemand != nil && request.DisableOnDemand.NextBillingDate.Before(now):
		return refuse(codeInvalidParameters, "next_billing_date is in the past")
	case request.NextBillingDate != nil && request.NextBillingDate.Before(now):
		return refuse(codeInvalidParameters, "next_billing_date is in the past")
	case request.TermInterval != nil && request.TermCount == nil:
		return refuse(codeInvalidParameters, "subscription_period_interval needs subscription_period_count")
	case request.TermCount == nil:
		return nil
	}
	term := request.term(sub)
	if !term.valid() || term.after(sub.began).Before(sub.term().after(sub.began)) {
		return refuse(codeInvalidParameters, "the subscription period can only be extended")
	}
	return nil
}

func (request patchRequest) term(sub *subscription) Period {
	term := Period{*request.TermCount, sub.TermInterval}
	if request.TermInterval != nil {
		term.Interval = Interval(*request.TermInterval)
	}
	return term
}

// apply makes a checked change. The caller holds s.mu.
func (s *Simulator) apply(request patchRequest, sub *subscription, now time.Time) {
	if s.options.MergeMetadata && request.Metadata != nil {
		merged := maps.Clone(sub.Metadata)
		maps.Copy(merged, request.Metadata)
		request.Metadata = merged
	}
	request.editDetails(sub)
	if request.DisableOnDemand != nil {
		sub.OnDemand = false
		request.NextBillingDate = request.DisableOnDemand.NextBillingDate
	}
	if request.NextBillingDate != nil {
		sub.billNext(request.NextBillingDate.UTC().Truncate(time.Microsecond))
	}
	if request.TermCount != nil {
		paused := sub.ExpiresAt.Sub(sub.term().after(sub.began)) // what pauses have added
		term := request.term(sub)
		sub.TermCount, sub.TermInterval = term.Count, term.Interval
		sub.ExpiresAt = term.after(sub.began).Add(paused)
	}
	early := false
	if request.CancelAtNext != nil {
		early = s.options.EarlyCancelled && *request.CancelAtNext && !sub.CancelAtNextBillingDate
		sub.schedule(*request.CancelAtNext, now)
	}
	if request.cancels() {
		sub.CancellationFeedback, sub.CancellationComment = request.Feedback, request.Comment
	}
	defer s.startDunningOnCancel(request, sub, now)
	switch {
	case valueOrEmpty(request.Status) == "cancelled":
		s.cancelNow(sub, now)
	case valueOrEmpty(request.Status) == "paused":
		sub.Status, sub.PausedAt = SubscriptionPaused, new(now)
		s.emitAll(sub, now, "paused", "updated")
	case valueOrEmpty(request.Status) == "active":
		sub.resume(now)
		s.emitAll(sub, now, "unpaused", "updated")
	case early:
		s.emitAll(sub, now, "cancelled", "updated")
	default:
		s.emitAll(sub, now, "updated")
	}
}

// startDunningOnCancel starts dunning for a customer who cancelled, or if the merchant
// requests it (FACTS 3.5).
func (s *Simulator) startDunningOnCancel(request patchRequest, sub *subscription, now time.Time) {
	switch reason := valueOrEmpty(request.CancelReason); {
	case !request.cancels():
	case reason == "cancelled_by_customer", reason == "cancelled_by_merchant_send_dunning":
		s.startDunning(sub, "cancelled", now)
	}
}

// editDetails makes the changes that only affect what is shown. Whether metadata is replaced
// or merged is UNCONFIRMED: Options.MergeMetadata decides.
func (request patchRequest) editDetails(sub *subscription) {
	if request.Metadata != nil {
		sub.Metadata = request.Metadata
	}
	if request.Billing != nil {
		sub.Billing = *request.Billing
	}
	if request.TaxID != nil {
		sub.TaxID = request.TaxID
	}
	if request.CustomerName != nil {
		sub.Customer.Name = *request.CustomerName
	}
	if request.BusinessName != nil {
		sub.CustomerBusinessName = request.BusinessName
	}
}

// schedule cancels at the next billing date, or undoes that. An on-demand subscription may
// have passed its date without a charge; then it is the next date of its cycle.
func (sub *subscription) schedule(cancel bool, now time.Time) {
	sub.CancelAtNextBillingDate = cancel
	if !cancel {
		sub.CancellationFeedback, sub.CancellationComment = nil, nil
	}
	for sub.OnDemand && sub.NextBillingDate.Before(now) {
		sub.begin(sub.NextBillingDate)
	}
}

// resume ends a pause. All later dates move by the length of the pause (FACTS 3.5).
func (sub *subscription) resume(now time.Time) {
	length := now.Sub(*sub.PausedAt)
	sub.Status, sub.PausedAt, sub.notBefore = SubscriptionActive, nil, now
	sub.billNext(sub.NextBillingDate.Add(length))
	sub.ExpiresAt = sub.ExpiresAt.Add(length)
}
