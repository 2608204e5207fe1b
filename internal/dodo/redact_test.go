package dodo_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/dodo"
)

// eachSample calls visit for every file of testdata/webhook-samples.
func eachSample(t testing.TB, visit func(name string, body []byte)) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join("testdata", "webhook-samples"), func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".json" {
			return err
		}
		body, err := os.ReadFile(path)
		visit(path, body)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// about are values in the samples that nobody needs who only counts credits.
var about = []string{
	"test@acme.com", "jane@example.com", "john.doe@example.com", "Test user", "Jane Doe", "john doe", "John Doe",
	"+15555550100", "+447700900123", "New York", "11th Main", "08002", `"0119"`, `"4242"`, "DE999999999", "Example GmbH",
	"Switching to a competitor", "testing dispute", "Testing success refund", "The account has insufficient funds",
	"https://api.dodopayments.com/invoices/payments", "https://test.checkout.dodopayments.com", "discord.com/oauth2",
	"https://files.dodopayments.com", "db44b22c-fe9b-4a68-bf0d-b0e0d6c6c8c0", "PRO-AAAA-BBBB-CCCC-DDDD",
}

// TestRedactSamples: of every sample the same is decoded, but for the address that
// was typed at the checkout, and nothing of a person is left.
func TestRedactSamples(t *testing.T) {
	found := make(map[string]bool)
	eachSample(t, func(name string, body []byte) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			redacted := dodo.Redact(body)
			checkRedacted(t, body, redacted)
			for _, text := range about {
				found[text] = found[text] || bytes.Contains(body, []byte(text))
				if bytes.Contains(redacted, []byte(text)) {
					t.Errorf("%s is still in it", text)
				}
			}
		})
	})
	for _, text := range about {
		if !found[text] {
			t.Errorf("%s is in no sample", text)
		}
	}
}

// checkRedacted holds a redacted body to what it must keep.
func checkRedacted(t *testing.T, body, redacted []byte) {
	t.Helper()
	want, wantErr := dodo.Decode(body)
	got, err := dodo.Decode(redacted)
	if want.Fact != nil {
		want.Fact.Clues.CustomerEmail = ""
	}
	if !reflect.DeepEqual(got, want) || (err == nil) != (wantErr == nil) || err != nil && err.Error() != wantErr.Error() {
		t.Errorf("decoded as\n%+v, %v\nwant\n%+v, %v", got, err, want, wantErr)
	}
	if again := dodo.Redact(redacted); !bytes.Equal(again, redacted) {
		t.Errorf("redacted twice it is\n%s\nand was\n%s", again, redacted)
	}
	if !json.Valid(redacted) {
		t.Errorf("it is no JSON any more:\n%s", redacted)
	}
}

func TestRedact(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"every other byte stays",
			"{ \"a\" : 9007199254740993.10e400 ,\r\n\"b\":\"\\ud800\\u00e9\\/\", \"email\" \t:\n \"x\" , \"c\":[1,-0.0 , {\"ip\":1e999}]}\n ",
			"{ \"a\" : 9007199254740993.10e400 ,\r\n\"b\":\"\\ud800\\u00e9\\/\", \"email\" \t:\n null , \"c\":[1,-0.0 , {\"ip\":null}]}\n "},
		{"of a customer, the id",
			`{"data":{"customer":{"customer_id":"cus_1","email":"a","metadata":{"x":1},"new":{"y":[1]},"n":2},"z":"kept"}}`,
			`{"data":{"customer":{"customer_id":"cus_1","email":null,"metadata":null,"new":null,"n":null},"z":"kept"}}`},
		{"a customer of another form", `{"customer":"Jane","a":{"customer": [{"email":1}]}}`, `{"customer":null,"a":{"customer": null}}`},
		{"no customer", `{"customer":null}`, `{"customer":null}`},
		{"metadata stays as it is", `{"data":{"metadata":{"email":"a","customer":{"name":"b"}},"name":"c"}}`,
			`{"data":{"metadata":{"email":"a","customer":{"name":"b"}},"name":"c"}}`},
		{"in lists", `{"data":{"refunds":[{"refund_id":"r","reason":"he"},{"reason":"she"}],"disputes":[{"customer":{"name":"x"}}]}}`,
			`{"data":{"refunds":[{"refund_id":"r","reason":null},{"reason":null}],"disputes":[{"customer":{"name":null}}]}}`},
		{"in any case, twice, escaped", `{"EMAIL":"a","Email":"b","em\u0061il":"c","Customer":{"Customer_ID":"cus","Name":"d"}}`,
			`{"EMAIL":null,"Email":null,"em\u0061il":null,"Customer":{"Customer_ID":"cus","Name":null}}`},
		{"whole objects", `{"billing":{"country":"US"},"custom_field_responses":[{"key":"k","value":"v"}],"amount":"1"}`,
			`{"billing":null,"custom_field_responses":null,"amount":"1"}`},
		{"nothing to do", `{"a":"email"}`, `{"a":"email"}`},
		{"an empty object", `{}`, `{}`},
		{"not an object", `[{"a":1}]`, `{}`},
		{"not JSON", `{"email":"a`, `{}`},
		{"more than JSON", `{"a":1}{"email":"a"}`, `{}`},
		{"nothing", ``, `{}`},
		{"too deep", strings.Repeat(`{"a":`, 65) + `"jane"` + strings.Repeat(`}`, 65), `{}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			body := []byte(c.body)
			if got := string(dodo.Redact(body)); got != c.want {
				t.Errorf("redacted to\n%s\nwant\n%s", got, c.want)
			}
			if string(body) != c.body {
				t.Errorf("the body itself changed: %s", body)
			}
		})
	}
}

// TestRedactKeepsProof: the account that a payment was made for can still be told.
func TestRedactKeepsProof(t *testing.T) {
	prover, err := dodo.NewProver([][]byte{dodo.DeriveKey("key")})
	if err != nil {
		t.Fatal(err)
	}
	metadata, err := json.Marshal(prover.Metadata(dodo.Claim{Order: "ord_1", Account: "alice@example.com", Product: "pack10"}))
	if err != nil {
		t.Fatal(err)
	}
	e, err := dodo.Decode(dodo.Redact([]byte(paymentEvent(`"metadata":` + string(metadata)))))
	if err != nil {
		t.Fatal(err)
	}
	if claim, ok := prover.Claim(e.Fact.Clues.Metadata); !ok || claim != (dodo.Claim{Order: "ord_1", Account: "alice@example.com", Product: "pack10"}) {
		t.Errorf("proved is %+v, %v", claim, ok)
	}
}

// FuzzRedact holds Redact to what it must keep of whatever Decode takes.
func FuzzRedact(f *testing.F) {
	eachSample(f, func(_ string, body []byte) { f.Add(body) })
	f.Add([]byte(`{"type":"payment.succeeded","data":{"customer":{"customer_id":{"email":1},"email":["x"]},"reason":null}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		before := slices.Clone(body)
		redacted := dodo.Redact(body)
		if !bytes.Equal(body, before) {
			t.Fatalf("the body itself changed: %s", body)
		}
		if len(redacted) > 2*len(body)+4 {
			t.Fatalf("%d bytes became %d", len(body), len(redacted))
		}
		if _, err := dodo.Decode(body); err == nil {
			checkRedacted(t, body, redacted)
		}
	})
}
