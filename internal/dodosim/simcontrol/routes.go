package simcontrol

import "net/http"

// route is one that the control API has, and what it says of it at [Prefix].
type route struct {
	Pattern string `json:"route"`
	Meaning string `json:"meaning"`
	handler http.Handler
}

func (s *Server) routes() http.Handler {
	all := []route{
		{"GET /__sim/state", "everything that the simulator knows, without secrets", serve(s.dump)},
		{"POST /__sim/reset", "begin anew, as at the start", serve(s.reset)},
		{"GET /__sim/catalog", "what is sold", serve(s.getCatalog)},
		{"POST /__sim/catalog", "add or replace products, add-ons and discounts: YAML or JSON", serve(s.seed)},
		{"GET /__sim/event-types", "the events that can be triggered", serve(s.eventTypes)},
		{"POST /__sim/trigger", "make an event happen, with the state that it tells of", serveJSON(s.trigger)},
		{"POST /__sim/pay", "pay a checkout by a test card, without a browser", serveJSON(s.pay)},
		{"POST /__sim/refund", "give a payment back, or a part of it", serveJSON(s.refund)},
		{"POST /__sim/dispute", "open and decide disputes", serveJSON(s.dispute)},
		{"POST /__sim/card", "decide how later charges to a subscription's card go", serveJSON(s.card)},
		{"POST /__sim/advance", "put the time forward", serveJSON(s.advance)},
		{"GET /__sim/faults", "what goes wrong", serve(s.getFaults)},
		{"DELETE /__sim/faults", "let all be well again", serve(s.clearFaults)},
		{"PUT /__sim/faults/api", "let API calls go wrong", serveJSON(s.setAPIFault)},
		{"DELETE /__sim/faults/api", "let API calls be well again", serve(s.clearAPIFault)},
		{"PUT /__sim/faults/webhooks", "let webhooks go wrong", serveJSON(s.setMischief)},
		{"DELETE /__sim/faults/webhooks", "let webhooks be well again", serve(s.clearMischief)},
		{"GET /__sim/events", "what has happened", serve(s.listEvents)},
		{"GET /__sim/deliveries", "the attempts to deliver webhooks", serve(s.listDeliveries)},
		{"POST /__sim/replay", "send webhooks once more", serveJSON(s.replay)},
		{"POST /__sim/webhooks/hold", "keep webhooks from being sent", serve(s.hold)},
		{"POST /__sim/webhooks/release", "send those that were held, in a random order if wanted", serveJSON(s.release)},
		{"POST /__sim/webhooks/rotate", "give a webhook endpoint another secret", serveJSON(s.rotate)},
	}
	mux := http.NewServeMux()
	for _, route := range all {
		mux.Handle(route.Pattern, route.handler)
	}
	mux.Handle("GET "+Prefix+"{$}", serve(func(*http.Request) (any, error) { return map[string]any{"routes": all}, nil }))
	mux.Handle("/", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeProblem(w, &problem{http.StatusNotFound, "NOT_FOUND", "the control API has no such route; GET " + Prefix + " lists them"})
	}))
	return mux
}
