package dodosim

import (
	"crypto/rand"
	"encoding/base64"
	"maps"
	"net/http"
	"net/textproto"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// rotationGrace is how long a replaced secret still signs (FACTS 3.1).
const rotationGrace = 24 * time.Hour

// eventTypes are the types that an endpoint can filter by: the published ones (FACTS 3.3) and
// subscription.past_due of newer servers.
var eventTypes = wordSet(`payment.succeeded payment.failed payment.processing payment.cancelled refund.succeeded refund.failed
	dispute.opened dispute.expired dispute.accepted dispute.cancelled dispute.challenged dispute.won dispute.lost
	subscription.active subscription.renewed subscription.on_hold subscription.cancelled subscription.failed subscription.expired
	subscription.plan_changed subscription.updated subscription.update_payment_method subscription.paused subscription.unpaused
	subscription.past_due license_key.created payout.not_initiated payout.created payout.on_hold payout.in_progress payout.failed
	payout.success credit.added credit.deducted credit.expired credit.rolled_over credit.rollover_forfeited credit.overage_charged
	credit.overage_reset credit.manual_adjustment credit.balance_low abandoned_checkout.detected abandoned_checkout.recovered
	dunning.started dunning.recovered entitlement_grant.created entitlement_grant.delivered entitlement_grant.failed
	entitlement_grant.revoked`)

// webhookEndpoint is a webhook endpoint (FACTS 2.11), with the values that the API shows only
// on separate routes. Guarded by [Simulator.mu].
type webhookEndpoint struct {
	ID          string            `json:"id"`
	URL         string            `json:"url"`
	Description string            `json:"description"`
	Disabled    bool              `json:"disabled"`
	FilterTypes []string          `json:"filter_types"` // none: all
	Metadata    map[string]string `json:"metadata"`
	RateLimit   *int              `json:"rate_limit"` // kept, but not enforced
	CreatedAt   time.Time         `json:"created_at"`
	UpdatedAt   time.Time         `json:"updated_at"`

	secret    string // with whsec_
	former    string // the secret before, which signs until formerEnd
	formerEnd time.Time
	headers   map[string]string
	gone      bool
}

// wants reports whether the endpoint subscribes to events of a type.
func (h *webhookEndpoint) wants(eventType string) bool {
	return h.reachable() && (len(h.FilterTypes) == 0 || slices.Contains(h.FilterTypes, eventType))
}

// reachable reports whether events are sent to the endpoint now.
func (h *webhookEndpoint) reachable() bool { return !h.gone && !h.Disabled }

// secrets are those that sign at a real time: two during a rotation.
func (h *webhookEndpoint) secrets(now time.Time) []string {
	if h.former != "" && now.Before(h.formerEnd) {
		return []string{h.secret, h.former}
	}
	return []string{h.secret}
}

func newSecret() string {
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails (crypto/rand)
	return "whsec_" + base64.StdEncoding.EncodeToString(key[:])
}

// addHook makes an endpoint. The caller holds s.mu, or s is not shared yet.
func (s *Simulator) addHook(url, secret string) *webhookEndpoint {
	now := s.now()
	h := &webhookEndpoint{
		ID: newID("whk_"), URL: url, Metadata: map[string]string{}, CreatedAt: now, UpdatedAt: now,
		secret: "whsec_" + strings.TrimPrefix(secret, "whsec_"), headers: make(map[string]string),
	}
	s.hooks = append(s.hooks, h)
	return h
}

// findHook looks an endpoint up. The caller holds s.mu.
func (s *Simulator) findHook(id string) (*webhookEndpoint, *Error) {
	for _, h := range s.hooks {
		if h.ID == id {
			return h, nil
		}
	}
	return nil, refuse(codeNotFound, "there is no webhook %s", id)
}

// RotateWebhookSecret gives an endpoint a new secret and returns it, like the dashboard. Both
// secrets sign for 24 hours. The id is one of GET /webhooks; the error is an *[Error].
func (s *Simulator) RotateWebhookSecret(webhookID string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, refusal := s.findHook(webhookID)
	if refusal != nil {
		return "", refusal
	}
	h.former, h.formerEnd = h.secret, s.wallClock().Add(rotationGrace)
	h.secret = newSecret()
	return h.secret, nil
}

// FirstEndpoint is the id of the oldest webhook endpoint, which is that of Options.WebhookURL
// until it is deleted. It is empty if there is none.
func (s *Simulator) FirstEndpoint() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.hooks) == 0 {
		return ""
	}
	return s.hooks[0].ID
}

