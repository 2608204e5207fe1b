package book_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
)

var noon = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// shelf keeps one account in memory, as a store does.
type shelf struct {
	t      *testing.T
	now    time.Time
	kept   book.Kept
	holds  map[string]*book.PlacedHold
	ends   map[string]*book.EndedHold
	closed map[string]ledger.Grant
	object map[entitlement.Ref]book.Object
	orders map[string]*book.Order
	keys   map[string]*book.UsedKey

	entries int
	unread  bool // nothing was read yet
}

func newShelf(t *testing.T, grants ...ledger.Target) *shelf {
	s := &shelf{
		t: t, now: noon,
		holds: make(map[string]*book.PlacedHold), ends: make(map[string]*book.EndedHold), closed: make(map[string]ledger.Grant),
		object: make(map[entitlement.Ref]book.Object), orders: make(map[string]*book.Order), keys: make(map[string]*book.UsedKey),
	}
	if len(grants) > 0 {
		s.commit(book.Commit{Object: payment("signup"), Effect: entitlement.Effect{Grants: grants}}, nil)
	}
	return s
}

func payment(id string) entitlement.Ref {
	return entitlement.Ref{Kind: entitlement.KindPayment, ID: id}
}

func (s *shelf) Hold(id string, _ *book.PlacedHold) (*book.PlacedHold, error) {
	if s.unread {
		return nil, book.ErrUnread
	}
	return s.holds[id], nil
}
func (s *shelf) Holds(limit int) (holds []*book.PlacedHold, err error) {
	for _, id := range slices.Sorted(maps.Keys(s.holds)) {
		if len(holds) < limit {
			holds = append(holds, s.holds[id])
		}
	}
	return holds, nil
}
func (s *shelf) Ended(id, _ string) (*book.EndedHold, error) { return s.ends[id], nil }
func (s *shelf) Closed(id string) (ledger.Grant, bool, error) {
	g, found := s.closed[id]
	return g, found, nil
}
func (s *shelf) Object(ref entitlement.Ref, _ bool) (book.Object, error) { return s.object[ref], nil }
func (s *shelf) Order(id string, _ bool) (*book.Order, error)            { return s.orders[id], nil }
func (s *shelf) Key(hash string) (*book.UsedKey, error)                  { return s.keys[hash], nil }
func (s *shelf) OpenOrders() (n int, err error) {
	for _, o := range s.orders {
		if o.State != book.OrderPaid && s.now.Before(o.ExpiresAt) {
			n++
		}
	}
	return n, nil
}

// update makes decisions in one book and keeps what they change.
func (s *shelf) update(decide func(b *book.Book)) {
	b := book.Open("acc", &s.kept, s, s.now)
	decide(b)
	if !b.Changed() {
		return
	}
	changes := b.Changes()
	for _, row := range changes.Holds {
		if row.Value == nil {
			delete(s.holds, row.Key)
		} else {
			s.holds[row.Key] = row.Value
		}
	}
	b.Over(func(id string) {
		if _, again := changes.Holds.Get(id); !again {
			delete(s.holds, id)
		}
	})
	for _, row := range changes.Ends {
		s.ends[row.Key] = row.Value
	}
	for _, row := range changes.Objects {
		s.object[row.Key] = *row.Value
	}
	for _, row := range changes.Orders {
		if row.Value == nil {
			delete(s.orders, row.Key)
		} else {
			s.orders[row.Key] = row.Value
		}
	}
	for _, row := range changes.Keys {
		if row.Value == nil {
			delete(s.keys, row.Key)
		} else {
			s.keys[row.Key] = row.Value
		}
	}
	b.Grants(func(_, after *ledger.Grant) {
		delete(s.closed, after.ID)
		if !after.Open() {
			s.closed[after.ID] = *after
		}
	})
	s.entries += len(b.Entries())
	rev := s.kept.Rev
	if b.AccountChanged() {
		rev++
	}
	s.kept = b.After(rev)
	s.sweep()
}

// sweep does what reading an account does: it tells of the holds that have run out.
func (s *shelf) sweep() {
	s.kept.Ledger.Holds, s.kept.Next = make(map[string]ledger.Hold), time.Time{}
	for id, h := range s.holds {
		if h.Expired(s.now) {
			s.kept.Ledger.Holds[id] = h.Hold
		} else if s.kept.Next.IsZero() || h.ExpiresAt.Before(s.kept.Next) {
			s.kept.Next = h.ExpiresAt
		}
	}
}

func (s *shelf) move(d time.Duration) {
	s.now = s.now.Add(d)
	s.sweep()
}

func (s *shelf) hold(h book.Hold, want book.HoldOutcome) (held book.Held) {
	s.t.Helper()
	if h.TTL == 0 {
		h.TTL = time.Hour
	}
	s.update(func(b *book.Book) {
		var err error
		if held, err = b.Hold(h); err != nil || held.Outcome != want {
			s.t.Fatalf("hold %+v: %+v, %v; want %s", h, held, err, want)
		}
	})
	return held
}

