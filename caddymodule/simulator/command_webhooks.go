package simulator

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"
)

// delivery is an attempt to deliver a webhook.
type delivery struct {
	EventID   string `json:"event_id"`
	WebhookID string `json:"webhook_id"`
	Type      string `json:"type"`
	Attempt   int    `json:"attempt"`
	Status    int    `json:"status"`
	Error     string `json:"error"`
}

type deliveries struct {
	Deliveries []delivery `json:"deliveries"`
}

func printDeliveries(cmd *cobra.Command, made []delivery) error {
	if len(made) == 0 {
		_, err := fmt.Fprintln(cmd.OutOrStdout(), "Nothing was sent.")
		return err
	}
	t := newTable(cmd.OutOrStdout())
	t.row("EVENT", "WEBHOOK ID", "ATTEMPT", "ANSWER")
	for _, d := range made {
		status := d.Error
		if d.Status != 0 {
			status = strconv.Itoa(d.Status)
		}
		t.row(d.Type, d.WebhookID, d.Attempt, status)
	}
	return t.print()
}

func eventsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "events",
		Short:   "Lists what has happened, and how far each webhook has come",
		Example: examples("sim events", "sim events --state failed --since 2h", "sim events --type payment.succeeded --limit 10"),
		Args:    cobra.NoArgs,
	}
	flags := cmd.Flags()
	for name, meaning := range map[string]string{
		"type":  "Only events of this type",
		"state": "Only those that are pending, delivered, failed, dropped or unsent",
		"since": "Only those since this time, or since so long ago: 2h",
		"limit": "Only the last so many",
	} {
		flags.String(name, "", meaning)
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		query := make(url.Values)
		for _, name := range []string{"type", "state", "since", "limit"} {
			if given := flagText(cmd, name); given != "" {
				query.Set(name, given)
			}
		}
		list, printed, err := answer[happened](cmd, http.MethodGet, "events?"+query.Encode(), nil)
		if err != nil || printed {
			return err
		}
		return printEvents(cmd, list.Events)
	}
	return cmd
}

func replayCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "replay [<webhook id>...]",
		Short: "Sends webhooks once more",
		Long: `Sends webhooks once more, the oldest first, each under its webhook-id and with the
present state of its object, as Dodo's dashboard does: those that are named, or all of
the last two weeks that fit what is said. --missing sends what an endpoint was never
sent, because it was dropped or the endpoint did not exist.`,
		Example: examples(
			"sim replay msg_…",
			"sim replay --failed",
			"sim replay --missing",
			"sim replay --type payment.succeeded --since 2h",
		),
	}
	flags := cmd.Flags()
	failed := flags.Bool("failed", false, "Only those that have failed for good")
	missing := flags.Bool("missing", false, "Only those that were never sent")
	since := flags.String("since", "", "Only those since this time, or since so long ago: 2h")
	until := flags.String("until", "", "Only those until then")
	types := flags.StringSlice("type", nil, "Only events of this type; can be repeated")
	object := flags.String("object", "", "Only those about this payment, subscription, …")
	endpoint := flags.String("endpoint", "", "Only to this webhook endpoint")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		sent, printed, err := answer[deliveries](cmd, http.MethodPost, "replay", map[string]any{
			"events": args, "failed": *failed, "missing": *missing, "since": *since, "until": *until, "types": *types,
			"object": *object, "endpoint": *endpoint,
		})
		if err != nil || printed {
			return err
		}
		return printDeliveries(cmd, sent.Deliveries)
	}
	return cmd
}

func holdCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "hold",
		Short:   "Keeps webhooks from being sent, until they are released",
		Example: examples("sim hold", "sim release"),
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return printFaults(cmd, http.MethodPost, "webhooks/hold", nil)
		},
	}
}

func releaseCommand() *cobra.Command {
	var m mischief
	cmd := &cobra.Command{
		Use:   "release",
		Short: "Sends the webhooks that were held",
		Long: `Sends the webhooks that were held: at once and all together, or, with --shuffle, one
after the other in an order that the seed decides, with what else goes wrong then.`,
		Example: examples("sim release", "sim release --shuffle --seed 7", "sim release --shuffle --seed 7 --duplicate 0.5 --drop 0.1"),
		Args:    cobra.NoArgs,
	}
	m.flags(cmd)
	shuffle := cmd.Flags().Bool("shuffle", false, "In a random order")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		type release struct {
			Shuffle bool `json:"shuffle"`
			mischief
		}
		sent, printed, err := answer[deliveries](cmd, http.MethodPost, "webhooks/release", release{*shuffle, m})
		if err != nil || printed {
			return err
		}
		if !*shuffle {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "They are under way.")
			return err
		}
		return printDeliveries(cmd, sent.Deliveries)
	}
	return cmd
}
