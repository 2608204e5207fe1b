package notice_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway/notice"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/boltstore"
)

// telling is a store in a file, whose notices of the wanted kinds are collected.
type telling struct {
	*testing.T
	store.Client
	mu   sync.Mutex
	told []string
}

func newTelling(t *testing.T, low int64, wanted ...notice.Kind) *telling {
	t.Helper()
	db, err := boltstore.Open(filepath.Join(t.TempDir(), "a.db"), boltstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	s := &telling{T: t}
	s.Store = notice.New(db, notice.Options{
		Ranking: config.Ranking{}, Low: low, Clock: time.Now,
		Wants: func(k notice.Kind) bool { return slices.Contains(wanted, k) },
		Tell: func(n notice.Notice) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.told = append(s.told, fmt.Sprint(n.Kind, " ", n.Account, " ", n.Object, " ", n.Plan, n.Refund, n.Event, n.Reason))
		},
	})
	return s
}

// wants compares what was told since.
func (s *telling) wants(want ...string) {
	s.Helper()
	if !slices.Equal(s.told, want) {
		s.Errorf("told %q, want %q", s.told, want)
	}
	s.told = nil
}

func payment(id string) entitlement.Ref {
	return entitlement.Ref{Kind: entitlement.KindPayment, ID: id}
}

// commit writes a payment that gives a plan and credits.
func (s *telling) commit(id, plan string, credits, version int64, p entitlement.Payment) error {
	s.Helper()
	state, err := entitlement.Record{Payment: p}.AppendJSON(nil)
	if err != nil {
		s.Fatal(err)
	}
	c := book.Commit{Account: "alice", Object: payment(id), Version: version, State: state, Cause: "test"}
	c.Effect.Grants = []ledger.Target{{ID: id, Amount: credits, CreatedAt: time.Now()}}
	if plan != "" {
		c.Effect.Standing.Passes = []entitlement.Pass{{Plan: plan, PaidAt: time.Now().Add(-time.Hour), Lasts: 24 * time.Hour}}
	}
	_, err = s.Commit(s.Context(), c)
	return err
}

func (s *telling) mustCommit(id, plan string, credits, version int64, p entitlement.Payment) {
	s.Helper()
	if err := s.commit(id, plan, credits, version, p); err != nil {
		s.Fatal(err)
	}
}

func refunds(statuses ...entitlement.RefundStatus) entitlement.Payment {
	p := entitlement.Payment{Status: entitlement.PaymentSucceeded, Total: 500, Refunds: make(map[string]entitlement.Refund)}
	for i, status := range statuses {
		p.Refunds[fmt.Sprint("ref_", i)] = entitlement.Refund{Status: status, Amount: 100}
	}
	return p
}

// A plan begins with the first object that gives it, and ends with the last one.
func TestPlans(t *testing.T) {
	s := newTelling(t, 0, notice.PlanStarted, notice.PlanEnded)
	s.mustCommit("pay_1", "pro", 0, 0, refunds())
	s.wants("plan_started alice payment:pay_1 pro")
	s.mustCommit("pay_2", "pro", 0, 0, refunds())
	s.mustCommit("pay_1", "", 0, 1, refunds())
	s.wants()
	s.mustCommit("pay_2", "basic", 0, 1, refunds())
	s.wants("plan_started alice payment:pay_2 basic", "plan_ended alice payment:pay_2 pro")
	if err := s.commit("pay_2", "pro", 0, 1, refunds()); err == nil {
		t.Error("a commit by an old version")
	}
	s.wants()
	s.mustCommit("pay_2", "", 0, 2, refunds())
	s.wants("plan_ended alice payment:pay_2 basic")
}

func TestRefunds(t *testing.T) {
	s := newTelling(t, 0, notice.Refunded)
	s.mustCommit("pay_1", "", 0, 0, refunds(entitlement.RefundPending))
	s.wants()
	s.mustCommit("pay_1", "", 0, 1, refunds(entitlement.RefundSucceeded))
	s.wants("refunded alice payment:pay_1 ref_0")
	s.mustCommit("pay_1", "", 0, 2, refunds(entitlement.RefundSucceeded, entitlement.RefundSucceeded))
	s.wants("refunded alice payment:pay_1 ref_1")
	s.mustCommit("pay_2", "", 0, 0, entitlement.Payment{Status: entitlement.PaymentSucceeded, RefundedFully: true})
	s.wants("refunded alice payment:pay_2 ")
}

// An event is told of when it is parked, and when its reason changes.
func TestParked(t *testing.T) {
	s := newTelling(t, 0, notice.Parked)
	received, err := s.Receive(t.Context(), store.Delivery{Event: book.Event{ID: "msg_1", Type: "payment.succeeded", Body: []byte("{}"), State: book.EventReceived}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		reason string
		want   []string
	}{
		{"unknown_account", []string{"parked  payment:pay_1 msg_1unknown_account"}}, {"unknown_account", nil},
		{"unknown_product", []string{"parked  payment:pay_1 msg_1unknown_product"}},
	} {
		e := received.Event
		e.State, e.Reason, e.Object = book.EventParked, tt.reason, "payment:pay_1"
		if err := s.Settle(t.Context(), e, book.Retention{}); err != nil {
			t.Fatal(err)
		}
		s.wants(tt.want...)
	}
}

// What is taken back makes credits few, too.
func TestClawback(t *testing.T) {
	s := newTelling(t, 10, notice.CreditsLow)
	s.mustCommit("pay_1", "", 15, 0, refunds())
	s.wants()
	s.mustCommit("pay_1", "", 5, 1, refunds())
	s.wants("credits_low alice  ")
	s.mustCommit("pay_1", "", 3, 2, refunds())
	s.wants()
	s.mustCommit("pay_2", "", 20, 0, refunds())
	s.mustCommit("pay_2", "", 0, 1, refunds())
	s.wants("credits_low alice  ")
}

// A store writes what comes together in one step: credits run low once all the same.
func TestChargesTogether(t *testing.T) {
	s := newTelling(t, 25, notice.CreditsLow)
	for round := range int64(20) {
		s.mustCommit(fmt.Sprint("pay_", round), "", 50, 0, refunds())
		s.wants()
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				id := fmt.Sprint("hold", round, "-", i)
				held, err := s.Hold(t.Context(), book.Hold{Account: "alice", ID: id, Amount: 1, TTL: time.Minute})
				if err != nil || held.Outcome != book.HoldPlaced {
					t.Error(held.Outcome, err)
					return
				}
				if _, err := s.End(t.Context(), book.End{Account: "alice", ID: id, Captured: 1, Placed: held.Placed}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		s.wants("credits_low alice  ")
	}
}

// What nobody wants is not told.
func TestNobodyWants(t *testing.T) {
	s := newTelling(t, 10)
	s.mustCommit("pay_1", "pro", 15, 0, refunds())
	s.mustCommit("pay_1", "", 0, 1, refunds(entitlement.RefundSucceeded))
	s.wants()
}
