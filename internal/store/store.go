// Package store says what dodogate keeps, by operation. The two stores,
// redisstore and boltstore, do the same things in the same words; storetest
// holds them to it.
//
// Everything that changes an account is one atomic step. Every operation may be
// repeated, by its caller or by a database client that lost a reply, and changes
// nothing twice; where that needs an identity, the operation carries one.
package store

import (
	"context"
	"errors"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
)

// Sentinels. Everything else that a store returns wraps [ErrUnavailable], unless
// the caller's context ended first or the caller broke the contract.
var (
	// ErrUnavailable: the store could not be reached or could not write. What
	// was asked may or may not have happened; repeating it is safe.
	ErrUnavailable = errors.New("store unavailable")
	// ErrNotFound: there is no such order or event.
	ErrNotFound = book.ErrNotFound
	// ErrConflict: the object or order changed since the caller read it. Read it again.
	ErrConflict = book.ErrConflict
	// ErrTooManyOrders: the account has [book.MaxOpenOrders] open orders.
	ErrTooManyOrders = book.ErrTooManyOrders
)

// Store keeps accounts, objects, orders and the journal. Its methods may be
// called at the same time from many goroutines and, on Redis, processes. Times
// that it writes come from its own clock, in UTC milliseconds.
type Store interface {
	Accounts
	Holds
	Owners
	Orders
	Journal
	Marks
	Notes
	Changes
	Directory
	// Ping reports whether the store can serve, by a cheap round trip.
	Ping(ctx context.Context) error
}

// Accounts keeps ledgers, and the merged objects behind them.
type Accounts interface {
	// Account reads what entitlements follow from; of the grants, those of which
	// something is left or held, of the holds, those that have run out. An account
	// that was never written is empty, not an error.
	Account(ctx context.Context, account string) (entitlement.Account, error)
	// Object reads the merged state of an object of the account, and its
	// version. An object that was never written has version 0 and no state.
	Object(ctx context.Context, account string, ref entitlement.Ref) (book.Object, error)
	// Commit writes an object's new state with everything that follows from it,
	// in one atomic step.
	//
	// It returns ErrConflict when the object's version is not c.Version, so a
	// repeat of a commit that went through is a conflict; and ledger.ErrRange
	// when a grant or the balance would leave its range. Both change nothing.
	Commit(ctx context.Context, c book.Commit) (book.Committed, error)
	// SignUp is Account for a visitor who may be new: when the account's ledger has
	// no entry and c.Object was never written, it first does what Commit of c, by
	// version 0 and without an Order and a Settle, does; that and the look before are
	// one step. A repeat finds the object written, so it reads.
	SignUp(ctx context.Context, c book.Commit) (entitlement.Account, error)
	// Entries reads up to limit entries of the account's ledger with a number
	// above after, oldest first. No more than 1,000 are returned.
	Entries(ctx context.Context, account string, after int64, limit int) ([]ledger.Entry, error)
	// EntriesBefore reads up to limit entries of the account's ledger with a
	// number below before, newest first. No more than 1,000 are returned. What
	// is added meanwhile has higher numbers, so pages neither overlap nor miss
	// anything.
	EntriesBefore(ctx context.Context, account string, before int64, limit int) ([]ledger.Entry, error)
}

// Owners binds things at Dodo to accounts.
type Owners interface {
	// Claim binds what ref names to the account unless it is bound already, and
	// returns the account that it is bound to. The first claim wins, for ever.
	Claim(ctx context.Context, ref entitlement.Ref, account string) (owner string, err error)
	// Owner returns the account that ref is bound to; "" when it is not.
	Owner(ctx context.Context, ref entitlement.Ref) (account string, err error)
}

// Orders keeps orders with their idempotency keys. Unpaid orders are forgotten
// at least 30 days after their expiry; paid ones never are.
type Orders interface {
	// CreateOrder stores o, unless key says that it was asked for before. The
	// order returned is the one to go on with. Check of the key, count of open
	// orders (ErrTooManyOrders) and storing are one step. A repeat with the same
	// order id is answered like the first. Running comes without an order, and
	// Mismatched only with that of a finished key.
	CreateOrder(ctx context.Context, o book.Order, key book.Key) (book.Order, book.Start, error)
	// OpenOrder stores the session of an order, with its expiry where that is
	// set, and finishes its key. An order that has a session keeps it: ErrConflict
	// when that is another one. What Claim does for the session and the account is
	// done too: in the same step, or right before where the two cannot be written
	// together. It returns ErrNotFound when the order was dropped. The session is
	// claimed all the same in both cases.
	OpenOrder(ctx context.Context, o book.Order, key book.Key) error
	// DropOrder forgets an order without a session and its key, so that the key
	// can be used again. Dropping what is not there does nothing; a paid order
	// stays.
	DropOrder(ctx context.Context, o book.Order, key book.Key) error
	// Order reads one of the account's orders, or ErrNotFound.
	Order(ctx context.Context, account, id string) (book.Order, error)
	// OpenOrders reads the account's orders that have a session, are not paid
	// and have not expired, newest first, at most [book.MaxOpenOrders].
	OpenOrders(ctx context.Context, account string) ([]book.Order, error)
	// Purchases reads the account's orders that are open in the sense of
	// OpenOrders, and those that are paid, failed or cancelled, with a session
	// or without, expired or not: newest first, at most [book.MaxPurchases]. A
	// checkout that nobody tried to pay is gone from it when it has expired.
	Purchases(ctx context.Context, account string) ([]book.Order, error)
}

