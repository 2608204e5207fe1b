package dodo_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/entitlement"
)

// samples says for every file of testdata/webhook-samples what is decoded: the
// event's type, and the fact or nil where events of that type have no effect.
var samples = map[string]struct {
	kind string
	fact *dodo.Fact
}{
	"abandoned_checkout.detected.json":                                   {"abandoned_checkout.detected", nil},
	"abandoned_checkout.recovered.json":                                  {"abandoned_checkout.recovered", nil},
	"credit.added.json":                                                  {"credit.added", nil},
	"credit.balance_low.json":                                            {"credit.balance_low", nil},
	"credit.deducted.json":                                               {"credit.deducted", nil},
	"credit.expired.json":                                                {"credit.expired", nil},
	"credit.manual_adjustment.json":                                      {"credit.manual_adjustment", nil},
	"credit.overage_charged.json":                                        {"credit.overage_charged", nil},
	"credit.overage_reset.json":                                          {"credit.overage_reset", nil},
	"credit.rolled_over.json":                                            {"credit.rolled_over", nil},
	"credit.rollover_forfeited.json":                                     {"credit.rollover_forfeited", nil},
	"dispute.accepted.json":                                              {"dispute.accepted", dispute(entitlement.DisputeAccepted)},
	"dispute.cancelled.json":                                             {"dispute.cancelled", dispute(entitlement.DisputeCancelled)},
	"dispute.challenged.json":                                            {"dispute.challenged", dispute(entitlement.DisputeChallenged)},
	"dispute.expired.json":                                               {"dispute.expired", dispute(entitlement.DisputeExpired)},
	"dispute.lost.json":                                                  {"dispute.lost", dispute(entitlement.DisputeLost)},
	"dispute.opened.json":                                                {"dispute.opened", dispute(entitlement.DisputeOpened)},
	"dispute.won.json":                                                   {"dispute.won", dispute(entitlement.DisputeWon)},
	"dunning.recovered.json":                                             {"dunning.recovered", nil},
	"dunning.started.json":                                               {"dunning.started", nil},
	"entitlement_grant.created.json":                                     {"entitlement_grant.created", nil},
	"entitlement_grant.delivered.json":                                   {"entitlement_grant.delivered", nil},
	"entitlement_grant.failed.json":                                      {"entitlement_grant.failed", nil},
	"entitlement_grant.revoked.json":                                     {"entitlement_grant.revoked", nil},
	"license_key.created.json":                                           {"license_key.created", nil},
	"payment.cancelled.json":                                             {"payment.cancelled", oneOff(entitlement.PaymentCancelled)},
	"payment.failed.json":                                                {"payment.failed", oneOff(entitlement.PaymentFailed)},
	"payment.processing.json":                                            {"payment.processing", oneOff(entitlement.PaymentProcessing)},
	"payment.succeeded.json":                                             {"payment.succeeded", oneOff(entitlement.PaymentSucceeded)},
	"payout.created.json":                                                {"payout.created", nil},
	"payout.failed.json":                                                 {"payout.failed", nil},
	"payout.in_progress.json":                                            {"payout.in_progress", nil},
	"payout.on_hold.json":                                                {"payout.on_hold", nil},
	"payout.success.json":                                                {"payout.success", nil},
	"refund.failed.json":                                                 {"refund.failed", refund(entitlement.RefundFailed, 400, true)},
	"refund.succeeded.json":                                              {"refund.succeeded", refund(entitlement.RefundSucceeded, 400, true)},
	"subscription.active.json":                                           {"subscription.active", subscribed(entitlement.SubscriptionActive, "2025-08-04T05:45:31.736731Z")},
	"subscription.cancelled.json":                                        {"subscription.cancelled", stopped(subscribed(entitlement.SubscriptionCancelled, "2025-08-04T05:48:25.134643Z"), "2025-08-04T05:48:25.139421Z")},
	"subscription.expired.json":                                          {"subscription.expired", subscribed(entitlement.SubscriptionExpired, "2025-08-04T05:45:31.736731Z")},
	"subscription.failed.json":                                           {"subscription.failed", subscribed(entitlement.SubscriptionFailed, "2025-08-04T05:45:31.736731Z")},
	"subscription.on_hold.json":                                          {"subscription.on_hold", stopped(subscribed(entitlement.SubscriptionOnHold, "2025-07-23T12:01:51.506540Z"), "2025-07-23T12:01:51.506540Z")},
	"subscription.past_due.json":                                         {"subscription.past_due", pastDue("2025-08-23T12:03:51.506540Z")},
	"subscription.paused.json":                                           {"subscription.paused", stopped(subscribed(entitlement.SubscriptionPaused, "2025-07-23T12:01:51.506540Z"), "2025-07-23T12:01:51.506540Z")},
	"subscription.plan_changed.json":                                     {"subscription.plan_changed", subscribed(entitlement.SubscriptionActive, "2025-08-04T05:45:31.736731Z")},
	"subscription.renewed.json":                                          {"subscription.renewed", renewed(subscribed(entitlement.SubscriptionActive, "2025-08-04T05:45:31.736731Z"))},
	"subscription.unpaused.json":                                         {"subscription.unpaused", subscribed(entitlement.SubscriptionActive, "2025-07-23T12:32:47.185692Z")},
	"subscription.update_payment_method.json":                            {"subscription.update_payment_method", subscribed(entitlement.SubscriptionActive, "2025-08-04T05:45:31.736731Z")},
	"subscription.updated.json":                                          {"subscription.updated", subscribed(entitlement.SubscriptionActive, "2025-08-04T05:45:31.736731Z")},
	"variants/cli/dispute.accepted.json":                                 {"dispute.accepted", disputeFromCLI(entitlement.DisputeAccepted)},
	"variants/cli/dispute.cancelled.json":                                {"dispute.cancelled", disputeFromCLI(entitlement.DisputeCancelled)},
	"variants/cli/dispute.challenged.json":                               {"dispute.challenged", disputeFromCLI(entitlement.DisputeChallenged)},
	"variants/cli/dispute.expired.json":                                  {"dispute.expired", disputeFromCLI(entitlement.DisputeExpired)},
	"variants/cli/dispute.lost.json":                                     {"dispute.lost", disputeFromCLI(entitlement.DisputeLost)},
	"variants/cli/dispute.opened.json":                                   {"dispute.opened", disputeFromCLI(entitlement.DisputeOpened)},
	"variants/cli/dispute.won.json":                                      {"dispute.won", disputeFromCLI(entitlement.DisputeWon)},
	"variants/cli/license_key.created.json":                              {"license_key.created", nil},
	"variants/cli/payment.cancelled.json":                                {"payment.cancelled", fromCLI()},
	"variants/cli/payment.failed.json":                                   {"payment.failed", fromCLI()},
	"variants/cli/payment.processing.json":                               {"payment.processing", fromCLI()},
	"variants/cli/payment.succeeded.json":                                {"payment.succeeded", fromCLI()},
	"variants/cli/refund.failed.json":                                    {"refund.failed", refundFromCLI()},
	"variants/cli/refund.succeeded.json":                                 {"refund.succeeded", refundFromCLI()},
	"variants/cli/subscription.active.json":                              {"subscription.active", subscribedFromCLI(entitlement.SubscriptionActive, false)},
	"variants/cli/subscription.cancelled.json":                           {"subscription.cancelled", stopped(subscribedFromCLI(entitlement.SubscriptionCancelled, true), "2026-03-20T00:00:00Z")},
	"variants/cli/subscription.expired.json":                             {"subscription.expired", subscribedFromCLI(entitlement.SubscriptionExpired, false)},
	"variants/cli/subscription.failed.json":                              {"subscription.failed", subscribedFromCLI(entitlement.SubscriptionFailed, false)},
	"variants/cli/subscription.on_hold.json":                             {"subscription.on_hold", subscribedFromCLI(entitlement.SubscriptionOnHold, false)},
	"variants/cli/subscription.plan_changed.json":                        {"subscription.plan_changed", subscribedFromCLI(entitlement.SubscriptionActive, false)},
	"variants/cli/subscription.renewed.json":                             {"subscription.renewed", renewed(subscribedFromCLI(entitlement.SubscriptionActive, false))},
	"variants/cli/subscription.updated.json":                             {"subscription.updated", subscribedFromCLI(entitlement.SubscriptionActive, false)},
	"variants/credit.added.amounts-as-numbers.json":                      {"credit.added", nil},
	"variants/dispute.opened.without-customer.json":                      {"dispute.opened", withoutCustomer(dispute(entitlement.DisputeOpened))},
	"variants/entitlement_grant.created.discord-pending.json":            {"entitlement_grant.created", nil},
	"variants/entitlement_grant.created.openapi-example.json":            {"entitlement_grant.created", nil},
	"variants/entitlement_grant.delivered.digital-files.json":            {"entitlement_grant.delivered", nil},
	"variants/entitlement_grant.delivered.feature-flag.json":             {"entitlement_grant.delivered", reports()},
	"variants/entitlement_grant.delivered.openapi-example.json":          {"entitlement_grant.delivered", nil},
	"variants/entitlement_grant.failed.openapi-example.json":             {"entitlement_grant.failed", nil},
	"variants/entitlement_grant.revoked.openapi-example.json":            {"entitlement_grant.revoked", nil},
	"variants/payment.failed.subscription-renewal.json":                  {"payment.failed", renewal(entitlement.PaymentFailed)},
	"variants/payment.succeeded.late-delivery-after-partial-refund.json": {"payment.succeeded", lateDelivery()},
	"variants/payment.succeeded.sparse-nulls.json":                       {"payment.succeeded", oneOff(entitlement.PaymentSucceeded)},
	"variants/payment.succeeded.subscription-first-charge.json":          {"payment.succeeded", firstCharge(1000)},
	"variants/payment.succeeded.subscription-renewal.json":               {"payment.succeeded", renewal(entitlement.PaymentSucceeded)},
	"variants/payment.succeeded.trial-zero-amount.json":                  {"payment.succeeded", firstCharge(0)},
	"variants/refund.succeeded.partial.json":                             {"refund.succeeded", refund(entitlement.RefundSucceeded, 150, false)},
	"variants/subscription.active.with-credits-as-numbers.json":          {"subscription.active", withUser(subscribed(entitlement.SubscriptionActive, "2025-08-04T05:45:31.736731Z"))},
	"variants/subscription.active.with-credits.json":                     {"subscription.active", withUser(subscribed(entitlement.SubscriptionActive, "2025-08-04T05:45:31.736731Z"))},
	"variants/subscription.updated.cancel-scheduled.json":                {"subscription.updated", toEnd(subscribed(entitlement.SubscriptionActive, "2025-08-04T05:45:31.736731Z"))},
	"variants/unknown-event-type.json":                                   {"widget.frobbed", nil},
}

