package storetest

import (
	"fmt"
	"sync"

	"github.com/dodogate/dodogate/internal/entitlement"
)

// claim claims and stops the test when that fails.
func (r *rig) claim(ref entitlement.Ref, account string) string {
	r.Helper()
	owner, err := r.Claim(r.ctx(), ref, account)
	if err != nil {
		r.Fatalf("claim %s: %v", ref, err)
	}
	return owner
}

func (r *rig) owner(ref entitlement.Ref) string {
	r.Helper()
	owner, err := r.Owner(r.ctx(), ref)
	if err != nil {
		r.Fatalf("read owner of %s: %v", ref, err)
	}
	return owner
}

var ownerTests = []test{
	{"the first claim wins, for ever", func(r *rig) {
		same(r, "owner before", r.owner(payment("pay_1")), "")
		same(r, "first", r.claim(payment("pay_1"), "ann"), "ann")
		same(r, "second", r.claim(payment("pay_1"), "bob"), "ann")
		r.clock.Move(20 * 365 * day)
		same(r, "first again", r.claim(payment("pay_1"), "ann"), "ann")
		same(r, "owner after", r.owner(payment("pay_1")), "ann")
	}},
	{"kinds and ids are apart", func(r *rig) {
		customer := entitlement.Ref{Kind: entitlement.KindCustomer, ID: "pay_1"}
		r.claim(payment("pay_1"), "ann")
		same(r, "another id", r.claim(payment("pay_11"), "bob"), "bob")
		same(r, "another kind", r.claim(customer, "cat"), "cat")
		same(r, "owner", r.owner(payment("pay_1")), "ann")
	}},
	{"a claim does not write to the account", func(r *rig) {
		r.claim(payment("pay_1"), "ann")
		same(r, "version", r.object("ann", payment("pay_1")).Version, 0)
		same(r, "entries", len(r.entries("ann")), 0)
	}},
	{"64 at once", func(r *rig) {
		for round := range 5 {
			ref := payment(fmt.Sprint("pay_", round))
			won := make([]string, 64)
			var all sync.WaitGroup
			for i := range won {
				all.Go(func() {
					owner, err := r.Claim(r.ctx(), ref, fmt.Sprint("acc_", i))
					if err != nil {
						r.Error(err)
					}
					won[i] = owner
				})
			}
			all.Wait()
			for _, owner := range won {
				if owner == "" || owner != won[0] {
					r.Fatalf("claims say %q and %q", won[0], owner)
				}
			}
			same(r, "owner", r.owner(ref), won[0])
		}
	}},
}
