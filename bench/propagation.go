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
	"github.com/redis/go-redis/v9"

	"github.com/dodogate/dodogate/bench/load"
	"github.com/dodogate/dodogate/bench/rig"
)

// propagation measures how long a change made on one gateway takes to another
// one: from the moment that the first has acknowledged a payment to the moment at
// which the second was sent the request whose headers have the new credits.
func (b *bench) propagation(ctx context.Context) (string, error) {
	server, err := b.redis("redis")
	if err != nil {
		return "", err
	}
	here, there, provider, err := b.pair(ctx, server)
	if err != nil {
		return "", err
	}
	paid, err := b.orders(ctx, here.Addr, provider, b.changes)
	if err != nil {
		return "", err
	}
	w, err := dialBoth(ctx, here.Addr, there.Addr)
	if err != nil {
		return "", err
	}
	defer w.close()
	floor, ours := &delays{}, &delays{}
	perRound := max(1, len(paid)/b.rounds)
	for first := 0; first+perRound <= len(paid); first += perRound {
		if err := messages(ctx, server.Client, perRound, floor); err != nil {
			return "", err
		}
		took := hdrhistogram.New(1, int64(time.Minute), 3)
		for i, o := range paid[first:][:perRound] {
			d, err := w.change(o, first+i)
			if err != nil {
				return "", err
			}
			_ = took.RecordValue(max(1, int64(d)))
		}
		ours.add(took)
	}
	t := newTable("change", "p50, ms", "p99, ms", "most, ms")
	floor.row(t, "**floor:** a message")
	ours.row(t, "dodogate, a payment")
	return fmt.Sprintf(`%d payments, each acknowledged by one gateway, until the first request to another gateway that has the new credits in its
headers was sent; both on one Redis, and the account was in the memory of both. %d of them were not there at the first request;
0 stands for the others.

Floor: a message that is published in the same Redis, until its subscriber has it. A change can be there sooner, because the gateway
acknowledges a payment after Redis has sent the message.

%s`, b.changes, w.late, t), nil
}

// delays are those of one kind of change, one value for each round.
type delays struct{ p50, p99, most series }

func (d *delays) add(h *hdrhistogram.Histogram) {
	d.p50, d.p99 = append(d.p50, ms(h, 50)), append(d.p99, ms(h, 99))
	d.most = append(d.most, millis(time.Duration(h.Max())))
}

func (d *delays) row(t *table, title string) {
	t.add(title, d.p50.format("%.2f"), d.p99.format("%.2f"), d.most.format("%.2f"))
}

func ms(h *hdrhistogram.Histogram, quantile float64) float64 {
	return millis(time.Duration(h.ValueAtQuantile(quantile)))
}

// messages publishes n messages, one after the other, and times each until it is received.
func messages(ctx context.Context, client *redis.Client, n int, seen *delays) error {
	const channel = "bench-floor"
	subscription := client.Subscribe(ctx, channel)
	defer subscription.Close()
	if _, err := subscription.Receive(ctx); err != nil { // that it is subscribed
		return err
	}
	took := hdrhistogram.New(1, int64(time.Minute), 3)
	for i := range n {
		sent := time.Now()
		if err := client.Publish(ctx, channel, i).Err(); err != nil {
			return err
		}
		if _, err := subscription.ReceiveMessage(ctx); err != nil {
			return err
		}
		_ = took.RecordValue(max(1, int64(time.Since(sent))))
	}
	seen.add(took)
	return nil
}

// witness writes to one gateway and reads from another.
type witness struct {
	writer, reader *load.Conn
	here, there    string
	signer         *signer
	has            map[string]int64
	late           int // changes that were not there at the first request
}

func dialBoth(ctx context.Context, here, there string) (*witness, error) {
	w := &witness{here: here, there: there, has: make(map[string]int64)}
	var err error
	if w.signer, err = newSigner(); err != nil {
		return nil, err
	}
	if w.writer, err = load.DialConn(ctx, here); err != nil {
		return nil, err
	}
	if w.reader, err = load.DialConn(ctx, there); err != nil {
		w.writer.Close()
		return nil, err
	}
	return w, nil
}

func (w *witness) close() {
	w.writer.Close()
	w.reader.Close()
}

// change delivers a payment, and returns how long it took to the other gateway.
func (w *witness) change(o order, n int) (time.Duration, error) {
	// Signed one by one: a signature is good for five minutes.
	delivery, err := w.signer.deliveries(w.here, "/payments/webhook", []order{o}, n)
	if err != nil {
		return 0, err
	}
	if answer, err := w.writer.Do(delivery[0].Request); err != nil || answer.Status != 200 {
		return 0, fmt.Errorf("webhook: status %d, %w", answer.Status, errors.Join(err))
	}
	w.has[o.account] += productGives
	d, asked, err := waitFor(w.reader, w.there, o.account, signup+w.has[o.account])
	if asked > 1 {
		w.late++
	}
	return d, err
}

// pair starts two gateways on one Redis, and lets every account visit both.
func (b *bench) pair(ctx context.Context, server *rig.Redis) (here, there *rig.Caddy, provider string, err error) {
	_, provider, err = b.role(roleQuick, roleQuick)
	if err != nil {
		return nil, nil, "", err
	}
	itself := func(account string) string { return account }
	for _, g := range []struct {
		name string
		to   **rig.Caddy
	}{{"here", &here}, {"there", &there}} {
		gateway, err := b.caddy(rig.CaddySpec{
			Name: g.name, Env: []string{stockGC},
			Global: unlimitedOptions(b.storeIn(server), provider), Site: gatewaySite("", provider),
		})
		if err != nil {
			return nil, nil, "", err
		}
		if _, err := b.once(ctx, gateway.Addr, b.visits(gateway.Addr, "/", itself, fmt.Sprint(signup))); err != nil {
			return nil, nil, "", err
		}
		*g.to = gateway
	}
	return here, there, provider, nil
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