func (s *shelf) end(e book.End, found bool, captured int64) {
	s.t.Helper()
	s.update(func(b *book.Book) {
		if done, err := b.End(e); err != nil || done.Found != found || done.Captured != captured {
			s.t.Fatalf("end %+v: %+v, %v; want %v, %d", e, done, err, found, captured)
		}
	})
}

func (s *shelf) commit(c book.Commit, want error) {
	s.t.Helper()
	s.update(func(b *book.Book) {
		if _, err := b.Commit(c); !errors.Is(err, want) {
			s.t.Fatalf("commit of %s: %v, want %v", c.Object, err, want)
		}
	})
}

func (s *shelf) wants(credits int64) {
	s.t.Helper()
	if got := s.kept.Ledger.Available(s.now); got != credits {
		s.t.Fatalf("%d credits, want %d", got, credits)
	}
}

func grants(id string, amount int64) ledger.Target {
	return ledger.Target{ID: id, Amount: amount, CreatedAt: noon}
}

func TestHolds(t *testing.T) {
	for name, tell := range map[string]func(*shelf){
		"it is spent once": func(s *shelf) {
			s.hold(book.Hold{ID: "h", By: "me", Amount: 7}, book.HoldPlaced)
			s.wants(3)
			s.end(book.End{ID: "h", By: "me", Captured: 4}, true, 4)
			s.wants(6)
			s.end(book.End{ID: "h", By: "me", Captured: 6}, true, 4)
			s.wants(6)
		},
		"the end is remembered for as long as it says": func(s *shelf) {
			s.hold(book.Hold{ID: "h", By: "me", Fingerprint: "f", Amount: 7}, book.HoldPlaced)
			s.end(book.End{ID: "h", By: "me", Captured: 4, Keep: time.Hour, Receipt: []byte("r")}, true, 4)
			s.move(time.Hour - 1)
			s.hold(book.Hold{ID: "h", By: "you", Amount: 1}, book.HoldMismatched)
			if held := s.hold(book.Hold{ID: "h", By: "you", Fingerprint: "f", Amount: 1}, book.HoldFinished); held.Captured != 4 || string(held.Receipt) != "r" {
				s.t.Fatalf("%+v", held)
			}
			s.move(time.Millisecond)
			s.hold(book.Hold{ID: "h", By: "you", Amount: 1}, book.HoldPlaced)
		},
		"the end of nothing is remembered for its caller only": func(s *shelf) {
			s.hold(book.Hold{ID: "h", By: "me", Amount: 7}, book.HoldPlaced)
			s.end(book.End{ID: "h", By: "me", Keep: time.Hour}, true, 0)
			s.hold(book.Hold{ID: "h", By: "me", Amount: 7}, book.HoldFinished)
			s.hold(book.Hold{ID: "h", By: "you", Amount: 7}, book.HoldPlaced)
		},
		"somebody else holds under the id": func(s *shelf) {
			s.hold(book.Hold{ID: "h", By: "me", Fingerprint: "f", Amount: 7}, book.HoldPlaced)
			s.hold(book.Hold{ID: "h", By: "you", Fingerprint: "f", Amount: 1}, book.HoldRunning)
			s.hold(book.Hold{ID: "h", By: "me", Fingerprint: "g", Amount: 1}, book.HoldMismatched)
			s.end(book.End{ID: "h", By: "you", Captured: 7}, false, 0)
			s.wants(3)
		},
		"renewed": func(s *shelf) {
			s.hold(book.Hold{ID: "h", By: "me", Renew: true}, book.HoldGone)
			s.hold(book.Hold{ID: "h", By: "me", Amount: 7}, book.HoldPlaced)
			s.move(30 * time.Minute)
			s.hold(book.Hold{ID: "h", By: "me", Renew: true}, book.HoldPlaced)
			s.move(59 * time.Minute)
			s.wants(3)
			s.end(book.End{ID: "h", By: "me", Captured: 7}, true, 7)
			s.wants(3)
		},
		"it runs out": func(s *shelf) {
			s.hold(book.Hold{ID: "h", By: "me", Amount: 7}, book.HoldPlaced)
			s.move(time.Hour)
			s.wants(10)
			s.end(book.End{ID: "h", By: "me", Captured: 7}, false, 0)
			s.hold(book.Hold{ID: "h", By: "you", Amount: 9}, book.HoldPlaced)
			s.wants(1)
			s.end(book.End{ID: "h", By: "you", Captured: 9}, true, 9)
			s.wants(1)
		},
		"two in one book": func(s *shelf) {
			s.update(func(b *book.Book) {
				for i, want := range []book.HoldOutcome{book.HoldPlaced, book.HoldRefused, book.HoldPlaced} {
					if held, err := b.Hold(book.Hold{ID: fmt.Sprint("h", i), Amount: []int64{7, 4, 3}[i], TTL: time.Hour}); err != nil || held.Outcome != want {
						s.t.Fatalf("%d: %+v, %v; want %s", i, held, err, want)
					}
				}
				if done, err := b.End(book.End{ID: "h0", Captured: 5}); err != nil || done.Captured != 5 {
					s.t.Fatal(done, err)
				}
			})
			s.wants(2)
			if s.kept.Rev != 2 || s.entries != 2 || len(s.holds) != 1 {
				s.t.Fatalf("rev %d, %d entries, %d holds; want 2, 2 and 1", s.kept.Rev, s.entries, len(s.holds))
			}
		},
		"what is out of range changes nothing": func(s *shelf) {
			s.hold(book.Hold{ID: "h", By: "me", Amount: 7}, book.HoldPlaced)
			s.update(func(b *book.Book) {
				_, err1 := b.Hold(book.Hold{ID: "i", Amount: -1})
				_, err2 := b.End(book.End{ID: "h", By: "me", Captured: 8})
				if !errors.Is(err1, ledger.ErrRange) || !errors.Is(err2, ledger.ErrRange) || b.Changed() {
					s.t.Fatal(err1, err2, b.Changed())
				}
			})
			s.wants(3)
		},
		"refused changes nothing": func(s *shelf) {
			s.update(func(b *book.Book) {
				if held, err := b.Hold(book.Hold{ID: "h", Amount: 11, TTL: time.Hour}); err != nil || held.Outcome != book.HoldRefused || b.Changed() {
					s.t.Fatal(held, err, b.Changed())
				}
			})
		},
		"what is not read is said": func(s *shelf) {
			s.unread = true
			s.update(func(b *book.Book) {
				if _, err := b.Hold(book.Hold{ID: "h", Amount: 1, TTL: time.Hour}); !errors.Is(err, book.ErrUnread) || b.Changed() {
					s.t.Fatal(err, b.Changed())
				}
			})
		},
	} {
		t.Run(name, func(t *testing.T) { tell(newShelf(t, grants("a", 10))) })
	}
}

