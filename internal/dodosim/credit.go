package dodosim

import (
	"math"
	"net/http"
	"slices"
	"strings"
	"time"
)

// credit is a credit entitlement, as GET /credit-entitlements/{id} shows it (FACTS 2.13).
// Guarded by [Simulator.mu].
type credit struct {
	ID                 string    `json:"id"`
	BusinessID         string    `json:"business_id"`
	Name               string    `json:"name"`
	Description        *string   `json:"description"`
	Unit               string    `json:"unit"`
	Precision          int       `json:"precision"`
	Currency           *string   `json:"currency"`
	PricePerUnit       *string   `json:"price_per_unit"`
	ExpiresAfterDays   *int      `json:"expires_after_days"`
	OverageEnabled     bool      `json:"overage_enabled"`
	OverageBehavior    string    `json:"overage_behavior"`
	OverageLimit       *int64    `json:"overage_limit"`
	RolloverEnabled    bool      `json:"rollover_enabled"`
	MaxRolloverCount   *int      `json:"max_rollover_count"`
	RolloverPercentage *int      `json:"rollover_percentage"`
	RolloverCount      *int      `json:"rollover_timeframe_count"`
	RolloverInterval   *string   `json:"rollover_timeframe_interval"`
	CreatedAt          time.Time `json:"created_at"`
	UpdatedAt          time.Time `json:"updated_at"`

	deleted bool
}

var overageBehaviors = wordSet("forgive_at_reset invoice_at_billing carry_deficit carry_deficit_auto_repay")

// creditRequest is the body of POST and PATCH /credit-entitlements. In a patch, an absent or
// null field changes nothing; that null does not clear a value is UNCONFIRMED.
type creditRequest struct {
	Name               *string `json:"name"`
	Description        *string `json:"description"`
	Unit               *string `json:"unit"`
	Precision          *int    `json:"precision"`
	Currency           *string `json:"currency"`
	PricePerUnit       *string `json:"price_per_unit"`
	ExpiresAfterDays   *int    `json:"expires_after_days"`
	OverageEnabled     *bool   `json:"overage_enabled"`
	OverageBehavior    *string `json:"overage_behavior"`
	OverageLimit       *int64  `json:"overage_limit"`
	RolloverEnabled    *bool   `json:"rollover_enabled"`
	MaxRolloverCount   *int    `json:"max_rollover_count"`
	RolloverPercentage *int    `json:"rollover_percentage"`
	RolloverCount      *int    `json:"rollover_timeframe_count"`
	RolloverInterval   *string `json:"rollover_timeframe_interval"`
}

// change applies the request to a credit entitlement.
func (request creditRequest) change(c *credit) {
	setIfPresent(&c.Name, request.Name)
	setIfPresent(&c.Unit, request.Unit)
	setIfPresent(&c.OverageEnabled, request.OverageEnabled)
	setIfPresent(&c.OverageBehavior, request.OverageBehavior)
	setIfPresent(&c.RolloverEnabled, request.RolloverEnabled)
	setPointer(&c.Description, request.Description)
	setPointer(&c.Currency, request.Currency)
	setPointer(&c.PricePerUnit, request.PricePerUnit)
	setPointer(&c.ExpiresAfterDays, request.ExpiresAfterDays)
	setPointer(&c.OverageLimit, request.OverageLimit)
	setPointer(&c.MaxRolloverCount, request.MaxRolloverCount)
	setPointer(&c.RolloverPercentage, request.RolloverPercentage)
	setPointer(&c.RolloverCount, request.RolloverCount)
	setPointer(&c.RolloverInterval, request.RolloverInterval)
}

