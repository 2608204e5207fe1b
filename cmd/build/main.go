// Command build makes the production binary: Caddy with dodogate and without the
// simulator, by the recipe in xcaddy.json.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

const usage = `Build Caddy with dodogate, for production: the simulator is left out.

  # in a checkout of dodogate: its working tree, into ./caddy
  go run ./cmd/build

  # the same, where your unit file or image wants it
  go run ./cmd/build -o /usr/local/bin/dodogate

  # anywhere: the published dodogate, together with other plugins of yours
  go run github.com/dodogate/dodogate/cmd/build@v0.1.0 -config my-recipe.json

The recipe is the JSON form of xcaddy's Builder: caddy_version, plugins with
module_path and version, replacements, build_flags, os and arch to compile for
another machine, and so on. A recipe that lies beside the go.mod of a plugin it
names builds that plugin from the folder, as it is there now, committed or not.

Flags:
`

func main() {
	flags := flag.NewFlagSet("build", flag.ExitOnError)
	config := flags.String("config", "xcaddy.json", "build by the recipe in this `file`")
	output := flags.String("o", "caddy", "write the binary to this `file`")
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	_ = flags.Parse(os.Args[1:]) // ExitOnError: it does not return one.
	if flags.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "build: unexpected argument %q; -h shows how to call it\n", flags.Arg(0))
		os.Exit(2)
	}

	if err := build(*config, *output); err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
}

func build(config, output string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	recipe, err := readRecipe(config)
	if err != nil {
		return err
	}
	return recipe.Build(ctx, output)
}
