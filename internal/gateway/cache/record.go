package cache

import (
	"strconv"
	"time"

	"github.com/dodogate/dodogate/internal/bytecache"
	"github.com/dodogate/dodogate/internal/entitlement"
)

// An entry is written as
//
//	flags rev number life from settled [heard known] #balance balance #standing standing
//
// with heard and known only if it is outdated. Both timelines begin with the number of their steps,
// and each step with its end. Of the steps that hold at an instant, one of each, a view is made.

const isOutdated = 1 // in flags

// common are the texts that most entries have.
var common = []string{
	"", "0", "1", "true", "false", entitlement.NoPlan,
	string(entitlement.PlanActive), string(entitlement.PlanTrialing), string(entitlement.PlanPastDue), string(entitlement.PlanOnHold),
	string(entitlement.PlanPaused), string(entitlement.PlanCancelled), string(entitlement.PlanExpired),
}

func (e *entry) record() []byte {
	r := bytecache.Record{Bytes: make([]byte, 0, 64+len(e.balance)+len(e.standing))}
	flags := uint64(0)
	if e.outdated {
		flags = isOutdated
	}
	r.Uint(flags)
	r.Int(e.rev)
	r.Uint(e.number)
	r.Int(e.life)
	r.Int(e.from.UnixMilli())
	r.Uint(e.settled)
	if e.outdated {
		r.Int(e.heard)
		r.Int(e.known.UnixMilli())
	}
	for _, timeline := range []string{e.balance, e.standing} {
		r.Uint(uint64(len(timeline)))
		r.Bytes = append(r.Bytes, timeline...)
	}
	return r.Padded()
}

func readEntry(record string) (e entry, ok bool) {
	r := bytecache.Reader{Left: record}
	flags := r.Uint()
	e.rev, e.number, e.life = r.Int(), r.Uint(), r.Int()
	e.from = time.UnixMilli(r.Int())
	e.settled = r.Uint()
	e.heard, e.known = e.rev, e.from
	if e.outdated = flags&isOutdated != 0; e.outdated {
		e.heard, e.known = r.Int(), time.UnixMilli(r.Int())
	}
	e.balance = r.Raw(r.Count())
	e.standing = r.Raw(r.Count())
	return e, !r.Bad
}

// balanceOf writes the steps "until credits debt", where credits are in decimal digits.
func (c *Cache) balanceOf(a entitlement.Account, now time.Time) string {
	a.Standings = nil
	var r bytecache.Record
	steps := 0
	c.timeline(&a, now, func(at time.Time) time.Time {
		s, until := a.SnapshotUntil(at, c.Ranking)
		r.Time(until)
		r.Text(strconv.FormatInt(s.Credits, 10), nil)
		r.Int(s.Debt)
		steps++
		return until
	})
	return counted(steps, &r)
}

// counted is a timeline behind the number of its steps.
func counted(steps int, r *bytecache.Record) string {
	return string([]byte{byte(steps)}) + string(r.Bytes)
}

// What a step says of an account with a bit.
const (
	isSubscribed = 1 << iota
	hasPaid
)

// What a step says of a doubt with a bit.
const (
	isUntold = 1 << iota
	isOver
	isOwed
)

// standingOf writes the steps "until flags plans payment-date features seats doubts words". Of an
// account without a plan, its status and end follow the plans.
func (c *Cache) standingOf(account string, a entitlement.Account, now time.Time) string {
	a.Ledger.Grants, a.Ledger.Holds, a.Ledger.Debt, a.HeldUntil = nil, nil, 0, time.Time{}
	var r bytecache.Record
	r.Refer(account)
	steps := 0
	c.timeline(&a, now, func(at time.Time) time.Time {
		s, until := a.SnapshotUntil(at, c.Ranking)
		r.Time(until)
		writeStanding(&r, &s)
		writeDoubts(&r, a.Doubts(at))
		var words []string
		if c.Words != nil {
			words = c.Words(account, s)
		}
		writeTexts(&r, words)
		steps++
		return until
	})
	return counted(steps, &r)
}

