package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/dodogate/dodogate/bench/load"
	"github.com/dodogate/dodogate/bench/rig"
)

// unlimited begins the options of a gateway whose provider takes any number of calls.
const unlimited = "\tdodo {\n\t\tbudget 1000000"

// checkoutBody is what a bare handler would send, which is about as much as we do.
func checkoutBody() io.Reader {
	return bytes.NewReader([]byte(`{"product_cart":[{"product_id":"` + productID + `","quantity":1}],"return_url":"http://127.0.0.1/payments/return?order=ord_0000000000000000000000",` +
		`"metadata":{"account":"acct-00000","order":"ord_0000000000000000000000","product":"` + productName + `"}}`))
}

// shop sells.
type shop struct {
	title   string
	addr    string
	process *rig.Process
	caddy   *rig.Caddy // nil for the bare handlers
	ask     func(n int) load.Exchange

	idle            int64  // bytes of memory before the first of them came
	cpu, took, peak series // microseconds a checkout; milliseconds for all; MiB more than idle
	most            series // at the provider at once
	refused         int64
	first           error // why, of the first
}

// checkouts measures a thousand customers who buy in the same moment, at a
// provider that takes 200 ms.
func (b *bench) checkouts(ctx context.Context) (string, error) {
	_, provider, err := b.role(roleUpstream, "provider")
	if err != nil {
		return "", err
	}
	shops, err := b.shops(provider)
	if err != nil {
		return "", err
	}
	for round := range b.rounds + 1 {
		for _, i := range b.draw.Perm(len(shops)) {
			if err := shops[i].rush(ctx, b.customers, round*b.customers, provider); err != nil {
				return "", fmt.Errorf("%s: %w", shops[i].title, err)
			}
			if round == 0 { // the warm-up
				shops[i].forget()
			}
		}
	}
	if err := b.profileShops(ctx, shops, provider); err != nil {
		return "", err
	}
	t := newTable("shop", "CPU per checkout, µs", "× bare handler", "until all have theirs, ms", "memory more than idle, MiB", "most at the provider at once", "not served")
	var notes strings.Builder
	for _, s := range shops {
		t.add(s.title, s.cpu.format("%.0f"), s.cpu.over(shops[0].cpu).format("%.2f"), s.took.format("%.0f"), s.peak.format("%.1f"), s.most.format("%.0f"), fmt.Sprintf("%d of %d", s.refused, b.rounds*b.customers))
		if s.first != nil {
			fmt.Fprintf(&notes, "\n%s: %v\n", s.title, s.first)
		}
	}
	return fmt.Sprintf(`## Checkouts

%d customers at once, each of another account, at a provider that takes %v.

%s%s`, b.customers, thinking, t, &notes), nil
}

// profileShops writes where each gateway spends its time and memory in rushes.
func (b *bench) profileShops(ctx context.Context, shops []*shop, provider string) error {
	if b.profiles == "" {
		return nil
	}
	for _, s := range shops {
		if s.caddy == nil {
			continue
		}
		rushed := *s
		profiles := b.takeProfiles(s.caddy)
		var err error
		for began, n := time.Now(), b.rounds+1; err == nil && time.Since(began) < profiling; n++ {
			err = rushed.rush(ctx, b.customers, n*b.customers, provider)
		}
		if err := errors.Join(err, profiles()); err != nil {
			return err
		}
	}
	return nil
}

// rush has everybody ask at once, each on a connection of its own.
func (s *shop) rush(ctx context.Context, customers, first int, provider string) error {
	if s.idle == 0 {
		var err error
		if s.idle, err = s.process.Memory(); err != nil {
			return err
		}
	}
	client, err := load.Dial(ctx, s.addr, customers)
	if err != nil {
		return err
	}
	defer client.Close()
	exchanges := make([]load.Exchange, customers)
	for i := range exchanges {
		exchanges[i] = s.ask(first + i)
	}
	if err := s.process.ResetPeak(); err != nil {
		return err
	}
	cpu, err := s.process.CPU()
	if err != nil {
		return err
	}
	result, refusal := client.Saturate(ctx, load.Once(exchanges), 0)
	if refusal != nil && !errors.Is(refusal, load.ErrWrong) {
		return refusal
	}
	cpuAfter, err := s.process.CPU()
	if err != nil {
		return err
	}
	peak, err := s.process.Peak()
	if err != nil {
		return err
	}
	text, err := rig.Get("http://" + provider + "/checkouts/most")
	if err != nil {
		return err
	}
	most, err := strconv.Atoi(string(text))
	s.refused += result.Wrong
	if s.first == nil {
		s.first = refusal
	}
	s.cpu = append(s.cpu, micros(cpuAfter-cpu)/float64(customers))
	s.took = append(s.took, millis(result.Elapsed))
	s.peak = append(s.peak, mebibytes(peak-s.idle))
	s.most = append(s.most, float64(most))
	return err
}

func (s *shop) forget() {
	*s = shop{title: s.title, addr: s.addr, process: s.process, caddy: s.caddy, ask: s.ask, idle: s.idle}
}

func (b *bench) shops(provider string) (shops []*shop, err error) {
	server, err := b.redis("redis")
	if err != nil {
		return nil, err
	}
	wish := []byte(`{"product":"` + productName + `"}`)
	for _, bare := range []struct{ role, title string }{
		{roleShop, "bare Go handler, pool of its size"},
		{roleShopStd, "bare Go handler, standard transport"},
		{roleShopKeep, "the first, with a write to Redis before and after"},
	} {
		p, addr, err := b.role(bare.role, bare.role, "http://"+provider, server.Addr)
		if err != nil {
			return nil, err
		}
		shops = append(shops, &shop{title: bare.title, addr: addr, process: p, ask: func(int) load.Exchange {
			return load.Exchange{Status: 201, Prefix: []byte(`{"session_id":"cks_`), Request: request(addr, "POST", "/", account(0), wish)}
		}})
	}
	for _, store := range []struct{ name, title, line string }{
		{"gateway-redis", "dodogate, Redis", "redis redis://" + server.Addr},
		{"gateway-bolt", "dodogate, embedded", "bolt " + filepath.Join(b.dir, "dodogate.db")},
	} {
		gateway, err := b.caddy(rig.CaddySpec{
			Name: store.name, Env: []string{stockGC},
			Global: strings.Replace(gatewayOptions(store.line, provider), "\tdodo {", unlimited, 1), Site: gatewaySite("", provider),
		})
		if err != nil {
			return nil, err
		}
		shops = append(shops, &shop{title: store.title, addr: gateway.Addr, process: gateway.Process, caddy: gateway, ask: func(n int) load.Exchange {
			return load.Exchange{Status: 201, Prefix: []byte(`{"order_id":"ord_`),
				Request: request(gateway.Addr, "POST", "/payments/checkout", account(n), wish)}
		}})
	}
	return shops, nil
}
