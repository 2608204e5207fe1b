// Command build makes the production binary: Caddy with dodogate and without the
// simulator, by the recipe in xcaddy.json.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

const usage = `Build Caddy with dodogate, for production: the simulator is left out.

  # in a checkout of dodogate: its working tree, into ./caddy
  go run ./cmd/build

  # the same, where your unit file or image wants it
  go run ./cmd/build -o /usr/local/bin/dodogate

  # a release: binaries, SBOMs and checksums of the commit that is checked out
  go run ./cmd/build -release v0.1.0 -o dist

  # anywhere: the published dodogate, together with other plugins of yours
  go run github.com/dodogate/dodogate/cmd/build@v0.1.0 -config my-recipe.json

The recipe is the JSON form of xcaddy's Builder: caddy_version, plugins with
module_path and version, replacements, build_flags, os and arch to compile for
another machine, and so on. A recipe that lies beside the go.mod of a plugin it
names builds that plugin from the folder, as it is there now, committed or not.

A release needs a section of its version in CHANGELOG.md and in git no changes. Two
releases of a commit by the same version of Go are the same, byte by byte.

Flags:
`

func main() {
	flags := flag.NewFlagSet("build", flag.ExitOnError)
	config := flags.String("config", "xcaddy.json", "build by the recipe in this `file`")
	output := flags.String("o", "caddy", "write the binary to this `file`, or the release into this folder")
	version := flags.String("version", development, "the `version` that the binary gives as its own")
	released := flags.String("release", "", "make the release of this `version`")
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	_ = flags.Parse(os.Args[1:]) // ExitOnError: it does not return one.
	if flags.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "build: unexpected argument %q; -h shows how to call it\n", flags.Arg(0))
		os.Exit(2)
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if *released != "" {
		err = release(ctx, *config, *released, *output)
	} else {
		err = build(ctx, *config, *version, *output)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
}

func build(ctx context.Context, config, version, output string) error {
	recipe, err := readRecipe(config)
	if err != nil {
		return err
	}
	if err := stamp(recipe, version, filepath.Base(output)); err != nil {
		return err
	}
	return recipe.Build(ctx, output)
}
