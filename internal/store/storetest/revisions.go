package storetest

import (
	"fmt"
	"sync"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
)

// oneState: whoever remembers what it read of a revision, until it hears of a
// later one, must have read what that revision is.
func oneState(r *rig) {
	r.give("acc", "p", forever("a", 1000))
	first := r.account("acc")
	told := map[int64]int64{first.Rev: first.Ledger.Available(r.clock.Now())}
	read := make(map[int64]int64)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			a, err := r.Account(r.ctx(), "acc")
			if err != nil {
				r.Error(err)
			}
			available := a.Ledger.Available(r.clock.Now())
			if before, known := read[a.Rev]; known && before != available {
				r.Errorf("revision %d was read with %d available, and then with %d", a.Rev, before, available)
			}
			read[a.Rev] = available
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	tells := func(a entitlement.Account) { told[a.Rev] = a.Ledger.Available(r.clock.Now()) }
	for i := range 150 {
		id := fmt.Sprint("h", i)
		tells(r.hold(id, 3).Account)
		tells(r.end(id, int64(i%3)).Account)
	}
	close(stop)
	<-done
	for rev, available := range read {
		if want, known := told[rev]; !known || want != available {
			r.Errorf("revision %d was read with %d available, and is known (%v) to have %d", rev, available, known, want)
		}
	}
}

// lastState: what was read early must not have the revision of what came later,
// or it would be remembered for ever.
func lastState(r *rig) {
	r.give("acc", "p", forever("a", 1000))
	r.give("other", "p", forever("a", 1000))
	for round := range 60 {
		var mu sync.Mutex
		reads := make(map[int64][]int64) // what is available, by revision
		id := fmt.Sprint("h", round)
		together(8, func(i int) {
			switch i {
			case 0:
				r.give("acc", id, forever(id, 5))
			case 1, 2:
				r.holdAs(book.Hold{Account: "other", ID: fmt.Sprint(id, i), By: "me", Amount: 1})
				r.endAs(book.End{Account: "other", ID: fmt.Sprint(id, i), By: "me"})
			case 3, 4:
				for n := range 5 {
					id := fmt.Sprint(id, i, n)
					told := r.hold(id, 3).Account.Rev
					if rev := r.account("acc").Rev; rev < told {
						r.Errorf("revision %d was read after a hold had made it %d", rev, told)
					}
					told = r.end(id, int64(i-3)).Account.Rev
					if rev := r.account("acc").Rev; rev < told {
						r.Errorf("revision %d was read after the end of a hold had made it %d", rev, told)
					}
				}
			default:
				for range 20 {
					a := r.account("acc")
					mu.Lock()
					reads[a.Rev] = append(reads[a.Rev], a.Ledger.Available(r.clock.Now()))
					mu.Unlock()
				}
			}
		})
		last := r.account("acc")
		for rev, read := range reads {
			for _, available := range read {
				if want := last.Ledger.Available(r.clock.Now()); rev >= last.Rev && available != want {
					r.Fatalf("%d available of revision %d, and %d of %d at last", available, rev, want, last.Rev)
				}
			}
		}
	}
	r.audit("acc")
}
