package dodosim_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dodopayments/dodopayments-go"

	"github.com/dodogate/dodogate/internal/dodosim"
)

const pictures = `{"name":"Pictures","unit":"picture","precision":2,"overage_enabled":%t,"rollover_enabled":false%s}`

// credits makes a credit entitlement and a customer, and returns the path of his balance.
func (s *shop) credits(overage bool, more string) string {
	id := s.ask("POST", "/credit-entitlements", fmt.Sprintf(pictures, overage, more))["id"].(string)
	return "/credit-entitlements/" + id + "/balances/" + s.ask("POST", "/customers", adaJSON)["customer_id"].(string)
}

func TestOfficialSDKCredits(t *testing.T) {
	shop, ctx := open(t, nil), t.Context()
	client := shop.client()
	made, err := client.CreditEntitlements.New(ctx, dodopayments.CreditEntitlementNewParams{
		Name: dodopayments.F("Pictures"), Unit: dodopayments.F("picture"), Precision: dodopayments.F(int64(1)),
		OverageEnabled: dodopayments.F(false), RolloverEnabled: dodopayments.F(false),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.CreditEntitlements.Update(ctx, made.ID, dodopayments.CreditEntitlementUpdateParams{Unit: dodopayments.F("image")}); err != nil {
		t.Error(err)
	}
	if got, err := client.CreditEntitlements.Get(ctx, made.ID); err != nil || got.Unit != "image" || got.Name != "Pictures" {
		t.Errorf("%+v, %v", got, err)
	}
	owner := shop.ask("POST", "/customers", adaJSON)["customer_id"].(string)
	entry := func(kind dodopayments.LedgerEntryType, amount, key string) (*dodopayments.CreditEntitlementBalanceNewLedgerEntryResponse, error) {
		return client.CreditEntitlements.Balances.NewLedgerEntry(ctx, made.ID, owner, dodopayments.CreditEntitlementBalanceNewLedgerEntryParams{
			Amount: dodopayments.F(amount), EntryType: dodopayments.F(kind), IdempotencyKey: dodopayments.F(key), Reason: dodopayments.F("because"),
		})
	}
	for _, step := range []struct {
		kind          dodopayments.LedgerEntryType
		amount, after string
	}{{"credit", "10", "10"}, {"credit", "2.5", "12.5"}, {"debit", "10.5", "2"}} {
		if got, err := entry(step.kind, step.amount, step.amount); err != nil || got.BalanceAfter != step.after || got.Reason != "because" {
			t.Fatalf("%+v, %v, wanted %s", got, err, step.after)
		}
	}
	if _, err := entry("credit", "10", "10"); err == nil {
		t.Error("a used key was taken again")
	}
	balance, err := client.CreditEntitlements.Balances.Get(ctx, made.ID, owner)
	if err != nil || balance.Balance != "2" || balance.Overage != "0" {
		t.Errorf("%+v, %v", balance, err)
	}
	grants, err := client.CreditEntitlements.Balances.ListGrants(ctx, made.ID, owner, dodopayments.CreditEntitlementBalanceListGrantsParams{})
	if err != nil || len(grants.Items) != 2 || grants.Items[0].RemainingAmount != "2" || grants.Items[1].RemainingAmount != "0" {
		t.Errorf("oldest first: %+v, %v", grants, err)
	}
	ledger, err := client.CreditEntitlements.Balances.ListLedger(ctx, made.ID, owner, dodopayments.CreditEntitlementBalanceListLedgerParams{})
	if err != nil || len(ledger.Items) != 3 || ledger.Items[0].BalanceBefore != "12.5" || ledger.Items[0].TransactionType != "credit_deducted" {
		t.Errorf("%+v, %v", ledger, err)
	}
	all, err := client.CreditEntitlements.Balances.List(ctx, made.ID, dodopayments.CreditEntitlementBalanceListParams{})
	if err != nil || len(all.Items) != 1 {
		t.Errorf("%+v, %v", all, err)
	}
	his, err := client.Customers.ListCreditEntitlements(ctx, owner)
	if err != nil || len(his.Items) != 1 || his.Items[0].Balance != "2" || his.Items[0].Unit != "image" {
		t.Errorf("%+v, %v", his, err)
	}
	if got := shop.news(); got != "credit.added credit.added credit.deducted" {
		t.Errorf("events %s", got)
	}
	if err := client.CreditEntitlements.Delete(ctx, made.ID); err != nil {
		t.Error(err)
	}
	shop.refuses(
		refusal{"DELETE", "/credit-entitlements/" + made.ID, "", 410, "CREDIT_ENTITLEMENT_IS_DELETED"},
		refusal{"GET", "/credit-entitlements/" + made.ID, "", 404, "NOT_FOUND"},
	)
	if got := shop.items("/credit-entitlements?deleted=true", "id"); !slices.Equal(got, []any{made.ID}) {
		t.Errorf("deleted %v", got)
	}
	if err := client.CreditEntitlements.Undelete(ctx, made.ID); err != nil {
		t.Error(err)
	}
	if page, err := client.CreditEntitlements.List(ctx, dodopayments.CreditEntitlementListParams{}); err != nil || len(page.Items) != 1 {
		t.Errorf("%+v, %v", page, err)
	}
	shop.flush()
}

func TestCreditsExpire(t *testing.T) {
	shop := magazine(t, nil)
	path := shop.credits(false, "")
	for _, days := range []int{3, 1, 2} {
		shop.ask("POST", path+"/ledger-entries", fmt.Sprintf(`{"entry_type":"credit","amount":"1%d","expires_at":"%s"}`, days, opening.AddDate(0, 0, days).Format(time.RFC3339)))
	}
	shop.ask("POST", path+"/ledger-entries", `{"entry_type":"debit","amount":"14"}`) // all of the first, one of the second
	shop.news()
	shop.sim.Advance(5 * day / 2)
	if got := shop.ask("GET", path, "")["balance"]; got != "0" {
		t.Errorf("balance %v", got)
	}
	if got := shop.items(path+"/ledger?transaction_type=credit_expired", "amount"); !slices.Equal(got, []any{"12", "10"}) {
		t.Errorf("expired %v", got)
	}
	if got := shop.items(path+"/ledger?transaction_type=credit_expired", "created_at"); got[0] != opening.AddDate(0, 0, 2).Format(time.RFC3339) {
		t.Errorf("expired at %v", got)
	}
	for status, wanted := range map[string]int{"expired": 2, "depleted": 1, "active": 0} {
		if got := shop.items(path+"/grants?status="+status, "id"); len(got) != wanted {
			t.Errorf("%s: %v", status, got)
		}
	}
	if got := shop.news(); got != "credit.expired credit.expired" {
		t.Errorf("events %s", got)
	}
	shop.flush()
}

func TestCreditOverage(t *testing.T) {
	shop := open(t, nil)
	path := shop.credits(true, `,"overage_limit":5,"overage_behavior":"carry_deficit_auto_repay"`)
	enter := func(kind, amount string) string {
		got := shop.ask("POST", path+"/ledger-entries", `{"entry_type":"`+kind+`","amount":"`+amount+`"}`)
		return fmt.Sprint(got["balance_after"], " ", got["overage_after"])
	}
	enter("credit", "3")
	for _, step := range [][3]string{{"debit", "5.25", "0 2.25"}, {"debit", "2.75", "0 5"}, {"credit", "4", "0 1"}, {"credit", "1.5", "0.5 0"}} {
		if got := enter(step[0], step[1]); got != step[2] {
			t.Errorf("%s %s: %s, wanted %s", step[0], step[1], got, step[2])
		}
	}
	shop.refuses(refusal{"POST", path + "/ledger-entries", `{"entry_type":"debit","amount":"5.51"}`, 400, "OVERAGE_LIMIT_EXCEEDED"})
	if got := shop.ask("GET", path, ""); got["balance"] != "0.5" || got["overage"] != "0" {
		t.Errorf("a refused debit left %v", got)
	}
}

func TestCreditRefusals(t *testing.T) {
	shop := open(t, nil)
	path := shop.credits(false, "")
	id, _, _ := strings.Cut(strings.TrimPrefix(path, "/credit-entitlements/"), "/")
	shop.refuses(
		refusal{"POST", "/credit-entitlements", `{"name":"x"}`, 422, "INVALID_REQUEST_BODY"},
		refusal{"POST", "/credit-entitlements", fmt.Sprintf(pictures, true, ""), 422, "CREDIT_ENTITLEMENT_NAME_ALREADY_EXISTS"},
		refusal{"POST", "/credit-entitlements", strings.Replace(fmt.Sprintf(pictures, true, ""), ":2", ":11", 1), 422, "INVALID_REQUEST_PARAMETERS"},
		refusal{"POST", "/credit-entitlements", fmt.Sprintf(pictures, true, `,"overage_behavior":"x"`), 422, "INVALID_REQUEST_BODY"},
		refusal{"POST", "/credit-entitlements", fmt.Sprintf(pictures, true, `,"rollover_percentage":101`), 422, "INVALID_REQUEST_PARAMETERS"},
		refusal{"PATCH", "/credit-entitlements/" + id, `{"name":" "}`, 422, "INVALID_REQUEST_PARAMETERS"},
		refusal{"PATCH", "/credit-entitlements/cde_no", `{}`, 404, "NOT_FOUND"},
		refusal{"DELETE", "/credit-entitlements/cde_no", "", 404, "NOT_FOUND"},
		refusal{"GET", "/credit-entitlements/cde_no/balances", "", 404, "NOT_FOUND"},
		refusal{"POST", path + "/ledger-entries", `{"entry_type":"debit","amount":"1"}`, 400, "NEGATIVE_BALANCE_ADJUSTMENT"},
		refusal{"GET", path, "", 404, "NOT_FOUND"}, // the refused debit has left no balance
		refusal{"GET", path + "/grants", "", 404, "NOT_FOUND"},
		refusal{"GET", path + "/ledger", "", 404, "NOT_FOUND"},
		refusal{"GET", path + "/ledger?transaction_type=x", "", 422, "INVALID_QUERY_PARAMS"},
		refusal{"POST", path + "x/ledger-entries", `{"entry_type":"credit","amount":"1"}`, 404, "NOT_FOUND"},
	)
	for _, body := range []string{
		`{"entry_type":"credit"}`, `{"entry_type":"gift","amount":"1"}`, `{"entry_type":"credit","amount":"1.234"}`, `{"entry_type":"credit","amount":"0"}`,
		`{"entry_type":"credit","amount":"-1"}`, `{"entry_type":"credit","amount":"1e3"}`, `{"entry_type":"credit","amount":"1","expires_at":"2000-01-01T00:00:00Z"}`,
		`{"entry_type":"credit","amount":"12345678901"}`, `{"entry_type":"debit","amount":"1","expires_at":"2100-01-01T00:00:00Z"}`,
	} {
		shop.refuses(refusal{"POST", path + "/ledger-entries", body, 400, "INVALID_REQUEST_PARAMETERS"})
	}
	shop.refuses(refusal{"POST", path + "/ledger-entries", `{"entry_type":"credit","amount":1}`, 400, "INVALID_REQUEST_BODY"})
}

func TestOfficialSDKUsage(t *testing.T) {
	shop, ctx := magazine(t, func(o *dodosim.Options) { o.WebhookURL = "" }), t.Context()
	client := shop.client()
	owner := shop.ask("POST", "/customers", adaJSON)["customer_id"].(string)
	event := func(id string, at time.Time) dodopayments.EventInputParam {
		return dodopayments.EventInputParam{
			EventID: dodopayments.F(id), CustomerID: dodopayments.F(owner), EventName: dodopayments.F("draw"), Timestamp: dodopayments.F(at),
			Metadata: dodopayments.F(map[string]dodopayments.EventInputMetadataUnionParam{}),
		}
	}
	ingest := func(events ...dodopayments.EventInputParam) int64 {
		t.Helper()
		got, err := client.UsageEvents.Ingest(ctx, dodopayments.UsageEventIngestParams{Events: dodopayments.F(events)})
		if err != nil {
			t.Fatal(err)
		}
		return got.IngestedCount
	}
	if got := ingest(event("a", opening), event("b", opening.Add(-time.Hour))); got != 2 {
		t.Errorf("ingested %d", got)
	}
	if got := ingest(event("a", opening), event("A", opening.Add(5*time.Minute))); got != 1 {
		t.Errorf("ingested %d of which one was known", got)
	}
	page, err := client.UsageEvents.List(ctx, dodopayments.UsageEventListParams{CustomerID: dodopayments.F(owner), Start: dodopayments.F(opening)})
	if err != nil || len(page.Items) != 2 || page.Items[0].EventID != "A" || page.Items[1].EventID != "a" {
		t.Errorf("%+v, %v", page, err)
	}
	if got, err := client.UsageEvents.Get(ctx, "b"); err != nil || !got.Timestamp.Equal(opening.Add(-time.Hour)) {
		t.Errorf("%+v, %v", got, err)
	}
	one := func(fields string) string {
		return `{"events":[{"event_id":"c","customer_id":"` + owner + `","event_name":"draw"` + fields + `}]}`
	}
	twice := strings.Replace(one(""), `]}`, `,`+strings.TrimPrefix(one(""), `{"events":[`), 1)
	shop.refuses(
		refusal{"POST", "/events/ingest", `{}`, 422, "INVALID_REQUEST_BODY"},
		refusal{"POST", "/events/ingest", `{"events":[]}`, 422, "INVALID_REQUEST_PARAMETERS"},
		refusal{"POST", "/events/ingest", `{"events":[{"event_id":"c"}]}`, 422, "INVALID_REQUEST_BODY"},
		refusal{"POST", "/events/ingest", strings.Replace(one(""), owner, "cus_no", 1), 400, "INVALID_REQUEST_PARAMETERS"},
		refusal{"POST", "/events/ingest", twice, 400, "INVALID_REQUEST_PARAMETERS"},
		refusal{"POST", "/events/ingest", one(`,"timestamp":"` + opening.Add(-time.Hour-time.Second).Format(time.RFC3339) + `"`), 400, "INVALID_REQUEST_PARAMETERS"},
		refusal{"POST", "/events/ingest", one(`,"timestamp":"` + opening.Add(5*time.Minute+time.Second).Format(time.RFC3339) + `"`), 400, "INVALID_REQUEST_PARAMETERS"},
		refusal{"POST", "/events/ingest", one(`,"metadata":{"a":null}`), 422, "INVALID_REQUEST_BODY"},
		refusal{"POST", "/events/ingest", one(`,"metadata":{"a":"` + strings.Repeat("x", 501) + `"}`), 400, "INVALID_REQUEST_PARAMETERS"},
		refusal{"GET", "/events/c", "", 404, "NOT_FOUND"},
		refusal{"GET", "/events?meter_id=mtr_no", "", 404, "NOT_FOUND"},
		refusal{"GET", "/events?start=x", "", 422, "INVALID_QUERY_PARAMS"},
	)
}
