package book_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
)

// act does something by hand, and wants an outcome.
func (s *shelf) act(id string, a entitlement.Act, want error) (done book.Acted) {
	s.t.Helper()
	if a.Reason == "" {
		a.Reason = "because"
	}
	before := s.entries
	s.update(func(b *book.Book) {
		var err error
		if done, err = b.Act(id, a); !errors.Is(err, want) {
			s.t.Fatalf("act %s %+v: %v, want %v", id, a, err, want)
		}
	})
	if want != nil && s.entries != before {
		s.t.Fatalf("act %s was refused, and left entries", id)
	}
	return done
}

func TestActs(t *testing.T) {
	grant := entitlement.Act{Kind: entitlement.ActGrant, Credits: 5}
	take := entitlement.Act{Kind: entitlement.ActTake, Credits: 4}
	for name, tell := range map[string]func(*shelf){
		"a grant counts once": func(s *shelf) {
			first := s.act("a", grant, nil)
			s.wants(15)
			again := s.act("a", grant, nil)
			s.wants(15)
			if first.Repeated || !again.Repeated || again.Act != first.Act || first.Before.Credits != 10 || first.After.Credits != 15 {
				s.t.Errorf("first %+v, again %+v", first, again)
			}
			s.act("b", grant, nil)
			s.wants(20)
		},
		"an id means one thing": func(s *shelf) {
			s.act("a", grant, nil)
			s.act("a", take, book.ErrAct)
			s.act("a", entitlement.Act{Kind: entitlement.ActGrant, Credits: 6}, book.ErrAct)
			s.wants(15)
		},
		"a grant ends": func(s *shelf) {
			s.act("a", entitlement.Act{Kind: entitlement.ActGrant, Credits: 5, Plan: "pro", Expires: "2h", ExpiresAt: s.now.Add(2 * time.Hour)}, nil)
			s.move(time.Hour)
			s.act("a", entitlement.Act{Kind: entitlement.ActGrant, Credits: 5, Plan: "pro", Expires: "2h", ExpiresAt: s.now.Add(2 * time.Hour)}, nil)
			s.wants(15)
			s.move(time.Hour)
			s.wants(10)
			s.act("a", entitlement.Act{Kind: entitlement.ActGrant, Credits: 5, Plan: "pro", Expires: "2h", ExpiresAt: s.now.Add(2 * time.Hour)}, nil)
		},
		"what was given is taken back": func(s *shelf) {
			s.act("a", grant, nil)
			s.act("b", entitlement.Act{Kind: entitlement.ActUndo, Object: "a"}, nil)
			s.wants(10)
			s.act("b", entitlement.Act{Kind: entitlement.ActUndo, Object: "a"}, nil)
			s.act("c", entitlement.Act{Kind: entitlement.ActUndo, Object: "a"}, book.ErrAct)
			s.act("d", entitlement.Act{Kind: entitlement.ActUndo, Object: "none"}, book.ErrNotFound)
			s.act("e", entitlement.Act{Kind: entitlement.ActUndo, Object: "b"}, book.ErrAct)
			s.wants(10)
		},
		"what was given and spent is owed": func(s *shelf) {
			s.act("a", grant, nil)
			s.act("t", entitlement.Act{Kind: entitlement.ActTake, Credits: 15}, nil)
			s.act("b", entitlement.Act{Kind: entitlement.ActUndo, Object: "a"}, nil)
			s.owes(5)
		},
		"no more is taken than there is": func(s *shelf) {
			s.act("a", entitlement.Act{Kind: entitlement.ActTake, Credits: 11}, book.ErrAct)
			s.wants(10)
			s.act("a", entitlement.Act{Kind: entitlement.ActTake, Credits: 10}, nil)
			s.wants(0)
		},
		"what is held is not taken": func(s *shelf) {
			s.hold(book.Hold{ID: "h", By: "me", Amount: 7}, book.HoldPlaced)
			s.act("a", take, book.ErrAct)
			s.act("a", entitlement.Act{Kind: entitlement.ActTake, Credits: 3}, nil)
			s.end(book.End{ID: "h", By: "me", Captured: 7}, true, 7)
			s.wants(0)
		},
		"more is taken if it may be owed, waived, and owed again": func(s *shelf) {
			s.act("a", entitlement.Act{Kind: entitlement.ActTake, Credits: 14, Owe: true}, nil)
			s.owes(4)
			s.act("w", entitlement.Act{Kind: entitlement.ActWaive, Credits: 5}, book.ErrAct)
			s.act("w", entitlement.Act{Kind: entitlement.ActWaive, Credits: 1}, nil)
			s.owes(3)
			done := s.act("v", entitlement.Act{Kind: entitlement.ActWaive}, nil)
			s.owes(0)
			if again := s.act("v", entitlement.Act{Kind: entitlement.ActWaive}, nil); done.Credits != 3 || !again.Repeated {
				s.t.Errorf("waived %+v, again %+v", done, again)
			}
			s.act("x", entitlement.Act{Kind: entitlement.ActWaive}, book.ErrAct)
			s.act("u", entitlement.Act{Kind: entitlement.ActUndo, Object: "v"}, nil)
			s.owes(3)
			s.act("b", grant, nil)
			s.wants(2)
		},
		"what was taken comes back": func(s *shelf) {
			s.act("a", entitlement.Act{Kind: entitlement.ActTake, Credits: 14, Owe: true}, nil)
			s.act("u", entitlement.Act{Kind: entitlement.ActUndo, Object: "a"}, nil)
			s.owes(0)
			s.wants(10)
			if again := s.act("u", entitlement.Act{Kind: entitlement.ActUndo, Object: "a"}, nil); !again.Repeated {
				s.t.Errorf("it comes back twice: %+v", again)
			}
			s.act("u", entitlement.Act{Kind: entitlement.ActUndo, Object: "b"}, book.ErrAct)
			s.act("v", entitlement.Act{Kind: entitlement.ActUndo, Object: "a"}, book.ErrAct)
			s.wants(10)
		},
		"a hold is released": func(s *shelf) {
			s.hold(book.Hold{ID: "h", By: "me", Amount: 7}, book.HoldPlaced)
			s.act("a", entitlement.Act{Kind: entitlement.ActRelease, Object: "h"}, nil)
			s.wants(10)
			s.act("a", entitlement.Act{Kind: entitlement.ActRelease, Object: "h"}, nil)
			s.act("b", entitlement.Act{Kind: entitlement.ActRelease, Object: "h"}, book.ErrNotFound)
		},
		"what cannot be kept is refused": func(s *shelf) {
			long := strings.Repeat("x", book.MaxReason+1)
			for _, a := range []entitlement.Act{
				{Kind: entitlement.ActGrant}, {Kind: entitlement.ActGrant, Credits: -1}, {Kind: entitlement.ActGrant, Credits: 1 << 53},
				{Kind: entitlement.ActGrant, Credits: 1, ExpiresAt: s.now}, {Kind: entitlement.ActTake, Credits: 1, Expires: "2h"},
				{Kind: entitlement.ActGrant, Credits: 1, Reason: long}, {Kind: entitlement.ActGrant, Credits: 1, Reason: "two\nlines"},
				{Kind: entitlement.ActGrant, Credits: 1, Reason: "\xff"}, {Kind: entitlement.ActGrant, Credits: 1, Reason: " \t "},
				{Kind: entitlement.ActTake}, {Kind: entitlement.ActTake, Credits: -1}, {Kind: entitlement.ActTake, Credits: 1, Plan: "pro"},
				{Kind: entitlement.ActWaive, Credits: -1}, {Kind: "dance"},
			} {
				s.act("a", a, book.ErrActInput)
			}
			for _, id := range []string{"", "a b", "ä", "a/b", strings.Repeat("x", book.MaxActID+1)} {
				s.act(id, grant, book.ErrActInput)
			}
			s.wants(10)
		},
		"the newest are listed": func(s *shelf) {
			for i := range book.MaxActs + 2 {
				s.act(fmt.Sprint("a", i), grant, nil)
			}
			s.update(func(b *book.Book) {
				acts, err := b.Acts()
				if err != nil || len(acts) != book.MaxActs || acts[0].ID != fmt.Sprint("a", book.MaxActs+1) || acts[0].Reason != "because" {
					s.t.Errorf("%d acts, %v", len(acts), err)
				}
			})
			if done := s.act("a0", grant, nil); !done.Repeated {
				s.t.Error("one that is not listed any more was done again")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf(t, grants("signup", 10))
			tell(s)
		})
	}
}

func (s *shelf) owes(credits int64) {
	s.t.Helper()
	if _, owed := s.kept.Ledger.AvailableOrOwed(s.now); owed != credits {
		s.t.Fatalf("%d credits are owed, want %d", owed, credits)
	}
}
