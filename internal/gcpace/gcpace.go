// Package gcpace makes the garbage collector run less often while there is enough memory.
//
// By Go's default (GOGC=100) a heap grows to twice its live size before it is collected. A
// gateway has few live objects and creates much garbage, so it collects often, and each time
// it scans the same few megabytes: about a tenth of its CPU. With [MaxPercent] it collects a
// fifth as often.
//
// The cost is bounded by the soft memory limit of the process, which Caddy sets to nine tenths
// of the memory of its container or machine. The heap may grow further than by default only up
// to a quarter of that limit, live objects included. So a small or almost full container is
// collected as by default, and the behaviour of the memory limit itself stays the same.
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
	// MaxPercent is how far the heap may grow while there is memory, in percent of its live
	// size. defaultPercent is Go's own value.
	MaxPercent     = 400
	defaultPercent = 100
	// limitDivisor: the heap may grow further than by default within the memory limit divided
	// by this.
	limitDivisor = 4
	// minChange is the smallest change in percent. A change stops all goroutines briefly.
	minChange = 10
)

// Budget is the size in bytes up to which the heap may grow further than by Go's default. gogc
// is the environment variable GOGC, percent the current percentage, and limit the soft memory
// limit in bytes. 0 leaves the collector unchanged: somebody has set it, or there is no memory
// limit.
func Budget(gogc string, percent, limit int64) int64 {
	if gogc != "" || percent != defaultPercent || limit <= 0 || limit == math.MaxInt64 {
		return 0
	}
	return limit / limitDivisor
}

// Percent is how far the heap may grow, in percent of its live size, so that it stays within
// the budget; both are in bytes. It is from 100 to [MaxPercent].
func Percent(live, budget int64) int64 {
	if live <= 0 {
		return MaxPercent
	}
	return min(max((budget-live)/max(live/100, 1), defaultPercent), MaxPercent)
}

// Start sets the pace now and after each collection, and returns the budget. It does nothing
// if [Budget] is 0. Only the first call in a process has an effect, because there is one
// collector; later ones return 0.
func Start() (budget int64) {
	started.Do(func() {
		if now := readCollector(); Budget(os.Getenv("GOGC"), now.percent, now.limit) > 0 {
			p := &pace{percent: now.percent}
			p.adjust()
			p.arm()
			budget = now.limit / limitDivisor
		}
	})
	return budget
}

var started sync.Once

// pace is the percentage that was set last.
type pace struct{ percent int64 }

// arm makes the next collection adjust the pace: it creates garbage whose finalizer runs then.
func (p *pace) arm() {
	type sentinel struct{ _ *byte } // the pointer prevents Go from packing it with other objects
	runtime.SetFinalizer(new(sentinel), func(*sentinel) {
		if p.adjust() {
			p.arm()
		}
	})
}

// adjust sets the pace from the live size. It returns false if somebody else has changed the
// percentage since; then this package stops.
func (p *pace) adjust() bool {
	now := readCollector()
	if now.percent != p.percent {
		return false
	}
	next := int64(defaultPercent)
	if now.limit != math.MaxInt64 {
		next = Percent(now.live, now.limit/limitDivisor)
	}
	if next == p.percent || max(next-p.percent, p.percent-next) < minChange && next != defaultPercent && next != MaxPercent {
		return true
	}
	debug.SetGCPercent(int(next))
	p.percent = next
	return true
}

// collectorState is read from the collector.
type collectorState struct {
	percent int64 // current GOGC; -1 is off
	limit   int64 // soft memory limit in bytes; [math.MaxInt64] is none
	live    int64 // bytes that the percentage applies to: what the last collection left, and stacks
}

func readCollector() collectorState {
	samples := []metrics.Sample{
		{Name: "/gc/gogc:percent"}, {Name: "/gc/gomemlimit:bytes"}, {Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"},
	}
	metrics.Read(samples)
	value := func(i int) int64 {
		if samples[i].Value.Kind() != metrics.KindUint64 {
			return 0
		}
		return int64(samples[i].Value.Uint64()) // -1 is reported as the largest uint64
	}
	return collectorState{percent: value(0), limit: value(1), live: value(2) + value(3)}
}
