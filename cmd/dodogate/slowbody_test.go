package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// manyConnections makes TestSlowBodies hold 5,000 connections of each kind.
const manyConnections = "DODOGATE_TEST_MANY_CONNECTIONS"

// TestSlowBodies: whoever opens connections and does not send the bodies neither takes the
// memory nor keeps genuine webhooks out, though all come from one address.
func TestSlowBodies(t *testing.T) {
	// It took 1,000 MiB for 300. An idle process takes about 15.
	connections, memory := 300, int64(80<<20)
	if os.Getenv(manyConnections) != "" {
		connections, memory = 5000, 130<<20
	}
	believable := fmt.Sprintf("Webhook-Id: msg_1\r\nWebhook-Timestamp: %d\r\nWebhook-Signature: v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=\r\n", time.Now().Unix())
	customer := "X-Test-User: mallory\r\nContent-Type: application/json\r\n"
	megabyte := strings.Repeat("{", 1<<20-1)
	for _, tt := range []struct{ name, path, header, sent string }{
		{"unsigned, all but a byte", "webhook", "Content-Length: 1048576\r\n", megabyte},
		{"unsigned, nothing", "webhook", "Content-Length: 200000\r\n", ""},
		{"unsigned, chunked", "webhook", "Transfer-Encoding: chunked\r\n", "1\r\n{\r\n"},
		{"believable, all but a byte", "webhook", believable + "Content-Length: 1048576\r\n", megabyte},
		{"believable, a byte", "webhook", believable + "Content-Length: 1048576\r\n", "{"},
		{"believable, chunked", "webhook", believable + "Transfer-Encoding: chunked\r\n", "1\r\n{\r\n"},
		{"believable, asks to go on", "webhook", believable + "Content-Length: 9000\r\nExpect: 100-continue\r\n", ""},
		{"checkout of a visitor", "checkout", "Content-Type: application/json\r\nContent-Length: 16000\r\n", "{"},
		{"checkout of a customer", "checkout", customer + "Content-Length: 16000\r\n", "{"},
		{"another method", "status", "Content-Length: 200000\r\n", "{"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGate(t, "bolt {{Dir}}/dodogate.db", 0, "respond ok")
			request := "POST /payments/" + tt.path + " HTTP/1.1\r\nHost: shop.example.com\r\n" + tt.header + "\r\n" + tt.sent
			attack := openAll(t, g.site, connections, request)
			for i := range 20 {
				if status := g.webhook(fmt.Sprintf("msg_genuine_%d", i)); status != http.StatusOK {
					t.Errorf("genuine webhook %d: %d", i, status)
				}
			}
			most := g.mostMemory()
			t.Logf("%d connections: at most %d MiB", attack.opened(), most>>20)
			if most > memory {
				t.Errorf("it took %d MiB", most>>20)
			}
		})
	}
}

// attack is many connections with a request on each.
type attack struct {
	mu    sync.Mutex
	conns []net.Conn
}

// openAll opens connections until the test ends, and returns when the request is sent on
// all of them, or was answered before.
func openAll(t *testing.T, address string, n int, request string) *attack {
	t.Helper()
	a := new(attack)
	t.Cleanup(func() {
		for _, conn := range a.conns {
			_ = conn.Close()
		}
	})
	var senders sync.WaitGroup
	turns := make(chan struct{}, n)
	for range n {
		turns <- struct{}{}
	}
	close(turns)
	for range 32 {
		senders.Go(func() {
			for range turns {
				conn, err := net.Dial("tcp", address)
				if err != nil {
					t.Errorf("connect: %v", err)
					return
				}
				a.mu.Lock()
				a.conns = append(a.conns, conn)
				a.mu.Unlock()
				_ = conn.SetWriteDeadline(time.Now().Add(20 * time.Second))
				_, _ = io.WriteString(conn, request) // it may be cut off
			}
		})
	}
	senders.Wait()
	return a
}

func (a *attack) opened() int { return len(a.conns) }

// webhook delivers an event as Dodo does, on a connection of its own.
func (g *gate) webhook(id string) (status int) {
	g.t.Helper()
	body := `{"business_id":"bus_1","type":"license_key.created","timestamp":"2026-11-21T12:00:00Z","data":{"text":"` + strings.Repeat("x", 4000) + `"}}`
	key, err := standardwebhooks.NewWebhook(demoSecret)
	if err != nil {
		g.t.Fatal(err)
	}
	now := time.Now()
	signature, err := key.Sign(id, now, []byte(body))
	if err != nil {
		g.t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPost, "http://"+g.site+"/payments/webhook", strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	req.Close = true
	req.Header.Set("Webhook-Id", id)
	req.Header.Set("Webhook-Timestamp", strconv.FormatInt(now.Unix(), 10))
	req.Header.Set("Webhook-Signature", signature)
	resp, err := crowd.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}
