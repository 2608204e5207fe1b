package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"pgregory.net/rapid"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
)

// The model check tells random stories of one account to a store and to package
// ledger, and compares all that can be read after each step; make model tells
// long ones. Any of these bugs, planted into either store, makes it fail:
//
//   - a release that gives credits back to another grant than they came from
//   - a claw-back that takes what was spent from what is held, too
//   - debt that is paid only at the next commit, not at once
//   - a hold that ends twice, or is captured after it ran out
//   - burning the oldest grant before the one that expires first
//   - what lapsed stays lost when the expiry moves
//   - what waits is spent, owed or counted before its time, or not begun at it
//   - what was forgiven of a grant is forgotten when another gives its credits
var modelTests = []test{
	{"random steps are those of package ledger", func(r *rig) {
		steps := 0
		rapid.Check(r.T, func(t *rapid.T) {
			m := newModel(r)
			t.Repeat(map[string]func(*rapid.T){
				"commit": m.commit, "fact": m.fact, "hold": m.hold, "hold ": m.hold, "renew": m.renew, "capture": m.capture, "release": m.release,
				"act": m.act, "clock": m.moveClock, "": func(t *rapid.T) { steps++; m.check(t) },
			})
			m.checkAll(t)
		})
		r.Logf("%d steps", steps)
	}},
}

var accountsMade atomic.Int64

// model is one account as package ledger says that it should be.
type model struct {
	rig       *rig
	name      string
	latest    time.Time // that the clock ever showed
	rev       int64
	ledger    ledger.Account
	entries   []ledger.Entry
	audited   int              // of entries
	balance   int64            // what these add up to
	given     map[string]int64 // by grant: given less taken back
	objects   map[entitlement.Ref]book.Object
	standings map[string]entitlement.Standing
	holds     map[string]modelHold        // what is known beside the ledger
	handed    map[string]*book.PlacedHold // the last of each id
	setBack   int                         // how often the clock went back
	placed    int                         // ids given out
	callers   int
}

// modelHold is what is known of a hold, also after its end.
type modelHold struct {
	by, fingerprint string
	ended           bool
	captured        int64
	receipt         string
	until           time.Time // the last one that ended is remembered
	setBack, behind int       // of the model, when it ended: setBack, and how many entries
}

func newModel(r *rig) *model {
	return &model{
		rig: r, name: fmt.Sprint("acc_", accountsMade.Add(1)), latest: r.clock.Now(),
		given:   map[string]int64{},
		objects: map[entitlement.Ref]book.Object{}, standings: map[string]entitlement.Standing{},
		holds: map[string]modelHold{}, handed: map[string]*book.PlacedHold{},
	}
}

// drawPlaced is the hold as its caller was handed it, or nothing, as of a caller who lost it.
func (m *model) drawPlaced(t *rapid.T, id string) *book.PlacedHold {
	if rapid.IntRange(0, 3).Draw(t, "knows the hold") == 0 {
		return nil
	}
	return m.handed[id]
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
	if rapid.IntRange(0, 2).Draw(t, "waits") == 0 {
		target.StartsAt = m.rig.now().Add(time.Duration(rapid.Int64Range(-2, 40).Draw(t, "starts in")) * time.Minute)
	}
	if rapid.IntRange(0, 3).Draw(t, "another gives it") == 0 {
		target.Into = drawGrant.Draw(t, "into")
	}
	return target
}

func (m *model) drawCommit(t *rapid.T) book.Commit {
	c := book.Commit{
		Account: m.name, Object: drawObject.Draw(t, "object"), Cause: rapid.SampledFrom([]string{"", "evt_1", "evt 2"}).Draw(t, "cause"),
		State:  rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "state"),
		Effect: entitlement.Effect{Grants: rapid.SliceOfN(rapid.Custom(m.drawTarget), 0, 4).Draw(t, "targets")},
	}
	c.Policy = rapid.SampledFrom([]ledger.Policy{"", ledger.PolicyDebt, ledger.PolicyFloor}).Draw(t, "policy")
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
	if c.Version == m.objects[c.Object].Version {
		m.commitOf(t, c)
		return
	}
	if _, err := m.rig.Commit(m.rig.ctx(), c); !errors.Is(err, store.ErrConflict) {
		t.Fatalf("commit at a wrong version: %v", err)
	}
}

