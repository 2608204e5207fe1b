// Package dodo is the payment provider: everything that dodogate knows about
// Dodo Payments, behind plain Go types. No other package imports Dodo's SDK.
//
//	webhook ─ Verifier ─→ Delivery ─ Decode ─→ Event ─→ Fact, Clues
//	order ─ Prover.Metadata ─→ Client.CreateCheckout … later … Prover.Claim ─→ account
//	Client.Payment, Client.Subscription, Client.Session, Client.Products: what Dodo says now
//	Client.Payments, Client.Subscriptions, Client.FeatureGrants …: what there is to read
//
// A [Fact] is what one webhook or one read says about one payment, subscription or
// grant of a feature; the package entitlement folds it. [Clues] lead from it to an
// account.
package dodo