// hookRequest is the body of POST and PATCH /webhooks. In a patch, an absent or null field
// changes nothing.
type hookRequest struct {
	URL         *string           `json:"url"`
	Description *string           `json:"description"`
	Disabled    *bool             `json:"disabled"`
	FilterTypes []string          `json:"filter_types"`
	Metadata    map[string]string `json:"metadata"`
	RateLimit   *int              `json:"rate_limit"`
	Headers     map[string]string `json:"headers"`
	Key         *string           `json:"idempotency_key"`
}

func (request hookRequest) check() *Error {
	switch {
	case request.URL != nil && checkWebURL(*request.URL) != nil:
		return refuse(codeInvalidParameters, "url must be an absolute http or https URL")
	case slices.ContainsFunc(request.FilterTypes, func(t string) bool { return !eventTypes[t] }):
		return refuse(codeInvalidBody, "filter_types has an event that does not exist")
	case request.RateLimit != nil && *request.RateLimit < 0:
		return refuse(codeInvalidParameters, "rate_limit must not be negative")
	}
	return checkHeaders(request.Headers)
}

var headerName = regexp.MustCompile("^[A-Za-z0-9_-]{1,100}$")

// checkHeaders refuses headers that cannot be sent, and those that the sender sets itself.
func checkHeaders(headers map[string]string) *Error {
	for name, value := range headers {
		lower := strings.ToLower(name)
		if !headerName.MatchString(name) || strings.ContainsFunc(value, unicode.IsControl) ||
			strings.HasPrefix(lower, "webhook-") || lower == "content-type" || lower == "content-length" || lower == "host" {
			return refuse(codeInvalidParameters, "header %q cannot be set", name)
		}
	}
	return nil
}

// change applies the request to an endpoint.
func (request hookRequest) change(h *webhookEndpoint) {
	setIfPresent(&h.URL, request.URL)
	setIfPresent(&h.Description, request.Description)
	setIfPresent(&h.Disabled, request.Disabled)
	setPointer(&h.RateLimit, request.RateLimit)
	if request.FilterTypes != nil {
		h.FilterTypes = request.FilterTypes
	}
	if request.Metadata != nil {
		h.Metadata = request.Metadata
	}
	for name, value := range request.Headers {
		h.headers[textproto.CanonicalMIMEHeaderKey(name)] = value
	}
}

