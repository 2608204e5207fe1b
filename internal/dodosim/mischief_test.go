package dodosim_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// story makes a shop with some events in it, named by their place in the story, and
// tells what was delivered in these names.
type story struct {
	*shop
	names map[string]string
}

func tell(t *testing.T, purchases int) *story {
	shop := open(t, nil)
	shop.sim.HoldWebhooks(true)
	for range purchases {
		shop.pay(shop.checkout(onePack))
	}
	s := &story{shop, make(map[string]string)}
	for i, event := range shop.sim.Events() {
		s.names[event.ID] = fmt.Sprint(i)
	}
	return s
}

// told names deliveries: 3 is the fourth event, 3= a duplicate, 3# one under another id.
func (s *story) told(deliveries []dodosim.Delivery) []string {
	var names []string
	for _, d := range deliveries {
		name := s.names[d.EventID]
		switch {
		case d.WebhookID != d.EventID:
			name += "#"
		case d.Copy:
			name += "="
		}
		names = append(names, name)
	}
	return names
}

func (s *story) shuffled(m dodosim.Mischief) []string {
	s.t.Helper()
	deliveries, err := s.sim.DeliverShuffled(s.t.Context(), m)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.told(deliveries)
}

func TestShuffledIsReproducible(t *testing.T) {
	mischief := dodosim.Mischief{Seed: 7, Drop: 0.2, Duplicate: 0.3, NewID: 0.3}
	first := tell(t, 40).shuffled(mischief)
	if again := tell(t, 40).shuffled(mischief); !slices.Equal(first, again) {
		t.Errorf("the same seed gave\n%v and\n%v", first, again)
	}
	mischief.Seed = 8
	if other := tell(t, 40).shuffled(mischief); slices.Equal(first, other) {
		t.Error("another seed changes nothing")
	}
	if slices.IsSortedFunc(first, func(a, b string) int { return len(a) - len(b) }) {
		t.Error("in order:", first)
	}
}

// Each kind of mischief alone, to all events, and each hits the same events whatever the
// others do.
func TestMischiefKinds(t *testing.T) {
	for name, test := range map[string]struct {
		mischief dodosim.Mischief
		wanted   string // sorted
	}{
		"none":      {dodosim.Mischief{Seed: 1}, "[0 1 2]"},
		"drop":      {dodosim.Mischief{Drop: 1, Duplicate: 1, NewID: 1}, "[]"},
		"duplicate": {dodosim.Mischief{Duplicate: 1}, "[0 0= 1 1= 2 2=]"},
		"new id":    {dodosim.Mischief{NewID: 1}, "[0 0# 1 1# 2 2#]"},
		"both":      {dodosim.Mischief{Duplicate: 1, NewID: 1}, "[0 0# 0= 1 1# 1= 2 2# 2=]"},
	} {
		t.Run(name, func(t *testing.T) {
			story := tell(t, 3)
			got := story.shuffled(test.mischief)
			slices.Sort(got)
			if fmt.Sprint(got) != test.wanted {
				t.Errorf("got %v, wanted %s", got, test.wanted)
			}
			story.sim.HoldWebhooks(false)
			story.flush()
			if all := story.sim.Deliveries(); len(all) != len(got) || len(story.hooks.bodies()) != len(got) {
				t.Error("released:", story.told(all)[len(got):])
			}
			wanted := dodosim.EventDelivered
			if test.mischief.Drop > 0 {
				wanted = dodosim.EventDropped
			}
			for _, event := range story.sim.Events() {
				if event.State != wanted {
					t.Errorf("%+v", event)
				}
			}
		})
	}
	alone := tell(t, 30).shuffled(dodosim.Mischief{Seed: 3, Drop: 0.5})
	together := slices.DeleteFunc(tell(t, 30).shuffled(dodosim.Mischief{Seed: 3, Drop: 0.5, Duplicate: 0.5}), func(name string) bool {
		return name[len(name)-1] == '='
	})
	slices.Sort(alone)
	slices.Sort(together)
	if !slices.Equal(alone, together) || len(alone) == 0 || len(alone) == 30 {
		t.Errorf("%v, then %v", alone, together)
	}
}

