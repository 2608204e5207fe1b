package caddymodule_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/testing/freeport"
)

// The apps here say what they were told, each in the words of its kind: a dump, or
// lines of an environment.

// appGo is one behind net/http. At /socket it leaves HTTP.
func appGo(t *testing.T, _ *bench) string {
	return "reverse_proxy " + newServer(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		d := dump{r.Proto, r.URL.Path, r.Header, r.Trailer, string(body)}
		if r.Header.Get("Upgrade") == "" {
			_ = json.NewEncoder(w).Encode(d)
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, lines("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket", ""))
		_ = json.NewEncoder(conn).Encode(d)
	})
}

// appCGI starts a program for each request.
func appCGI(t *testing.T, b *bench) string {
	program := filepath.Join(b.Dir, "app.cgi")
	if err := os.WriteFile(program, []byte("#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\nenv\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return "reverse_proxy " + newServer(t, (&cgi.Handler{Path: program}).ServeHTTP)
}

// appWSGI is a server in Python.
func appWSGI(t *testing.T, _ *bench) string {
	python := findProgram(t, "python3", "/usr/bin/python3")
	cmd := exec.CommandContext(t.Context(), python, "-c", `
import json, socketserver
from wsgiref.simple_server import WSGIServer, WSGIRequestHandler, make_server
class Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 64
class Handler(WSGIRequestHandler):
    def log_message(self, *args): pass
def app(environ, start):
    start("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"Header": {k: [v] for k, v in environ.items() if k.startswith("HTTP_")}}).encode()]
server = make_server("127.0.0.1", 0, app, Server, Handler)
print(server.server_port, flush=True)
server.serve_forever()
`)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	runCommand(t, cmd)
	port, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the WSGI server: %v", err)
	}
	return "reverse_proxy 127.0.0.1:" + strings.TrimSpace(port)
}

// appPHP is PHP-FPM, which Caddy speaks FastCGI with.
func appPHP(t *testing.T, b *bench) string {
	return "php_fastcgi " + startPHP(t, b, `<?php
$said = [];
foreach ($_SERVER as $name => $value) if (str_starts_with($name, "HTTP_")) $said[$name] = [$value];
echo json_encode(["Header" => $said]);`)
}

// startPHP starts PHP-FPM, with a page at index.php, and returns its address.
func startPHP(t *testing.T, b *bench, page string) string {
	t.Helper()
	fpm := findProgram(t, "php-fpm", "/usr/sbin/php-fpm*")
	address := "127.0.0.1:" + freeport.Get(t)
	settings := fmt.Sprintf("[global]\nerror_log = %s/fpm.log\n[www]\nlisten = %s\npm = static\npm.max_children = 2\n", b.Dir, address)
	args := []string{"-n", "-F", "-y", filepath.Join(b.Dir, "fpm.conf")}
	if os.Getuid() == 0 {
		settings += "user = root\n"
		args = append(args, "-R")
	}
	for name, text := range map[string]string{"fpm.conf": settings, "index.php": page} {
		if err := os.WriteFile(filepath.Join(b.Dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	runCommand(t, exec.CommandContext(t.Context(), fpm, args...))
	deadline := time.Now().Add(10 * time.Second)
	for {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
			return address
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(b.Dir, "fpm.log"))
			t.Fatalf("PHP-FPM does not listen: %v\n%s", err, log)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// findProgram is the path of a program, by its name or by where it may be too.
func findProgram(t *testing.T, name, pattern string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	if found, _ := filepath.Glob(pattern); len(found) > 0 {
		return found[len(found)-1]
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", name)
	}
	t.Skipf("%s is not installed", name)
	return ""
}

// runCommand starts a program that runs until the test ends.
func runCommand(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // a master ends its children first
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() }) // the test's context is cancelled by then
}

// told is what an app of any kind says that it saw.
func (b *bench) told(a answer) dump {
	b.t.Helper()
	if a.status >= http.StatusBadRequest && a.body == "" {
		b.t.Fatalf("not an answer of the app: %d %v", a.status, a.header)
	}
	d := dump{Header: http.Header{}}
	if strings.HasPrefix(a.body, "{") {
		d = b.seen(a)
	} else {
		for line := range strings.Lines(a.body) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
			d.Header[name] = append(d.Header[name], value)
		}
	}
	for name, values := range d.Header { // as an app would ask for it
		if short, ok := strings.CutPrefix(name, "HTTP_"); ok {
			delete(d.Header, name)
			d.Header[short] = values
		}
	}
	return d
}