// createHook answers POST /webhooks. A used idempotency key returns the endpoint that it
// created, unchanged: UNCONFIRMED. The answer does not contain the secret.
func (s *Simulator) createHook(r *http.Request) (any, error) {
	request, refusal := readJSON[hookRequest](r)
	switch {
	case refusal != nil:
		return nil, refusal
	case request.URL == nil:
		return nil, refuse(codeInvalidBody, "url is required")
	}
	if refusal := request.check(); refusal != nil {
		return nil, refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if id, used := s.hookKeys[valueOrEmpty(request.Key)]; used && request.Key != nil {
		if made, refusal := s.findHook(id); refusal == nil {
			return snapshot(made)
		}
	}
	h := s.addHook(*request.URL, newSecret())
	request.change(h)
	if request.Key != nil {
		s.hookKeys[*request.Key] = h.ID
	}
	return snapshot(h)
}

// getHook answers GET /webhooks/{id}.
func (s *Simulator) getHook(r *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, refusal := s.findHook(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	return snapshot(h)
}

// patchHook answers PATCH /webhooks/{id}. Retries of earlier events use the new settings:
// UNCONFIRMED.
func (s *Simulator) patchHook(r *http.Request) (any, error) {
	request, refusal := readJSON[hookRequest](r)
	if refusal != nil {
		return nil, refusal
	}
	request.Headers = nil // they have a route of their own
	if refusal := request.check(); refusal != nil {
		return nil, refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	h, refusal := s.findHook(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	request.change(h)
	h.UpdatedAt = s.now()
	return snapshot(h)
}

// deleteHook answers DELETE /webhooks/{id}. Undelivered events to it are never sent.
func (s *Simulator) deleteHook(r *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, refusal := s.findHook(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	h.gone = true
	s.hooks = slices.DeleteFunc(s.hooks, func(other *webhookEndpoint) bool { return other == h })
	return emptyAnswer(http.StatusOK), nil
}

type hookSecret struct {
	Secret string `json:"secret"`
}

// getHookSecret answers GET /webhooks/{id}/secret.
func (s *Simulator) getHookSecret(r *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, refusal := s.findHook(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	return hookSecret{h.secret}, nil
}

// sensitive are the headers whose values are never shown. Which ones Dodo hides is
// UNCONFIRMED.
var sensitive = wordSet(`Authorization Proxy-Authorization Cookie X-Api-Key`)

type hookHeaders struct {
	Headers   map[string]string `json:"headers"`
	Sensitive []string          `json:"sensitive"`
}

// getHookHeaders answers GET /webhooks/{id}/headers.
func (s *Simulator) getHookHeaders(r *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, refusal := s.findHook(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	answer := hookHeaders{Headers: make(map[string]string), Sensitive: []string{}}
	for _, name := range slices.Sorted(maps.Keys(h.headers)) {
		if sensitive[name] {
			answer.Sensitive = append(answer.Sensitive, name)
		} else {
			answer.Headers[name] = h.headers[name]
		}
	}
	return answer, nil
}

// patchHookHeaders answers PATCH /webhooks/{id}/headers: it adds or changes headers, and
// removes none.
func (s *Simulator) patchHookHeaders(r *http.Request) (any, error) {
	request, refusal := readJSON[hookRequest](r)
	switch {
	case refusal != nil:
		return nil, refusal
	case request.Headers == nil:
		return nil, refuse(codeInvalidBody, "headers is required")
	}
	if refusal := checkHeaders(request.Headers); refusal != nil {
		return nil, refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	h, refusal := s.findHook(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	hookRequest{Headers: request.Headers}.change(h)
	h.UpdatedAt = s.now()
	return emptyAnswer(http.StatusOK), nil
}

// hookList is the only list with a cursor (FACTS 1.6).
type hookList struct {
	Data         []*webhookEndpoint `json:"data"`
	Iterator     *string            `json:"iterator"`
	PrevIterator *string            `json:"prev_iterator"`
	Done         bool               `json:"done"`
}

// listHooks answers GET /webhooks, oldest first: UNCONFIRMED. The iterator is the number of
// endpoints before the page.
func (s *Simulator) listHooks(r *http.Request) (any, error) {
	q := query{values: r.URL.Query()}
	limit, from := q.number("limit", defaultPageSize, maxPageSize), q.number("iterator", 0, maxPageNumber)
	if limit == 0 {
		q.refuse("limit", "must be at least 1")
	}
	if q.refusal != nil {
		return nil, q.refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	from = min(from, len(s.hooks))
	to := min(from+limit, len(s.hooks))
	answer := hookList{Data: append([]*webhookEndpoint{}, s.hooks[from:to]...), Done: to == len(s.hooks)}
	if !answer.Done {
		answer.Iterator = new(strconv.Itoa(to))
	}
	if from > 0 {
		answer.PrevIterator = new(strconv.Itoa(max(0, from-limit)))
	}
	return snapshot(answer)
}
