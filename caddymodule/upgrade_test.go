package caddymodule_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"golang.org/x/net/websocket"

	"github.com/dodogate/dodogate/internal/testing/freeport"
)

// appHypercorn is a server that switches to HTTP/2 for everybody who asks. It returns
// its address. /seen lists the paths that it was asked for, and what they claimed.
func appHypercorn(t *testing.T, b *bench) string {
	t.Helper()
	hypercorn := findProgram(t, "hypercorn", "/usr/bin/hypercorn")
	if err := os.WriteFile(filepath.Join(b.Dir, "h2capp.py"), []byte(`
import json
seen = []
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            await send({"type": "websocket.send", "text": message["text"]})
    while (await receive()).get("more_body"):
        pass
    header = {}
    for name, value in scope["headers"]:
        header.setdefault(name.decode().title(), []).append(value.decode())
    body = json.dumps(seen)
    if scope["path"] != "/seen":
        seen.append(scope["path"] + " " + ",".join(header.get("X-Entitlement-Credits", [])))
        body = json.dumps({"Path": scope["path"], "Proto": scope["http_version"], "Header": header})
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": body.encode()})
`), 0o600); err != nil {
		t.Fatal(err)
	}
	address := "127.0.0.1:" + freeport.Get(t)
	cmd := exec.CommandContext(t.Context(), hypercorn, "--bind", address, "h2capp:app")
	cmd.Dir, cmd.Stderr = b.Dir, os.Stderr
	runCommand(t, cmd)
	eventually(t, "hypercorn listens", func() string {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return err.Error()
		}
		_ = conn.Close()
		return ""
	})
	return address
}

// h2cRequest asks for HTTP/2 as RFC 7540, 3.2 had it.
func h2cRequest(host string, more ...string) string {
	return lines(append([]string{"GET /free HTTP/1.1", "Host: " + host, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c",
		"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"}, more...)...) + "\r\n"
}

// steal asks for /paid by HTTP/2 on a connection on which request was sent before, and
// returns the status of the answer to that, and what /paid said.
func steal(t *testing.T, address, request string) (status int, stolen string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.WriteString(conn, request)
	in := bufio.NewReader(conn)
	if request != "" {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("%q: %v", request, err)
		}
		if status = resp.StatusCode; status != http.StatusSwitchingProtocols {
			_, _ = io.Copy(io.Discard, resp.Body)
		}
	}
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, field := range [][2]string{
		{":method", "GET"}, {":path", "/paid"}, {":scheme", "http"}, {":authority", address},
		{"x-entitlement-user", "mallory"}, {"x-entitlement-credits", "999"}, {"x-entitlement-has-paid", "true"},
	} {
		_ = encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
	}
	_, _ = io.WriteString(conn, http2.ClientPreface)
	framer := http2.NewFramer(conn, in)
	_ = framer.WriteSettings()
	_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return status, stolen // no HTTP/2 there, or no more of it
		}
		if data, ok := frame.(*http2.DataFrame); ok && data.StreamID == 3 {
			stolen += string(data.Data())
			if data.StreamEnded() {
				return status, stolen
			}
		}
	}
}

