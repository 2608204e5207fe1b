package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	xcaddycmd "github.com/caddyserver/xcaddy/cmd"
	"github.com/rogpeppe/go-internal/testscript"
)

// The scripts run this command and xcaddy's own, at the version in go.mod.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"build":  main,
		"xcaddy": xcaddycmd.Main,
	})
}

func TestUsage(t *testing.T) {
	testscript.Run(t, testscript.Params{Files: []string{"testdata/usage.txtar"}})
}

// TestProduction builds Caddy with dodogate in the two ways that operators do and looks
// at what came out. It compiles all of Caddy and needs the module proxy, so it runs
// only where PRODUCTION_BUILD=1 asks for it: by `make xcaddy` and in CI.
func TestProduction(t *testing.T) {
	if os.Getenv("PRODUCTION_BUILD") != "1" {
		t.Skip("compiles all of Caddy; make xcaddy runs it")
	}

	root, err := filepath.Abs(checkout)
	if err != nil {
		t.Fatal(err)
	}
	recipe, err := readRecipe(filepath.Join(root, "xcaddy.json"))
	if err != nil {
		t.Fatal(err)
	}
	ours := recipe.Plugins[0]

	testscript.Run(t, testscript.Params{
		Files: []string{"testdata/production.txtar"},
		Setup: func(env *testscript.Env) error {
			served := filepath.Join(env.WorkDir, ".proxy")
			if err := publish(served, root, ours.PackagePath, ours.Version); err != nil {
				return err
			}

			// A module cache of its own, filled from the machine's: the go command keeps
			// a module's version for ever, and this one is not the real one.
			gomodcache := goEnv(t, "GOMODCACHE")
			env.Setenv("GOMODCACHE", filepath.Join(env.WorkDir, ".modcache"))
			env.Setenv("GOFLAGS", strings.TrimSpace(goEnv(t, "GOFLAGS")+" -modcacherw"))
			env.Setenv("GOPROXY", strings.Join([]string{
				"file://" + filepath.ToSlash(served),
				"file://" + filepath.ToSlash(filepath.Join(gomodcache, "cache", "download")),
				goEnv(t, "GOPROXY"),
			}, ","))
			env.Setenv("GONOSUMDB", strings.Trim(goEnv(t, "GONOSUMDB")+","+ours.PackagePath, ","))
			env.Setenv("GOSUMDB", goEnv(t, "GOSUMDB"))
			env.Setenv("GOCACHE", goEnv(t, "GOCACHE"))
			env.Setenv("GOTOOLCHAIN", goEnv(t, "GOTOOLCHAIN"))

			env.Setenv("HOME", filepath.Join(env.WorkDir, ".home")) // Caddy's data, and what else go writes.
			env.Setenv("ROOT", root)
			env.Setenv("CADDY", recipe.CaddyVersion)
			env.Setenv("DODOGATE", ours.String())
			env.Setenv("VERSION", ours.Version)
			return nil
		},
	})
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
	if err != nil {
		t.Fatalf("go env %s: %v", name, err)
	}
	return strings.TrimSpace(string(out))
}
