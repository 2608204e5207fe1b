// Package notice tells what happens to accounts, for those who want to act on it: a plan
// begins or ends, credits run low, a payment is refunded, an event is parked.
//
// Notices follow from what a store is asked to write, so that they are the same whether a
// webhook, a confirmation or reconcile brings a fact. They are hints, and no ledger: a notice
// is lost if the process ends behind the write, and may come twice if a reply of the store is
// lost.
package notice

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store"
)

// Kind is what a notice is about.
type Kind string

// The kinds.
const (
	PlanStarted Kind = "plan_started" // a plan gives access that did not before
	PlanEnded   Kind = "plan_ended"   // a fact ended the access; one that only time ends is not told
	CreditsLow  Kind = "credits_low"  // the balance fell below Options.Low
	Refunded    Kind = "refunded"     // a refund of a payment succeeded
	Parked      Kind = "parked"       // an event about money waits, for another reason than before
)

// Kinds are all of them.
var Kinds = []Kind{PlanStarted, PlanEnded, CreditsLow, Refunded, Parked}

// Notice is one of the things that happened. Fields that do not belong to its kind are empty.
type Notice struct {
	Kind    Kind
	Account string    // Parked: if it is known
	Object  string    // at Dodo, such as "payment:pay_…"; all kinds but CreditsLow
	Plan    string    // PlanStarted, PlanEnded
	Until   time.Time // PlanStarted: its end; zero for none
	Credits int64     // CreditsLow: the balance, with what is held for running requests
	Refund  string    // Refunded: Dodo's id of the refund; empty if Dodo does not list it
	Event   string    // Parked: the event's id
	Type    string    // Parked: the event's type
	Reason  string    // Parked
}

// Options of a [Store]. All are required.
type Options struct {
	Ranking config.Ranking
	// Grace is that of [entitlement.Account].
	Grace time.Duration
	// Low is the number of credits below which an account has few; 0 never tells that.
	Low int64
	// Wants reports whether anybody wants notices of a kind. If nobody does, nothing is read
	// for them.
	Wants func(Kind) bool
	// Tell takes a notice. It must return soon.
	Tell  func(Notice)
	Clock func() time.Time
}

// Store passes operations on to another store, and tells what follows from them. [New] makes
// it.
type Store struct {
	store.Store
	Options
	balances balances
}

// New makes a store that passes operations on to s.
func New(s store.Store, o Options) *Store { return &Store{Store: s, Options: o} }

// Unwrap is the store below.
func (s *Store) Unwrap() store.Store { return s.Store }

// Update implements [store.Store]. If the decision commits something, and somebody wants to
// know what follows from that, the account is read first and the decision made again.
func (s *Store) Update(ctx context.Context, account string, decide store.Decision) (store.Updated, error) {
	if !s.wantsCommits() {
		return s.sawUpdated(account)(s.Store.Update(ctx, account, decide))
	}
	var committed []entitlement.Ref
	done, err := s.Store.Update(ctx, account, func(b *book.Book) error {
		c := watchCommits(b)
		if err := decide(b); err != nil {
			return err
		}
		if committed = c.refs(b); len(committed) > 0 {
			return errReadFirst
		}
		return nil
	})
	if !errors.Is(err, errReadFirst) {
		return s.sawUpdated(account)(done, err)
	}
	then := s.read(ctx, account, committed)
	var c commits
	done, err = s.Store.Update(ctx, account, c.watch(decide))
	if err == nil {
		s.tellCommits(account, then, c.now)
	}
	return s.sawUpdated(account)(done, err)
}

// errReadFirst keeps a store from writing a decision, whose account must be read first.
var errReadFirst = errors.New("the account is read first")

// Receive implements [store.Store].
func (s *Store) Receive(ctx context.Context, d store.Delivery, decide store.Decision) (store.Received, error) {
	if d.Account == "" || decide == nil {
		return s.Store.Receive(ctx, d, decide)
	}
	if !s.wantsCommits() {
		done, err := s.Store.Receive(ctx, d, decide)
		_, err = s.sawUpdated(done.Owner)(done.Updated, err)
		return done, err
	}
	then := s.read(ctx, d.Account, []entitlement.Ref{d.Object})
	var c commits
	done, err := s.Store.Receive(ctx, d, c.watch(decide))
	if err == nil && done.Owner == d.Account {
		s.tellCommits(d.Account, then, c.now)
	}
	_, err = s.sawUpdated(done.Owner)(done.Updated, err)
	return done, err
}

// View implements [store.Store].
func (s *Store) View(ctx context.Context, account string, look store.Decision) (entitlement.Account, error) {
	a, err := s.Store.View(ctx, account, look)
	if err == nil {
		s.saw(account, a.Ledger.Seq, a.Ledger.Balance())
	}
	return a, err
}

// sawUpdated notes the balance that an update has answered with.
func (s *Store) sawUpdated(account string) func(store.Updated, error) (store.Updated, error) {
	return func(done store.Updated, err error) (store.Updated, error) {
		if a := done.Account.Ledger; err == nil && a.Seq > 0 {
			s.saw(account, a.Seq, a.Balance())
		}
		return done, err
	}
}

func (s *Store) wantsCommits() bool {
	return s.Wants(PlanStarted) || s.Wants(PlanEnded) || s.Wants(Refunded)
}

// commits are what the last call of a decision has committed.
type commits struct {
	before int // commits of others that are written together with these
	now    []committed
}

// committed is an object by a commit.
type committed struct {
	ref      entitlement.Ref
	object   book.Object
	standing entitlement.Standing
}

func watchCommits(b *book.Book) commits { return commits{before: len(b.Changes().Commits)} }