// A client that gets an app to speak HTTP/2 with it is past every gate. Hypercorn would.
func TestUpgradeToHTTP2(t *testing.T) {
	b := newBench(t)
	app := appHypercorn(t, b)
	if status, stolen := steal(t, app, h2cRequest(app)); status != 101 || !strings.Contains(stolen, `"999"`) {
		t.Fatalf("hypercorn by itself answers %d and then %q: there is nothing to protect", status, stolen)
	}
	b.mustLoad(caddyfile(usualDodo, usualGateway+"\n\tdodo_require /paid/* paid\n\tdodo_require /paid paid\n\treverse_proxy "+app))
	b.problem(b.do("GET", "/paid", ""), 401, "unauthenticated")
	site := "127.0.0.1:" + b.Port
	for name, request := range map[string]string{
		"as written down":     h2cRequest(site),
		"signed in":           h2cRequest(site, "X-Test-User: alice"),
		"a list":              strings.Replace(h2cRequest(site), "Upgrade: h2c", "Upgrade: websocket, h2c", 1),
		"two lines":           strings.Replace(h2cRequest(site), "Upgrade: h2c", "Upgrade: websocket\r\nUpgrade: h2c", 1),
		"two lines, reversed": strings.Replace(h2cRequest(site), "Upgrade: h2c", "Upgrade: h2c\r\nUpgrade: websocket", 1),
		"other case":          strings.Replace(h2cRequest(site), "Upgrade: h2c", "UPGRADE: H2C", 1),
		"with a body":         strings.Replace(h2cRequest(site, "Content-Length: 2"), "GET /free", "POST /free", 1) + "hi",
		"not in Connection":   strings.Replace(h2cRequest(site), "Connection: Upgrade, HTTP2-Settings", "Connection: Upgrade", 1),
	} {
		if status, stolen := steal(t, site, request); status != 200 || stolen != "" {
			t.Errorf("%s: %d, and then %q", name, status, stolen)
		}
	}
	// Caddy speaks HTTP/2 itself there, so that the gate is asked.
	if _, answer := steal(t, site, ""); !strings.Contains(answer, "unauthenticated") {
		t.Errorf("with prior knowledge: %q", answer)
	}
	var seen []string
	resp, err := b.client.Get("http://" + app + "/seen")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&seen); err != nil {
		t.Fatal(err)
	}
	free, paid := 0, 0
	for _, request := range seen {
		switch request {
		case "/free 0", "/free 3":
			free++
		case "/paid 999": // of the attack on the app itself
			paid++
		}
	}
	if free != 8 || paid != 1 {
		t.Errorf("the app saw %q", seen)
	}
}

// A WebSocket of the same app goes on as before.
func TestWebSocketOfHypercorn(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(usualDodo, usualGateway+"\n\tdodo_require credits 3\n\treverse_proxy "+appHypercorn(t, b)))
	address := "127.0.0.1:" + b.Port
	config, err := websocket.NewConfig("ws://"+address+"/socket", "http://"+address)
	if err != nil {
		t.Fatal(err)
	}
	config.Dialer, config.Header = &net.Dialer{Timeout: 20 * time.Second}, http.Header{"X-Test-User": {"alice"}}
	ws, err := websocket.DialConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	_ = ws.SetDeadline(time.Now().Add(20 * time.Second))
	for _, sent := range []string{"one", "two"} {
		var got string
		if err := websocket.Message.Send(ws, sent); err != nil {
			t.Fatal(err)
		}
		if err := websocket.Message.Receive(ws, &got); err != nil || got != sent {
			t.Errorf("%q came back as %q, %v", sent, got, err)
		}
	}
}

// appSwitching is an app that switches to whatever it is asked for, by the first word,
// and says what it saw in any case.
func appSwitching(t *testing.T) string {
	return newServer(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		d := dump{r.Proto, r.URL.Path, r.Header, r.Trailer, string(body)}
		asked := r.Header["Upgrade"]
		if len(asked) == 0 {
			_ = json.NewEncoder(w).Encode(d)
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, lines("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: "+asked[0], ""))
		_ = json.NewEncoder(conn).Encode(d)
	})
}

// Whatever else an Upgrade says, the app sees none, nor a trace of it elsewhere.
func TestUpgradesAreRemoved(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(usualDodo+`
	servers {
		expected_underscore_headers HTTP2_Settings Upgrade_
		expected_dot_headers HTTP2.Settings
	}`, usualGateway+"\n\treverse_proxy "+appSwitching(t)))
	for _, upgrade := range []string{
		"Upgrade: h2c", "upgrade: h2c", "UPGRADE:h2c", "Upgrade:\th2c\t", "Upgrade: h2", "Upgrade: HTTP/2.0", "Upgrade: TLS/1.2", "Upgrade: tcp",
		"Upgrade: websocket, h2c", "Upgrade: h2c, websocket", "Upgrade: websocket,", "Upgrade: ,websocket", "Upgrade: websocket/13",
		"Upgrade: websocket\r\nUpgrade: h2c", "Upgrade: h2c\r\nUpgrade: websocket", "Upgrade: websocket\r\nUpgrade: websocket", "Upgrade:\r\nUpgrade: h2c",
		"Upgrade: websocket h2c", "Upgrade: websocket;h2c", `Upgrade: "websocket"`, "Upgrade: web socket", "Upgrade: websockets", "Upgrade: web\xc5\xbfocket",
		"Upgrade: websocket,\r\n h2c", "Upgrade:", "X-None: 1",
	} {
		for _, connection := range []string{
			"Connection: close, Upgrade, HTTP2-Settings, X-Other", "Connection: upgrade,http2-settings,close,X-Other", "Connection: close, X-Other\r\nConnection: UPGRADE",
		} {
			d := b.raw(lines("POST /free HTTP/1.1", "Host: 127.0.0.1:"+b.Port, "X-Test-User: alice", connection, upgrade, "X-Other: 1",
				"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA", "HTTP2_Settings: AAMAAABkAARAAAAAAAIAAAAA", "http2.settings: AAMAAABk",
				"Transfer-Encoding: chunked", "Trailer: Upgrade, HTTP2-Settings, Connection, X-Checksum", "") +
				chunked("hello") + "Upgrade: h2c\r\nHTTP2-Settings: AAMA\r\nConnection: Upgrade\r\nX-Checksum: abc\r\n\r\n")
			assertEntitlement(t, d, newcomer("alice"))
			for _, name := range []string{"Upgrade", "HTTP2-Settings", "Connection"} {
				if got := d.claims(name); len(got) > 0 && !slices.Equal(got, []string{"close"}) {
					t.Errorf("%q, %q: the app saw %s %q", upgrade, connection, name, got)
				}
			}
			if d.Body != "hello" || d.Trailer.Get("X-Checksum") != "abc" || d.Header.Get("X-Other") != "" {
				t.Errorf("%q: what else it said got lost: %+v", upgrade, d)
			}
		}
	}
}

