package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store"
)

// forgetful is a store that does what it is asked and does not say so.
type forgetful struct {
	store.Store
	holds, ends atomic.Int64 // how many of them, from now on
}

var errLost = fmt.Errorf("%w: the reply is lost", store.ErrUnavailable)

func (f *forgetful) Update(ctx context.Context, account string, decide store.Decision) (store.Updated, error) {
	kind, _ := kindOf(account, decide)
	done, err := f.Store.Update(ctx, account, decide)
	holds := kind == holds || kind == "" // to renew one
	if err == nil && (holds && f.holds.Add(-1) >= 0 || kind == ends && f.ends.Add(-1) >= 0) {
		return store.Updated{}, errLost
	}
	return done, err
}

// eachForgetful runs a test against both stores, with 100 credits for everybody.
func eachForgetful(t *testing.T, test func(t *testing.T, f *forgetful, w *world)) {
	t.Helper()
	each(t, settings{signupCredits: 100}, func(t *testing.T, w *world) {
		f := &forgetful{Store: w.store}
		w.Close()
		test(t, f, newWorld(t, f, settings{signupCredits: 100}))
	})
}

func (w *world) credits(account string, want int64) {
	w.t.Helper()
	for range 2 { // as it is remembered, and as it is
		if s, err := w.Entitlement(w.t.Context(), account); err != nil || s.Credits != want {
			w.t.Errorf("%s has %d credits, want %d (%v)", account, s.Credits, want, err)
		}
		w.Close()
	}
}

// A hold that nobody knows of is given back behind the answer, with a key and
// without.
func TestHoldIsUndone(t *testing.T) {
	eachForgetful(t, func(t *testing.T, f *forgetful, w *world) {
		if _, err := w.Entitlement(t.Context(), "acc"); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"", "key"} {
			f.holds.Store(1)
			ask := gateway.HoldRequest{Account: "acc", Credits: 30, TTL: time.Hour, Key: key}
			if c, err := w.Hold(t.Context(), ask); !errors.Is(err, store.ErrUnavailable) {
				t.Fatalf("%v, %v", c, err)
			}
			deadline := time.Now().Add(20 * time.Second)
			for {
				a, err := w.store.Account(t.Context(), "acc")
				if err == nil && a.Ledger.Available(w.Clock()) == 100 {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("the hold is still there: %+v, %v", a, err)
				}
				time.Sleep(time.Millisecond)
			}
			c, err := w.Hold(t.Context(), ask)
			if err != nil || c.Available != 70 {
				t.Fatalf("%v, %v", c, err)
			}
			if found, err := c.End(t.Context(), 0, nil); !found || err != nil {
				t.Fatal(found, err)
			}
		}
		w.credits("acc", 100)
	})
}

// tardy is a store that holds behind the first end.
type tardy struct {
	store.Store
	end  chan struct{} // closed when there was one
	once sync.Once
	late sync.WaitGroup
}

func (s *tardy) Update(ctx context.Context, account string, decide store.Decision) (store.Updated, error) {
	switch kind, _ := kindOf(account, decide); kind {
	case holds:
		s.late.Go(func() {
			<-s.end
			_, _ = s.Store.Update(context.WithoutCancel(ctx), account, decide)
		})
		<-ctx.Done()
		return store.Updated{}, ctx.Err()
	default:
		done, err := s.Store.Update(ctx, account, decide)
		s.once.Do(func() {
			close(s.end)
			s.late.Wait()
		})
		return done, err
	}
}

// A client leaves while its hold is under way, which gets there behind its end.
func TestHoldThatComesLateIsUndone(t *testing.T) {
	each(t, settings{signupCredits: 100}, func(t *testing.T, w *world) {
		if _, err := w.Entitlement(t.Context(), "acc"); err != nil {
			t.Fatal(err)
		}
		w.Close()
		s := &tardy{Store: w.store, end: make(chan struct{})}
		w = newWorld(t, s, settings{})
		ctx, leave := context.WithCancel(t.Context())
		leave()
		if c, err := w.Hold(ctx, gateway.HoldRequest{Account: "acc", Credits: 30, TTL: time.Hour}); !errors.Is(err, context.Canceled) {
			t.Fatal(c, err)
		}
		<-s.end
		s.late.Wait()
		until(t, "the hold is given back", func() bool {
			a, err := store.Client{Store: s}.Account(t.Context(), "acc")
			return err == nil && a.Ledger.Available(w.Clock()) == 100
		})
	})
}

// A hold whose end went unanswered is spent once.
func TestEndIsRepeated(t *testing.T) {
	eachForgetful(t, func(t *testing.T, f *forgetful, w *world) {
		if _, err := w.Entitlement(t.Context(), "acc"); err != nil {
			t.Fatal(err)
		}
		c, err := w.Hold(t.Context(), gateway.HoldRequest{Account: "acc", Credits: 30, TTL: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		f.ends.Store(3)
		if found, err := c.End(t.Context(), 20, nil); !found || err != nil {
			t.Fatal(found, err)
		}
		// A renewal that comes late does not begin a hold.
		if err := c.Renew(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.credits("acc", 80)
		entries, err := w.store.Entries(t.Context(), "acc", store.Page{After: 0, Limit: 100})
		if err != nil || len(entries) != 2 || entries[1].Amount != -20 {
			t.Errorf("%+v, %v", entries, err)
		}
	})
}

// A renewal whose reply is lost keeps the hold as well.
func TestRenewalWithoutReply(t *testing.T) {
	eachForgetful(t, func(t *testing.T, f *forgetful, w *world) {
		if _, err := w.Entitlement(t.Context(), "acc"); err != nil {
			t.Fatal(err)
		}
		c, err := w.Hold(t.Context(), gateway.HoldRequest{Account: "acc", Credits: 30, TTL: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		f.holds.Store(1)
		if err := c.Renew(t.Context()); !errors.Is(err, store.ErrUnavailable) {
			t.Fatal(err)
		}
		if err := c.Renew(t.Context()); err != nil {
			t.Fatal(err)
		}
		if found, err := c.End(t.Context(), 30, nil); !found || err != nil {
			t.Fatal(found, err)
		}
		w.credits("acc", 70)
	})
}
