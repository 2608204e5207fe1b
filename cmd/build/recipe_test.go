package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/caddyserver/xcaddy"
	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
)

const checkout = "../.."

// goMod is the go.mod of this checkout.
func goMod(t *testing.T) *modfile.File {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(checkout, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	file, err := modfile.Parse("go.mod", data, nil)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// The tests run against go.mod's Caddy; the recipe must not promise another one.
func TestShippedRecipeMatchesGoMod(t *testing.T) {
	recipe, err := readRecipe(filepath.Join(checkout, "xcaddy.json"))
	if err != nil {
		t.Fatal(err)
	}
	mod := goMod(t)

	var tested string
	for _, r := range mod.Require {
		if r.Mod.Path == "github.com/caddyserver/caddy/v2" {
			tested = r.Mod.Version
		}
	}
	if recipe.CaddyVersion != tested {
		t.Errorf("xcaddy.json builds Caddy %s, go.mod tests %s", recipe.CaddyVersion, tested)
	}

	if len(recipe.Plugins) != 1 {
		t.Fatalf("xcaddy.json plugs in %v, want dodogate alone", recipe.Plugins)
	}
	ours := recipe.Plugins[0]
	if ours.PackagePath != mod.Module.Mod.Path {
		t.Errorf("xcaddy.json plugs in %s, go.mod says %s", ours.PackagePath, mod.Module.Mod.Path)
	}
	if err := module.Check(ours.PackagePath, ours.Version); err != nil {
		t.Errorf("xcaddy.json asks for a version that cannot be published: %v", err)
	}
}

func TestReadRecipe(t *testing.T) {
	const (
		ours   = `{"plugins": [{"module_path": "example.com/ours", "version": "v1.2.3"}]}`
		pinned = `{"plugins": [{"module_path": "example.com/ours"}],
			"replacements": [{"old": "example.com/ours@v1.2.3", "new": "../fork"}]}`
	)
	tests := []struct {
		name, recipe, goMod string
		old, new            string // the one replacement wanted; new is relative to the recipe's folder
	}{
		{name: "beside the plugin's go.mod", recipe: ours, goMod: "module example.com/ours", old: "example.com/ours", new: "."},
		{name: "beside another go.mod", recipe: ours, goMod: "module example.com/other"},
		{name: "beside no go.mod", recipe: ours},
		{name: "own replacement wins", recipe: pinned, goMod: "module example.com/ours", old: "example.com/ours@v1.2.3", new: "../fork"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			folder := t.TempDir()
			file := filepath.Join(folder, "xcaddy.json")
			writeFile(t, file, tt.recipe)
			if tt.goMod != "" {
				writeFile(t, filepath.Join(folder, "go.mod"), tt.goMod)
			}

			recipe, err := readRecipe(file)
			if err != nil {
				t.Fatal(err)
			}
			var want []xcaddy.Replace
			if tt.old != "" {
				want = append(want, xcaddy.NewReplace(tt.old, filepath.Join(folder, tt.new)))
			}
			if len(recipe.Replacements) != len(want) || len(want) == 1 && recipe.Replacements[0] != want[0] {
				t.Errorf("replacements are %v, want %v", recipe.Replacements, want)
			}
		})
	}
}

func writeFile(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
