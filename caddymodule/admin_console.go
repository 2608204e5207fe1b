package caddymodule

import (
	"net/http"
	"sync"

	"github.com/caddyserver/caddy/v2"

	"github.com/dodogate/dodogate/internal/console"
	"github.com/dodogate/dodogate/internal/store"
)

// operatorConsole is one for the process, so that a form that was opened before a reload
// can still be sent after it.
var operatorConsole = sync.OnceValue(console.New)

// serveConsole serves the pages of the console. Who may ask is decided before, by the admin
// API: by the address that it listens on, the host, the origin, and the identity where the
// config wants one.
func serveConsole(w http.ResponseWriter, r *http.Request) error {
	app, err := configuredApp(caddy.ActiveContext())
	if err != nil {
		return caddy.APIError{HTTPStatus: http.StatusNotFound, Err: err}
	}
	defer app.store.keep()()
	operatorConsole().Serve(w, r, console.Site{
		Accounts: app.accounts, Events: app.events, Store: store.Client{Store: app.store}, Passes: viewsOf(app.store.passes.list(), consolePass), Redriven: metrics.redriven, By: adminIdentity(r),
	})
	return nil
}

func consolePass(p pass) console.Pass {
	v := showPass(p)
	return console.Pass{
		Kind: string(v.Kind), State: string(v.State), Error: v.Error, BeganAt: v.BeganAt, EndedAt: v.EndedAt,
		Seen: v.Seen, Read: v.Read, Applied: v.Applied,
	}
}
