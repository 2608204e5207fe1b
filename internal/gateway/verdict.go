package gateway

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
)

// maxJudged is how many of the newest entries a verdict is made from.
const maxJudged = 10 * store.MaxEntries

// Verdict says in one sentence what an account can do and where its credits came from and
// went, from its standings and the entries of its ledger. It repeats figures and decides nothing.
func (a *Accounts) Verdict(ctx context.Context, account string, v Inspection) (string, error) {
	if !v.Known() {
		return account + " was never seen: no request and no purchase of it has come here.", nil
	}
	var s sums
	for before := MaxEntry; before > 0 && s.entries < maxJudged; {
		entries, next, err := a.Entries(ctx, account, before, store.MaxEntries)
		if err != nil {
			return "", err
		}
		s.add(entries)
		before = next
		s.older = next > 0
	}
	why, err := a.whyTakenBack(ctx, account, s.lastBack)
	if err != nil {
		return "", err
	}
	said := account + canDo(v)
	if parts := s.parts(why); len(parts) > 0 {
		said += ": " + strings.Join(parts, ", ")
	} else {
		said += ": nothing was ever given to it"
	}
	if s.older {
		said += fmt.Sprintf(" (of the newest %d entries)", s.entries)
	}
	return said + ".", nil
}

// canDo is what an account can spend, and which plan it has.
func canDo(v Inspection) string {
	now := v.Snapshot
	said := []string{fmt.Sprintf("can spend %s", credits(now.Credits))}
	var held, waiting int64
	var begins time.Time
	for _, g := range v.Ledger.Grants {
		held += g.Held
		if waiting += g.Waiting; g.Waiting > 0 && (begins.IsZero() || g.StartsAt.Before(begins)) {
			begins = g.StartsAt
		}
	}
	if v.Ledger.Debt > 0 {
		said = append(said, "owes "+credits(v.Ledger.Debt))
	}
	if held > 0 {
		said = append(said, "has "+credits(held)+" held by requests")
	}
	if waiting > 0 {
		said = append(said, fmt.Sprintf("gets %s more from %s on", credits(waiting), day(begins)))
	}
	switch {
	case now.Plan != entitlement.NoPlan && now.PlanExpiresAt.IsZero():
		said = append(said, fmt.Sprintf("has the plan %s (%s)", now.Plan, now.PlanStatus))
	case now.Plan != entitlement.NoPlan:
		said = append(said, fmt.Sprintf("has the plan %s (%s) until %s", now.Plan, now.PlanStatus, day(now.PlanExpiresAt)))
	case now.PlanStatus != entitlement.PlanNone:
		said = append(said, fmt.Sprintf("has no plan (%s)", now.PlanStatus))
	}
	if n := len(v.Parked); n > 0 {
		said = append(said, fmt.Sprintf("has %d parked events that wait for a decision", n))
	}
	if n := len(said); n > 1 {
		return " " + strings.Join(said[:n-1], ", ") + " and " + said[n-1]
	}
	return " " + said[0]
}

// sums are what the entries of a ledger add up to.
type sums struct {
	entries  int
	older    bool // there are more, which were not read
	byKind   map[ledger.Kind]int64
	last     map[ledger.Kind]time.Time
	grants   map[string]*granted
	lastBack ledger.Entry // the newest that took something back
}

// granted is what was given by one grant and taken back, over time. A dispute that is won gives
// again what it took.
type granted struct{ now, most int64 }

// add counts a page of entries, the newest first.
func (s *sums) add(entries []ledger.Entry) {
	if s.byKind == nil {
		s.byKind, s.last, s.grants = make(map[ledger.Kind]int64), make(map[ledger.Kind]time.Time), make(map[string]*granted)
	}
	s.entries += len(entries)
	for _, e := range entries {
		if s.last[e.Kind].IsZero() {
			s.last[e.Kind] = e.At
		}
		if e.Kind == ledger.KindClawBack && s.lastBack.Seq == 0 {
			s.lastBack = e
		}
		if e.Kind != ledger.KindGrant && e.Kind != ledger.KindClawBack {
			s.byKind[e.Kind] += e.Amount
			continue
		}
		g := s.grants[e.Grant]
		if g == nil {
			g = new(granted)
			s.grants[e.Grant] = g
		}
		// Backwards: most is the highest sum of the entries from some entry on to the end, taken
		// away from the whole, below.
		g.now += e.Amount
		g.most = min(g.most, g.now)
	}
}

// peak is the most that was given by the grant at any time, and back what is taken of that.
func (g *granted) peak() (most, back int64) { return g.now - g.most, -g.most }

// origins are where grants come from, by how their names begin.
var origins = []struct{ prefix, how string }{
	{"payment:", "bought"}, {"subscription:", "bought"}, {signupGrant, "given at sign-up"},
	{string(entitlement.KindImport) + ":", "imported"}, {string(entitlement.KindAct) + ":", "given by an operator"}, {"", "given"},
}

// parts say where credits came from and went. back is how they were taken back.
func (s *sums) parts(back string) []string {
	given := make(map[string]int64)
	var taken int64
	for name, g := range s.grants {
		most, undone := g.peak()
		taken += undone
		for _, o := range origins {
			if strings.HasPrefix(name, o.prefix) {
				given[o.how] += most
				break
			}
		}
	}
	var said []string
	told := make(map[string]bool)
	for _, o := range origins {
		n := given[o.how]
		if n == 0 || told[o.how] {
			continue
		}
		told[o.how] = true
		were := ""
		if len(said) == 0 {
			were = "were "
			if n == 1 {
				were = "was "
			}
		}
		said = append(said, fmt.Sprintf("%d %s%s", n, were, o.how))
	}
	if taken > 0 {
		said = append(said, fmt.Sprintf("%d %s on %s", taken, back, day(s.last[ledger.KindClawBack])))
	}
	for _, row := range []struct {
		kind ledger.Kind
		how  string
	}{
		{ledger.KindCapture, "spent"}, {ledger.KindExpire, "expired"}, {ledger.KindTake, "taken by an operator"}, {ledger.KindWaive, "waived"},
	} {
		if n := s.byKind[row.kind]; n != 0 {
			said = append(said, fmt.Sprintf("%d %s", max(n, -n), row.how))
		}
	}
	return said
}

// whyTakenBack says how the credits of an entry were taken back.
func (a *Accounts) whyTakenBack(ctx context.Context, account string, e ledger.Entry) (string, error) {
	const unsaid = "taken back"
	object, _, _ := strings.Cut(e.Grant, "/")
	ref, ok := entitlement.ParseRef(object)
	if !ok {
		return unsaid, nil
	}
	r, err := a.record(ctx, account, ref)
	if err != nil {
		return "", err
	}
	payments := []entitlement.Payment{r.Payment}
	for _, p := range r.Subscription.Charges {
		payments = append(payments, p)
	}
	how := unsaid
	for _, p := range payments {
		if len(p.Disputes) > 0 {
			how = "disputed"
		}
	}
	for _, p := range payments {
		if p.RefundedFully || len(p.Refunds) > 0 {
			return "refunded", nil
		}
	}
	return how, nil
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

func credits(n int64) string {
	if n == 1 {
		return "1 credit"
	}
	return fmt.Sprintf("%d credits", n)
}