func TestDecodeSamples(t *testing.T) {
	root := filepath.Join("testdata", "webhook-samples")
	files := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".json" {
			return err
		}
		files++
		name := filepath.ToSlash(strings.TrimPrefix(path, root+string(filepath.Separator)))
		t.Run(name, func(t *testing.T) {
			want, ok := samples[name]
			if !ok {
				t.Fatal("the table does not say what this file decodes to")
			}
			body, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got, err := dodo.Decode(body)
			if err != nil {
				t.Fatal(err)
			}
			if got.Type != want.kind || got.BusinessID == "" || got.Timestamp.IsZero() {
				t.Errorf("event %q of %q at %v, want %q", got.Type, got.BusinessID, got.Timestamp, want.kind)
			}
			if want.fact != nil {
				want.fact.Business = got.BusinessID
			}
			if !reflect.DeepEqual(got.Fact, want.fact) {
				t.Errorf("fact\n%+v\nwant\n%+v", got.Fact, want.fact)
			}
			if dodo.KnownType(got.Type) != (name != "variants/unknown-event-type.json") {
				t.Errorf("KnownType(%q) = %t", got.Type, dodo.KnownType(got.Type))
			}
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files != len(samples) {
		t.Errorf("%d files, but the table has %d rows", files, len(samples))
	}
}

func payment(id string) entitlement.Ref {
	return entitlement.Ref{Kind: entitlement.KindPayment, ID: id}
}

func subscription(id string) entitlement.Ref {
	return entitlement.Ref{Kind: entitlement.KindSubscription, ID: id}
}

func feature(id string) entitlement.Ref {
	return entitlement.Ref{Kind: entitlement.KindFeature, ID: id}
}

func moment(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t
}

func oneOff(status entitlement.PaymentStatus) *dodo.Fact {
	return &dodo.Fact{
		Fact: entitlement.Fact{Ref: payment("pay_2IjeQm4hqU6RA4Z4kwDee"), Payment: entitlement.Payment{
			Status: status, Total: 400, Currency: "USD",
			Cart:      []entitlement.Line{{ProductID: "pdt_e9mUw084cWnu0tz", Quantity: 1}},
			CreatedAt: moment("2025-08-04T05:30:31.152232Z"),
		}},
		Clues: dodo.Clues{SessionID: "cks_stst1231", CustomerID: "cus_8VbC6JDZzPEqfB", CustomerEmail: "test@acme.com"},
	}
}

func reports() *dodo.Fact {
	return &dodo.Fact{
		Fact: entitlement.Fact{Ref: feature("entg_8VbC6JDZzPEqfBPUdpj0K"), Feature: entitlement.Feature{
			At: moment("2026-05-01T10:25:33Z"), Status: entitlement.FeatureDelivered, Name: "advanced_reports",
		}},
		Clues: dodo.Clues{CustomerID: "cus_abc123", SubscriptionID: "sub_pro_monthly_001"},
	}
}

func lateDelivery() *dodo.Fact {
	f := oneOff(entitlement.PaymentSucceeded)
	f.Payment.Refunds = map[string]entitlement.Refund{
		"ref_nUV0DuvmVgeKJVbS04L0y": {Status: entitlement.RefundSucceeded, Amount: 150, Currency: "USD", CreatedAt: moment("2025-08-04T05:50:32.873493Z")},
	}
	return f
}

func firstCharge(total int64) *dodo.Fact {
	return &dodo.Fact{
		Fact: entitlement.Fact{Ref: payment("pay_2IjeQm4hqU6RA4Z4kwDee"), Payment: entitlement.Payment{
			Status: entitlement.PaymentSucceeded, Total: total, Currency: "USD",
			Subscription: "sub_7EeHq2ewQuadropD2ra", CreatedAt: moment("2025-08-04T05:30:31.152232Z"),
		}},
		Clues: dodo.Clues{
			Metadata:  map[string]string{"order_id": "order_123", "user_id": "u_42"},
			SessionID: "cks_Gi6KGJ2zFJo9rq9Ukifwa", CustomerID: "cus_8VbC6JDZzPEqfBPUdpj0K",
			CustomerEmail: "test@acme.com", SubscriptionID: "sub_7EeHq2ewQuadropD2ra",
		},
	}
}

func renewal(status entitlement.PaymentStatus) *dodo.Fact {
	f := firstCharge(1000)
	f.Ref.ID = "pay_3JkfRn5irV7SB5A5lxEff"
	f.Payment.Status, f.Payment.CreatedAt = status, moment("2025-09-04T05:31:02.410311Z")
	f.Clues.SessionID = ""
	return f
}

func refund(status entitlement.RefundStatus, amount int64, full bool) *dodo.Fact {
	return &dodo.Fact{
		Fact: entitlement.Fact{Ref: payment("pay_aTkzUDRuc7Rb3kVJXE17z"), Payment: entitlement.Payment{Refunds: map[string]entitlement.Refund{
			"ref_nUV0DuvmVgeKJVbS04L0y": {Status: status, Amount: amount, Currency: "USD", Full: full, CreatedAt: moment("2025-08-04T05:50:32.873493Z")},
		}}},
		Clues: dodo.Clues{CustomerID: "cus_123", CustomerEmail: "jane@example.com"},
	}
}

// fromCLI: the trigger command's payments say "succeeded" whatever their type.
func fromCLI() *dodo.Fact {
	return &dodo.Fact{
		Fact: entitlement.Fact{Ref: payment("pay_test"), Payment: entitlement.Payment{
			Status: entitlement.PaymentSucceeded, Total: 400, Currency: "USD",
			Cart:      []entitlement.Line{{ProductID: "pdt_test", Quantity: 1}},
			CreatedAt: moment("2026-03-20T00:00:00Z"),
		}},
		Clues: dodo.Clues{SessionID: "cks_123", CustomerID: "cus_test", CustomerEmail: "john.doe@example.com"},
	}
}

func refundFromCLI() *dodo.Fact {
	return &dodo.Fact{
		Fact: entitlement.Fact{Ref: payment("pay_test"), Payment: entitlement.Payment{Refunds: map[string]entitlement.Refund{
			"ref_test": {Status: entitlement.RefundSucceeded, Amount: 400, Currency: "USD", Full: true, CreatedAt: moment("2026-03-20T00:00:00Z")},
		}}},
		Clues: dodo.Clues{CustomerID: "cus_test", CustomerEmail: "john.doe@example.com"},
	}
}

// subscribed is the subscription of Dodo's own examples: of one piece, in the
// period of 23 July.
func subscribed(status entitlement.SubscriptionStatus, at string) *dodo.Fact {
	price := int64(1000)
	if status == entitlement.SubscriptionOnHold || status == entitlement.SubscriptionPastDue {
		price = 420
	}
	return &dodo.Fact{
		Fact: entitlement.Fact{Ref: subscription("sub_7EeHq2ewQuadropD2ra"), Subscription: entitlement.Observed(entitlement.SubscriptionState{
			At: moment(at), Status: status, ProductID: "pdt_RUST4raxbl0Rfe4VQi1z", Quantity: 1,
			CreatedAt:   moment("2025-06-23T11:57:59.125145Z"),
			PeriodStart: moment("2025-07-23T12:01:21.506021Z"), PeriodEnd: moment("2025-08-23T12:01:14.672875Z"),
			Cycle: 30 * 24 * time.Hour, Price: price, Currency: "USD",
		})},
		Clues: dodo.Clues{CustomerID: "cus_8VbC6JDZzPEqfBPUdpj0K", CustomerEmail: "test@acme.com", SubscriptionID: "sub_7EeHq2ewQuadropD2ra"},
	}
}

// renewed is the same fact, told because of a renewal.
func renewed(f *dodo.Fact) *dodo.Fact {
	f.Subscription = entitlement.Renewed(f.Subscription.State)
	return f
}

// stopped is the same fact, whose body says when the subscription was paused or cancelled.
func stopped(f *dodo.Fact, at string) *dodo.Fact {
	s := f.Subscription.State
	s.StoppedAt = moment(at)
	f.Subscription = entitlement.Observed(s)
	return f
}

func pastDue(at string) *dodo.Fact {
	f := subscribed(entitlement.SubscriptionPastDue, at)
	f.Subscription.GraceEndsAt = moment("2025-08-26T12:01:14.672875Z")
	return f
}

func toEnd(f *dodo.Fact) *dodo.Fact {
	f.Subscription.State.CancelAtEnd = true
	return f
}

func withUser(f *dodo.Fact) *dodo.Fact {
	f.Clues.Metadata = map[string]string{"user_id": "u_42"}
	return f
}

func subscribedFromCLI(status entitlement.SubscriptionStatus, cancelAtEnd bool) *dodo.Fact {
	day := moment("2026-03-20T00:00:00Z")
	return &dodo.Fact{
		Fact: entitlement.Fact{Ref: subscription("sub_test"), Subscription: entitlement.Observed(entitlement.SubscriptionState{
			At: day, Status: status, ProductID: "pdt_test", Quantity: 1, CreatedAt: day, PeriodStart: day,
			PeriodEnd: moment("2026-04-20T00:00:00Z"), CancelAtEnd: cancelAtEnd, Cycle: 30 * 24 * time.Hour, Price: 400, Currency: "USD",
		})},
		Clues: dodo.Clues{CustomerID: "cus_test", CustomerEmail: "john.doe@example.com", SubscriptionID: "sub_test"},
	}
}

func dispute(status entitlement.DisputeStatus) *dodo.Fact {
	return &dodo.Fact{
		Fact: entitlement.Fact{Ref: payment("pay_gUHcgg81JkW1sbH0zbykQ"), Payment: entitlement.Payment{
			Disputes: map[string]entitlement.DisputeStatus{"dp_q9BVPKzA4HeQs2f2PmDc": status},
		}},
		Clues: dodo.Clues{CustomerID: "cus_8VbC6JDZzPEqfBPUdpj0K", CustomerEmail: "test@acme.com"},
	}
}

func withoutCustomer(f *dodo.Fact) *dodo.Fact {
	f.Clues = dodo.Clues{}
	return f
}

func disputeFromCLI(status entitlement.DisputeStatus) *dodo.Fact {
	return &dodo.Fact{
		Fact: entitlement.Fact{Ref: payment("pay_test"), Payment: entitlement.Payment{
			Disputes: map[string]entitlement.DisputeStatus{"dp_test": status},
		}},
		Clues: dodo.Clues{CustomerID: "cus_test", CustomerEmail: "john.doe@example.com"},
	}
}