func (m *model) wrote(next ledger.Account, entries []ledger.Entry) {
	m.ledger, m.entries = next, append(m.entries, entries...)
}

// drawHold names a hold: mostly one that runs, else one that is remembered, or a
// new one. One that some stores may have forgotten is left alone: the clock was
// past its time once and went back.
func (m *model) drawHold(t *rapid.T, fresh int) string {
	now := m.rig.clock.Now()
	var known []string
	for id, h := range m.holds {
		if !now.Before(h.until) || m.latest.Before(h.until) {
			known = append(known, id)
		}
	}
	slices.Sort(known)
	if len(known) == 0 || rapid.IntRange(0, 9).Draw(t, "which") < fresh {
		m.placed++
		return fmt.Sprint("h", m.placed)
	}
	// The last ones are the likeliest to run.
	known = known[max(0, len(known)-8):]
	return rapid.SampledFrom(known).Draw(t, "hold")
}

// runs reports whether a hold has neither ended nor run out.
func (m *model) runs(id string) bool {
	h, ok := m.ledger.Holds[id]
	return ok && !h.Expired(m.rig.clock.Now().Truncate(time.Millisecond))
}

func (m *model) hold(t *rapid.T) {
	available := m.ledger.Available(m.rig.clock.Now())
	id := m.drawHold(t, 8)
	known, used := m.holds[id]
	by := known.by
	if rapid.Bool().Draw(t, "own") || used && by == "" {
		m.placed++
		id, by = fmt.Sprint("own", m.placed), ""
	} else if !used || known.ended && !m.rig.clock.Now().Before(known.until) || rapid.Bool().Draw(t, "another") {
		m.callers++
		by = fmt.Sprint("by", m.callers)
	}
	m.holdAs(t, book.Hold{
		ID: id, By: by, Fingerprint: rapid.SampledFrom([]string{"", "", "", "f"}).Draw(t, "fingerprint"),
		Amount: rapid.OneOf(rapid.Int64Range(0, 20), rapid.Int64Range(0, min(available+1, most)), rapid.Int64Range(-1, most+1)).Draw(t, "amount"),
		TTL:    time.Duration(rapid.Int64Range(1, 20*60_000).Draw(t, "ttl")) * time.Millisecond,
	})
}

// renew asks for a hold again, as a caller that is still at work.
func (m *model) renew(t *rapid.T) {
	id := m.drawHold(t, 0)
	m.holdAs(t, book.Hold{ID: id, By: m.holds[id].by, Fingerprint: m.holds[id].fingerprint, TTL: time.Hour, Renew: true})
}

func (m *model) holdAs(t *rapid.T, h book.Hold) {
	h.Account = m.name
	got, err := m.rig.Hold(m.rig.ctx(), h)
	now := m.rig.clock.Now()
	next, entries, outcome, wantErr := m.ledger.Hold(h.ID, h.Amount, now.Add(h.TTL), now)
	if wantErr != nil {
		if !errors.Is(err, ledger.ErrRange) {
			t.Fatalf("hold: %v, want %v", err, wantErr)
		}
		return
	}
	if err != nil {
		t.Fatalf("hold: %v", err)
	}
	known, runs := m.holds[h.ID], m.runs(h.ID)
	remembered := known.ended && now.Before(known.until) && (known.captured > 0 || known.by == h.By)
	want := book.Held{Outcome: book.HoldPlaced}
	switch {
	case (runs || remembered) && known.fingerprint != h.Fingerprint:
		want.Outcome = book.HoldMismatched
	case runs && known.by != h.By:
		want.Outcome = book.HoldRunning
	case !runs && h.Renew:
		want.Outcome = book.HoldGone
	case !runs && remembered:
		want = book.Held{Outcome: book.HoldFinished, Captured: known.captured, Receipt: []byte(known.receipt)}
	case outcome == ledger.Insufficient:
		want.Outcome = book.HoldRefused
	default:
		m.wrote(next, entries)
		m.holds[h.ID] = modelHold{by: h.By, fingerprint: h.Fingerprint, until: known.until}
	}
	if got.Outcome != want.Outcome || got.Captured != want.Captured || string(got.Receipt) != string(want.Receipt) {
		t.Fatalf("hold %+v: got %+v, want %+v", h, got, want)
	}
	if got.Placed != nil {
		m.handed[h.ID] = got.Placed
	}
	m.checkAnswer(t, got.Account)
}

