package record_test

import (
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store/record"
)

// instants are times as stores keep them: none, or UTC milliseconds.
var instants = rapid.Custom(func(t *rapid.T) time.Time {
	if rapid.Bool().Draw(t, "none") {
		return time.Time{}
	}
	return time.UnixMilli(rapid.Int64Range(-1e14, 2e14).Draw(t, "ms")).UTC()
})

var (
	credits = rapid.Int64Range(0, ledger.Max)
	names   = rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })
)

// TestRoundTrips: what is written is what is read, whatever the names hold.
func TestRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := ledger.Grant{
			ID: names.Draw(t, "id"), Amount: credits.Draw(t, "amount"), Left: credits.Draw(t, "left"), Held: credits.Draw(t, "held"),
			Lapsed: credits.Draw(t, "lapsed"), Waived: credits.Draw(t, "waived"),
			ExpiresAt: instants.Draw(t, "expires"), CreatedAt: instants.Draw(t, "created"),
		}
		if g.Waiting = rapid.OneOf(rapid.Just(int64(0)), credits).Draw(t, "waiting"); g.Waiting > 0 {
			g.StartsAt = instants.Draw(t, "starts")
		}
		if got, err := record.ParseGrant(g.ID, record.Grant(g)); err != nil || !reflect.DeepEqual(got, g) {
			t.Fatalf("grant %+v became %+v, %v", g, got, err)
		}
		e := ledger.Entry{
			Seq: rapid.Int64Range(1, ledger.Max).Draw(t, "seq"), At: instants.Draw(t, "at"), Kind: ledger.KindClawBack, Grant: names.Draw(t, "grant"),
			Amount: -credits.Draw(t, "change"), Balance: credits.Draw(t, "balance"), Cause: names.Draw(t, "cause"),
		}
		if got, err := record.ParseEntry(record.Entry(e)); err != nil || !reflect.DeepEqual(got, e) {
			t.Fatalf("entry %+v became %+v, %v", e, got, err)
		}
	})
}

// TestGrantOfFormerReleases: a grant that was written before grants could wait is read as
// it was.
func TestGrantOfFormerReleases(t *testing.T) {
	got, err := record.ParseGrant("a", "10 4 3 2 1 1000 -")
	want := ledger.Grant{ID: "a", Amount: 10, Left: 4, Held: 3, Lapsed: 2, Waived: 1, ExpiresAt: time.UnixMilli(1000).UTC()}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

// TestDamage: what was never written is refused, not guessed at.
func TestDamage(t *testing.T) {
	for _, bad := range []string{"", "1", "1 1 0 0 0 - - -", "1 1 0 0 - -", "1 1 0 -1 0 - -", "1 1 0 0 -1 - -", "1.5 1 0 0 0 - -", "0x1 1 0 0 0 - -", "1 1 0 0 0 soon -",
		"9007199254740992 1 0 0 0 - -", "1e3 1 0 0 0 - -", "1 1 0 0 0 - - -", "1 1 0 0 0 - - - 0", "1 1 0 0 0 - - 5 -1", "1 1 0 0 0 - - soon 1", "1 1 0 0 0 - - 5 1 1"} {
		if g, err := record.ParseGrant("a", bad); err == nil {
			t.Errorf("grant %q was read as %+v", bad, g)
		}
	}
	const between = "1 0 clawback -9007199254740991 -18014398509481982 1 abc" // and a waiver follows
	if e, err := record.ParseEntry(between); err != nil || e.Balance != -2*ledger.Max {
		t.Errorf("entry %q was read as %+v, %v", between, e, err)
	}
	for _, bad := range []string{"1 0 clawback -1 -18014398509481983 1 abc", "1 0 grant 1 9007199254740992 1 abc", "", "1 0 grant 1 1", "1 0 grant 1 1 5 abc", "1 0 grant 1 1 -1 abc", "x 0 grant 1 1 1 abc", "1 x grant 1 1 1 abc"} {
		if e, err := record.ParseEntry(bad); err == nil {
			t.Errorf("entry %q was read as %+v", bad, e)
		}
	}
}
