package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"
	"time"

	"pgregory.net/rapid"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
)

var modelTests = []test{
	{"random commits are those of package ledger", func(r *rig) {
		rapid.Check(r.T, func(t *rapid.T) {
			m := newModel(r)
			t.Repeat(map[string]func(*rapid.T){"commit": m.commit, "clock": m.moveClock, "": m.check})
		})
	}},
}

var accountsMade atomic.Int64

// model is one account as package ledger says that it should be.
type model struct {
	rig       *rig
	name      string
	ledger    ledger.Account
	entries   []ledger.Entry
	objects   map[entitlement.Ref]store.Object
	standings map[string]entitlement.Standing
}

func newModel(r *rig) *model {
	return &model{
		rig: r, name: fmt.Sprint("acc_", accountsMade.Add(1)), ledger: ledger.Account{Grants: map[string]ledger.Grant{}},
		objects: map[entitlement.Ref]store.Object{}, standings: map[string]entitlement.Standing{},
	}
}

var (
	drawObject = rapid.Custom(func(t *rapid.T) entitlement.Ref {
		return payment(rapid.SampledFrom([]string{"a", "b", "{c}"}).Draw(t, "object"))
	})
	// drawAmount is mostly small, sometimes at the edges, at times beyond them.
	drawAmount = rapid.OneOf(
		rapid.Int64Range(0, 10), rapid.Int64Range(0, 1000), rapid.Int64Range(0, 1000),
		rapid.Int64Range(most/2, most), rapid.Int64Range(most-3, most+3), rapid.Int64Range(0, most), rapid.Int64(),
	)
	drawGrant = rapid.SampledFrom([]string{"a", "A", "a/1", "aa", "b", "é", "\xff", "a b:c"})
)

// drawTarget gives times that lie around the clock's, so that some grants
// arrive expired and others expire as it moves.
func (m *model) drawTarget(t *rapid.T) ledger.Target {
	target := ledger.Target{ID: drawGrant.Draw(t, "grant"), Amount: drawAmount.Draw(t, "amount")}
	if minutes := rapid.Int64Range(-2, 30).Draw(t, "expires in"); minutes != 0 {
		target.ExpiresAt = m.rig.now().Add(time.Duration(minutes) * time.Minute)
	}
	if minutes := rapid.Int64Range(0, 3).Draw(t, "created before"); minutes != 0 {
		target.CreatedAt = m.rig.now().Add(-time.Duration(minutes) * time.Minute)
	}
	return target
}

func (m *model) drawCommit(t *rapid.T) store.Commit {
	c := store.Commit{
		Account: m.name, Object: drawObject.Draw(t, "object"), Cause: rapid.SampledFrom([]string{"", "evt_1", "evt 2"}).Draw(t, "cause"),
		State:  rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "state"),
		Effect: entitlement.Effect{Grants: rapid.SliceOfN(rapid.Custom(m.drawTarget), 0, 4).Draw(t, "targets")},
	}
	c.Version = m.objects[c.Object].Version
	if rapid.IntRange(0, 9).Draw(t, "stale") == 0 {
		c.Version += rapid.SampledFrom([]int64{-1, 1}).Draw(t, "by")
	}
	switch rapid.IntRange(0, 2).Draw(t, "standing") {
	case 1:
		c.Effect.Standing.Paid = true
	case 2:
		c.Effect.Standing = entitlement.Standing{PaidAt: m.rig.now(), Passes: []entitlement.Pass{{Plan: "pro", PaidAt: m.rig.now(), Lasts: time.Hour}}}
	}
	return c
}

func (m *model) commit(t *rapid.T) {
	c := m.drawCommit(t)
	got, err := m.rig.Commit(m.rig.ctx(), c)
	if c.Version != m.objects[c.Object].Version {
		if !errors.Is(err, store.ErrConflict) {
			t.Fatalf("commit at a wrong version: %v", err)
		}
		return
	}
	next, want, wantErr := m.ledger.Apply(c.Effect.Grants, c.Cause, m.rig.clock.Now())
	if wantErr != nil {
		if !errors.Is(err, ledger.ErrRange) {
			t.Fatalf("commit: %v, want %v", err, wantErr)
		}
		return
	}
	if err != nil {
		t.Fatalf("commit: %v", err)
	}
	if len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
		t.Fatalf("entries:\n got %+v\nwant %+v", got, want)
	}
	m.ledger, m.entries = next, append(m.entries, want...)
	m.objects[c.Object] = store.Object{Version: c.Version + 1, State: c.State}
	m.standings[c.Object.String()] = c.Effect.Standing
	if c.Effect.Standing.IsZero() {
		delete(m.standings, c.Object.String())
	}
}

// moveClock mostly goes on, and at times back, as clocks do.
func (m *model) moveClock(t *rapid.T) {
	by := rapid.OneOf(rapid.Int64Range(0, 5_000), rapid.Int64Range(0, 3_600_000), rapid.Int64Range(-60_000, 0)).Draw(t, "milliseconds")
	m.rig.clock.Move(time.Duration(by) * time.Millisecond)
}

// check compares everything that can be read.
func (m *model) check(t *rapid.T) {
	a, err := m.rig.Account(m.rig.ctx(), m.name)
	if err != nil {
		t.Fatal(err)
	}
	want := make(map[string]ledger.Grant)
	for id, g := range m.ledger.Grants {
		if g.Left > 0 {
			want[id] = g
		}
	}
	if a.Ledger.Seq != m.ledger.Seq || !reflect.DeepEqual(a.Ledger.Grants, want) || !reflect.DeepEqual(a.Standings, m.standings) {
		t.Fatalf("account:\n got %+v\nwant %+v with seq %d and %+v", a, want, m.ledger.Seq, m.standings)
	}
	limit := rapid.IntRange(1, 7).Draw(t, "page")
	var all []ledger.Entry
	for {
		page, err := m.rig.Entries(m.rig.ctx(), m.name, int64(len(all)), limit)
		if err != nil {
			t.Fatal(err)
		}
		if all = append(all, page...); len(page) < limit {
			break
		}
	}
	if len(all)+len(m.entries) > 0 && !reflect.DeepEqual(all, m.entries) {
		t.Fatalf("ledger:\n got %+v\nwant %+v", all, m.entries)
	}
	for ref, object := range m.objects {
		o, err := m.rig.Object(m.rig.ctx(), m.name, ref)
		if err != nil || o.Version != object.Version || string(o.State) != string(object.State) {
			t.Fatalf("object %s: got %+v, %v, want %+v", ref, o, err, object)
		}
	}
}
