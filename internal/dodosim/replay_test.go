package dodosim_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// replay sends again what a filter selects, and returns the types of what was sent.
func (s *shop) replay(filter dodosim.ReplayFilter) []string {
	s.t.Helper()
	sent, err := s.sim.Replay(s.t.Context(), filter)
	if err != nil {
		s.t.Fatal(err)
	}
	var types []string
	for _, d := range sent {
		if !d.Acknowledged() {
			s.t.Errorf("%+v", d)
		}
		types = append(types, d.Type)
	}
	return types
}

// A replay by each part of the filter, and by several.
func TestReplayFilter(t *testing.T) {
	shop := magazine(t, nil)
	first := shop.pay(shop.checkout(onePack)).PaymentID
	shop.sim.Advance(day)
	second := shop.pay(shop.checkout(onePack)).PaymentID
	if _, err := shop.sim.Refund(second, 0); err != nil {
		t.Fatal(err)
	}
	shop.flush()
	events := shop.sim.Events()
	for name, test := range map[string]struct {
		filter dodosim.ReplayFilter
		want   string
	}{
		"everything":  {dodosim.ReplayFilter{}, "payment.succeeded payment.succeeded refund.succeeded"},
		"one":         {dodosim.ReplayFilter{EventIDs: []string{events[2].ID}}, "refund.succeeded"},
		"object":      {dodosim.ReplayFilter{ObjectID: first}, "payment.succeeded"},
		"types":       {dodosim.ReplayFilter{Types: []string{"refund.succeeded", "refund.failed"}}, "refund.succeeded"},
		"since":       {dodosim.ReplayFilter{Since: opening.Add(day)}, "payment.succeeded refund.succeeded"},
		"until":       {dodosim.ReplayFilter{Until: opening}, "payment.succeeded"},
		"endpoint":    {dodosim.ReplayFilter{EndpointID: events[0].EndpointID}, "payment.succeeded payment.succeeded refund.succeeded"},
		"failed":      {dodosim.ReplayFilter{States: []dodosim.EventState{dodosim.EventFailed}}, ""},
		"missing":     {dodosim.ReplayFilter{Missing: true}, ""},
		"several":     {dodosim.ReplayFilter{Types: []string{"payment.succeeded"}, Since: opening.Add(day)}, "payment.succeeded"},
		"contrary":    {dodosim.ReplayFilter{Since: opening.Add(day), Until: opening}, ""},
		"not of type": {dodosim.ReplayFilter{EventIDs: []string{events[2].ID}, Types: []string{"payment.succeeded"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := strings.Join(shop.replay(test.filter), " "); got != test.want {
				t.Errorf("sent %q, want %q", got, test.want)
			}
		})
	}
	for name, filter := range map[string]dodosim.ReplayFilter{
		"event":    {EventIDs: []string{"msg_0"}},
		"endpoint": {EndpointID: "whk_0"},
		"type":     {Types: []string{"payment.success"}},
	} {
		if _, err := shop.sim.Replay(t.Context(), filter); err == nil {
			t.Error("an unknown", name, "was replayed")
		}
	}
	for _, d := range shop.sim.Deliveries() { // under its own id, each time
		if d.WebhookID != d.EventID {
			t.Errorf("%+v", d)
		}
	}
}

// Two weeks back, and no further.
func TestReplayReachesTwoWeeks(t *testing.T) {
	shop := magazine(t, nil)
	shop.pay(shop.checkout(onePack))
	shop.flush()
	shop.sim.Advance(14 * day)
	if got := shop.replay(dodosim.ReplayFilter{}); len(got) != 1 {
		t.Error(got)
	}
	shop.sim.Advance(time.Second)
	if got := shop.replay(dodosim.ReplayFilter{Since: opening}); len(got) != 0 {
		t.Error(got)
	}
}

// What failed is sent again with the state of now, and has been delivered then.
func TestReplayOfFailed(t *testing.T) {
	shop := magazine(t, nil)
	shop.sim.SetMischief(dodosim.Mischief{Drop: 1})
	paid := shop.pay(shop.checkout(onePack)).PaymentID
	shop.sim.SetMischief(dodosim.Mischief{})
	if _, err := shop.sim.Refund(paid, 0); err != nil {
		t.Fatal(err)
	}
	shop.flush()
	dropped := dodosim.ReplayFilter{States: []dodosim.EventState{dodosim.EventDropped}}
	if got := shop.replay(dropped); !slices.Equal(got, []string{"payment.succeeded"}) {
		t.Error(got)
	}
	if state := shop.sim.Events()[0].State; state != dodosim.EventDelivered {
		t.Error(state)
	}
	if body := shop.lastBody("payment.succeeded"); body["refund_status"] != "full" {
		t.Error(body)
	}
	if got := shop.replay(dropped); len(got) != 0 {
		t.Error("replayed again", got)
	}
}

// An endpoint that came later gets what it missed, under an id of its own, and only that.
func TestReplayOfMissing(t *testing.T) {
	shop := magazine(t, nil)
	shop.pay(shop.checkout(onePack))
	shop.sim.SetMischief(dodosim.Mischief{Drop: 1})
	shop.pay(shop.checkout(cartOf("pdt_book")))
	shop.sim.SetMischief(dodosim.Mischief{})
	shop.flush()
	var mu sync.Mutex
	var ids []string
	second := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		mu.Lock()
		defer mu.Unlock()
		ids = append(ids, r.Header.Get("webhook-id"))
	}))
	defer second.Close()
	endpoint := shop.ask("POST", "/webhooks", `{"url":"`+second.URL+`"}`)["id"].(string)
	if got := shop.replay(dodosim.ReplayFilter{Missing: true, EndpointID: endpoint}); len(got) != 2 {
		t.Error("the new endpoint got", got)
	}
	if got := shop.replay(dodosim.ReplayFilter{Missing: true}); !slices.Equal(got, []string{"payment.succeeded"}) {
		t.Error("the first one got", got) // what was dropped
	}
	if got := shop.replay(dodosim.ReplayFilter{Missing: true}); len(got) != 0 {
		t.Error("replayed again", got)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, e := range shop.sim.Events() {
		if (e.EndpointID == endpoint) != slices.Contains(ids, e.ID) || e.State != dodosim.EventDelivered {
			t.Errorf("%+v, the new endpoint saw %q", e, ids)
		}
	}
}

// Without any endpoint nothing is lost: it is missing at the first one that is made.
func TestReplayOfWhatNobodyWasTold(t *testing.T) {
	shop := magazine(t, func(o *dodosim.Options) { o.WebhookURL, o.WebhookSecret = "", "" })
	shop.pay(shop.checkout(onePack))
	if got := shop.replay(dodosim.ReplayFilter{Missing: true}); len(got) != 0 {
		t.Error(got)
	}
	var verified sync.WaitGroup
	verified.Add(1)
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { verified.Done() }))
	defer server.Close()
	shop.ask("POST", "/webhooks", `{"url":"`+server.URL+`"}`)
	if got := shop.replay(dodosim.ReplayFilter{Missing: true}); !slices.Equal(got, []string{"payment.succeeded"}) {
		t.Error(got)
	}
	verified.Wait()
	if events := shop.sim.Events(); len(events) != 1 || events[0].State != dodosim.EventDelivered {
		t.Error(events)
	}
}
