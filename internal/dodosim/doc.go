// Package dodosim simulates Dodo Payments: an [http.Handler] that sells the products of a
// small catalog through checkout sessions, once or by subscription, shows the hosted
// checkout page and the customer portal, refunds, and reports everything by signed
// webhooks. Dodo's own SDKs work against it with only the base URL changed.
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
// State lives in memory, is never trimmed, and is deliberately lost on exit: stored
// simulated money would one day be mistaken for real money, and a test must not depend on
// an earlier run.
//
// # What it is faithful to
//
// Objects carry every field that Dodo's published API description requires, and
// every answer and webhook is validated against that description by this package's
// tests. Behaviour follows the project's fact sheet on Dodo (FACTS, cited by
// section). If that sheet says UNCONFIRMED, the simulator makes a choice; each choice is a
// comment in the code and a line in docs/simulator.md. The choices that a client is most
// likely to depend on by mistake:
//
//   - each attempt to pay makes a payment of its own, so a declined and a successful
//     attempt in one session have different payment ids;
//   - a missing object is 404 NOT_FOUND, though the API description lists 500;
//   - a refund succeeds at once, with no time spent as pending;
//   - a cancellation at the period's end is announced when it takes effect;
//   - a recovered subscription sends active, but no renewed;
//   - a subscription has one piece, though the API description has a quantity;
//   - there is no tax, and no currency is ever converted.
//
// If the other choice could break a client, an option selects it.
//
// # Where things are
//
// simulator.go has the routes and api.go the answers. Each object has a file of its name,
// and its lists another. subscribe, directsubscription, renewal, retry, slow and planchange
// are a subscription's life; addon and subscriptionaddon are its add-ons; terms, meter and
// the files of credits are its price and its credits. clock.go and deadline.go have what
// happens by time. event.go, delivery.go, mischief.go and replay.go deliver webhooks, and
// webhookendpoint.go has their destinations.
//
// # Time
//
// Scheduled things happen only when [Simulator.Tick] or [Simulator.Advance] is called, in
// the order of their times and each dated at its own time, so that tests are repeatable.
// Webhooks are sent and retried by Options.Clock.
package dodosim
