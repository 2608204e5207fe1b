package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
)

// The environment variable by which the benchmark starts itself as another
// program, and the programs.
const (
	roleVariable = "DODOGATE_BENCH_ROLE"
	roleCaddy    = "caddy"    // with the handlers of package naive
	roleUpstream = "upstream" // the app behind everything, and a provider that takes its time
	roleQuick    = "quick"    // the same, but the provider answers at once and remembers what it was asked for
)

// play runs a role. The servers' address is the first argument.
func play(role string) {
	var handler http.Handler
	switch role {
	case roleCaddy:
		caddycmd.Main()
		return
	case roleUpstream:
		handler = newUpstream(&provider{thinks: thinking})
	case roleQuick:
		handler = newUpstream(&provider{remembers: true})
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
func newUpstream(p *provider) http.Handler {
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
	mux.HandleFunc("POST /checkouts", p.checkout)
	mux.HandleFunc("GET /checkouts/most", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, p.most.Swap(0))
	})
	mux.HandleFunc("GET /checkouts/metadata", p.metadata)
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
	thinks    time.Duration
	remembers bool

	made, now, most atomic.Int64

	mu    sync.Mutex
	asked []json.RawMessage // the metadata of each checkout
}

func (p *provider) checkout(w http.ResponseWriter, r *http.Request) {
	now := p.now.Add(1)
	defer p.now.Add(-1)
	for most := p.most.Load(); now > most && !p.most.CompareAndSwap(most, now); most = p.most.Load() {
	}
	if err := p.read(r.Body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if p.thinks > 0 {
		select {
		case <-r.Context().Done():
			return
		case <-time.After(p.thinks):
		}
	}
	id := "cks_bench" + strconv.FormatInt(p.made.Add(1), 10)
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"session_id":%q,"checkout_url":"http://%s/pay/%s"}`, id, r.Host, id)
}

func (p *provider) read(body io.Reader) error {
	if !p.remembers {
		_, err := io.Copy(io.Discard, body)
		return err
	}
	var wish struct{ Metadata json.RawMessage }
	if err := json.NewDecoder(body).Decode(&wish); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, wish.Metadata)
	return nil
}

// metadata answers what was remembered, and forgets it.
func (p *provider) metadata(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = json.NewEncoder(w).Encode(p.asked)
	p.asked = nil
}