// Spellings that mean a WebSocket and nothing else.
func TestUpgradesThatPass(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(usualDodo, `
	dodo_gateway {
		account {http.request.header.X-Test-User}
		upgrades Dump tcp/2
	}
	reverse_proxy `+appSwitching(t)))
	for _, protocol := range []string{"websocket", "WebSocket", "WEBSOCKET", "dump", "DUMP", "tcp/2"} {
		d := b.upgraded(lines("GET /socket HTTP/1.1", "Host: 127.0.0.1:"+b.Port, "X-Test-User: alice", "Connection: keep-alive, Upgrade, HTTP2-Settings",
			"Upgrade:  "+protocol+" ", "HTTP2-Settings: AAMA", "X-Entitlement-Credits: 999", ""))
		assertEntitlement(t, d, newcomer("alice"))
		if got := d.Header["Upgrade"]; !slices.Equal(got, []string{strings.ToLower(protocol)}) || len(d.claims("HTTP2-Settings")) > 0 {
			t.Errorf("%s: %v", protocol, d.Header)
		}
	}
	if d := b.raw(lines("GET /socket HTTP/1.1", "Host: 127.0.0.1:"+b.Port, "Connection: close, Upgrade", "Upgrade: tcp", "")); d.Header.Get("Upgrade") != "" {
		t.Errorf("tcp without its version: %v", d.Header)
	}
}

// An app that switches without being asked gets no tunnel.
func TestUnaskedUpgrade(t *testing.T) {
	for name, head := range map[string]string{
		"to the removed protocol": lines("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: h2c", ""),
		"to a WebSocket":          lines("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket", ""),
		"to nothing":              lines("HTTP/1.1 101 Switching Protocols", ""),
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			app, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer app.Close()
			heard := make(chan string, 1)
			go func() {
				conn, err := app.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
				in := bufio.NewReader(conn)
				if _, err := http.ReadRequest(in); err != nil {
					return
				}
				_, _ = io.WriteString(conn, head)
				rest, _ := io.ReadAll(in)
				heard <- string(rest)
			}()
			b.mustLoad(caddyfile(usualDodo, usualGateway+"\n\treverse_proxy "+app.Addr().String()))
			conn, err := net.Dial("tcp", "127.0.0.1:"+b.Port)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
			_, _ = io.WriteString(conn, h2cRequest("127.0.0.1:"+b.Port))
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err == nil && resp.StatusCode == http.StatusSwitchingProtocols {
				t.Errorf("%d %v", resp.StatusCode, resp.Header)
			}
			_, _ = io.WriteString(conn, "GET /paid HTTP/1.1\r\nHost: x\r\n\r\n")
			_ = conn.Close()
			if rest := <-heard; rest != "" {
				t.Errorf("the app heard %q", rest)
			}
		})
	}
}

