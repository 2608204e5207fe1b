package naive

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/redis/go-redis/v9"
	bolt "go.etcd.io/bbolt"
)

// Checkout asks the provider for a session and answers with it. Before it asks it stores the
// order, and afterwards the session, so that both survive a crash. It takes the customer's
// name from a header, and neither limits open orders nor accepts an `Idempotency-Key`.
type Checkout struct {
	// Address of the provider, such as http://127.0.0.1:9000.
	Provider string `json:"provider,omitempty"`
	// [Nowhere], [Commands] or [File].
	How string `json:"how,omitempty"`
	// Host and port of Redis, or the file.
	Where string `json:"where,omitempty"`

	client *http.Client
	orders orders
}

// Nowhere keeps no orders.
const Nowhere = "nowhere"

// orders keeps orders and their sessions.
type orders interface {
	placed(ctx context.Context, id, account, product string) error
	opened(ctx context.Context, id string, s session) error
	Close() error
}

type session struct {
	ID  string `json:"session_id"`
	URL string `json:"checkout_url"`
}

// CaddyModule returns the Caddy module information.
func (Checkout) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.naive_checkout", New: func() caddy.Module { return new(Checkout) }}
}

// Provision opens what keeps the orders. There may be as many connections to the provider as
// customers come at once, and as many to Redis as a gateway has.
func (n *Checkout) Provision(caddy.Context) (err error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 2000, 2000
	n.client = &http.Client{Transport: transport, Timeout: time.Minute}
	n.orders, err = newOrders(n.How, n.Where)
	return err
}

func newOrders(how, where string) (orders, error) {
	switch how {
	case Nowhere:
		return noOrders{}, nil
	case Commands:
		const connections = 64
		return redisOrders{redis.NewClient(&redis.Options{Addr: where, PoolSize: connections})}, nil
	case File:
		j, err := OpenJournal(where)
		if err != nil {
			return nil, err
		}
		return fileOrders{j}, nil
	}
	return nil, fmt.Errorf("how to keep orders is %q, but must be %s, %s or %s", how, Nowhere, Commands, File)
}

// Cleanup closes it.
func (n *Checkout) Cleanup() error {
	if n.orders == nil {
		return nil
	}
	n.client.CloseIdleConnections()
	return n.orders.Close()
}

// parse reads the directive's arguments:
//
//	naive_checkout <provider> nowhere|commands|file <where>
func (n *Checkout) parse(d *caddyfile.Dispenser) error {
	d.Next()
	if !d.AllArgs(&n.Provider, &n.How, &n.Where) {
		return d.ArgErr()
	}
	return nil
}

func (n *Checkout) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	ctx := context.WithoutCancel(r.Context()) // what is begun is finished
	var wish struct{ Product string }
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<10)).Decode(&wish); err != nil {
		return caddyhttp.Error(http.StatusBadRequest, err)
	}
	order := "ord_" + rand.Text()
	if err := n.orders.placed(ctx, order, r.Header.Get("X-User"), wish.Product); err != nil {
		return caddyhttp.Error(http.StatusServiceUnavailable, err)
	}
	s, err := n.ask(ctx, order, r.Header.Get("X-User"), wish.Product)
	if err != nil {
		return caddyhttp.Error(http.StatusBadGateway, err)
	}
	if err := n.orders.opened(ctx, order, s); err != nil {
		return caddyhttp.Error(http.StatusServiceUnavailable, err)
	}
	answer, err := json.Marshal(s)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_, err = w.Write(answer)
	return err
}

// ask makes the one call to the provider, with about as long a body as dodogate's.
func (n *Checkout) ask(ctx context.Context, order, account, product string) (s session, err error) {
	body := fmt.Appendf(nil, `{"product_cart":[{"product_id":%q,"quantity":1}],"return_url":"http://127.0.0.1/payments/return?order=%[2]s","metadata":{"account":%[3]q,"order":%[2]q}}`,
		product, order, account)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, n.Provider+"/checkouts", bytes.NewReader(body))
	if err != nil {
		return s, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := n.client.Do(request)
	if err != nil {
		return s, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(response.Status)
	}
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	return s, err
}

type noOrders struct{}

func (noOrders) placed(context.Context, string, string, string) error { return nil }

func (noOrders) opened(context.Context, string, session) error { return nil }

func (noOrders) Close() error { return nil }

type redisOrders struct{ *redis.Client }

func (o redisOrders) placed(ctx context.Context, id, account, product string) error {
	return o.HSet(ctx, "order:"+id, "account", account, "product", product, "state", "open").Err()
}

func (o redisOrders) opened(ctx context.Context, id string, s session) error {
	return o.HSet(ctx, "order:"+id, "session", s.ID, "url", s.URL).Err()
}

type fileOrders struct{ *Journal }

func (o fileOrders) placed(_ context.Context, id, account, product string) error {
	return o.Do(func(bucket *bolt.Bucket) error {
		return bucket.Put([]byte("order:"+id), []byte(account+" "+product+" open"))
	})
}

func (o fileOrders) opened(_ context.Context, id string, s session) error {
	return o.Do(func(bucket *bolt.Bucket) error {
		return bucket.Put([]byte("session:"+id), []byte(s.ID+" "+s.URL))
	})
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Checkout)(nil)
	_ caddy.CleanerUpper          = (*Checkout)(nil)
	_ caddyhttp.MiddlewareHandler = (*Checkout)(nil)
)
