package dodosim_test

import (
	"bytes"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var updateDocs = flag.Bool("update", false, "rewrite the table of docs/simulator.md")

const (
	simulatorDoc = "../../docs/simulator.md"
	tableBegins  = "<!-- The table is written by `go test ./internal/dodosim -run TestServedTable -update`. -->\n"
	tableEnds    = "<!-- End of the table. -->\n"
)

// TestMain also makes sure that no route is a stub: each must have succeeded in some
// test, with a body that the description allows. That can be said only of a full run.
func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if code == 0 && flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.skip").Value.String() == "" &&
		flag.Lookup("test.list").Value.String() == "" && !testing.Short() {
		d := loadDescription()
		for _, operation := range servedOperations() {
			if !d.answered[operation] {
				fmt.Println("FAIL: no test sees this succeed:", operation)
				code = 1
			}
		}
	}
	os.Exit(code)
}

// TestServedTable keeps the table of docs/simulator.md true.
func TestServedTable(t *testing.T) {
	doc, err := os.ReadFile(simulatorDoc)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := bytes.Cut(doc, []byte(tableBegins))
	_, after, ended := bytes.Cut(rest, []byte(tableEnds))
	if !found || !ended {
		t.Fatal("docs/simulator.md has no marks around the table")
	}
	wanted := slices.Concat(before, []byte(tableBegins), []byte(servedTable()), []byte(tableEnds), after)
	if bytes.Equal(doc, wanted) {
		return
	}
	if !*updateDocs {
		t.Fatal("the table is out of date: run this test with -update")
	}
	if err := os.WriteFile(simulatorDoc, wanted, 0o644); err != nil {
		t.Fatal(err)
	}
}

