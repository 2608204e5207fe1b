package dodosim_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/testing/httpclient"
)

var (
	pdfStream = regexp.MustCompile(`(?s)/Filter /FlateDecode.{0,40}?>>\s*stream\n(.*?)\nendstream`)
	pdfText   = regexp.MustCompile(`(?s)\(((?:[^\\()]|\\.)*)\) ?Tj`)
	pdfEscape = regexp.MustCompile(`(?s)\\(.)`)
)

// words reads the text of a PDF whose fonts are encoded by UTF-16, one string a line.
func words(t *testing.T, document []byte) string {
	t.Helper()
	var read strings.Builder
	for _, stream := range pdfStream.FindAllSubmatch(document, -1) {
		inflated, err := zlib.NewReader(bytes.NewReader(stream[1]))
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(inflated)
		if err != nil {
			t.Fatal(err)
		}
		for _, drawn := range pdfText.FindAllSubmatch(content, -1) {
			units := pdfEscape.ReplaceAllFunc(drawn[1], func(escaped []byte) []byte {
				if escaped[1] == 'r' {
					return []byte{'\r'}
				}
				return escaped[1:]
			})
			text := make([]uint16, len(units)/2)
			for i := range text {
				text[i] = binary.BigEndian.Uint16(units[2*i:])
			}
			read.WriteString(string(utf16.Decode(text)) + "\n")
		}
	}
	return read.String()
}

// download reads a document without a key, as a customer's browser does.
func (s *shop) download(url string) []byte {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), "GET", url, http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	response, err := httpclient.Default.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "application/pdf" {
		s.t.Fatalf("%s: %s %s %v", url, response.Status, body, err)
	}
	return body
}

func TestInvoices(t *testing.T) {
	shop := open(t, nil)
	session := shop.checkout(`{"product_cart":[{"product_id":"pdt_pack","quantity":2},{"product_id":"pdt_book","quantity":1}],
		"customer":{"email":"łukasz@example.com","name":"Łukasz Ωmega"},"discount_codes":["TENTH"],
		"billing_address":{"country":"PL","city":"Łódź","street":"Piotrkowska 1","zipcode":"90-001"}}`)
	paid := shop.pay(session).PaymentID
	payment := shop.payment(paid)
	if payment["invoice_url"] != shop.url+"/invoices/payments/"+paid || !strings.HasPrefix(valueOrEmpty(payment["invoice_id"]), "inv_") {
		t.Fatal(payment["invoice_id"], payment["invoice_url"])
	}
	if got := shop.items("/payments", "invoice_url"); got[0] != payment["invoice_url"] {
		t.Error("in the list:", got)
	}
	invoice := shop.download(payment["invoice_url"].(string))
	read := words(t, invoice)
	for _, wanted := range []string{
		"Invoice", valueOrEmpty(payment["invoice_id"]), paid, "Łukasz Ωmega", "łukasz@example.com", "Piotrkowska 1", "90-001 Łódź", "PL",
		"Ten credits", "Good for <ten> things", "USD 19.98", "The book", "USD 25.00", "−USD 4.49", "USD 40.49", "Visa ending in 4242", "no money moved",
	} {
		if !strings.Contains(read, wanted) {
			t.Errorf("the invoice does not say %q: %s", wanted, read)
		}
	}
	if !bytes.Equal(invoice, shop.download(payment["invoice_url"].(string))) {
		t.Error("the same invoice is another document")
	}
	back, err := shop.sim.Refund(paid, 1000)
	if err != nil {
		t.Fatal(err)
	}
	read = words(t, shop.download(shop.url+"/invoices/refunds/"+back))
	for _, wanted := range []string{"Credit note", back, valueOrEmpty(payment["invoice_id"]), paid, "Partial refund", "USD 10.00", "Łódź"} {
		if !strings.Contains(read, wanted) {
			t.Errorf("the credit note does not say %q: %s", wanted, read)
		}
	}
}

func TestOfficialSDKInvoices(t *testing.T) {
	shop, ctx := open(t, nil), t.Context()
	client := shop.client()
	paid := shop.pay(shop.checkout(onePack)).PaymentID
	back, err := shop.sim.Refund(paid, 0)
	if err != nil {
		t.Fatal(err)
	}
	for title, get := range map[string]func() (*http.Response, error){
		"Invoice":     func() (*http.Response, error) { return client.Invoices.Payments.Get(ctx, paid) },
		"Credit note": func() (*http.Response, error) { return client.Invoices.Payments.GetRefund(ctx, back) },
	} {
		answer, err := get()
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		if err != nil || !strings.HasPrefix(words(t, body), title+"\n") {
			t.Errorf("%s: %v %s", title, err, words(t, body))
		}
		answer.Body.Close()
	}
}

