package gateway_test

import (
	"errors"
	"testing"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway"
)

// TestTakeKeepsSignup: an account from which something is taken before its first request gets its
// sign-up credits all the same.
func TestTakeKeepsSignup(t *testing.T) {
	each(t, settings{signupCredits: 3}, func(t *testing.T, w *world) {
		take := func(account string, credits int64, owe bool, want error) {
			t.Helper()
			d := gateway.Doing{Account: account, Act: entitlement.Act{Kind: entitlement.ActTake, Credits: credits, Owe: owe, Reason: "why"}}
			if _, err := w.Act(t.Context(), d); !errors.Is(err, want) {
				t.Errorf("take %d: %v, want %v", credits, err, want)
			}
		}
		take("ann", 4, false, book.ErrAct)
		take("ann", 2, false, nil)
		w.has("ann", 1, false)
		take("bob", 5, true, nil)
		v, err := w.Inspect(t.Context(), "bob")
		if must(t, err); v.Ledger.Debt != 2 {
			t.Errorf("bob owes %d, want 2", v.Ledger.Debt)
		}
	})
}
