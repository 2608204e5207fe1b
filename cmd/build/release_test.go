package main

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	cyclonedx "github.com/CycloneDX/cyclonedx-go"
	"github.com/caddyserver/xcaddy"
	"github.com/rogpeppe/go-internal/testscript"
)

// TestReleaseRefusals shows what is not released, before anything is built.
func TestReleaseRefusals(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("git is not installed")
	}
	testscript.Run(t, testscript.Params{Files: []string{"testdata/release.txtar"}})
}

// TestReleaseIsReproducible makes the same release in two clones of this checkout's commit, the
// second time with nothing that was compiled before. That takes minutes, so `make release-check`
// runs it, and CI does not.
func TestReleaseIsReproducible(t *testing.T) {
	if os.Getenv("RELEASE_BUILD") != "1" {
		t.Skip("compiles all of Caddy for every target; make release-check runs it")
	}
	const version = "v0.1.0"
	source, err := filepath.Abs(checkout)
	if err != nil {
		t.Fatal(err)
	}
	var lists []string
	for _, cache := range []string{goEnv(t, "GOCACHE"), t.TempDir()} {
		clone, dist := filepath.Join(t.TempDir(), "clone"), filepath.Join(t.TempDir(), "dist")
		run := func(dir, name string, args ...string) string {
			t.Helper()
			cmd := exec.CommandContext(t.Context(), name, args...)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "GOCACHE="+cache, "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%s %q: %v\n%s", name, args, err, out)
			}
			return string(out)
		}
		run(source, "git", "clone", "--quiet", "--no-tags", source, clone)
		if len(lists) == 0 {
			changelog := filepath.Join(clone, "CHANGELOG.md")
			text, err := os.ReadFile(changelog)
			if err != nil {
				t.Fatal(err)
			}
			writeFile(t, changelog, strings.Replace(string(text), "## [Unreleased]", "## [0.1.0] - 2026-01-01", 1))
			run(clone, "git", "commit", "--quiet", "--all", "--message=changelog: name the version")
			source = clone // the second clone has the same commit
		}
		run(clone, "go", "run", "./cmd/build", "-release", version, "-o", dist)
		run(dist, "sha256sum", "--check", "--strict", "SHA256SUMS")
		sums, err := os.ReadFile(filepath.Join(dist, "SHA256SUMS"))
		if err != nil {
			t.Fatal(err)
		}
		lists = append(lists, string(sums))
		if len(lists) == 1 {
			inspectRelease(t, dist, version)
		}
	}
	if lists[0] != lists[1] {
		t.Errorf("the first release is\n%sthe second is\n%s", lists[0], lists[1])
	}
	t.Logf("both are\n%s", lists[0])
}

// inspectRelease looks for the version in the binaries, and compares their modules with those
// in go.mod, with which the tests ran.
func inspectRelease(t *testing.T, dist, version string) {
	t.Helper()
	tested := make(map[string]string)
	for _, r := range goMod(t).Require {
		tested[r.Mod.Path] = r.Mod.Version
	}
	for _, target := range targets {
		binary := filepath.Join(dist, "dodogate_"+version+"_"+target[0]+"_"+target[1])
		info, err := buildinfo.ReadFile(binary)
		if err != nil {
			t.Fatal(err)
		}
		for _, module := range info.Deps {
			if want, ok := tested[module.Path]; ok && module.Version != want || module.Replace != nil {
				t.Errorf("%s has %s %s, replaced by %v; go.mod has %s", binary, module.Path, module.Version, module.Replace, want)
			}
		}
		if !isStatic(t, binary) {
			t.Errorf("%s needs libraries of the system", binary)
		}
		content, err := os.ReadFile(binary)
		if err != nil {
			t.Fatal(err)
		}
		for text, want := range map[string]bool{"dodogate " + version + " on Caddy": true, "/buildenv_": false, "dodogate-release-": false, dist: false} {
			if bytes.Contains(content, []byte(text)) != want {
				t.Errorf("%s contains %q: %v, want %v", binary, text, !want, want)
			}
		}
	}
}

// isStatic reports whether a binary runs without a loader and libraries, as it must in an
// image that has none.
func isStatic(t *testing.T, binary string) bool {
	t.Helper()
	file, err := elf.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	return !slices.ContainsFunc(file.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
}

// TestSBOM lists the modules of this test.
func TestSBOM(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var text, again bytes.Buffer
	for _, w := range []*bytes.Buffer{&text, &again} {
		if err := writeSBOM(w, self, "v1.2.3"); err != nil {
			t.Fatal(err)
		}
	}
	if text.String() != again.String() {
		t.Error("two lists of one binary differ")
	}
	var bom cyclonedx.BOM
	if err := cyclonedx.NewBOMDecoder(&text, cyclonedx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	if c := bom.Metadata.Component; c.Name != "dodogate" || c.Version != "v1.2.3" || c.PackageURL != "pkg:golang/github.com/dodogate/dodogate@v1.2.3" {
		t.Errorf("it is about %+v", c)
	}
	listed := make(map[string]string)
	for _, c := range *bom.Components {
		listed[c.Name] = c.Version
	}
	for _, r := range goMod(t).Require {
		if r.Mod.Path == "github.com/caddyserver/xcaddy" && listed[r.Mod.Path] != r.Mod.Version {
			t.Errorf("xcaddy is listed as %q, want %q", listed[r.Mod.Path], r.Mod.Version)
		}
	}
	if !strings.HasPrefix(listed["stdlib"], "1.") {
		t.Errorf("the standard library is listed as %q", listed["stdlib"])
	}
}

func TestStamp(t *testing.T) {
	for name, tt := range map[string]struct {
		recipe          xcaddy.Builder
		version, binary string
		has, not        string
		refused         bool
	}{
		"a version":              {version: "v1.2.3-rc.1", binary: "dodogate", has: "'github.com/caddyserver/caddy/v2.CustomVersion=dodogate v1.2.3-rc.1 on Caddy'"},
		"a name":                 {version: "devel", binary: "pay", has: "CustomBinaryName=pay"},
		"a name with a space":    {version: "devel", binary: "my caddy", not: "my caddy"},
		"flags of the recipe":    {recipe: xcaddy.Builder{BuildFlags: "-tags x"}, version: "devel", not: "devel"},
		"a version with a quote": {version: `v1'"`, refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			err := stamp(&tt.recipe, tt.version, tt.binary)
			if (err != nil) != tt.refused {
				t.Fatal(err)
			}
			if flags := tt.recipe.BuildFlags; !strings.Contains(flags, tt.has) || tt.not != "" && strings.Contains(flags, tt.not) {
				t.Errorf("build flags %s", flags)
			}
		})
	}
}
