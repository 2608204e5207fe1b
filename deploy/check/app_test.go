package check_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestSampleApp runs the app of deploy/compose and does what a visitor and the gateway do.
func TestSampleApp(t *testing.T) {
	app := exec.CommandContext(t.Context(), needs(t, "python3"), "-u", "../compose/app/app.py")
	app.Env = append(os.Environ(), "HOST=127.0.0.1", "PORT=0", "PYTHONDONTWRITEBYTECODE=1")
	output, err := app.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = app.Process.Kill()
		_ = app.Wait()
	})
	line, err := bufio.NewReader(output).ReadString('\n')
	address, found := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if err != nil || !found {
		t.Fatalf("it says %q, %v", line, err)
	}
	client := &http.Client{Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ask := func(method, path, form string, header ...string) (status int, body, cookie string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+path, strings.NewReader(form))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		cookie, _, _ = strings.Cut(resp.Header.Get("Set-Cookie"), ";")
		return resp.StatusCode, string(text), cookie
	}
	_, _, session := ask("POST", "/login", "name=alice")
	for name, tt := range map[string]struct {
		method, path, form string
		header             []string
		want               string
	}{
		"who a stranger is":      {"GET", "/api/me", "", nil, `200 {"user": null}`},
		"who a forged cookie is": {"GET", "/api/me", "", []string{"Cookie", "session=x"}, `200 {"user": null}`},
		"who is signed in":       {"GET", "/api/me", "", []string{"Cookie", session}, `200 {"user": {"id": "alice"}}`},
		"a page for strangers":   {"GET", "/", "", []string{"X-Entitlement-User", ""}, `200 <a href="/login">Sign in</a>`},
		"a page for alice":       {"GET", "/", "", []string{"X-Entitlement-User", "alice", "X-Entitlement-Credits", "7"}, `200 <p>alice has 7 credits.</p>`},
		"a name with markup":     {"GET", "/", "", []string{"X-Entitlement-User", "%3Cb%3E"}, `200 <p>&lt;b&gt; has`},
		"what costs a credit":    {"POST", "/generate", "", nil, "200 made for you: "},
		"a name that is refused": {"POST", "/login", "name=%22", nil, "400 "},
		"no such page":           {"GET", "/nothing", "", nil, "404 not found"},
	} {
		t.Run(name, func(t *testing.T) {
			status, body, _ := ask(tt.method, tt.path, tt.form, tt.header...)
			if got := fmt.Sprint(status, " ", body); !strings.HasPrefix(got, tt.want) {
				t.Errorf("answers %q, want %q", got, tt.want)
			}
		})
	}
}