func (m *model) capture(t *rapid.T) {
	id := m.drawHold(t, 1)
	held := m.ledger.Holds[id].Amount()
	m.end(t, id, rapid.OneOf(rapid.Just(held), rapid.Int64Range(-1, min(held+1, most+1))).Draw(t, "captured"))
}

func (m *model) release(t *rapid.T) { m.end(t, m.drawHold(t, 1), 0) }

func (m *model) end(t *rapid.T, id string, captured int64) {
	e := book.End{Account: m.name, ID: id, By: m.holds[id].by, Captured: captured, Placed: m.drawPlaced(t, id)}
	if rapid.IntRange(0, 9).Draw(t, "stranger") == 0 {
		e.By += "?"
	}
	if rapid.Bool().Draw(t, "keep") {
		e.Keep = time.Duration(rapid.IntRange(0, 120).Draw(t, "minutes")) * time.Minute
		e.Receipt = rapid.SliceOfN(rapid.Byte(), 0, 5).Draw(t, "receipt")
	}
	got, err := m.rig.End(m.rig.ctx(), e)
	now, known := m.rig.clock.Now(), m.holds[id]
	runs, mine := m.runs(id), known.by == e.By
	next, entries, _, wantErr := m.ledger.End(id, captured, now)
	if captured < 0 || captured > most || runs && mine && wantErr != nil {
		if !errors.Is(err, ledger.ErrRange) {
			t.Fatalf("end: %v, want %v", err, wantErr)
		}
		return
	}
	if err != nil {
		t.Fatalf("end: %v", err)
	}
	hidden := m.setBack > known.setBack && len(m.entries)-known.behind >= 100
	want := book.Ended{}
	switch {
	case mine && e.By == "" && known.ended && (known.captured == 0 || !now.Before(known.until) || hidden):
		want.Found = got.Found // it may be remembered
		if got.Found {
			want.Captured = known.captured
		}
	case runs && mine:
		want.Found, want.Captured = true, captured
		m.wrote(next, entries)
		known = modelHold{
			by: e.By, fingerprint: known.fingerprint, ended: true, captured: captured, until: now.Add(book.Recently),
			setBack: m.setBack, behind: len(m.entries),
		}
		if captured > 0 {
			known.receipt, known.until = string(e.Receipt), now.Add(max(e.Keep, book.Recently))
		}
		m.holds[id] = known
	case !runs && known.ended && mine && now.Before(known.until):
		want.Found, want.Captured = true, known.captured
	}
	if got.Found != want.Found || got.Captured != want.Captured {
		t.Fatalf("end %+v: got %+v, want %+v", e, got, want)
	}
	m.checkAnswer(t, got.Account)
}

// moveClock mostly goes on, and at times back, as clocks do.
func (m *model) moveClock(t *rapid.T) {
	by := rapid.OneOf(rapid.Int64Range(0, 5_000), rapid.Int64Range(0, 3_600_000), rapid.Int64Range(-60_000, 0)).Draw(t, "milliseconds")
	m.rig.clock.Move(time.Duration(by) * time.Millisecond)
	if by < 0 {
		m.setBack++
	}
	if now := m.rig.clock.Now(); now.After(m.latest) {
		m.latest = now
	}
}

// counted are the grants that stores show.
func counted(grants ledger.Grants) ledger.Grants {
	shown := ledger.Grants{}
	for _, g := range grants {
		if g.Open() {
			shown.Put(g)
		}
	}
	return shown
}

