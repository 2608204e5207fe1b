package dodo

import (
	"strings"

	"github.com/dodogate/dodogate/internal/entitlement"
)

// readDispute turns a dispute object into a fact about its payment with only that dispute.
// Only the longer of Dodo's two schemas includes the customer, and neither includes metadata
// (FACTS 3.8).
func readDispute(d *details, in scope, eventType string) Fact {
	id, status := readOneDispute(&d.refundOrDispute, in)
	if status == "" {
		status = disputeStatusOf[eventType]
	}
	if status == "" {
		in.refuse("dispute_status", "is missing")
	}
	p := entitlement.Payment{Disputes: map[string]entitlement.DisputeStatus{id: status}}
	return Fact{Fact: entitlement.Fact{Ref: paymentRef(&d.listItem, in), Payment: p}, Clues: readCustomer(&d.listItem, in)}
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

// readDisputes reads a payment's own list. A missing status must not delay the payment: an
// event about the dispute brings it.
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
			in.refuse("dispute_id", "appears twice")
		}
		disputes[id] = status
	}
	return disputes
}

func readOneDispute(c *refundOrDispute, in scope) (id string, s entitlement.DisputeStatus) {
	word := strings.TrimPrefix(c.DisputeStatus.get(in), "dispute_")
	return requiredID(&c.DisputeID, in, "dispute_id"), entitlement.DisputeStatus(word)
}
