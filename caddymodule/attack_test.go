package caddymodule_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// attack is a request that wants to be believed.
type attack struct {
	header   string // lines
	declared string // the line that announces trailers
	trailers string // lines
}

// attacks are all of the corpus, and what is too much for a line.
func attacks() []attack {
	var all []attack
	for _, header := range spoofedHeaders {
		all = append(all, attack{header: header})
	}
	many := func(line string) attack {
		return attack{header: strings.TrimSuffix(strings.Repeat(line+"\r\n", 1000), "\r\n")}
	}
	all = append(all,
		many("X-Entitlement-Credits: 999"), many("x~entitlement_has+paid: true"),
		attack{header: strings.Join(spoofedHeaders, "\r\n")},
		attack{header: "X-Entitlement-Credits:"}, attack{header: "X~Entitlement~Credits:"},
		attack{header: "X-Entitlement-Credits: 9, 99\r\nX-Entitlement-User: admin\r\nX.Entitlement.User: root"},
	)
	for _, tt := range spoofedTrailers {
		all = append(all, attack{declared: tt.declared, trailers: tt.trailers}, attack{spoofedHeaders[0], tt.declared, tt.trailers})
	}
	for _, header := range spoofedConnections {
		all = append(all, attack{header: header}, attack{header: header + "\r\nX_Entitlement_Credits: 999"})
	}
	return all
}

// onlyHTTP1 is for what later protocols do not have: the Connection header, and
// lines that go on.
func (a attack) onlyHTTP1() bool {
	return strings.HasPrefix(strings.ToLower(a.header), "connection:") || strings.Contains(a.header, "\r\n ")
}

// over sends it. HTTP/1.1 gets it byte by byte.
func (a attack) over(b *bench, f front, path, user string) answer {
	b.t.Helper()
	header := "X-Test-User: " + user + "\r\n" + a.header
	method := "GET"
	if a.trailers != "" {
		method = "POST"
	}
	if f.name != "HTTP/1.1" {
		b.client = f.client
		return b.send(f.request(b.t, method, path, header, a.declared, a.trailers))
	}
	text := lines(method+" "+path+" HTTP/1.1", "Host: 127.0.0.1:"+b.Port, header)
	if !strings.HasPrefix(strings.ToLower(a.header), "connection:") {
		text += lines("Connection: close")
	}
	if a.trailers != "" {
		text += lines("Transfer-Encoding: chunked", a.declared, "") + chunked("hello") + a.trailers + "\r\n"
	}
	return b.rawAnswer(strings.ReplaceAll(text+"\r\n", "\r\n\r\n\r\n", "\r\n\r\n"))
}

// attackedSite has a path for each way in which a request can get to the app.
const attackedSite = usualGateway + `
	root * {{Dir}}
	dodo_require /gated* credits 1
	dodo_charge /charged* 1
	@unpaid {
		path /refused*
		not dodo_entitled paid
	}
	error @unpaid 402
	error /broken* 503
	%[1]s
	handle_errors {
		root * {{Dir}}
		%[1]s
	}`

// Whatever a client sends, by whatever protocol and to whatever kind of app, and
// however the request gets there: the app is told the truth, and once.
func TestAttackedApps(t *testing.T) {
	for name, start := range map[string]func(*testing.T, *bench) string{"Go": appGo, "CGI": appCGI, "WSGI": appWSGI, "PHP": appPHP} {
		for options, serverOptions := range map[string]string{
			"": "",
			" with aliases": `
				expected_underscore_headers X_Entitlement_* x-entitlement_credits x_entitlement-has_paid
				expected_dot_headers X.Entitlement.*`,
		} {
			t.Run(name+options, func(t *testing.T) {
				b := newSecureBench(t)
				app := start(t, b)
				b.mustLoad(everyProtocol(usualDodo, serverOptions, fmt.Sprintf(attackedSite, app)))
				fronts := b.fronts()
				for i, a := range attacks() {
					for j, f := range fronts {
						switch {
						case a.onlyHTTP1():
							if j > 0 {
								continue
							}
						case name == "Go":
						case a.trailers != "": // the others do not know any
							continue
						case i%len(fronts) != j: // Caddy has translated it
							continue
						}
						user := fmt.Sprintf("user%d-%d", i, j)
						for _, path := range []string{"/free", "/gated", "/refused", "/broken", "/charged"} {
							want := newcomer(user)
							if path == "/charged" {
								want["Credits"] = "2"
							}
							assertEntitlement(t, b.told(a.over(b, f, path, user)), want)
							if t.Failed() {
								t.Fatalf("%s %s: %.300q", f.name, path, a)
							}
						}
						assertEntitlement(t, b.told(a.over(b, f, "/free", "")), anonymous)
					}
					if t.Failed() {
						t.Fatalf("%.300q", a)
					}
				}
			})
		}
	}
}

