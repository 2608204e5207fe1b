package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/dodogate/dodogate/bench/load"
	"github.com/dodogate/dodogate/bench/naive"
	"github.com/dodogate/dodogate/bench/rig"
	"github.com/dodogate/dodogate/internal/testing/freeport"
)

// options are what the command line says.
type options struct {
	command     string // by which this run would be made again
	note        string // for the reader of the results
	only        string // contestants by name; "" is all
	dodogate    string // the binary
	before      string // an older one to compare with; "" is none
	dodogateEnv []string
	express     string // the folder
	profiles    string // the folder; "" is none
	rounds      int
	burst       time.Duration
	connections int
	listeners   int
	accounts    int
	remembered  string // numbers of accounts, for the part that compares them; "" is accounts
	rate        float64
	events      int
	customers   int
	changes     int
	purchases   int
	download    int64
	seed        uint64
	patience    time.Duration // of gateways with Redis, which may be busy
}

// bench is one run, or one part of it.
type bench struct {
	options
	dir     string
	self    string // our own binary, for its roles
	modules map[string]bool
	draw    *rand.Rand
	started []interface{ Stop() }
	goals   *[]goal // of the part
}

func newBench(o options, dir string) (*bench, error) {
	b := &bench{options: o, dir: dir, draw: rand.New(rand.NewPCG(o.seed, 0))} //nolint:gosec // it shuffles
	var err error
	if b.self, err = os.Executable(); err != nil {
		return nil, err
	}
	for _, path := range []*string{&b.dodogate, &b.before, &b.express, &b.profiles} {
		if *path == "" {
			continue
		}
		if *path, err = filepath.Abs(*path); err != nil {
			return nil, err
		}
	}
	b.modules, err = b.listModules()
	return b, err
}

// listModules asks the binary what it can do: contestants that it does not have
// are left out.
func (b *bench) listModules() (map[string]bool, error) {
	cmd := exec.Command(b.dodogate, "list-modules") //nolint:noctx // it ends by itself
	cmd.Env = append(os.Environ(), b.dodogateEnv...)
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("ask %s for its modules: %w", b.dodogate, err)
	}
	modules := make(map[string]bool)
	for line := range bytes.Lines(text) {
		modules[string(bytes.TrimSpace(line))] = true
	}
	if !modules["http.handlers.dodo_gateway"] {
		return nil, fmt.Errorf("%s has no dodo_gateway", b.dodogate)
	}
	return modules, nil
}

// keep has a process stopped at the end of the part.
func (b *bench) keep(p interface{ Stop() }) { b.started = append(b.started, p) }

func (b *bench) close() {
	for i := len(b.started) - 1; i >= 0; i-- {
		b.started[i].Stop()
	}
	b.started = nil
}

// role starts this program as another one, and returns it with its address.
func (b *bench) role(role, name string) (*rig.Process, string, error) {
	port, err := freeport.Find()
	if err != nil {
		return nil, "", err
	}
	addr := net.JoinHostPort("127.0.0.1", port)
	p, err := rig.Start(rig.Spec{
		Name: name, Bin: b.self, Dir: b.dir, Args: []string{addr},
		Env: []string{roleVariable + "=" + role}, Ready: rig.Accepts(addr),
	})
	if err == nil {
		b.keep(p)
	}
	return p, addr, err
}

func (b *bench) redis(name string) (*rig.Redis, error) {
	r, err := rig.StartRedis(name, b.dir)
	if err == nil {
		b.keep(r)
	}
	return r, err
}

// stockGC are the settings that Go has without any: with them every contestant
// collects garbage by the same rule, whatever the binary would do by itself.
const stockGC = "GOGC=100"

// caddy starts a Caddy of the measured binary.
func (b *bench) caddy(s rig.CaddySpec) (*rig.Caddy, error) {
	if s.Bin == "" {
		s.Bin = b.dodogate
		s.Env = append(s.Env, b.dodogateEnv...)
	}
	s.Dir = b.dir
	c, err := rig.StartCaddy(s)
	if err == nil {
		b.keep(c)
	}
	return c, err
}

// What the gateways here are configured with. Nothing of it is secret.
const (
	apiKey        = "bench_api_key_of_nobody"
	siteID        = "site_bench"
	webhookSecret = "whsec_YmVuY2htYXJrIG9mIGRvZG9nYXRlLCBubyBzZWNyZXQ="
	productName   = "pack10"
	productID     = "pdt_bench_pack10"
	productGives  = 10
	signup        = naive.Start
)

// storeIn is the option of a gateway that has its store there.
func (b *bench) storeIn(server *rig.Redis) string {
	return fmt.Sprintf("redis redis://%s {\n\t\t\ttimeout %v\n\t\t}", server.Addr, b.patience)
}

