package dodo

import (
	"strings"

	"github.com/dodogate/dodogate/internal/entitlement"
)

// readDispute makes a dispute object a fact about its payment that says nothing
// but that. The customer is there only in the longer of Dodo's two schemas, and
// metadata in neither (FACTS 3.8).
func readDispute(data fields, eventType string) Fact {
	id, status := readOneDispute(data)
	if status == "" {
		status = disputeStatusOf[eventType]
	}
	if status == "" {
		data.refuse("dispute_status", "is missing")
	}
	p := entitlement.Payment{Disputes: map[string]entitlement.DisputeStatus{id: status}}
	return Fact{Fact: entitlement.Fact{Ref: paymentRef(data), Payment: p}, Clues: readCustomer(data)}
}

var disputeStatusOf = map[string]entitlement.DisputeStatus{
	"dispute.opened":     entitlement.DisputeOpened,
	"dispute.challenged": entitlement.DisputeChallenged,
	"dispute.cancelled":  entitlement.DisputeCancelled,
	"dispute.won":        entitlement.DisputeWon,
	"dispute.expired":    entitlement.DisputeExpired,
	"dispute.accepted":   entitlement.DisputeAccepted,
	"dispute.lost":       entitlement.DisputeLost,
}

// readDisputes reads a payment's own list. What is not said in it yet must not
// hold up the payment: an event about the dispute says it.
func readDisputes(data fields) map[string]entitlement.DisputeStatus {
	items := data.list("disputes", maxDisputes)
	if len(items) == 0 {
		return nil
	}
	disputes := make(map[string]entitlement.DisputeStatus, len(items))
	for _, item := range items {
		id, status := readOneDispute(item)
		if _, ok := disputes[id]; ok {
			item.refuse("dispute_id", "is there twice")
		}
		disputes[id] = status
	}
	return disputes
}

func readOneDispute(data fields) (id string, s entitlement.DisputeStatus) {
	word := strings.TrimPrefix(data.word("dispute_status"), "dispute_")
	return data.wantID("dispute_id"), entitlement.DisputeStatus(word)
}
