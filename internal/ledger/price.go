package ledger

import (
	"strconv"
	"strings"
)

// Tariff is what requests cost.
type Tariff struct {
	Credits  int64     // for a request whose price nobody names
	Max      int64     // the most that the app may name; it is held for each request
	Statuses *Statuses // that are charged
	// Unit is how many credits 1.00 of what the app names is, such as a dollar. With 0 the
	// app names whole credits. Parts of a credit are rounded up, or down with RoundDown.
	Unit      int64
	RoundDown bool
}

// Answer is what is known of the answer to a request.
type Answer struct {
	// Status is the final HTTP status, 101 of an upgrade included. 0 is none.
	Status int
	// Origin is the status of the app itself, if it is known: another handler may have
	// answered in its place. 0 is not known.
	Origin int
	// RPC says that the answer is one of gRPC, which tells behind the body whether the
	// call succeeded. RPCStatus is what it told, as [RPCStatus] reads it; 0 is nothing.
	RPC       bool
	RPCStatus int
	// Price has the values of the header in which the app names the price.
	Price []string
	// Awaits says that the price comes behind the body.
	Awaits bool
	// Body says that a part of the body was written to the client. Whether it arrived
	// nobody can know.
	Body bool
	// End is how the answer ended.
	End End
}

// End is how an answer ended.
type End int

// How answers end. The zero value is one that has not ended.
const (
	Underway  End = iota
	Completed     // the app said all that it had to say
	LeftByClient
	BrokenOff // by the app, or by what is between
)

// Verdict is what an answer costs.
type Verdict struct {
	Price int64
	Wait  bool // the price is decided at the end
	Note  Note
}

// Note is what the operator should know of a price.
type Note int

// What there is to know.
const (
	NoNote     Note = iota
	Capped          // the app named more than Max
	Unreadable      // what the app named is no price
	Unused          // the app named a price for an answer that is not charged
)

// Judge decides what an answer costs. An answer is paid for when its status is known;
// one that [Answer.Awaits] its price, when it has ended:
//
//   - Without an answer nothing is owed, and neither if one of its statuses is not
//     charged: its own, that of the app behind it, or that of a gRPC call.
//   - A price that the app names counts.
//   - Without one, the usual price is owed for an answer that is complete, and for one
//     that ends early if the client left or a part of the body was written to it. The
//     client can bring about the end of any answer by not reading it, so it does not
//     matter who broke off.
//   - A gRPC call that ends without a status, or fails behind a part of the body, has ended
//     early. A client that sends messages can make a call fail in most ways, by its limit of
//     time or by a message that cannot be read.
func (t Tariff) Judge(a Answer) Verdict {
	failed := a.RPCStatus != 0 && !t.Statuses.Has(a.RPCStatus)
	if failed && a.Body {
		failed, a.End = false, LeftByClient
	}
	if a.RPC && a.RPCStatus == 0 && a.End == Completed {
		a.End = BrokenOff
	}
	switch {
	case a.Status == 0, failed, !t.Statuses.Has(a.Status), a.Origin != 0 && !t.Statuses.Has(a.Origin):
		return t.unused(a.Price)
	case a.RPC && a.RPCStatus == 0 && a.End == Underway:
		return Verdict{Wait: true}
	case len(a.Price) > 0:
		return t.named(a.Price)
	case a.Awaits && a.End == Underway:
		return Verdict{Wait: true}
	case a.End == BrokenOff && !a.Body:
		return Verdict{}
	default:
		return Verdict{Price: t.Credits}
	}
}

// unused is the verdict on an answer that costs nothing, whatever the app named.
func (t Tariff) unused(values []string) Verdict {
	if len(values) > 0 {
		if v := t.named(values); v.Price > 0 && v.Note != Unreadable {
			return Verdict{Note: Unused}
		}
	}
	return Verdict{}
}

// named reads the price that the app names.
func (t Tariff) named(values []string) Verdict {
	if len(values) != 1 {
		return Verdict{Price: t.Credits, Note: Unreadable}
	}
	price, capped, ok := t.read(strings.TrimSpace(values[0]))
	switch {
	case !ok:
		return Verdict{Price: t.Credits, Note: Unreadable}
	case capped:
		return Verdict{Price: t.Max, Note: Capped}
	default:
		return Verdict{Price: price}
	}
}

// read reads a price: whole credits, or a decimal number with a unit.
func (t Tariff) read(text string) (price int64, capped, ok bool) {
	if t.Unit > 0 {
		d, ok := parseDecimal(text)
		if !ok {
			return 0, false, false
		}
		price, capped = d.times(t.Unit, t.RoundDown, t.Max)
		return price, capped, true
	}
	if !isDigits(text) {
		return 0, false, false
	}
	price, err := strconv.ParseInt(text, 10, 64)
	return price, err != nil || price > t.Max, true // an error is more than 2^63
}