// gatewayOptions is the global option of a gateway on a store, such as
// "bolt /path".
func gatewayOptions(store, dodo string) string {
	return fmt.Sprintf(`	dodo {
		api_key %s
		webhook_secret %s
		base_url http://%s
		signup_credits %d
		reconcile off
		site %s
		store %s
		product %s {
			id %s
			title "Ten credits"
			credits %d
		}
	}
`, apiKey, webhookSecret, dodo, signup, siteID, store, productName, productID, productGives)
}

// unlimitedOptions are those of a gateway whose provider takes any number of calls.
func unlimitedOptions(store, dodo string) string {
	return strings.Replace(gatewayOptions(store, dodo), "\tdodo {", "\tdodo {\n\t\tbudget 1000000", 1)
}

// naiveCaddy starts a Caddy with a handler of package naive and nothing behind it.
func (b *bench) naiveCaddy(name, directive string) (*rig.Caddy, error) {
	return b.caddy(rig.CaddySpec{Name: name, Bin: b.self, Env: []string{stockGC, roleVariable + "=" + roleCaddy}, Site: line(directive)})
}

// site is a site on a gateway. charge is a line such as "dodo_charge /api/* 1".
func gatewaySite(charge, upstream string) string {
	return "\tdodo_gateway {\n\t\t" + headerLogin + "\n\t}\n" + line(charge) + bareSite(upstream)
}

// How a gateway identifies the account.
const (
	headerLogin = "account {http.request.header.X-User}"
	tokenLogin  = "jwt {\n\t\t\tsecret " + tokenSecret + "\n\t\t\tissuer https://login.example.com/\n\t\t}"
	tokenSecret = "the-secret-of-the-benchmarks-tokens"
)

// token is a token of the usual size, for an account.
func token(account string) string {
	encode := base64.RawURLEncoding.EncodeToString
	claims := fmt.Sprintf(`{"iss":"https://login.example.com/","sub":%q,"aud":"authenticated","iat":%d,"exp":%d,"email":"%s@example.com","padding":%q}`,
		account, time.Now().Unix(), time.Now().Add(24*time.Hour).Unix(), account, strings.Repeat("x", 300))
	signed := encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + encode([]byte(claims))
	mac := hmac.New(sha256.New, []byte(tokenSecret))
	_, _ = mac.Write([]byte(signed))
	return signed + "." + encode(mac.Sum(nil))
}

// bareSite keeps a connection to the upstream for every client. Caddy's default is
// 32: with more clients than that, a good part of what bare Caddy does is dialing,
// more or less of it by chance, and every ratio would look better for it.
func bareSite(upstream string) string {
	return line("reverse_proxy "+upstream+" {") + line("\ttransport http {") +
		line("\t\tkeepalive_idle_conns_per_host 1024") + line("\t}") + line("}")
}

func line(text string) string {
	if text == "" {
		return ""
	}
	return "\t" + text + "\n"
}

// simulator starts a Dodo, for the gateways that would ask it for prices.
func (b *bench) simulator() (*rig.Caddy, error) {
	return b.caddy(rig.CaddySpec{Name: "dodo", Site: fmt.Sprintf(
		"\tdodo_simulator {\n\t\tapi_key %s\n\t\tproduct %s {\n\t\t\tname \"Ten credits\"\n\t\t\tprice 500 USD\n\t\t}\n\t}\n", apiKey, productID)})
}

func account(n int) string { return fmt.Sprintf("acct-%05d", n) }

// visits are requests of every account, with the answers of the upstream that are
// right: for an account that is known as entitled says, and with these credits.
// credits of "" is any number.
func (b *bench) visits(addr, path string, entitled func(account string) string, credits string) []load.Exchange {
	return visitsOfMany(b.accounts, addr, path, entitled, credits)
}

func visitsOfMany(accounts int, addr, path string, entitled func(account string) string, credits string) []load.Exchange {
	visits := make([]load.Exchange, accounts)
	for i := range visits {
		user := account(i)
		visits[i] = load.Exchange{
			Request: request(addr, "GET", path, user, nil),
			Status:  200,
			Prefix:  []byte(strings.TrimSuffix(answerFor(user, entitled(user), credits+"\n"), "\n")),
			Length:  answerLength,
		}
	}
	return visits
}

func request(addr, method, path, user string, body []byte, headers ...string) []byte {
	var r bytes.Buffer
	fmt.Fprintf(&r, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: dodogate-bench\r\nAccept: application/json\r\nX-User: %s\r\n", method, path, addr, user)
	if body != nil {
		fmt.Fprintf(&r, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	for _, h := range headers {
		r.WriteString(h + "\r\n")
	}
	r.WriteString("\r\n")
	r.Write(body)
	return r.Bytes()
}

// once sends each of exchanges once.
func (b *bench) once(ctx context.Context, addr string, exchanges []load.Exchange) (load.Result, error) {
	client, err := load.Dial(ctx, addr, b.connections)
	if err != nil {
		return load.Result{}, err
	}
	defer client.Close()
	return client.Saturate(ctx, load.Once(exchanges), 0)
}
