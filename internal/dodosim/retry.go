package dodosim

import (
	"slices"
	"time"
)

// retryWaits are the waits between the attempts to charge a failed renewal (FACTS 3.4). Each
// counts from the attempt before, which fits the longest window of 30 days; that they do not
// all count from the first attempt is UNCONFIRMED.
var retryWaits = [...]time.Duration{
	12 * time.Hour, 24 * time.Hour, 48 * time.Hour, 72 * time.Hour, 96 * time.Hour, 120 * time.Hour, 168 * time.Hour, 168 * time.Hour,
}

// maxRetryDays bounds the window of the attempts.
const maxRetryDays = 30

// retryLater schedules the next attempt to charge a failed renewal, if there is one. The
// caller holds s.mu.
func (s *Simulator) retryLater(sub *subscription, failed *payment, at time.Time) {
	sub.missed = failed
	n := failed.RetryAttempt
	if n == 0 {
		sub.missedAt = at
	}
	if s.options.RetryDays == 0 || n >= len(retryWaits) || slices.Contains(hardReasons, valueOrEmpty(failed.ErrorCode)) {
		return
	}
	next := at.Add(retryWaits[n])
	if next.After(sub.missedAt.AddDate(0, 0, s.options.RetryDays)) {
		return
	}
	s.schedule(next, func(at time.Time) bool {
		if sub.missed != failed || !sub.owes() || !at.Before(sub.ExpiresAt) {
			return false // it was paid, or will not be
		}
		s.retry(sub, n+1, at)
		return true
	})
}

// retry charges what is owed to the subscription's card.
func (s *Simulator) retry(sub *subscription, attempt int, at time.Time) {
	with := sub.card
	with.decline = with.forLater()
	p := s.chargeDues(sub, with, at)
	p.RetryAttempt = attempt
	s.recordPayment(p)
	s.announce(p)
	if p.Status != Succeeded {
		s.retryLater(sub, p, at)
		return
	}
	s.recovered(sub, p, at, "active", "updated")
}

// MendCard makes a subscription's card, such as [CardFailsLater], succeed from now on, as if
// its account had been topped up. The error is an *[Error].
func (s *Simulator) MendCard(subscriptionID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub, refusal := s.findSubscription(subscriptionID)
	if refusal != nil {
		return refusal
	}
	sub.card.decline, sub.card.later, sub.card.slow = "", "", false
	return nil
}
