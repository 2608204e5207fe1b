package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/dodogate/dodogate/bench/load"
	"github.com/dodogate/dodogate/bench/rig"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/redisstore"
)

// propagation measures how long a change made on one gateway takes to another
// one: from the moment that the first has acknowledged a payment to the moment at
// which the second was sent the request whose headers have the new credits.
func (b *bench) propagation(ctx context.Context) (string, error) {
	paid := b.purchases("change", b.changes)
	here, there, err := b.pair(ctx, paid)
	if err != nil {
		return "", err
	}
	signer, err := newSigner()
	if err != nil {
		return "", err
	}
	writer, err := load.DialConn(ctx, here.Addr)
	if err != nil {
		return "", err
	}
	defer writer.Close()
	reader, err := load.DialConn(ctx, there.Addr)
	if err != nil {
		return "", err
	}
	defer reader.Close()
	took := hdrhistogram.New(1, int64(time.Minute), 3)
	var late int
	has := make(map[string]int64)
	for _, p := range paid {
		// Signed one by one: a signature is good for five minutes.
		delivery, err := signer.deliveries(here.Addr, "/payments/webhook", []purchase{p})
		if err != nil {
			return "", err
		}
		if answer, err := writer.Do(delivery[0].Request); err != nil || answer.Status != 200 {
			return "", fmt.Errorf("webhook: status %d, %w", answer.Status, errors.Join(err))
		}
		has[p.account] += productGives
		d, asked, err := waitFor(reader, there.Addr, p.account, signup+has[p.account])
		if err != nil {
			return "", err
		}
		if asked > 1 {
			late++
		}
		_ = took.RecordValue(max(1, int64(d)))
	}
	t := newTable("p50, ms", "p99, ms", "p99.9, ms", "most, ms")
	t.add(fmt.Sprintf("%.2f", ms(took, 50)), fmt.Sprintf("%.2f", ms(took, 99)), fmt.Sprintf("%.2f", ms(took, 99.9)), fmt.Sprintf("%.2f", millis(time.Duration(took.Max()))))
	return fmt.Sprintf(`## From one gateway to another

%d payments, each acknowledged by one gateway, until the first request to another gateway that has the new credits in its
headers was sent; both on one Redis, and the account was in the memory of both. %d of them were not there at the first request.

%s`, b.changes, late, t), nil
}

func ms(h *hdrhistogram.Histogram, quantile float64) float64 {
	return millis(time.Duration(h.ValueAtQuantile(quantile)))
}

// pair starts two gateways on one Redis in which the orders are, and lets every
// account visit both.
func (b *bench) pair(ctx context.Context, paid []purchase) (here, there *rig.Caddy, err error) {
	server, err := b.redis("redis")
	if err != nil {
		return nil, nil, err
	}
	s, err := redisstore.Open(ctx, redisstore.Options{URL: "redis://" + server.Addr, Timeout: 10 * time.Second})
	if err != nil {
		return nil, nil, err
	}
	if err := errors.Join(place(ctx, store.Client{Store: s}, paid), s.Close()); err != nil {
		return nil, nil, err
	}
	_, upstream, err := b.role(roleUpstream, roleUpstream)
	if err != nil {
		return nil, nil, err
	}
	itself := func(account string) string { return account }
	for _, g := range []struct {
		name string
		to   **rig.Caddy
	}{{"here", &here}, {"there", &there}} {
		gateway, err := b.caddy(rig.CaddySpec{
			Name: g.name, Env: []string{stockGC},
			Global: gatewayOptions(b.storeIn(server), upstream), Site: gatewaySite("", upstream),
		})
		if err != nil {
			return nil, nil, err
		}
		if _, err := b.once(ctx, gateway.Addr, b.visits(gateway.Addr, "/", itself, fmt.Sprint(signup))); err != nil {
			return nil, nil, err
		}
		*g.to = gateway
	}
	return here, there, nil
}

// waitFor asks until the account has the credits, and returns when the request
// that saw them was sent, and how many it took.
func waitFor(c *load.Conn, addr, account string, credits int64) (d time.Duration, asked int, err error) {
	get := request(addr, "GET", "/", account, nil)
	want := []byte(answerFor(account, account, strconv.FormatInt(credits, 10)+"\n"))
	start := time.Now()
	for {
		sent := time.Since(start)
		asked++
		answer, err := c.Do(get)
		switch {
		case err != nil:
			return 0, asked, err
		case answer.Status != 200:
			return 0, asked, fmt.Errorf("status %d", answer.Status)
		case bytes.HasPrefix(answer.Body, want):
			return sent, asked, nil
		case sent > time.Minute:
			return 0, asked, fmt.Errorf("after a minute the upstream is told %.60q instead of %q", answer.Body, strings.TrimSpace(string(want)))
		}
	}
}
