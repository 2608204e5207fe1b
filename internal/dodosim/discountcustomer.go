package dodosim

import (
	"net/http"
	"slices"
)

type discountCustomer struct {
	CustomerID string `json:"customer_id"`
}

// getDiscountPart answers GET /discounts/code/{code}, which validates a code, and GET
// /discounts/{id}/customers. A mux cannot distinguish the two.
func (s *Simulator) getDiscountPart(r *http.Request) (any, error) {
	switch {
	case r.PathValue("id") == "code":
		return s.validateCode(r.PathValue("part"))
	case r.PathValue("part") == "customers":
		return s.listDiscountCustomers(r)
	}
	return nil, refuse(codeNotFound, "the simulator has no such route")
}

func (s *Simulator) validateCode(code string) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.couponOf(code)
	if c == nil {
		return nil, refuse(codeNotFound, "there is no such discount code")
	}
	if refusal := s.checkDates(c, s.now()); refusal != nil {
		return nil, refusal
	}
	return snapshot(s.discountObject(c))
}

func (s *Simulator) listDiscountCustomers(r *http.Request) (any, error) {
	q := query{values: r.URL.Query()}
	window := q.page()
	if q.refusal != nil {
		return nil, q.refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, refusal := s.findCoupon(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	return s.discountCustomers(c, window), nil
}

func (s *Simulator) discountCustomers(c *coupon, w window) list[discountCustomer] {
	items := []discountCustomer{}
	for _, id := range s.redemptions[c.DiscountID].eligible {
		items = append(items, discountCustomer{id})
	}
	return list[discountCustomer]{Items: slicePage(items, w)}
}

// addDiscountCustomers answers POST /discounts/{id}/customers with the first page of all
// customers: UNCONFIRMED. It adds none if one is unknown.
func (s *Simulator) addDiscountCustomers(r *http.Request) (any, error) {
	request, refusal := readJSON[struct {
		IDs []string `json:"customer_ids"`
	}](r)
	switch {
	case refusal != nil:
		return nil, refusal
	case request.IDs == nil:
		return nil, refuse(codeInvalidBody, "customer_ids is required")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, refusal := s.findCoupon(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	for _, id := range request.IDs {
		if _, refusal := s.findCustomer(id); refusal != nil {
			return nil, refuse(codeInvalidParameters, "there is no customer %s", id)
		}
	}
	uses := s.redemptions[c.DiscountID]
	for _, id := range request.IDs {
		if !slices.Contains(uses.eligible, id) {
			uses.eligible = append(uses.eligible, id)
		}
	}
	return s.discountCustomers(c, window{0, maxPageSize}), nil
}

// removeDiscountCustomer answers DELETE /discounts/{id}/customers/{customer}.
func (s *Simulator) removeDiscountCustomer(r *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, refusal := s.findCoupon(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	uses := s.redemptions[c.DiscountID]
	i := slices.Index(uses.eligible, r.PathValue("customer"))
	if i < 0 {
		return nil, refuse(codeNotFound, "customer %s is not among them", r.PathValue("customer"))
	}
	uses.eligible = slices.Delete(uses.eligible, i, i+1)
	return emptyAnswer(http.StatusNoContent), nil
}
