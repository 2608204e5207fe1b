// Package dodo is the payment provider: everything that dodogate knows about Dodo Payments,
// behind plain Go types. No other package imports Dodo's SDK.
//
//	webhook ─ Verifier ─→ Delivery ─ Decode ─→ Event ─→ Fact, Clues
//	order ─ Prover.Metadata ─→ Client.CreateCheckout … later … Prover.Claim ─→ account
//	Client.Payment, Client.Subscription, Client.Session, Client.Products: read one object now
//	Client.Payments, Client.Subscriptions, Client.FeatureGrants …: list objects
//
// A [Fact] is what one webhook or one read says about one payment, subscription or feature
// grant; package entitlement merges facts. [Clues] lead from a fact to an account.
package dodo
