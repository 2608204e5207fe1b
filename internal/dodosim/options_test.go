package dodosim_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/dodosim/simtest"
)

func TestOptions(t *testing.T) {
	for name, change := range map[string]func(*dodosim.Options){
		"no key":              func(o *dodosim.Options) { o.APIKey = "" },
		"key with a space":    func(o *dodosim.Options) { o.APIKey = "a b" },
		"no products":         func(o *dodosim.Options) { o.Products = nil },
		"no product id":       func(o *dodosim.Options) { o.Products[0].ID = "" },
		"product twice":       func(o *dodosim.Options) { o.Products[1].ID = o.Products[0].ID },
		"negative price":      func(o *dodosim.Options) { o.Products[0].Price = -1 },
		"feature no name":     func(o *dodosim.Options) { o.Products[0].Features = []string{"a", ""} },
		"price past int32":    func(o *dodosim.Options) { o.Products[0].Price = 1 << 31 },
		"unknown currency":    func(o *dodosim.Options) { o.Products[0].Currency = "usd" },
		"short code":          func(o *dodosim.Options) { o.Discounts[0].Code = "ab" },
		"code twice":          func(o *dodosim.Options) { o.Discounts[0].Code = " tenth" },
		"no discount":         func(o *dodosim.Options) { o.Discounts[0].BasisPoints = 0 },
		"more than all":       func(o *dodosim.Options) { o.Discounts[0].BasisPoints = 10001 },
		"relative webhook":    func(o *dodosim.Options) { o.WebhookURL, o.WebhookSecret = "/webhook", secret },
		"webhook by ftp":      func(o *dodosim.Options) { o.WebhookURL, o.WebhookSecret = "ftp://a.example", secret },
		"no secret":           func(o *dodosim.Options) { o.WebhookURL = "http://a.example" },
		"empty secret":        func(o *dodosim.Options) { o.WebhookURL, o.WebhookSecret = "http://a.example", "whsec_" },
		"short secret":        func(o *dodosim.Options) { o.WebhookURL, o.WebhookSecret = "http://a.example", "whsec_c2hvcnQ=" },
		"secret not base64":   func(o *dodosim.Options) { o.WebhookURL, o.WebhookSecret = "http://a.example", secret+"!" },
		"relative public URL": func(o *dodosim.Options) { o.PublicURL = "sim.example" },
		"cycle of no days":    func(o *dodosim.Options) { o.Products[0].Every = dodosim.Period{Interval: dodosim.Day} },
		"unknown interval":    func(o *dodosim.Options) { o.Products[0].Every = dodosim.Period{Count: 1, Interval: "Eon"} },
		"endless cycle":       func(o *dodosim.Options) { o.Products[0].Every = dodosim.Period{Count: 1001, Interval: dodosim.Year} },
		"term without cycle":  func(o *dodosim.Options) { o.Products[0].Term = monthly },
		"trial without cycle": func(o *dodosim.Options) { o.Products[0].TrialDays = 1 },
		"endless trial":       func(o *dodosim.Options) { o.Products[0].Every, o.Products[0].TrialDays = monthly, 10001 },
		"term below cycle": func(o *dodosim.Options) {
			o.Products[0].Every, o.Products[0].Term = monthly, dodosim.Period{Count: 27, Interval: dodosim.Day}
		},
		"negative grace":       func(o *dodosim.Options) { o.GracePeriodDays = -1 },
		"long grace":           func(o *dodosim.Options) { o.GracePeriodDays = 31 },
		"cancel after nothing": func(o *dodosim.Options) { o.CancelAfterGrace = true },
		"ticks back":           func(o *dodosim.Options) { o.TickEvery = -1 },
		"public URL and query": func(o *dodosim.Options) { o.PublicURL = "http://sim.example?a" },
	} {
		t.Run(name, func(t *testing.T) {
			o := options()
			change(&o)
			_, err := dodosim.New(o)
			if err == nil {
				t.Fatal("accepted")
			}
			if strings.Contains(err.Error(), secret[6:]) {
				t.Error("the secret is in", err)
			}
		})
	}
	o := options()
	o.WebhookURL = "http://a.example"
	if _, err := dodosim.New(o); !errors.Is(err, dodosim.ErrWebhookSecret) {
		t.Error(err)
	}
}

// TestBusinessStays: a simulator that is started again is of the same business, because a
// gateway with the store of before believes no other.
func TestBusinessStays(t *testing.T) {
	business := func(key string) string {
		s := simtest.New(t, dodosim.Options{APIKey: key, Products: []dodosim.Product{{ID: "pdt_1", Price: 1, Currency: "USD"}}})
		dump, err := s.Dump()
		if err != nil {
			t.Fatal(err)
		}
		var said struct {
			Business string `json:"business_id"`
		}
		if err := json.Unmarshal(dump, &said); err != nil || said.Business == "" {
			t.Fatalf("%v in %s", err, dump)
		}
		return said.Business
	}
	if a, b := business("key_of_one"), business("key_of_one"); a != b || a == business("key_of_another") {
		t.Errorf("%s, then %s", a, b)
	}
}
