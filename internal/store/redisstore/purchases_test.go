package redisstore_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/store/redisstore"
	"github.com/dodogate/dodogate/internal/store/storetest"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// TestIndexes: an order is in one index of those that have ended, and the one of
// those that failed does not grow without end.
func TestIndexes(t *testing.T) {
	server := redistest.Start(t)
	clock := storetest.NewClock()
	s := open(t, redisstore.Options{URL: server.URL(), Clock: clock.Now})
	ends := func(id string, states ...book.OrderState) {
		t.Helper()
		o := order(id)
		o.ExpiresAt = clock.Now().Add(time.Hour)
		if _, how, err := s.CreateOrder(t.Context(), o, book.Key{}); err != nil || how != book.Created {
			t.Fatal(how, err)
		}
		for i, state := range states {
			c := give("acc", fmt.Sprint(id, i), 0)
			c.Order = &book.OrderResult{ID: id, State: state}
			if _, err := s.Commit(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := func(index, members string) {
		t.Helper()
		if got := server.MustDo("ZRANGE", "dodogate:{acc}:"+index, "0", "-1"); got != members {
			t.Errorf("%s: %q, want %q", index, got, members)
		}
	}
	ends("a", book.OrderFailed, book.OrderPaid)
	ends("b", book.OrderCancelled)
	ends("c", book.OrderFailed, book.OrderOpen)
	want("paid", "a")
	want("failed", "b")
	want("unpaid", "b\nc")

	for i := range book.MaxPurchases + 10 {
		clock.Move(2 * time.Minute)
		ends(fmt.Sprintf("f%03d", i), book.OrderFailed)
	}
	if n := server.MustDo("ZCARD", "dodogate:{acc}:failed"); n != fmt.Sprint(book.MaxPurchases) {
		t.Errorf("%s failed orders are listed", n)
	}
	if oldest := server.MustDo("ZRANGE", "dodogate:{acc}:failed", "0", "0"); oldest != "f010" {
		t.Errorf("the oldest that is listed is %s", oldest)
	}
}
