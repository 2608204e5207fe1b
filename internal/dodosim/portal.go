package dodosim

import "net/http"

type portalResponse struct {
	Link string `json:"link"`
}

// openPortal answers POST /customers/{id}/customer-portal/session. Its return_url is a
// query parameter (FACTS 6); nobody gets the mail that send_email asks for.
func (s *Simulator) openPortal(r *http.Request) (any, error) {
	q := query{values: r.URL.Query()}
	q.boolean("send_email")
	if q.refusal != nil {
		return nil, q.refusal
	}
	back := q.text("return_url")
	if back != "" && checkWebURL(back) != nil {
		return nil, refuse(codeInvalidParameters, "return_url must be an absolute http or https URL")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, refusal := s.findCustomer(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	id := newID("cps_") // a guess
	s.portals[id] = portal{customer: c, back: back}
	return portalResponse{Link: s.publicURL(r) + "/portal/" + id}, nil
}

// portal is a link to the customer portal.
type portal struct {
	customer customer
	back     string
}

// showPortal stands for the portal. It shows that the link leads somewhere and to whom;
// what customers do there, [Simulator.ReplaceCard] and the API do here.
func (s *Simulator) showPortal(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	link, ok := s.portals[r.PathValue("id")]
	s.mu.Unlock()
	if !ok {
		writePage(w, http.StatusNotFound, checkoutPage, notFoundPage)
		return
	}
	writePage(w, http.StatusOK, checkoutPage, checkoutView{Closed: true,
		Title:   "Customer portal",
		Problem: "The simulator has no portal for " + link.customer.Email + " to change anything in.",
		Back:    link.back,
	})
}
