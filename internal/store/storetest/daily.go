package storetest

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
)

func (r *rig) days() store.Days {
	r.Helper()
	days, err := r.Days()
	if err != nil {
		r.Fatal(err)
	}
	return days
}

// day reads a whole collection, in pages of a size.
func (r *rig) day(of book.DailyKind, day string, limit int) map[string]string {
	r.Helper()
	all := make(map[string]string)
	for after := ""; ; {
		rows, next, err := r.days().Day(r.ctx(), of, day, after, limit)
		if err != nil {
			r.Fatal(err)
		}
		for _, d := range rows {
			if d.Of != of || d.Day != day {
				r.Errorf("%s of %s has %+v", of, day, d)
			}
			all[d.Name] = d.Value
		}
		if after = next; next == "" {
			return all
		}
	}
}

func (r *rig) count(d book.Daily) {
	r.Helper()
	if err := r.days().Count(r.ctx(), d); err != nil {
		r.Fatal(err)
	}
}

var dailyTests = []test{
	{"a value takes the place of the one with its name", func(r *rig) {
		today := r.clock.Now().UTC().Format(time.DateOnly)
		same(r, "before", len(r.day(book.DailySales, today, 10)), 0)
		for _, value := range []string{"1", "2", "2"} {
			r.count(book.Daily{Of: book.DailySales, Day: today, Name: "pay_1", Value: value})
		}
		r.count(book.Daily{Of: book.DailySales, Day: today, Name: "pay_2", Value: "3"})
		r.count(book.Daily{Of: book.DailyCredits, Day: today, Name: "pay_1", Value: "4"})
		same(r, "sales", r.day(book.DailySales, today, 10), map[string]string{"pay_1": "2", "pay_2": "3"})
		same(r, "credits", r.day(book.DailyCredits, today, 10), map[string]string{"pay_1": "4"})
	}},
	{"a decision counts", func(r *rig) {
		day := r.clock.Now().UTC().Format(time.DateOnly)
		d := book.Daily{Of: book.DailySales, Day: day, Name: "pay_1", Value: "1"}
		for range 2 {
			if _, err := r.Update(r.ctx(), "alice", func(b *book.Book) error { return b.Count(d) }); err != nil {
				r.Fatal(err)
			}
			same(r, "sales", r.day(book.DailySales, day, 10), map[string]string{"pay_1": "1"})
		}
		sold := book.Commit{
			Account: "alice", Object: entitlement.Ref{Kind: entitlement.KindPayment, ID: "pay_2"}, State: []byte("{}"), Cause: "test",
			Effect: entitlement.Effect{Grants: []ledger.Target{{ID: "pay_2", Amount: 5, CreatedAt: r.now()}}},
		}
		_, err := r.Update(r.ctx(), "alice", func(b *book.Book) error {
			if err := b.Count(book.Daily{Of: book.DailySales, Day: day, Name: "pay_2", Value: "2"}); err != nil {
				return err
			}
			_, err := b.Commit(sold)
			return err
		})
		if err != nil {
			r.Fatal(err)
		}
		same(r, "sales", r.day(book.DailySales, day, 10), map[string]string{"pay_1": "1", "pay_2": "2"})
		same(r, "entries", len(r.entries("alice")), 1)
	}},
	{"a decision that fails counts nothing that lasts", func(r *rig) {
		day := r.clock.Now().UTC().Format(time.DateOnly)
		for _, bad := range []book.Daily{{}, {Of: book.DailySales, Day: "today", Name: "a"}, {Of: book.DailySales, Day: day}, {Of: book.DailySales, Day: day, Name: strings.Repeat("a", book.MaxName+1)}} {
			if err := r.days().Count(r.ctx(), bad); err == nil {
				r.Errorf("%+v is counted", bad)
			}
			if _, err := r.Update(r.ctx(), "alice", func(b *book.Book) error { return b.Count(bad) }); err == nil {
				r.Errorf("%+v is counted by a decision", bad)
			}
		}
		same(r, "sales", len(r.day(book.DailySales, day, 10)), 0)
	}},
	{"many values, in pages, while others are counted", func(r *rig) {
		const many = 1500
		day := r.clock.Now().UTC().Format(time.DateOnly)
		want := make(map[string]string)
		var all sync.WaitGroup
		for i := range many {
			name := fmt.Sprint("pay_", i)
			want[name] = fmt.Sprint(i)
			all.Go(func() {
				if err := r.days().Count(r.ctx(), book.Daily{Of: book.DailySales, Day: day, Name: name, Value: fmt.Sprint(i)}); err != nil {
					r.Error(err)
				}
			})
		}
		all.Wait()
		same(r, "sales", r.day(book.DailySales, day, 100), want)
	}},
	{"a collection ends", func(r *rig) {
		now := r.clock.Now().UTC()
		old, kept := now.Add(-book.DailyLife-48*time.Hour).Format(time.DateOnly), now.Add(-book.DailyLife+48*time.Hour).Format(time.DateOnly)
		for _, day := range []string{old, kept} {
			r.count(book.Daily{Of: book.DailySales, Day: day, Name: "pay_1", Value: "1"})
		}
		same(r, "the younger one", len(r.day(book.DailySales, kept, 10)), 1)
		r.clock.Move(2 * time.Hour)
		r.count(book.Daily{Of: book.DailySales, Day: now.Format(time.DateOnly), Name: "pay_1", Value: "1"})
		same(r, "the younger one", len(r.day(book.DailySales, kept, 10)), 1)
	}},
}
