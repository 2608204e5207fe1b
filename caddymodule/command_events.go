package caddymodule

import (
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/spf13/cobra"
)

func parkedCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "parked",
		Short: "Lists the events about money that could not be applied yet",
		Long: `Lists the events about money that could not be applied yet, the oldest first, with
what each of them waits for:

  unknown_product  the catalog does not have the product
  unknown_account  nothing says whose it is: mostly what is sold elsewhere
  imported         refunded or disputed, and its credits were imported
  out_of_range     more credits than can be counted
  unclear          this version does not understand it`,
		Example: examples("parked", "parked --limit 20", "parked --config /etc/caddy/Caddyfile --json"),
		Args:    cobra.NoArgs,
	}
	pageFlags(cmd, "after", "Where to go on, from the page before")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		page, printed, err := call[parkedPage](cmd, http.MethodGet, "/dodo/parked", pageOf(cmd, "after"))
		if err != nil || printed {
			return err
		}
		out := cmd.OutOrStdout()
		if len(page.Events) == 0 {
			_, err := fmt.Fprintln(out, "Nothing is parked.")
			return err
		}
		t := newTable(out)
		fillEvents(t, page.Events)
		if err := t.print(); err != nil {
			return err
		}
		if page.Next != "" {
			_, err = fmt.Fprintf(out, "\nThere may be more: --after %s\n", printable(page.Next))
		}
		return err
	}
	return cmd
}

func fillEvents(t table, events []eventView) {
	t.row("RECEIVED", "EVENT", "TYPE", "REASON", "OBJECT", "ACCOUNT", "DELIVERIES")
	for _, e := range events {
		t.row(e.ReceivedAt, e.ID, e.Type, e.Reason, e.Object, e.Account, e.Deliveries)
	}
}

func eventCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "event <id>",
		Short:   "Shows what became of an event",
		Long:    "Shows what became of an event, by its webhook-id in Dodo's dashboard and in the log.",
		Example: examples("event msg_2xTqv8Rj"),
		Args:    oneArg("event id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			e, printed, err := call[eventView](cmd, http.MethodGet, pathOf("dodo", "events", args[0]), nil)
			if err != nil || printed {
				return err
			}
			return printEvent(newTable(cmd.OutOrStdout()), e)
		},
	}
}

func printEvent(t table, e eventView) error {
	t.row("event", e.ID)
	t.row("type", e.Type)
	t.row("state", e.State)
	t.row("reason", e.Reason)
	t.row("object", e.Object)
	t.row("account", e.Account)
	t.row("received", e.ReceivedAt)
	t.row("deliveries", e.Deliveries)
	if d := e.Dismissed; d != nil {
		t.row("dismissed", d.At)
		t.row("by", d.By)
		t.row("because", d.Reason)
		t.row("act", d.Act)
	}
	return t.print()
}

func redriveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "redrive [<event id>]",
		Short: "Tries parked events again",
		Long: `Tries all parked events again, or one event, in whatever state that is. What an event
gives is given once, however often it is tried.`,
		Example: examples("redrive", "redrive msg_2xTqv8Rj"),
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return redriveEvent(cmd, args[0])
			}
			did, printed, err := call[redriven](cmd, http.MethodPost, "/dodo/redrive", nil)
			if err != nil || printed {
				return err
			}
			t := newTable(cmd.OutOrStdout())
			t.row("tried", did.Tried)
			t.row("applied", did.Applied)
			for _, reason := range slices.Sorted(maps.Keys(did.Parked)) {
				t.row("still parked, "+reason, did.Parked[reason])
			}
			return t.print()
		},
	}
}

func redriveEvent(cmd *cobra.Command, id string) error {
	did, printed, err := call[redrivenEvent](cmd, http.MethodPost, pathOf("dodo", "redrive", id), nil)
	if err != nil || printed {
		return err
	}
	t := newTable(cmd.OutOrStdout())
	t.row("outcome", did.Outcome)
	return printEvent(t, did.Event)
}
