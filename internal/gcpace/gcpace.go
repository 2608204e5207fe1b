// Package gcpace lets the garbage collector run less often while memory is plenty.
//
// By Go's default (GOGC=100) a heap grows to twice of what is live before it is
// collected. A gateway has little that lives and makes much that does not, so it
// collects often, and each time looks at the same few megabytes: about a tenth of
// its CPU. With [Most] that is a fifth as often.
//
// What it may cost is bounded by the soft memory limit of the process, which Caddy
// sets to nine tenths of what its container or machine has. The heap may grow
// further than by default only up to a quarter of that; what is live already counts.
// So a small container, or one that is nearly full, is collected as by default, and
// what the memory limit does by itself near the end stays as it is.
package gcpace

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

const (
	// Most is how far the heap may grow where there is memory, in percent of what
	// is live, and byDefault Go's own.
	Most      = 400
	byDefault = 100
	// share of the memory limit within which the heap may grow further than by
	// default.
	share = 4
	// A change of the pace stops all goroutines for a moment, so smaller ones are
	// left out.
	least = 10
)

// Budget is the size in bytes up to which the heap may grow further than by Go's
// default, from what the environment says of GOGC, the percentage that is in force
// and the soft memory limit in bytes. 0 leaves the collector alone: somebody else
// has decided, or there is no limit to be safe by.
func Budget(gogc string, percent, limit int64) int64 {
	if gogc != "" || percent != byDefault || limit <= 0 || limit == math.MaxInt64 {
		return 0
	}
	return limit / share
}

// Percent is how far the heap may grow, in percent of what is live, so that it stays
// within the budget; both are in bytes. It is from 100 to [Most].
func Percent(live, budget int64) int64 {
	if live <= 0 {
		return Most
	}
	return min(max((budget-live)/max(live/100, 1), byDefault), Most)
}

// Start sets the pace from now on, after each collection, and returns the budget.
// Where [Budget] is 0 it does nothing. Only the first call in a process counts,
// because there is one collector; later ones return 0.
func Start() (budget int64) {
	started.Do(func() {
		if now := read(); Budget(os.Getenv("GOGC"), now.percent, now.limit) > 0 {
			p := &pace{percent: now.percent}
			p.adjust()
			p.arm()
			budget = now.limit / share
		}
	})
	return budget
}

var started sync.Once

// pace is what was set last.
type pace struct{ percent int64 }

// arm has the pace adjusted after the next collection, which finds that nobody
// needs what is made here.
func (p *pace) arm() {
	type sentinel struct{ _ *byte } // a pointer in it keeps it from being packed with others
	runtime.SetFinalizer(new(sentinel), func(*sentinel) {
		if p.adjust() {
			p.arm()
		}
	})
}

// adjust sets the pace by what is live now. It reports whether that is still ours to
// do: not when somebody has set another one.
func (p *pace) adjust() bool {
	now := read()
	if now.percent != p.percent {
		return false
	}
	next := int64(byDefault)
	if now.limit != math.MaxInt64 {
		next = Percent(now.live, now.limit/share)
	}
	if next == p.percent || max(next-p.percent, p.percent-next) < least && next != byDefault && next != Most {
		return true
	}
	debug.SetGCPercent(int(next))
	p.percent = next
	return true
}

// state is what the collector says of itself.
type state struct {
	percent int64 // GOGC as it is in force; -1 is off
	limit   int64 // the soft memory limit in bytes; [math.MaxInt64] is none
	live    int64 // bytes that the percentage is of: those that the last collection left, and stacks
}

func read() state {
	samples := []metrics.Sample{
		{Name: "/gc/gogc:percent"}, {Name: "/gc/gomemlimit:bytes"}, {Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"},
	}
	metrics.Read(samples)
	value := func(i int) int64 {
		if samples[i].Value.Kind() != metrics.KindUint64 {
			return 0
		}
		return int64(samples[i].Value.Uint64()) // -1 comes as the highest number there is
	}
	return state{percent: value(0), limit: value(1), live: value(2) + value(3)}
}
