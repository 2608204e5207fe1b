package entitlement

import "strings"

// Kind is a kind of object that belongs to an account.
type Kind string

// The kinds of object. Facts are about payments, subscriptions and features. Sessions and
// customers only lead from a payment to its account. Sign-ups, orders and imports are
// dodogate's own.
const (
	KindPayment      Kind = "payment"
	KindSubscription Kind = "subscription"
	KindFeature      Kind = "feature" // one grant of it
	KindSession      Kind = "session"
	KindCustomer     Kind = "customer"
	KindEmail        Kind = "email"   // a digest of an address that a login has verified
	KindContact      Kind = "contact" // a digest of an address that a login verified at a checkout; leads operators to its account
	KindSignup       Kind = "signup"
	KindOrder        Kind = "order"   // dodogate's own; leads from the order's id to its account
	KindImport       Kind = "import"  // what an operator reported about a customer of another system
	KindAct          Kind = "act"     // what an operator did by hand; the ID is the act's
	KindForeign      Kind = "foreign" // an object that another site sold; its ID is the text of that object's own Ref
)

// Ref names one object: its kind and, for objects at Dodo, Dodo's id for it.
type Ref struct {
	Kind Kind
	ID   string
}

// String is "kind:id", the object's name in the store and in entries.
func (r Ref) String() string { return string(r.Kind) + ":" + r.ID }

// ParseRef reads the output of [Ref.String].
func ParseRef(text string) (Ref, bool) {
	kind, id, ok := strings.Cut(text, ":")
	return Ref{Kind(kind), id}, ok
}

func isSubscription(object string) bool {
	return strings.HasPrefix(object, string(KindSubscription)+":")
}
