package httpapi_test

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/dodogate/dodogate/internal/store/redistest"
)

// TestTwoProcesses: two gateways on one Redis are told everything at the same
// time, both of them all of it and some of it twice, and everything is there once.
func TestTwoProcesses(t *testing.T) {
	s := tell(t, openBolt, everything)
	if len(s.events) < 50 {
		t.Fatalf("%d events", len(s.events))
	}
	at := place{URL: redistest.Start(t).URL(), Prefix: "twins:"}
	twins := s.again(t, openRedis(t, at.URL, at.Prefix, s.clock), alice)

	seed := rand.Uint64()
	chance := rand.New(rand.NewPCG(seed, 0))
	var all sync.WaitGroup
	for range 2 {
		child := process{Place: at, Now: s.clock.Now(), Writes: -1}.start(t)
		for part := range slices.Chunk(shuffled(s.events, chance), 16) {
			all.Go(func() {
				for _, d := range part {
					status, err := child.post(t.Context(), s.signed(d.id, d.body), d.body)
					if err != nil || status != http.StatusOK {
						t.Errorf("status %d, %v", status, err)
					}
				}
			})
		}
	}
	all.Wait()
	if got, want := twins.end(alice), s.end(alice); got != want {
		t.Errorf("seed %d ends in\n%s\nnot in\n%s", seed, got, want)
	}
}
