package httpapi_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/store"
)

const day = 24 * time.Hour

var (
	month = dodosim.Period{Count: 1, Interval: dodosim.Month}

	storyProducts = []config.Product{
		{Name: "pack10", ID: "pdt_pack10", Credits: 10},
		{Name: "pass", ID: "pdt_pass", Plan: "day", Credits: 7, Lasts: config.Duration(90 * day)},
		{Name: "basic", ID: "pdt_basic", Plan: "basic", Credits: 5, AllowMultiple: true},
		{Name: "pro", ID: "pdt_pro", Plan: "pro", Credits: 500, AllowMultiple: true},
		{Name: "team", ID: "pdt_team", Plan: "team", Credits: 800, AllowMultiple: true},
		{Name: "try", ID: "pdt_try", Plan: "try", Credits: 30, AllowMultiple: true},
	}
	storySold = []dodosim.Product{
		{ID: "pdt_pack10", Price: 999, Currency: "USD"},
		{ID: "pdt_pass", Price: 500, Currency: "USD"},
		{ID: "pdt_basic", Price: 9900, Currency: "USD", Every: dodosim.Period{Count: 1, Interval: dodosim.Year}},
		{ID: "pdt_pro", Price: 2000, Currency: "USD", Every: month},
		{ID: "pdt_team", Price: 5000, Currency: "USD", Every: month},
		{ID: "pdt_try", Price: 1000, Currency: "USD", Every: month, TrialDays: 14},
	}
)

func forStories(open opener) func(*setting) {
	return func(set *setting) { set.products, set.sold, set.store = storyProducts, storySold, open }
}

// stories are what happens to Alice, and what she has in the end.
var stories = map[string]struct {
	tell func(*telling)
	ends string
}{
	"declined, bought, refunded by and by": {func(s *telling) {
		session := s.checkout(`{"product":"pack10","quantity":3}`)
		s.pays(session, dodosim.CardDeclined)
		bought := s.pays(session, dodosim.CardVisa).PaymentID
		for _, amount := range []int{1000, 1, 996} {
			s.refunded(bought, amount)
		}
	}, "10 none none paid"},
	"refunded in full": {func(s *telling) {
		bought := s.buys("pass").PaymentID
		s.buys("pack10")
		s.passes(day)
		s.refunded(bought, 0)
	}, "10 none none paid"},
	"one dispute won and one lost": {func(s *telling) {
		first, second := s.buys("pass").PaymentID, s.buys("pack10").PaymentID
		won, lost := s.disputed(first), s.disputed(second)
		s.decided(won, dodosim.DisputeChallenged)
		s.decided(lost, dodosim.DisputeChallenged)
		s.decided(won, dodosim.DisputeWon)
		s.decided(lost, dodosim.DisputeLost)
	}, "7 day active paid"},
	"lost before it was a dispute": {func(s *telling) {
		bought := s.buys("pack10").PaymentID
		s.buys("pack10")
		_, err := s.sim.LoseByRDR(bought)
		must(s.t, err)
		s.tell()
	}, "10 none none paid"},
	"renewed, held, recovered, cancelled at the end": {func(s *telling) {
		sub := s.buys("pro").SubscriptionID
		s.passes(31 * day)
		s.replacesCard(sub, dodosim.CardFailsLater)
		s.passes(31 * day)
		s.replacesCard(sub, dodosim.CardVisa)
		s.patches(sub, `{"cancel_at_next_billing_date":true}`)
		s.passes(5 * day)
	}, "500 pro active paid"},
	"paused, resumed, changed, the change refunded": {func(s *telling) {
		sub := s.buys("pro").SubscriptionID
		s.passes(5 * day)
		s.patches(sub, `{"status":"paused"}`)
		s.passes(day)
		s.patches(sub, `{"status":"active"}`)
		s.passes(5 * day)
		s.dodoDoes("POST", "/subscriptions/"+sub+"/change-plan", `{"product_id":"pdt_team","quantity":1,"proration_billing_mode":"full_immediately"}`)
		s.tell()
		s.refunded(s.lastPayment(), 0) // the 20 dollars of the month before stay
	}, "500 team active paid"},
	"paused in the end": {func(s *telling) {
		sub := s.buys("pro").SubscriptionID
		s.passes(5 * day)
		s.patches(sub, `{"status":"paused"}`)
	}, "500 none paused unpaid"},
	"on hold in the end, with credits left": {func(s *telling) {
		sub := s.buys("team").SubscriptionID
		s.replacesCard(sub, dodosim.CardFailsLater)
		s.buys("pack10")
		s.passes(31 * day)
	}, "10 none on_hold paid"},
	"a month of a plan above the yearly one, and a pass": {func(s *telling) {
		s.buys("basic")
		s.passes(day)
		pro := s.buys("pro").SubscriptionID
		s.buys("pass")
		s.passes(31 * day)
		s.patches(pro, `{"cancel_at_next_billing_date":true}`)
		s.passes(5 * day)
	}, "512 pro,basic,day active paid"},
	"the higher of two plans is held, the lower one refunded": {func(s *telling) {
		sub := s.buys("team").SubscriptionID
		s.replacesCard(sub, dodosim.CardFailsLater)
		s.passes(10 * day)
		lower := s.buys("basic").PaymentID
		s.buys("pass")
		s.passes(21 * day)
		s.refunded(lower, 0)
	}, "7 day active paid"},
	"two subscriptions, a trial, a pack": {func(s *telling) {
		s.buys("try")
		sub := s.buys("pro").SubscriptionID
		s.buys("pack10")
		s.passes(16 * day)
		s.patches(sub, `{"status":"cancelled"}`)
		s.passes(20 * day)
	}, "40 try active paid"},
}