// servedTable lists every path of the API description by its first word, with the methods
// that are served and those that are not.
func servedTable() string {
	served := make(map[string]bool)
	for _, operation := range servedOperations() {
		served[operation] = true
	}
	rows := make(map[string][2][]string)
	for _, operation := range operations() {
		method, path, _ := strings.Cut(operation, " ")
		row := rows[path]
		if served[operation] {
			row[0] = append(row[0], method+provokedFailures(operation))
		} else {
			row[1] = append(row[1], method)
		}
		rows[path] = row
	}
	paths := make([]string, 0, len(rows))
	for path := range rows {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	var table strings.Builder
	fmt.Fprintf(&table, "\n%d of %d operations are served.\n\n| path | served (documented failures) | not served |\n|---|---|---|\n", len(served), len(operations()))
	for _, path := range paths {
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", path, strings.Join(rows[path][0], ", "), strings.Join(rows[path][1], ", "))
	}
	table.WriteString("\n")
	return table.String()
}

// provokedFailures are the statuses with which TestDocumentedFailures sees an operation fail.
func provokedFailures(operation string) string {
	var statuses []string
	for _, status := range documentedFailures(operation) {
		if impossible[fmt.Sprint(operation, " ", status)] == "" {
			statuses = append(statuses, strconv.Itoa(status))
		}
	}
	if len(statuses) == 0 {
		return ""
	}
	return " (" + strings.Join(statuses, " ") + ")"
}

// operations are all that need a key or concern licences, as "GET /payments": not
// preflights, and not the pages of the API's own documentation.
func operations() []string {
	var all []string
	for path, methods := range loadDescription().document["paths"].(map[string]any) {
		if strings.Contains(path, "docs") || strings.HasPrefix(path, "/connectors/") {
			continue
		}
		for method := range methods.(map[string]any) {
			if method != "options" && method != "parameters" {
				all = append(all, strings.ToUpper(method)+" "+path)
			}
		}
	}
	slices.Sort(all)
	return all
}

var pathParameter = regexp.MustCompile(`\{[^}]*\}`)

// servedOperations are those to which the simulator answers anything but that it has no
// such route.
func servedOperations() []string {
	sim, err := newPlain()
	if err != nil {
		panic(err)
	}
	defer sim.Close()
	var served []string
	for _, operation := range operations() {
		method, path, _ := strings.Cut(operation, " ")
		r := httptest.NewRequest(method, pathParameter.ReplaceAllString(path, "x"), http.NoBody)
		r.Header.Set("Authorization", "Bearer "+key)
		answer := httptest.NewRecorder()
		sim.ServeHTTP(answer, r)
		if !strings.Contains(answer.Body.String(), "the simulator has no such route") {
			served = append(served, operation)
		}
	}
	return served
}

// wanted are the operations without which this would be no Dodo: every one has to be served.
const wanted = `
	POST /checkouts, POST /checkouts/preview, GET /checkouts/{id}
	GET /payments, POST /payments, GET /payments/{payment_id}, GET /payments/{payment_id}/line-items
	GET /customers, POST /customers, GET /customers/{customer_id}, PATCH /customers/{customer_id}
	GET /customers/{customer_id}/credit-entitlements, POST /customers/{customer_id}/customer-portal/session
	GET /customers/{customer_id}/payment-methods, DELETE /customers/{customer_id}/payment-methods/{payment_method_id}
	GET /customers/{customer_id}/wallets, GET /customers/{customer_id}/wallets/ledger-entries
	POST /customers/{customer_id}/wallets/ledger-entries
	GET /products, GET /products/{id}
	GET /subscriptions, GET /subscriptions/{subscription_id}, PATCH /subscriptions/{subscription_id}
	POST /subscriptions/{subscription_id}/change-plan, POST /subscriptions/{subscription_id}/change-plan/preview
	DELETE /subscriptions/{subscription_id}/change-plan/scheduled, POST /subscriptions/{subscription_id}/charge
	POST /subscriptions/{subscription_id}/update-payment-method, GET /subscriptions/{subscription_id}/credit-usage
	GET /refunds, POST /refunds, GET /refunds/{refund_id}
	GET /disputes, GET /disputes/{dispute_id}
	GET /discounts, POST /discounts, GET /discounts/{discount_id}, PATCH /discounts/{discount_id}, DELETE /discounts/{discount_id}
	GET /discounts/code/{code}, GET /discounts/{discount_id}/customers, POST /discounts/{discount_id}/customers
	DELETE /discounts/{discount_id}/customers/{customer_id}
	GET /webhooks, POST /webhooks, GET /webhooks/{webhook_id}, PATCH /webhooks/{webhook_id}, DELETE /webhooks/{webhook_id}
	GET /webhooks/{webhook_id}/secret, GET /webhooks/{webhook_id}/headers, PATCH /webhooks/{webhook_id}/headers
	GET /events, POST /events/ingest, GET /events/{event_id}
	GET /credit-entitlements, POST /credit-entitlements, GET /credit-entitlements/{id}, PATCH /credit-entitlements/{id}
	DELETE /credit-entitlements/{id}, POST /credit-entitlements/{id}/undelete
	GET /credit-entitlements/{credit_entitlement_id}/balances
	GET /credit-entitlements/{credit_entitlement_id}/balances/{customer_id}
	GET /credit-entitlements/{credit_entitlement_id}/balances/{customer_id}/grants
	GET /credit-entitlements/{credit_entitlement_id}/balances/{customer_id}/ledger
	POST /credit-entitlements/{credit_entitlement_id}/balances/{customer_id}/ledger-entries
	GET /entitlements, GET /entitlements/{id}, GET /entitlements/{id}/grants
	POST /licenses/validate, POST /licenses/activate, POST /licenses/deactivate`

func TestWantedAreServed(t *testing.T) {
	served := servedOperations()
	for _, operation := range strings.FieldsFunc(wanted, func(c rune) bool { return c == ',' || c == '\n' }) {
		if operation = strings.TrimSpace(operation); operation != "" && !slices.Contains(served, operation) {
			t.Error("not served:", operation)
		}
	}
}
