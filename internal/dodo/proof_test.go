package dodo_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/dodogate/dodogate/internal/dodo"
)

const (
	keySite    = "dodogate_site"
	keyOrder   = "dodogate_order"
	keyAccount = "dodogate_account"
	keyProduct = "dodogate_product"
	keyProof   = "dodogate_proof"
)

var proofKey = []byte("a proof secret of many bytes")

func newProver(t testing.TB, secrets ...[]byte) *dodo.Prover {
	t.Helper()
	p, err := dodo.NewProver(secrets)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestProofRoundTrip(t *testing.T) {
	p := newProver(t, proofKey)
	for name, c := range map[string]dodo.Claim{
		"plain":        {"", "ord_1", "user-42", "pack10"},
		"e-mail":       {"", "ord_1", "jane+a@example.org", "pack10"},
		"auth0":        {"", "ord_1", "auth0|5f7c8ec7c33c6c004bbafe82", "pack10"},
		"spaces":       {"", "ord_1", " user 42 ", "pack 10"},
		"tilde":        {"", "~ord", "~dXNlcg", "~"},
		"unicode":      {"", "ord_1", "Jürgen 🦤", "größe"},
		"not UTF-8":    {"", "ord_1", "\xff\xfe\x00", "pack10"},
		"one byte":     {"", "a", "b", "c"},
		"256 bytes":    {"", strings.Repeat("o", 256), strings.Repeat("\xff", 256), strings.Repeat("p", 256)},
		"line breaks":  {"", "ord\n1", "user\r\n", "\t"},
		"JSON-looking": {"", `{"a":1}`, `"`, `\`},
		"of a site":    {"site_1", "ord_1", "user-42", "pack10"},
		"of any site":  {strings.Repeat("\xff", 256), "ord_1", "user-42", "pack10"},
	} {
		t.Run(name, func(t *testing.T) {
			metadata := p.Metadata(c)
			want := 4
			if c.Site != "" {
				want = 5
			}
			if len(metadata) != want {
				t.Errorf("%d pairs, want %d", len(metadata), want)
			}
			for k, v := range metadata {
				if len(k) > 40 || len(v) == 0 || len(v) > 500 || strings.Trim(v, visible) != "" {
					t.Errorf("Dodo would not take %q: %q", k, v)
				}
			}
			metadata["utm_source"] = "somewhere" // others may add pairs
			got, ok := p.Claim(metadata)
			if !ok || got != c {
				t.Errorf("Claim = %+v, %t; want %+v", got, ok, c)
			}
		})
	}
}

const visible = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-~.@:|/+="

func TestProofReadable(t *testing.T) {
	m := newProver(t, proofKey).Metadata(dodo.Claim{Order: "ord_1", Account: "auth0|42", Product: "pack10"})
	if m[keyOrder] != "ord_1" || m[keyAccount] != "auth0|42" || m[keyProduct] != "pack10" {
		t.Errorf("an operator cannot read %v", m)
	}
}

func TestProofTampering(t *testing.T) {
	p := newProver(t, proofKey)
	good := p.Metadata(dodo.Claim{Site: "site_1", Order: "ord_1", Account: "user_42", Product: "pack10"})
	old := p.Metadata(dodo.Claim{Order: "ord_1", Account: "user_42", Product: "pack10"})
	for name, change := range map[string]func(map[string]string){
		"order":               func(m map[string]string) { m[keyOrder] = "ord_2" },
		"account":             func(m map[string]string) { m[keyAccount] = "user_43" },
		"product":             func(m map[string]string) { m[keyProduct] = "pack1000" },
		"proof":               func(m map[string]string) { m[keyProof] = "A" + m[keyProof][1:] },
		"proof cut":           func(m map[string]string) { m[keyProof] = m[keyProof][:42] },
		"proof and more":      func(m map[string]string) { m[keyProof] += "A" },
		"proof and a newline": func(m map[string]string) { m[keyProof] += "\n" },
		"proof empty":         func(m map[string]string) { m[keyProof] = "" },
		"site":                func(m map[string]string) { m[keySite] = "site_2" },
		"no site":             func(m map[string]string) { delete(m, keySite) },
		"an empty site":       func(m map[string]string) { m[keySite] = "" },
		"an old proof":        func(m map[string]string) { m[keyProof] = old[keyProof] },
		"a site for the old":  func(m map[string]string) { clear(m); maps.Copy(m, old); m[keySite] = "site_1" },
		"site to the order":   func(m map[string]string) { delete(m, keySite); m[keyOrder] = "6:site_1ord_1" },
		"no order":            func(m map[string]string) { delete(m, keyOrder) },
		"no account":          func(m map[string]string) { delete(m, keyAccount) },
		"no product":          func(m map[string]string) { delete(m, keyProduct) },
		"no proof":            func(m map[string]string) { delete(m, keyProof) },
		"nothing":             func(m map[string]string) { clear(m) },
		"byte to the account": func(m map[string]string) { m[keyOrder], m[keyAccount] = "ord_", "1user_42" },
		"byte to the order":   func(m map[string]string) { m[keyOrder], m[keyAccount] = "ord_1u", "ser_42" },
		"byte to the product": func(m map[string]string) { m[keyAccount], m[keyProduct] = "user_4", "2pack10" },
		"account and product": func(m map[string]string) { m[keyAccount], m[keyProduct] = m[keyProduct], m[keyAccount] },
		"another spelling":    func(m map[string]string) { m[keyAccount] = encoded("user_42") },
		"account in capitals": func(m map[string]string) { m[keyAccount] = "USER_42" },
		"account with space":  func(m map[string]string) { m[keyAccount] = "user_42 " },
		"257 bytes":           func(m map[string]string) { m[keyAccount] = strings.Repeat("a", 257) },
		"bad base64":          func(m map[string]string) { m[keyAccount] = "~!" },
	} {
		t.Run(name, func(t *testing.T) {
			m := maps.Clone(good)
			change(m)
			if c, ok := p.Claim(m); ok || c != (dodo.Claim{}) {
				t.Errorf("%v is believed as %+v", m, c)
			}
		})
	}
	if _, ok := p.Claim(nil); ok {
		t.Error("no metadata is believed")
	}
}

// Where one value ends and the next begins is proved too, whatever is in them.
func TestProofBoundaries(t *testing.T) {
	p := newProver(t, proofKey)
	for _, sep := range []string{"", ":", "1:", "2:", ",", ".", "|", "\n", "\x00", "\x00\x00\x00\x00\x00\x00\x00\x01"} {
		proof := p.Metadata(dodo.Claim{Order: "a" + sep + "b", Account: "c", Product: "d"})[keyProof]
		shown := p.Metadata(dodo.Claim{Order: "a", Account: "b" + sep + "c", Product: "d"})
		shown[keyProof] = proof
		if got, ok := p.Claim(shown); ok {
			t.Errorf("%q: believed as %+v", sep, got)
		}
	}
}

func TestProofTooLong(t *testing.T) {
	p := newProver(t, proofKey)
	for _, c := range []dodo.Claim{
		{"", "", "a", "p"}, {"", "o", "", "p"}, {"", "o", "a", ""}, {"", "o", strings.Repeat("a", 257), "p"},
		{"", "o", "a", strings.Repeat("\xff", 257)}, {strings.Repeat("s", 257), "o", "a", "p"},
	} {
		if got, ok := p.Claim(p.Metadata(c)); ok {
			t.Errorf("%+v is claimed", got)
		}
	}
}

func encoded(s string) string { return "~" + base64.RawURLEncoding.EncodeToString([]byte(s)) }

func TestProofRotation(t *testing.T) {
	oldKey, newKey := proofKey, []byte("the next proof secret, just as long")
	before, during, after := newProver(t, oldKey), newProver(t, newKey, oldKey), newProver(t, newKey)
	old := before.Metadata(dodo.Claim{Order: "ord_1", Account: "user_42", Product: "pack10"})
	fresh := during.Metadata(dodo.Claim{Order: "ord_1", Account: "user_42", Product: "pack10"})
	for name, tc := range map[string]struct {
		prover   *dodo.Prover
		metadata map[string]string
		want     bool
	}{
		"old, during":   {during, old, true},
		"old, after":    {after, old, false},
		"fresh, during": {during, fresh, true},
		"fresh, after":  {after, fresh, true},
		"fresh, before": {before, fresh, false},
	} {
		if _, ok := tc.prover.Claim(tc.metadata); ok != tc.want {
			t.Errorf("%s: %t, want %t", name, ok, tc.want)
		}
	}
}

func TestNewProverSecrets(t *testing.T) {
	if _, err := dodo.NewProver(nil); err == nil {
		t.Error("no secret is accepted")
	}
	short := []byte("PLANTED-but-short")
	_, err := dodo.NewProver([][]byte{proofKey, short})
	if err == nil || !strings.Contains(err.Error(), "proof secret 2: too short: 17 bytes") || strings.Contains(err.Error(), "PLANTED") {
		t.Errorf("a short secret: %v", err)
	}
	own := bytes.Clone(proofKey)
	p := newProver(t, own)
	clear(own)
	if _, ok := p.Claim(newProver(t, proofKey).Metadata(dodo.Claim{Order: "o", Account: "a", Product: "p"})); !ok {
		t.Error("the prover keeps the caller's slice")
	}
}

// TestProofInParallel: what one goroutine proves does not run into another's.
func TestProofInParallel(t *testing.T) {
	p := newProver(t, proofKey)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			want := dodo.Claim{Order: fmt.Sprint("ord_", i), Account: strings.Repeat("a", 1+25*i), Product: "pack10"}
			for range 500 {
				if got, ok := p.Claim(p.Metadata(want)); !ok || got != want {
					t.Errorf("%+v, %t; want %+v", got, ok, want)
					return
				}
			}
		})
	}
	all.Wait()
}

func TestDeriveKey(t *testing.T) {
	a, b := dodo.DeriveKey("api-key-1"), dodo.DeriveKey("api-key-2")
	if len(a) != 32 || bytes.Equal(a, b) || !bytes.Equal(a, dodo.DeriveKey("api-key-1")) {
		t.Errorf("keys %x and %x", a, b)
	}
	// The API key itself must not do as a proof secret by accident.
	m := newProver(t, []byte("an api key of thirty-two bytes..")).Metadata(dodo.Claim{Order: "o", Account: "a", Product: "p"})
	if _, ok := newProver(t, dodo.DeriveKey("an api key of thirty-two bytes..")).Claim(m); ok {
		t.Error("the derived key is the API key")
	}
}

// FuzzProof proves one claim and presents another: it is believed only when it
// is the same one.
func FuzzProof(f *testing.F) {
	f.Add("ord_1", "user_42", "pack10", "ord_1", "user_42", "pack10", "")
	f.Add("ord_1", "\xff\x00", "~", "ord_", encoded("1\xff"), "~", "")
	f.Add("a", "b", "c", "a", encoded("b"), "c", "AAAA")
	p := newProver(f, proofKey)
	f.Fuzz(func(t *testing.T, order, account, product, shownOrder, shownAccount, shownProduct, proof string) {
		m := p.Metadata(dodo.Claim{Order: order, Account: account, Product: product})
		got, ok := p.Claim(m)
		fits := true
		for _, s := range []string{order, account, product} {
			fits = fits && len(s) > 0 && len(s) <= 256
		}
		if ok != fits || ok && got != (dodo.Claim{Order: order, Account: account, Product: product}) {
			t.Fatalf("%q %q %q: claim %+v, %t", order, account, product, got, ok)
		}
		shown := maps.Clone(m)
		shown[keyOrder], shown[keyAccount], shown[keyProduct] = shownOrder, shownAccount, shownProduct
		if proof != "" {
			shown[keyProof] = proof
		}
		if got, ok := p.Claim(shown); ok && (!maps.Equal(shown, m) || !fits) {
			t.Fatalf("%v is believed as %+v on the proof of %v", shown, got, m)
		}
	})
}
