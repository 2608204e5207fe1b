package simulator

import (
	"cmp"
	"strings"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "simulator",
		Short: "Plays Dodo Payments on this machine",
		Long: `Plays Dodo Payments on this machine: its API, its checkout page with test cards, and
its signed webhooks. Dodo's own SDKs work against it with only the base URL changed. No
money moves, and nothing is kept when it ends.

What is not given is made up, and printed. Secrets are also read from the environment,
DODO_PAYMENTS_API_KEY and DODO_PAYMENTS_WEBHOOK_KEY, so that no list of processes shows
them.`,
		CobraFunc: serveCommand,
	})
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "sim",
		Short: "Controls a simulator of Dodo Payments that runs",
		Long: `Controls a simulator of Dodo Payments that runs: alone, by 'simulator', or by the
directive dodo_simulator, of which --simulator is the URL with its path.

On this machine, at localhost, it needs no key.`,
		CobraFunc: simCommand,
	})
}

// Where a simulator is unless somebody says otherwise.
const (
	defaultListen = "127.0.0.1:8090"
	defaultURL    = "http://localhost:8090"
)

func simCommand(sim *cobra.Command) {
	sim.Use = "sim"
	sim.Example = examples(
		"sim trigger payment.succeeded --account ada",
		"sim advance 31d",
		"sim dispute open --account ada",
		"sim faults api 429 --calls 3",
		"sim dump",
	)
	sim.Args = cobra.NoArgs
	sim.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	flags := sim.PersistentFlags()
	flags.String("simulator", "", "URL of the simulator (default: DODOGATE_SIMULATOR, or "+defaultURL+")")
	flags.String("api-key", "", "Its API key, unless it is on this machine (default: DODOGATE_SIMULATOR_KEY)")
	flags.Bool("json", false, "Print the simulator's answer")
	sim.AddCommand(
		triggerCommand(), payCommand(), refundCommand(), disputeCommand(), cardCommand(),
		advanceCommand(), seedCommand(), dumpCommand(), resetCommand(),
		faultsCommand(), eventsCommand(), replayCommand(), holdCommand(), releaseCommand(), rotateCommand(),
	)
	examplesFirst(sim)
}

// examples are command lines as they are typed with this binary.
func examples(lines ...string) string {
	prefix := "  " + cmp.Or(caddy.CustomBinaryName, "caddy") + " "
	return prefix + strings.Join(lines, "\n"+prefix)
}

// The help of these commands begins with what one types. The rest is cobra's usage text,
// which has the examples in its middle.
const helpTemplate = `{{with .Example}}Examples:
{{.}}

{{end}}{{with (or .Long .Short)}}{{. | trimTrailingWhitespaces}}

{{end}}{{.UsageString}}`

const usageTemplate = `Usage:{{if .Runnable}}
  {{.UseLine}}{{end}}{{if .HasAvailableSubCommands}}
  {{.CommandPath}} <command>

Commands:{{range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding }} {{.Short}}{{end}}{{end}}{{end}}{{if .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableInheritedFlags}}

Flags of all commands:
{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}
`

func examplesFirst(cmd *cobra.Command) {
	cmd.SetHelpTemplate(helpTemplate)
	cmd.SetUsageTemplate(usageTemplate)
}
