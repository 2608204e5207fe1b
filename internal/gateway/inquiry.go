package gateway

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/entitlement"
)

// Webhooks get lost, and some endpoints are sent only a part of them. So there are
// subscriptions of which it is known that something is not known ([entitlement.Doubt]): a
// period is over and nobody has told how it goes on, or there is a payment and no
// subscription. Before a request sees the plan of such a subscription as gone, Dodo is asked.
// What Dodo says takes the path of events, so every gateway on the store hears of it.

const (
	// defaultGlance is [Options.Glance]. It counts from the beginning of the inquiry, so that
	// one that hangs delays few requests. Beyond it they see the plan in its grace.
	defaultGlance = time.Second
	// callEvery: an account is not asked about again before as many of these have passed as
	// its last inquiry made calls, so it costs less than one call a minute.
	callEvery = 65 * time.Second
	// refusedPause is how long an account is not asked about again if [Budget] refused.
	refusedPause = 10 * time.Second
	// How many subscriptions, and payments of each, one inquiry reads.
	inquiredSubscriptions = 5
	inquiredPayments      = 12
	// unansweredLogged is how often it is logged that Dodo could not be asked.
	unansweredLogged = time.Minute
	// beforePeriod is how long before its period a charge may have been made.
	beforePeriod = time.Hour
)

// inquiry is one under way, for all who wait for it.
type inquiry struct {
	began time.Time // not by the gateway's clock, because people wait in real time
	done  chan struct{}
	err   error // when it is done
}

// wait waits until the inquiry is done, but not longer than patience after its beginning. It
// reports whether it is done.
func (q *inquiry) wait(ctx context.Context, patience time.Duration) bool {
	timer := time.NewTimer(patience - time.Since(q.began))
	defer timer.Stop()
	select {
	case <-q.done:
		return true
	default:
	}
	select {
	case <-q.done:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// inquiries are those under way, and the accounts that were asked about lately.
type inquiries struct {
	mu      sync.Mutex
	running map[string]*inquiry
	next    map[string]time.Time // when an account may be asked about again
	sweepAt int                  // how many of these there are when those that are over are forgotten
}

// begin returns the inquiry about an account that is under way, or a new one, which is then
// the caller's to make; nil if it is too early for another one.
func (i *inquiries) begin(account string, now time.Time) (q *inquiry, own bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if q := i.running[account]; q != nil {
		return q, false
	}
	if now.Before(i.next[account]) {
		return nil, false
	}
	q = &inquiry{began: time.Now(), done: make(chan struct{})}
	i.running[account] = q
	return q, true
}

func (i *inquiries) end(account string, q *inquiry, now, next time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.running, account)
	if len(i.next) >= max(i.sweepAt, cooldownsSwept) {
		for a, at := range i.next {
			if !now.Before(at) {
				delete(i.next, a)
			}
		}
		i.sweepAt = 2 * len(i.next)
	}
	i.next[account] = next
	close(q.done)
}

// inquire asks Dodo about the account's doubts, once for all who want to know at the same
// time, and seldom for one account. What Dodo says is applied also when they have left. It
// returns nil if Dodo was asked a short while ago.
func (e *Events) inquire(ctx context.Context, account string, doubts []entitlement.Doubt) *inquiry {
	q, own := e.inquiries.begin(account, e.clock())
	if own {
		go e.runInquiry(context.WithoutCancel(ctx), account, doubts, q)
	}
	return q
}

func (e *Events) runInquiry(ctx context.Context, account string, doubts []entitlement.Doubt, q *inquiry) {
	ctx, cancel := context.WithTimeout(ctx, confirmDeadline)
	defer cancel()
	ctx = withCall(ctx, callFor(ctx, forConfirm, account))
	calls := 0
	for _, d := range doubts[:min(len(doubts), inquiredSubscriptions)] {
		n, err := e.resolve(ctx, d)
		calls += n
		if err != nil {
			q.err = err
			e.logUnanswered(d, err)
		}
	}
	now := e.clock()
	pause := max(time.Duration(calls)*callEvery, refusedPause)
	e.inquiries.end(account, q, now, now.Add(pause))
}

// logUnanswered logs that Dodo could not be asked. An outage is about many subscriptions, so
// it names one a minute.
func (e *Events) logUnanswered(d entitlement.Doubt, err error) {
	if e.refusedByBudget(err) {
		return
	}
	e.unansweredLog.Do(func() {
		e.logger.Warn("Dodo could not be asked about a subscription; while that is so, plans that renew outlive their periods",
			"subscription", d.Subscription, "grace", max(e.grace, entitlement.UnansweredGrace), "error", err)
	})
}

// resolve reads a subscription and its newest payments, and applies them. The payments come
// first: whether a new period was paid follows from them, and Dodo calls a subscription active
// whose charge is still being processed. calls is how many calls to Dodo that took.
func (e *Events) resolve(ctx context.Context, d entitlement.Doubt) (calls int, err error) {
	fact, err := e.provider.Subscription(ctx, d.Subscription)
	calls = callsMade(err)
	if err != nil {
		return calls, err
	}
	cause := "read:" + d.Subscription
	if status := fact.Subscription.State.Status; status == entitlement.SubscriptionActive || status == entitlement.SubscriptionPastDue {
		n, err := e.resolveCharges(ctx, d, cause)
		calls += n
		if err != nil && !isFinal(err) {
			return calls, err // without the payments it may say too much, or too little
		}
	}
	_, err = e.apply(ctx, fact, cause, nil)
	return calls, err
}

// resolveCharges reads the payments of a subscription that are not known as they are.
func (e *Events) resolveCharges(ctx context.Context, d entitlement.Doubt, cause string) (calls int, err error) {
	list, err := e.provider.Charges(ctx, d.Subscription, since(d.Since, beforePeriod))
	calls = callsMade(err)
	if err != nil {
		return calls, err
	}
	known, err := e.subscription(ctx, d.Subscription)
	if err != nil {
		return calls, err
	}
	for _, p := range list.Items {
		if p.Clues.SubscriptionID != d.Subscription || known.Charges[p.ID].Status == p.Status {
			continue
		}
		if calls > inquiredPayments {
			break
		}
		fact, err := e.provider.Payment(ctx, p.ID)
		calls += callsMade(err)
		if err == nil {
			_, err = e.apply(ctx, fact, cause, nil)
		}
		if err != nil {
			return calls, err
		}
	}
	return calls, nil
}

// callsMade is how many calls one is that ended with err: none if the budget refused it.
func callsMade(err error) int {
	if errors.Is(err, ErrTooManyRequests) {
		return 0
	}
	return 1
}

// isFinal reports whether Dodo would say the same if it were asked again soon.
func isFinal(err error) bool {
	return errors.Is(err, dodo.ErrUnauthorized) || errors.Is(err, dodo.ErrRejected) || errors.Is(err, dodo.ErrNotFound) || errors.Is(err, dodo.ErrBadAnswer)
}
