package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// kind is one way to be a nuisance: to hold connections, or to send requests.
type kind struct {
	name    string
	head    string // that is sent on each connection
	body    int    // bytes of the body, behind it
	request func(site string, i int) *http.Request
	wrong   func(*http.Response) string // says what is wrong with an answer
}

func abuseKinds() []kind {
	fresh := fmt.Sprintf("webhook-id: msg_x\r\nwebhook-timestamp: %d\r\nwebhook-signature: v1,%s\r\n",
		time.Now().Unix(), base64.StdEncoding.EncodeToString(make([]byte, 32)))
	post := func(path, header string, length int) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: shop.example.com\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n", path, header, length)
	}
	return []kind{
		{name: "idle"},
		{name: "half a head", head: "POST /payments/webhook HTTP/1.1\r\nHost: shop.example.com\r\nX-A"},
		{name: "webhooks without headers", head: post("/payments/webhook", "", 1<<20), body: 1<<20 - 1},
		{name: "webhooks with made-up headers", head: post("/payments/webhook", fresh, 1<<20), body: 1<<20 - 1},
		{name: "webhooks without a length", head: "POST /payments/webhook HTTP/1.1\r\nHost: shop.example.com\r\n" + fresh + "Transfer-Encoding: chunked\r\n\r\nfffff\r\n", body: 1<<20 - 2},
		{name: "checkouts of strangers", head: post("/payments/checkout", "", 16<<10), body: 16<<10 - 1},
		{name: "checkouts of a customer", head: post("/payments/checkout", "X-Test-User: mallory\r\n", 16<<10), body: 16<<10 - 1},
		{name: "confirmations of a customer", head: post("/payments/confirm", "X-Test-User: mallory\r\n", 16<<10), body: 16<<10 - 1},
		{name: "bad signatures", request: badSignature, wrong: wrongIfServed},
		{name: "routing headers", request: routingHeaders, wrong: wrongIfServed},
		{name: "odd paths", request: oddPath, wrong: wrongIfServed},
		{name: "guessed codes", request: guessedCode, wrong: wrongForGuess},
	}
}

func badSignature(site string, i int) *http.Request {
	body := bytes.Repeat([]byte(" "), rand.IntN(64<<10))
	r := attackerRequest(http.MethodPost, site, "/payments/webhook", bytes.NewReader(append([]byte(`{"type":"payment.succeeded"`), body...)))
	r.Header.Set("Webhook-Id", fmt.Sprint("msg_", i))
	r.Header.Set("Webhook-Timestamp", strconv.FormatInt(time.Now().Unix(), 10))
	r.Header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString([]byte(fmt.Sprintf("%032d", i))))
	return r
}

// routingHeaders has 15 KiB of one of the headers by which some app might route.
func routingHeaders(site string, i int) *http.Request {
	names := []string{"X-Original-URL", "X-Rewrite-URL", "X-Original-URI", "X-Forwarded-Prefix", "X-Forwarded-Uri", "X-Forwarded-Path"}
	r := attackerRequest(http.MethodGet, site, "/paid/x", nil)
	for range 400 {
		r.Header.Add(names[i%len(names)], `x%25252f;a\..%20/`)
	}
	return r
}

func oddPath(site string, i int) *http.Request {
	odd := []string{"%25252f", "/..;/", "%5c", ";a=b/", "%c0%af", "/./", "%20/", "//"}
	r := attackerRequest(http.MethodGet, site, "/", nil)
	r.URL.Opaque = "//shop.example.com/paid" + strings.Repeat(odd[i%len(odd)]+"x", 8000)[:14<<10]
	return r
}

// guessedCode is one of ten customers who try discount codes.
func guessedCode(site string, i int) *http.Request {
	r := attackerRequest(http.MethodPost, site, "/payments/checkout", strings.NewReader(fmt.Sprintf(`{"product":"pack10","discount_code":"GUESS%d"}`, i)))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Test-User", fmt.Sprint("guesser", i%10))
	return r
}

func attackerRequest(method, site, path string, body io.Reader) *http.Request {
	r, err := http.NewRequestWithContext(context.Background(), method, "http://"+site+path, body)
	if err != nil {
		panic(err)
	}
	r.Host = "shop.example.com"
	return r
}

func wrongIfServed(resp *http.Response) string {
	if resp.StatusCode < 400 {
		return fmt.Sprintf("an attacker's request was answered with %d", resp.StatusCode)
	}
	return ""
}

func wrongForGuess(resp *http.Response) string {
	switch {
	case resp.StatusCode < 400 || resp.StatusCode >= 500:
		return fmt.Sprintf("a guessed code was answered with %d", resp.StatusCode)
	case resp.StatusCode == http.StatusTooManyRequests && resp.Header.Get("Retry-After") == "":
		return "429 does not say when to come again"
	}
	return ""
}

// abusePace is how many requests attackers send in a second.
const abusePace = 500

// attackOrder is what an attacker does: it holds connections or, if Requests is not 0,
// sends requests.
type attackOrder struct {
	Kind, Site            string
	Connections, Requests int
}

