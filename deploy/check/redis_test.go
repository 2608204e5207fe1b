package check_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSecretsScript makes secrets twice: nothing changes, and nothing is printed.
func TestSecretsScript(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "secrets")
	run := func() (string, error) {
		out, err := exec.CommandContext(t.Context(), "../compose/secrets.sh", dir).CombinedOutput()
		return string(out), err
	}
	said, err := run()
	if err == nil || !strings.Contains(said, dir+"/dodo_api_key "+dir+"/dodo_webhook_secret") {
		t.Fatalf("without Dodo's values: %v, %s", err, said)
	}
	before := make(map[string]string)
	for _, name := range []string{"redis_password", "redis_users", "dodo_proof_secret"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		before[name] = string(text)
		if len(text) < 24 || strings.Contains(said, string(text)) {
			t.Errorf("%s has %d bytes, or is printed", name, len(text))
		}
	}
	for _, name := range []string{"dodo_api_key", "dodo_webhook_secret"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("from Dodo"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if said, err := run(); err != nil || said != "" {
		t.Errorf("with Dodo's values: %v, %s", err, said)
	}
	for name, was := range before {
		if text, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(text) != was {
			t.Errorf("%s has changed, %v", name, err)
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("other users may look into the folder: %v, %v", info.Mode(), err)
	}
}

// TestRedis starts Redis with the config and the users of deploy/compose.
func TestRedis(t *testing.T) {
	server, client := needs(t, "redis-server"), needs(t, "redis-cli")
	// Not t.TempDir: the path of a socket is short.
	dir, err := os.MkdirTemp("", "dodogate-redis") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	_ = exec.CommandContext(t.Context(), "../compose/secrets.sh", dir).Run() // fails: it has no values of Dodo
	password, err := os.ReadFile(filepath.Join(dir, "redis_password"))
	if err != nil {
		t.Fatal(err)
	}
	config := strings.NewReplacer("dir /data", "dir "+dir, "/run/secrets/", dir+"/").Replace(read(t, "compose/redis/redis.conf"))
	file, socket := filepath.Join(dir, "redis.conf"), filepath.Join(dir, "socket")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	process := exec.CommandContext(t.Context(), server, file, "--port", "0", "--unixsocket", socket)
	var log strings.Builder
	process.Stdout, process.Stderr = &log, &log
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = process.Process.Kill()
		_ = process.Wait()
		if t.Failed() {
			t.Log(&log)
		}
	})
	do := func(user, password string, args ...string) string {
		cmd := exec.CommandContext(t.Context(), client, append([]string{"-s", socket, "--no-auth-warning"}, args...)...)
		if user != "" {
			cmd.Args = append([]string{client, "-s", socket, "--no-auth-warning", "--user", user, "--pass", password}, args...)
		}
		out, _ := cmd.CombinedOutput()
		return strings.TrimSpace(string(out))
	}
	for deadline := time.Now().Add(time.Minute); do("", "", "ping") != "PONG"; {
		if time.Now().After(deadline) {
			t.Fatal("it does not answer")
		}
	}
	for _, tt := range []struct{ user, command, want string }{
		{"", "get dodogate:x", "NOPERM"},
		{"", "config get maxmemory", "NOPERM"},
		{"dodogate", "set dodogate:x 1", "OK"},
		{"dodogate", "set other 1", "NOPERM"},
		{"dodogate", "flushall", "NOPERM"},
	} {
		if got := do(tt.user, string(password), strings.Fields(tt.command)...); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s as %q: %s, want %s", tt.command, tt.user, got, tt.want)
		}
	}
	if got := do("dodogate", "wrong", "get", "dodogate:x"); strings.Contains(got, "1") && !strings.Contains(got, "WRONGPASS") {
		t.Errorf("with a wrong password: %s", got)
	}
	memory := do("dodogate", string(password), "info", "memory", "persistence")
	for _, want := range []string{"maxmemory_policy:noeviction", "maxmemory:314572800", "aof_enabled:1"} {
		if !strings.Contains(memory, want) {
			t.Errorf("info does not say %s", want)
		}
	}
}

// TestRedisUser compares the user's rights with those that docs/caddyfile.md asks for.
func TestRedisUser(t *testing.T) {
	rights := func(text, before string) string {
		t.Helper()
		_, text, found := strings.Cut(text, before)
		line, _, _ := strings.Cut(text, "\n")
		if !found {
			t.Fatalf("there is no %q", before)
		}
		return line
	}
	documented := rights(read(t, "../docs/caddyfile.md"), "ACL SETUSER dodogate on >PASSWORD ")
	if got := rights(read(t, "compose/redis/users.acl"), "user dodogate on #HASH sanitize-payload "); got != documented {
		t.Errorf("the user has\n%s, want\n%s", got, documented)
	}
}
