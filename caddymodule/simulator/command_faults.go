package simulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"
)

func faultsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "faults",
		Short: "Lets API calls and webhooks go wrong",
		Long: `Lets API calls and webhooks go wrong, by chance that a seed repeats, until it is
cleared. Without a command it shows what goes wrong now.`,
		Example: examples(
			"sim faults",
			"sim faults api 429 --calls 10 --retry-after 3",
			"sim faults api lost-reply --method POST --path /refunds --calls 1",
			"sim faults webhooks --seed 7 --drop 0.1 --duplicate 0.2 --max-delay 5s",
			"sim faults clear",
		),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return printFaults(cmd, http.MethodGet, "faults", nil) },
	}
	clearAll := &cobra.Command{
		Use:     "clear",
		Short:   "Lets all be well again",
		Example: examples("sim faults clear"),
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return printFaults(cmd, http.MethodDelete, "faults", nil) },
	}
	cmd.AddCommand(apiFaultsCommand(), webhookFaultsCommand(), clearAll)
	return cmd
}

// printFaults shows what goes wrong after a call.
func printFaults(cmd *cobra.Command, method, path string, body any) error {
	now, printed, err := answer[map[string]json.RawMessage](cmd, method, path, body)
	if err != nil || printed {
		return err
	}
	t := newTable(cmd.OutOrStdout())
	t.row("api calls", well(now["api"]))
	t.row("webhooks", well(now["webhooks"]))
	held := "no"
	if string(now["webhooks_held"]) == "true" {
		held = "yes"
	}
	t.row("webhooks held", held)
	return t.print()
}

func well(wrong json.RawMessage) string {
	if len(wrong) == 0 || string(wrong) == "null" {
		return "as they should be"
	}
	return string(wrong)
}

// apiFault is what PUT /__sim/faults/api takes.
type apiFault struct {
	Kind       string  `json:"kind"`
	Status     int     `json:"status,omitempty"`
	Body       string  `json:"body,omitempty"`
	RetryAfter *int    `json:"retry_after,omitempty"`
	Location   string  `json:"location,omitempty"`
	Delay      string  `json:"delay,omitempty"`
	SlowBody   string  `json:"slow_body,omitempty"`
	Calls      int     `json:"calls,omitempty"`
	Method     string  `json:"method,omitempty"`
	Path       string  `json:"path,omitempty"`
	Share      float64 `json:"share,omitempty"`
	Seed       uint64  `json:"seed,omitempty"`
}

func apiFaultsCommand() *cobra.Command {
	words := []string{"429", "500", "502", "503", "redirect", "lost-reply", "cut", "endless", "delay", "slow"}
	var fault apiFault
	cmd := &cobra.Command{
		Use:   "api " + strings.Join(words, "|"),
		Short: "Lets API calls go wrong",
		Long: `Lets API calls go wrong:

  429         too many requests, with Retry-After and no body
  500, 502    an HTML page, as of a proxy
  503         Dodo's own JSON
  redirect    307
  lost-reply  it is done, and nobody hears of it
  cut         an answer that breaks off in the middle
  endless     an answer that does not end
  delay       an answer that begins late
  slow        an answer that takes its time

Without --calls all calls go wrong until 'faults clear'. --path is a route, such as
/payments/{id}.`,
		Example: examples(
			"sim faults api 429 --calls 10 --retry-after 3",
			"sim faults api 502 --share 0.3 --seed 7",
			"sim faults api lost-reply --method POST --path /refunds --calls 1",
			"sim faults api delay --delay 20s",
			"sim faults api redirect --location https://example.com/",
		),
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: words,
	}
	flags := cmd.Flags()
	flags.IntVar(&fault.Calls, "calls", 0, "How many calls go wrong; all")
	flags.StringVar(&fault.Method, "method", "", "Only calls by this method")
	flags.StringVar(&fault.Path, "path", "", "Only calls to this route")
	flags.Float64Var(&fault.Share, "share", 0, "The share of the calls, above 0 and up to 1; all")
	flags.Uint64Var(&fault.Seed, "seed", 0, "What selects them")
	flags.StringVar(&fault.Body, "body", "", "Another body")
	flags.StringVar(&fault.Location, "location", "", "Where a redirect leads")
	flags.StringVar(&fault.Delay, "delay", "", "How long before it begins (delay: 30s)")
	flags.StringVar(&fault.SlowBody, "slow-body", "", "How long its body takes (slow: 30s)")
	retryAfter := flags.Int("retry-after", 1, "Retry-After in seconds (429)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		fault.Kind = strings.ReplaceAll(args[0], "-", "_")
		if cmd.Flags().Changed("retry-after") {
			fault.RetryAfter = retryAfter
		}
		return printFaults(cmd, http.MethodPut, "faults/api", fault)
	}
	return cmd
}

