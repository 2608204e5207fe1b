package dodo

import (
	"strings"

	"github.com/dodogate/dodogate/internal/entitlement"
)

// readDispute makes a dispute object a fact about its payment that says nothing
// but that. The customer is there only in the longer of Dodo's two schemas, and
// metadata in neither (FACTS 3.8).
func readDispute(d *details, in scope, eventType string) Fact {
	id, status := readOneDispute(&d.change, in)
	if status == "" {
		status = disputeStatusOf[eventType]
	}
	if status == "" {
		in.refuse("dispute_status", "is missing")
	}
	p := entitlement.Payment{Disputes: map[string]entitlement.DisputeStatus{id: status}}
	return Fact{Fact: entitlement.Fact{Ref: paymentRef(&d.listed, in), Payment: p}, Clues: readCustomer(&d.listed, in)}
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
func readDisputes(d *details, in scope) map[string]entitlement.DisputeStatus {
	items := d.Disputes.get(in)
	if len(items) == 0 {
		return nil
	}
	disputes := make(map[string]entitlement.DisputeStatus, len(items))
	for i := range items {
		item, in := items[i].get(in)
		id, status := readOneDispute(item, in)
		if _, ok := disputes[id]; ok {
			in.refuse("dispute_id", "is there twice")
		}
		disputes[id] = status
	}
	return disputes
}

func readOneDispute(c *change, in scope) (id string, s entitlement.DisputeStatus) {
	word := strings.TrimPrefix(c.DisputeStatus.get(in), "dispute_")
	return want(&c.DisputeID, in, "dispute_id"), entitlement.DisputeStatus(word)
}