// The same for connections that leave HTTP.
func TestAttackedUpgrades(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(usualDodo, strings.ReplaceAll(fmt.Sprintf(attackedSite, appGo(t, b)), "root * {{Dir}}", "")))
	for i, a := range attacks() {
		if a.trailers != "" || len(a.header) > 10_000 {
			continue
		}
		user := fmt.Sprint("user", i)
		for _, path := range []string{"/free", "/gated", "/refused", "/broken", "/charged"} {
			header := strings.ReplaceAll(a.header, "close", "Upgrade")
			if !strings.HasPrefix(strings.ToLower(header), "connection:") {
				header += "\r\nConnection: Upgrade"
			}
			want := newcomer(user)
			if path == "/charged" {
				want["Credits"] = "2"
			}
			assertEntitlement(t, b.upgraded(lines("GET "+path+" HTTP/1.1", "Host: 127.0.0.1:"+b.Port, "Upgrade: websocket", "X-Test-User: "+user, header, "")), want)
			if t.Failed() {
				t.Fatalf("%s %q", path, header)
			}
		}
	}
}

// upgraded sends a request for another protocol, in which the app says what it saw.
func (b *bench) upgraded(request string) dump {
	b.t.Helper()
	conn, err := net.Dial("tcp", "127.0.0.1:"+b.Port)
	if err != nil {
		b.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, request); err != nil {
		b.t.Fatal(err)
	}
	buffered := bufio.NewReader(conn)
	resp, err := http.ReadResponse(buffered, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		b.t.Fatalf("%q: %v %v", request, resp, err)
	}
	var d dump
	if err := json.NewDecoder(buffered).Decode(&d); err != nil {
		b.t.Fatal(err)
	}
	return d
}

// Who is refused by us never gets to the app, whatever they send.
func TestAttackedRefusals(t *testing.T) {
	b := newSecureBench(t)
	b.Upstream = strings.TrimPrefix(newServer(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("the app saw %v", r.Header) }), "http://")
	b.mustLoad(everyProtocol(usualDodo, "", usualGateway+`
	dodo_require /gated paid
	dodo_charge /charged 4
	reverse_proxy {{Upstream}}`))
	for j, f := range b.fronts() {
		for _, a := range attacks() {
			if a.onlyHTTP1() && j > 0 {
				continue
			}
			b.problem(a.over(b, f, "/gated", "alice"), 402, "payment_required")
			m := b.problem(a.over(b, f, "/charged", "alice"), 402, "insufficient_credits")
			if m["available"] != 3.0 {
				t.Fatalf("%v", m)
			}
			b.problem(a.over(b, f, "/charged", ""), 401, "unauthenticated")
		}
	}
}

// An app that makes the pages of refusals sees the truth, too, where the operator
// lets it: around everything of ours.
func TestAttackedRefusalPages(t *testing.T) {
	b := newSecureBench(t)
	app := appGo(t, b)
	b.mustLoad(everyProtocol(usualDodo, "", `
	route {
		intercept {
			@refused status 402
			handle_response @refused {
				`+app+`
			}
		}
		`+strings.TrimSpace(usualGateway)+`
		dodo_require /gated paid
		dodo_charge /charged 4
	}`))
	for j, f := range b.fronts() {
		for _, a := range attacks() {
			if a.onlyHTTP1() && j > 0 {
				continue
			}
			for _, path := range []string{"/gated", "/charged"} {
				assertEntitlement(t, b.told(a.over(b, f, path, "alice")), newcomer("alice"))
			}
			if t.Failed() {
				t.Fatalf("%s: %.300q", f.name, a)
			}
		}
	}
}