// mischief is what PUT /__sim/faults/webhooks takes, and a shuffled release.
type mischief struct {
	Seed      uint64  `json:"seed,omitempty"`
	Drop      float64 `json:"drop,omitempty"`
	Duplicate float64 `json:"duplicate,omitempty"`
	NewID     float64 `json:"new_id,omitempty"`
	Corrupt   float64 `json:"corrupt,omitempty"`
	LoseReply float64 `json:"lose_reply,omitempty"`
	EventTime float64 `json:"event_time,omitempty"`
	Slow      float64 `json:"slow,omitempty"`
	SlowFor   string  `json:"slow_for,omitempty"`
	MaxDelay  string  `json:"max_delay,omitempty"`
}

// flags are those of a command that takes mischief.
func (m *mischief) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.Uint64Var(&m.Seed, "seed", 0, "What selects the events; the same seed selects the same ones")
	flags.Float64Var(&m.Drop, "drop", 0, "The share that is never sent, but by a replay")
	flags.Float64Var(&m.Duplicate, "duplicate", 0, "The share that is sent twice")
	flags.Float64Var(&m.NewID, "new-id", 0, "The share that is sent once more under another webhook-id")
	flags.Float64Var(&m.Corrupt, "corrupt", 0, "The share of which one byte changes on the way, at the first attempt")
	flags.Float64Var(&m.LoseReply, "lose-reply", 0, "The share whose first answer gets lost, so that it is sent again")
	flags.Float64Var(&m.EventTime, "event-time", 0, "The share whose body stays as it was when the event happened")
	flags.Float64Var(&m.Slow, "slow", 0, "The share whose body takes its time, at the first attempt")
	flags.StringVar(&m.SlowFor, "slow-for", "", "How long that is; an attempt ends after 15s")
}

func webhookFaultsCommand() *cobra.Command {
	var m mischief
	cmd := &cobra.Command{
		Use:   "webhooks",
		Short: "Lets webhooks go wrong",
		Long: `Lets webhooks of events from now on go wrong. Shares are from 0, none, to 1, all. An
event can have several of these fates; one that is dropped has no other.

For an order that repeats, 'sim hold' and 'sim release --shuffle'.`,
		Example: examples(
			"sim faults webhooks --duplicate 1",
			"sim faults webhooks --seed 7 --drop 0.1 --duplicate 0.2 --max-delay 5s",
			"sim faults webhooks --corrupt 1",
			"sim faults webhooks --slow 0.5 --slow-for 10s",
			"sim faults clear",
		),
		Args: cobra.NoArgs,
	}
	m.flags(cmd)
	cmd.Flags().StringVar(&m.MaxDelay, "max-delay", "", "How long an event waits at most, so that others overtake it")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if m == (mischief{}) {
			return fmt.Errorf("nothing goes wrong; '%s' clears", strings.TrimSpace(examples("sim faults clear")))
		}
		return printFaults(cmd, http.MethodPut, "faults/webhooks", m)
	}
	return cmd
}