// A CONNECT is a tunnel as well, in every version of HTTP.
func TestConnect(t *testing.T) {
	b := newSecureBench(t)
	app := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodConnect || r.Header.Get("Upgrade") != "" {
			t.Errorf("the app saw %s %s %v", r.Method, r.URL, r.Header)
		}
	})
	b.mustLoad(everyProtocol(usualDodo, "", usualGateway+"\n\treverse_proxy "+app))
	for _, target := range []string{"/free", "127.0.0.1:" + b.Port} {
		for _, upgrade := range []string{"X-None: 1", "Upgrade: websocket", "Upgrade: h2c"} {
			a := b.rawAnswer(lines("CONNECT "+target+" HTTP/1.1", "Host: 127.0.0.1:"+b.Port, "Connection: close, Upgrade", upgrade, ""))
			b.problem(a, 501, "tunnel_refused")
		}
	}
	fronts := b.fronts()
	for _, f := range fronts[1:] {
		for _, protocol := range []string{"", "h2c", "connect-udp", "webtransport", "WebSocket"} {
			if f.name != "HTTP/3" && protocol != "" {
				continue // Caddy offers it in HTTP/3
			}
			in, out := io.Pipe()
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodConnect, f.base+"/free", in)
			if protocol != "" {
				req.Proto = protocol
			}
			resp, err := f.client.Transport.RoundTrip(req)
			if err != nil {
				t.Fatalf("%s %s: %v", f.name, protocol, err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			_ = out.CloseWithError(errors.New("enough"))
			if resp.StatusCode != http.StatusNotImplemented || !strings.Contains(string(body), "tunnel_refused") {
				t.Errorf("%s %s: %d %s", f.name, protocol, resp.StatusCode, body)
			}
		}
	}
}

// The options work from JSON as they do from a Caddyfile, and are checked there too.
func TestUpgradesFromJSON(t *testing.T) {
	t.Cleanup(func() { _ = caddy.Stop() })
	for setting, want := range map[string]string{
		`"upgrades": ["*"]`:                      "is not the name of a protocol",
		`"upgrades": ["h2c", "H2C"]`:             "twice",
		`"trusted_origins": ["https://a.b/c"]`:   "must be an origin",
		`"trusted_origins": ["https://A.b"]`:     "write https://a.b",
		`"trusted_origins": ["https://a.b:443"]`: "write https://a.b",
	} {
		b := newBench(t)
		adapted, err := adapt(b.fill(caddyfile(usualDodo, usualGateway)))
		if err != nil {
			t.Fatal(err)
		}
		config := strings.Replace(string(adapted), `"handler":"dodo_gateway"`, `"handler":"dodo_gateway",`+setting, 1)
		if err := caddy.Load([]byte(config), true); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", setting, err, want)
		}
	}
	b := newBench(t)
	adapted, err := adapt(b.fill(caddyfile(usualDodo, usualGateway+"\n\treverse_proxy "+appSwitching(t))))
	if err != nil {
		t.Fatal(err)
	}
	config := strings.Replace(string(adapted), `"handler":"dodo_gateway"`, `"handler":"dodo_gateway","upgrades":["h2c"]`, 1)
	if err := caddy.Load([]byte(config), true); err != nil {
		t.Fatal(err)
	}
	d := b.upgraded(strings.Replace(h2cRequest("127.0.0.1:"+b.Port), "Upgrade, HTTP2-Settings", "Upgrade", 1))
	if d.Header.Get("HTTP2-Settings") == "" {
		t.Errorf("h2c is allowed, and its settings are gone: %v", d.Header)
	}
}

// A forward_auth runs before dodo_gateway. Where the app itself is asked who is logged
// in, docs/security.md says what keeps it from switching.
func TestForwardAuthWithoutUpgrades(t *testing.T) {
	for name, closed := range map[string][2]string{
		"by dodo_strip": {"\n\tdodo_strip", ""},
		"by header_up":  {"", "\n\t\theader_up -Upgrade\n\t\theader_up -HTTP2-Settings"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			app := appHypercorn(t, b)
			b.mustLoad(caddyfile(usualDodo, closed[0]+"\n\tforward_auth "+app+` {
		uri /me
		copy_headers X-Test-User`+closed[1]+"\n\t}"+usualGateway+"\n\treverse_proxy "+app))
			site := "127.0.0.1:" + b.Port
			if status, stolen := steal(t, site, h2cRequest(site)); status != 200 || stolen != "" {
				t.Errorf("%d, and then %q", status, stolen)
			}
		})
	}
}