// attackReport is what came of it.
type attackReport struct {
	Answered int // requests
	Took     time.Duration
	Wrong    []string
}

// attacker is a process that attacks, with the lowest priority. A real attacker has a
// machine of its own. So making the requests, and collecting their garbage, must not delay
// the good customers: their times are measured in the process of the test.
//
// `make abuse` runs the test with a real-time priority if it may, so that other programs do
// not delay it. DODOGATE_ATTACKER then is the command that gives attackers a lower one.
type attacker struct {
	t       *testing.T
	process *exec.Cmd
	goes    io.WriteCloser
	said    *json.Decoder
}

const attackVariable = "DODOGATE_TEST_ATTACK"

// startAttacker returns when the attacker holds its connections, or is ready to send.
func startAttacker(t *testing.T, order attackOrder) *attacker {
	t.Helper()
	text, err := json.Marshal(order)
	if err != nil {
		t.Fatal(err)
	}
	command := append(strings.Fields(cmp.Or(os.Getenv("DODOGATE_ATTACKER"), "nice -n 19")), os.Args[0])
	x := &attacker{t: t, process: exec.CommandContext(t.Context(), command[0], command[1:]...)}
	x.process.Env = append(os.Environ(), attackVariable+"="+string(text))
	x.process.Stderr = os.Stderr
	if x.goes, err = x.process.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := x.process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	x.said = json.NewDecoder(out)
	if err := x.process.Start(); err != nil {
		t.Fatal(err)
	}
	x.report() // that it is ready
	return x
}

// goOn lets the attacker send its requests, or close its connections, and waits until that
// is done.
func (x *attacker) goOn() attackReport {
	x.t.Helper()
	if err := x.goes.Close(); err != nil {
		x.t.Fatal(err)
	}
	report := x.report()
	if err := x.process.Wait(); err != nil {
		x.t.Fatal(err)
	}
	return report
}

func (x *attacker) report() (report attackReport) {
	x.t.Helper()
	if err := x.said.Decode(&report); err != nil {
		x.t.Fatalf("the attacker says nothing: %v", err)
	}
	return report
}

// attackMain is the attacker's process.
func attackMain(text string) {
	var order attackOrder
	if err := json.Unmarshal([]byte(text), &order); err != nil {
		panic(err)
	}
	all := abuseKinds()
	k := all[slices.IndexFunc(all, func(k kind) bool { return k.name == order.Kind })]
	var report attackReport
	say := json.NewEncoder(os.Stdout)
	goOn := func() {
		if err := say.Encode(attackReport{}); err != nil {
			panic(err)
		}
		_, _ = bufio.NewReader(os.Stdin).ReadByte() // until it is closed
	}
	if order.Requests > 0 {
		goOn()
		report = k.send(order)
	} else {
		report = k.hold(order, goOn)
	}
	if err := say.Encode(report); err != nil {
		panic(err)
	}
}

// hold opens connections from fifty addresses, sends the head and a part of the body on
// each, and keeps them open for as long as something lasts.
func (k kind) hold(order attackOrder, meanwhile func()) (report attackReport) {
	var (
		open  sync.WaitGroup
		mu    sync.Mutex
		conns = make([]net.Conn, order.Connections)
		begun = make(chan struct{}, 128) // at a time
	)
	for i := range conns {
		open.Go(func() {
			begun <- struct{}{}
			defer func() { <-begun }()
			from := net.Dialer{Timeout: 10 * time.Second, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i%50))}}
			conn, err := from.Dial("tcp", order.Site)
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				report.add(fmt.Sprintf("connection %d: %v", i, err))
				return
			}
			conns[i] = conn
			_ = conn.SetWriteDeadline(time.Now().Add(5 * time.Second)) // the gateway need not read it
			if _, err := io.WriteString(conn, k.head); err != nil {
				return
			}
			_, _ = conn.Write(bytes.Repeat([]byte("a"), k.body))
		})
	}
	open.Wait()
	meanwhile()
	for _, conn := range conns {
		if conn != nil {
			_ = conn.Close()
		}
	}
	return report
}

// send sends requests at the attackers' pace, and takes whatever answer.
func (k kind) send(order attackOrder) (report attackReport) {
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	var (
		sent  sync.WaitGroup
		mu    sync.Mutex
		slots = make(chan struct{}, 64)
		pace  = time.NewTicker(time.Second / abusePace)
		began = time.Now()
	)
	defer pace.Stop()
	for i := range order.Requests {
		<-pace.C
		slots <- struct{}{}
		sent.Go(func() {
			defer func() { <-slots }()
			resp, err := client.Do(k.request(order.Site, i))
			if err != nil {
				return // the gateway may break off what it does not want to read
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			mu.Lock()
			defer mu.Unlock()
			report.Answered++
			if wrong := k.wrong(resp); wrong != "" {
				report.add(wrong)
			}
		})
	}
	sent.Wait()
	report.Took = time.Since(began)
	return report
}

// add keeps a few of many.
func (r *attackReport) add(wrong string) {
	if len(r.Wrong) < 5 {
		r.Wrong = append(r.Wrong, wrong)
	}
}
