package caddymodule

import (
	"cmp"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/gateway"
)

// Reconcile says how often Dodo is asked for what its webhooks did not tell, and
// parked events are tried again.
type Reconcile struct {
	// Turns it off, but for the passes that the admin API asks for. Default: on.
	Off bool `json:"off,omitempty"`
	// How long to wait between two passes, at least a minute. Default: 10m.
	Interval config.Duration `json:"interval,omitempty"`
	// How many calls a pass may make in a minute, 1 to 240. Dodo allows a new
	// business 240 in all. Default: 60.
	Budget int `json:"budget,omitempty"`
}

const (
	defaultInterval = 10 * time.Minute
	defaultBudget   = 60
	mostBudget      = 240
	never           = time.Duration(math.MaxInt64)
	// firstPass is when the first pass begins, at the latest: not at once, so
	// that reloads in quick succession ask nothing.
	firstPass = 5 * time.Second
)

func (r Reconcile) validate() error {
	switch {
	case r.Interval != 0 && r.Interval.Std() < time.Minute, r.Interval.Std() > 24*time.Hour:
		return errors.New("reconcile: interval must be between 1m and 1d")
	case r.Budget < 0, r.Budget > mostBudget:
		return errors.New("reconcile: budget must be between 1 and 240 calls a minute")
	case r.Off && (r.Interval != 0 || r.Budget != 0):
		return errors.New("reconcile: it is off, and has settings")
	}
	return nil
}

func (r Reconcile) interval() time.Duration {
	if r.Interval == 0 {
		return defaultInterval
	}
	return r.Interval.Std()
}

func (r Reconcile) limiter() *rate.Limiter {
	budget := r.Budget
	if budget == 0 {
		budget = defaultBudget
	}
	return rate.NewLimiter(rate.Every(time.Minute/time.Duration(budget)), max(1, budget/10))
}

// urgentLimiter is for passes that must be done within seconds: they may make the calls of a
// minute, 60 at most, at once.
func (r Reconcile) urgentLimiter() *rate.Limiter {
	const most = 60
	return rate.NewLimiter(r.limiter().Limit(), min(cmp.Or(r.Budget, defaultBudget), most))
}

// reconciler runs passes until it is stopped: one every interval, and those that
// the admin API asks for. Of several gateways on a store, one at a time makes a pass.
type reconciler struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
}

func startReconciler(a *App) *reconciler {
	ctx, cancel := context.WithCancel(context.Background())
	r := &reconciler{cancel: cancel}
	passes, limiter, urgent, interval := a.store.passes, a.Reconcile.limiter(), a.Reconcile.urgentLimiter(), a.Reconcile.interval()
	passes.turnOff(a.Reconcile.Off)
	pause := time.Duration(rand.Int64N(int64(min(firstPass, interval)))) //nolint:gosec // nobody gains by guessing
	if a.Reconcile.Off {
		pause, interval = never, never
	}
	r.done.Go(func() {
		for first := true; passes.sleep(ctx, pause); first = false {
			if first {
				a.shop.OffersNow(ctx) // a wrong product id is logged before a customer meets it
			}
			// Soon after another gateway's pass there is nothing to do, unless the config is new.
			recently := interval / 2
			if first {
				recently = 0
			}
			a.reconcile(ctx, limiter, urgent, recently)
			a.redrive(ctx)
			pause = interval
		}
	})
	return r
}

// stop ends the pass that is under way.
func (r *reconciler) stop() {
	r.cancel()
	r.done.Wait()
}

