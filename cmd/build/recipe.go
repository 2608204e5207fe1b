package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/caddyserver/xcaddy"
	"golang.org/x/mod/modfile"
)

// readRecipe reads an xcaddy Builder from a JSON file and refuses what the Builder
// does not know. Replacements by a relative path are taken from the recipe's folder.
//
// When a module that the recipe plugs in lies in that folder, the folder replaces it:
// a checkout builds itself and not what its version number last stood for.
func readRecipe(file string) (*xcaddy.Builder, error) {
	recipe, err := decodeRecipe(file)
	if err != nil {
		return nil, fmt.Errorf("read recipe: %w", err)
	}
	folder, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return nil, fmt.Errorf("find the recipe's folder: %w", err)
	}

	for i, r := range recipe.Replacements {
		// A module path never starts with a dot; this is the go command's rule, too.
		if strings.HasPrefix(string(r.New), ".") {
			recipe.Replacements[i] = xcaddy.NewReplace(string(r.Old), filepath.Join(folder, string(r.New)))
		}
	}

	here, err := modulePath(folder)
	if err != nil {
		return nil, fmt.Errorf("read the go.mod beside the recipe: %w", err)
	}
	if pluggedIn(recipe, here) && !replaced(recipe, here) {
		recipe.Replacements = append(recipe.Replacements, xcaddy.NewReplace(here, folder))
	}
	return recipe, nil
}

func decodeRecipe(file string) (*xcaddy.Builder, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()

	var recipe xcaddy.Builder
	decoder := json.NewDecoder(f)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&recipe); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: more than one JSON value", file)
	}
	return &recipe, nil
}

// modulePath names the module whose root is the folder; it is empty where there is none.
func modulePath(folder string) (string, error) {
	data, err := os.ReadFile(filepath.Join(folder, "go.mod"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return modfile.ModulePath(data), err
}

func pluggedIn(recipe *xcaddy.Builder, module string) bool {
	return slices.ContainsFunc(recipe.Plugins, func(p xcaddy.Dependency) bool {
		return p.PackagePath == module
	})
}

func replaced(recipe *xcaddy.Builder, module string) bool {
	return slices.ContainsFunc(recipe.Replacements, func(r xcaddy.Replace) bool {
		old, _, _ := strings.Cut(string(r.Old), "@")
		return old == module
	})
}
