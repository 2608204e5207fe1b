package dodosim

import (
	"net/http"
	"net/url"
	"time"
)

// portalLife is how long a link to the portal can be used (FACTS 2.6).
const portalLife = 24 * time.Hour

type portalResponse struct {
	Link string `json:"link"`
}

// portal is a link to the customer portal. Anybody who knows its id acts as the customer.
type portal struct {
	id         string
	customerID string
	back       string // to the merchant; "": no way back is shown
	expires    time.Time
}

// openPortal answers POST /customers/{id}/customer-portal/session. Its return_url is a query
// parameter (FACTS 6); send_email sends nothing.
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
	link := portal{id: newID("cps_"), customerID: c.CustomerID, back: back, expires: s.now().Add(portalLife)} // the prefix is a guess
	s.portals[link.id] = link
	return portalResponse{Link: s.publicURL(r) + "/portal/" + link.id}, nil
}

// findPortal looks up a link, or returns the error page to show. The caller holds s.mu.
func (s *Simulator) findPortal(r *http.Request) (portal, int, checkoutView) {
	link, ok := s.portals[r.PathValue("id")]
	switch {
	case !ok:
		return portal{}, http.StatusNotFound, notFoundPage
	case !s.now().Before(link.expires):
		v := problemOnlyView("Expired", "This link has expired. Ask the shop for a new one.")
		v.Back = link.back
		return portal{}, http.StatusGone, v
	}
	return link, http.StatusOK, checkoutView{}
}

// showPortal answers GET /portal/{id}. The query selects the page, so that every link and form
// of the portal works wherever the simulator is mounted.
func (s *Simulator) showPortal(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	link, status, instead := s.findPortal(r)
	if status != http.StatusOK {
		s.mu.Unlock()
		writePage(w, status, checkoutPage, instead)
		return
	}
	v, refusal := s.portalView(link, r.URL.Query())
	s.mu.Unlock()
	if refusal != nil {
		status, v.Problem = refusal.Status, sentence(refusal.Message)
	}
	writePage(w, status, portalPage, v)
}

// submitPortal answers POST /portal/{id}. It redirects to the result, so that reloading does
// not repeat the action.
func (s *Simulator) submitPortal(w http.ResponseWriter, r *http.Request) {
	if !readForm(w, r) {
		return
	}
	s.mu.Lock()
	link, status, instead := s.findPortal(r)
	if status != http.StatusOK {
		s.mu.Unlock()
		writePage(w, status, checkoutPage, instead)
		return
	}
	target, refusal := s.serveCustomer(link, r)
	if refusal == nil {
		s.mu.Unlock()
		seeOther(w, target)
		return
	}
	v, _ := s.portalView(link, url.Values{"subscription": r.PostForm["subscription"]})
	s.mu.Unlock()
	v.Problem = sentence(refusal.Message)
	writePage(w, refusal.Status, portalPage, v)
}

// ownSubscription looks up a subscription of the link's customer.
func (s *Simulator) ownSubscription(link portal, id string) (*subscription, *Error) {
	sub, refusal := s.findSubscription(id)
	if refusal != nil || sub.Customer.CustomerID != link.customerID {
		return nil, refuse(codeNotFound, "you have no such subscription")
	}
	return sub, nil
}