// Only what was paid has an invoice.
func TestNoInvoice(t *testing.T) {
	shop := open(t, nil)
	declined, err := shop.sim.Pay(shop.checkout(onePack), dodosim.CardDeclined)
	if err != nil {
		t.Fatal(err)
	}
	if payment := shop.payment(declined.PaymentID); payment["invoice_id"] != nil || payment["invoice_url"] != nil {
		t.Error(payment)
	}
	shop.refuses(
		refusal{"GET", "/invoices/payments/" + declined.PaymentID, "", 404, "NOT_FOUND"},
		refusal{"GET", "/invoices/payments/pay_no", "", 404, "NOT_FOUND"},
		refusal{"GET", "/invoices/refunds/ref_no", "", 404, "NOT_FOUND"},
	)
	public := open(t, func(o *dodosim.Options) { o.PublicURL = "https://pay.example/sim" })
	paid := public.pay(public.checkout(onePack)).PaymentID
	if got := public.payment(paid)["invoice_url"]; got != "https://pay.example/sim/invoices/payments/"+paid {
		t.Error(got)
	}
}

// A renewal has one, too, with its own number.
func TestInvoiceOfARenewal(t *testing.T) {
	shop := magazine(t, nil)
	id := shop.subscribe("pdt_pro", dodosim.CardVisa)
	shop.sim.Advance(32 * day)
	payments := shop.payments(id)
	if len(payments) != 2 || valueOrEmpty(payments[0]["invoice_id"]) == valueOrEmpty(payments[1]["invoice_id"]) {
		t.Fatal(payments)
	}
	for _, payment := range payments {
		if read := words(t, shop.download(valueOrEmpty(payment["invoice_url"]))); !strings.Contains(read, id) || !strings.Contains(read, "USD 20.00") {
			t.Error(read)
		}
	}
	shop.changePlan(id, `"product_id":"pdt_team","quantity":1,"proration_billing_mode":"difference_immediately"`)
	latest := shop.items("/payments?page_size=1", "invoice_url")[0]
	if read := words(t, shop.download(valueOrEmpty(latest))); !strings.Contains(read, "−USD 20.00") || !strings.Contains(read, "USD 30.00") {
		t.Error(read)
	}
}

// Whatever people are called, they get an invoice.
func TestInvoiceForAnyName(t *testing.T) {
	shop := open(t, func(o *dodosim.Options) {
		o.Products = append(o.Products, dodosim.Product{ID: "pdt_long", Name: strings.Repeat("Long ", 400), Description: strings.Repeat("x", 3000), Price: 100, Currency: "USD"})
	})
	for _, name := range []string{"🎉 Party", "王小明", "a\tb\u0000c", "(back\\slash)", strings.Repeat("endless", 28), "שלום", "e\u0301"} {
		body := `{"product_cart":[{"product_id":"pdt_long","quantity":1}],"customer":{"email":"a@example.com","name":` + string(encode(t, name)) + `},"feature_flags":{"always_create_new_customer":true}}`
		paid := shop.pay(shop.checkout(body)).PaymentID
		if read := words(t, shop.download(shop.url+"/invoices/payments/"+paid)); !strings.Contains(read, "USD 1.00") {
			t.Errorf("%q: %s", name, read)
		}
	}
}

// What is not settled has no paper yet.
func TestPapersComeWhenTheMoneyDoes(t *testing.T) {
	shop := magazine(t, func(o *dodosim.Options) { o.RefundsTake = dodosim.Duration(day) })
	ada := shop.letIn(shop.subscribe("pdt_pro", dodosim.CardIndia))
	first := valueOrEmpty(shop.payments(ada.sub)[0]["payment_id"])
	back, err := shop.sim.Refund(first, 500)
	if err != nil {
		t.Fatal(err)
	}
	if page := ada.see(""); !strings.Contains(page, "Pending") || strings.Contains(page, "Credit note") {
		t.Error(page)
	}
	shop.refuses(refusal{"GET", "/invoices/refunds/" + back, "", 404, "NOT_FOUND"})
	shop.sim.Advance(day)
	shop.download(shop.url + "/invoices/refunds/" + back)
	shop.sim.Advance(30*day + 12*time.Hour)
	renewal := shop.payments(ada.sub)[1]
	if renewal["status"] != "processing" || renewal["invoice_id"] != nil || renewal["invoice_url"] != nil {
		t.Error(renewal)
	}
	ada = shop.letIn(ada.sub)
	if page := ada.see("?subscription=" + ada.sub); !strings.Contains(page, "Your bank is processing the payment") {
		t.Error(page)
	}
	if page := ada.see(""); !strings.Contains(page, "Processing") || !strings.Contains(page, "Credit note") {
		t.Error(page)
	}
	shop.sim.Advance(2 * day)
	renewal = shop.payments(ada.sub)[1]
	if read := words(t, shop.download(valueOrEmpty(renewal["invoice_url"]))); renewal["status"] != "succeeded" || !strings.Contains(read, "3 April 2030") {
		t.Error(renewal, read)
	}
}
