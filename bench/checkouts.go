package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dodogate/dodogate/bench/load"
	"github.com/dodogate/dodogate/bench/naive"
	"github.com/dodogate/dodogate/bench/rig"
)

// shop sells.
type shop struct {
	name, title string
	job         string
	addr        string
	process     *rig.Process
	caddy       *rig.Caddy
	server      *rig.Redis // nil when it has none
	ask         func(n int) load.Exchange

	idle             int64  // bytes of memory before the first of them came
	cpu, redis, both series // microseconds a checkout: its own, Redis', the sum
	took, peak       series // milliseconds for all; MiB more than idle
	most             series // at the provider at once
	refused          int64
	first            error // why, of the first
}

// The jobs of the checkouts part.
const (
	jobShopRedis = "checkout-redis"
	jobShopBolt  = "checkout-bolt"
)

func shopJobs() []string { return []string{jobShopRedis, jobShopBolt} }

const asks = "a handler of Caddy that makes one call to the provider and answers with its session. Before the call it stores the " +
	"order, after it the session, "

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
				return "", fmt.Errorf("%s: %w", shops[i].name, err)
			}
			if round == 0 { // the warm-up
				shops[i].forget()
			}
		}
	}
	if err := b.profileShops(ctx, shops, provider); err != nil {
		return "", err
	}
	b.shopGoals(shops)
	var text strings.Builder
	fmt.Fprintf(&text, `%d customers at once, each of another account, at a provider that takes %v.
`, b.customers, thinking)
	for _, name := range shopJobs() {
		var members []*shop
		for _, s := range shops {
			if s.job == name {
				members = append(members, s)
			}
		}
		if len(members) > 0 {
			text.WriteString(b.shopsReport(jobs[name], members))
		}
	}
	return text.String(), nil
}

func (b *bench) shopGoals(shops []*shop) {
	seen := make(map[string]series)
	for _, s := range shops {
		seen[s.name] = s.both
	}
	for _, store := range []string{"redis", "bolt"} {
		name := "checkout-" + store
		b.goalAtMost(1, "%.2f", "checkouts, "+storeTitle(store)+": CPU with Redis', × before", seen[name].over(seen[beforeName(name)]))
	}
}

// shopsReport is the table of one job, of which the floor comes first.
func (b *bench) shopsReport(j job, members []*shop) string {
	floor := members[0]
	head := []string{"shop", "CPU per checkout, µs", "× floor"}
	if floor.server != nil {
		head = append(head, "Redis' CPU per checkout, µs", "× floor", "both, × floor")
	}
	t := newTable(append(head, "until all have theirs, ms", "× floor", "memory more than idle, MiB", "× floor", "most at the provider at once", "not served")...)
	var notes strings.Builder
	for _, s := range members {
		row := []string{s.title, s.cpu.format("%.0f"), s.cpu.over(floor.cpu).format("%.2f")}
		switch {
		case s.server != nil:
			row = append(row, s.redis.format("%.0f"), s.redis.over(floor.redis).format("%.2f"), s.both.over(floor.both).format("%.2f"))
		case floor.server != nil:
			row = append(row, "–", "–", s.both.over(floor.both).format("%.2f"))
		}
		t.add(append(row, s.took.format("%.0f"), s.took.over(floor.took).format("%.2f"), s.peak.format("%.0f"), s.peak.over(floor.peak).format("%.2f"),
			s.most.format("%.0f"), fmt.Sprintf("%d of %d", s.refused, b.rounds*b.customers))...)
		if s.first != nil {
			fmt.Fprintf(&notes, "\n%s: %v\n", s.title, s.first)
		}
	}
	return fmt.Sprintf("\n### %s\n\nFloor: %s.\n\n%s%s", j.title, j.does, t, &notes)
}