// everything is all stories, one after the other.
func everything(s *telling) {
	for _, name := range slices.Sorted(maps.Keys(stories)) {
		stories[name].tell(s)
	}
}

// told is one event of a story: by its body when it happened, and by the one that
// Dodo would send in the end.
type told struct{ id, kind, body, latest string }

// telling is a site to which everything that happens is told at once and in order.
type telling struct {
	*site
	events []told
}

// tell tells a story from its beginning on.
func tell(t *testing.T, open opener, story func(*telling)) *telling {
	t.Helper()
	s := &telling{site: newSite(t, forStories(open))}
	s.sim.HoldWebhooks(true)
	story(s)
	for i := range s.events {
		s.events[i].latest = s.hear(s.events[i].id)
	}
	return s
}

// tell tells what has happened since the last time.
func (s *telling) tell() {
	s.t.Helper()
	for _, e := range s.sim.Events()[len(s.events):] {
		s.events = append(s.events, told{id: e.ID, kind: e.Type, body: s.hear(e.ID)})
	}
}

func (s *telling) hear(event string) string {
	s.t.Helper()
	d, err := s.sim.Redeliver(s.t.Context(), event)
	must(s.t, err)
	if d.Status != http.StatusOK {
		s.t.Fatalf("%s: %d, %v", d.Body, d.Status, d.Err)
	}
	return string(d.Body)
}

func (s *telling) checkout(wish string) (session string) {
	s.t.Helper()
	_, session = s.order(alice, wish)
	return session
}

func (s *telling) pays(session, card string) dodosim.Attempt {
	s.t.Helper()
	attempt, err := s.sim.Pay(session, card)
	must(s.t, err)
	s.tell()
	return attempt
}

func (s *telling) buys(product string) dodosim.Attempt {
	s.t.Helper()
	return s.pays(s.checkout(`{"product":"`+product+`"}`), dodosim.CardVisa)
}

func (s *telling) refunded(payment string, amount int) {
	s.t.Helper()
	_, err := s.sim.Refund(payment, amount)
	must(s.t, err)
	s.tell()
}

func (s *telling) disputed(payment string) string {
	s.t.Helper()
	id, err := s.sim.OpenDispute(payment)
	must(s.t, err)
	s.tell()
	return id
}

