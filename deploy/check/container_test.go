package check_test

import (
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"
)

var goImage = regexp.MustCompile(`^golang:(\d+\.\d+\.\d+)-bookworm$`)

// TestContainerFile parses the file as docker build does, and looks at the image that it makes.
func TestContainerFile(t *testing.T) {
	parsed, err := parser.Parse(strings.NewReader(read(t, "container/Dockerfile")))
	if err != nil {
		t.Fatal(err)
	}
	for _, warning := range parsed.Warnings {
		t.Error(warning)
	}
	stages, _, err := instructions.Parse(parsed.AST, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(stages) != 2 {
		t.Fatalf("%d stages", len(stages))
	}
	build, image := stages[0], stages[1]

	goMod, err := modfile.ParseLax("go.mod", []byte(read(t, "../go.mod")), nil)
	if err != nil {
		t.Fatal(err)
	}
	if match := goImage.FindStringSubmatch(build.BaseName); match == nil || semver.Compare("v"+match[1], "v"+goMod.Go.Version) < 0 {
		t.Errorf("it is built in %s; go.mod asks for Go %s", build.BaseName, goMod.Go.Version)
	}
	if image.BaseName != "scratch" {
		t.Errorf("the image is made from %s", image.BaseName)
	}
	var user, entrypoint, recipe string
	for _, command := range build.Commands {
		if arg, ok := command.(*instructions.ArgCommand); ok && arg.Args[0].Key == "RECIPE" {
			recipe = arg.Args[0].ValueString()
		}
	}
	read(t, "../"+recipe)
	for _, command := range image.Commands {
		switch command := command.(type) {
		case *instructions.CopyCommand:
			if command.From != build.Name || command.Chown != "" && command.Chown != "65532:65532" {
				t.Errorf("%s", command)
			}
		case *instructions.UserCommand:
			user = command.User
		case *instructions.EntrypointCommand:
			if command.PrependShell {
				t.Error("the entry point needs a shell")
			}
			entrypoint = strings.Join(command.CmdLine, " ")
		case *instructions.RunCommand, *instructions.AddCommand:
			t.Errorf("an image without a shell cannot %s", command.Name())
		}
	}
	if uid, _, _ := strings.Cut(user, ":"); uid == "" || uid == "0" || !isNumber(uid) {
		t.Errorf("it runs as %q; Kubernetes' runAsNonRoot needs the number of another user", user)
	}
	if entrypoint != "/usr/bin/dodogate" {
		t.Errorf("it runs %q", entrypoint)
	}
}

// TestBuildContext compares .dockerignore with what git has.
func TestBuildContext(t *testing.T) {
	patterns, err := ignorefile.ReadAll(strings.NewReader(read(t, "../.dockerignore")))
	if err != nil {
		t.Fatal(err)
	}
	ignored, err := patternmatcher.New(patterns)
	if err != nil {
		t.Fatal(err)
	}
	matches := func(file string) bool {
		t.Helper()
		match, err := ignored.MatchesOrParentMatches(file)
		if err != nil {
			t.Fatal(err)
		}
		return match
	}
	out, err := exec.CommandContext(t.Context(), needs(t, "git"), "-C", "../..", "ls-files", "*.go", "go.*", "*.html", "*.lua", "xcaddy.json").Output()
	if err != nil {
		t.Fatal(err)
	}
	files := strings.Fields(string(out))
	if len(files) < 100 {
		t.Fatalf("git has only %d files", len(files))
	}
	for _, file := range files {
		if matches(file) {
			t.Errorf("the build lacks %s", file)
		}
	}
	for _, file := range []string{"deploy/compose/secrets/dodo_api_key", "deploy/docker-proxy/secrets/dodo_api_key", ".git/config", "internal/dodo/testdata/standardwebhooks/node_modules/x"} {
		if !matches(file) {
			t.Errorf("the build gets %s", file)
		}
	}
}

func isNumber(text string) bool {
	_, err := strconv.Atoi(text)
	return err == nil
}