// reconcile makes the next pass. One that nobody asked for is left to another gateway that makes
// one, or has done so recently.
func (a *App) reconcile(ctx context.Context, budget, urgent *rate.Limiter, recently time.Duration) {
	done, ok := a.store.passes.run(ctx, func(ctx context.Context, this pass, told func(gateway.Reconciled)) (gateway.Reconciled, error) {
		switch {
		case this.kind == passRebuild:
			return a.events.Rebuild(ctx, budget, a.watchPass(ctx, told))
		case this.urgent:
			return a.events.Reconcile(ctx, urgent)
		case this.asked:
			return a.events.Reconcile(ctx, budget)
		}
		return a.events.ReconcileIfDue(ctx, budget, recently)
	})
	if !ok {
		return
	}
	a.noteStatus(ctx)
	if done.state == passElsewhere {
		a.logger.Debug("another gateway reconciles with Dodo", zap.Int64("pass", done.number))
		return
	}
	metrics.reconciled(done.err)
	log := a.logger.With(zap.Int64("pass", done.number), zap.String("kind", string(done.kind)))
	switch {
	case done.err != nil && done.kind == passRebuild:
		log.Error("rebuilding from Dodo failed; the next pass goes on where it stopped", zap.Error(done.err))
	case done.err != nil:
		log.Warn("reconciling with Dodo failed; the next pass goes on where this one stopped", zap.Error(done.err))
	case done.did.Applied > 0, done.kind == passRebuild:
		log.Info("reconciled with Dodo", zap.Int("seen", done.did.Seen), zap.Int("read", done.did.Read), zap.Int("applied", done.did.Applied), zap.Int("foreign", done.did.Foreign))
	default:
		log.Debug("reconciled with Dodo, nothing was missing", zap.Int("seen", done.did.Seen), zap.Int("read", done.did.Read))
	}
}

// watchPass passes told what a long pass has read, and notes that every minute.
func (a *App) watchPass(ctx context.Context, told func(gateway.Reconciled)) func(gateway.Reconciled) {
	noted := time.Now()
	return func(did gateway.Reconciled) {
		told(did)
		if time.Since(noted) > time.Minute {
			noted = time.Now()
			a.noteStatus(ctx)
		}
	}
}

// noteStatus notes how far Dodo's lists have been read, whichever gateway did, for health and
// metrics.
func (a *App) noteStatus(ctx context.Context) {
	good, err := a.events.LastPass(ctx)
	if err == nil {
		a.store.passes.noteGood(good)
		var status gateway.ReconcileStatus
		if status, err = a.events.ReconcileStatus(ctx); err == nil {
			a.store.passes.noteStatus(status)
			metrics.listed(status)
		}
	}
	if err != nil && ctx.Err() == nil {
		a.logger.Debug("how far Dodo's lists were read is not known", zap.Error(err))
	}
}

// redrive tries what is parked again. It asks nothing of Dodo, so it is done also
// when Dodo does not answer.
func (a *App) redrive(ctx context.Context) {
	did, err := a.events.Redrive(ctx)
	if ctx.Err() != nil {
		return
	}
	if did.Parked != nil {
		metrics.redriven(did.Parked)
	}
	if err != nil {
		a.logger.Warn("not all parked events could be tried again", zap.Error(err))
	}
	if did.Applied > 0 {
		a.logger.Info("parked events were applied", zap.Int("tried", did.Tried), zap.Int("applied", did.Applied))
	}
}

// parseReconcile reads:
//
//	reconcile off
//	reconcile {
//		interval <period>
//		budget   <calls a minute>
//	}
func parseReconcile(d *caddyfile.Dispenser, target *Reconcile) error {
	if d.NextArg() {
		if d.Val() != "off" || d.NextArg() {
			return d.Err("reconcile takes the word off, or a block")
		}
		target.Off = true
	}
	once := seen{}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := once.add(d); err != nil {
			return err
		}
		if err := target.parseOption(d); err != nil {
			return err
		}
	}
	if err := target.validate(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

func (r *Reconcile) parseOption(d *caddyfile.Dispenser) error {
	switch d.Val() {
	case "interval":
		return readPeriod(d, &r.Interval)
	case "budget":
		var text string
		if err := readOne(d, &text); err != nil {
			return err
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > mostBudget {
			return d.Errf("budget must be a whole number of calls a minute from 1 to %d, not '%s'", mostBudget, text)
		}
		r.Budget = n
		return nil
	default:
		return unknown(d, "reconcile", "interval", "budget")
	}
}
