package config_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/config"
)

func pack() config.Product {
	return config.Product{Name: "pack10", ID: "pdt_1", Credits: 10}
}

func TestProductRefusals(t *testing.T) {
	for want, spoil := range map[string]func(*config.Product){
		"the name must be":             func(p *config.Product) { p.Name = "Pack 10" },
		"id is missing":                func(p *config.Product) { p.ID = "" },
		"is not an id":                 func(p *config.Product) { p.ID = "pdt 1" },
		"credits must be between":      func(p *config.Product) { p.Credits = -1 },
		"credits × the largest":        func(p *config.Product) { p.Credits = config.MaxCredits/config.MaxQuantity + 1 },
		"gives nothing":                func(p *config.Product) { p.Credits = 0 },
		`plan "a b" must be`:           func(p *config.Product) { p.Plan = "a b" },
		"cannot be called none":        func(p *config.Product) { p.Plan = "none" },
		"credits_expire without":       func(p *config.Product) { p.Credits, p.Plan, p.CreditsExpire = 0, "pro", config.Duration(time.Hour) },
		"credits_every \"week\"":       func(p *config.Product) { p.CreditsEvery = "week" },
		"every month must be between":  func(p *config.Product) { p.CreditsEvery, p.Credits = "month", 7_505_999_379 },
		"credits_every without":        func(p *config.Product) { p.Credits, p.Plan, p.CreditsEvery = 0, "pro", "month" },
		"lasts without plan":           func(p *config.Product) { p.Lasts = config.Duration(time.Hour) },
		"min_amount currency":          func(p *config.Product) { p.MinAmount = config.Amounts{"usd": 5} },
		"min_amount must be a whole":   func(p *config.Product) { p.MinAmount = config.Amounts{"USD": 500, "EUR": 0} },
		"lasts must not be negative":   func(p *config.Product) { p.Plan, p.Lasts = "pro", -1 },
		"lasts must be at least one":   func(p *config.Product) { p.Plan, p.Lasts = "pro", 1 },
		"credits_expire must be at mo": func(p *config.Product) { p.CreditsExpire = config.Duration(101 * 366 * 24 * time.Hour) },
	} {
		p := pack()
		spoil(&p)
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", p, err, want)
		}
	}
	if err := pack().Validate(); err != nil {
		t.Errorf("a good product: %v", err)
	}
	monthly := pack()
	monthly.CreditsEvery, monthly.Lasts, monthly.Credits = config.EveryMonth, config.Duration(365*24*time.Hour), 7_505_999_378
	if err := monthly.Validate(); err != nil {
		t.Errorf("credits every month for a year: %v", err)
	}
}

func TestCatalog(t *testing.T) {
	pro := config.Product{Name: "pro", ID: "pdt_2", Plan: "pro"}
	c, err := config.NewCatalog([]config.Product{pack(), pro})
	if err != nil {
		t.Fatal(err)
	}
	if p, ok := c.Named("pro"); !ok || !reflect.DeepEqual(p, pro) {
		t.Errorf("Named(pro) = %+v, %v", p, ok)
	}
	if p, ok := c.ByID("pdt_1"); !ok || !reflect.DeepEqual(p, pack()) {
		t.Errorf("ByID(pdt_1) = %+v, %v", p, ok)
	}
	if _, ok := c.Named("pdt_1"); ok {
		t.Error("a Dodo id is no name")
	}
	if got := c.Products(); len(got) != 2 || got[0].Name != "pack10" {
		t.Errorf("products %+v", got)
	}
	for want, products := range map[string][]config.Product{
		"at least one":              nil,
		"the name is used twice":    {pack(), {Name: "pack10", ID: "pdt_3", Credits: 1}},
		"is product pack10 already": {pack(), {Name: "other", ID: "pdt_1", Credits: 1}},
		"gives nothing":             {{Name: "x", ID: "pdt_3"}},
	} {
		if _, err := config.NewCatalog(products); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", products, err, want)
		}
	}
}

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"30d": 720 * time.Hour, "36h": 36 * time.Hour, "90m": 90 * time.Minute, "1h30m": 90 * time.Minute, "0d": 0,
	} {
		d, err := config.ParseDuration(text)
		if err != nil || d.Std() != want {
			t.Errorf("%s: %v, %v", text, d.Std(), err)
		}
		b, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		var back config.Duration
		if err := json.Unmarshal(b, &back); err != nil || back != d {
			t.Errorf("%s became %s and then %v, %v", text, b, back, err)
		}
	}
	for _, text := range []string{"", "d", "30", "-1d", "1.5d", "30 d", "forever", "99999999999d", "40000d"} {
		if d, err := config.ParseDuration(text); err == nil {
			t.Errorf("%q was read as %v", text, d)
		}
	}
	var ns config.Duration
	if err := json.Unmarshal([]byte("1000000000"), &ns); err != nil || ns.Std() != time.Second {
		t.Errorf("nanoseconds: %v, %v", ns, err)
	}
	for _, bad := range []string{`true`, `1.5`, `"soon"`, `{}`} {
		if err := json.Unmarshal([]byte(bad), &ns); err == nil {
			t.Errorf("%s was read as %v", bad, ns)
		}
	}
	if d := config.Duration(720 * time.Hour); d.String() != "30d" {
		t.Errorf("720h is written %s", d)
	}
}

func TestKeepEvents(t *testing.T) {
	for text, want := range map[string]string{
		`{}`:                           "90d",
		`{"redact": true}`:             "90d",
		`{"period": "30d"}`:            "30d",
		`{"period": "720h"}`:           "30d",
		`{"period": 2592000000000000}`: "30d",
		`{"period": "36500d"}`:         "36500d",
		`{"period": "29d"}`:            "keep_events must be at least 30d, not 29d",
		`{"period": "719h59m59s"}`:     "keep_events must be at least 30d, not 719h59m59s",
		`{"period": "-90h"}`:           "keep_events must be at least 30d, not -90h0m0s",
		`{"period": 1}`:                "keep_events must be at least 30d, not 1ns",
		`{"period": "900000h"}`:        "keep_events must be at most 100 years",
	} {
		var k config.KeepEvents
		if err := json.Unmarshal([]byte(text), &k); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		got := config.Duration(k.Duration()).String()
		if err := k.Validate(); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestHeaderNames(t *testing.T) {
	n, err := config.NewHeaderNames("")
	if err != nil || n.Credits != "X-Entitlement-Credits" || n.HasPaid != "X-Entitlement-Has-Paid" || len(n.All()) != 11 || n.Features != "X-Entitlement-Features" {
		t.Errorf("%+v, %v", n, err)
	}
	if n, err = config.NewHeaderNames("x-my-app-"); err != nil || n.PlanExpiresAt != "X-My-App-Plan-Expires-At" {
		t.Errorf("%+v, %v", n, err)
	}
	for _, prefix := range []string{"X-Entitlement", "-", "1-", "X_Y-", "X Y-", "X-\r\n-", "Webhook-", "Sec-", "proxy-", strings.Repeat("a", 60) + "-"} {
		if _, err := config.NewHeaderNames(prefix); err == nil {
			t.Errorf("prefix %q was accepted", prefix)
		}
	}
}