// Binding says whose an object is to be.
type Binding struct {
	Object  entitlement.Ref
	Account string
	Order   string // the id of one of the account's orders
}

// Bound is whose an object is.
type Bound struct {
	Account string      // the one that it was claimed for, or the one that had it before
	Object  book.Object // as that account has it
	Order   *book.Order // nil when there is no such order, or another account has the object
}

// Journal keeps every authentic event, so that nothing acknowledged is lost.
type Journal interface {
	// Record stores an event before it is applied. When the id is known, the
	// newer body and one more delivery are stored and the rest is left as it
	// is. The event as it is stored now is returned. An event that was forgotten
	// is new.
	Record(ctx context.Context, e book.Event) (book.Event, error)
	// Receive is Record of e together with Claim of b.Object for b.Account, and
	// what Object and Order then read: the steps that the usual event takes first,
	// as one. When it fails, any of them may have been done.
	Receive(ctx context.Context, e book.Event, b Binding) (book.Event, Bound, error)
	// Settle notes what became of the delivery e, as Record or a reading method
	// returned it: the event's State, Reason, Object and Account, and how long it
	// is kept from now on. A final state is noted of the last delivery only: when the
	// event was delivered again since, its body may be newer, and what becomes of
	// that is for whoever took it to say. Without e.Deliveries it is noted anyhow.
	// Parked events can be found by Parked and ParkedEvents
	// until they are settled otherwise. It returns ErrNotFound for an id that was
	// never recorded, or is forgotten.
	Settle(ctx context.Context, e book.Event, r book.Retention) error
	// Parked reads the events parked under an object, at most 100, oldest first.
	Parked(ctx context.Context, object string) ([]book.Event, error)
	// ParkedEvents reads all parked events page by page, up to limit of them and
	// no more than 100, in order of receipt and then of their ids. after is "" for
	// the first page and then the next of the page before, which is "" when there
	// are no more. What is parked during the whole of it is read exactly once,
	// whatever is parked or settled meanwhile.
	ParkedEvents(ctx context.Context, after string, limit int) (events []book.Event, next string, err error)
	// Event reads one event, or ErrNotFound.
	Event(ctx context.Context, id string) (book.Event, error)
}

// Marks keeps how far background work has come.
type Marks interface {
	// Mark reads a mark; zero when it was never set.
	Mark(ctx context.Context, name string) (time.Time, error)
	// SetMark sets a mark, to the millisecond. The last one that is set stays.
	SetMark(ctx context.Context, name string, at time.Time) error
}

// Notes keeps short texts about the store as a whole.
type Notes interface {
	// Note returns the text that is kept under name. If there is none, text is kept
	// and returned. An empty text is never kept, so it only reads. The look and the
	// write are one step: of callers who come at the same time all get the same text,
	// and it stays for ever. A text is at most 1,024 bytes.
	Note(ctx context.Context, name, text string) (kept string, err error)
}

// Directory lists what the store has.
type Directory interface {
	// AccountIDs lists the accounts that were ever written, page by page, in an order of
	// the store's own. after is "" for the first page and then the next of the page
	// before, which is "" when there are no more. A page has about limit ids, at most a few
	// more, and may have none. What is there during the whole of it is listed at least
	// once.
	AccountIDs(ctx context.Context, after string, limit int) (ids []string, next string, err error)
}

// Changes tells which accounts change, so that what was read of an account can be
// remembered until then.
type Changes interface {
	// Watch tells w of every change of an account from now on, whoever makes it,
	// and first whether that is already so. After stop has returned w hears
	// nothing more; it must not be called by w itself. A store that is closed
	// tells every watcher that it is lost.
	Watch(w Watcher) (stop func())
}

// Watcher hears of changes. Its methods are called one at a time and must return
// soon: the store waits for them.
type Watcher interface {
	// Changed: the account was changed, to the state with this Rev
	// ([entitlement.Account]). A read that begins afterwards finds this Rev or a
	// later one. Messages may be repeated, and may overtake each other.
	//
	// A rev of 0 says that an order of the account has a session, so that it can be
	// paid. The account itself is as it was.
	Changed(account string, rev int64)
	// Live: from now on no change is missed.
	Live()
	// Lost: changes may be missed from now on, and the last ones may have been. It
	// is where every watcher begins.
	Lost()
}
