package dodosim

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// DisputeStatus is the state of a dispute (FACTS 3.6).
type DisputeStatus string

// The states of a dispute. The first two are open, the others final.
const (
	DisputeOpened     DisputeStatus = "dispute_opened"
	DisputeChallenged DisputeStatus = "dispute_challenged"
	DisputeWon        DisputeStatus = "dispute_won"
	DisputeLost       DisputeStatus = "dispute_lost"
	DisputeAccepted   DisputeStatus = "dispute_accepted"
	DisputeCancelled  DisputeStatus = "dispute_cancelled"
	DisputeExpired    DisputeStatus = "dispute_expired"
)

// disputeWindow is how long a merchant has to answer (FACTS 3.5). A dispute that was
// challenged stays open until it is decided.
const disputeWindow = 10 * 24 * time.Hour

// disputeEvents names the event of each state.
var disputeEvents = map[DisputeStatus]string{
	DisputeOpened:     "dispute.opened",
	DisputeChallenged: "dispute.challenged",
	DisputeWon:        "dispute.won",
	DisputeLost:       "dispute.lost",
	DisputeAccepted:   "dispute.accepted",
	DisputeCancelled:  "dispute.cancelled",
	DisputeExpired:    "dispute.expired",
}

func (status DisputeStatus) open() bool {
	return status == DisputeOpened || status == DisputeChallenged
}

// disputeItem is a dispute in the short form of FACTS 3.8: in payment.disputes, and in
// webhooks with Options.ShortDisputes.
type disputeItem struct {
	disputeCore
	Remarks *string `json:"remarks"`
}

// disputeCore is what all forms of a dispute have.
type disputeCore struct {
	DisputeID     string        `json:"dispute_id"`
	PaymentID     string        `json:"payment_id"`
	BusinessID    string        `json:"business_id"`
	Amount        string        `json:"amount"` // minor units as text
	Currency      string        `json:"currency"`
	Status        DisputeStatus `json:"dispute_status"`
	Stage         string        `json:"dispute_stage"`
	ResolvedByRDR *bool         `json:"is_resolved_by_rdr"`
	CreatedAt     time.Time     `json:"created_at"`
}

// dispute is about a whole payment: whether Dodo has disputes about a part is UNCONFIRMED.
// Guarded by [Simulator.mu].
type dispute struct {
	of    *payment
	index int // in of.Disputes
}

func (d *dispute) item() *disputeItem { return &d.of.Disputes[d.index] }
func (d *dispute) objectID() string   { return d.item().DisputeID }

// disputeObject is the long form.
type disputeObject struct {
	disputeItem
	BrandID         string   `json:"brand_id"`
	Customer        customer `json:"customer"`
	PaymentProvider string   `json:"payment_provider"`
	Reason          *string  `json:"reason"`
}

func (d *dispute) object() disputeObject {
	return disputeObject{
		disputeItem:     *d.item(),
		BrandID:         d.of.BrandID,
		Customer:        d.of.Customer,
		PaymentProvider: d.of.PaymentProvider,
		Reason:          new("fraudulent"), // as in the published example
	}
}

// disputeSubject is a dispute as webhooks carry it.
type disputeSubject struct {
	*dispute
	short bool
}

func (about disputeSubject) payload() any {
	if about.short {
		return struct {
			disputeItem
			PayloadType string `json:"payload_type"`
		}{*about.item(), "Dispute"}
	}
	return struct {
		disputeObject
		PayloadType string `json:"payload_type"`
	}{about.object(), "Dispute"}
}

// OpenDispute makes the cardholder dispute a successful payment and returns the dispute's id.
// It expires if nobody answers within 10 days. Only one dispute can be open at a time; refunds
// and the subscription are not affected. The error is an *[Error] if there is no such payment.
func (s *Simulator) OpenDispute(paymentID string) (string, error) {
	return s.openDispute(paymentID, DisputeOpened, false)
}

// LoseByRDR settles a dispute before it is opened, as Rapid Dispute Resolution does:
// dispute.lost with is_resolved_by_rdr, without dispute.opened (FACTS 3.5).
func (s *Simulator) LoseByRDR(paymentID string) (string, error) {
	return s.openDispute(paymentID, DisputeLost, true)
}

func (s *Simulator) openDispute(paymentID string, status DisputeStatus, rdr bool) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, refusal := s.findPayment(paymentID)
	if refusal != nil {
		return "", refusal
	}
	return s.disputePayment(p, status, rdr)
}

// disputePayment makes a dispute. The caller holds s.mu.
func (s *Simulator) disputePayment(p *payment, status DisputeStatus, rdr bool) (string, error) {
	if p.Status != Succeeded || p.TotalAmount == 0 {
		return "", fmt.Errorf("dispute payment %s: nothing was paid", p.PaymentID)
	}
	for _, before := range p.Disputes {
		if before.Status.open() {
			return "", fmt.Errorf("dispute payment %s: dispute %s is open", p.PaymentID, before.DisputeID)
		}
	}
	item := disputeItem{disputeCore: disputeCore{
		DisputeID:  newID("dp_"),
		PaymentID:  p.PaymentID,
		BusinessID: s.business,
		Amount:     strconv.FormatInt(p.TotalAmount, 10),
		Currency:   p.Currency,
		Stage:      "dispute",
		CreatedAt:  s.now(),
	}}
	if rdr {
		item.Stage, item.ResolvedByRDR = "pre_dispute", new(true)
	}
	p.Disputes = append(p.Disputes, item)
	d := &dispute{of: p, index: len(p.Disputes) - 1}
	s.disputes[item.DisputeID] = d
	s.disputeOrder = append(s.disputeOrder, d)
	s.moveDispute(d, status, s.now())
	if status == DisputeOpened {
		s.schedule(item.CreatedAt.Add(disputeWindow), func(at time.Time) bool {
			if d.item().Status != DisputeOpened {
				return false
			}
			s.moveDispute(d, DisputeExpired, at)
			return true
		})
	}
	return item.DisputeID, nil
}

// DecideDispute moves an open dispute to another state. All except DisputeChallenged are
// final.
func (s *Simulator) DecideDispute(disputeID string, outcome DisputeStatus) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := s.disputes[disputeID]
	if !ok {
		return fmt.Errorf("decide dispute: there is no dispute %s", disputeID)
	}
	return s.decideDispute(d, outcome)
}

func (s *Simulator) decideDispute(d *dispute, outcome DisputeStatus) error {
	switch {
	case disputeEvents[outcome] == "" || outcome == DisputeOpened:
		return errors.New("decide dispute: not an outcome")
	case !d.item().Status.open() || d.item().Status == outcome:
		return fmt.Errorf("decide dispute %s: it is %s", d.objectID(), d.item().Status)
	}
	s.moveDispute(d, outcome, s.now())
	return nil
}

// moveDispute changes the state of a dispute and sends the event. The caller holds s.mu.
func (s *Simulator) moveDispute(d *dispute, status DisputeStatus, at time.Time) {
	d.item().Status = status
	d.of.UpdatedAt = new(at)
	s.emit(disputeEvents[status], disputeSubject{d, s.options.ShortDisputes}, at)
	s.logger().Info("dispute changed", "dispute", d.objectID(), "payment", d.of.PaymentID, "status", status)
}

// getDispute answers GET /disputes/{id}.
func (s *Simulator) getDispute(r *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := s.disputes[r.PathValue("id")]
	if !ok {
		return nil, refuse(codeNotFound, "there is no dispute %s", r.PathValue("id"))
	}
	return d.object(), nil
}
