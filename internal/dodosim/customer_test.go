package dodosim_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/dodopayments/dodopayments-go"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// object is a decoded JSON object.
type object = map[string]any

// ask makes a call that must succeed and returns the object that it answers with.
func (s *shop) ask(method, path, body string) object {
	s.t.Helper()
	status, answer := s.call(method, path, body)
	if status >= 300 {
		s.t.Fatalf("%s %s: %d %s", method, path, status, answer)
	}
	var decoded object
	if len(answer) > 0 {
		decode(s.t, answer, &decoded)
	}
	return decoded
}

// items makes a call for a list and returns one field of each item.
func (s *shop) items(path, field string) []any {
	s.t.Helper()
	var values []any
	for _, item := range s.ask("GET", path, "")["items"].([]any) {
		values = append(values, item.(object)[field])
	}
	return values
}

// refusal is a call that must fail.
type refusal struct {
	method, path, body string
	status             int
	code               string
}

func (s *shop) refuses(refusals ...refusal) {
	s.t.Helper()
	for _, wanted := range refusals {
		status, body := s.call(wanted.method, wanted.path, wanted.body)
		var got struct{ Code string }
		decode(s.t, body, &got)
		if status != wanted.status || got.Code != wanted.code {
			s.t.Errorf("%s %s %s: %d %s, wanted %d %s", wanted.method, wanted.path, wanted.body, status, got.Code, wanted.status, wanted.code)
		}
	}
}

func TestOfficialSDKCustomers(t *testing.T) {
	shop, ctx := open(t, nil), t.Context()
	client := shop.client()
	ada, err := client.Customers.New(ctx, dodopayments.CustomerNewParams{
		Email: dodopayments.F("ada@example.com"), Name: dodopayments.F("Ada Lovelace"), PhoneNumber: dodopayments.F("+4412345"),
	})
	if err != nil {
		t.Fatal(err)
	}
	bob, err := client.Customers.New(ctx, dodopayments.CustomerNewParams{Email: dodopayments.F("bob@example.com"), Name: dodopayments.F("Bob")})
	if err != nil {
		t.Fatal(err)
	}
	changed, err := client.Customers.Update(ctx, ada.CustomerID, dodopayments.CustomerUpdateParams{Email: dodopayments.F("countess@example.com")})
	if err != nil || changed.Email != "countess@example.com" || changed.Name != "Ada Lovelace" || changed.PhoneNumber != "+4412345" {
		t.Errorf("%+v, %v", changed, err)
	}
	if got, err := client.Customers.Get(ctx, ada.CustomerID); err != nil || got.Email != "countess@example.com" {
		t.Errorf("%+v, %v", got, err)
	}
	page, err := client.Customers.List(ctx, dodopayments.CustomerListParams{Name: dodopayments.F("LOVE"), PageNumber: dodopayments.F(int64(0))})
	if err != nil || len(page.Items) != 1 || page.Items[0].CustomerID != ada.CustomerID {
		t.Errorf("%+v, %v", page, err)
	}
	link, err := client.Customers.CustomerPortal.New(ctx, bob.CustomerID, dodopayments.CustomerCustomerPortalNewParams{})
	if err != nil || link.Link == "" {
		t.Errorf("%+v, %v", link, err)
	}

	balance, err := client.Customers.Wallets.LedgerEntries.New(ctx, bob.CustomerID, dodopayments.CustomerWalletLedgerEntryNewParams{
		Amount: dodopayments.F(int64(500)), Currency: dodopayments.F(dodopayments.CurrencyUsd),
		EntryType: dodopayments.F(dodopayments.CustomerWalletLedgerEntryNewParamsEntryTypeCredit), IdempotencyKey: dodopayments.F("once"),
	})
	if err != nil || balance.Balance != 500 {
		t.Errorf("%+v, %v", balance, err)
	}
	wallets, err := client.Customers.Wallets.List(ctx, bob.CustomerID)
	if err != nil || wallets.TotalBalanceUsd != 500 || len(wallets.Items) != 1 {
		t.Errorf("%+v, %v", wallets, err)
	}
	entries, err := client.Customers.Wallets.LedgerEntries.List(ctx, bob.CustomerID, dodopayments.CustomerWalletLedgerEntryListParams{})
	if err != nil || len(entries.Items) != 1 || entries.Items[0].AfterBalance != 500 || !entries.Items[0].IsCredit {
		t.Errorf("%+v, %v", entries, err)
	}
}