func TestCommits(t *testing.T) {
	s := newShelf(t, grants("a", 10))
	s.commit(book.Commit{Object: payment("signup")}, book.ErrConflict)
	s.commit(book.Commit{Object: payment("p"), Effect: entitlement.Effect{Grants: []ledger.Target{grants("b", -1)}}}, ledger.ErrRange)
	s.hold(book.Hold{ID: "h", By: "me", Amount: 10}, book.HoldPlaced)
	s.end(book.End{ID: "h", By: "me", Captured: 10}, true, 10)
	if len(s.closed) != 1 {
		t.Fatalf("%v is closed, want a", s.closed)
	}
	s.commit(book.Commit{Object: payment("signup"), Version: 1, Effect: entitlement.Effect{Grants: []ledger.Target{grants("a", 15)}}}, nil)
	s.wants(5)
	if len(s.closed) != 0 {
		t.Errorf("%v is closed, want nothing", s.closed)
	}

	for _, c := range []struct {
		account *shelf
		want    int64
	}{{s, 5}, {newShelf(t), 3}, {newShelf(t, grants("a", 10)), 10}} {
		for range 2 {
			c.account.update(func(b *book.Book) {
				if err := b.SignUp(book.Commit{Object: payment("welcome"), Effect: entitlement.Effect{Grants: []ledger.Target{grants("w", 3)}}}); err != nil {
					t.Fatal(err)
				}
			})
			c.account.wants(c.want)
		}
	}
}