// checkCredit checks the settings of a credit entitlement. The caller holds s.mu.
func (s *Simulator) checkCredit(c *credit) *Error {
	positive := func(n *int) bool { return n == nil || *n >= 1 && *n <= math.MaxInt32 }
	switch {
	case strings.TrimSpace(c.Name) == "" || strings.TrimSpace(c.Unit) == "":
		return refuse(codeInvalidParameters, "name and unit must not be empty")
	case c.Precision < 0 || c.Precision > maxPlaces:
		return refuse(codeInvalidParameters, "precision must be between 0 and %d", maxPlaces)
	case !overageBehaviors[c.OverageBehavior], c.RolloverInterval != nil && !intervals[*c.RolloverInterval]:
		return refuse(codeInvalidBody, "overage_behavior or rollover_timeframe_interval has no such value")
	case c.Currency != nil && !knownCurrency(*c.Currency):
		return refuse(codeUnsupportedMoney, "currency must be an ISO 4217 code")
	case c.OverageLimit != nil && *c.OverageLimit < 0, !positive(c.ExpiresAfterDays), !positive(c.RolloverCount),
		c.MaxRolloverCount != nil && *c.MaxRolloverCount < 0, c.RolloverPercentage != nil && (*c.RolloverPercentage < 0 || *c.RolloverPercentage > 100):
		return refuse(codeInvalidParameters, "a limit, a number of days or a percentage is out of range")
	}
	for _, other := range s.credits {
		if other.ID != c.ID && !other.deleted && other.Name == c.Name {
			return refuse(codeCreditName, "there is a credit entitlement of this name")
		}
	}
	return nil
}

// findCredit looks a credit entitlement up that is not deleted. The caller holds s.mu.
func (s *Simulator) findCredit(id string) (*credit, *Error) {
	for _, c := range s.credits {
		if c.ID == id && !c.deleted {
			return c, nil
		}
	}
	return nil, refuse(codeNotFound, "there is no credit entitlement %s", id)
}

// createCredit answers POST /credit-entitlements.
func (s *Simulator) createCredit(r *http.Request) (any, error) {
	request, refusal := readJSON[creditRequest](r)
	switch {
	case refusal != nil:
		return nil, refusal
	case request.Name == nil || request.Unit == nil || request.Precision == nil || request.OverageEnabled == nil || request.RolloverEnabled == nil:
		return nil, refuse(codeInvalidBody, "name, unit, precision, overage_enabled and rollover_enabled are required")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	c := &credit{
		ID: newID("cde_"), BusinessID: s.business, Precision: *request.Precision, OverageBehavior: "forgive_at_reset",
		CreatedAt: now, UpdatedAt: now,
	}
	request.change(c)
	if refusal := s.checkCredit(c); refusal != nil {
		return nil, refusal
	}
	s.credits = append(s.credits, c)
	return created(c)
}

// getCredit answers GET /credit-entitlements/{id}. One that is deleted is 404: UNCONFIRMED.
func (s *Simulator) getCredit(r *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, refusal := s.findCredit(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	return snapshot(c)
}

// patchCredit answers PATCH /credit-entitlements/{id}.
func (s *Simulator) patchCredit(r *http.Request) (any, error) {
	request, refusal := readJSON[creditRequest](r)
	if refusal != nil {
		return nil, refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, refusal := s.findCredit(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	changed := *c
	request.change(&changed)
	if refusal := s.checkCredit(&changed); refusal != nil {
		return nil, refusal
	}
	changed.UpdatedAt = s.now()
	*c = changed
	return emptyAnswer(http.StatusOK), nil
}

// deleteCredit answers DELETE /credit-entitlements/{id}: 410 the second time.
func (s *Simulator) deleteCredit(r *http.Request) (any, error) {
	return s.markCredit(r.PathValue("id"), true)
}

// undeleteCredit answers POST /credit-entitlements/{id}/undelete.
func (s *Simulator) undeleteCredit(r *http.Request) (any, error) {
	return s.markCredit(r.PathValue("id"), false)
}

func (s *Simulator) markCredit(id string, deleted bool) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.credits, func(c *credit) bool { return c.ID == id })
	switch {
	case i < 0:
		return nil, refuse(codeNotFound, "there is no credit entitlement %s", id)
	case deleted && s.credits[i].deleted:
		return nil, refuse(codeCreditDeleted, "credit entitlement %s is deleted", id)
	}
	s.credits[i].deleted = deleted
	return emptyAnswer(http.StatusOK), nil
}

// listCredits answers GET /credit-entitlements, newest first like payments: UNCONFIRMED.
func (s *Simulator) listCredits(r *http.Request) (any, error) {
	q := query{values: r.URL.Query()}
	window, deleted := q.page(), q.boolean("deleted")
	if q.refusal != nil {
		return nil, q.refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	items := []*credit{}
	for _, c := range slices.Backward(s.credits) {
		if c.deleted == deleted {
			items = append(items, c)
		}
	}
	return snapshot(list[*credit]{Items: slicePage(items, window)})
}
