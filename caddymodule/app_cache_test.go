package caddymodule_test

import (
	"math"
	"testing"

	"github.com/dodogate/dodogate/caddymodule"
)

// TestCacheEntries: by default, accounts that are remembered take an eighth of the memory limit at most.
func TestCacheEntries(t *testing.T) {
	for name, c := range map[string]struct {
		wanted int
		limit  int64
		want   int
	}{
		"the operator's":           {5, 1 << 20, 5},
		"no limit":                 {0, math.MaxInt64, 1_000_000},
		"enough memory":            {0, 2_800_000_000, 1_000_000},
		"a little less":            {0, 2_799_999_999, 999_999},
		"a container of 512 MB":    {0, 512 << 20 * 9 / 10, 172_565},
		"hardly any memory at all": {0, 1000, 1},
	} {
		t.Run(name, func(t *testing.T) {
			if got := caddymodule.CacheEntries(c.wanted, c.limit); got != c.want {
				t.Errorf("%d, want %d", got, c.want)
			}
		})
	}
}