func TestOrders(t *testing.T) {
	order := func(id string) book.Order {
		return book.Order{ID: id, Account: "acc", State: book.OrderOpen, ExpiresAt: noon.Add(time.Hour)}
	}
	key := book.Key{Hash: "k", Fingerprint: "f", Lease: time.Minute, Keep: 24 * time.Hour}
	s := newShelf(t)
	creates := func(id string, key book.Key, start book.Start, first string) {
		t.Helper()
		s.update(func(b *book.Book) {
			if o, got, err := b.CreateOrder(order(id), key); err != nil || got != start || o.ID != first {
				t.Fatalf("%q, %s, %v; want %q, %s", o.ID, got, err, first, start)
			}
		})
	}
	opens := func(id, session string, want error) {
		t.Helper()
		s.update(func(b *book.Book) {
			o := order(id)
			o.SessionID = session
			if refused, err := b.OpenOrder(o, key); err != nil || !errors.Is(refused, want) {
				t.Fatalf("%v, %v; want %v", refused, err, want)
			}
		})
	}
	other := key
	other.Fingerprint = "g"
	creates("a", key, book.Created, "a")
	creates("a", key, book.Created, "a")
	creates("b", key, book.Running, "")
	creates("b", other, book.Mismatched, "")
	s.move(time.Minute)
	creates("b", key, book.Resumed, "a")
	creates("a", key, book.Running, "")
	opens("c", "cks_1", book.ErrNotFound)
	opens("a", "cks_1", nil)
	opens("a", "cks_2", book.ErrConflict)
	creates("c", key, book.Replayed, "a")
	creates("c", other, book.Mismatched, "a")
	if rev := s.kept.Rev; rev != 0 {
		t.Errorf("orders changed the account to %d", rev)
	}
	s.update(func(b *book.Book) {
		if err := b.DropOrder(order("a"), key); err != nil || b.Changed() {
			t.Fatalf("an order with a session: %v, %v", err, b.Changed())
		}
	})

	ended := key
	ended.Ended = "a"
	creates("d", ended, book.Created, "d")
	s.update(func(b *book.Book) {
		if err := b.DropOrder(order("d"), key); err != nil {
			t.Fatal(err)
		}
	})
	creates("e", other, book.Created, "e")
	delete(s.orders, "e")
	creates("f", key, book.Created, "f") // the key's order was forgotten

	paid := func(state book.OrderState) book.Commit {
		return book.Commit{Object: payment(string(state)), Order: &book.OrderResult{ID: "a", State: state, PaymentID: "pay_" + string(state)}}
	}
	for _, state := range []book.OrderState{book.OrderFailed, book.OrderPaid, book.OrderCancelled} {
		s.commit(paid(state), nil)
	}
	if o := s.orders["a"]; o.State != book.OrderPaid || o.PaymentID != "pay_paid" {
		t.Errorf("%+v; want it paid, for ever", o)
	}

	s = newShelf(t)
	for i := range book.MaxOpenOrders {
		creates(fmt.Sprint(i), book.Key{}, book.Created, fmt.Sprint(i))
	}
	s.update(func(b *book.Book) {
		if _, _, err := b.CreateOrder(order("more"), book.Key{}); !errors.Is(err, book.ErrTooManyOrders) || b.Changed() {
			t.Fatal(err, b.Changed())
		}
	})
	s.move(time.Hour)
	creates("more", book.Key{}, book.Created, "more")
}

// TestWindow: what was decided counts until the next instant at which it would be decided
// otherwise, and from the last one.
func TestWindow(t *testing.T) {
	at := func(d time.Duration) time.Time { return noon.Add(d) }
	hold := func(until time.Time) map[string]ledger.Hold {
		return map[string]ledger.Hold{"h": {ID: "h", ExpiresAt: until}}
	}
	for name, c := range map[string]struct {
		kept       book.Kept
		from, till time.Duration
	}{
		"nothing changes":     {book.Kept{}, -time.Second, time.Second},
		"a grant ends":        {book.Kept{Ledger: ledger.Account{Grants: ledger.Grants{{ID: "a", Left: 1, ExpiresAt: at(time.Millisecond)}}}}, -time.Second, time.Millisecond},
		"it has ended":        {book.Kept{Ledger: ledger.Account{Grants: ledger.Grants{{ID: "a", Left: 1, ExpiresAt: at(-time.Millisecond)}}}}, -time.Millisecond, time.Second},
		"it ends now":         {book.Kept{Ledger: ledger.Account{Grants: ledger.Grants{{ID: "a", Left: 1, ExpiresAt: noon}}}}, 0, time.Second},
		"a grant begins":      {book.Kept{Ledger: ledger.Account{Grants: ledger.Grants{{ID: "a", Waiting: 1, StartsAt: at(time.Millisecond)}}}}, -time.Second, time.Millisecond},
		"a hold runs out":     {book.Kept{Next: at(time.Millisecond)}, -time.Second, time.Millisecond},
		"one has run out":     {book.Kept{Ledger: ledger.Account{Holds: hold(at(-time.Millisecond))}}, -time.Millisecond, time.Second},
		"long before":         {book.Kept{Ledger: ledger.Account{Holds: hold(at(-time.Hour))}}, -time.Second, time.Second},
		"long after":          {book.Kept{Next: at(time.Hour)}, -time.Second, time.Second},
		"between two of them": {book.Kept{Next: at(3 * time.Millisecond), Ledger: ledger.Account{Holds: hold(at(-2 * time.Millisecond))}}, -2 * time.Millisecond, 3 * time.Millisecond},
	} {
		from, till := book.Open("acc", &c.kept, nil, noon).Window(time.Second)
		if from != at(c.from) || till != at(c.till) {
			t.Errorf("%s: from %v till %v, want %v and %v", name, from.Sub(noon), till.Sub(noon), c.from, c.till)
		}
	}
}
