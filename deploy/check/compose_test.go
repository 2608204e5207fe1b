package check_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

func load(t *testing.T, file string, env ...string) (*types.Project, error) {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{file}, cli.WithEnv(env), cli.WithResolvedPaths(true))
	if err != nil {
		t.Fatal(err)
	}
	return options.LoadProject(t.Context())
}

// TestCompose loads the files as docker compose does, and looks at what each container may do.
func TestCompose(t *testing.T) {
	for name, tt := range map[string]struct{ folder, caddyfile, internal string }{
		"compose":      {folder: "../compose", caddyfile: "compose/gateway/Caddyfile", internal: "store"},
		"docker-proxy": {folder: "../docker-proxy", caddyfile: "docker-proxy/gateway/Caddyfile", internal: "docker"},
	} {
		t.Run(name, func(t *testing.T) {
			project, err := load(t, filepath.Join(tt.folder, "compose.yaml"), "SITE_ADDRESS=app.example.com")
			if err != nil {
				t.Fatal(err)
			}
			for _, service := range project.Services {
				lookAtService(t, service)
			}
			for _, network := range []string{"app", tt.internal} {
				if !project.Networks[network].Internal {
					t.Errorf("the network %s leads outside", network)
				}
			}
			var secrets []string
			for _, secret := range project.Services["gateway"].Secrets {
				secrets = append(secrets, secret.Source)
			}
			slices.Sort(secrets)
			if want := secretsOf(t, tt.caddyfile); !slices.Equal(secrets, want) {
				t.Errorf("the gateway gets the secrets %v, its Caddyfile reads %v", secrets, want)
			}
			for name, secret := range project.Secrets {
				if filepath.Base(filepath.Dir(secret.File)) != "secrets" {
					t.Errorf("the secret %s is in %s, which git does not ignore", name, secret.File)
				}
			}
		})
	}
}

func lookAtService(t *testing.T, service types.ServiceConfig) {
	t.Helper()
	gateway := service.Name == "gateway"
	// Docker's socket belongs to root, and the proxy writes its own config at the start.
	socket := slices.ContainsFunc(service.Volumes, func(v types.ServiceVolumeConfig) bool { return v.Target == "/var/run/docker.sock" })
	for what, ok := range map[string]bool{
		"all capabilities are dropped":      slices.Equal(service.CapDrop, []string{"ALL"}) && len(service.CapAdd) == 0,
		"no new privileges":                 slices.Contains(service.SecurityOpt, "no-new-privileges:true"),
		"memory and processes are limited":  service.MemLimit > 0 && service.PidsLimit > 0,
		"it starts again":                   service.Restart == "unless-stopped",
		"only the gateway has ports":        gateway == (len(service.Ports) > 0),
		"only the gateway leads outside":    gateway == slices.Contains(service.NetworksByPriority(), "outside"),
		"the image has a version":           service.Build != nil || strings.Contains(service.Image, ":") && !strings.HasSuffix(service.Image, ":latest"),
		"the root file system is read-only": service.ReadOnly || socket || service.Build == nil && strings.HasPrefix(service.Image, "images.example.com/"),
		"the user is not root":              service.User != "" && !strings.HasPrefix(service.User, "0") || socket || strings.HasPrefix(service.Image, "images.example.com/"),
		"the gateway and Redis are watched": service.HealthCheck != nil || !gateway && service.Name != "redis",
		"stopping takes its time":           service.StopGracePeriod != nil || !gateway && service.Name != "redis",
	} {
		if !ok {
			t.Errorf("%s: it does not hold that %s", service.Name, what)
		}
	}
	for _, volume := range service.Volumes {
		if volume.Type != types.VolumeTypeBind {
			continue
		}
		if !volume.ReadOnly {
			t.Errorf("%s writes to %s", service.Name, volume.Source)
		}
		if _, err := os.Stat(volume.Source); err != nil && !socket {
			t.Error(err)
		}
	}
	if service.Build == nil {
		return
	}
	if _, err := os.Stat(filepath.Join(service.Build.Context, service.Build.Dockerfile)); err != nil {
		t.Error(err)
	}
	if recipe := service.Build.Args["RECIPE"]; recipe != nil {
		if _, err := os.Stat(filepath.Join(service.Build.Context, *recipe)); err != nil {
			t.Error(err)
		}
	}
}

func TestComposeNeedsAnAddress(t *testing.T) {
	if _, err := load(t, "../compose/compose.yaml"); err == nil || !strings.Contains(err.Error(), "SITE_ADDRESS") {
		t.Errorf("without an address: %v", err)
	}
}