func writeStanding(r *bytecache.Record, s *entitlement.Snapshot) {
	r.Uint(bit(s.Subscribed, isSubscribed) | bit(s.HasPaid, hasPaid))
	r.Uint(uint64(len(s.Plans)))
	for _, p := range s.Plans {
		r.Text(p.Name, common)
		r.Text(string(p.Status), common)
		r.Time(p.ExpiresAt)
	}
	if len(s.Plans) == 0 {
		r.Text(string(s.PlanStatus), common)
		r.Time(s.PlanExpiresAt)
	}
	r.Time(s.PaymentDate)
	writeTexts(r, s.Features)
	r.Int(s.Seats)
}

func writeTexts(r *bytecache.Record, texts []string) {
	r.Uint(uint64(len(texts)))
	for _, text := range texts {
		r.Text(text, common)
	}
}

func writeDoubts(r *bytecache.Record, doubts []entitlement.Doubt) {
	r.Uint(uint64(len(doubts)))
	for _, d := range doubts {
		r.Text(d.Subscription, common)
		r.Time(d.Since)
		r.Uint(bit(d.Untold, isUntold) | bit(d.Over, isOver) | bit(d.Owed, isOwed))
	}
}

func bit(set bool, as uint64) uint64 {
	if set {
		return as
	}
	return 0
}

// viewRoom is a view with room for what most views have.
type viewRoom struct {
	View
	words [10]string
	plans [1]entitlement.Plan
}

// view is what an entry says at an instant, that of its reading if now is zero; nil when it is
// beyond what was foreseen.
func (c *Cache) view(account string, e *entry, now time.Time) *View {
	room := new(viewRoom)
	v := &room.View
	balance, known := readBalance(e.balance, v, now)
	if !known {
		return nil
	}
	standing, known := readStandings(account, e.standing, room, now)
	if !known {
		return nil
	}
	v.cache, v.account, v.number = c, account, e.number
	v.step = uint64(balance*maxSteps + standing + 1)
	v.settled = e.settled == v.step
	return v
}

func readBalance(timeline string, v *View, now time.Time) (step int, known bool) {
	r := bytecache.Reader{Left: timeline}
	for step := range r.Count() {
		until := r.Time()
		v.credits = r.Text(nil)
		v.Debt = r.Int()
		if until.IsZero() || now.Before(until) {
			var err error
			v.Credits, err = strconv.ParseInt(v.credits, 10, 64)
			return step, err == nil && !r.Bad
		}
	}
	return 0, false
}

func readStandings(account, timeline string, room *viewRoom, now time.Time) (step int, known bool) {
	r := bytecache.Reader{Left: timeline}
	steps := r.Count()
	r.Refer(account)
	v := &room.View
	for step := range steps {
		until := r.Time()
		readStanding(&r, room)
		v.Doubts = readDoubts(&r)
		v.words = readTexts(&r, room.words[:0])
		if until.IsZero() || now.Before(until) {
			return step, !r.Bad
		}
	}
	return 0, false
}

func readStanding(r *bytecache.Reader, room *viewRoom) {
	s := &room.Snapshot
	flags := r.Uint()
	s.Subscribed, s.HasPaid = flags&isSubscribed != 0, flags&hasPaid != 0
	plans := r.Count()
	if s.Plans = nil; plans > 0 {
		s.Plans = room.plans[:0]
	}
	for range plans {
		s.Plans = append(s.Plans, entitlement.Plan{
			Name: r.Text(common), Status: entitlement.PlanStatus(r.Text(common)), ExpiresAt: r.Time(),
		})
	}
	if plans > 0 {
		s.Plan, s.PlanStatus, s.PlanExpiresAt = s.Plans[0].Name, s.Plans[0].Status, s.Plans[0].ExpiresAt
	} else {
		s.Plan, s.PlanStatus, s.PlanExpiresAt = entitlement.NoPlan, entitlement.PlanStatus(r.Text(common)), r.Time()
	}
	s.PaymentDate = r.Time()
	s.Features = readTexts(r, nil)
	s.Seats = r.Int()
}

func readTexts(r *bytecache.Reader, texts []string) []string {
	n := r.Count()
	if n == 0 {
		return nil
	}
	for range n {
		texts = append(texts, r.Text(common))
	}
	return texts
}

func readDoubts(r *bytecache.Reader) (doubts []entitlement.Doubt) {
	for range r.Count() {
		d := entitlement.Doubt{Subscription: r.Text(common), Since: r.Time()}
		flags := r.Uint()
		d.Untold, d.Over, d.Owed = flags&isUntold != 0, flags&isOver != 0, flags&isOwed != 0
		doubts = append(doubts, d)
	}
	return doubts
}
