package storetest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dodogate/dodogate/internal/ledger"
)

// allAccounts lists all accounts, sorted, each once.
func (r *rig) allAccounts() (all []string) {
	r.Helper()
	after := ""
	for {
		ids, next, err := r.AccountIDs(r.ctx(), after, 20)
		if err != nil {
			r.Fatal(err)
		}
		if all = append(all, ids...); next == "" {
			slices.Sort(all)
			return slices.Compact(all)
		}
		after = next
	}
}

var directoryTests = []test{
	{"events are listed", func(r *rig) {
		lister, err := r.Lister()
		if err != nil {
			r.Fatal(err)
		}
		var want []string
		for i := range 250 {
			id := fmt.Sprint("msg_", i, "{:*}")
			r.record(id, "{}")
			want = append(want, id)
		}
		r.claim(payment("event:x"), "alice")
		all := make(map[string]bool)
		for after, pages := "", 0; ; pages++ {
			ids, next, err := lister.EventIDs(r.ctx(), after, 50)
			if err != nil || pages > 1000 {
				r.Fatal(err)
			}
			for _, id := range ids {
				all[id] = true
			}
			if after = next; next == "" {
				break
			}
		}
		slices.Sort(want)
		same(r, "events", slices.Sorted(maps.Keys(all)), want)
	}},
	{"all accounts are listed, whatever their ids", func(r *rig) {
		var want []string
		for i := range 250 {
			want = append(want, fmt.Sprint("user-", i))
		}
		want = append(want, "a:b", "{x}", "a}:account", "*", "über", "\xff\x00", strings.Repeat("x", 256), "a b+c%20")
		for _, id := range want {
			r.give(id, "pay_1", ledger.Target{ID: "g", Amount: 1, CreatedAt: r.now()})
		}
		slices.Sort(want)
		same(r, "accounts", r.allAccounts(), want)
	}},
	{"an empty store has none", func(r *rig) {
		same(r, "accounts", r.allAccounts(), nil)
	}},
}
