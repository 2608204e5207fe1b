package gateway_test

import (
	"sync"

	"github.com/dodogate/dodogate/internal/gateway"
)

// observed counts what a gateway reports, as "type outcome".
type observed struct {
	mu        sync.Mutex
	settled   map[string]int
	refused   int
	checkouts []error
}

func (o *observed) EventSettled(eventType string, outcome gateway.Outcome) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.settled == nil {
		o.settled = make(map[string]int)
	}
	o.settled[eventType+" "+string(outcome)]++
}

func (o *observed) EventRefused(error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.refused++
}

func (o *observed) CheckoutEnded(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.checkouts = append(o.checkouts, err)
}

// count is how often events of a type had an outcome.
func (o *observed) count(eventType string, outcome gateway.Outcome) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.settled[eventType+" "+string(outcome)]
}
