package redisstore_test

import (
	"fmt"
	"testing"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store/redisstore"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// TestFreeAfterWrite: what is taken from an account stays bound to it if the account cannot be
// written, or another account could have the same credits.
func TestFreeAfterWrite(t *testing.T) {
	nodes := redistest.StartCluster(t, 3)
	s := open(t, redisstore.Options{URL: nodes[0].URL() + "?cluster=true", Timeout: patient})
	free := func(account, id string, ref entitlement.Ref) error {
		_, err := s.Update(t.Context(), account, func(b *book.Book) error {
			_, err := b.ActOn(id, entitlement.Act{Kind: entitlement.ActUnassign, Object: ref.String(), Reason: "why"},
				book.Reach{Free: []entitlement.Ref{ref}})
			return err
		})
		return err
	}
	refs := make(map[string][]entitlement.Ref) // some on each node
	for i := range 20 {
		account := fmt.Sprint("acc_", i)
		for j := range 6 {
			ref := entitlement.Ref{Kind: entitlement.KindPayment, ID: fmt.Sprint("pay_", i, "_", j)}
			if _, err := s.Claim(t.Context(), ref, account); err != nil {
				t.Fatal(err)
			}
			refs[account] = append(refs[account], ref)
		}
	}
	nodes[0].MustDo("CONFIG", "SET", "min-replicas-to-write", "1") // it refuses to write
	refused := 0
	for account, all := range refs {
		for i, ref := range all {
			if free(account, fmt.Sprint("u", i), ref) == nil {
				continue
			}
			refused++
			known, err := s.Object(t.Context(), account, book.ActRef(fmt.Sprint("u", i)))
			if err != nil {
				t.Fatal(err)
			}
			if owner, err := s.Owner(t.Context(), ref); err != nil || known.Version == 0 && owner != account {
				t.Errorf("%s was not written, and %s belongs to %q, %v", account, ref, owner, err)
			}
		}
	}
	if refused == 0 {
		t.Fatal("everything was written")
	}
	nodes[0].MustDo("CONFIG", "SET", "min-replicas-to-write", "0")
	for account, all := range refs {
		for i, ref := range all {
			if err := free(account, fmt.Sprint("v", i), ref); err != nil {
				t.Fatal(err)
			}
			if owner, err := s.Owner(t.Context(), ref); err != nil || owner != "" {
				t.Errorf("%s belongs to %q, %v", ref, owner, err)
			}
		}
	}
}