// profileShops writes where each gateway spends its time and memory in rushes.
func (b *bench) profileShops(ctx context.Context, shops []*shop, provider string) error {
	if b.profiles == "" {
		return nil
	}
	for _, s := range shops {
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
	clocks := running{process: s.process, server: s.server}
	cpu, redis, err := clocks.clocks()
	if err != nil {
		return err
	}
	result, refusal := client.Saturate(ctx, load.Once(exchanges), 0)
	if refusal != nil && !errors.Is(refusal, load.ErrWrong) {
		return refusal
	}
	cpuAfter, redisAfter, err := clocks.clocks()
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
	own, theirs := micros(cpuAfter-cpu)/float64(customers), micros(redisAfter-redis)/float64(customers)
	s.cpu, s.redis, s.both = append(s.cpu, own), append(s.redis, theirs), append(s.both, own+theirs)
	s.took = append(s.took, millis(result.Elapsed))
	s.peak = append(s.peak, mebibytes(peak-s.idle))
	s.most = append(s.most, float64(most))
	return err
}

func (s *shop) forget() {
	*s = shop{name: s.name, title: s.title, job: s.job, addr: s.addr, process: s.process, caddy: s.caddy, server: s.server, ask: s.ask, idle: s.idle}
}

// shops starts those that are wanted. The floor of a job is the first of it.
func (b *bench) shops(provider string) (shops []*shop, err error) {
	all := []struct {
		name, title, job string
		start            func(s *shop, provider string) error
	}{
		{"floor-checkout-redis", "**floor:** one call, two writes to Redis", jobShopRedis, b.naiveShop(naive.Commands)},
		{"checkout-nothing", "one call, nothing is stored", jobShopRedis, b.naiveShop(naive.Nowhere)},
		{"checkout-redis", "dodogate", jobShopRedis, b.gatewayShop("redis", "")},
		{"floor-checkout-bolt", "**floor:** one call, two group-committed writes", jobShopBolt, b.naiveShop(naive.File)},
		{"checkout-bolt", "dodogate", jobShopBolt, b.gatewayShop("bolt", "")},
	}
	if b.before != "" {
		for _, s := range all {
			if s.title == "dodogate" {
				s.start = b.gatewayShop(strings.TrimPrefix(s.name, "checkout-"), b.before)
				s.name, s.title = beforeName(s.name), s.title+", before"
				all = append(all, s)
			}
		}
	}
	for _, e := range all {
		names := func(yield func(string) bool) {
			for _, other := range all {
				if other.job == e.job && !yield(other.name) {
					return
				}
			}
		}
		if !b.wants(e.name, jobs[e.job].floor, names) {
			continue
		}
		s := &shop{name: e.name, title: e.title, job: e.job}
		if err := e.start(s, provider); err != nil {
			return nil, fmt.Errorf("%s: %w", e.name, err)
		}
		shops = append(shops, s)
	}
	slices.SortStableFunc(shops, func(x, y *shop) int { return floorFirst(x.job, x.name) - floorFirst(y.job, y.name) })
	return shops, nil
}

// naiveShop is a handler of package naive.
func (b *bench) naiveShop(how string) func(*shop, string) error {
	return func(s *shop, provider string) error {
		where := filepath.Join(b.dir, s.name+".db")
		if how == naive.Commands {
			server, err := b.redis(s.name + "-redis")
			if err != nil {
				return err
			}
			where, s.server = server.Addr, server
		}
		caddy, err := b.naiveCaddy(s.name, fmt.Sprintf("naive_checkout http://%s %s %s", provider, how, where))
		if err != nil {
			return err
		}
		s.addr, s.process, s.caddy = caddy.Addr, caddy.Process, caddy
		s.ask = func(n int) load.Exchange {
			return load.Exchange{Status: 201, Prefix: []byte(`{"session_id":"cks_`),
				Request: request(s.addr, "POST", "/", account(n), []byte(`{"product":"`+productName+`"}`))}
		}
		return nil
	}
}

// gatewayShop is a gateway; bin is the binary, "" for the measured one. Its Redis may take the
// time that the product allows, so that refusals are counted.
func (b *bench) gatewayShop(store, bin string) func(*shop, string) error {
	return func(s *shop, provider string) error {
		where := "bolt " + filepath.Join(b.dir, s.name+".db")
		if store == "redis" {
			server, err := b.redis(s.name + "-redis")
			if err != nil {
				return err
			}
			where, s.server = "redis redis://"+server.Addr, server
		}
		gateway, err := b.caddy(rig.CaddySpec{
			Name: s.name, Bin: bin, Env: []string{stockGC},
			Global: unlimitedOptions(where, provider), Site: gatewaySite("", provider),
		})
		if err != nil {
			return err
		}
		s.addr, s.process, s.caddy = gateway.Addr, gateway.Process, gateway
		s.ask = func(n int) load.Exchange { return wish(s.addr, n) }
		return nil
	}
}
