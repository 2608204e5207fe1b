package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/caddyserver/xcaddy"
)

// targets are the systems and processors that a release has binaries for.
var targets = [][2]string{{"linux", "amd64"}, {"linux", "arm64"}}

// release builds a version from the commit that is checked out, and writes a binary and its
// SBOM for every target, the notes of the version and a list of checksums. Other folders and
// machines with the same version of Go make the same bytes.
//
// dodogate itself is built as users of the version get it: packed as a module, and fetched
// from a module proxy in a folder. So no path of this machine is in the binaries.
func release(ctx context.Context, config, version, folder string) error {
	recipe, err := decodeRecipe(config)
	if err != nil {
		return fmt.Errorf("read recipe: %w", err)
	}
	root := filepath.Dir(config)
	ours, err := releasable(recipe, root, version)
	if err != nil {
		return err
	}
	changelog, err := os.ReadFile(filepath.Join(root, "CHANGELOG.md"))
	if err != nil {
		return err
	}
	notes, err := releaseNotes(string(changelog), version)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "dodogate-release-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	if err := publish(filepath.Join(work, "proxy"), root, ours.PackagePath, version); err != nil {
		return fmt.Errorf("pack the module: %w", err)
	}
	if err := isolate(ctx, work, ours.PackagePath); err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // nothing in it is secret
		return err
	}
	if err := stamp(recipe, version, "dodogate"); err != nil {
		return err
	}
	files := []string{"NOTES.md"}
	if err := os.WriteFile(filepath.Join(folder, "NOTES.md"), []byte(notes), 0o644); err != nil { //nolint:gosec // nothing in it is secret
		return err
	}
	for _, target := range targets {
		name := fmt.Sprintf("dodogate_%s_%s_%s", version, target[0], target[1])
		recipe.OS, recipe.Arch = target[0], target[1]
		if err := recipe.Build(ctx, filepath.Join(folder, name)); err != nil {
			return fmt.Errorf("build for %s/%s: %w", target[0], target[1], err)
		}
		if err := saveSBOM(folder, name, version); err != nil {
			return err
		}
		files = append(files, name, name+".cdx.json")
	}
	return writeChecksums(folder, files)
}

// releasable reports the recipe's dependency on the module at root, if the commit that is
// checked out can be released as a version.
func releasable(recipe *xcaddy.Builder, root, version string) (ours xcaddy.Dependency, err error) {
	path, err := modulePath(root)
	if err != nil {
		return ours, fmt.Errorf("read the go.mod beside the recipe: %w", err)
	}
	for _, p := range recipe.Plugins {
		if p.PackagePath == path {
			ours = p
		}
	}
	changes, err := git(root, "status", "--porcelain")
	if err != nil {
		return ours, err
	}
	tagged, err := git(root, "tag", "--list", version)
	if err != nil {
		return ours, err
	}
	switch {
	case path == "" || ours.PackagePath != path:
		return ours, errors.New("the recipe does not plug in the module beside it")
	case len(recipe.Replacements) > 0:
		return ours, errors.New("the recipe has replacements, which users of the version would not get")
	case ours.Version != version:
		return ours, fmt.Errorf("the recipe plugs in %s, not %s", ours.Version, version)
	case changes != "":
		return ours, fmt.Errorf("the working tree has changes that are not committed:\n%s", changes)
	case tagged == "":
		return ours, nil
	}
	tags, err := git(root, "tag", "--points-at", "HEAD")
	if err == nil && !strings.Contains("\n"+tags, "\n"+version+"\n") {
		err = fmt.Errorf("the tag %s is on another commit", version)
	}
	return ours, err
}

// isolate sets the environment of the go commands that follow, so that nothing of this
// machine's settings gets into a binary. The module cache is a new one, filled from the
// machine's: the go command keeps a version for ever, and this one may still change.
func isolate(ctx context.Context, work, module string) error {
	was := make(map[string]string)
	for _, name := range []string{"GOMODCACHE", "GOPROXY", "GONOSUMDB"} {
		out, err := exec.CommandContext(ctx, "go", "env", name).Output()
		if err != nil {
			return fmt.Errorf("go env %s: %w", name, err)
		}
		was[name] = strings.TrimSpace(string(out))
	}
	for name, value := range map[string]string{
		"GOMODCACHE": filepath.Join(work, "modcache"),
		"GOPROXY": strings.Join([]string{
			"file://" + filepath.ToSlash(filepath.Join(work, "proxy")),
			"file://" + filepath.ToSlash(filepath.Join(was["GOMODCACHE"], "cache", "download")),
			was["GOPROXY"],
		}, ","),
		"GONOSUMDB": strings.Trim(was["GONOSUMDB"]+","+module, ","),
		"GOFLAGS":   "-modcacherw -buildvcs=false",
		"GOWORK":    "off", "GOEXPERIMENT": "", "GOAMD64": "v1", "GOARM64": "v8.0",
	} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	return nil
}

func saveSBOM(folder, binary, version string) error {
	f, err := os.Create(filepath.Join(folder, binary+".cdx.json"))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := writeSBOM(f, filepath.Join(folder, binary), version); err != nil {
		return err
	}
	return f.Close()
}

// writeChecksums writes SHA256SUMS, which sha256sum -c reads.
func writeChecksums(folder string, files []string) error {
	var lines strings.Builder
	for _, name := range files {
		sum, err := checksum(filepath.Join(folder, name))
		if err != nil {
			return err
		}
		fmt.Fprintf(&lines, "%x  %s\n", sum, name)
	}
	return os.WriteFile(filepath.Join(folder, "SHA256SUMS"), []byte(lines.String()), 0o644) //nolint:gosec // nothing in it is secret
}

func checksum(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return nil, err
	}
	return sum.Sum(nil), nil
}
