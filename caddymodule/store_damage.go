package caddymodule

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store"
)

const (
	// mostDamaged is how many damaged accounts a handle knows and logs, each once.
	mostDamaged = 10_000
	// checkRate is how many accounts of a file are checked in a second, behind the start.
	checkRate = 1000
	// checkPage is how many accounts are checked in one go.
	checkPage = 50
	// checkAgain is the pause after a check that could not go on.
	checkAgain = 5 * time.Second
)

// damages are the accounts of a store that are known to be damaged. They belong to the handle.
type damages struct {
	log *zap.Logger
	any atomic.Bool // false while there are none, which every operation looks at first

	mu       sync.Mutex
	accounts map[string]bool // whether it takes a check to see that it is mended
	logged   map[string]bool // each is logged once
	check    fileCheck
}

// fileCheck is the check of all records behind the start. It is the zero value for a store that is
// not checked like this.
type fileCheck struct {
	Running  bool
	Accounts int       // that were looked at so far
	EndedAt  time.Time // of the last one that came to the end
}

// met notes what an operation returned.
func (d *damages) met(err error) {
	damaged, is := errors.AsType[*store.DamagedError](err)
	if !is {
		return
	}
	metrics.damaged.Inc()
	if damaged.Account != "" {
		d.add(damaged.Account, damaged.What, false)
	}
}

// add notes that an account is damaged. found says that it was found by a check.
func (d *damages) add(account, what string, found bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.accounts == nil {
		d.accounts, d.logged = make(map[string]bool), make(map[string]bool)
	}
	if _, known := d.accounts[account]; !known && len(d.accounts) == mostDamaged {
		return
	}
	d.accounts[account] = d.accounts[account] || found
	d.any.Store(true)
	if !d.logged[account] && len(d.logged) < mostDamaged {
		d.logged[account] = true
		d.log.Error("the records of an account are damaged: until they are mended, it gets 503; `dodogate dodo rebuild <account>` mends them",
			zap.String("account", account), zap.String("wrong", what))
	}
}

// fine notes that an account was read, or found to be without a fault by a check.
func (d *damages) fine(account string, checked bool) {
	if !d.any.Load() {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if found, known := d.accounts[account]; known && (checked || !found) {
		delete(d.accounts, account)
		delete(d.logged, account)
	}
	d.any.Store(len(d.accounts) > 0)
}

// found reports whether a check found the account damaged.
func (d *damages) found(account string) bool {
	if !d.any.Load() {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.accounts[account]
}

// noted notes what a check found.
func (d *damages) noted(c gateway.Checked) {
	if len(c.Wrong) == 0 {
		d.fine(c.Account, true)
		return
	}
	d.add(c.Account, strings.Join(c.Wrong, "; "), true)
}

func (d *damages) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.accounts)
}

func (d *damages) checked() fileCheck {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.check
}

func (d *damages) progress(change func(*fileCheck)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(&d.check)
}

// checkFile checks all records of the store once in the life of the handle, behind the start, so
// that damage is found before its customer comes. It stops when ctx ends, and the next config's
// goes on.
func (h *handle) checkFile(ctx context.Context) {
	d := &h.damages
	if !strings.HasPrefix(h.key, boltKey) || !d.checked().EndedAt.IsZero() {
		return
	}
	d.progress(func(c *fileCheck) { *c = fileCheck{Running: true} })
	defer d.progress(func(c *fileCheck) { c.Running = false })
	limiter := rate.NewLimiter(checkRate, checkPage)
	checker := gateway.Checker{Store: store.Client{Store: h}}
	began, damaged := time.Now(), 0
	for after := ""; ; {
		wrong, looked, next, err := checker.Page(ctx, after, checkPage)
		if err != nil && !sleepFor(ctx, checkAgain) {
			return
		}
		if err != nil {
			continue
		}
		for _, c := range wrong {
			d.noted(c)
		}
		damaged += len(wrong)
		d.progress(func(c *fileCheck) { c.Accounts += looked })
		if after = next; next == "" {
			break
		}
		if limiter.WaitN(ctx, min(max(looked, 1), checkPage)) != nil {
			return
		}
	}
	d.progress(func(c *fileCheck) { c.EndedAt = time.Now() })
	done := d.checked()
	log := d.log.Info
	if damaged > 0 {
		log = d.log.Error
	}
	log("the store's file was checked", zap.Int("accounts", done.Accounts), zap.Int("damaged", damaged), zap.Duration("took", time.Since(began).Round(time.Millisecond)))
}

// sleepFor reports whether ctx lasted for as long.
func sleepFor(ctx context.Context, pause time.Duration) bool {
	select {
	case <-time.After(pause):
		return true
	case <-ctx.Done():
		return false
	}
}
