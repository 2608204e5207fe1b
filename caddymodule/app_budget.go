package caddymodule

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"sync"

	"github.com/dodogate/dodogate/internal/gateway"
)

func (a *App) validateBudget() error {
	if a.Budget != 0 && (a.Budget < gateway.SmallestBudget || a.Budget > gateway.LargestBudget) {
		return fmt.Errorf("budget must be between %d and %d calls a minute", gateway.SmallestBudget, gateway.LargestBudget)
	}
	return nil
}

// calls keeps the budget of calls to Dodo over reloads, so that no minute begins anew
// with a config. A config that sets another number begins with a new budget.
type calls struct {
	mu        sync.Mutex
	perMinute int
	current   *gateway.Budget
}

func (c *calls) budget(perMinute int) *gateway.Budget {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == nil || c.perMinute != perMinute {
		c.perMinute, c.current = perMinute, gateway.NewBudget(gateway.BudgetOptions{PerMinute: perMinute})
	}
	return c.current
}

// withAddress is the request's context with the address that Caddy takes the client
// to have: {client_ip}, for which it believes its trusted_proxies and nobody else.
func withAddress(r *http.Request) context.Context {
	address, err := netip.ParseAddr(clientIP(r))
	if err != nil { // a Unix socket, for example
		return r.Context()
	}
	return gateway.WithAddress(r.Context(), address)
}
