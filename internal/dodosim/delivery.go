package dodosim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// retryTable is the wait before each attempt: 8 attempts in total, the first immediately
// (FACTS 3.1).
var retryTable = [...]time.Duration{
	0,
	5 * time.Second,
	5 * time.Minute,
	30 * time.Minute,
	2 * time.Hour,
	5 * time.Hour,
	10 * time.Hour,
	10 * time.Hour,
}

const (
	// attemptTimeout bounds an attempt, from connecting to the end of the answer.
	attemptTimeout = 15 * time.Second
	// maxOnTheWire bounds the webhooks that are sent concurrently, maxUnsettled those that
	// wait for their turn, a release or a retry. Both are the simulator's own limits.
	maxOnTheWire = 8
	maxUnsettled = 10_000
	// maxAnswer bounds how much of an answer is read, so that the connection can be reused.
	maxAnswer = 64 << 10
)

// deliver works through the retry table in the background, after a delay, until the event is
// acknowledged. Events may overtake each other, as Dodo's do.
func (s *Simulator) deliver(e *event, delay time.Duration, first attemptFaults) {
	outcome := EventFailed
	for i, wait := range retryTable {
		if i == 0 {
			wait += delay
		}
		if !s.sleep(wait) || !s.awaitRelease() {
			outcome = EventUnsent
			break
		}
		if !s.reachable(e) {
			outcome = EventUnsent
			break
		}
		if s.settled(e) { // by Redeliver or DeliverShuffled, in the meantime
			break
		}
		if d, err := s.attempt(s.ctx, e, Delivery{WebhookID: e.ID}, first); err == nil && d.Acknowledged() {
			outcome = EventDelivered
			break
		}
		first = attemptFaults{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unsettled--
	if e.State == EventPending {
		e.State = outcome
	}
	s.signal()
}

// sleep waits, and reports whether the simulator is still open afterwards.
func (s *Simulator) sleep(wait time.Duration) bool {
	if wait > 0 {
		select {
		case <-s.options.After(wait):
		case <-s.ctx.Done():
		}
	}
	return s.ctx.Err() == nil
}

// awaitRelease waits while webhooks are held, and reports whether the simulator is still open
// afterwards.
func (s *Simulator) awaitRelease() bool {
	s.mu.Lock()
	released := s.released
	s.mu.Unlock()
	select {
	case <-released:
	case <-s.ctx.Done():
	}
	return s.ctx.Err() == nil
}

// reachable reports whether the event's endpoint accepts events now.
func (s *Simulator) reachable(e *event) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return e.to.reachable()
}

func (s *Simulator) settled(e *event) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return e.State != EventPending
}

// attempt sends the event once, with the WebhookID of d and the given faults, and records the
// result. The error says why it could not be sent at all; a refused or lost delivery is in the
// Delivery.
func (s *Simulator) attempt(ctx context.Context, e *event, d Delivery, on attemptFaults) (Delivery, error) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return Delivery{}, context.Cause(ctx)
	}
	s.mu.Lock()
	e.Attempts++
	d.EventID, d.Type, d.Attempt, d.At = e.ID, e.Type, e.Attempts, s.wallClock()
	var err error
	d.Body, err = s.body(e)
	target, extra, secrets := e.to.URL, maps.Clone(e.to.headers), e.to.secrets(d.At)
	s.mu.Unlock()
	if err != nil {
		return Delivery{}, fmt.Errorf("encode webhook: %w", err)
	}
	if d.Header, err = sign(d, secrets); err != nil {
		return Delivery{}, err
	}
	for name, value := range extra {
		d.Header.Set(name, value)
	}
	d.Body = on.corruptBody(d.Body)
	d.Status, d.Err = s.post(ctx, target, d, on.slow)
	if on.loseReply && d.Err == nil {
		d.Status, d.Err = 0, errReplyLost
	}
	s.record(e, d)
	return d, nil
}

// sign makes the headers of an attempt (FACTS 3.1), with a signature by each secret. The
// timestamp is the attempt's, so that a late retry still verifies.
func sign(d Delivery, secrets []string) (http.Header, error) {
	var signatures []string
	for _, secret := range secrets {
		webhook, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			return nil, errors.New("sign webhook: the secret is not base64") // err may quote it
		}
		signature, err := webhook.Sign(d.WebhookID, d.At, d.Body)
		if err != nil {
			return nil, fmt.Errorf("sign webhook: %w", err)
		}
		signatures = append(signatures, signature)
	}
	header := make(http.Header)
	header.Set("Content-Type", "application/json")
	header.Set("User-Agent", "dodogate-simulator") // Dodo's is UNCONFIRMED
	header.Set(standardwebhooks.HeaderWebhookID, d.WebhookID)
	header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(d.At.Unix(), 10))
	header.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	return header, nil
}

var errReplyLost = errors.New("the answer was lost: mischief")

// post sends an attempt, its body over the given time, and returns the status of the answer.
// The answer must be complete in time to count.
func (s *Simulator) post(ctx context.Context, target string, d Delivery, slow time.Duration) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(d.Body))
	if err != nil {
		return 0, errors.New("the webhook URL cannot be used")
	}
	if slow > 0 {
		request.GetBody = nil
		request.Body = io.NopCloser(&slowReader{rest: d.Body, wait: func() bool { return s.waitAfter(ctx, slow/slowParts) }})
	}
	request.Header = d.Header.Clone()
	answer, err := s.options.HTTPClient.Do(request)
	if err != nil {
		if failed, ok := errors.AsType[*url.Error](err); ok {
			err = failed.Err // without the URL, which may carry a token
		}
		return 0, err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(answer.Body, maxAnswer)); err != nil {
		return 0, fmt.Errorf("read the answer: %w", err)
	}
	return answer.StatusCode, nil
}

func (s *Simulator) record(e *event, d Delivery) {
	log := s.logger().With("webhook_id", d.WebhookID, "type", d.Type, "attempt", d.Attempt)
	switch {
	case d.Acknowledged():
		log.Info("webhook delivered", "status", d.Status)
	case d.Err != nil:
		log.Warn("webhook not delivered", "error", d.Err)
	default:
		log.Warn("webhook not acknowledged", "status", d.Status)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deliveries = append(s.deliveries, d)
	if !d.Copy {
		e.tried = true
	}
	if d.Acknowledged() && d.WebhookID == e.ID && !d.Copy {
		e.State = EventDelivered
	}
	s.signal()
}

// signal wakes goroutines that wait for events to change. The caller holds s.mu.
func (s *Simulator) signal() {
	close(s.progress)
	s.progress = make(chan struct{})
}
