package gateway_test

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway"
)

// list is what is known of one list.
func (w *longWorld) list(name gateway.ListName) gateway.ListStatus {
	w.t.Helper()
	s, err := w.ReconcileStatus(w.t.Context())
	must(w.t, err)
	for _, l := range s.Lists {
		if l.Name == name {
			return l
		}
	}
	w.t.Fatalf("no list %s", name)
	return gateway.ListStatus{}
}

// TestDeepPast: Dodo refuses pages beyond the fiftieth, the fifth or all but the first, and
// everything is read nevertheless, in a number of calls that grows with what there is.
func TestDeepPast(t *testing.T) {
	for _, deepest := range []int{50, 5, 0} {
		t.Run(fmt.Sprint(deepest), func(t *testing.T) {
			w := newLongWorld(t, "redis", 2600, 0, 1)
			w.dodo.mostPage = deepest
			done, err := w.Rebuild(t.Context(), rate.NewLimiter(rate.Inf, 1), nil)
			must(t, err)
			w.whole()
			if pages := w.dodo.calls["payments"]; done.Applied != 2600 || pages > 26*5+30 {
				t.Errorf("it did %+v by %d calls of the list", done, pages)
			}
			if l := w.list(gateway.ListPayments); l.Gaps != 0 || l.Walking || !l.FullAt.Equal(w.clock.Now().Truncate(time.Second)) {
				t.Errorf("afterwards the list is %+v", l)
			}
		})
	}
}

// TestPoisonedPage: pages with one payment cannot be read, for weeks. All others are read, the
// mark moves, the passes cost hardly more, and in the end the payment is there.
func TestPoisonedPage(t *testing.T) {
	for name, n := range map[string]int{"the oldest": 0, "in the middle": 130, "a new one": 299, "two days old": 298} {
		t.Run(name, func(t *testing.T) {
			w := newLongWorld(t, "redis", 300, 0, 1)
			w.dodo.poison[fmt.Sprintf("pay_%07d", n)], w.dodo.poison["pages of pay"] = true, true
			w.reconcile()
			if l := w.list(gateway.ListPayments); l.Gaps != 1 || !l.Mark.Equal(w.clock.Now().Truncate(time.Second)) {
				t.Errorf("after the first pass: %+v", l)
			}
			calls := w.dodo.total
			const passes = 100
			for range passes {
				w.clock.Move(10 * time.Minute)
				w.reconcile()
			}
			if l := w.list(gateway.ListPayments); l.Gaps != 1 || !l.Mark.Equal(w.clock.Now().Truncate(time.Second)) {
				t.Errorf("after %d passes: %+v", passes, l)
			}
			if each := float64(w.dodo.total-calls) / passes; each > 9 {
				t.Errorf("a pass takes %.1f calls", each)
			}
			w.has(w.dodo.buyer(n), 0, false)
			clear(w.dodo.poison)
			w.clock.Move(day)
			w.reconcile()
			w.whole()
			if l := w.list(gateway.ListPayments); l.Gaps != 0 {
				t.Errorf("in the end: %+v", l)
			}
		})
	}
}

// TestManyUnreadObjects: more objects cannot be read than are kept apart. Then the list stops,
// and nothing is forgotten.
func TestManyUnreadObjects(t *testing.T) {
	w := newLongWorld(t, "redis", 600, 0, 1)
	for n := range 500 {
		w.dodo.poison[fmt.Sprintf("pay_%07d", n)] = true
	}
	_, err := w.Reconcile(t.Context(), rate.NewLimiter(rate.Inf, 1))
	l := w.list(gateway.ListPayments)
	if err == nil || l.Error == "" || !l.Mark.IsZero() || l.Unread < 200 {
		t.Errorf("%v, %+v", err, l)
	}
	if l := w.list(gateway.ListSubscriptions); l.Error != "" || l.Mark.IsZero() {
		t.Errorf("and another list is %+v", l)
	}
	clear(w.dodo.poison)
	for range 20 {
		w.clock.Move(day)
		_, err = w.Reconcile(t.Context(), rate.NewLimiter(rate.Inf, 1))
	}
	must(t, err)
	w.whole()
	if s, err := w.ReconcileStatus(t.Context()); err != nil || len(s.Unread) != 0 {
		t.Errorf("unread are %v, %v", s.Unread, err)
	}
}

// TestMarkAhead: a mark from a clock that was a year ahead hides nothing.
func TestMarkAhead(t *testing.T) {
	w := newLongTest(t, 20, 0)
	w.dodo.start = w.dodo.end.Add(-day)
	must(t, w.store.SetMark(t.Context(), "reconcile", w.clock.Now().Add(365*day)))
	w.reconcile()
	w.whole()
}

// TestDamagedNotes: notes of a pass that are damaged cost a walk from the beginning.
func TestDamagedNotes(t *testing.T) {
	w := newLongTest(t, 20, 0)
	for _, name := range []string{"reconcile payments", "reconcile payments gaps", "reconcile refunds", "reconcile unread 0"} {
		must(t, w.store.Set(t.Context(), name, "{damaged"))
	}
	w.reconcile()
	w.whole()
}

// TestListIsNews: what merging would not change is not read, in whatever order reports come.
func TestListIsNews(t *testing.T) {
	known := entitlement.Payment{
		Status: "succeeded", Total: 500, Currency: "USD",
		Refunds:  map[string]entitlement.Refund{"ref_1": {Status: "succeeded"}},
		Disputes: map[string]entitlement.DisputeStatus{"dp_1": "won"},
	}
	for status, want := range map[entitlement.PaymentStatus]bool{"succeeded": false, "processing": false, "failed": false, "": false, "new": false} {
		if got := known.IsNews(status); got != want {
			t.Errorf("a payment that is %q is news: %v", status, got)
		}
	}
	if !(entitlement.Payment{}).IsNews("processing") || !(entitlement.Payment{Status: "processing"}).IsNews("failed") {
		t.Error("what is not known is no news")
	}
	if known.IsRefundNews("ref_1", "pending") || known.IsRefundNews("ref_1", "succeeded") || !known.IsRefundNews("ref_2", "pending") {
		t.Error("refunds")
	}
	if known.IsDisputeNews("dp_1", "opened") || known.IsDisputeNews("dp_1", "won") || !known.IsDisputeNews("dp_1", "lost") || !known.IsDisputeNews("dp_2", "opened") {
		t.Error("disputes")
	}
}
