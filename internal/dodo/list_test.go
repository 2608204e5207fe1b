package dodo_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/entitlement"
)

func TestSubscription(t *testing.T) {
	body := object(monthly, set("customer", `{"customer_id":"cus_1","email":null}`, "metadata", `{"n":1}`, "quantity", `"2"`, "brand_new", `[]`))
	began := time.Date(2026, 2, 3, 5, 5, 6, 7, time.FixedZone("", 3600))
	ticks := 0
	s := newStub(t, func(o *dodo.Options) {
		o.Clock = func() time.Time { ticks++; return began.Add(time.Duration(ticks-1) * time.Hour) }
	}, answer(500, ``), dated(began.Add(time.Hour), answer(200, body)))
	got, err := s.client.Subscription(t.Context(), "sub_1")
	if err != nil {
		t.Fatal(err)
	}
	want := dodo.Fact{
		Fact: entitlement.Fact{Ref: subscription("sub_1"), Subscription: entitlement.Observed(monthlyState(func(s *entitlement.SubscriptionState) {
			s.At = moment("2026-02-03T05:05:06.000000007Z") // when the attempt began that went well
		}))},
		Clues: dodo.Clues{Metadata: map[string]string{"n": "1"}, CustomerID: "cus_1", SubscriptionID: "sub_1"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
	if line := s.seen()[1].line; line != "GET /subscriptions/sub_1" {
		t.Errorf("asked for %s", line)
	}
	for name, body := range map[string]string{
		"another":   object(monthly, set("subscription_id", `"sub_2"`)),
		"no id":     object(monthly, set("subscription_id", ``)),
		"no status": object(monthly, set("status", `null`)), // and no type to tell
		"unclear":   object(monthly, set("quantity", `-2`)),
		"no end":    object(monthly, set("next_billing_date", ``)),
		"ambiguous": object(monthly, set("Status", `"failed"`)),
		"null":      `null`,
	} {
		s := newStub(t, nil, answer(200, body))
		got, err := s.client.Subscription(t.Context(), "sub_1")
		checkError(t, err, dodo.ErrBadAnswer)
		if !reflect.DeepEqual(got, dodo.Fact{}) {
			t.Errorf("%s: %+v comes with the error", name, got)
		}
		if wantUnclear := name != "ambiguous" && name != "null"; errors.Is(err, dodo.ErrUnclear) != wantUnclear {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// Without a clock it is the host's, and without its monotonic reading, which
// would not survive being stored.
func TestSubscriptionClock(t *testing.T) {
	before := time.Now()
	s := newStub(t, nil, answer(200, object(monthly, nil)))
	got, err := s.client.Subscription(t.Context(), "sub_1")
	at := got.Subscription.State.At
	if err != nil || at.Before(before) || at.After(time.Now()) || at != at.Round(0) || at.Location() != time.UTC {
		t.Errorf("read at %v, %v", at, err)
	}
}

// dated answers with a Date of the server's own.
func dated(at time.Time, answer http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"] = nil // none, also not that of the test's server
		if !at.IsZero() {
			w.Header().Set("Date", at.UTC().Format(http.TimeFormat))
		}
		answer(w, r)
	}
}

// TestSubscriptionDated: a read is dated by Dodo's clock, to when it began or a little earlier,
// however far away the clock of the gateway is.
func TestSubscriptionDated(t *testing.T) {
	dodos := moment("2026-02-03T04:05:06.75Z")
	for name, c := range map[string]struct {
		ours, date time.Time
		exact      bool
	}{
		"the same":            {ours: dodos, date: dodos, exact: true},
		"a moment behind":     {ours: dodos.Add(-700 * time.Millisecond), date: dodos, exact: true},
		"four minutes ahead":  {ours: dodos.Add(4 * time.Minute), date: dodos},
		"a second ahead":      {ours: dodos.Add(time.Second), date: dodos},
		"four minutes behind": {ours: dodos.Add(-4 * time.Minute), date: dodos},
		"a year ahead":        {ours: dodos.Add(365 * 24 * time.Hour), date: dodos},
		"no date":             {ours: dodos.Add(4 * time.Minute), exact: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStub(t, func(o *dodo.Options) { o.Clock = func() time.Time { return c.ours } }, dated(c.date, answer(200, object(monthly, nil))))
			began := time.Now()
			got, err := s.client.Subscription(t.Context(), "sub_1")
			took := time.Since(began)
			if err != nil {
				t.Fatal(err)
			}
			at := got.Subscription.State.At
			first, last := c.ours, c.ours
			if !c.exact {
				last = dodos.Truncate(time.Second)
				first = last.Add(-took)
			}
			if at.Before(first) || at.After(last) {
				t.Errorf("dated %s, want %s to %s", at, first, last)
			}
		})
	}
}

// TestSubscriptionOrder: reads within one second of Dodo's Date are dated in their order, and never
// later than they began, also after the gateway's clock was set.
func TestSubscriptionOrder(t *testing.T) {
	const step = 70 * time.Millisecond
	for name, steps := range map[string][]time.Duration{
		"minutes ahead":        {4 * time.Minute},
		"minutes behind":       {-4 * time.Minute},
		"set while it runs":    {4 * time.Minute, -10 * time.Minute, 3 * time.Second},
		"set to the truth":     {4 * time.Minute, 0},
		"set by half a second": {2 * time.Second, 2500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			dodos, ahead := moment("2026-02-03T04:05:06.75Z"), time.Duration(0)
			s := newStub(t, func(o *dodo.Options) { o.Clock = func() time.Time { return dodos.Add(ahead) } },
				func(w http.ResponseWriter, r *http.Request) { dated(dodos, answer(200, object(monthly, nil)))(w, r) })
			for _, ahead = range steps {
				var before time.Time
				for n := range 60 {
					dodos = dodos.Add(step)
					got, err := s.client.Subscription(t.Context(), "sub_1")
					if err != nil {
						t.Fatal(err)
					}
					at := got.Subscription.State.At
					if learned := n >= 30; learned && (at.After(dodos) || !at.After(before)) {
						t.Fatalf("%v ahead: read at %s, dated %s; the read before %s", ahead, dodos, at, before)
					}
					before = at
				}
				if late := dodos.Sub(before); late > 3*step {
					t.Errorf("%v ahead: dated %v too early", ahead, late)
				}
			}
		})
	}
}

func TestPayments(t *testing.T) {
	const at = "2026-01-02T03:04:05Z"
	item := func(id, rest string) string { return `{"payment_id":"` + id + `"` + comma(rest) + `}` }
	s := newStub(t, nil, answer(200, `{"items":[`+strings.Join([]string{
		item("pay_1", `"status":"Succeeded","created_at":"2026-01-02T04:04:05+01:00","total_amount":-1,"brand_new":{}`),
		item("pay_2", `"status":null,"created_at":null`),
		item("pay_3", ``),
		item("pay_4", `"status":{"a":1},"created_at":"yesterday"`), // one odd item hides neither itself nor others
		item("pay_5", `"status":"failed","status":"succeeded","created_at":17`),
	}, ",")+`]}`))
	got, err := s.client.Payments(t.Context(), dodo.Window{}, 0)
	want := dodo.Page[dodo.PaymentSummary]{Last: true, At: got.At, Items: []dodo.PaymentSummary{
		{ID: "pay_1", Status: entitlement.PaymentSucceeded, CreatedAt: moment(at)}, {ID: "pay_2"}, {ID: "pay_3"}, {ID: "pay_4"}, {ID: "pay_5"},
	}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v, %v\nwant\n%+v", got, err, want)
	}
}

func TestSubscriptions(t *testing.T) {
	s := newStub(t, nil, answer(200, `{"items":[
		{"subscription_id":"sub_1","status":"ON_HOLD","created_at":"2026-01-02T03:04:05Z","next_billing_date":"2026-02-02T03:04:05Z"},
		{"subscription_id":"sub_2","status":true,"created_at":[],"next_billing_date":null,"quantity":1e308},
		{"subscription_id":3,"product_id":"pdt_1","quantity":"2","cancel_at_next_billing_date":false},{"product_id":"pdt_1"}]}`))
	got, err := s.client.Subscriptions(t.Context(), dodo.Window{}, 0)
	want := dodo.Page[dodo.SubscriptionSummary]{Last: true, At: got.At, Odd: 1, Items: []dodo.SubscriptionSummary{
		{ID: "sub_1", Status: entitlement.SubscriptionOnHold, CreatedAt: moment("2026-01-02T03:04:05Z"), PeriodEnd: moment("2026-02-02T03:04:05Z")},
		{ID: "sub_2"}, {ID: "3", ProductID: "pdt_1", Quantity: 2, CancelSaid: true},
	}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v, %v\nwant\n%+v", got, err, want)
	}
}

// TestSubscriptionDiffers: the list tells what changed, as far as it says anything.
func TestSubscriptionDiffers(t *testing.T) {
	known := monthlyState(func(*entitlement.SubscriptionState) {})
	same := dodo.SubscriptionSummary{Status: known.Status, PeriodEnd: known.PeriodEnd}
	all := same
	all.ProductID, all.Quantity, all.CancelSaid = known.ProductID, known.Quantity, true
	for name, c := range map[string]struct {
		change func(*dodo.SubscriptionSummary)
		want   bool
	}{
		"nothing":                {func(*dodo.SubscriptionSummary) {}, false},
		"says little":            {func(s *dodo.SubscriptionSummary) { *s = same }, false},
		"another status":         {func(s *dodo.SubscriptionSummary) { s.Status = "paused" }, true},
		"another end":            {func(s *dodo.SubscriptionSummary) { s.PeriodEnd = s.PeriodEnd.Add(time.Second) }, true},
		"the end in other words": {func(s *dodo.SubscriptionSummary) { s.PeriodEnd = s.PeriodEnd.In(time.FixedZone("", 3600)) }, false},
		"another product":        {func(s *dodo.SubscriptionSummary) { s.ProductID = "pdt_other" }, true},
		"another quantity":       {func(s *dodo.SubscriptionSummary) { s.Quantity++ }, true},
		"says no end":            {func(s *dodo.SubscriptionSummary) { s.PeriodEnd = time.Time{} }, false},
		"says no status":         {func(s *dodo.SubscriptionSummary) { s.Status = "" }, false},
		"cancelled at the end":   {func(s *dodo.SubscriptionSummary) { s.CancelAtEnd = true }, true},
	} {
		s := all
		c.change(&s)
		if got := s.Differs(known, known.At); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
		if s.Differs(known, known.At.Add(-time.Second)) {
			t.Errorf("%s: the list is older than what is known", name)
		}
		if s.Differs(entitlement.SubscriptionState{}, known.At) != true {
			t.Errorf("%s: nothing is known", name)
		}
	}
}

func TestPaymentChanges(t *testing.T) {
	s := newStub(t, nil, answer(200, `{"items":[
		{"refund_id":"ref_1","payment_id":"pay_1","status":"Succeeded","amount":-1},{"refund_id":"ref_2","payment_id":"pay_2","status":null}]}`),
		answer(200, `{"items":[
		{"dispute_id":"dp_1","payment_id":"pay_1","dispute_status":"dispute_won","amount":4},{"dispute_id":"dp_2","payment_id":"pay_2","dispute_status":[]}]}`))
	refunds, err := s.client.Refunds(t.Context(), dodo.Window{}, 0)
	if want := []dodo.PaymentChange{{"ref_1", "pay_1", "succeeded"}, {"ref_2", "pay_2", ""}}; err != nil || !reflect.DeepEqual(refunds.Items, want) {
		t.Errorf("refunds %+v, %v, want %+v", refunds.Items, err, want)
	}
	disputes, err := s.client.Disputes(t.Context(), dodo.Window{}, 0)
	if want := []dodo.PaymentChange{{"dp_1", "pay_1", "won"}, {"dp_2", "pay_2", ""}}; err != nil || !reflect.DeepEqual(disputes.Items, want) {
		t.Errorf("disputes %+v, %v, want %+v", disputes.Items, err, want)
	}
}

// lists are the calls that read one page, by the name of their items' id.
var lists = map[string]func(ctx context.Context, c *dodo.Client, made dodo.Window, page int) (n int, last bool, err error){
	"payment_id": func(ctx context.Context, c *dodo.Client, made dodo.Window, page int) (int, bool, error) {
		p, err := c.Payments(ctx, made, page)
		return len(p.Items), p.Last, err
	},
	"subscription_id": func(ctx context.Context, c *dodo.Client, made dodo.Window, page int) (int, bool, error) {
		p, err := c.Subscriptions(ctx, made, page)
		return len(p.Items), p.Last, err
	},
	"refund_id": func(ctx context.Context, c *dodo.Client, made dodo.Window, page int) (int, bool, error) {
		p, err := c.Refunds(ctx, made, page)
		return len(p.Items), p.Last, err
	},
	"dispute_id": func(ctx context.Context, c *dodo.Client, made dodo.Window, page int) (int, bool, error) {
		p, err := c.Disputes(ctx, made, page)
		return len(p.Items), p.Last, err
	},
}

// What is asked for. The SDK writes whole seconds, so a fraction begins earlier.
func TestListQueries(t *testing.T) {
	since := moment("2026-01-02T03:04:05.999+01:00")
	const created = "created_at_gte=2026-01-02T02%3A04%3A05Z&created_at_lte=2026-01-02T03%3A04%3A05Z&"
	for id, list := range lists {
		s := newStub(t, nil, answer(200, `{"items":[]}`))
		if _, _, err := list(t.Context(), s.client, dodo.Window{}, 0); err != nil {
			t.Fatal(err)
		}
		if _, _, err := list(t.Context(), s.client, dodo.Window{From: since, To: since.Add(time.Hour)}, 7); err != nil {
			t.Fatal(err)
		}
		path := "/" + strings.TrimSuffix(id, "_id") + "s?"
		for i, want := range []string{"page_number=0&page_size=100", created + "page_number=7&page_size=100"} {
			if line := s.seen()[i].line; line != "GET "+path+want {
				t.Errorf("asked for %s, want %s", line, path+want)
			}
		}
	}
}

func TestListPages(t *testing.T) {
	items := func(n int) string {
		return `{"items":[` + strings.TrimSuffix(strings.Repeat(`{"ID":"x_1"ALSO},`, n), ",") + `]}`
	}
	for name, tc := range map[string]struct {
		body string // with ID for the name of the id, ALSO for what else there must be
		n    int
		last bool
		err  error
	}{
		"empty":           {`{"items":[]}`, 0, true, nil},
		"short":           {items(99), 99, true, nil},
		"full":            {items(100), 100, false, nil},
		"more than asked": {items(101), 0, false, dodo.ErrBadAnswer},
		"no items":        {`{}`, 0, false, dodo.ErrBadAnswer},
		"null items":      {`{"items":null}`, 0, false, dodo.ErrBadAnswer},
		"items an object": {`{"items":{"ID":"x_1"}}`, 0, false, dodo.ErrBadAnswer},
		"items twice":     {`{"items":[],"items":[{"ID":"x_1"}]}`, 0, false, dodo.ErrBadAnswer},
		"item a string":   {`{"items":["x_1"]}`, 0, false, dodo.ErrBadAnswer},
		"item null":       {`{"items":[null]}`, 0, false, dodo.ErrBadAnswer},
		"no id":           {`{"items":[{"status":"active"}]}`, 0, false, dodo.ErrBadAnswer},
		"one without id":  {`{"items":[{"ID":"x_1"ALSO},{"status":"active"}]}`, 1, true, nil},
		"odd ones":        {`{"items":[null,{"ID":"../x"},{"ID":"x_1"ALSO},"x_1",{"ID":"x_1","ID":"x_2"},[]]}`, 1, true, nil},
		"id null":         {`{"items":[{"ID":null}]}`, 0, false, dodo.ErrBadAnswer},
		"id odd":          {`{"items":[{"ID":"../x"}]}`, 0, false, dodo.ErrBadAnswer},
		"id twice":        {`{"items":[{"ID":"x_1","ID":"x_2"}]}`, 0, false, dodo.ErrBadAnswer},
		"a list":          {`[]`, 0, false, dodo.ErrBadAnswer},
		"null":            {`null`, 0, false, dodo.ErrBadAnswer},
	} {
		for id, list := range lists {
			t.Run(name+"/"+id, func(t *testing.T) {
				also := `,"payment_id":"pay_1"` // which a refund or dispute must have too
				if id == "payment_id" || id == "subscription_id" {
					also = ""
				}
				s := newStub(t, nil, answer(200, strings.NewReplacer("ID", id, "ALSO", also).Replace(tc.body)))
				n, last, err := list(t.Context(), s.client, dodo.Window{}, 0)
				checkError(t, err, tc.err)
				if n != tc.n || last != tc.last {
					t.Errorf("%d items, last %t", n, last)
				}
				if n := len(s.seen()); n != 1 {
					t.Errorf("%d requests, want 1", n)
				}
			})
		}
	}
}

// reads are calls without an effect, by their names in errors.
var reads = map[string]func(context.Context, *dodo.Client) error{
	"read subscription": func(ctx context.Context, c *dodo.Client) error {
		_, err := c.Subscription(ctx, "sub_1")
		return err
	},
	"list payments":      readList("payment_id"),
	"list subscriptions": readList("subscription_id"),
	"list refunds":       readList("refund_id"),
	"list disputes":      readList("dispute_id"),
}

func readList(id string) func(context.Context, *dodo.Client) error {
	return func(ctx context.Context, c *dodo.Client) error {
		_, _, err := lists[id](ctx, c, dodo.Window{}, 0)
		return err
	}
}

// Reads fail like checkouts, are repeated like them, and tell as little.
func TestReadFailures(t *testing.T) {
	for op, read := range reads {
		for name, tc := range map[string]struct {
			handler  http.HandlerFunc
			want     error
			attempts int
		}{
			"500":       {answer(500, `{"code":"PLANTED `+apiKey+`"}`), dodo.ErrUnavailable, 3},
			"429":       {answer(429, ``), dodo.ErrUnavailable, 3},
			"reset":     {reset, dodo.ErrUnavailable, 3},
			"cut short": {with("Content-Length", "4000", answer(200, `{"items":[]}`)), dodo.ErrBadAnswer, 3},
			"page":      {html(200), dodo.ErrBadAnswer, 1},
			"endless":   {endless(200), dodo.ErrBadAnswer, 1},
			"redirect":  {with("Location", "https://PLANTED.example/", answer(302, ``)), dodo.ErrBadAnswer, 1},
			"400":       {answer(400, `{"code":"INVALID_QUERY_PARAMS","message":"PLANTED"}`), dodo.ErrRejected, 1},
			"401":       {answer(401, `{"code":"UNAUTHORIZED","message":"`+apiKey+`"}`), dodo.ErrUnauthorized, 1},
			"404":       {answer(404, ``), dodo.ErrNotFound, 1},
			"odd":       {answer(200, `{"subscription_id":"PLANTED@","items":[{"payment_id":"PLANTED@","subscription_id":"PLANTED@","refund_id":"PLANTED@","dispute_id":"PLANTED@"}]}`), dodo.ErrBadAnswer, 1},
		} {
			t.Run(op+"/"+name, func(t *testing.T) {
				var logged bytes.Buffer
				s := newStub(t, func(o *dodo.Options) {
					o.Logger = slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
				}, tc.handler)
				err := read(t.Context(), s.client)
				checkError(t, err, tc.want)
				if e, ok := errors.AsType[*dodo.Error](err); !ok || e.Op != op || e.Attempts != tc.attempts || len(s.seen()) != tc.attempts {
					t.Errorf("%d requests, want %d: %v", len(s.seen()), tc.attempts, err)
				}
				spelt := fmt.Sprintf("%v %+v %#v %s", err, err, err, logged.String())
				for _, secret := range planted {
					if strings.Contains(spelt, secret) {
						t.Errorf("%q shows in\n%s", secret, spelt)
					}
				}
			})
		}
		t.Run(op+"/hang", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				err := read(t.Context(), inMemory(t, 0, hang))
				checkError(t, err, dodo.ErrUnavailable)
				if took := time.Since(start); took != 10*time.Second || errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("took %v: %v", took, err)
				}
				ctx, cancel := cancelAfter(time.Second)(t.Context())
				defer cancel()
				if err := read(ctx, inMemory(t, 0, hang)); !errors.Is(err, context.Canceled) {
					t.Errorf("cancelled by the caller: %v", err)
				}
			})
		})
	}
}