func (s *telling) decided(dispute string, outcome dodosim.DisputeStatus) {
	s.t.Helper()
	must(s.t, s.sim.DecideDispute(dispute, outcome))
	s.tell()
}

func (s *telling) replacesCard(subscription, card string) {
	s.t.Helper()
	_, err := s.sim.ReplaceCard(subscription, card)
	must(s.t, err)
	s.tell()
}

// passes lets time pass, and everything happen that comes due.
func (s *telling) passes(d time.Duration) {
	s.t.Helper()
	s.clock.pass(d)
	s.sim.Tick()
	s.tell()
}

func (s *telling) patches(subscription, change string) {
	s.t.Helper()
	s.dodoDoes("PATCH", "/subscriptions/"+subscription, change)
	s.tell()
}

// dodoDoes is what the merchant does by Dodo's API.
func (s *site) dodoDoes(method, path, body string) {
	s.t.Helper()
	r, w := httptest.NewRequest(method, path, strings.NewReader(body)), httptest.NewRecorder()
	r.Header.Set("Authorization", "Bearer "+apiKey)
	r.Header.Set("Content-Type", "application/json")
	s.sim.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		s.t.Fatalf("%s %s %s: %d %s", method, path, body, w.Code, w.Body)
	}
}

// lastPayment is the newest one that was told of.
func (s *telling) lastPayment() string {
	s.t.Helper()
	for _, e := range slices.Backward(s.sim.Events()) {
		if e.Type == "payment.succeeded" {
			return e.ObjectID
		}
	}
	s.t.Fatal("nothing was paid")
	return ""
}

// again is a site like this one at this time, over another store, which has none
// of this one's but the account's orders.
func (s *site) again(t *testing.T, over opened, account string) *site {
	t.Helper()
	orders, err := s.store.Orders(t.Context(), account, store.Purchases)
	must(t, err)
	other := s.beside(t, over)
	for _, o := range orders {
		_, _, err := other.store.CreateOrder(t.Context(), o, book.Key{})
		must(t, err)
		must(t, other.store.OpenOrder(t.Context(), o, book.Key{}))
	}
	return other
}

// beside is the same site over another store.
func (s *site) beside(t *testing.T, over opened) *site {
	t.Helper()
	set := setting{publicURL: public}
	forStories(nil)(&set)
	return s.in(t).over(set, over)
}

// end is all that an account has in the end: what its status says, the grants that
// count now, and what is left parked. Its entries must add up.
func (s *site) end(account string) string {
	s.t.Helper()
	status := s.get("/payments/status").by(account).do()
	status.json(http.StatusOK)
	a, err := s.store.Account(s.t.Context(), account)
	must(s.t, err)
	var lines []string
	for _, g := range a.Ledger.Grants {
		if g.Left > 0 && (g.ExpiresAt.IsZero() || g.ExpiresAt.After(s.clock.Now())) {
			lines = append(lines, fmt.Sprintf("%s: %d of %d until %v", g.ID, g.Left, g.Amount, g.ExpiresAt))
		}
	}
	parked, _, err := s.store.Parked(s.t.Context(), "", "", 100)
	must(s.t, err)
	for _, e := range parked {
		lines = append(lines, fmt.Sprintf("parked %s: %s", e.Type, e.Reason))
	}
	s.addsUp(account)
	return status.Body.String() + strings.Join(lines, "\n")
}

// addsUp checks that the entries of an account explain its balance.
func (s *site) addsUp(account string) {
	s.t.Helper()
	a, err := s.store.Account(s.t.Context(), account)
	must(s.t, err)
	entries, err := s.store.Entries(s.t.Context(), account, store.Page{After: 0, Limit: 1000})
	must(s.t, err)
	var sum int64
	for i, e := range entries {
		if sum += e.Amount; e.Seq != int64(i+1) || e.Balance != sum {
			s.t.Errorf("entry %d is %+v, the amounts add up to %d", i+1, e, sum)
		}
	}
	if a.Ledger.Seq != int64(len(entries)) {
		s.t.Errorf("%d entries and seq %d", len(entries), a.Ledger.Seq)
	}
}
