package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/dodogate/dodogate/bench/rig"
	"github.com/dodogate/dodogate/internal/testing/freeport"
)

// Who takes webhooks without dodogate.

// floorTaker is what an event costs before anybody has looked at it: Caddy answers it
// without reading it.
func (b *bench) floorTaker(_ context.Context, all []purchase) (*taker, error) {
	bare, err := b.caddy(rig.CaddySpec{Name: "floor", Env: []string{stockGC}, Site: line("respond `{\"status\":\"ok\"}` 200")})
	if err != nil {
		return nil, err
	}
	return &taker{
		title: "bare Caddy, `respond 200`: nothing is verified, stored or counted", addr: bare.Addr, path: "/payments/webhook", process: bare.Process,
		counted: func(context.Context) (int64, error) { return int64(len(all)), nil },
	}, nil
}

// goTaker is the Express handler written in Go, as a handler of Caddy: what an event costs
// without a journal and a ledger.
func (b *bench) goTaker(context.Context, []purchase) (*taker, error) {
	server, err := b.redis("go-redis")
	if err != nil {
		return nil, err
	}
	c, err := b.caddy(rig.CaddySpec{
		Name: "go", Bin: b.self, Env: []string{stockGC, roleVariable + "=" + roleCaddy},
		Site: line(fmt.Sprintf("naive_webhook %s %s %d", server.Addr, webhookSecret, productGives)),
	})
	if err != nil {
		return nil, err
	}
	return &taker{
		title: "the Express handler in Go, as a handler of Caddy (no journal, no ledger)", addr: c.Addr, path: "/webhook", process: c.Process, caddy: c, server: server,
		counted: countsGranted(c.Addr),
	}, nil
}

// countsGranted asks a handler that says itself how many credits it has given.
func countsGranted(addr string) func(context.Context) (int64, error) {
	return func(context.Context) (int64, error) {
		text, err := rig.Get("http://" + addr + "/granted")
		if err != nil {
			return 0, err
		}
		granted, err := strconv.ParseInt(string(text), 10, 64)
		return granted / productGives, err
	}
}

const expressTitle = "Express, standardwebhooks and ioredis (no journal, no ledger)"

// expressTaker is nil where the packages are not installed: `make bench` does
// that.
func (b *bench) expressTaker(context.Context, []purchase) (*taker, error) {
	node, err := exec.LookPath("node")
	if err == nil {
		_, err = os.Stat(filepath.Join(b.express, "node_modules", "express"))
	}
	if b.express == "" || err != nil {
		say("without Express: %v", err)
		return nil, nil
	}
	server, err := b.redis("express-redis")
	if err != nil {
		return nil, err
	}
	port, err := freeport.Find()
	if err != nil {
		return nil, err
	}
	addr := net.JoinHostPort("127.0.0.1", port)
	process, err := rig.Start(rig.Spec{
		Name: "express", Bin: node, Dir: b.dir, Args: []string{filepath.Join(b.express, "server.js")},
		Env: []string{
			"NODE_ENV=production", "PORT=" + port, "REDIS_URL=redis://" + server.Addr,
			"WEBHOOK_SECRET=" + webhookSecret, "CREDITS=" + strconv.Itoa(productGives),
		},
		Ready: rig.Accepts(addr),
	})
	if err != nil {
		return nil, err
	}
	b.keep(process)
	return &taker{
		title: expressTitle, addr: addr, path: "/webhook", process: process, server: server,
		counted: countsGranted(addr),
	}, nil
}
