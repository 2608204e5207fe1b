package storetest

import (
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
)

const most = ledger.Max

var rangeTests = []test{
	{"2^53-1 is exact", story(
		step{targets: targets(forever("a", most-1)), want: []line{{grant, "a", most - 1, most - 1}}, left: map[string]int64{"a": most - 1}},
		step{targets: targets(forever("a", most)), want: []line{{grant, "a", 1, most}}, left: map[string]int64{"a": most}},
		step{targets: targets(forever("a", 1)), want: []line{{back, "a", 1 - most, 1}}, left: map[string]int64{"a": 1}},
		step{targets: targets(forever("a", most-2)), want: []line{{grant, "a", most - 3, most - 2}}, left: map[string]int64{"a": most - 2}},
	)},
	{"round decimals stay digits", story(
		step{targets: targets(forever("a", 1e15)), want: []line{{grant, "a", 1e15, 1e15}}, left: map[string]int64{"a": 1e15}},
		step{targets: targets(forever("b", 1e14)), want: []line{{grant, "b", 1e14, 1.1e15}}, left: map[string]int64{"a": 1e15, "b": 1e14}},
		step{targets: targets(forever("a", 0)), want: []line{{back, "a", -1e15, 1e14}}, left: map[string]int64{"b": 1e14}},
	)},
	{"amounts outside", func(r *rig) {
		for _, amount := range []int64{-1, most + 1, most + 2, 1 << 54, 1e17, 1 << 62, math.MaxInt64, math.MinInt64, -most} {
			r.Run(strconv.FormatInt(amount, 10), story(
				step{targets: targets(forever("a", amount)), err: ledger.ErrRange},
				step{targets: targets(forever("a", 0), forever("b", amount)), err: ledger.ErrRange},
			))
		}
	}},
	{"the sum of several grants", story(
		step{targets: targets(forever("a", most-2), forever("b", 1), forever("c", 1)),
			want: []line{{grant, "a", most - 2, most - 2}, {grant, "b", 1, most - 1}, {grant, "c", 1, most}},
			left: map[string]int64{"a": most - 2, "b": 1, "c": 1}},
		step{targets: targets(forever("d", 1)), err: ledger.ErrRange},
		step{targets: targets(forever("d", most)), err: ledger.ErrRange},
		step{targets: targets(forever("b", 2)), err: ledger.ErrRange},
	)},
	{"room that a claw-back makes counts from then on", story(
		step{targets: targets(forever("a", most)), want: []line{{grant, "a", most, most}}, left: map[string]int64{"a": most}},
		step{targets: targets(forever("b", 1), forever("a", 0)), err: ledger.ErrRange},
		step{targets: targets(forever("a", 0), forever("b", most)),
			want: []line{{back, "a", -most, 0}, {grant, "b", most, most}}, left: map[string]int64{"b": most}},
	)},
	{"room that a lapse makes counts", story(
		step{targets: targets(until(time.Hour, "a", most)), want: []line{{grant, "a", most, most}}, left: map[string]int64{"a": most}},
		step{targets: targets(forever("b", 1)), err: ledger.ErrRange},
		step{wait: time.Hour, targets: targets(forever("b", most)),
			want: []line{{lapse, "a", -most, 0}, {grant, "b", most, most}}, left: map[string]int64{"b": most}},
	)},
	{"what is expired but given in the same commit fills the range", story(
		step{targets: targets(until(-time.Hour, "a", most), forever("b", 1)), err: ledger.ErrRange},
	)},
	{"what is owed makes no room in a grant of which something is left", func(r *rig) {
		soon := func(amount int64) ledger.Target { return until(time.Hour, "soon", amount) }
		r.give("acc", "p", forever("a", 1001))
		r.placed("h", 1001)
		r.take("p", ledger.PolicyDebt, forever("a", 2))
		r.give("acc", "q", forever("b", 999)) // pays for a
		r.end("h", 0)
		r.give("acc", "s", soon(5000))
		r.spend("i", 5000)
		before := r.account("acc")
		same(r, "left", left(before), map[string]int64{"a": 1001})
		c := book.Commit{Account: "acc", Object: payment("t"), Policy: ledger.PolicyDebt}
		c.Effect = entitlement.Effect{Grants: targets(soon(0), forever("a", most-1))}
		if _, err := r.Commit(r.ctx(), c); !errors.Is(err, ledger.ErrRange) {
			r.Fatalf("commit: %v", err)
		}
		same(r, "account", r.account("acc"), before)
		c.Effect = entitlement.Effect{Grants: targets(soon(0), forever("a", most-1001))}
		r.commit(c)
		same(r, "left", left(r.account("acc")), map[string]int64{"a": most - 1001 - 2 + 1001 - 5000})
		r.audit("acc")
	}},
	{"an error undoes the targets before it and the lapses", story(
		step{targets: targets(until(time.Hour, "a", 5), forever("b", 5)), want: []line{{grant, "a", 5, 5}, {grant, "b", 5, 10}},
			left: map[string]int64{"a": 5, "b": 5}},
		step{wait: time.Hour, targets: targets(forever("b", 1), forever("c", 1), forever("d", most+1)), err: ledger.ErrRange},
		step{targets: targets(forever("b", 5)), want: []line{{lapse, "a", -5, 5}}, left: map[string]int64{"b": 5}},
	)},
	{"an error leaves state, standing and order", func(r *rig) {
		r.createOpened("acc", "ord_1")
		c := book.Commit{
			Account: "acc", Object: payment("pay_1"), State: []byte(`{"n":1}`),
			Effect: entitlement.Effect{Standing: entitlement.Standing{Paid: true, PaidAt: start}},
		}
		r.commit(c)
		before, object := r.account("acc"), r.object("acc", c.Object)
		c.Version, c.State = 1, []byte(`{"n":2}`)
		c.Effect = entitlement.Effect{Grants: targets(forever("a", 1), forever("b", most))}
		c.Order = &book.OrderResult{ID: "ord_1", State: book.OrderPaid, PaymentID: "pay_1"}
		if _, err := r.Commit(r.ctx(), c); !errors.Is(err, ledger.ErrRange) {
			r.Fatalf("commit: %v", err)
		}
		same(r, "account", r.account("acc"), before)
		same(r, "object", r.object("acc", c.Object), object)
		same(r, "order's state", r.order("acc", "ord_1").State, book.OrderOpen)
		same(r, "order's payment", r.order("acc", "ord_1").PaymentID, "")
	}},
}
