// Package store says what dodogate keeps. The two stores, redisstore and boltstore, do the
// same; storetest holds them to it. What becomes of an account is decided by package book,
// for both: a store only reads, compares and writes.
//
// Every operation may be repeated, by its caller or by a database client that lost a reply,
// and changes nothing twice.
package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
)

// Sentinels. Everything else that a store returns wraps [ErrUnavailable], unless
// the caller's context ended first, the caller broke the contract, or it is what a decision
// returned.
var (
	// ErrUnavailable: the store could not be reached or could not write. What
	// was asked may or may not have happened; repeating it is safe.
	ErrUnavailable = errors.New("store unavailable")
	// ErrDamaged: what is stored is not what was written. It is a [DamagedError], which names the
	// account that it concerns; nobody else's records are affected, and the store is there.
	ErrDamaged = book.ErrDamaged
	// ErrNotDurable: the change was made, but not as safely as the operator wants before it is
	// acknowledged: too few replicas confirmed it in time. It is an [ErrUnavailable]. Asking for
	// the same again changes nothing more, and waits for the replicas again.
	ErrNotDurable = fmt.Errorf("%w: not durable enough", ErrUnavailable)
	// ErrNotFound: there is no such order or event.
	ErrNotFound = book.ErrNotFound
	// ErrConflict: the object or order changed since the caller read it. Read it again.
	ErrConflict = book.ErrConflict
	// ErrTooManyOrders: the account has [book.MaxOpenOrders] open orders.
	ErrTooManyOrders = book.ErrTooManyOrders
)

// DamagedError says whose records are damaged, and how. Every method checks what it reads.
type DamagedError = book.DamagedError

// Store keeps accounts with their ledgers, objects and orders, the journal of events, and
// whose things at Dodo are. Its methods may be called at the same time from many goroutines
// and, on Redis, processes. Times that it writes come from its own clock, in UTC milliseconds.
// [Client] has the operations by name.
type Store interface {
	// Update lets decide decide about an account, and writes what that changed in one step, if
	// nothing that it was decided by has changed meanwhile; else decide is called again. An
	// error of decide is returned, and nothing of it is written. Decisions of several callers
	// may be written together.
	//
	// decide must not wait for anything, and must own what it uses: it may be called after
	// Update has returned because ctx ended. What it notes may be used only when Update
	// returns nil.
	Update(ctx context.Context, account string, decide Decision) (Updated, error)
	// Receive stores a delivery of an event in the journal, binds d.Object to d.Account
	// unless it is bound already, and then does what Update of decide does if it is that
	// account's. When it fails, any of the three may have been done; an error of
	// decide leaves the first two.
	Receive(ctx context.Context, d Delivery, decide Decision) (Received, error)
	// View reads an account with its standings; of the grants, those of which something is
	// left or held, of the holds, those that have run out. An account that was never written
	// is empty, not an error; one that lost its record, and has others, is damaged. look, unless it is nil, may read its objects and orders, as of
	// the same instant; what it changes is not written.
	View(ctx context.Context, account string, look Decision) (entitlement.Account, error)
	// Orders reads a list of the account's orders, newest first.
	Orders(ctx context.Context, account string, list OrderList) ([]book.Order, error)
	// Entries reads a page of the account's ledger. What is added meanwhile has higher
	// numbers, so pages neither overlap nor miss anything.
	Entries(ctx context.Context, account string, p Page) ([]ledger.Entry, error)

	// Claim binds what ref names to the account unless it is bound already, and returns the
	// account that it is bound to. The first claim wins, until a decision frees it
	// ([book.Book.Free]). Without an account it only reads; "" is bound to nobody.
	Claim(ctx context.Context, ref entitlement.Ref, account string) (owner string, err error)

	// Settle notes what became of the delivery e, as Receive or a reading method
	// returned it: the event's State, Reason, Object and Account, and how long it
	// is kept from now on. A final state is noted of the last delivery only: when the
	// event was delivered again since, its body may be newer, and what becomes of
	// that is for whoever took it to say. Without e.Deliveries it is noted anyhow.
	// Parked events can be found by Parked until they are settled otherwise. It returns
	// ErrNotFound for an id that was never recorded, or is forgotten.
	Settle(ctx context.Context, e book.Event, r book.Retention) error
	// Event reads one event, or ErrNotFound.
	Event(ctx context.Context, id string) (book.Event, error)
	// Parked reads the events that are parked under an object, oldest first, or, if object is "",
	// all parked events in order of receipt and then of their ids: up to limit, and no more than
	// 100. after is "" for the first page and then the next of the page before, which is ""
	// when there are no more, or object is set. What is parked during the whole of it is
	// read exactly once, whatever is parked or settled meanwhile.
	Parked(ctx context.Context, object, after string, limit int) (events []book.Event, next string, err error)

	// Note replaces the text that is kept under name, if it is seen, by text, and returns
	// what is kept then. Nothing kept is ""; an empty text only reads. A text is at most 1,024
	// bytes. It is the cheapest round trip.
	Note(ctx context.Context, name, seen, text string) (kept string, err error)
	// AccountIDs lists the accounts that were ever written, page by page, in an order of
	// the store's own. after is "" for the first page and then the next of the page
	// before, which is "" when there are no more. A page has about limit ids, at most a few
	// more, and may have none. What is there during the whole of it is listed at least
	// once.
	AccountIDs(ctx context.Context, after string, limit int) (ids []string, next string, err error)
	// Watch tells w of every change of an account from now on, whoever makes it,
	// and first whether that is already so. After stop has returned w hears
	// nothing more; it must not be called by w itself. A store that is closed
	// tells every watcher that it is lost.
	Watch(w Watcher) (stop func())
}

// Decision decides about an account by the methods of its book.
type Decision = func(*book.Book) error

// Updated is what came of an Update.
type Updated struct {
	// Account is as it is afterwards: all of it but its standings.
	Account entitlement.Account
	// Waiting says whether events may be parked under the objects that were committed. None is
	// missed that was parked before the update began.
	Waiting bool
}

// Delivery is an event on its way into the journal.
type Delivery struct {
	// Event has the id, type and body. When the id is known, the newer body and one more
	// delivery are stored, and the rest is left as it is. An event that was forgotten is new.
	Event book.Event
	// Object is to be the account's. Without an account nothing is bound or decided.
	Object  entitlement.Ref
	Account string
}

// Received is what came of a Receive.
type Received struct {
	Event book.Event // as it was stored before it was settled
	Owner string     // whose the object is: d.Account, or the one that had it before
	Updated
	Settled bool // the event was settled by a commit of the decision
}

// OrderList names a list of an account's orders.
type OrderList int

const (
	// OpenOrders have a session, are not paid and have not expired: at most [book.MaxOpenOrders].
	OpenOrders OrderList = iota
	// Purchases are OpenOrders and those that are paid, failed or cancelled, with a
	// session or without, expired or not: at most [book.MaxPurchases]. A checkout that nobody
	// tried to pay is gone from it when it has expired.
	Purchases
)

// MaxEntries is the most that a page of entries has.
const MaxEntries = 1000

// Page is a part of an account's ledger.
type Page struct {
	After  int64 // entries with a number above it, oldest first
	Before int64 // unless it is zero: entries with a number below it, newest first
	Limit  int   // how many, up to [MaxEntries]
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
