package entitlement_test

import (
	"fmt"
	"maps"
	"testing"

	"github.com/dodogate/dodogate/internal/entitlement"
)

func TestAddons(t *testing.T) {
	many := make(map[string]int64)
	for i := range entitlement.MaxAddons + 5 {
		many[fmt.Sprintf("adn_%03d", i)] = 1
	}
	tests := map[string]struct {
		quantities map[string]int64
		text       entitlement.Addons
		all        map[string]int64
	}{
		"none":          {nil, "", map[string]int64{}},
		"in order":      {map[string]int64{"adn_b": 1, "adn_a": 2}, "adn_a=2,adn_b=1", map[string]int64{"adn_a": 2, "adn_b": 1}},
		"of nothing":    {map[string]int64{"adn_a": 0, "adn_b": -1}, "", map[string]int64{}},
		"held to int32": {map[string]int64{"adn_a": 1 << 40}, "adn_a=2147483647", map[string]int64{"adn_a": 1<<31 - 1}},
		"an odd id":     {map[string]int64{"adn=a": 1, "adn,b": 1, "": 1, "adn_c": 1}, "adn_c=1", map[string]int64{"adn_c": 1}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			addons := entitlement.NewAddons(test.quantities)
			if addons != test.text {
				t.Errorf("NewAddons is %q, want %q", addons, test.text)
			}
			if all := maps.Collect(addons.All()); !maps.Equal(all, test.all) {
				t.Errorf("All yields %v, want %v", all, test.all)
			}
		})
	}
	if n := len(maps.Collect(entitlement.NewAddons(many).All())); n != entitlement.MaxAddons {
		t.Errorf("%d add-ons are kept, want %d", n, entitlement.MaxAddons)
	}
	if all := maps.Collect(entitlement.Addons("adn_a,=,adn_b=x,adn_c=3,adn_d=-1").All()); !maps.Equal(all, map[string]int64{"adn_c": 3}) {
		t.Errorf("damaged text yields %v, want adn_c alone", all)
	}
}
