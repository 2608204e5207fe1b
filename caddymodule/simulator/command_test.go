package simulator_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/rogpeppe/go-internal/testscript"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	_ "github.com/dodogate/dodogate/caddymodule" // the global option dodo
	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/testing/freeport"
	"github.com/dodogate/dodogate/internal/testing/httpclient"
)

// TestMain lets the test binary be dodogate itself, for the scripts.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"dodogate": func() {
		caddy.CustomBinaryName = "dodogate"
		caddycmd.Main()
	}})
}

// TestCommands runs the scripts in testdata/script: real processes, and commands as a
// developer types them. A receiver of webhooks is at $RECEIVER; it believes what is signed
// by $SECRET. Besides testscript's commands there are:
//
//	ready                      wait until the simulator at $SIM answers
//	post <path> <body>         call its API, and keep the answer in answer.json
//	received <type> [<count>]  wait until so many webhooks of a type have come; 1
//	! received <type>          none has come so far
//	refuse <status>            let the receiver answer with that status; 200 ends it
//	field <file> <name> <var>  set a variable to a field of a JSON object
func TestCommands(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:   "testdata/script",
		Setup: func(env *testscript.Env) error { return setUpDesk(t, env) },
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"ready":    func(ts *testscript.TestScript, _ bool, _ []string) { ready(ts) },
			"post":     func(ts *testscript.TestScript, _ bool, args []string) { post(ts, args) },
			"received": func(ts *testscript.TestScript, neg bool, args []string) { deskOf(ts).received(ts, neg, args) },
			"refuse":   func(ts *testscript.TestScript, _ bool, args []string) { deskOf(ts).refuse(ts, args) },
			"field":    func(ts *testscript.TestScript, _ bool, args []string) { field(ts, args) },
		},
	})
}

// desk is where a developer sits who receives webhooks.
type desk struct {
	mu     sync.Mutex
	counts map[string]int // verified webhooks by type
	wrong  int            // those that did not verify
	status int
}

type deskKey struct{}

func setUpDesk(t *testing.T, env *testscript.Env) error {
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return err
	}
	d := &desk{counts: make(map[string]int), status: http.StatusOK}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var event struct{ Type string }
		d.mu.Lock()
		defer d.mu.Unlock()
		if verifier.Verify(body, r.Header) != nil || json.Unmarshal(body, &event) != nil {
			d.wrong++
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		d.counts[event.Type]++
		w.WriteHeader(d.status)
	}))
	env.Defer(server.Close)
	env.Values[deskKey{}] = d
	sim := "127.0.0.1:" + freeport.Get(t)
	env.Vars = append(env.Vars, "SIM="+sim, "RECEIVER="+server.URL, "SECRET="+secret,
		"DODOGATE_SIMULATOR=http://"+sim, "XDG_DATA_HOME="+env.WorkDir, "XDG_CONFIG_HOME="+env.WorkDir)
	return nil
}

func deskOf(ts *testscript.TestScript) *desk { return ts.Value(deskKey{}).(*desk) }

const patience = 200 // tries, 50 ms apart

func ready(ts *testscript.TestScript) {
	for range patience {
		if resp, err := httpclient.Default.Get("http://" + ts.Getenv("SIM") + "/__sim/"); err == nil {
			_ = resp.Body.Close()
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("no simulator answers")
}

func post(ts *testscript.TestScript, args []string) {
	req, err := http.NewRequest(http.MethodPost, "http://"+ts.Getenv("SIM")+args[0], strings.NewReader(args[1]))
	ts.Check(err)
	req.Header.Set("Authorization", "Bearer "+ts.Getenv("KEY"))
	resp, err := httpclient.Default.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("answer.json"), fmt.Appendf(body, "\n%d\n", resp.StatusCode), 0o600))
}

