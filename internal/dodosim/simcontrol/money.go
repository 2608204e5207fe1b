package simcontrol

import (
	"cmp"
	"net/http"

	"github.com/dodogate/dodogate/internal/dodosim"
)

type payRequest struct {
	Session string `json:"session"`
	Card    string `json:"card"` // default: one that is good
}

type paid struct {
	PaymentID      string `json:"payment_id"`
	SubscriptionID string `json:"subscription_id,omitempty"`
	Status         string `json:"status"`
	RedirectURL    string `json:"redirect_url,omitempty"`
}

func (s *Server) pay(_ *http.Request, request payRequest) (any, error) {
	try, err := s.Simulator().Pay(request.Session, cmp.Or(request.Card, dodosim.CardVisa))
	return paid{try.PaymentID, try.SubscriptionID, string(try.Status), try.RedirectURL}, err
}

type refundRequest struct {
	Payment string `json:"payment"`
	Account string `json:"account"` // its latest payment that something is left of
	Amount  int    `json:"amount"`  // default: all that is left
	Fails   bool   `json:"fails"`
}

func (s *Server) refund(_ *http.Request, request refundRequest) (any, error) {
	if request.Payment == "" && request.Account == "" {
		return nil, invalid("a payment or an account is needed")
	}
	wish := dodosim.Trigger{Type: "refund.succeeded", Payment: request.Payment, Account: request.Account, Amount: request.Amount, Existing: true}
	if request.Fails {
		wish.Type = "refund.failed"
	}
	events, err := s.Simulator().Trigger(wish)
	return triggered{events}, err
}

type cardRequest struct {
	Do           string `json:"do"`
	Subscription string `json:"subscription"`
	Account      string `json:"account"` // its latest subscription that is not over
}

type carded struct {
	SubscriptionID string `json:"subscription_id"`
}

func (s *Server) card(_ *http.Request, request cardRequest) (any, error) {
	sim := s.Simulator()
	id := request.Subscription
	if id == "" {
		if request.Account == "" {
			return nil, invalid("a subscription or an account is needed")
		}
		var err error
		if id, err = sim.LatestSubscription(request.Account); err != nil {
			return nil, err
		}
	}
	var err error
	switch request.Do {
	case "slow":
		err = sim.SlowCard(id, false)
	case "slow-fail":
		err = sim.SlowCard(id, true)
	case "mend":
		err = sim.MendCard(id)
	default:
		return nil, invalid("do is slow, slow-fail or mend")
	}
	return carded{id}, err
}

type disputeRequest struct {
	Do      string `json:"do"`
	Dispute string `json:"dispute"`
	Payment string `json:"payment"`
	Account string `json:"account"`
}

// disputeEvents are what can be done about a dispute. An outcome is for an open one.
var disputeEvents = map[string]string{
	"open": "dispute.opened", "challenge": "dispute.challenged", "win": "dispute.won", "lose": "dispute.lost",
	"accept": "dispute.accepted", "cancel": "dispute.cancelled", "expire": "dispute.expired", "rdr": "dispute.lost",
}

func (s *Server) dispute(_ *http.Request, request disputeRequest) (any, error) {
	eventType, known := disputeEvents[request.Do]
	switch {
	case !known:
		return nil, invalid("do is open, challenge, win, lose, accept, cancel, expire or rdr")
	case request.Dispute == "" && request.Payment == "" && request.Account == "":
		return nil, invalid("a dispute, a payment or an account is needed")
	}
	events, err := s.Simulator().Trigger(dodosim.Trigger{
		Type: eventType, Dispute: request.Dispute, Payment: request.Payment, Account: request.Account, Existing: true, RDR: request.Do == "rdr",
	})
	return triggered{events}, err
}