// A checkout finds the customer whom a patch has given the e-mail.
func TestCustomerOfPatchedEmail(t *testing.T) {
	shop := open(t, nil)
	first := shop.ask("POST", "/customers", `{"email":"ada@example.com","name":"Ada"}`)["customer_id"].(string)
	second := shop.ask("POST", "/customers", `{"email":"eve@example.com","name":"Eve"}`)["customer_id"].(string)
	buy := func(email string) string {
		paid := shop.pay(shop.checkout(`{"product_cart":[{"product_id":"pdt_pack","quantity":1}],"customer":{"email":"` + email + `"}}`))
		return shop.payment(paid.PaymentID)["customer"].(object)["customer_id"].(string)
	}
	if got := buy("Ada@example.com"); got != first {
		t.Errorf("bought by %s, wanted %s", got, first)
	}
	shop.ask("PATCH", "/customers/"+second, `{"email":"ada@example.com","metadata":{"a":"b"},"unknown":1}`)
	if got := buy("ada@example.com"); got != second {
		t.Errorf("after the patch bought by %s, wanted the most recent one, %s", got, second)
	}
	if got := buy("eve@example.com"); got == first || got == second {
		t.Error("an e-mail that nobody has any more found a customer")
	}
	if got := shop.items("/customers?email=ada@example.com", "customer_id"); !slices.Equal(got, []any{second, first}) {
		t.Errorf("by e-mail %v", got)
	}
}

func TestCustomerRefusals(t *testing.T) {
	shop := open(t, nil)
	id := shop.ask("POST", "/customers", `{"email":"ada@example.com","name":"Ada"}`)["customer_id"].(string)
	wallet := "/customers/" + id + "/wallets/ledger-entries"
	shop.refuses(
		refusal{"POST", "/customers", `{"email":"a@b.example"}`, 422, "INVALID_REQUEST_BODY"},
		refusal{"POST", "/customers", `{"email":"nobody","name":"A"}`, 422, "INVALID_REQUEST_PARAMETERS"},
		refusal{"POST", "/customers", `{"email":"a@b.example","name":" "}`, 422, "INVALID_REQUEST_PARAMETERS"},
		refusal{"POST", "/customers", `{"email":"a@b.example","name":"A","metadata":{"a":null}}`, 422, "INVALID_REQUEST_BODY"},
		refusal{"POST", "/customers", `{`, 400, "INVALID_REQUEST_BODY"},
		refusal{"PATCH", "/customers/" + id, `{"email":"nobody"}`, 422, "INVALID_REQUEST_PARAMETERS"},
		refusal{"PATCH", "/customers/cus_no", `{}`, 404, "NOT_FOUND"},
		refusal{"GET", "/customers?page_size=101", "", 422, "INVALID_QUERY_PARAMS"},
		refusal{"GET", "/customers?created_at_gte=x", "", 422, "INVALID_QUERY_PARAMS"},
		refusal{"GET", "/customers/cus_no/payment-methods", "", 404, "NOT_FOUND"},
		refusal{"DELETE", "/customers/cus_no/payment-methods/pm_no", "", 404, "NOT_FOUND"},
		refusal{"DELETE", "/customers/" + id + "/payment-methods/pm_no", "", 404, "NOT_FOUND"},
		refusal{"GET", "/customers/cus_no/entitlements", "", 404, "NOT_FOUND"},
		refusal{"GET", "/customers/cus_no/entitlement-grants", "", 404, "NOT_FOUND"},
		refusal{"GET", "/customers/" + id + "/entitlement-grants?status=delivered", "", 422, "INVALID_QUERY_PARAMS"},
		refusal{"GET", "/customers/cus_no/wallets", "", 404, "NOT_FOUND"},
		refusal{"GET", "/customers/cus_no/wallets/ledger-entries", "", 404, "NOT_FOUND"},
		refusal{"GET", wallet + "?currency=XXX", "", 422, "INVALID_QUERY_PARAMS"},
		refusal{"POST", "/customers/cus_no/wallets/ledger-entries", `{"amount":1,"currency":"USD","entry_type":"credit"}`, 404, "NOT_FOUND"},
		refusal{"POST", wallet, `{"amount":1,"currency":"USD"}`, 422, "INVALID_REQUEST_BODY"},
		refusal{"POST", wallet, `{"amount":1,"currency":"USD","entry_type":"gift"}`, 422, "INVALID_REQUEST_BODY"},
		refusal{"POST", wallet, `{"amount":1,"currency":"XXX","entry_type":"credit"}`, 422, "UNSUPPORTED_CURRENCY"},
		refusal{"POST", wallet, `{"amount":0,"currency":"USD","entry_type":"credit"}`, 422, "INVALID_REQUEST_PARAMETERS"},
		refusal{"POST", wallet, `{"amount":1,"currency":"USD","entry_type":"debit"}`, 400, "INSUFFICIENT_WALLET_FUNDS"},
	)
}