// checkAnswer checks the account that comes with an answer.
func (m *model) checkAnswer(t *rapid.T, a entitlement.Account) {
	t.Helper()
	if a.Rev < m.rev {
		t.Fatalf("rev %d after %d", a.Rev, m.rev)
	}
	m.rev = a.Rev
	m.checkLedger(t, a)
}

func (m *model) checkLedger(t *rapid.T, a entitlement.Account) {
	t.Helper()
	now := m.rig.clock.Now().Truncate(time.Millisecond)
	if a.Ledger.Seq != m.ledger.Seq || a.Ledger.Debt != m.ledger.Debt || !reflect.DeepEqual(counted(a.Ledger.Grants), counted(m.ledger.Grants)) {
		t.Fatalf("account:\n got %+v\nwant %+v", a, m.ledger)
	}
	if got, want := a.Ledger.Available(now), m.ledger.Available(now); got != want {
		t.Fatalf("%d available, want %d", got, want)
	}
	var until time.Time
	for _, h := range m.ledger.Holds {
		if !h.Expired(now) && (until.IsZero() || h.ExpiresAt.Before(until)) {
			until = h.ExpiresAt
		}
	}
	if !until.IsZero() && (a.HeldUntil.IsZero() || a.HeldUntil.After(until)) || !a.HeldUntil.IsZero() && !a.HeldUntil.After(now) {
		t.Fatalf("held until %v, want %v", a.HeldUntil, until)
	}
}

// check compares the account and the entries of the last step, and holds them to
// the invariants.
func (m *model) check(t *rapid.T) {
	a, err := m.rig.Account(m.rig.ctx(), m.name)
	if err != nil {
		t.Fatal(err)
	}
	m.checkAnswer(t, a)
	if !reflect.DeepEqual(a.Standings, m.standings) {
		t.Fatalf("standings:\n got %+v\nwant %+v", a.Standings, m.standings)
	}
	after := max(0, m.audited-1)
	last, err := m.rig.Entries(m.rig.ctx(), m.name, store.Page{After: int64(after), Limit: len(m.entries) - after + 1})
	if err != nil || len(last)+len(m.entries) > 0 && !reflect.DeepEqual(last, m.entries[after:]) {
		t.Fatalf("last entries, %v:\n got %+v\nwant %+v", err, last, m.entries[after:])
	}
	m.audit(t, a.Ledger)
}

// audit holds the account to what the entries add up to, and those of each grant
// to taking no more back than was given.
func (m *model) audit(t *rapid.T, a ledger.Account) {
	for _, e := range m.entries[m.audited:] {
		m.balance += e.Amount
		switch e.Kind {
		case ledger.KindGrant, ledger.KindClawBack, ledger.KindWaive:
			m.given[e.Grant] += e.Amount
		}
		if e.Balance != m.balance || m.balance > most || m.balance < -2*most || m.given[e.Grant] < 0 {
			t.Fatalf("entry %+v, the amounts so far add up to %d, %d of its grant", e, m.balance, m.given[e.Grant])
		}
	}
	m.audited = len(m.entries)
	// A grant that began since the last change pays the debt with the next one.
	waiting := slices.ContainsFunc(a.Grants, func(g ledger.Grant) bool { return g.Waiting > 0 })
	if a.Balance() != m.balance || a.Debt < 0 || a.Debt > 0 && len(a.Holds) == 0 && !waiting && a.Available(m.rig.clock.Now()) > 0 {
		t.Fatalf("account %+v, the entries add up to %d", a, m.balance)
	}
	for _, g := range a.Grants {
		for _, n := range []int64{g.Amount, g.Left, g.Held, g.Waiting, g.Lapsed, g.Waived} {
			if n < 0 || n > most {
				t.Fatalf("grant %s is out of range: %+v", g.ID, g)
			}
		}
	}
}

// checkAll compares everything that can be read.
func (m *model) checkAll(t *rapid.T) {
	limit := rapid.IntRange(1, 7).Draw(t, "page")
	var all []ledger.Entry
	for {
		page, err := m.rig.Entries(m.rig.ctx(), m.name, store.Page{After: int64(len(all)), Limit: limit})
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
