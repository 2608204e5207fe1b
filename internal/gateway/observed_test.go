package gateway_test

import (
	"sync"

	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/gateway/cache"
)

// observed counts what a gateway reports, as "type outcome".
type observed struct {
	mu        sync.Mutex
	settled   map[string]int
	refused   int
	checkouts []error
	reads     map[cache.Result]int
	heard     int // gateways that hear of changes
	deferred  int // charges
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

func (o *observed) EntitlementRead(result cache.Result) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.reads == nil {
		o.reads = make(map[cache.Result]int)
	}
	o.reads[result]++
}

func (o *observed) ChargesDeferred(more int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.deferred += more
}

func (o *observed) ChangesHeard(all bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if all {
		o.heard++
	} else {
		o.heard--
	}
}

// count is how often events of a type had an outcome.
func (o *observed) count(eventType string, outcome gateway.Outcome) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.settled[eventType+" "+string(outcome)]
}
