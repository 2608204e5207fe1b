// Package dodosim plays Dodo Payments: an [http.Handler] that sells the products
// of a small catalog through checkout sessions, once or by subscription, shows the
// hosted checkout page and the customer portal, refunds, and reports everything by signed
// webhooks, well enough that Dodo's own SDKs work against it with only the base URL changed.
//
// It has two uses. A developer runs it (by the command simulator, or the Caddy directive
// dodo_simulator), clicks through a purchase with no account at Dodo and no network, and
// controls it by the command sim, see package simcontrol. A Go test
// runs it under [net/http/httptest], or by package simtest, and, through the back doors
// ([Simulator.Trigger], [Simulator.Seed], [Simulator.Dump], [Simulator.Pay],
// [Simulator.Refund], [Simulator.ReplaceCard], [Simulator.SlowCard], [Simulator.MendCard],
// [Simulator.OpenDispute],
// [Simulator.DecideDispute], [Simulator.LoseByRDR], [Simulator.FailRefund],
// [Simulator.CancelPayment], [Simulator.DeliverGrant], [Simulator.FailGrant],
// [Simulator.Payout], [Simulator.Advance], [Simulator.Tick], [Simulator.HoldWebhooks],
// [Simulator.Redeliver], [Simulator.Replay], [Simulator.DeliverAs],
// [Simulator.DeliverShuffled], [Simulator.SetMischief], [Simulator.SetFault],
// [Simulator.Calls]), decides what happens, in which order, and what goes wrong.
//
// State lives in memory, is never trimmed, and is lost on exit, on purpose: money
// that a simulator remembers would one day be taken for real, and a test that
// depends on yesterday's run is no test.
//
// # What it is faithful to
//
// Objects carry every field that Dodo's published API description requires, and
// every answer and webhook is validated against that description by this package's
// tests. Behaviour follows the project's fact sheet on Dodo (FACTS, cited by
// section). Where that sheet says UNCONFIRMED, the simulator still has to do
// something; each such choice is a comment where it is made and a line in
// docs/simulator.md. The ones that a client is most likely to lean on by mistake:
//
//   - each try to pay makes a payment of its own, so a declined and a successful
//     try in one session have different payment ids;
//   - a missing object is 404 NOT_FOUND, though the API description lists 500;
//   - a refund succeeds at once, with no time spent as pending;
//   - a cancellation at the period's end is announced when it takes effect;
//   - a recovered subscription sends active, but no renewed;
//   - a subscription has one piece, though the API description has a quantity;
//   - there is no tax, and no currency is ever converted.
//
// Where the other reading could break a client, an option turns it on.
//
// # Where things are
//
// simulator.go routes, api.go answers; an object has a file of its own name, its lists
// another. subscribe, directsubscription, renewal, retry,
// slow and planchange are a subscription's life; addon and subscriptionaddon are its extras;
// terms, meter and the files of credits are what it costs and gives. What happens on its
// own is in clock.go and deadline.go. event.go, delivery.go, mischief.go and replay.go are
// the way of a webhook, hook.go is where it ends.
//
// # Time
//
// What has a time of its own happens only when [Simulator.Tick] or [Simulator.Advance] is
// called, in the order of those times and each dated at its own, so that a test that does
// the same gets the same. Webhooks are sent, and retried, by Options.Clock.
package dodosim