func (d *desk) received(ts *testscript.TestScript, neg bool, args []string) {
	want, got := 1, 0
	if len(args) == 2 {
		_, err := fmt.Sscan(args[1], &want)
		ts.Check(err)
	}
	for range patience {
		d.mu.Lock()
		got = d.counts[args[0]]
		wrong := d.wrong
		d.mu.Unlock()
		switch {
		case neg && got > 0:
			ts.Fatalf("%s has come", args[0])
		case args[0] == "unbelieved" && wrong >= want, neg, got >= want:
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("%s has come %d times, want %d", args[0], got, want)
}

func (d *desk) refuse(ts *testscript.TestScript, args []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, err := fmt.Sscan(args[0], &d.status)
	ts.Check(err)
}

func field(ts *testscript.TestScript, args []string) {
	text := ts.ReadFile(args[0])
	var object map[string]any
	ts.Check(json.NewDecoder(strings.NewReader(text)).Decode(&object))
	value, ok := object[args[1]].(string)
	if !ok {
		ts.Fatalf("no %s in %s", args[1], text)
	}
	ts.Setenv(args[2], value)
}

// TestDocumentedCommands runs every command line that the documentation shows, in its
// order, and tries every example file.
func TestDocumentedCommands(t *testing.T) {
	page, err := os.ReadFile("../../docs/simulator.md")
	if err != nil {
		t.Fatal(err)
	}
	script, commands := "env KEY=key\nexec dodogate simulator --listen $SIM --webhook $RECEIVER --webhook-secret $SECRET &sim&\nready\n", 0
	alone := ""
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		for line := range strings.Lines(block[1]) {
			line = strings.ReplaceAll(strings.TrimSpace(line), "http://localhost:8090", "http://$SIM")
			commands++
			if strings.HasPrefix(line, "dodogate simulator") {
				alone += "exec " + line + " --listen $SIM &one&\nready\nkill -INT one\nwait one\n"
				continue
			}
			if strings.HasPrefix(line, "dodogate ") {
				line = "exec " + line
			}
			script += line + "\n"
		}
	}
	if commands < 35 {
		t.Errorf("only %d command lines are on the page", commands)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "page.txtar"), []byte(script+"kill -INT sim\nwait sim\n"+alone), 0o600); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: dir,
		Setup: func(env *testscript.Env) error {
			for from, to := range map[string]string{
				"../../docs/examples/catalog.yaml": "docs/examples/catalog.yaml", "../../Caddyfile": "Caddyfile",
			} {
				text, err := os.ReadFile(from)
				if err != nil {
					return err
				}
				to = filepath.Join(env.WorkDir, to)
				if err := errors.Join(os.MkdirAll(filepath.Dir(to), 0o700), os.WriteFile(to, text, 0o600)); err != nil {
					return err
				}
			}
			return setUpDesk(t, env)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"ready": func(ts *testscript.TestScript, _ bool, _ []string) { ready(ts) },
			"curl":  func(ts *testscript.TestScript, _ bool, args []string) { curl(ts, args) },
		},
	})
}

// curl is as much of that command as the page uses, for machines without it.
func curl(ts *testscript.TestScript, args []string) {
	flags := flag.NewFlagSet("curl", flag.ContinueOnError)
	method, header, body := flags.String("X", "", ""), flags.String("H", "", ""), flags.String("d", "", "")
	ts.Check(flags.Parse(args))
	if *method == "" {
		*method = http.MethodGet
		if *body != "" {
			*method = http.MethodPost
		}
	}
	req, err := http.NewRequest(*method, flags.Arg(0), strings.NewReader(*body))
	ts.Check(err)
	if name, value, ok := strings.Cut(*header, ": "); ok {
		req.Header.Set(name, value)
	}
	resp, err := httpclient.Default.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	if answer, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		ts.Fatalf("%s %s %v", resp.Status, answer, err)
	}
}

// TestDocumentedOptions: every option has its line, in the grammar and in the table.
func TestDocumentedOptions(t *testing.T) {
	page, err1 := os.ReadFile("../../docs/simulator.md")
	grammar, err2 := os.ReadFile("caddyfile.go")
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	for field := range reflect.TypeFor[dodosim.Behavior]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if !strings.Contains(string(page), "| `"+name) || !strings.Contains(string(grammar), "//\t\t"+name) {
			t.Error(name, "is not documented")
		}
	}
}