// refs are the objects that were committed since.
func (c commits) refs(b *book.Book) []entitlement.Ref {
	return slices.Clone(b.Changes().Commits[min(c.before, len(b.Changes().Commits)):])
}

// watch notes what decide commits. It may be called several times.
func (c *commits) watch(decide store.Decision) store.Decision {
	return func(b *book.Book) error {
		*c = watchCommits(b)
		if err := decide(b); err != nil {
			return err
		}
		for _, ref := range c.refs(b) {
			object, err := b.Object(ref)
			if err != nil {
				return err
			}
			now := committed{ref: ref, object: object}
			if standing, ok := b.Changes().Standings.Get(ref); ok && standing != nil {
				now.standing = *standing
			}
			c.now = append(c.now, now)
		}
		return nil
	}
}

// earlier is an account with some of its objects before a commit.
type earlier struct {
	known   bool
	account entitlement.Account
	objects map[entitlement.Ref]book.Object
}

// read reads an account. If it cannot, nothing is told: the commit will say what is wrong.
func (s *Store) read(ctx context.Context, account string, refs []entitlement.Ref) earlier {
	then := earlier{objects: make(map[entitlement.Ref]book.Object, len(refs))}
	var err error
	then.account, err = s.View(ctx, account, func(b *book.Book) error {
		for _, ref := range refs {
			object, err := b.Object(ref)
			if err != nil {
				return err
			}
			then.objects[ref] = object
		}
		return nil
	})
	then.known = err == nil
	return then
}

// tellCommits tells what commits have changed. An object that somebody else has committed
// since it was read is left to the notices of that commit.
func (s *Store) tellCommits(account string, then earlier, now []committed) {
	if !then.known {
		return
	}
	for _, c := range now {
		prior, read := then.objects[c.ref]
		if !read || prior.Version+1 != c.object.Version {
			continue
		}
		s.tellPlans(account, c, then.account)
		if c.ref.Kind == entitlement.KindPayment {
			s.tellRefunds(account, c, prior)
		}
	}
}

// Settle implements [store.Store].
func (s *Store) Settle(ctx context.Context, e book.Event, r book.Retention) error {
	isNew := e.State == book.EventParked && s.Wants(Parked)
	if isNew { // each delivery and each pass parks it again
		known, err := s.Event(ctx, e.ID)
		isNew = err == nil && (known.State != book.EventParked || known.Reason != e.Reason)
	}
	err := s.Store.Settle(ctx, e, r)
	if err == nil && isNew {
		s.Tell(Notice{Kind: Parked, Account: e.Account, Object: e.Object, Event: e.ID, Type: e.Type, Reason: e.Reason})
	}
	return err
}

// tellPlans compares the plans of an account with those that it has by a commit.
func (s *Store) tellPlans(account string, c committed, before entitlement.Account) {
	before.Grace, before.UnansweredGrace = s.Grace, entitlement.UnansweredGrace
	after := before
	after.Standings = maps.Clone(before.Standings)
	if after.Standings == nil {
		after.Standings = make(map[string]entitlement.Standing)
	}
	after.Standings[c.ref.String()] = c.standing
	now := s.Clock()
	had, has := before.Snapshot(now, s.Ranking).Plans, after.Snapshot(now, s.Ranking).Plans
	for _, p := range missing(has, had) {
		s.tell(Notice{Kind: PlanStarted, Account: account, Object: c.ref.String(), Plan: p.Name, Until: p.ExpiresAt})
	}
	for _, p := range missing(had, has) {
		s.tell(Notice{Kind: PlanEnded, Account: account, Object: c.ref.String(), Plan: p.Name})
	}
}

// missing are those of plans that others does not name.
func missing(plans, others []entitlement.Plan) (rest []entitlement.Plan) {
	for _, p := range plans {
		if !slices.ContainsFunc(others, func(o entitlement.Plan) bool { return o.Name == p.Name }) {
			rest = append(rest, p)
		}
	}
	return rest
}

// tellRefunds tells of the refunds of a payment that have succeeded by a commit.
func (s *Store) tellRefunds(account string, c committed, prior book.Object) {
	var known entitlement.Record
	if prior.Version > 0 {
		var err error
		if known, err = entitlement.ParseRecord(prior.State); err != nil {
			return // whoever reads the object says so
		}
	}
	now, err := entitlement.ParseRecord(c.object.State)
	if err != nil {
		return
	}
	const succeeded = entitlement.RefundSucceeded
	var ids []string
	for id, r := range now.Payment.Refunds {
		if r.Status == succeeded && known.Payment.Refunds[id].Status != succeeded {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 && now.Payment.RefundedFully && !known.Payment.RefundedFully && !isRefunded(known.Payment) {
		ids = []string{""} // Dodo says so and does not list it
	}
	slices.Sort(ids)
	for _, id := range ids {
		s.tell(Notice{Kind: Refunded, Account: account, Object: c.ref.String(), Refund: id})
	}
}

// isRefunded reports whether a refund of a payment has succeeded.
func isRefunded(p entitlement.Payment) bool {
	for _, r := range p.Refunds {
		if r.Status == entitlement.RefundSucceeded {
			return true
		}
	}
	return false
}

// saw notes the balance of an account behind its entry with the number seq, and tells if it
// has fallen below Low. Answers of a store may overtake each other, and show more than one
// change; the numbers of entries say what is newer.
func (s *Store) saw(account string, seq, balance int64) {
	if s.Low == 0 || !s.Wants(CreditsLow) {
		return
	}
	if before, known := s.balances.put(account, seq, balance); known && before >= s.Low && balance < s.Low {
		s.Tell(Notice{Kind: CreditsLow, Account: account, Credits: max(0, balance)})
	}
}

func (s *Store) tell(n Notice) {
	if s.Wants(n.Kind) {
		s.Tell(n)
	}
}
