package dodosim_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dodopayments/dodopayments-go"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// dispute opens a dispute that must be possible.
func (s *shop) dispute(payment string) string {
	s.t.Helper()
	id, err := s.sim.OpenDispute(payment)
	if err != nil {
		s.t.Fatal(err)
	}
	return id
}

// decide decides a dispute, which must be possible.
func (s *shop) decide(dispute string, outcomes ...dodosim.DisputeStatus) {
	s.t.Helper()
	for _, outcome := range outcomes {
		if err := s.sim.DecideDispute(dispute, outcome); err != nil {
			s.t.Fatal(err)
		}
	}
}

// Both forms of the webhook, for every way a dispute can go.
func TestDisputeOutcomes(t *testing.T) {
	for _, short := range []bool{false, true} {
		for _, outcome := range []dodosim.DisputeStatus{
			dodosim.DisputeWon, dodosim.DisputeLost, dodosim.DisputeAccepted, dodosim.DisputeCancelled, dodosim.DisputeExpired,
		} {
			t.Run(fmt.Sprint(outcome, " short ", short), func(t *testing.T) {
				shop := open(t, func(o *dodosim.Options) { o.ShortDisputes = short })
				paid := shop.pay(shop.checkout(onePack)).PaymentID
				id := shop.dispute(paid)
				shop.decide(id, dodosim.DisputeChallenged, outcome)
				shop.flush()
				name := strings.Replace(string(outcome), "dispute_", "dispute.", 1)
				if got := shop.news(); got != "payment.succeeded dispute.opened dispute.challenged "+name {
					t.Error(got)
				}
				payment := shop.payment(paid)
				if payment["updated_at"] == nil || payment["status"] != "succeeded" {
					t.Error(payment)
				}
				disputes := payment["disputes"].([]any)
				if item := disputes[0].(map[string]any); len(disputes) != 1 || item["dispute_status"] != string(outcome) || item["amount"] != "999" {
					t.Error(disputes)
				}
				for _, body := range shop.hooks.bodies() {
					var event struct {
						Type string
						Data map[string]any
					}
					decode(t, body, &event)
					if _, long := event.Data["customer"]; strings.HasPrefix(event.Type, "dispute.") && (long == short || event.Data["dispute_id"] != id) {
						t.Errorf("%s", body)
					}
				}
				if err := shop.sim.DecideDispute(id, dodosim.DisputeWon); err == nil {
					t.Error("decided twice")
				}
			})
		}
	}
}

func TestLoseByRDR(t *testing.T) {
	shop := open(t, nil)
	paid := shop.pay(shop.checkout(onePack)).PaymentID
	id, err := shop.sim.LoseByRDR(paid)
	if err != nil {
		t.Fatal(err)
	}
	if got := shop.news(); got != "payment.succeeded dispute.lost" {
		t.Error(got)
	}
	var dispute map[string]any
	decode(t, shop.get("/disputes/"+id), &dispute)
	if dispute["is_resolved_by_rdr"] != true || dispute["dispute_stage"] != "pre_dispute" || dispute["dispute_status"] != "dispute_lost" {
		t.Error(dispute)
	}
}

func TestDisputeRefusals(t *testing.T) {
	shop := open(t, nil)
	paid := shop.pay(shop.checkout(onePack)).PaymentID
	free := shop.pay(shop.checkout(with(`"discount_codes":["FREE"]`))).PaymentID
	id := shop.dispute(paid)
	for name, err := range map[string]error{
		"unknown payment": second(shop.sim.OpenDispute("pay_no")),
		"nothing paid":    second(shop.sim.OpenDispute(free)),
		"open already":    second(shop.sim.OpenDispute(paid)),
		"RDR of an open":  second(shop.sim.LoseByRDR(paid)),
		"unknown":         shop.sim.DecideDispute("dp_no", dodosim.DisputeWon),
		"no outcome":      shop.sim.DecideDispute(id, dodosim.DisputeOpened),
		"no status":       shop.sim.DecideDispute(id, "settled"),
	} {
		if err == nil {
			t.Error(name)
		}
	}
	shop.decide(id, dodosim.DisputeChallenged)
	if err := shop.sim.DecideDispute(id, dodosim.DisputeChallenged); err == nil {
		t.Error("challenged twice")
	}
	shop.decide(id, dodosim.DisputeWon)
	if again := shop.dispute(paid); again == id {
		t.Error("the second dispute has the first one's id")
	}
	if status, body := shop.call("GET", "/disputes/dp_no", ""); status != 404 {
		t.Errorf("%d %s", status, body)
	}
}

func second(_ string, err error) error { return err }

