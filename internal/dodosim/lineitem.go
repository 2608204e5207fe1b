package dodosim

import "net/http"

// lineItemList is the body of GET /payments/{id}/line-items.
type lineItemList struct {
	Currency string     `json:"currency"`
	Items    []lineItem `json:"items"`
}

// lineItem is what one product of a payment cost. Refunds may name it by its id.
type lineItem struct {
	ID          string  `json:"items_id"`
	Name        *string `json:"name"`
	Description *string `json:"description"`
	Amount      int64   `json:"amount"`
	Tax         int64   `json:"tax"`
	Refundable  int64   `json:"refundable_amount"`
}

// listLineItems answers GET /payments/{id}/line-items. That discounts are subtracted from the
// amounts, and that an unsuccessful payment has nothing to refund, is UNCONFIRMED.
func (s *Simulator) listLineItems(r *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, refusal := s.findPayment(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	answer := lineItemList{Currency: p.Currency, Items: []lineItem{}}
	for _, l := range p.lines {
		item := lineItem{ID: l.id, Name: new(l.product.Name), Description: l.product.description(), Amount: l.paid}
		if p.Status == Succeeded {
			item.Refundable = l.paid - l.refunded
		}
		answer.Items = append(answer.Items, item)
	}
	return answer, nil
}
