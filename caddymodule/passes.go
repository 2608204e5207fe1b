package caddymodule

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/dodogate/dodogate/internal/gateway"
)

// passKind is how far back a pass looks.
type passKind string

const (
	passReconcile passKind = "reconcile" // to the pass before
	passRebuild   passKind = "rebuild"   // to the beginning
)

// passState is how far a pass has come.
type passState string

const (
	passWaiting passState = "waiting" // it was asked for and begins soon
	passRunning passState = "running"
	passDone    passState = "done"
	passFailed  passState = "failed"
	// passCut: the config was changed meanwhile, or an urgent pass was due. If this one had been
	// asked for, a later one does it over.
	passCut passState = "interrupted"
	// passElsewhere: another gateway on the store made it, or is making it.
	passElsewhere passState = "elsewhere"
)

// pass is one pass over Dodo's lists.
type pass struct {
	number int64 // 1, 2, 3… of this process
	kind   passKind
	state  passState
	asked  bool // for, or else it was just time
	urgent bool // the store may have lost what it acknowledged last
	began  time.Time
	ended  time.Time
	did    gateway.Reconciled // while a reconcile runs: nothing yet
	err    error              // why it failed
}

// passes are the passes into one store, one at a time. They belong to the handle,
// not to a config: when a config is replaced in the middle of a pass that somebody
// asked for, the next config does it over.
type passes struct {
	turn chan struct{} // full while a pass runs
	wake chan struct{} // full when somebody asked

	mu     sync.Mutex
	begun  int64                   // how many
	asked  passKind                // what was asked for and has not begun; "" for nothing
	urgent bool                    // that is because the store was replaced
	cut    context.CancelFunc      // ends the pass that runs; nil if none does, or if it is urgent
	kept   []pass                  // the newest, the last one may be running
	good   time.Time               // when a pass ended well last, or another gateway's began
	state  gateway.ReconcileStatus // as of the last pass

	off        bool        // only the admin API may ask
	replacedAt time.Time   // when a pass was asked for last because the store was replaced
	later      *time.Timer // asks for one; nil if none waits
	failed     int         // urgent passes in a row
}

// keepPasses is how many passes are remembered.
const keepPasses = 10

func newPasses() *passes {
	return &passes{turn: make(chan struct{}, 1), wake: make(chan struct{}, 1)}
}

// ask has a pass begin soon, after the one that is running, and returns it as it
// waits. Whoever asks before it begins gets the same one; a rebuild is also what a
// reconcile is.
func (p *passes) ask(kind passKind) pass {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.want(kind)
	return p.waiting()
}

const (
	// replacedEvery is the least time between two passes because the store was replaced.
	replacedEvery = 10 * time.Second
	// urgentTries is how often an urgent pass that fails is made again. A server that has just taken
	// over may lack the replicas that it needs to take writes.
	urgentTries = 5
)

// turnOff says whether only the admin API may ask for passes.
func (p *passes) turnOff(off bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.off = off
}

// storeReplaced has a reconcile begin soon: another server has taken the place of the store, or
// its data have another history, and what it acknowledged last may be lost.
func (p *passes) storeReplaced() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed = 0
	p.urge(max(0, time.Until(p.replacedAt.Add(replacedEvery))))
}

// urge has an urgent reconcile begin after a pause.
func (p *passes) urge(pause time.Duration) {
	if p.off || p.later != nil {
		return
	}
	p.later = time.AfterFunc(pause, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.later = nil
		if p.off { // the config was changed meanwhile
			return
		}
		p.replacedAt, p.urgent = time.Now(), true
		p.want(passReconcile)
		if p.cut != nil {
			p.cut() // a pass can take hours, and continues later where it stopped
		}
	})
}

func (p *passes) want(kind passKind) {
	if p.asked != passRebuild {
		p.asked = kind
	}
	select {
	case p.wake <- struct{}{}:
	default: // it is awake
	}
}

func (p *passes) waiting() pass {
	return pass{number: p.begun + 1, kind: p.asked, state: passWaiting, asked: true}
}

// list is what waits, runs and was, newest first.
func (p *passes) list() []pass {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := slices.Clone(p.kept)
	if p.asked != "" {
		list = append(list, p.waiting())
	}
	slices.Reverse(list)
	return list
}

// lastGood is when a pass ended well last, of this gateway or another one on the store; zero if
// none has since the process started.
func (p *passes) lastGood() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.good
}

// noteGood notes when what is new at Dodo was read last, whichever gateway did.
func (p *passes) noteGood(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at.After(p.good) {
		p.good = at
	}
}

// noteStatus notes how far the lists have been read.
func (p *passes) noteStatus(s gateway.ReconcileStatus) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = s
}

func (p *passes) status() gateway.ReconcileStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

// sleep waits until it is time or somebody asks, and reports whether ctx is still
// alive. What was asked for then remains for whoever sleeps next.
func (p *passes) sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-p.wake:
			if !p.wanted() {
				continue // a pass that was due took it along
			}
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			p.handOn()
			return false
		}
		return true
	}
}

func (p *passes) wanted() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked != ""
}

// handOn wakes another sleeper for what was asked for.
func (p *passes) handOn() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked != "" {
		p.want(p.asked)
	}
}

// run runs the next pass. It returns false if ctx ended first, or if an urgent pass interrupted it.
func (p *passes) run(ctx context.Context, do func(ctx context.Context, this pass, told func(gateway.Reconciled)) (gateway.Reconciled, error)) (pass, bool) {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return pass{}, false
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	did, err := do(ctx, p.begin(cancel), p.told)
	return p.end(did, err, ctx.Err() != nil)
}

// begin begins the pass that waits. An urgent one goes before a rebuild.
func (p *passes) begin(cut context.CancelFunc) pass {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := p.waiting()
	next.state, next.began, next.urgent = passRunning, time.Now(), p.urgent
	if next.kind == "" {
		next.kind, next.asked = passReconcile, false
	}
	p.asked = ""
	if p.urgent {
		if next.kind == passRebuild {
			next.kind = passReconcile
			p.want(passRebuild)
		}
		cut = nil
	}
	p.urgent, p.cut = false, cut
	p.begun++
	if p.kept = append(p.kept, next); len(p.kept) > keepPasses {
		p.kept = slices.Delete(p.kept, 0, 1)
	}
	return next
}

func (p *passes) told(did gateway.Reconciled) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kept[len(p.kept)-1].did = did
}

func (p *passes) end(did gateway.Reconciled, err error, cut bool) (pass, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = nil
	this := &p.kept[len(p.kept)-1]
	this.did, this.err, this.ended = did, err, time.Now()
	switch {
	case err == nil:
		this.state, p.good, p.failed = passDone, this.ended, 0
	case errors.Is(err, gateway.ErrElsewhere) && !this.asked:
		this.state, this.err = passElsewhere, nil
	case cut:
		this.state, this.err = passCut, nil
		if this.asked {
			p.urgent = p.urgent || this.urgent
			p.want(this.kind)
		}
	default:
		this.state = passFailed
		if this.urgent && p.failed < urgentTries {
			p.urge(replacedEvery << p.failed)
			p.failed++
		}
	}
	return *this, this.state != passCut
}
