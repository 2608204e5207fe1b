package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/httpapi"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/boltstore"
	"github.com/dodogate/dodogate/internal/store/redisstore"
	"github.com/dodogate/dodogate/internal/testing/httpclient"
)

// childEnv makes a re-executed test binary a gateway instead of a test: its value
// is a process in JSON.
const childEnv = "DODOGATE_HTTPAPI_CHILD"

func TestMain(m *testing.M) {
	if p := os.Getenv(childEnv); p != "" {
		fmt.Println(serve(p))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// process is a gateway in a process of its own.
type process struct {
	Place place
	Now   time.Time // where its clock stands
	Dodo  string    // the API that it buys from; empty: from none
	// Writes is after how many changes, of the store or at Dodo, it is killed, before
	// anybody hears of the last one; never when negative.
	Writes int64
}

// place is where a store is: in a file, or behind a key prefix of a Redis.
type place struct{ File, URL, Prefix string }

func (p place) open(ctx context.Context, clock func() time.Time) (opened, error) {
	if p.File != "" {
		s, err := boltstore.Open(p.File, boltstore.Options{Clock: clock})
		if err != nil {
			return opened{}, err
		}
		return openStore(s), nil
	}
	s, err := redisstore.Open(ctx, redisstore.Options{URL: p.URL, KeyPrefix: p.Prefix, Timeout: 10 * time.Second, Clock: clock})
	if err != nil {
		return opened{}, err
	}
	return openStore(s), nil
}

// serve serves until it is killed.
func serve(config string) error {
	var p process
	if err := json.Unmarshal([]byte(config), &p); err != nil {
		return err
	}
	clock := func() time.Time { return p.Now }
	opened, err := p.Place.open(context.Background(), clock)
	if err != nil {
		return err
	}
	mortal := &mortal{Store: opened}
	mortal.left.Store(p.Writes)
	if p.Writes == 0 {
		die()
	}
	set := setting{publicURL: public}
	forStories(nil)(&set)
	var provider gateway.Provider
	if p.Dodo != "" {
		set.signup = signupOfChildren
		client, err := dodo.New(dodo.Options{APIKey: apiKey, BaseURL: p.Dodo})
		if err != nil {
			return err
		}
		provider = mortalProvider{client, mortal}
	}
	g, err1 := newGateway(set, mortal, provider, clock)
	api, err2 := g.api(httpapi.Options{})
	l, err3 := net.Listen("tcp", "127.0.0.1:0")
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	fmt.Println(l.Addr())
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := gateway.Identity{Account: r.Header.Get(childAccount)}
		api.ServeHTTP(w, r.WithContext(httpapi.WithIdentity(r.Context(), who)))
	}))
}

const (
	childAccount     = "X-Account" // whom a child believes
	signupOfChildren = 3           // credits, where there is a Dodo
)

// mortalProvider is a Dodo whose asking counts.
type mortalProvider struct {
	gateway.Provider
	*mortal
}

func (m mortalProvider) CreateCheckout(ctx context.Context, c *dodo.Checkout) (dodo.Session, error) {
	defer m.wrote()
	return m.Provider.CreateCheckout(ctx, c)
}

// mortal is a store whose process is killed when it has made so many changes.
type mortal struct {
	store.Store
	left atomic.Int64
}

func (m *mortal) wrote() {
	if m.left.Add(-1) == 0 {
		die()
	}
}

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

func (m *mortal) Update(ctx context.Context, account string, decide store.Decision) (store.Updated, error) {
	defer m.wrote()
	return m.Store.Update(ctx, account, decide)
}

func (m *mortal) Receive(ctx context.Context, d store.Delivery, decide store.Decision) (store.Received, error) {
	defer m.wrote()
	return m.Store.Receive(ctx, d, decide)
}

func (m *mortal) Settle(ctx context.Context, e book.Event, keep book.Retention) error {
	defer m.wrote()
	return m.Store.Settle(ctx, e, keep)
}

func (m *mortal) Claim(ctx context.Context, ref entitlement.Ref, account string) (string, error) {
	if account != "" {
		defer m.wrote()
	}
	return m.Store.Claim(ctx, ref, account)
}

// child is a running process.
type child struct {
	cmd   *exec.Cmd
	addr  string
	ended bool
}

func (p process) start(t *testing.T) *child {
	t.Helper()
	config, err := json.Marshal(p)
	must(t, err)
	c := &child{cmd: exec.Command(os.Args[0])}
	c.cmd.Env = append(os.Environ(), childEnv+"="+string(config))
	c.cmd.Stderr = os.Stderr
	out, err := c.cmd.StdoutPipe()
	must(t, err)
	must(t, c.cmd.Start())
	t.Cleanup(func() { c.kill() })
	lines := bufio.NewScanner(out)
	if lines.Scan() {
		c.addr = lines.Text()
	}
	if _, _, err := net.SplitHostPort(c.addr); err != nil && p.Writes != 0 {
		t.Fatalf("the child says %q", c.addr)
	}
	return c
}

// kill ends the child, if it has not ended, and returns how it ended.
func (c *child) kill() syscall.WaitStatus {
	if !c.ended {
		_ = c.cmd.Process.Kill()
		_ = c.cmd.Wait()
		c.ended = true
	}
	status, _ := c.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return status
}

// post sends a delivery to the child. An error says that there was no answer.
func (c *child) post(ctx context.Context, from call, body string) (status int, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.addr+from.URL.Path, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header = from.Header.Clone()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: httpclient.Timeout}
	answer, err := client.Do(r)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, err
}
