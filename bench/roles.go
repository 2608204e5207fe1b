package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
)

// The environment variable by which the benchmark starts itself as another
// program, and the programs.
const (
	roleVariable = "DODOGATE_BENCH_ROLE"
	roleCaddy    = "caddy"     // with the handlers of package naive
	roleUpstream = "upstream"  // the app behind everything, and a provider that takes its time
	roleShop     = "shop"      // a bare checkout handler with a pool of its size
	roleShopStd  = "shop-std"  // the same on Go's standard transport
	roleShopKeep = "shop-keep" // a bare handler that keeps its orders in Redis
)

// play runs a role. The servers' address is the first argument.
func play(role string) {
	var handler http.Handler
	switch role {
	case roleCaddy:
		caddycmd.Main()
		return
	case roleUpstream:
		handler = newUpstream()
	case roleShop, roleShopStd:
		handler = newShop(os.Args[2], role == roleShop)
	case roleShopKeep:
		handler = keepingShop(os.Args[2], os.Args[3])
	default:
		fmt.Fprintln(os.Stderr, "no such role:", role)
		os.Exit(2)
	}
	server := http.Server{Addr: os.Args[1], Handler: handler, ReadHeaderTimeout: time.Minute}
	fmt.Fprintln(os.Stderr, server.ListenAndServe())
	os.Exit(1)
}

// answerLength is the size of the upstream's answer: small enough that the
// gateway's work, and not copying, is what is measured.
const answerLength = 1 << 10

var padding = func() []byte {
	b := make([]byte, answerLength)
	for i := range b {
		b[i] = '.'
	}
	return b
}()

// answerFor is what the upstream's answer begins with.
func answerFor(user, entitled, credits string) string {
	return "user=" + user + " entitled=" + entitled + " credits=" + credits
}

// newUpstream is the app. It says what it was told, so that the answers prove
// that the gateway told the truth about this account and no other.
func newUpstream() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		body := make([]byte, 0, answerLength)
		body = append(body, answerFor(r.Header.Get("X-User"), r.Header.Get("X-Entitlement-User"), r.Header.Get("X-Entitlement-Credits"))...)
		body = append(body, '\n')
		body = append(body, padding[:max(0, answerLength-len(body))]...)
		w.Header()["Content-Type"] = []string{"text/plain"}
		w.Header()["Content-Length"] = []string{strconv.Itoa(len(body))}
		_, _ = w.Write(body)
	})
	mux.HandleFunc("/api/download", serveDownload)
	mux.HandleFunc("/api/ticks", serveTicks)
	p := &provider{}
	mux.HandleFunc("POST /checkouts", p.checkout)
	mux.HandleFunc("GET /checkouts/most", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, p.most.Swap(0))
	})
	return mux
}

// serveDownload sends as many bytes as it is asked for.
func serveDownload(w http.ResponseWriter, r *http.Request) {
	left, err := strconv.ParseInt(r.URL.Query().Get("bytes"), 10, 64)
	if err != nil {
		http.Error(w, "bytes?", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(left, 10))
	chunk := make([]byte, 64<<10)
	for left > 0 {
		n, err := w.Write(chunk[:min(left, int64(len(chunk)))])
		if err != nil {
			return
		}
		left -= int64(n)
	}
}

// serveTicks sends the time, as server-sent events: count of them, one every
// 5 ms.
func serveTicks(w http.ResponseWriter, r *http.Request) {
	count, err := strconv.Atoi(r.URL.Query().Get("count"))
	if err != nil {
		http.Error(w, "count?", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for range count {
		select {
		case <-r.Context().Done():
			return
		case <-ticker.C:
		}
		fmt.Fprintf(w, "data: %d\n\n", time.Now().UnixNano())
		if http.NewResponseController(w).Flush() != nil {
			return
		}
	}
}

// thinking is how long the provider takes for a checkout.
const thinking = 200 * time.Millisecond

// provider makes checkout sessions as Dodo does, with nothing behind them.
type provider struct {
	made, now, most atomic.Int64
}

func (p *provider) checkout(w http.ResponseWriter, r *http.Request) {
	now := p.now.Add(1)
	defer p.now.Add(-1)
	for most := p.most.Load(); now > most && !p.most.CompareAndSwap(most, now); most = p.most.Load() {
	}
	_, _ = io.Copy(io.Discard, r.Body)
	select {
	case <-r.Context().Done():
		return
	case <-time.After(thinking):
	}
	id := "cks_bench" + strconv.FormatInt(p.made.Add(1), 10)
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"session_id":%q,"checkout_url":"http://%s/pay/%s"}`, id, r.Host, id)
}

// newShop is a checkout handler without a gateway, as short as it can be: it knows
// what is wanted, and asks for it. It neither knows who asks nor looks at what the
// provider says, and keeps nothing.
func newShop(provider string, pooled bool) http.Handler {
	client := &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone(), Timeout: time.Minute}
	if pooled {
		client = pooledClient()
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var answer []byte
		err := readWish(r)
		if err == nil {
			answer, err = buy(r.Context(), client, provider)
		}
		sold(w, answer, err)
	})
}

// readWish reads what is to be bought; all buy the same.
func readWish(r *http.Request) error {
	var wish struct{ Product string }
	err := json.NewDecoder(io.LimitReader(r.Body, 1<<10)).Decode(&wish)
	if err == nil && wish.Product != productName {
		err = fmt.Errorf("no such product: %q", wish.Product)
	}
	return err
}

// pooledClient has as many connections as a rush needs.
func pooledClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 2000, 2000
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

func buy(ctx context.Context, client *http.Client, provider string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, provider+"/checkouts", checkoutBody())
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(response.Status)
	}
	return answer, err
}
