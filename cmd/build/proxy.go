package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

// publish lays out a module proxy in a folder that serves one version of one module:
// the files under root that git tracks, or would after `git add --all`, as they are now.
// A file that git ignores is missing for users, and so it is here.
func publish(proxy, root, modulePath, version string) error {
	escaped, err := module.EscapePath(modulePath)
	if err != nil {
		return err
	}
	dir := filepath.Join(proxy, filepath.FromSlash(escaped), "@v")
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // nothing in it is secret
		return err
	}

	files, err := gitFiles(root)
	if err != nil {
		return err
	}
	archive, err := os.Create(filepath.Join(dir, version+".zip"))
	if err != nil {
		return err
	}
	defer archive.Close()
	if err := zip.Create(archive, module.Version{Path: modulePath, Version: version}, files); err != nil {
		return err
	}
	if err := archive.Close(); err != nil {
		return err
	}

	goMod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return err
	}
	for name, content := range map[string]string{
		"list":            version + "\n",
		version + ".info": fmt.Sprintf(`{"Version": %q}`, version),
		version + ".mod":  string(goMod),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil { //nolint:gosec // nothing in it is secret
			return err
		}
	}
	return nil
}

// gitFiles lists the regular files under root that a commit of everything would hold.
func gitFiles(root string) ([]zip.File, error) {
	out, err := git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	if err != nil {
		return nil, err
	}

	var files []zip.File
	for name := range strings.SplitSeq(strings.TrimSuffix(out, "\x00"), "\x00") {
		f := gitFile{root: root, path: name}
		if info, err := f.Lstat(); err == nil && info.Mode().IsRegular() { // not deleted, not a link
			files = append(files, f)
		}
	}
	return files, nil
}

// gitFile is a file for the archive, by its path from the module's root with slashes.
type gitFile struct{ root, path string }

func (f gitFile) name() string                 { return filepath.Join(f.root, filepath.FromSlash(f.path)) }
func (f gitFile) Path() string                 { return f.path }
func (f gitFile) Lstat() (os.FileInfo, error)  { return os.Lstat(f.name()) }
func (f gitFile) Open() (io.ReadCloser, error) { return os.Open(f.name()) }

// git runs git in a checkout and returns what it prints.
func git(root string, args ...string) (string, error) {
	cmd := exec.Command("git", append([]string{"-C", root}, args...)...) //nolint:noctx // it ends at once
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w", args[0], err)
	}
	return string(out), nil
}
