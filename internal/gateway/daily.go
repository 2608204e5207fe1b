package gateway

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
)

// countSales keeps what a commit changes of the sales by day. A sale that turns out to be of another
// day leaves an empty one behind.
func (e *Events) countSales(b *book.Book, ref entitlement.Ref, s step) error {
	if e.days == nil {
		return nil
	}
	before, now := s.prior.Sales(ref), s.record.Sales(ref)
	for id, was := range before {
		if is, still := now[id]; !still || dayOf(is.At) != dayOf(was.At) {
			if err := countSale(b, id, entitlement.DatedSale{At: was.At}); err != nil {
				return err
			}
		}
	}
	for id, sale := range now {
		if sale != before[id] {
			if err := countSale(b, id, sale); err != nil {
				return err
			}
		}
	}
	return nil
}

func countSale(b *book.Book, id string, sale entitlement.DatedSale) error {
	value, err := json.Marshal(sale.Sale)
	if err != nil {
		return err
	}
	d := book.Daily{Of: book.DailySales, Day: dayOf(sale.At), Name: id, Value: string(value)}
	if d.Check() != nil {
		return nil //nolint:nilerr // statistics do without it, and the payment counts
	}
	return b.Count(d)
}

func dayOf(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// given is how many credits entries of a commit add, less what they take back.
func given(entries []ledger.Entry) (credits int64) {
	for _, e := range entries {
		credits += e.Amount
	}
	return credits
}

// creditsOfDay are the credits that one gateway counted in a day.
type creditsOfDay struct {
	Sold  int64 `json:"sold"` // less what was taken back
	Spent int64 `json:"spent"`
}

// dailyCredits count credits by day. Each gateway keeps its own totals under a name of its own, a
// few seconds after they change and when it is closed. One that is killed loses those seconds of the
// statistics, and of nothing else.
type dailyCredits struct {
	days    store.Days // nil counts nothing
	process string
	clock   func() time.Time
	logger  *slog.Logger

	mu      sync.Mutex
	totals  map[string]creditsOfDay // by day
	kept    map[string]creditsOfDay // as they are in the store
	pending *time.Timer             // until the totals are kept; nil if they are
	closed  bool

	keeping sync.Mutex // held while totals are written, so that an older one never follows a newer one
}

const (
	dailyKept     = 5 * time.Second
	dailyPatience = 2 * time.Second
)

func (d *dailyCredits) add(sold, spent int64) {
	if d.days == nil || sold == 0 && spent == 0 {
		return
	}
	if d.count(dayOf(d.clock()), sold, spent) {
		d.keep()
	}
}

// count reports whether the totals are to be kept at once, because this is for a request that outlives
// its config.
func (d *dailyCredits) count(day string, sold, spent int64) (atOnce bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.totals == nil {
		d.totals, d.kept = make(map[string]creditsOfDay), make(map[string]creditsOfDay)
	}
	t := d.totals[day]
	t.Sold, t.Spent = t.Sold+sold, t.Spent+spent
	d.totals[day] = t
	d.wait()
	return d.closed
}

// wait lets the totals be kept in a while. The caller holds mu.
func (d *dailyCredits) wait() {
	if d.pending == nil && !d.closed {
		d.pending = time.AfterFunc(dailyKept, d.keep)
	}
}

// keep writes the totals that have changed to the store. If it fails, it tries again.
func (d *dailyCredits) keep() {
	d.keeping.Lock()
	defer d.keeping.Unlock()
	d.mu.Lock()
	changed := maps.Clone(d.totals)
	maps.DeleteFunc(changed, func(day string, t creditsOfDay) bool { return d.kept[day] == t })
	d.pending = nil
	d.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), dailyPatience)
	defer cancel()
	for day, t := range changed {
		value, err := json.Marshal(t)
		if err == nil {
			err = d.days.Count(ctx, book.Daily{Of: book.DailyCredits, Day: day, Name: d.process, Value: string(value)})
		}
		d.mu.Lock()
		if err == nil {
			d.kept[day] = t
		} else {
			d.logger.Debug("the credits of a day could not be kept", "error", err)
			d.wait() // and try again
		}
		d.mu.Unlock()
	}
}

// close keeps what is not kept yet, and waits for it.
func (d *dailyCredits) close() {
	d.mu.Lock()
	d.closed = true
	if d.pending != nil {
		d.pending.Stop()
	}
	d.mu.Unlock()
	d.keep()
}
