package check_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/coreos/go-systemd/v22/unit"
)

const unitFile = "systemd/dodogate.service"

// TestUnit reads the unit and compares it with the Caddyfile beside it.
func TestUnit(t *testing.T) {
	options, err := unit.DeserializeOptions(strings.NewReader(read(t, unitFile)))
	if err != nil {
		t.Fatal(err)
	}
	values := make(map[string][]string)
	for _, option := range options {
		if !slices.Contains([]string{"Unit", "Service", "Install"}, option.Section) {
			t.Errorf("the section %s", option.Section)
		}
		values[option.Name] = append(values[option.Name], option.Value)
	}
	for name, want := range map[string]string{
		"Type": "notify", "DynamicUser": "yes", "NoNewPrivileges": "yes", "ProtectSystem": "strict", "StateDirectoryMode": "0700",
		"AmbientCapabilities": "CAP_NET_BIND_SERVICE", "CapabilityBoundingSet": "CAP_NET_BIND_SERVICE",
	} {
		if !slices.Equal(values[name], []string{want}) {
			t.Errorf("%s is %q, want %q", name, values[name], want)
		}
	}
	for _, command := range slices.Concat(values["ExecStart"], values["ExecReload"]) {
		if strings.Contains(command, "--environ") || !strings.Contains(command, "--config /etc/dodogate/Caddyfile") {
			t.Errorf("it runs %s", command)
		}
	}
	var credentials []string
	for _, credential := range values["LoadCredential"] {
		name, file, _ := strings.Cut(credential, ":")
		if file != "/etc/dodogate/secrets/"+name {
			t.Errorf("the credential %s is read from %s", name, file)
		}
		credentials = append(credentials, name)
	}
	slices.Sort(credentials)
	if want := secretsOf(t, "systemd/Caddyfile"); !slices.Equal(credentials, want) {
		t.Errorf("the credentials are %v, the Caddyfile reads %v", credentials, want)
	}
	if !strings.Contains(strings.Join(values["Environment"], " "), "SECRETS=%d") {
		t.Errorf("the environment %q has no folder of credentials", values["Environment"])
	}
}

// TestUnitBySystemd lets systemd look at the unit.
func TestUnitBySystemd(t *testing.T) {
	program, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed; TestUnit has looked at the unit")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), filepath.Base(unitFile))
	text := strings.ReplaceAll(read(t, unitFile), "/usr/local/bin/dodogate", self) // which is there
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), program, "verify", "--man=no", file).CombinedOutput()
	if err != nil || len(bytes.TrimSpace(out)) > 0 {
		t.Errorf("verify: %v\n%s", err, out)
	}
	help, err := exec.CommandContext(t.Context(), program, "--help").Output()
	if err != nil || !strings.Contains(string(help), "--threshold") {
		t.Logf("this systemd does not judge units: %v", err)
		return
	}
	// Tenths, of 100 for a unit without any protection.
	if out, err := exec.CommandContext(t.Context(), program, "security", "--no-pager", "--offline=true", "--threshold=20", file).CombinedOutput(); err != nil {
		t.Errorf("security: %v\n%s", err, out)
	}
}