// What is live goes wrong by the same rules.
func TestLiveMischief(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := bubble(t, func(*http.Request) (int, error) { return 200, nil })
		shop.sim.SetMischief(dodosim.Mischief{Seed: 5, Drop: 0.3, Duplicate: 0.3, NewID: 0.3, MaxDelay: time.Hour})
		for range 100 {
			shop.pay(shop.checkoutDirectly(onePack))
		}
		shop.flush() // waits, in the bubble's time
		synctest.Wait()
		events, deliveries := shop.sim.Events(), shop.sim.Deliveries()
		states, sent, copies := map[dodosim.EventState]int{}, map[string]int{}, 0
		for _, event := range events {
			states[event.State]++
		}
		var order []string
		for _, d := range deliveries {
			if d.Copy {
				copies++
			} else {
				sent[d.EventID]++
				order = append(order, d.EventID)
			}
		}
		for _, event := range events {
			if (event.State == dodosim.EventDropped) != (sent[event.ID] == 0) || sent[event.ID] > 1 {
				t.Errorf("%+v was sent %d times", event, sent[event.ID])
			}
		}
		if n := states[dodosim.EventDropped]; n < 10 || n > 60 || states[dodosim.EventDelivered] != 100-n || copies < 10 {
			t.Error(states, copies, "copies")
		}
		var inOrder []string
		for _, event := range events {
			if event.State == dodosim.EventDelivered {
				inOrder = append(inOrder, event.ID)
			}
		}
		if slices.Equal(order, inOrder) {
			t.Error("delays changed no order")
		}
		shop.sim.SetMischief(dodosim.Mischief{})
		for range 20 {
			shop.pay(shop.checkoutDirectly(onePack))
		}
		synctest.Wait()
		if got := len(shop.sim.Deliveries()) - len(deliveries); got != 20 {
			t.Error(got, "deliveries of 20 events after the end of mischief")
		}
	})
}

func TestFlushWaitsForCopies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := bubble(t, func(*http.Request) (int, error) { return 200, nil })
		for seed := range 10 { // in some of them the copy comes last
			shop.sim.SetMischief(dodosim.Mischief{Seed: uint64(seed), Duplicate: 1, MaxDelay: time.Hour})
			shop.pay(shop.checkoutDirectly(onePack))
			shop.flush()
			if got := len(shop.sim.Deliveries()); got != 2*(seed+1) {
				t.Errorf("%d deliveries after %d events", got, seed+1)
			}
		}
	})
}

// A drop is for good, but a replay gets through.
func TestDroppedCanBeReplayed(t *testing.T) {
	shop := open(t, nil)
	shop.sim.SetMischief(dodosim.Mischief{Drop: 1})
	shop.pay(shop.checkout(onePack))
	shop.flush()
	event := shop.sim.Events()[0]
	if event.State != dodosim.EventDropped || len(shop.hooks.bodies()) != 0 {
		t.Fatalf("%+v", event)
	}
	if _, err := shop.sim.Redeliver(t.Context(), event.ID); err != nil || shop.sim.Events()[0].State != dodosim.EventDelivered {
		t.Error(err, shop.sim.Events()[0])
	}
}

// A copy is sent even if the event itself was acknowledged, and alone does not count.
func TestCopiesDoNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var status atomic.Int32
		status.Store(http.StatusInternalServerError)
		shop := bubble(t, func(*http.Request) (int, error) { return int(status.Load()), nil })
		shop.sim.SetMischief(dodosim.Mischief{Duplicate: 1})
		shop.pay(shop.checkoutDirectly(onePack))
		synctest.Wait()
		if got := len(shop.sim.Deliveries()); got != 2 {
			t.Error(got, "deliveries")
		}
		status.Store(http.StatusOK)
		time.Sleep(time.Minute)
		synctest.Wait()
		if event := shop.sim.Events()[0]; event.State != dodosim.EventDelivered || event.Attempts != 3 {
			t.Errorf("%+v", event)
		}
	})
}

func TestDeliverShuffledNeedsAHold(t *testing.T) {
	shop := open(t, nil)
	if _, err := shop.sim.DeliverShuffled(t.Context(), dodosim.Mischief{}); err == nil {
		t.Error("shuffled what is under way")
	}
	story := tell(t, 2)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if sent, err := story.sim.DeliverShuffled(ctx, dodosim.Mischief{}); err == nil {
		t.Error("delivered for nobody:", sent)
	}
}

// Close does not wait for what is delayed.
func TestCloseEndsMischief(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := bubble(t, func(*http.Request) (int, error) { return 200, nil })
		shop.sim.SetMischief(dodosim.Mischief{Seed: 1, Duplicate: 1, NewID: 1, MaxDelay: time.Hour})
		shop.pay(shop.checkoutDirectly(onePack))
		began := time.Now()
		if err := shop.sim.Close(); err != nil || time.Since(began) != 0 {
			t.Error("Close took", time.Since(began), err)
		}
		if event := shop.sim.Events()[0]; event.State != dodosim.EventUnsent {
			t.Errorf("%+v", event)
		}
	})
}
