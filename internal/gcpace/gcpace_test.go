package gcpace_test

import (
	"math"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/gcpace"
)

const mib = 1 << 20

func TestBudget(t *testing.T) {
	for name, c := range map[string]struct {
		gogc                 string
		percent, limit, want int64
	}{
		"a machine":                         {"", 100, 4096 * mib, 1024 * mib},
		"a small container":                 {"", 100, 115 * mib, 115 * mib / 4},
		"no limit":                          {"", 100, math.MaxInt64, 0},
		"a limit of nothing":                {"", 100, 0, 0},
		"GOGC is set":                       {"200", 200, 4096 * mib, 0},
		"GOGC is set to the default":        {"100", 100, 4096 * mib, 0},
		"GOGC is off":                       {"off", -1, 4096 * mib, 0},
		"another package has decided":       {"", 50, 4096 * mib, 0},
		"another package has turned it off": {"", -1, 4096 * mib, 0},
	} {
		if got := gcpace.Budget(c.gogc, c.percent, c.limit); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestPercent(t *testing.T) {
	for name, c := range map[string]struct{ live, budget, want int64 }{
		"nothing lives":           {0, 100 * mib, 400},
		"little lives":            {10 * mib, 100 * mib, 400},
		"just what fits":          {20 * mib, 100 * mib, 400},
		"half as much again":      {40 * mib, 100 * mib, 150},
		"as by default":           {50 * mib, 100 * mib, 100},
		"more than fits":          {90 * mib, 100 * mib, 100},
		"more than there is":      {500 * mib, 100 * mib, 100},
		"no budget":               {10 * mib, 0, 100},
		"a few bytes":             {10, 1000, 400},
		"as much as can be named": {math.MaxInt64 / 2, math.MaxInt64 / 4, 100},
	} {
		if got := gcpace.Percent(c.live, c.budget); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// TestPercentNeverBeyond: the heap grows to its budget at most, unless Go's default
// lets it grow further.
func TestPercentNeverBeyond(t *testing.T) {
	const budget = 64 * mib
	for live := int64(100); live < 4*budget; live += live/50 + 1 {
		percent := gcpace.Percent(live, budget)
		if goal := live + live/100*percent; goal > max(budget, 2*live) || percent > gcpace.MaxPercent {
			t.Fatalf("%d bytes live: %d %%, which is a heap of %d", live, percent, goal)
		}
	}
}

// child runs the test named in a process of its own, with these variables.
func child(t *testing.T, env ...string) (isChild bool) {
	t.Helper()
	if os.Getenv("GCPACE_CHILD") != "" {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.timeout=60s")
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "GOGC=") && !strings.HasPrefix(v, "GOMEMLIMIT=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(append(cmd.Env, "GCPACE_CHILD=1"), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return false
}

// percent is what is in force.
func percent() int {
	samples := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(samples)
	return int(samples[0].Value.Uint64())
}

// await collects until the pace is this.
func await(t *testing.T, want int) {
	t.Helper()
	for range 10_000 {
		if percent() == want {
			return
		}
		runtime.GC()
	}
	t.Fatalf("the pace is %d, want %d", percent(), want)
}

// TestStart follows what lives: up while there is room, back when there is not.
func TestStart(t *testing.T) {
	if !child(t, "GOMEMLIMIT=256MiB") {
		return
	}
	if got := gcpace.Start(); got != 64*mib {
		t.Fatalf("budget is %d", got)
	}
	if got := gcpace.Start(); got != 0 {
		t.Fatalf("the second start: %d", got)
	}
	await(t, gcpace.MaxPercent)
	func() {
		ballast := make([]byte, 60*mib)
		await(t, 100)
		runtime.KeepAlive(ballast)
	}()
	await(t, gcpace.MaxPercent)
	debug.SetMemoryLimit(math.MaxInt64) // nothing to be safe by any more
	await(t, 100)
}

// TestStartYields to whoever sets another pace later.
func TestStartYields(t *testing.T) {
	if !child(t, "GOMEMLIMIT=1GiB") {
		return
	}
	gcpace.Start()
	await(t, gcpace.MaxPercent)
	debug.SetGCPercent(77)
	for range 20 {
		runtime.GC()
	}
	await(t, 77)
	for range 20 {
		if runtime.GC(); percent() != 77 {
			t.Fatalf("the pace is %d", percent())
		}
	}
}

func TestStartIsOff(t *testing.T) {
	for name, env := range map[string][]string{
		"by GOGC":       {"GOGC=100", "GOMEMLIMIT=1GiB"},
		"by no limit":   {"GOMEMLIMIT=off"},
		"by no mention": nil,
	} {
		t.Run(name, func(t *testing.T) {
			if !child(t, env...) {
				return
			}
			if got := gcpace.Start(); got != 0 {
				t.Fatalf("budget is %d", got)
			}
			for range 20 {
				runtime.GC()
			}
			if percent() != 100 {
				t.Fatalf("the pace is %d", percent())
			}
		})
	}
}
