package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/dodosim/simtest"
	"github.com/dodogate/dodogate/internal/testing/freeport"
	"github.com/dodogate/dodogate/internal/testing/httpclient"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// TestOperator runs the scripts in testdata, on each store: real gateways, and
// dodogate's commands as an operator types them. Dodo is in this process, so that
// it outlives the gateways. Besides testscript's commands there are:
//
//	ready                       wait until the site answers
//	wait-admin                  wait until the admin API answers
//	buy <account> <product>     check out at the site and pay
//	sell <account> <product id> sell at Dodo what the site may not know
//	refund <account> <cents>    refund a part of what the account bought last
//	database                    fill a PostgreSQL database with 10,000 users of each old integration
//	webhook <id> <file>         sign a webhook and send it
//	request <account>           ask the site, whose answer is the output
//	lose                        lose everything that the store has
//	unplug                      have Dodo refuse the next call
func TestOperator(t *testing.T) {
	for _, backend := range []string{"bolt", "redis"} {
		t.Run(backend, func(t *testing.T) {
			testscript.Run(t, testscript.Params{
				Dir:   "testdata",
				Setup: func(env *testscript.Env) error { return setUpOffice(t, env, backend) },
				Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
					"ready": func(ts *testscript.TestScript, _ bool, args []string) {
						officeOf(ts, args, 0).ready(ts, "/payments/products", "SITE")
					},
					"wait-admin": func(ts *testscript.TestScript, _ bool, args []string) {
						officeOf(ts, args, 0).ready(ts, "/config/", "ADMIN")
					},
					"unplug": func(ts *testscript.TestScript, _ bool, args []string) { officeOf(ts, args, 0).unplug() },
					"buy": func(ts *testscript.TestScript, _ bool, args []string) {
						officeOf(ts, args, 2).buy(ts, args[0], args[1])
					},
					"sell": func(ts *testscript.TestScript, _ bool, args []string) {
						officeOf(ts, args, 2).sell(ts, args[0], args[1])
					},
					"refund": func(ts *testscript.TestScript, _ bool, args []string) {
						officeOf(ts, args, 2).refund(ts, args[0], args[1])
					},
					"database": func(ts *testscript.TestScript, _ bool, args []string) {
						officeOf(ts, args, 0)
						ts.Setenv("DATABASE_URL", oldCustomers(t))
					},
					"webhook": func(ts *testscript.TestScript, _ bool, args []string) {
						officeOf(ts, args, 2).webhook(ts, args[0], args[1])
					},
					"request": func(ts *testscript.TestScript, _ bool, args []string) { officeOf(ts, args, 1).request(ts, args[0]) },
					"lose":    func(ts *testscript.TestScript, _ bool, args []string) { officeOf(ts, args, 0).lose(ts) },
				},
			})
		})
	}
}

// office is where an operator sits: a site, Dodo, a store.
type office struct {
	site  string // its address
	sim   *dodosim.Simulator
	dodo  string            // its address
	file  string            // of the store; empty for Redis
	redis *redistest.Server // the store, or nil
	paid  map[string]string // last payments by account
}

type officeKey struct{}

func setUpOffice(t *testing.T, env *testscript.Env, backend string) error {
	o := &office{site: "127.0.0.1:" + freeport.Get(t), paid: map[string]string{}}
	store := "bolt " + filepath.Join(env.WorkDir, "dodogate.db")
	if backend == "bolt" {
		o.file = filepath.Join(env.WorkDir, "dodogate.db")
	} else {
		o.redis = redistest.Start(t)
		store = "redis " + o.redis.URL()
	}
	o.sim, o.dodo = simtest.Serve(t, dodosim.Options{
		APIKey: demoKey, WebhookURL: "http://" + o.site + "/payments/webhook", WebhookSecret: demoSecret,
		Products: []dodosim.Product{
			{ID: "pdt_pack10", Name: "Ten credits", Price: 1000, Currency: "USD"},
			{ID: "pdt_new", Name: "New", Price: 500, Currency: "USD"},
		},
	})
	env.Values[officeKey{}] = o
	env.Vars = append(env.Vars,
		"SITE="+o.site, "ADMIN=127.0.0.1:"+freeport.Get(t), "DODO="+o.dodo, "STORE="+store,
		"XDG_DATA_HOME="+env.WorkDir, "XDG_CONFIG_HOME="+env.WorkDir,
		"DODO_PAYMENTS_API_KEY="+demoKey, "DODO_PAYMENTS_WEBHOOK_SECRET="+demoSecret,
	)
	return nil
}

func officeOf(ts *testscript.TestScript, args []string, want int) *office {
	if len(args) != want {
		ts.Fatalf("%d arguments, want %d", len(args), want)
	}
	return ts.Value(officeKey{}).(*office)
}

func (o *office) ready(ts *testscript.TestScript, path, host string) {
	for range 200 {
		if resp, err := httpclient.Default.Get("http://" + ts.Getenv(host) + path); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("%s does not answer", host)
}

func (o *office) buy(ts *testscript.TestScript, account, product string) {
	req, err := http.NewRequest(http.MethodPost, "http://"+o.site+"/payments/checkout", strings.NewReader(fmt.Sprintf(`{"product":%q}`, product)))
	ts.Check(err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Test-User", account)
	resp, err := httpclient.Default.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	var order struct {
		SessionID string `json:"session_id"`
	}
	if json.Unmarshal(body, &order) != nil || order.SessionID == "" {
		ts.Fatalf("checkout: %s %s", resp.Status, body)
	}
	o.pay(ts, account, order.SessionID)
}

// sell takes an account in quotes, with escapes, too.
func (o *office) sell(ts *testscript.TestScript, account, productID string) {
	if odd, err := strconv.Unquote(account); err == nil {
		account = odd
	}
	client, err := dodo.New(dodo.Options{APIKey: demoKey, BaseURL: o.dodo})
	ts.Check(err)
	prover, err := dodo.NewProver([][]byte{dodo.DeriveKey(demoKey)})
	ts.Check(err)
	session, err := client.CreateCheckout(context.Background(), &dodo.Checkout{
		ProductID: productID, Quantity: 1, ReturnURL: "http://" + o.site,
		Metadata: prover.Metadata(dodo.Claim{Site: "site_test", Order: "ord_AAAAAAAAAAAAAAAAAAAAAA", Account: account, Product: "new"}),
	})
	ts.Check(err)
	o.pay(ts, account, session.ID)
}

func (o *office) pay(ts *testscript.TestScript, account, session string) {
	attempt, err := o.sim.Pay(session, "4242424242424242")
	ts.Check(err)
	o.paid[account] = attempt.PaymentID
	ts.Setenv("PAYMENT", attempt.PaymentID)
	o.flush(ts)
	events := o.sim.Events()
	ts.Setenv("EVENT", events[len(events)-1].ID)
}

func (o *office) refund(ts *testscript.TestScript, account, cents string) {
	amount, err := strconv.Atoi(cents)
	ts.Check(err)
	_, err = o.sim.Refund(o.paid[account], amount)
	ts.Check(err)
	o.flush(ts)
}

// flush waits until every webhook is acknowledged.
func (o *office) flush(ts *testscript.TestScript) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	ts.Check(o.sim.Flush(ctx))
}

func (o *office) lose(ts *testscript.TestScript) {
	if o.file != "" {
		ts.Check(os.Remove(o.file))
		return
	}
	o.redis.MustDo("FLUSHALL")
}

func (o *office) unplug() {
	o.sim.SetFault(dodosim.Fault{Status: http.StatusForbidden, Body: "{}"}, 1)
}