func TestWallet(t *testing.T) {
	shop := open(t, nil)
	path := "/customers/" + shop.ask("POST", "/customers", `{"email":"ada@example.com","name":"Ada"}`)["customer_id"].(string) + "/wallets"
	for i, step := range []struct {
		body    string
		balance float64
	}{
		{`{"amount":700,"currency":"USD","entry_type":"credit","idempotency_key":"a"}`, 700},
		{`{"amount":700,"currency":"USD","entry_type":"credit","idempotency_key":"a"}`, 700}, // no second entry
		{`{"amount":200,"currency":"USD","entry_type":"debit","reason":"sorry"}`, 500},
		{`{"amount":9,"currency":"EUR","entry_type":"credit","idempotency_key":"b"}`, 9},
		{`{"amount":9,"currency":"JPY","entry_type":"credit","idempotency_key":"a"}`, 500}, // the stored one
	} {
		if got := shop.ask("POST", path+"/ledger-entries", step.body)["balance"]; got != step.balance {
			t.Errorf("step %d: balance %v, wanted %v", i, got, step.balance)
		}
	}
	if got := shop.items(path+"/ledger-entries", "amount"); !slices.Equal(got, []any{9.0, 200.0, 700.0}) {
		t.Errorf("entries %v", got)
	}
	if got := shop.items(path+"/ledger-entries?currency=USD", "after_balance"); !slices.Equal(got, []any{500.0, 700.0}) {
		t.Errorf("entries in USD %v", got)
	}
	if got := shop.items(path, "currency"); !slices.Equal(got, []any{"USD", "EUR"}) {
		t.Errorf("wallets %v", got)
	}
}

func TestPaymentMethods(t *testing.T) {
	shop := magazine(t, nil)
	id := shop.subscribe("pdt_pro", dodosim.CardVisa)
	sub := shop.ask("GET", "/subscriptions/"+id, "")
	path := fmt.Sprint("/customers/", sub["customer"].(object)["customer_id"], "/payment-methods")
	first := sub["payment_method_id"].(string)
	if got := shop.items(path, "payment_method_id"); !slices.Equal(got, []any{first}) {
		t.Fatalf("methods %v, wanted %s", got, first)
	}
	shop.refuses(refusal{"DELETE", path + "/" + first, "", 409, "PAYMENT_METHOD_IN_USE"})
	if _, err := shop.sim.ReplaceCard(id, dodosim.CardMastercard); err != nil {
		t.Fatal(err)
	}
	second := shop.ask("GET", "/subscriptions/"+id, "")["payment_method_id"]
	if got := shop.items(path, "payment_method_id"); !slices.Equal(got, []any{second, first}) {
		t.Errorf("methods %v", got)
	}
	methods, err := shop.client().Customers.GetPaymentMethods(t.Context(), sub["customer"].(object)["customer_id"].(string))
	if err != nil || methods.Items[0].Card.Last4Digits != "4444" || methods.Items[1].Card.CardNetwork != "visa" {
		t.Errorf("%+v, %v", methods, err)
	}
	if status, body := shop.call("DELETE", path+"/"+first, ""); status != http.StatusNoContent {
		t.Errorf("%d %s", status, body)
	}
	if got := shop.items(path, "payment_method_id"); !slices.Equal(got, []any{second}) {
		t.Errorf("methods %v after one was deleted", got)
	}
}

func TestCustomerEntitlements(t *testing.T) {
	shop := open(t, func(o *dodosim.Options) {
		o.Products = append(o.Products, dodosim.Product{ID: "pdt_gold", Price: 5, Currency: "USD", Features: []string{"gold"}})
	})
	paid := shop.pay(shop.checkout(`{"product_cart":[{"product_id":"pdt_gold","quantity":1}]}`))
	path := fmt.Sprint("/customers/", shop.payment(paid.PaymentID)["customer"].(object)["customer_id"])
	if got := shop.items(path+"/entitlements", "status"); !slices.Equal(got, []any{"delivered"}) {
		t.Errorf("entitlements %v", got)
	}
	if got := shop.items(path+"/entitlement-grants?status=Delivered&integration_type=feature_flag", "payment_id"); !slices.Equal(got, []any{paid.PaymentID}) {
		t.Errorf("grants %v", got)
	}
	if _, err := shop.sim.Refund(paid.PaymentID, 0); err != nil {
		t.Fatal(err)
	}
	if got := shop.items(path+"/entitlements", "status"); !slices.Equal(got, []any{"revoked"}) {
		t.Errorf("entitlements %v after the refund", got)
	}
	if got := shop.items(path+"/entitlement-grants?status=Delivered", "id"); got != nil {
		t.Errorf("grants %v after the refund", got)
	}
}