func TestListDisputesAndRefunds(t *testing.T) {
	shop := magazine(t, nil)
	sub := shop.subscribe("pdt_pro", dodosim.CardVisa)
	first := shop.payments(sub)[0]["payment_id"].(string)
	shop.sim.Advance(time.Hour)
	other := shop.pay(shop.checkout(with(`"customer":{"email":"ada@example.com"}`))).PaymentID
	customer := shop.payment(other)["customer"].(map[string]any)["customer_id"].(string)
	lost, open := shop.dispute(first), shop.dispute(other)
	shop.decide(lost, dodosim.DisputeLost)
	var refunds []string
	for _, payment := range []string{first, other} {
		id, err := shop.sim.Refund(payment, 1)
		if err != nil {
			t.Fatal(err)
		}
		refunds = append(refunds, id)
	}
	for path, wanted := range map[string][]string{
		"/disputes":                                     {open, lost},
		"/disputes?page_size=1&page_number=1":           {lost},
		"/disputes?dispute_status=dispute_lost":         {lost},
		"/disputes?dispute_stage=pre_dispute":           nil,
		"/disputes?customer_id=" + customer:             {open},
		"/disputes?created_at_gte=2030-03-01T13:00:01Z": nil,
		"/disputes?created_at_lte=2030-03-01T12:59:59Z": nil,
		"/refunds":                                     {refunds[1], refunds[0]},
		"/refunds?page_size=1&page_number=1":           {refunds[0]},
		"/refunds?status=succeeded&page_size=1":        {refunds[1]},
		"/refunds?status=pending":                      nil,
		"/refunds?subscription_id=" + sub:              {refunds[0]},
		"/refunds?customer_id=" + customer:             {refunds[1]},
		"/refunds?created_at_gte=2030-03-01T13:00:01Z": nil,
		"/refunds?created_at_lte=2030-03-01T12:59:59Z": nil,
	} {
		var page struct{ Items []map[string]any }
		decode(t, shop.get(path), &page)
		var got []string
		for _, item := range page.Items {
			for _, name := range []string{"dispute_id", "refund_id"} {
				if id, ok := item[name].(string); ok {
					got = append(got, id)
				}
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(wanted) {
			t.Errorf("%s: got %v, wanted %v", path, got, wanted)
		}
	}
	if payments := shop.payments(sub); payments[0]["dispute_status"] != "dispute_lost" {
		t.Error(payments)
	}
}

func TestCustomerAndPortal(t *testing.T) {
	shop, ctx := open(t, nil), t.Context()
	client := shop.client()
	paid := shop.pay(shop.checkout(with(`"customer":{"email":"ada@example.com","name":"Ada"}`))).PaymentID
	payment, err := client.Payments.Get(ctx, paid)
	if err != nil {
		t.Fatal(err)
	}
	customer, err := client.Customers.Get(ctx, payment.Customer.CustomerID)
	if err != nil || customer.Email != "ada@example.com" || customer.Name != "Ada" || customer.CreatedAt.IsZero() {
		t.Errorf("%+v, %v", customer, err)
	}
	portal, err := client.Customers.CustomerPortal.New(ctx, customer.CustomerID, dodopayments.CustomerCustomerPortalNewParams{
		ReturnURL: dodopayments.F("https://shop.example/account"),
	})
	if err != nil || !strings.HasPrefix(portal.Link, shop.url+"/portal/") {
		t.Fatalf("%+v, %v", portal, err)
	}
	page := shop.open("/portal/" + strings.TrimPrefix(portal.Link, shop.url+"/portal/"))
	if !strings.Contains(page.Body.String(), "Your account") || backLink(page.Body.String()) != "https://shop.example/account" {
		t.Error(page)
	}
	if page = shop.open("/portal/no"); page.Code != 404 {
		t.Error(page)
	}
	for path, wanted := range map[string]int{
		"/customers/cus_no/customer-portal/session":                                            404,
		"/customers/" + customer.CustomerID + "/customer-portal/session?send_email=x":          422,
		"/customers/" + customer.CustomerID + "/customer-portal/session?return_url=javascript": 422,
	} {
		if status, body := shop.call("POST", path, ""); status != wanted {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, body := shop.call("GET", "/customers/cus_no", ""); status != 404 {
		t.Errorf("%d %s", status, body)
	}
	disputes, err := client.Disputes.Get(ctx, shop.dispute(paid))
	if err != nil || disputes.Customer.CustomerID != customer.CustomerID || disputes.Amount != "999" {
		t.Errorf("%+v, %v", disputes, err)
	}
}

// The validation of the long form can fail.
func TestLongDisputeIsValidated(t *testing.T) {
	shop := open(t, nil)
	shop.dispute(shop.pay(shop.checkout(onePack)).PaymentID)
	shop.flush()
	for _, body := range shop.hooks.bodies() {
		var event map[string]any
		decode(t, body, &event)
		if event["type"] != "dispute.opened" {
			continue
		}
		event["data"].(map[string]any)["payment_provider"] = json.RawMessage(`5`)
		if loadDescription().webhook(encode(t, event)) == nil {
			t.Error("a spoilt dispute passed")
		}
	}
}
