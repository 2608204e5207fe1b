package config_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/config"
)

// sells are products that give these plans; an empty one gives credits alone.
func sells(plans ...string) []config.Product {
	products := make([]config.Product, 0, len(plans))
	for i, plan := range plans {
		name := "p" + string(rune('a'+i))
		products = append(products, config.Product{Name: name, ID: "pdt_" + name, Credits: 1, Plan: plan})
	}
	return products
}

func TestRanking(t *testing.T) {
	for name, tt := range map[string]struct {
		sold, ranked, want []string
	}{
		"the order of the catalog":           {sold: []string{"basic", "", "pro"}, want: []string{"basic", "pro"}},
		"where the first product of it is":   {sold: []string{"basic", "pro", "basic"}, want: []string{"basic", "pro"}},
		"as it is written":                   {sold: []string{"pro", "basic"}, ranked: []string{"basic", "pro"}, want: []string{"basic", "pro"}},
		"what is not written is lower":       {sold: []string{"a", "b", "c", "d"}, ranked: []string{"c", "a"}, want: []string{"b", "d", "c", "a"}},
		"one that is written is the highest": {sold: []string{"a", "b", "c"}, ranked: []string{"a"}, want: []string{"b", "c", "a"}},
		"no plan is sold":                    {sold: []string{""}},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := config.NewCatalog(sells(tt.sold...))
			if err == nil {
				c, err = c.Ranked(tt.ranked)
			}
			if got := c.Ranking().Plans(); err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("%v, %v; want %v", got, err, tt.want)
			}
		})
	}
}

func TestRankingCompares(t *testing.T) {
	r, err := config.RankPlans(sells("basic", "pro", "team"), nil, []string{"team", "basic"})
	if err != nil {
		t.Fatal(err)
	}
	// No product gives the first two any more.
	want := []string{"alpha", "zeta", "pro", "team", "basic"}
	got := slices.Clone(want)
	slices.Reverse(got)
	if slices.SortFunc(got, r.Compare); !slices.Equal(got, want) {
		t.Errorf("lowest first they are %v, want %v", got, want)
	}
	if r.Compare("pro", "pro") != 0 || r.Compare("alpha", "alpha") != 0 {
		t.Error("a plan is not as high as itself")
	}
}

func TestRankingRefuses(t *testing.T) {
	for want, tt := range map[string]struct{ sold, ranked []string }{
		`no product or add-on gives the plan "porr"; there are basic, pro`: {[]string{"basic", "pro"}, []string{"basic", "porr"}},
		`no product or add-on gives the plan "Pro"; there are pro`:         {[]string{"pro"}, []string{"Pro"}},
		`no product or add-on gives the plan "none"; there are pro`:        {[]string{"pro"}, []string{"none"}},
		`no product or add-on gives the plan ""; there are pro`:            {[]string{"pro"}, []string{""}},
		`no product or add-on gives the plan "pro"; there are none`:        {[]string{""}, []string{"pro"}},
		"basic is named twice": {[]string{"basic", "pro"}, []string{"basic", "pro", "basic"}},
	} {
		if _, err := config.RankPlans(sells(tt.sold...), nil, tt.ranked); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v of %v: %v, want %q", tt.ranked, tt.sold, err, want)
		}
	}
}

func TestChosenHeaders(t *testing.T) {
	n, err := config.NewHeaderNames("acme-")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := n.Chosen(nil); err != nil || !slices.Equal(got, n.Set()) || len(got) != 10 {
		t.Errorf("without a wish: %v, %v", got, err)
	}
	got, err := n.Chosen([]string{"Plans", "user", "PLAN-EXPIRES-AT"})
	if want := []string{"Acme-Plans", "Acme-User", "Acme-Plan-Expires-At"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	for want, wanted := range map[string][]string{
		`there is no "Acme-User"; there are User, Credits, Has-Paid, Plan, Plans,`: {"Acme-User"},
		`there is no "Token"`: {"User", "Token"},
		`there is no ""`:      {""},
		"User is named twice": {"User", "Credits", "user"},
	} {
		if _, err := n.Chosen(wanted); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", wanted, err, want)
		}
	}
}
