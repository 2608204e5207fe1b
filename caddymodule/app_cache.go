package caddymodule

import (
	"errors"
	"fmt"
	"time"

	"github.com/dodogate/dodogate/internal/gateway"
)

const (
	mostCacheEntries = 10_000_000
	mostStale        = 24 * time.Hour

	// cacheShare is the part of the memory limit that remembered accounts take by default.
	cacheShare = 8
	// accountSize is how many bytes an account with a grant and a plan takes, in the gateway and in
	// a store that remembers it, too.
	accountSize = 350
)

func (a *App) validateCache() error {
	switch {
	case a.CacheEntries < 0 || a.CacheEntries > mostCacheEntries:
		return fmt.Errorf("cache must be between 1 and %d accounts", mostCacheEntries)
	case a.MaxStale < 0 || a.MaxStale.Std() > mostStale:
		return errors.New("max_stale must be at most 1d")
	}
	return nil
}

// cacheEntries is how many accounts are remembered: those that the operator wants or, for 0, as many
// as have room in their share of the memory limit. [math.MaxInt64] is no limit.
func cacheEntries(wanted int, limit int64) int {
	if wanted > 0 {
		return wanted
	}
	return int(min(gateway.DefaultCacheEntries, max(limit/cacheShare/accountSize, 1)))
}
