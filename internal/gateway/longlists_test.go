package gateway_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/http"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
)

// longLists stands in for Dodo's API of a business with long lists: Dodo's page size and a limit
// of pages, an order from the newest to the oldest, and failures that do not go away when a call
// is repeated. The simulator searches its lists from end to end, which takes too long for them.
type longLists struct {
	start, end time.Time // when the objects were made, at even intervals
	oneTime    int       // payments for a product; the other payments are charges of subscriptions
	subs       int
	proof      func(order, account, product string) map[string]string
	now        func() time.Time
	mostPage   int    // the deepest page
	seed       uint64 // of the failures

	mu       sync.Mutex
	round    int             // failures of pages are others in each round
	failing  float64         // how many pages fail in a round
	poison   map[string]bool // objects that cannot be read, nor can pages that list them
	refused  map[string]bool // lists that the API key may not read
	calls    map[string]int  // by what was asked for
	readOf   [2][]uint16     // how often each payment and each subscription was read
	total    int
	limited  int    // calls that were refused with 429
	stopAt   int    // when total is this, stop is called
	stop     func() // may be nil
	onCalled func(total int)
	onRead   func(n int) // the n-th object is read
	read     int
}

func (l *longLists) payments() int { return l.oneTime + l.subs }

// made is when the n-th of some objects was made.
func (l *longLists) made(n, of int) time.Time {
	return l.start.Add(time.Duration(float64(l.end.Sub(l.start)) * float64(n) / float64(of))).Truncate(time.Microsecond)
}

// isCharge: the payments with even numbers are charges, as long as there are subscriptions.
func (l *longLists) isCharge(n int) (sub int, is bool) {
	step := l.payments() / max(l.subs, 1)
	if sub = n / step; n%step == 0 && sub < l.subs {
		return sub, true
	}
	return 0, false
}

func orderNumber(kind byte, n int) string { return fmt.Sprintf("ord_%c%021d", kind, n) }

func (l *longLists) payment(n int) map[string]any {
	p := map[string]any{
		"payment_id": fmt.Sprintf("pay_%07d", n), "status": "succeeded", "total_amount": 500, "currency": "USD",
		"created_at": l.made(n, l.payments()), "business_id": "bus_1",
	}
	if sub, is := l.isCharge(n); is {
		p["subscription_id"], p["metadata"] = fmt.Sprintf("sub_%07d", sub), l.proof(orderNumber('s', sub), l.subscriber(sub), "monthly")
		p["customer"] = map[string]any{"customer_id": fmt.Sprintf("cus_s%07d", sub)}
		return p
	}
	p["product_cart"] = []any{map[string]any{"product_id": "pdt_pack10", "quantity": 1}}
	p["metadata"] = l.proof(orderNumber('p', n), l.buyer(n), "pack10")
	p["customer"] = map[string]any{"customer_id": fmt.Sprintf("cus_p%07d", n)}
	return p
}

func (l *longLists) buyer(n int) string        { return fmt.Sprintf("buyer%07d", n) }
func (l *longLists) subscriber(sub int) string { return fmt.Sprintf("subscriber%07d", sub) }

func (l *longLists) subscription(sub int) map[string]any {
	step := l.payments() / max(l.subs, 1)
	made := l.made(sub*step, l.payments())
	return map[string]any{
		"subscription_id": fmt.Sprintf("sub_%07d", sub), "status": "active", "product_id": "pdt_monthly", "quantity": 1,
		"created_at": made, "previous_billing_date": made, "next_billing_date": l.end.Add(300 * day),
		"customer": map[string]any{"customer_id": fmt.Sprintf("cus_s%07d", sub)}, "business_id": "bus_1",
		"metadata": l.proof(orderNumber('s', sub), l.subscriber(sub), "monthly"),
	}
}

// RoundTrip implements [http.RoundTripper].
func (l *longLists) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	status, body := l.answer(r)
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	header := http.Header{"Content-Type": {"application/json"}, "Date": {l.now().UTC().Format(http.TimeFormat)}}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(bytes.NewReader(raw)), Request: r}, nil
}

func (l *longLists) answer(r *http.Request) (status int, body any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total++
	if l.stop != nil && l.total >= l.stopAt {
		l.stop()
		l.stop = nil
	}
	if l.onCalled != nil {
		l.onCalled(l.total)
	}
	if l.chance("429", strconv.Itoa(l.total)) < l.failing/20 {
		l.limited++
		return http.StatusTooManyRequests, nil
	}
	kind, id, isObject := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if isObject {
		if l.read++; l.onRead != nil {
			n := l.read
			l.mu.Unlock()
			l.onRead(n)
			l.mu.Lock()
		}
		return l.object(kind, id)
	}
	l.calls[kind]++
	if l.refused[kind] {
		return http.StatusForbidden, map[string]any{}
	}
	switch kind {
	case "payments":
		return l.list(r, "pay", l.payments(), func(n int) time.Time { return l.made(n, l.payments()) }, l.payment)
	case "subscriptions":
		step := l.payments() / max(l.subs, 1)
		return l.list(r, "sub", l.subs, func(n int) time.Time { return l.made(n*step, l.payments()) }, l.subscription)
	}
	return http.StatusOK, map[string]any{"items": []any{}}
}

func (l *longLists) object(kind, id string) (int, any) {
	n, err := strconv.Atoi(id[strings.Index(id, "_")+1:])
	if of := l.readOf[map[string]int{"payments": 0, "subscriptions": 1}[kind]]; err == nil && n < len(of) {
		of[n]++
	}
	switch {
	case l.poison[id]:
		return http.StatusInternalServerError, nil
	case err != nil || n < 0:
	case kind == "payments" && n < l.payments():
		return http.StatusOK, l.payment(n)
	case kind == "subscriptions" && n < l.subs:
		return http.StatusOK, l.subscription(n)
	}
	return http.StatusNotFound, map[string]any{}
}

// list answers with a page of n objects, the newest first.
func (l *longLists) list(r *http.Request, prefix string, n int, made func(int) time.Time, show func(int) map[string]any) (int, any) {
	q := r.URL.Query()
	page, _ := strconv.Atoi(q.Get("page_number"))
	size, _ := strconv.Atoi(q.Get("page_size"))
	if page > l.mostPage || size > 100 {
		return http.StatusUnprocessableEntity, map[string]any{"code": "INVALID_REQUEST_PARAMETERS"}
	}
	first, last := 0, n
	if from, err := time.Parse(time.RFC3339, q.Get("created_at_gte")); err == nil {
		first = sort.Search(n, func(i int) bool { return !made(i).Before(from) })
	}
	if to, err := time.Parse(time.RFC3339, q.Get("created_at_lte")); err == nil {
		last = sort.Search(n, func(i int) bool { return made(i).After(to) })
	}
	high := last - page*size
	low := max(first, high-size)
	items := []any{}
	for i := high - 1; i >= low; i-- {
		if l.poison[fmt.Sprintf("%s_%07d", prefix, i)] && l.poison["pages of "+prefix] {
			return http.StatusInternalServerError, nil
		}
		items = append(items, show(i))
	}
	if len(items) > 0 && l.chance(r.URL.String(), strconv.Itoa(l.round)) < l.failing {
		return http.StatusBadGateway, nil
	}
	return http.StatusOK, map[string]any{"items": items}
}

// chance is a number from 0 to 1 that is the same for the same texts.
func (l *longLists) chance(texts ...string) float64 {
	h := fnv.New64a()
	for _, text := range texts {
		_, _ = io.WriteString(h, text+"\n")
	}
	return rand.New(rand.NewPCG(l.seed, h.Sum64())).Float64()
}
