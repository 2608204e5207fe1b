package httpapi_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"testing"

	"golang.org/x/time/rate"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// crashPlaces are where stores of processes that die may be, each time another place.
var crashPlaces = map[string]func(t *testing.T) (next func() place){
	"bolt": func(t *testing.T) func() place {
		dir, n := memory(t), 0
		return func() place { n++; return place{File: filepath.Join(dir, fmt.Sprint(n, ".db"))} }
	},
	"redis": func(t *testing.T) func() place {
		server, n := redistest.Start(t), 0
		return func() place { n++; return place{URL: server.URL(), Prefix: fmt.Sprint("crash", n, ":")} }
	},
}

// TestCrashes kills the gateway's process after each change that it makes in its
// store while it takes webhooks: between journal and account, between account and
// answer, and everywhere else. Whether Dodo then delivers again what was not
// acknowledged, or never does and is asked: everything is there once.
//
// It fails when, for example,
//   - an event that is in the journal is taken for applied,
//   - a payment is not put into its subscription because it was known before,
//   - what waits for a payment is only looked at when the payment is new,
//   - a refund is not asked for because its payment knows it, though not the
//     subscription that the payment belongs to.
func TestCrashes(t *testing.T) {
	for name, places := range crashPlaces {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			next := places(t)
			s := tell(t, openBolt, func(s *telling) {
				s.refunded(s.buys("pack10").PaymentID, 333)
				s.refunded(s.buys("pro").PaymentID, 500)
			})
			// Who waits for somebody else comes first.
			c := crash{told: s, want: s.end(alice), deliveries: s.only(
				"refund.succeeded", "payment.succeeded", "payment.succeeded", "subscription.active", "subscription.renewed", "refund.succeeded")}
			for writes := int64(0); ; writes++ {
				again := c.after(t, next(), writes, c.retry)
				never := c.after(t, next(), writes, c.reconcile)
				if again && never {
					break // it was not killed
				}
				if writes > 100 {
					t.Fatal("there is no end")
				}
			}
		})
	}
}

// crash is what is delivered, and how it must end.
type crash struct {
	told       *telling
	want       string
	deliveries []delivery
}

// after delivers to a process that is killed after so many writes, heals what that
// did, and reports whether the process took everything before.
func (c crash) after(t *testing.T, at place, writes int64, heal func(s *site, acknowledged int)) (survived bool) {
	t.Helper()
	open := func() opened {
		opened, err := at.open(t.Context(), c.told.clock.Now)
		must(t, err)
		return opened
	}
	s := c.told.again(t, open(), alice)
	must(t, s.store.Close())

	child := process{Place: at, Now: c.told.clock.Now(), Writes: writes}.start(t)
	acknowledged := 0
	for _, d := range c.deliveries {
		status, err := child.post(t.Context(), s.signed(d.id, d.body), d.body)
		if err != nil {
			break
		}
		if status != http.StatusOK {
			t.Fatalf("after %d writes: status %d", writes, status)
		}
		acknowledged++
	}
	child.kill()

	s = s.beside(t, open())
	defer s.store.Close()
	heal(s, acknowledged)
	if got := s.end(alice); got != c.want {
		t.Errorf("killed after %d writes and %d answers, it ends in\n%s\nnot in\n%s", writes, acknowledged, got, c.want)
	}
	c.reconcile(s, acknowledged)
	c.retry(s, 0)
	if got := s.end(alice); got != c.want {
		t.Errorf("killed after %d writes and %d answers, told all again, it ends in\n%s\nnot in\n%s", writes, acknowledged, got, c.want)
	}
	for _, d := range c.deliveries {
		if e, err := s.store.Event(t.Context(), d.id); err != nil || e.State != book.EventApplied {
			t.Errorf("event %s is %s, %v", e.Type, e.State, err)
		}
	}
	return acknowledged == len(c.deliveries)
}

// retry delivers again what was not acknowledged, as Dodo does.
func (c crash) retry(s *site, acknowledged int) {
	for _, d := range c.deliveries[acknowledged:] {
		s.signed(d.id, d.body).do().json(http.StatusOK)
	}
}

// reconcile is a pass of the background work: it asks Dodo, which delivers nothing
// any more, and tries again what is parked.
func (c crash) reconcile(s *site, _ int) {
	s.t.Helper()
	_, err := s.gate.Reconcile(s.t.Context(), rate.NewLimiter(rate.Inf, 1))
	must(s.t, err)
	_, err = s.gate.Redrive(s.t.Context())
	must(s.t, err)
}

// only are the events of the given types, in their order: the second time that a
// type is named, its second event.
func (s *telling) only(kinds ...string) []delivery {
	s.t.Helper()
	var all []delivery
	taken := make(map[string]bool)
	for _, kind := range kinds {
		for _, e := range s.events {
			if e.kind == kind && !taken[e.id] {
				taken[e.id] = true
				all = append(all, delivery{e.id, e.body})
				break
			}
		}
	}
	if len(all) != len(kinds) {
		s.t.Fatalf("%d of %d events", len(all), len(kinds))
	}
	return all
}
