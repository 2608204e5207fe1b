// Package gateway holds the use cases: a customer looks, buys or spends, or Dodo reports
// what happened. It knows the store and Dodo by their interfaces, and neither HTTP routes
// nor Caddy. [New] makes three types from the same parts:
//
//   - [Shop] is what customers buy and manage: checkouts, products with their prices,
//     subscriptions, the customer portal. It calls Dodo, and grants nothing by itself.
//   - [Events] takes facts from Dodo and applies them to accounts: webhooks and their
//     journal, confirmation of orders, inquiries, reconciliation, redrives, imports, and
//     what an operator assigns or dismisses. All that is granted, except sign-up credits,
//     is granted here.
//   - [Accounts] is what accounts have and spend: views, holds and their charges, waiting
//     for changes, the history and what operators inspect.
//
// Accounts may ask Events, and Shop may ask both; nothing points back. What they share is in
// parts (parts.go): store, provider, catalog, remembered views, site, clock and logger.
//
// The path of a credit: [Shop.Checkout] makes an order and a session at Dodo; the customer
// pays there; [Events.HandleEvent] or [Events.Confirm], whichever is first, brings the
// payment as a fact; apply.go finds the account, folds the fact into the payment and
// commits the effect; [Accounts.View] shows it to the next request; [Accounts.Hold] and
// [Charge.End] spend it.
package gateway
