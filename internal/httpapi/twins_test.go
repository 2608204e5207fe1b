package httpapi_test

import (
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"

	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// TestTwoProcesses: two gateways on one Redis are told more than fifty events at
// the same time, both of them everything and some of it twice, or each of them some
// and nothing twice. Everything is there once.
//
// It fails when, for example, a fact is dropped because another one about the same
// object was faster.
func TestTwoProcesses(t *testing.T) {
	server := redistest.Start(t)
	s := tell(t, openBolt, func(s *telling) {
		everything(s)
		bought := s.pays(s.checkout(`{"product":"pack10","quantity":100}`), dodosim.CardVisa).PaymentID
		for range 30 { // each of which only its own event tells
			s.refunded(bought, 1000)
		}
	})
	if len(s.events) <= 50 {
		t.Fatalf("%d events", len(s.events))
	}
	want, seed := s.end(alice), rand.Uint64()
	for name, deal := range map[string]func(chance *rand.Rand) [2][]delivery{
		"everything to both": func(chance *rand.Rand) [2][]delivery {
			return [2][]delivery{shuffled(s.events, chance), shuffled(s.events, chance)}
		},
		"each to one": func(chance *rand.Rand) (parts [2][]delivery) {
			for _, e := range s.events { // in order, so that those of one object meet
				to := &parts[chance.IntN(2)]
				*to = append(*to, delivery{e.id, e.body})
			}
			return parts
		},
	} {
		t.Run(name, func(t *testing.T) {
			at := place{URL: server.URL(), Prefix: name + ":"}
			twins := s.again(t, openRedis(t, at.URL, at.Prefix, s.clock), alice)
			var all sync.WaitGroup
			for _, part := range deal(rand.New(rand.NewPCG(seed, 0))) {
				child := process{Place: at, Now: s.clock.Now(), Writes: -1}.start(t)
				next := make(chan delivery, len(part))
				for _, d := range part {
					next <- d
				}
				close(next)
				for range 8 {
					all.Go(func() {
						for d := range next {
							status, err := child.post(t.Context(), s.signed(d.id, d.body), d.body)
							if err != nil || status != http.StatusOK {
								t.Errorf("status %d, %v", status, err)
							}
						}
					})
				}
			}
			all.Wait()
			if got := twins.end(alice); got != want {
				t.Errorf("seed %d ends in\n%s\nnot in\n%s", seed, got, want)
			}
		})
	}
}
